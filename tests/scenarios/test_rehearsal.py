"""Rehearsals: who said what, having heard whom, on models that say what a test wants."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from playing import MODEL, fellowship, library, written

from fellowship.protocols.errors import CallTimedOut, CassetteMiss, DeclarationError, RateLimited, Unauthorised
from fellowship.protocols.generation import DraftWritten
from fellowship.protocols.lifecycle import AgentRecused, BranchTaken, HearingChanged
from fellowship.protocols.messages import Fact
from fellowship.runtime.session import Limits
from fellowship.runtime.testing import ManualClock, ScriptedModel, as_reply
from fellowship.scenarios import Settings, load, play, rehearse, rehearse_all
from fellowship.scenarios.loading import library as names
from fellowship.scenarios.rehearsal import Asked, Line, Unreadable
from fellowship.scenarios.spec import Scenario

HEAD = "scenario: s\ntakes: comparison\nmodels: {m: acme/m}\n"
DEBATERS = """\
agents:
  first: {role: debater}
  second: {role: debater}
  third: {role: debater}
"""
BLIND = f"""\
{HEAD}{DEBATERS}flow:
  - repeat: 2
    do:
      - {{ask: [first, second, third], for: argument, order: in-turn, hears: everyone, blind: true}}
  - {{ask: third, for: ballot}}
  - {{decide: unique-mode}}
gives: verdict
"""
LATE = f"""\
{HEAD}{DEBATERS}flow:
  - {{ask: [first, second], for: argument, order: in-turn}}
  - {{ask: [first, second], for: argument, order: in-turn}}
  - {{ask: third, for: ballot, hears: everyone}}
  - {{decide: unique-mode}}
gives: verdict
"""
COUNTED = """\
scenario: s
takes: comparison
models: {m: acme/m}
agents:
  juror: {role: juror, count: 2}
  other: {role: debater}
  guest: {role: debater}
groups: {talkers: [other, guest]}
flow:
  - {ask: talkers, for: argument, order: in-turn, hears: everyone, anonymous: true}
  - {ask: talkers, for: ballot}
  - {ask: juror, for: ballot}
  - {decide: unique-mode}
gives: verdict
"""
SCENARIOS = [name for name in names() if isinstance(load(name)[0], Scenario)]
OWN_FAMILY = {name: {"own_family": True} for name in ("best-of-n", "constitution", "preference-pairs")}


def failing(then: str) -> str:
    return f"""\
{HEAD}agents:
  first: {{role: juror, failing: {{retry: 1, then: {then}}}}}
  second: {{role: juror}}
flow:
  - {{ask: [first, second], for: ballot}}
  - {{decide: unique-mode}}
gives: verdict
"""


async def test_a_debate_is_told_by_who_said_what_having_heard_whom_since_it_spoke_last() -> None:
    played = await rehearse("debate")
    assert played.sequence == [
        ("public", "argument", ()),
        ("psychologist", "argument", ("public",)),
        ("critic", "argument", ("public", "psychologist")),
        ("public", "argument", ("psychologist", "critic")),
        ("psychologist", "argument", ("critic", "public")),
        ("critic", "argument", ("public", "psychologist")),
        ("public", "ballot", ("psychologist", "critic")),
        ("psychologist", "ballot", ("critic",)),
        ("critic", "ballot", ()),
    ]
    assert [turn.round for turn in played.sequence] == [1, 1, 1, 2, 2, 2, 1, 1, 1]
    assert (played.status, played.verdict, played.scores, played.calls, played.rounds) == ("done", "tie", (5, 5), 9, 2)
    assert played.sequence != [("public", "argument", ())]


async def test_in_a_blind_round_nobody_hears_anybody_until_it_is_over() -> None:
    played = await rehearse(BLIND)
    assert played.sequence[:3] == [(name, "argument", ()) for name in ("first", "second", "third")]
    assert played.sequence[3:] == [
        ("first", "argument", ("second", "third")),
        ("second", "argument", ("first", "third")),
        ("third", "argument", ("first", "second")),
        ("third", "ballot", ("first", "second")),
    ]


async def test_whoever_listens_late_is_told_all_in_the_order_in_which_it_was_said() -> None:
    played = await rehearse(LATE, answers={"first": ["one", "three"], "second": ["two", "four"]})
    assert played.said("third") == [("third", "ballot", ("first", "second", "first", "second"))]
    assert played.heard("third") == [
        ("first", "argument", "one"),
        ("second", "argument", "two"),
        ("first", "argument", "three"),
        ("second", "argument", "four"),
    ]
    assert played.heard("first") == []
    assert [turn.text for turn in played.said("second")] == ["two", "four"]
    assert [fact.agent for fact in played.facts(HearingChanged)] == ["third"]


async def test_a_vote_that_cannot_be_read_says_nothing_to_anybody() -> None:
    votes = "  - {ask: [first, second], for: ballot, order: in-turn, hears: everyone}\n  - {decide: unique-mode}\ngives: verdict\n"
    played = await rehearse(f"{HEAD}{DEBATERS.rpartition('  third')[0]}flow:\n{votes}", answers={"first": Unreadable()})
    assert played.sequence == [("first", "ballot", ()), ("second", "ballot", ())]
    assert played.calls == 3, "what cannot be read is asked for again, once"
    assert played.prompts("first")[1][-2].content == "I would rather not say."


async def test_a_vote_in_both_orders_is_one_thing_said() -> None:
    played = await rehearse("judge", changes=["judging.orders=both"], answers={"*": {"score_a": 9, "score_b": 2}})
    assert played.sequence == [("judge", "ballot", ())]
    assert (played.calls, played.verdict) == (2, "tie"), "whatever stands first wins: the orders cancel out"


@pytest.mark.parametrize("name", SCENARIOS)
async def test_of_every_library_scenario_the_sequence_tells_each_thing_heard_once_and_in_order(name: str) -> None:
    played = await rehearse(name, parameters=OWN_FAMILY.get(name, {}))
    assert played.status == "done", played.error
    for agent in played.agents:
        told = [each.speaker for each in played.heard(agent)]
        heard = [speaker for turn in played.said(agent) for speaker in turn.heard]
        assert heard == told[: len(heard)]
    events = [(event, event.message()) for event in played.log.events()]
    worded = {event.sequence for event, fact in events if isinstance(fact, Fact) and fact.said()}
    expected = Counter(name for event, _ in events if event.sequence in worded for name in event.recipients)
    for change in played.facts(HearingChanged):
        expected[change.agent] += len(worded.intersection(change.caught_up))
    assert {agent: len(played.heard(agent)) for agent in played.agents} == {
        agent: expected[agent] for agent in played.agents
    }
    assert sum(len(played.prompts(agent)) for agent in played.agents) == played.calls


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_rehearsal_says_the_same_as_a_run(name: str, tmp_path: Path) -> None:
    changes = [f"{key}=true" for key in OWN_FAMILY.get(name, {})]
    answers: Any = lambda asked: as_reply(asked.call, f"text {len(asked.prompt.text)}", 3)  # noqa: E731
    played = (await rehearse_all(name, data=_data(tmp_path), changes=changes, answers=answers))[0]
    model = ScriptedModel(lambda call: as_reply(call, f"text {len(_text(call))}", 3))
    from fellowship.scenarios import open_dataset
    from fellowship.scenarios.planning import plan

    scenario, source = load(name, changes=changes)
    assert isinstance(scenario, Scenario)
    items = open_dataset(_data(tmp_path), takes=scenario.takes)
    await play(
        plan(scenario, source=source), items, tmp_path / "run", Settings(client=model, limits=Limits(concurrency=1))
    )
    asked = Counter(message.content for call in model.calls for message in call.messages)
    assert asked == Counter(
        each.content for agent in played.agents for prompt in played.prompts(agent) for each in prompt
    )


def _data(folder: Path) -> Path:
    return written(folder / "data.jsonl", 1)


def _text(call: Any) -> str:
    return "\n\n".join(f"[{message.role}]\n{message.content}" for message in call.messages)


async def test_nothing_is_written_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await rehearse("feedback-loop")
    assert not list(tmp_path.iterdir())


# what models say


async def test_a_text_is_said_wherever_words_are_asked_for_and_fields_wherever_they_fit() -> None:
    played = await rehearse("debate", answers={"public": "A is kinder.", "*": {"score_a": 2, "score_b": 7}})
    public, critic = played.said("public"), played.said("critic")
    assert [turn.text for turn in public] == ["A is kinder.", "A is kinder.", "A is kinder.\n\nScores: A 5, B 5"]
    assert [turn.text for turn in critic[:2]] == ["argument 1 of critic", "argument 2 of critic"]
    assert critic[2].text == "ballot 3 of critic\n\nScores: A 2, B 7"
    assert (played.verdict, played.scores) == ("b", (3, 19 / 3))


async def test_a_list_is_said_in_order_and_what_is_left_of_it_is_told() -> None:
    answers = {"critic": ["One.", None, {"score_a": 8, "score_b": 3}, "never said"], "public": "{}"}
    played = await rehearse("debate", answers=answers)
    assert [turn.text for turn in played.said("critic")] == [
        "One.",
        "argument 2 of critic",
        "ballot 3 of critic\n\nScores: A 8, B 3",
    ]
    assert played.unused == {"critic": 1}
    assert played.said("public")[0].text == "{}"
    assert played.said("public")[2].text == "", "{} is no ballot"


async def test_a_function_is_told_who_is_asked_for_what_in_which_round() -> None:
    seen: list[tuple[str, str, int, int, tuple[str, ...]]] = []

    async def say(asked: Asked) -> Line:
        seen.append((asked.agent, asked.wanted, asked.round, asked.number, asked.fields))
        return {"score_a": asked.number} if asked.wanted == "ballot" else f"{asked.agent} in round {asked.round}"

    played = await rehearse("debate", answers=say)
    assert seen[3] == ("public", "argument", 2, 2, ())
    assert seen[8] == ("critic", "ballot", 1, 3, ("reason", "score_a", "score_b"))
    assert played.heard("public")[0] == ("psychologist", "argument", "psychologist in round 1")
    assert played.scores == (3, 5)


async def test_a_name_for_several_speaks_for_each_of_them() -> None:
    votes = [{"score_a": 1, "score_b": 9}]
    played = await rehearse(COUNTED, answers={"juror": votes, "talkers": ["Hm.", {"score_a": 1, "score_b": 8}]})
    assert [turn.text.rpartition("Scores: ")[2] for turn in played.sequence if turn.word == "ballot"] == [
        *["A 1, B 8"] * 2,
        *["A 1, B 9"] * 2,
    ]
    assert {turn.agent for turn in played.sequence} == {"other", "guest", "juror-1", "juror-2"}
    assert (played.verdict, played.unused) == ("b", {})


async def test_who_speaks_anonymously_is_known_by_another_name_to_those_who_hear_it() -> None:
    played = await rehearse(COUNTED)
    assert played.sequence[1] == ("guest", "argument", ("other",))
    told = played.heard("guest")[0]
    assert (told.word, told.text) == ("argument", "argument 1 of other")
    assert told.speaker.startswith("Speaker ")
    assert f'"{told.speaker}"' in played.prompts("guest")[0].request


async def test_the_prompts_are_all_that_a_model_was_sent() -> None:
    item = {"id": "x", "prompt": "Why is the sky blue?", "a": "It scatters.", "b": "It reflects the sea."}
    played = await rehearse("debate", item=item, answers={"public": "Scattering it is."})
    first, second, vote = played.prompts("psychologist")
    assert [message.role for message in first] == ["system", "user"]
    assert "psychologist" in first.system
    assert all(words in first.request for words in ("Why is the sky blue?", "It scatters.", "Scattering it is."))
    assert second[:2] == first
    assert second[2].content == "argument 1 of psychologist"
    assert vote.text.count("[user]") == 3
    assert played.item.id == "x"


async def test_a_model_that_fails_fails_the_item_and_says_why() -> None:
    played = await rehearse("jury", answers={"second": RateLimited("patience, please")})
    assert (played.status, played.error, played.verdict) == ("failed", "RateLimited: patience, please", None)
    assert played.said("second") == []
    assert len(played.said("third")) == 1, "the others have answered: it is in the log"
    timed_out = await rehearse("jury", answers={"second": CallTimedOut})
    assert timed_out.error is not None
    assert timed_out.error.startswith("CallTimedOut: ")


async def test_an_agent_that_fails_is_asked_again_or_done_without_as_the_scenario_says() -> None:
    again = await rehearse(failing("fail"), answers={"first": [RateLimited("now"), {"score_a": 9, "score_b": 1}]})
    assert (again.status, again.calls, len(again.said("first"))) == ("done", 3, 1)
    without = await rehearse(failing("recuse"), answers={"first": RateLimited})
    assert (without.status, without.said("first")) == ("done", [])
    assert [fact.agent for fact in without.facts(AgentRecused)] == ["first"]


async def test_a_failure_that_would_stop_a_run_is_no_failure_of_the_item() -> None:
    played = await rehearse("judge", answers={"judge": Unauthorised("no such key")})
    assert (played.status, played.error, played.outcome) == ("stopped", "Unauthorised: no such key", None)


async def test_what_a_test_asserts_within_an_answer_fails_the_test() -> None:
    def say(asked: Asked) -> Line:
        assert "no such words" in asked.prompt.text, "the judge was not told"
        return None

    with pytest.raises(AssertionError, match="the judge was not told"):
        await rehearse("judge", answers=say)


# what comes out


async def test_conditions_and_decisions_can_be_looked_at() -> None:
    votes = {"first": {"score_a": 9, "score_b": 1}, "second": {"score_a": 1, "score_b": 9}}
    played = await rehearse("jury-escalating", answers={**votes, "third": {"score_a": 8, "score_b": 7}})
    assert [fact.holds for fact in played.facts(BranchTaken)] == [True]
    assert [(made.rule, made.verdict, made.votes) for made in played.decisions] == [("unique-mode", "a", 3)]
    assert [turn.word for turn in played.sequence] == ["ballot"] * 3 + ["argument"] * 3 + ["ballot"] * 3
    agreed = await rehearse("jury-escalating", answers={"*": {"score_a": 9, "score_b": 1}})
    assert [turn.word for turn in agreed.sequence] == ["ballot"] * 3


async def test_drafts_and_pairs_are_told_by_name() -> None:
    def judge(asked: Asked) -> Line:
        first, second = re.findall(r"draft (\d) of", asked.prompt.request)
        return {"score_a": int(first), "score_b": int(second)}

    played = await rehearse("preference-pairs", parameters={"own_family": True}, answers={"judge": judge})
    assert played.text == played.said("writer")[-1].text == "draft 3 of writer"
    assert [pair for pair in played.pairs if pair.sort == "answer"] == [
        ("answer", "writer/3", "writer/1"),
        ("answer", "writer/3", "single/1"),
        ("answer", "writer/3", "writer/2"),
    ]
    assert [draft.version for draft in played.facts(DraftWritten)] == [1, 1, 2, 3]


async def test_the_transcript_and_the_repr_can_be_read() -> None:
    played = await rehearse("debate", answers={"critic": "No."})
    assert "critic argues → public, psychologist" in played.transcript()
    assert "Decision by mean-score: tie" in played.transcript()
    shown = repr(played)
    assert shown.startswith("<debate on tea: done, verdict tie; public argument; psychologist argument < public; ")
    assert repr(played.sequence[1]) == "('psychologist', 'argument', ('public',))"


async def test_chance_is_the_seeds_alone() -> None:
    votes = "  - {ask: [first, second, third], for: ballot, order: random}\n  - {decide: unique-mode}\ngives: verdict\n"
    text = f"{HEAD}{DEBATERS}flow:\n{votes}"
    orders = {seed: [turn.agent for turn in (await rehearse(text, seed=seed)).sequence] for seed in range(8)}
    assert orders[3] == [turn.agent for turn in (await rehearse(text, seed=3)).sequence]
    assert len(set(map(tuple, orders.values()))) > 1


async def test_time_is_the_tests_own() -> None:
    clock = ManualClock(start_s=1000.0)

    async def think(asked: Asked) -> Line:
        await clock.sleep(60)
        return None

    played = await rehearse("jury-sequential", answers=think, clock=clock)
    assert [event.time_s for event in played.log.events(kinds=("vote_cast",))] == [1060.0, 1120.0]


# items, parameters, recordings


async def test_several_items_are_played_one_after_another_and_lists_begin_anew(tmp_path: Path) -> None:
    answers = {"judge": [{"score_a": 7, "score_b": 1}]}
    items = [{"prompt": f"{number}?", "a": "x", "b": "y"} for number in range(3)]
    assert [each.verdict for each in await rehearse_all("judge", items=items, answers=answers)] == ["a"] * 3
    of_file = await rehearse_all("judge", data=written(tmp_path / "d.jsonl", 4), limit=2)
    assert [each.item.id for each in of_file] == ["i0", "i1"]
    assert len(await rehearse_all("feedback-loop")) == 3


async def test_agents_that_take_turns_do_so_by_the_items_place() -> None:
    text = COUNTED.replace("{ask: juror, for: ballot}", "{ask: juror, for: ballot, assign: round-robin}")
    played = await rehearse_all(text)
    assert [each.sequence[-1].agent for each in played] == ["juror-1", "juror-2", "juror-1"]
    assert (await rehearse(text, number=1)).sequence[-1].agent == "juror-2"


async def test_parameters_and_parts_are_chosen_as_by_set() -> None:
    both = await rehearse("feedback-loop", parameters={"rounds": 1, "review": "both"})
    assert [turn[:2] for turn in both.sequence] == [
        ("writer", "draft"),
        ("reviewer", "feedback"),
        ("own", "feedback"),
        ("writer", "draft"),
    ]
    scenario, _ = load("judge")
    assert isinstance(scenario, Scenario)
    direct = await rehearse(scenario, changes=["judging.strategy=direct"], answers={"judge": {"verdict": "A"}})
    assert direct.verdict == "a"
    assert (await rehearse(library("jury"))).calls == 3


async def test_models_tell_families_apart_and_are_never_asked() -> None:
    with pytest.raises(DeclarationError, match="family"):
        await rehearse("preference-pairs")
    models = {"judge": "openai/gpt-4o", "writer": "together/llama-3-8b", "reviewer": "together/gemma-2-9b"}
    assert (await rehearse("preference-pairs", models=models)).status == "done"


async def test_recorded_answers_are_given_back_and_a_call_that_was_not_recorded_is_told(tmp_path: Path) -> None:
    data, run, cassette = written(tmp_path / "d.jsonl", 2), tmp_path / "run", tmp_path / "debate.jsonl"
    model = ScriptedModel(lambda call: as_reply(call, "recorded", 7))
    from fellowship.scenarios import open_dataset

    items = open_dataset(data, takes="comparison")
    await play(library("debate"), items, run, Settings(client=model))
    assert fellowship("cassette", run, "--to", cassette).exit_code == 0
    how: Any = {"cassette": cassette, "models": {"*": MODEL}}
    played = await rehearse_all("debate", data=data, **how)
    assert [each.scores for each in played] == [(7, 7), (7, 7)]
    assert played[0].heard("critic")[0] == ("public", "argument", "recorded")
    assert len(played[0].prompts("critic")) == 3
    with pytest.raises(CassetteMiss):
        await rehearse_all("debate", data=data, changes=["judging.scale=5"], **how)


PLUGIN = """\
from typing import ClassVar
from fellowship.agents import Juror
from fellowship.scenarios.plugins import role

@role("arbiter", "A juror by another name.")
class Arbiter(Juror):
    gives: ClassVar = Juror.gives
"""


async def test_roles_of_ones_own_are_rehearsed_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(PLUGIN)
    text = f"{HEAD}agents: {{j: {{role: arbiter}}}}\nflow:\n- {{ask: j, for: ballot}}\n- {{decide: majority}}\ngives: verdict\n"
    played = await rehearse(text, plugins=[tmp_path / "own.py"])
    assert played.sequence == [("j", "ballot", ())]
    with pytest.raises(DeclarationError, match="unknown role 'arbiter'"):
        await rehearse(text)


# what is wrong


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"jugde": "x"}, "answers: unknown agent 'jugde'; did you mean 'judge'?"),
        ({"judge": []}, "judge has 0 answers, and is asked for another: ballot in round 1"),
        ({"judge": [{"scorea": 3}]}, "answer of judge (ballot in round 1): unknown field 'scorea'; did you mean 'score_a'?"),
        ({"judge": {"scorea": 3}}, "answers of judge: unknown field 'scorea'; did you mean 'score_a'?"),
        ({"judge": [3]}, "an answer is a text, fields, or a failure, not 3"),
    ],
)  # fmt: skip
async def test_answers_that_are_wrong_are_told_in_a_sentence(answers: Any, words: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        await rehearse("judge", answers=answers)
    assert str(raised.value) == words


async def test_fields_where_free_text_is_asked_for_are_told() -> None:
    with pytest.raises(DeclarationError, match="writer is asked for free text .draft in round 1., not for score"):
        await rehearse("answer", answers={"writer": [{"score": 3}]})


@pytest.mark.parametrize(
    ("scenario", "how", "words"),
    [
        ("debat", {}, "unknown scenario 'debat'; did you mean 'debate'?"),
        ("evaluation", {}, "evaluation is a sweep: rehearse a scenario that it plays: judge, debate"),
        (
            BLIND.replace("third, for", "forth, for").replace("mode}", "mod}"),
            {},
            r"forth.*\n.*did you mean 'unique-mode'",
        ),
        ("judge", {"item": {"prompt": "x", "a": "y"}}, "no column 'b' for b"),
        ("judge", {"changes": ["judging.scal=5"]}, "did you mean 'scale'"),
        ("feedback-loop", {"parameters": {"round": 5}}, "did you mean 'rounds'"),
        ("judge", {"cassette": "nowhere.jsonl"}, "nowhere.jsonl cannot be read"),
    ],
)
async def test_what_is_wrong_is_told_before_anything_is_played(scenario: str, how: Any, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        await rehearse(scenario, **how)


async def test_two_ways_to_say_the_same_are_refused() -> None:
    with pytest.raises(DeclarationError, match="name one of them"):
        await rehearse_all("judge", items=[], data="d.jsonl")
    with pytest.raises(DeclarationError, match="a plan is ready"):
        await rehearse(library("judge"), parameters={"x": 1})


async def test_looking_for_an_agent_that_is_not_there_is_told() -> None:
    played = await rehearse("judge")
    for look in (played.said, played.heard, played.prompts):
        with pytest.raises(DeclarationError, match="judge has no agent 'jury'; there is judge"):
            look("jury")


OWN_FACT = """\
from typing import ClassVar, Literal
from fellowship import plugins
from fellowship.agents import Juror
from fellowship.protocols.messages import Fact

@plugins.fact
class ClaimChecked(Fact):
    kind: Literal["claim_checked"] = "claim_checked"
    def said(self, order="ab"):
        return "It is so."

@plugins.role("checker", "A juror that says what it has checked.")
class Checker(Juror):
    gives: ClassVar = Juror.gives
    async def answer(self, command, context):
        await context.emit(ClaimChecked())
        await super().answer(command, context)
"""


async def test_what_an_agent_says_beside_what_was_asked_for_is_heard_and_told_by_its_kind(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_FACT)
    text = (
        f"{HEAD}agents: {{c: {{role: checker}}, j: {{role: juror}}}}\nflow:\n"
        "- {ask: [c, j], for: ballot, order: in-turn, hears: everyone}\n- {decide: unique-mode}\ngives: verdict\n"
    )
    played = await rehearse(text, plugins=[tmp_path / "own.py"])
    assert played.sequence == [("c", "claim_checked", ()), ("c", "ballot", ()), ("j", "ballot", ("c", "c"))]
    assert played.heard("j")[0] == ("c", "claim_checked", "It is so.")

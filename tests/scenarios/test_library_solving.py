"""Library scenarios that solve and write: who is asked, having heard whom, as their papers have it, and what comes out."""

import asyncio
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from playing import fellowship
from telling import Speaker, apart, played, speak

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.items import Item
from fellowship.protocols.models import ModelCall
from fellowship.scenarios import load, plan
from fellowship.scenarios.rehearsal import Asked, Prompt, Rehearsal, Unreadable, rehearse
from fellowship.scenarios.spec import Scenario

CALLS = {
    "answer-question": (1, 1),
    "best-of-n": (20, 20),
    "constitution": (5, 7),
    "debate-adaptive": (10, 25),
    "debate-pairs": (9, 9),
    "debate-tit-for-tat": (4, 10),
    "mixture-of-agents": (7, 7),
    "peer-review": (18, 18),
    "round-table": (3, 12),
    "self-consistency": (5, 5),
    "self-refine": (2, 9),
    "self-rewarding": (8, 8),
    "society": (9, 9),
    "society-sparse": (18, 18),
    "tree": (10, 10),
}
"""Of an item, at the least and at the most."""
SOLVING = {
    "answer-question": "solver",
    "debate-tit-for-tat": "judge",
    "round-table": "*",
    "self-consistency": "solver",
    "society": "solver",
    "society-sparse": "*",
    "tree": "*",
}
"""Scenarios that give an answer, and whose it is."""
MODELS = (
    "openai/gpt-4o",
    "groq/llama-3.1-8b-instant",
    "acme/gemma-2",
    "mistral/mistral-small",
    "acme/qwen",
    "acme/phi-3",
)
"""Each of another family."""
CRITERIA = ("helpfulness", "relevance", "accuracy", "depth", "creativity", "level of detail")
NEUTRAL = "order in which answers stand means nothing, and neither does their length"
SUM = {"id": "sum", "prompt": "What is 6 times 7?", "reference": "42"}
TEA = {"id": "tea", "prompt": "How do I keep iced tea clear?"}
THREE = ("solver-1", "solver-2", "solver-3")

Said = tuple[str, str, tuple[str, ...]]


def each(names: Iterable[str], word: str, *heard: str) -> list[Said]:
    """Return what several say who have heard the same."""
    return [(name, word, heard) for name in names]


def all_others(names: Iterable[str], word: str) -> list[Said]:
    """Return what several say of whom each has heard all others."""
    return [(name, word, tuple(other for other in names if other != name)) for name in names]


def models_of(name: str) -> dict[str, str]:
    """Return a model of a family of its own for each alias."""
    scenario, _ = load(name)
    assert isinstance(scenario, Scenario)
    used = [alias for one in scenario.used.values() for alias in one.models]
    return dict(zip(dict.fromkeys((*scenario.models, *used)), MODELS, strict=False))


def give(*answers: str, **more: object) -> list[dict[str, object]]:
    """Return what a solver says, one after another."""
    return [{"reasoning": f"so it is {answer}", "answer": answer, **more} for answer in answers]


def scores(a: float, b: float) -> dict[str, float]:
    """Return what a judge says of what it is shown as A and as B."""
    return {"score_a": a, "score_b": b}


def is_fair(prompt: Prompt) -> bool:
    """Whether a judge is told what to weigh, that order and length mean nothing, and to give reasons before scores."""
    asked = prompt.request
    return (
        all(word in prompt.system for word in CRITERIA)
        and NEUTRAL in prompt.system
        and asked.index("reasons first") < asked.index('"reason"') < asked.index('"score')
    )


# what all have in common


@pytest.mark.parametrize("name", CALLS)
def test_the_plan_foresees_the_calls_that_a_scenario_tells_of_itself(name: str, tmp_path: Path) -> None:
    data = tmp_path / "d.jsonl"
    data.write_text(json.dumps({**SUM, "a": "It is 42.", "b": "It is 41."}) + "\n")
    chosen = [f"--model={alias}={model}" for alias, model in models_of(name).items()]
    told = fellowship("plan", name, "--data", data, "--json", *chosen)
    assert told.exit_code == 0, told.stderr
    calls, (least, greatest) = json.loads(told.stdout)["calls"], CALLS[name]
    assert (calls["least"], calls["greatest"]) == (least, greatest)
    assert least <= calls["expected"] <= greatest
    number = f"{least}" if least == greatest else f"{least} to {greatest}"
    assert re.search(rf"(?:^|\s){number} calls? an item\.$", load(name)[0].about)


@pytest.mark.parametrize("name", CALLS)
def test_a_scenario_is_right_and_has_a_model_for_each_alias(name: str) -> None:
    chosen = [f"--model={alias}={model}" for alias, model in models_of(name).items()]
    checked = fellowship("check", name, *chosen)
    assert (checked.exit_code, "warning" in checked.output, "smollm2" in checked.stdout) == (0, False, False)
    assert "not played" not in checked.output


@pytest.mark.parametrize(("name", "who"), SOLVING.items())
async def test_an_answer_is_right_wrong_or_of_a_question_whose_answer_nobody_knows(name: str, who: str) -> None:
    right = await rehearse(name, item=SUM, answers={who: _always("42")})
    assert (right.answer, right.correct) == ("42", True)
    wrong = await rehearse(name, item=SUM, answers={who: _always("forty")})
    assert (wrong.answer, wrong.correct) == ("forty", False)
    unknown = Item.model_validate({"id": "u", "prompt": "Who is there?", "candidates": ()})
    assert (await rehearse(name, item=unknown, answers={who: _always("42")})).correct is None


def _always(answer: str) -> Any:
    def say(asked: Asked) -> str | None:
        return asked.reply(answer) if asked.wanted == "answer" else None

    return say


@pytest.mark.parametrize("name", SOLVING)
async def test_answers_are_compared_as_numbers_or_as_choices_where_that_is_set(name: str) -> None:
    numbers = await rehearse(name, item=SUM, changes=["answers=numeric"], answers={"*": _always("42.00")})
    assert numbers.correct is True
    choice = {**SUM, "choices": ["41", "42", "43"], "reference": "B"}
    told = await rehearse(name, item=choice, changes=["answers=choice"], answers={"*": _always("b")})
    assert told.correct is True
    asked = told.prompts(told.sequence[-1].agent)[-1]
    assert "B. 42" in asked.text
    assert "the letter of one of the choices" in asked.text


# one solver, and several apart


async def test_a_plain_answer_takes_one_call_and_reasons_before_it_answers() -> None:
    told = await rehearse("answer-question", item=SUM, answers={"solver": give("42")})
    assert told.sequence == [("solver", "answer", ())]
    assert (told.answer, told.correct, told.calls) == ("42", True, 1)
    (asked,) = told.prompts("solver")
    assert asked.request.index("Reason first") < asked.request.index('"reasoning"') < asked.request.index('"answer"')
    unread = await rehearse("answer-question", item=SUM, answers={"solver": Unreadable()})
    assert (unread.answer, unread.correct) == (None, False)


async def test_the_answer_that_is_given_most_often_wins_and_nobody_sees_what_others_say() -> None:
    five = [f"solver-{number}" for number in range(1, 6)]
    says: Any = dict(zip(five, map(give, ("41", "42", "40", "42", "41")), strict=True))
    says["solver-3"] = give("42")
    told = await rehearse("self-consistency", item=SUM, answers=says)
    assert told.sequence == each(five, "answer")
    assert (told.answer, told.correct, told.calls) == ("42", True, 5)
    assert len({told.prompts(name)[0].text for name in five}) == 1


async def test_answers_given_equally_often_come_to_the_first_of_them_unless_another_way_is_chosen() -> None:
    says: Any = {f"solver-{number}": give(answer) for number, answer in enumerate(("41", "42", "42", "41"), start=1)}
    first = await rehearse("self-consistency", item=SUM, parameters={"samples": 4}, answers=says)
    assert (first.answer, first.correct) == ("41", False)
    none = await rehearse("self-consistency", item=SUM, parameters={"samples": 4, "ties": "tie"}, answers=says)
    assert (none.answer, none.correct) == (None, False)


@pytest.mark.parametrize("name", ["self-consistency", "society", "debate-adaptive", "self-rewarding"])
def test_agents_of_one_model_are_asked_at_a_temperature_and_are_told_apart_by_the_cache(name: str) -> None:
    scenario, source = load(name)
    assert isinstance(scenario, Scenario)
    settings = [profile.settings for profile in plan(scenario, source=source).profiles.values() if "-" in profile.name]
    assert all(each.temperature for each in settings)
    assert [each.sample for each in settings] == list(range(1, len(settings) + 1))


# societies


async def test_a_society_answers_apart_then_everyone_revises_by_the_answers_of_all_others() -> None:
    says: Any = {
        "solver-1": give("41", "41", "42"),
        "solver-2": give("42", "42", "42"),
        "solver-3": give("40", "42", "41"),
    }
    told = await rehearse("society", item=SUM, answers=says)
    assert told.sequence == [
        *each(THREE, "answer"),
        *all_others(THREE, "answer"),
        *all_others(THREE, "answer"),
    ]
    assert (told.answer, told.correct, told.calls) == ("42", True, 9)
    _, second, last = told.prompts("solver-1")
    assert all(f"so it is {answer}" in second.request for answer in ("42", "40"))
    assert "so it is 41" not in second.request, "its own answer is in the talk it remembers"
    assert "That\nothers say something, or many do, is no reason by itself" in last.request


@pytest.mark.parametrize(
    ("answers", "calls"),
    [(("42", "42", "42"), 3), (("41", "42", "42"), 6), (("41", "41", "42"), 9), (("41", "41", "41"), 9)],
)
async def test_a_society_may_stop_at_consensus(answers: tuple[str, ...], calls: int) -> None:
    says: Any = {"solver-1": give(*answers[: calls // 3]), "solver-2": "42", "solver-3": "42"}
    told = await rehearse("society", item=SUM, parameters={"stop": "consensus"}, answers=says)
    assert (told.calls, told.rounds, told.answer) == (calls, calls // 3, "42")
    assert told.sequence == [*each(THREE, "answer"), *all_others(THREE, "answer") * 2][:calls]


async def test_a_society_is_as_large_as_is_said() -> None:
    told = await rehearse("society", parameters={"agents": 5, "rounds": 2})
    five = [f"solver-{number}" for number in range(1, 6)]
    assert told.sequence == [*each(five, "answer"), *all_others(five, "answer")]


async def test_in_a_ring_each_sees_the_answers_of_its_two_neighbours() -> None:
    six = ("hub", *THREE, "solver-4", "solver-5")
    revised = [
        ("hub", "answer", ("solver-1", "solver-5")),
        ("solver-1", "answer", ("hub", "solver-2")),
        ("solver-2", "answer", ("solver-1", "solver-3")),
        ("solver-3", "answer", ("solver-2", "solver-4")),
        ("solver-4", "answer", ("solver-3", "solver-5")),
        ("solver-5", "answer", ("hub", "solver-4")),
    ]
    told = await rehearse("society-sparse", item=SUM, answers={"hub": "41", "solver": "42"})
    assert told.sequence == [*each(six, "answer"), *revised, *revised]
    assert (told.answer, told.calls) == ("42", 18)
    assert "Answer: 41" in told.prompts("solver-1")[1].request
    assert "Answer: 41" not in told.prompts("solver-2")[1].request


async def test_in_a_star_the_hub_hears_all_and_all_others_hear_the_hub_alone() -> None:
    told = await rehearse("society-sparse", parameters={"graph": "star", "others": 3, "rounds": 2})
    assert told.sequence == [
        *each(("hub", *THREE), "answer"),
        ("hub", "answer", THREE),
        *each(THREE, "answer", "hub"),
    ]


async def test_a_sparse_society_may_stop_at_consensus() -> None:
    told = await rehearse("society-sparse", parameters={"stop": "consensus"}, answers={"*": "42"})
    assert (told.calls, told.rounds) == (6, 1)


TABLE = ("first", "second", "third")


async def test_a_round_table_that_agrees_at_once_does_not_talk() -> None:
    told = await rehearse("round-table", item=SUM, answers={"*": "42"})
    assert told.sequence == each(TABLE, "answer")
    assert (told.answer, told.correct, told.calls) == ("42", True, 3)


async def test_a_round_table_talks_until_it_agrees() -> None:
    says: Any = {"first": give("42", "42"), "second": give("42", "42"), "third": give("41", "42")}
    told = await rehearse("round-table", item=SUM, answers=says)
    assert told.sequence == [*each(TABLE, "answer"), *all_others(TABLE, "answer")]
    assert (told.answer, told.calls) == ("42", 6)


async def test_at_a_round_table_that_never_agrees_one_who_is_sure_outweighs_two_who_are_not() -> None:
    says: Any = {name: {"answer": "41", "confidence": 0.3} for name in ("first", "second")}
    told = await rehearse("round-table", item=SUM, answers={**says, "third": {"answer": "42", "confidence": 0.9}})
    assert told.sequence == [*each(TABLE, "answer"), *all_others(TABLE, "answer") * 3]
    assert (told.answer, told.correct, told.calls) == ("42", True, 12)
    asked = told.prompts("first")[1].request
    assert "Confidence: 0.9" in asked
    assert asked.index("Reason first") < asked.index("how sure you are") < asked.index('"confidence"')


# debates


ROUND = [
    ("affirmative", "argument", ("negative",)),
    ("negative", "argument", ("affirmative",)),
    ("judge", "approval", ("affirmative", "negative")),
]


@pytest.mark.parametrize("rounds", [1, 2, 3, 4])
async def test_two_debaters_contradict_each_other_until_the_judge_is_content_or_three_rounds_are_over(
    rounds: int,
) -> None:
    approvals: list[Any] = [{"approved": number == rounds} for number in (1, 2, 3)][:rounds]
    says: Any = {"affirmative": "It is 41.", "negative": "No, 42.", "judge": [*approvals, *give("42")]}
    told = await rehearse("debate-tit-for-tat", item=SUM, answers=says)
    took = min(rounds, 3)
    talk = ROUND * took
    assert told.sequence == [("affirmative", "argument", ()), *talk[1:], ("judge", "answer", ())]
    assert (told.answer, told.correct, told.calls, told.rounds) == ("42", True, 3 * took + 1, took)


async def test_the_sides_know_which_side_they_are_on_and_the_judge_weighs_reasons_alone() -> None:
    says: Any = {"affirmative": "It is 41.", "negative": "No, 42.", "judge": [{"approved": True}, *give("42")]}
    told = await rehearse("debate-tit-for-tat", item=SUM, answers=says)
    assert "argue for another one" in told.prompts("negative")[0].system
    assert "It is 41." in told.prompts("negative")[0].request
    approving, answering = told.prompts("judge")
    assert all(words in approving.request for words in ("It is 41.", "No, 42.", "Approve if one of the two sides"))
    assert approving.request.index("reasons first") < approving.request.index('"reason"')
    assert approving.request.index('"reason"') < approving.request.index('"approved"')
    assert "nobody is right for speaking first, last or longest" in approving.system
    assert "It is 41." in answering.text


async def test_an_approval_that_cannot_be_read_is_none() -> None:
    told = await rehearse("debate-tit-for-tat", answers={"judge": _unreadable_but_for_answers})
    assert [turn.word for turn in told.said("judge")] == ["approval", "approval", "approval", "answer"]


def _unreadable_but_for_answers(asked: Asked) -> Any:
    return Unreadable() if asked.wanted == "approval" else None


FIVE = tuple(f"judge-{number}" for number in range(1, 6))


async def test_judges_who_vote_as_before_are_stable_and_stop() -> None:
    says: Any = {name: scores(8, 3) for name in FIVE[:3]} | {name: scores(2, 6) for name in FIVE[3:]}
    told = await rehearse("debate-adaptive", answers=says)
    assert told.sequence == [*each(FIVE, "ballot"), *all_others(FIVE, "ballot")]
    assert (told.verdict, told.calls) == ("a", 10)
    first, again = told.prompts("judge-1")
    assert is_fair(first)
    assert "now, in the light of all that was said" in again.request
    assert again.request.index("reasons first") < again.request.index('"score_a"')


async def test_judges_who_change_their_minds_go_on_to_the_last_round_and_without_a_majority_it_is_a_tie() -> None:
    swaying: list[Any] = [scores(9, 1), scores(1, 9), scores(9, 1), scores(1, 9)]
    ends = (scores(9, 1), scores(9, 1), scores(1, 9), scores(1, 9), scores(5, 5))
    says: Any = {name: [*swaying, end] for name, end in zip(FIVE, ends, strict=True)}
    told = await rehearse("debate-adaptive", answers=says)
    assert told.sequence == [*each(FIVE, "ballot"), *all_others(FIVE, "ballot") * 4]
    assert (told.verdict, told.calls, told.rounds) == ("tie", 25, 4)


async def test_judges_who_settle_later_stop_then() -> None:
    says: Any = {name: [scores(9, 1), scores(1, 9), scores(1, 9)] for name in FIVE}
    told = await rehearse("debate-adaptive", answers=says)
    assert (told.verdict, told.calls, told.rounds) == ("b", 15, 2)


# writing


REFINED: list[Said] = [("critic", "feedback", ("writer",)), ("writer", "draft", ("critic",))]


async def test_what_is_good_enough_at_once_is_not_refined() -> None:
    told = await rehearse("self-refine", item=TEA, answers={"writer": "cool it", "critic": {"score": 9}})
    assert told.sequence == [("writer", "draft", ()), REFINED[0]]
    assert (told.text, told.calls) == ("cool it", 2)


async def test_what_becomes_good_enough_is_refined_no_more() -> None:
    said: Any = {"writer": ["one", "two"], "critic": [{"score": 6}, {"score": 9.5}]}
    told = await rehearse("self-refine", item=TEA, answers=said)
    assert told.sequence == [("writer", "draft", ()), *REFINED, REFINED[0]]
    assert (told.text, told.calls) == ("two", 4)


async def test_what_never_is_good_enough_is_refined_four_times() -> None:
    drafts, found = ["one", "two", "three", "four", "five"], [{"score": score} for score in (5, 8, 7, 6)]
    told = await rehearse("self-refine", item=TEA, answers={"writer": drafts, "critic": found})
    assert told.sequence == [("writer", "draft", ()), *REFINED * 4]
    assert (told.text, told.calls) == ("five", 9)
    asked = told.prompts("critic")[0]
    assert all(word in asked.system for word in CRITERIA)
    assert asked.request.index('"evaluation"') < asked.request.index('"feedback"') < asked.request.index('"score"')
    best = await rehearse(
        "self-refine", item=TEA, parameters={"pick": "best"}, answers={"writer": drafts, "critic": found}
    )
    assert best.text == "two"


PEERS = ("peer-1", "peer-2", "peer-3")


async def test_peers_review_the_drafts_of_the_others_and_a_judge_scores_all() -> None:
    says: Any = dict.fromkeys(PEERS, _as_a_peer)
    told = await rehearse(
        "peer-review", item=TEA, answers={**says, "judge": [{"score": s} for s in (3, 5, 4, 6, 9, 8)]}
    )
    assert told.sequence == [
        *each(PEERS, "draft"),
        ("peer-2", "feedback", ("peer-1", "peer-3")),  # on the draft of peer-1, as it begins to listen
        ("peer-3", "feedback", ("peer-1", "peer-2")),
        ("peer-1", "feedback", ("peer-2", "peer-3", "peer-2", "peer-3")),  # on that of peer-2
        ("peer-3", "feedback", ("peer-2",)),
        ("peer-1", "feedback", ("peer-3",)),  # on that of peer-3
        ("peer-2", "feedback", ("peer-3", "peer-1", "peer-3")),
        ("peer-1", "draft", ("peer-2",)),
        ("peer-2", "draft", ("peer-1",)),
        ("peer-3", "draft", ("peer-1", "peer-1", "peer-2")),
        ("judge", "score", (*PEERS, "peer-2", "peer-3", "peer-1", "peer-3", "peer-1", "peer-2", *PEERS)),
        *each(["judge"] * 5, "score"),
    ]
    assert (told.text, told.calls) == ("revision of peer-2", 18)
    assert all(is_fair(prompt) for prompt in told.prompts("judge"))


async def test_a_peer_revises_by_what_was_said_of_its_own_draft_and_sees_no_other_while_it_writes() -> None:
    told = await rehearse("peer-review", item=TEA, answers=dict.fromkeys(PEERS, _as_a_peer))
    for name in PEERS:
        others = [other for other in PEERS if other != name]
        prompts = told.prompts(name)
        reviewing, writing = [p for p in prompts if '"score"' in p.request], prompts[-1]
        assert [_seen(p.request, "draft of ") for p in reviewing] == [{other} for other in others]
        assert _seen(writing.text, "draft of ") == {name}
        assert _seen(writing.request, f"on draft of {name} by ") == set(others)
        assert not any(f"on draft of {other} by" in writing.text for other in others)


def _as_a_peer(asked: Asked) -> Any:
    """Say a draft, a revision, or feedback that names what it is on."""
    if asked.wanted == "draft":
        return f"{'draft' if asked.number == 1 else 'revision'} of {asked.agent}"
    if asked.wanted != "feedback":
        return None
    (on,) = {name for name in PEERS if f"\ndraft of {name}\n" in asked.prompt.request}
    return asked.reply(f"on draft of {on} by {asked.agent}", 5)


def _seen(text: str, before: str) -> set[str]:
    """Return the peers that are named after some words at the beginning of a line."""
    return set(re.findall(rf"^{re.escape(before)}(peer-\d)", text, re.MULTILINE))


async def test_each_layer_reads_all_that_the_layer_before_it_wrote_and_nothing_else() -> None:
    one, two = ("first", "second", "third"), ("first-again", "second-again", "third-again")
    says: Any = {name: f"words of {name}" for name in (*one, *two)}
    told = await rehearse("mixture-of-agents", item=TEA, answers={**says, "aggregator": "all in one"})
    assert told.sequence == [*each(one, "draft"), *each(two, "draft", *one), ("aggregator", "draft", two)]
    assert (told.text, told.calls) == ("all in one", 7)
    for name in two:
        (asked,) = told.prompts(name)
        assert all(f"\nwords of {other}\n" in asked.request for other in one)
        assert "do not trust any of them because of its place or length" in " ".join(asked.request.split())
    (last,) = told.prompts("aggregator")
    assert all(f"\nwords of {other}\n" in last.request for other in two)
    assert not any(f"\nwords of {other}\n" in last.request for other in one)


# preference pairs


def chosen(told: Rehearsal) -> set[tuple[str | None, str | None]]:
    """Return the answers that are preferred, each with the one it is preferred to."""
    return {(pair.chosen, pair.rejected) for pair in told.pairs}


async def test_an_answer_is_criticised_and_revised_by_principles_and_paired_with_the_first() -> None:
    says: Any = {"writer": ["one", "two", "three"], "judge": [scores(3, 8), scores(7, 2)]}
    told = await rehearse("constitution", item=TEA, models=models_of("constitution"), answers=says)
    reviewed: list[Said] = [("critic", "feedback", ("writer",)), ("writer", "draft", ("critic",))]
    assert told.sequence == [("writer", "draft", ()), *reviewed * 2, ("judge", "comparison", ("writer",) * 3)]
    assert (told.text, told.calls, chosen(told)) == ("three", 7, {("writer/3", "writer/1")})
    assert all(is_fair(prompt) for prompt in told.prompts("judge"))
    criticised = [_principle(prompt) for prompt in told.prompts("critic")]
    assert criticised == [_principle(prompt) for prompt in told.prompts("writer")[1:]]
    assert len(set(criticised)) == 2


def _principle(prompt: Prompt) -> str:
    found = re.search(r"principle[^:]*: (It .*)", prompt.request)
    assert found is not None
    return found[1]


async def test_principles_are_drawn_for_each_item() -> None:
    drawn = set[str]()
    for number in range(8):
        item = {**TEA, "id": str(number)}
        told = await rehearse("constitution", item=item, models=models_of("constitution"))
        drawn |= set(map(_principle, told.prompts("critic")))
    assert len(drawn) == 5


async def test_the_judge_may_hold_the_first_answer_for_the_better_one_or_neither() -> None:
    models = models_of("constitution")
    says: Any = {"writer": ["one", "two", "three"], "judge": [scores(8, 3), scores(2, 7)]}
    assert chosen(await rehearse("constitution", models=models, answers=says)) == {("writer/1", "writer/3")}
    says["judge"] = scores(8, 3)  # whichever is shown first
    assert (await rehearse("constitution", models=models, answers=says)).pairs == []
    same = await rehearse("constitution", models=models, answers={"writer": "always this"})
    assert (same.pairs, same.calls) == ([], 5)


@pytest.mark.parametrize("name", ["best-of-n", "constitution"])
async def test_a_judge_labels_answers_of_its_own_family_only_if_asked_to(name: str) -> None:
    with pytest.raises(DeclarationError, match="its own family"):
        await rehearse(name)
    assert (await rehearse(name, parameters={"own_family": True})).status == "done"


ASPECTS = ("judge-following", "judge-truth", "judge-honesty", "judge-help")
WRITERS = ("first", "second", "third", "fourth")
ONE_ASPECT = {
    "judge-following": "all that is asked",
    "judge-truth": "true",
    "judge-honesty": "does not know",
    "judge-help": "helps",
}


async def test_the_best_and_the_worst_of_several_answers_by_all_aspects_are_a_pair() -> None:
    models = models_of("best-of-n")
    marks = ((5, 9, 2, 6), (5, 7, 3, 8), (6, 8, 9, 4), (4, 8, 2, 6))  # by aspect, of each answer: means 5, 8, 4, 6
    says: Any = {name: [{"score": mark} for mark in own] for name, own in zip(ASPECTS, marks, strict=True)}
    told = await rehearse("best-of-n", item=TEA, models=models, answers=says)
    assert told.sequence == [
        *each(WRITERS, "draft"),
        *each(ASPECTS, "score", *WRITERS),
        *each(ASPECTS * 3, "score"),
    ]
    assert (told.calls, chosen(told), told.text) == (20, {("second/1", "third/1")}, "draft 1 of second")
    for name in ASPECTS:
        asked = told.prompts(name)
        assert all(is_fair(prompt) and ONE_ASPECT[name] in prompt.system for prompt in asked)
        assert [sum(f"of {writer}" in prompt.text for writer in WRITERS) for prompt in asked] == [1, 1, 1, 1]
    close = await rehearse("best-of-n", models=models, answers=says, parameters={"margin": 4.5})
    assert close.pairs == []
    others = await rehearse("best-of-n", models=models, answers=says, parameters={"select": "best-all"})
    assert chosen(others) == {("second/1", other) for other in ("first/1", "third/1", "fourth/1")}


async def test_a_model_scores_its_own_answers_and_the_best_and_the_worst_are_a_pair() -> None:
    writers = ("writer-1", "writer-2", "writer-3", "writer-4")
    told = await rehearse("self-rewarding", item=TEA, answers={"judge": [{"score": mark} for mark in (3, 5, 1, 4)]})
    assert told.sequence == [*each(writers, "draft"), ("judge", "score", writers), *each(["judge"] * 3, "score")]
    assert (told.calls, chosen(told)) == (8, {("writer-2/1", "writer-3/1")})
    assert all(is_fair(prompt) and "to 5 (could not be better)" in prompt.request for prompt in told.prompts("judge"))
    alike = await rehearse("self-rewarding", item=TEA, answers={"judge": {"score": 3}})
    assert alike.pairs == []
    scenario, source = load("self-rewarding")
    assert isinstance(scenario, Scenario)
    assert {one.model for one in plan(scenario, source=source, models={"writer": "acme/m"}).models} == {"acme/m"}


async def test_answers_checks_and_corrections_branch_and_no_branch_knows_of_another() -> None:
    says: Any = {
        "generator-1": give("41"),
        "generator-2": give("42"),
        "verifier": _as_a_verifier,
        "refiner-1-1": give("42"),
        "refiner-1-2": give("41"),
        "refiner-2-1": give("42"),
        "refiner-2-2": give("42"),
    }
    told = await rehearse("tree", item=SUM, answers=says)
    generators, branches = ("generator-1", "generator-2"), ("1-1", "1-2", "2-1", "2-2")
    assert told.sequence == [
        *each(generators, "answer"),
        *[(f"verifier-{branch}", "feedback", generators) for branch in branches],
        *[(f"refiner-{branch}", "answer", (*generators, f"verifier-{branch}")) for branch in branches],
    ]
    assert (told.answer, told.correct, told.calls) == ("42", True, 10)
    right = ("generator-2/1", "refiner-1-1/1", "refiner-2-1/1", "refiner-2-2/1")
    assert chosen(told) == {(one, other) for one in right for other in ("generator-1/1", "refiner-1-2/1")}
    for branch in branches:
        own, (checking,), (asked,) = branch[0], told.prompts(f"verifier-{branch}"), told.prompts(f"refiner-{branch}")
        assert re.findall(r'<answer by="(.+?)"', checking.text) == [f"generator-{own}"]
        assert re.findall(r'<answer by="(.+?)"', asked.text) == [f"generator-{own}"]
        assert set(re.findall(r"found by (\S+)", asked.text)) == {f"verifier-{branch}"}
        steps = "Check every step" in checking.request, "Check the result itself" in checking.request
        assert steps == (branch.endswith("1"), branch.endswith("2"))
        assert checking.request.index('"evaluation"') < checking.request.index('"score"')


def _as_a_verifier(asked: Asked) -> str:
    return asked.reply(f"found by {asked.agent}")


async def test_a_tree_has_as_many_branches_as_there_are_answers_that_can_be_read() -> None:
    told = await rehearse("tree", parameters={"generators": 3}, answers={"generator-2": Unreadable()})
    verifiers = [turn.agent for turn in told.sequence if turn.word == "feedback"]
    assert verifiers == ["verifier-1-1", "verifier-1-2", "verifier-2-1", "verifier-2-2"]
    assert (await rehearse("tree", parameters={"generators": 3})).calls == 15


async def test_in_a_tree_the_last_answers_decide_and_a_split_is_no_answer() -> None:
    says: Any = {"generator": give("41"), "refiner-1-1": "41", "refiner-1-2": "41", "refiner": "42"}
    told = await rehearse("tree", item=SUM, answers=says)
    assert (told.answer, told.correct, told.pairs) == (None, False, [])


async def test_answers_that_agree_with_the_consensus_of_a_society_are_preferred_to_those_that_do_not() -> None:
    names = tuple(f"society-{name}" for name in THREE)
    says: Any = dict(
        zip(names, (give("41", "42", "42"), give("42", "42", "42"), give("41", "41", "41.0")), strict=True)
    )
    told = await rehearse("debate-pairs", item=SUM, parameters={"answers": "numeric"}, answers=says)
    assert told.sequence == [*each(names, "answer"), *all_others(names, "answer") * 2]
    assert told.calls == 9
    one, two, three = names
    right = (f"{one}/2", f"{one}/3", f"{two}/1", f"{two}/2", f"{two}/3")
    wrong = (f"{one}/1", f"{three}/1", f"{three}/2", f"{three}/3")
    assert chosen(told) == {(good, bad) for good in right for bad in wrong}
    agreed = await rehearse("debate-pairs", item=SUM, answers={"*": "42"})
    assert agreed.pairs == []


# runs of agents of which there are several


@pytest.mark.parametrize(
    ("name", "roles"),
    [("debate-pairs", {"solver"}), ("self-rewarding", {"generator", "judge"})],
)
def test_a_run_of_agents_that_share_a_declaration_is_told_gone_on_with_and_exported(
    name: str, roles: set[str], tmp_path: Path
) -> None:
    rows = [
        Item.model_validate({"id": str(n), "prompt": f"{n} + 1?", "candidates": (), "reference": "4"}) for n in (2, 3)
    ]
    run, to = tmp_path / "run", tmp_path / "to"
    asyncio.run(played(apart(name), rows, run, Speaker(_by_number)))
    told = json.loads(fellowship("status", run, "--json").stdout)
    assert set(told["spend"]["role"]) == roles
    replayed = fellowship("replay", run, "--json")
    assert replayed.exit_code == 0, replayed.stderr
    exported = fellowship("export", run, "--format", "dpo", "--to", to)
    assert exported.exit_code == 0, exported.output
    pairs = [json.loads(line) for line in (to / "generation-dpo" / "train.jsonl").read_text().splitlines()]
    assert pairs
    assert all(f"| `{role}` |" in (to / "README.md").read_text() for role in roles)


def _by_number(call: ModelCall) -> str:
    """Say what differs by which of several it is: the third is outvoted, and scored lowest."""
    number = call.settings.sample
    if call.answer is None:
        return f"This is text {number}."
    said = json.loads(speak(call))
    if "answer" in said:
        said["answer"] = "41" if number == 3 else "42"
    shown = re.search(r"This is text (\d)", call.messages[-1].content)
    return json.dumps({**said, "score": 5 - int(shown[1])} if shown else said)

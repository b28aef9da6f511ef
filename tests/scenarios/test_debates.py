"""Debates of a run: from its log to opinions, and what the report says of them."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from playing import fellowship, items, library

from fellowship.protocols.debate import ArgumentMade, MakeArgument
from fellowship.protocols.generation import DraftWritten
from fellowship.protocols.identity import CONDUCTOR, ConversationId, ItemId
from fellowship.protocols.items import HumanVote, Item
from fellowship.protocols.judging import Judging, Verdict
from fellowship.protocols.jury import CastVote, VoteCast
from fellowship.protocols.lifecycle import (
    BranchesOpened,
    Failure,
    HearingChanged,
    ItemFailed,
    ItemFinished,
    ItemOpened,
    OutcomeSetAside,
)
from fellowship.protocols.messages import Message
from fellowship.protocols.models import ModelCall
from fellowship.protocols.solving import GiveAnswer
from fellowship.runtime.log import LogReader, open_log
from fellowship.runtime.testing import ScriptedModel
from fellowship.scenarios import Settings, load, plan, play
from fellowship.scenarios.debates import debates_in, debates_of
from fellowship.scenarios.measures.opinions import Debate, Opinion

AGENTS = ("ann", "bob", "cat")
ROUNDS = """
scenario: rounds
about: Three argue in three rounds, and vote in each.
takes: comparison
models: {judge: acme/m}
agents:
  ann: {role: debater, model: judge, instructions: Your name is ann.}
  bob: {role: debater, model: judge, instructions: Your name is bob.}
  cat: {role: debater, model: judge, instructions: Your name is cat.}
flow:
  - repeat: 3
    do:
      - {ask: [ann, bob, cat], for: argument, order: in-turn, hears: everyone}
      - {ask: [ann, bob, cat], for: ballot, order: together}
  - {decide: unique-mode}
gives: verdict
"""
HELD = {
    0: {"ann": "aaa", "bob": "aaa", "cat": "baa"},
    1: {"ann": "bbb", "bob": "abb", "cat": "aab"},
    2: {"ann": "aba", "bob": "bab", "cat": "bbb"},
}
"""What everybody holds of each item in each round."""
TRUTH: dict[int, Verdict] = {0: "a", 1: "b", 2: "a"}
SCORES = {"a": (8, 4), "b": (4, 8)}


class Speaking:
    """A model that argues, and votes as it is told in `HELD`."""

    def __init__(self) -> None:
        self._voted: Counter[tuple[int, str]] = Counter()

    def __call__(self, call: ModelCall) -> str:
        said = " ".join(message.content for message in call.messages)
        name, question = re.search(r"Your name is (\w+)", said), re.search(r"Question (\d+)\?", said)
        assert name is not None
        assert question is not None
        number, agent = int(question[1]), name[1]
        if call.answer is None:
            return f"I, {agent}, say of number {number} that this is so."
        wave = self._voted[number, agent]
        self._voted[number, agent] += 1
        scores = iter(SCORES[HELD[number][agent][wave]])
        fields = call.answer.schema["properties"]
        return json.dumps(
            {key: next(scores) if part["type"] in ("number", "integer") else "because" for key, part in fields.items()}
        )


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of three rounds with ballots in each."""
    folder = tmp_path_factory.mktemp("rounds")
    (folder / "rounds.yaml").write_text(ROUNDS)
    scenario, source = load(str(folder / "rounds.yaml"))
    about = [
        item.model_copy(update={"human": (HumanVote(rater="p", verdict=TRUTH[number]),)})  # type: ignore[arg-type]
        for number, item in enumerate(items(3))
    ]
    made = plan(scenario, source=source)
    anyio.run(partial(play, made, about, folder / "run", Settings(client=ScriptedModel(Speaking()))))
    return folder / "run"


@pytest.fixture(scope="module")
def told(played: Path) -> dict[str, Any]:
    result = fellowship("report", played, "--json", "--html", played.parent / "r.html")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout, parse_constant=pytest.fail)
    return found


def test_the_log_says_what_everybody_held_in_each_wave_and_whom_it_had_heard(played: Path) -> None:
    with LogReader(played / "run.db") as log:
        found = {each.item: each for each in debates_in(log) if isinstance(each, Debate)}
    assert set(found) == {"i0", "i1", "i2"}
    for number, by_agent in HELD.items():
        one = found[f"i{number}"]
        assert [[(said.agent, said.verdict) for said in wave] for wave in one.waves] == [
            [(agent, by_agent[agent][wave]) for agent in AGENTS] for wave in range(3)
        ]
        for wave in range(3):
            for said in one.waves[wave]:
                others = {agent for agent in AGENTS if agent != said.agent}
                assert dict(said.heard) == {
                    other: by_agent[other][wave - 1] if wave else None for other in others
                }  # the votes of one wave are heard before the next, never within it
        assert one.truth == TRUTH[number]
        assert [len(texts) for texts in one.said] == [3, 3, 3]
    assert found["i0"].waves[0][0].scores == (8, 4)


def test_the_report_has_the_known_figures_of_three_debates(told: dict[str, Any]) -> None:
    (way,) = told["debates"]["ways"]
    assert (way["sort"], way["items"], way["waves"], way["agents"]) == ("ballot", 3, 3, list(AGENTS))
    changed = way["swayed"]["by_wave"]
    assert changed["2"]["share"]["value"] == pytest.approx(4 / 9)
    assert changed["3"]["share"]["value"] == pytest.approx(3 / 9)
    agreement = [way["converged"]["waves"][wave]["agreement"]["value"] for wave in "123"]
    assert agreement == pytest.approx([1 / 3, (1 + 1 / 3 + 1 / 3) / 3, (1 + 1 + 1 / 3) / 3])
    whole = way["recovered"]["plurality"]
    # item 0 is right throughout; item 1 is rescued; item 2 is wrong throughout
    assert (whole["both"], whole["rescued"], whole["lost"], whole["neither"]) == (1, 1, 0, 1)
    assert way["recovered"]["rescued"] == ["i1"]
    conformity = way["swayed"]["conformity"]["capitulated"]
    # in the minority: of item 0 cat, of item 1 ann, who stays as she is, and then cat, of item 2 ann and then bob
    assert (conformity["value"], conformity["n"]) == (pytest.approx(4 / 5), 5)
    assert way["converged"]["consensus"]["reached"] == {"2": 1, "3": 1}


def test_the_terminal_and_the_page_show_debates_with_a_plot(played: Path, told: dict[str, Any]) -> None:
    del told
    shown = fellowship("report", played).stdout
    assert "ballot 3" in shown
    assert "Right before and after" in shown
    assert "Rescued: i1." in shown
    page = (played.parent / "r.html").read_text()
    section = page[page.index('<section id="debates"') :]
    section = section[: section.index("</section>")]
    assert "Who moved whom" in section
    assert section.count("<svg") == 1
    assert "Agreement and accuracy, wave by wave" in section


def test_the_librarys_debate_has_one_wave_and_the_report_says_how_to_have_more(tmp_path: Path) -> None:
    anyio.run(partial(play, library("debate"), items(2), tmp_path / "r", Settings(client=ScriptedModel())))
    told = json.loads(fellowship("report", tmp_path / "r", "--json").stdout)
    (way,) = told["debates"]["ways"]
    assert (way["waves"], way["swayed"]) == (1, None)
    assert way["converged"]["waves"]["1"]["agreement"]["value"] == 1.0
    shown = " ".join(fellowship("report", tmp_path / "r").stdout.split())
    assert "there is nothing to compare" in shown
    assert "Ask for ballots, or answers, in each round" in shown


def test_a_jury_that_never_talks_has_no_section_on_debates(tmp_path: Path) -> None:
    anyio.run(partial(play, library("jury"), items(2), tmp_path / "r", Settings(client=ScriptedModel())))
    assert json.loads(fellowship("report", tmp_path / "r", "--json").stdout)["debates"] is None


def test_a_judge_alone_who_rules_after_each_round_of_others_has_changes_and_no_agreement(tmp_path: Path) -> None:
    flow = """
flow:
  - repeat: 2
    do:
      - {ask: [pro, con], for: argument, order: in-turn, hears: everyone}
      - {ask: judge, for: ballot, hears: everyone}
  - {decide: unique-mode}
gives: verdict
"""
    agents = "agents: {pro: {role: debater}, con: {role: debater}, judge: {role: debater}}"
    (tmp_path / "s.yaml").write_text(f"scenario: s\ntakes: comparison\nmodels: {{m: acme/m}}\n{agents}{flow}")
    scenario, source = load(str(tmp_path / "s.yaml"))
    made = plan(scenario, source=source)
    anyio.run(partial(play, made, items(2), tmp_path / "r", Settings(client=ScriptedModel())))
    result = fellowship("report", tmp_path / "r", "--json", "--html", tmp_path / "r.html")
    assert result.exit_code == 0, result.stderr
    (way,) = json.loads(result.stdout)["debates"]["ways"]
    assert (way["agents"], way["waves"], way["recovered"]) == (["judge"], 2, None)
    assert way["converged"]["waves"]["2"]["agreement"] is None
    assert (way["swayed"]["changed"]["share"]["value"], way["swayed"]["changed"]["share"]["n"]) == (0.0, 2)
    assert "truth not known" in (tmp_path / "r.html").read_text()


def test_a_meta_judges_vote_is_in_no_wave_of_those_whom_it_judges(tmp_path: Path) -> None:
    text = ROUNDS.replace("flow:", "  chair: {role: judge, model: judge}\nflow:")
    text = text.replace("- {decide: unique-mode}", "- {decide: meta-judge, by: chair}")
    (tmp_path / "s.yaml").write_text(text)
    scenario, source = load(str(tmp_path / "s.yaml"))
    made = plan(scenario, source=source)
    anyio.run(partial(play, made, items(2), tmp_path / "r", Settings(client=ScriptedModel())))
    (way,) = json.loads(fellowship("report", tmp_path / "r", "--json").stdout)["debates"]["ways"]
    assert (way["agents"], way["waves"], way["beside"]) == (list(AGENTS), 3, 2)


# Logs by hand: what cannot be played as it is wanted.

TALK = ConversationId("i~1")


@dataclass(frozen=True)
class Says:
    """An entry of a log."""

    sender: str
    message: Message
    cause: int | None = None
    to: tuple[str, ...] = ()


def vote(agent: str, verdict: Verdict, cause: int, to: Sequence[str] = ()) -> Says:
    return Says(agent, VoteCast(round=1, judging=Judging(), ballots=(), verdict=verdict), cause, tuple(to))


def ask(agent: str, step: str = "0", number: int = 1) -> Says:
    return Says(CONDUCTOR, CastVote(judging=Judging(), orders=("ab",), step=step, round=number), 1, (agent,))


def opened(**more: Any) -> Says:
    return Says(CONDUCTOR, ItemOpened(number=0, item=items(1)[0].model_copy(update=more)))


FINISHED = Says(CONDUCTOR, ItemFinished(number=0, verdict="a"))
HEARS = {"ask": ["x", "y"], "for": "ballot", "hears": ["everyone"]}


def log_of(path: Path, flow: Iterable[dict[str, Any]], *said: Says, **scenario: Any) -> Path:
    """Write a log; the first of `said` is event 1."""

    async def write() -> None:
        async with open_log(path / "run.db") as log:
            record = {"scenario": {"flow": list(flow), "gives": "verdict", **scenario}, "models": {}}
            log.note(played=orjson.dumps(record).decode())
            for each in said:
                log.append(each.message, sender=each.sender, conversation=TALK, cause=each.cause, recipients=each.to)

    anyio.run(write)
    return path / "run.db"


def found(path: Path) -> list[Debate | str]:
    with LogReader(path) as log:
        return list(debates_in(log, lambda answer, how, choices: answer.strip().lower()))


def only(path: Path) -> Debate:
    (one,) = found(path)
    assert isinstance(one, Debate)
    return one


def heard(opinion: Opinion) -> dict[str, str | None]:
    return dict(opinion.heard)


def test_votes_in_turn_are_heard_within_the_wave(tmp_path: Path) -> None:
    said = (opened(), ask("x"), vote("x", "a", 2, "y"), ask("y"), vote("y", "b", 4, "x"), FINISHED)
    x, y = only(log_of(tmp_path, [HEARS], *said)).waves[0]
    assert heard(x) == {}
    assert heard(y) == {"x": "a"}


def test_votes_in_turn_of_a_blind_step_are_heard_only_when_it_is_over(tmp_path: Path) -> None:
    again = (ask("x", number=2), vote("x", "b", 6, "y"), ask("y", number=2), vote("y", "b", 8, "x"))
    said = (opened(), ask("x"), vote("x", "a", 2, "y"), ask("y"), vote("y", "b", 4, "x"), *again, FINISHED)
    first, second = only(log_of(tmp_path, [{**HEARS, "order": "in-turn", "blind": True}], *said)).waves
    assert [heard(opinion) for opinion in first] == [{}, {}]
    assert [heard(opinion) for opinion in second] == [{"y": "b"}, {"x": "a"}]


def test_who_begins_to_listen_late_has_heard_what_it_was_caught_up_with(tmp_path: Path) -> None:
    change = Says(CONDUCTOR, HearingChanged(agent="y", hears=("x",), caught_up=(3,)), 1)
    said = (opened(), ask("x"), vote("x", "tie", 2), change, ask("y", "1"), vote("y", "b", 5), FINISHED)
    (wave,) = only(log_of(tmp_path, [HEARS], *said)).waves
    assert [heard(opinion) for opinion in wave] == [{}, {"x": "tie"}]


def test_an_argument_tells_what_its_speaker_then_held(tmp_path: Path) -> None:
    argue = Says(CONDUCTOR, MakeArgument(step="1"), 1, ("x",))
    argument = Says("x", ArgumentMade(round=1, text="so"), 4, ("y",))
    said = (opened(), ask("x"), vote("x", "a", 2), argue, argument, ask("y", "2"), vote("y", "b", 6), FINISHED)
    one = only(log_of(tmp_path, [HEARS], *said))
    assert heard(one.waves[0][1]) == {"x": "a"}
    assert one.said == (("so",),)


def test_a_chair_that_votes_once_over_the_others_votes_stands_beside_their_wave(tmp_path: Path) -> None:
    votes = (vote("x", "a", 2, ["chair"]), vote("y", "b", 3, ["chair"]))
    chair = (ask("chair", "1"), vote("chair", "b", 6))
    one = only(log_of(tmp_path, [HEARS], opened(), ask("x"), ask("y"), *votes, *chair, FINISHED))
    assert [[opinion.agent for opinion in wave] for wave in one.waves] == [["x", "y"]]
    assert one.beside == 1


def test_a_juror_that_is_asked_later_and_has_heard_nobody_is_in_the_same_wave(tmp_path: Path) -> None:
    votes = (vote("x", "a", 2), vote("y", "b", 3))
    one = only(
        log_of(tmp_path, [HEARS], opened(), ask("x"), ask("y"), *votes, ask("z", "1"), vote("z", "a", 6), FINISHED)
    )
    assert [[opinion.agent for opinion in wave] for wave in one.waves] == [["x", "y", "z"]]


def test_votes_inside_an_each_are_of_different_things_and_are_in_no_wave(tmp_path: Path) -> None:
    parts = Says(CONDUCTOR, BranchesOpened(step="0", round=1, each="criterion", values=("short", "true")), 1)
    inside = (ask("x", "0.0"), vote("x", "a", 3), ask("x", "0.0"), vote("x", "b", 5))
    one = only(log_of(tmp_path, [HEARS], opened(), parts, *inside, ask("x", "1"), vote("x", "a", 7), FINISHED))
    assert [[opinion.verdict for opinion in wave] for wave in one.waves] == [["a"]]
    assert one.of_parts == 2


def test_an_outcome_that_was_set_aside_does_not_count_and_a_failed_item_is_told(tmp_path: Path) -> None:
    failed = Says(CONDUCTOR, ItemFailed(number=0, cause=Failure(error="Overloaded", reason="on fire")))
    said = (opened(), ask("x"), vote("x", "a", 2), failed)
    assert found(log_of(tmp_path, [HEARS], *said)) == [""]
    aside = Says(CONDUCTOR, OutcomeSetAside(outcome=4, reason="retried"))
    (tmp_path / "again").mkdir()
    one = only(log_of(tmp_path / "again", [HEARS], *said, aside, ask("x", number=2), vote("x", "b", 6), FINISHED))
    assert [[opinion.verdict for opinion in wave] for wave in one.waves] == [["a"], ["b"]]


def test_answers_are_told_apart_by_their_key_and_held_against_the_known_one(tmp_path: Path) -> None:
    def solution(agent: str, answer: str | None, version: int, cause: int) -> Says:
        draft = DraftWritten(
            round=1, text=f"So: {answer}", version=version, answer=answer, unread=answer is None or None
        )
        return Says(agent, draft, cause, ("x", "y"))

    def solve(agent: str, number: int) -> Says:
        return Says(CONDUCTOR, GiveAnswer(step="0", round=number), 1, (agent,))

    first = (solve("x", 1), solve("y", 1), solution("x", "Paris", 1, 2), solution("y", "Rome", 1, 3))
    second = (solve("x", 2), solve("y", 2), solution("x", "paris ", 2, 6), solution("y", None, 2, 7))
    question = Item(id=ItemId("q"), prompt="Capital?", reference="Paris")
    asked = Says(CONDUCTOR, ItemOpened(number=0, item=question))
    path = log_of(tmp_path, [{**HEARS, "for": "answer"}], asked, *first, *second, FINISHED, gives="answer")
    one = only(path)
    assert (one.sort, one.truth, one.possible) == ("answer", "paris", None)
    assert [[opinion.verdict for opinion in wave] for wave in one.waves] == [["paris", "rome"], ["paris", None]]
    assert one.said == (("So: Paris", "So: Rome"), ("So: paris ", "So: None"))
    with LogReader(path) as log:
        debates = debates_of(log, lambda answer, how, choices: answer.strip().lower())
    assert debates is not None
    recovered = debates.ways[0].recovered
    assert recovered is not None
    assert recovered.rescued == ("q",)


def test_choices_are_values_that_agreement_can_be_held_against_chance_of(tmp_path: Path) -> None:
    choices = ("Paris", "Rome", "Oslo")

    def letter(answer: str, how: object, known: Sequence[str]) -> str | None:
        del how
        return "ABC"[known.index(answer)] if answer in known else None

    def solution(agent: str, answer: str, cause: int) -> Says:
        return Says(agent, DraftWritten(round=1, text=answer, version=1, answer=answer), cause, ("x", "y"))

    asked = (Says(CONDUCTOR, GiveAnswer(step="0", round=number), 1, (name,)) for number, name in ((1, "x"), (2, "y")))
    first, second = asked
    question = Item(id=ItemId("q"), prompt="Capital?", reference="Paris", choices=choices)
    said = (Says(CONDUCTOR, ItemOpened(number=0, item=question)), first, solution("x", "Rome", 2), second)
    path = log_of(tmp_path, [{**HEARS, "for": "answer"}], *said, solution("y", "Bonn", 4), FINISHED, answers="choice")
    with LogReader(path) as log:
        (one,) = debates_in(log, letter)
        debates = debates_of(log, letter)
    assert isinstance(one, Debate)
    assert (one.truth, one.possible, one.values) == ("A", 3, ("A", "B", "C"))
    assert [[opinion.verdict for opinion in wave] for wave in one.waves] == [["B", None]]
    assert debates is not None
    assert debates.ways[0].converged.waves[1].unread == 1

"""Runs that give answers: what results, status, transcripts and reports say of them."""

import json
from functools import partial
from pathlib import Path

import anyio
import pytest
from logs import written
from playing import fellowship, results
from scipy.stats import binomtest
from solving import ALONE, SOCIETY, Talk, answers, questions, society, solver
from statsmodels.stats.proportion import proportion_confint

from fellowship.protocols.debate import ArgumentMade
from fellowship.protocols.errors import Overloaded
from fellowship.protocols.generation import DraftWritten
from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Item
from fellowship.protocols.lifecycle import (
    AgentsExcused,
    BranchesOpened,
    BranchTaken,
    ConditionMet,
    DecisionMade,
    ItemFinished,
    ItemOpened,
)
from fellowship.protocols.models import ModelCall
from fellowship.protocols.moderation import ApprovalGiven, CriteriaProposed, QuestionAsked, SummaryWritten
from fellowship.runtime.log import LogReader
from fellowship.runtime.testing import ScriptedModel
from fellowship.scenarios import Settings, load, play
from fellowship.scenarios.again import retry
from fellowship.scenarios.report.page import page
from fellowship.scenarios.report.report import report_of
from fellowship.scenarios.solutions import answers_of
from fellowship.scenarios.spec import Sweep
from fellowship.scenarios.sweep import sweep

KNOWN = ("5", "5.0", "1,000", "4", "4", "4", "4", None)
TALKS: dict[int, Talk] = {
    0: (("4", "4", "5"), ("4", "5", "5")),  # rescued
    1: (("5", "5", "4"), ("4", "4", "5")),  # lost
    2: (("1000", "1000", "7"), ("1000", "1000", "1000")),  # right throughout
    3: (("1", "2", "3"), ("1", "2", "3")),  # split throughout
    4: (("hm", "hm", "4"), ("4", "4", "4")),  # right throughout: one could be read
    5: (("hm", "hm", "hm"), ("hm", "hm", "hm")),  # unread throughout
    6: (("9", "9", "4"), ("9", "9", "four")),  # wrong throughout; in words it is no number
    7: (("1", "1", "1"), ("1", "1", "1")),  # nobody knows
}
RIGHT = {"before": 3, "after": 3}
"""Of the seven that are known: 1, 2 and 4; 0, 2 and 4."""
PAIR = """\
scenario: compared
takes: question
models: {one: acme/one, two: acme/two, three: acme/three}
sweep:
  - play: society.yaml
  - play: alone.yaml
gives: answer
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of the talks."""
    out = tmp_path_factory.mktemp("answers") / "run"
    anyio.run(partial(play, society(), questions(KNOWN), out, Settings(client=solver(TALKS))))
    return out


def reported(run: Path) -> dict[str, object]:
    done = fellowship("report", run, "--json")
    assert done.exit_code == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_results_have_the_answer_and_whether_it_is_right(run: Path) -> None:
    found = {line["item"]: (line.get("answer"), line.get("correct")) for line in results(run)}
    assert found == {
        "q0": ("5", True), "q1": ("4", False), "q2": ("1000", True), "q3": (None, False), "q4": ("4", True),
        "q5": (None, False), "q6": ("9", False), "q7": ("1", None),
    }  # fmt: skip


def test_the_summary_of_a_run_tells_accuracy_with_its_interval_and_split_and_unread_apart(run: Path) -> None:
    status = json.loads(fellowship("status", run, "--json").stdout)["answers"]
    low, high = proportion_confint(3, 7, method="wilson")
    assert status == {
        "known": 7, "unknown": 1, "correct": 3, "accuracy": pytest.approx(3 / 7),
        "accuracy_ci": [pytest.approx(low), pytest.approx(high)], "split": 1, "unread": 1,
    }  # fmt: skip
    shown = " ".join(fellowship("status", run).stdout.split())
    told = f"3 of 7 correct: 42.9 %, 95 % [{100 * low:.1f}, {100 * high:.1f}], Wilson; 1 split; 1 unread; 1 whose"
    assert told in shown


def test_a_report_counts_decisions_and_each_agents_first_and_last_answers(run: Path) -> None:
    (way,) = reported(run)["answers"]["ways"]  # type: ignore[index]
    assert (way["items"], way["unknown"], way["split"], way["unread"], way["failed"]) == (8, 1, 1, 1, 0)
    assert (way["decision"]["correct"], way["decision"]["n"]) == (RIGHT["after"], 7)
    firsts = {agent: each["first"]["correct"] for agent, each in way["agents"].items()}
    lasts = {agent: each["last"]["correct"] for agent, each in way["agents"].items()}
    assert firsts == {"one": 2, "two": 2, "three": 3}
    assert lasts == {"one": 2, "two": 3, "three": 4}
    assert [(each["first_unread"], each["last_unread"]) for each in way["agents"].values()] == [(2, 1), (2, 1), (1, 2)]
    low, high = proportion_confint(2, 7, method="wilson")
    assert way["agents"]["one"]["first"]["accuracy_ci"] == pytest.approx([low, high])


def test_a_report_sets_the_first_answers_against_the_decision(run: Path) -> None:
    (way,) = reported(run)["answers"]["ways"]  # type: ignore[index]
    change = way["change"]
    assert (change["before"]["correct"], change["after"]["correct"], change["before"]["n"]) == (3, 3, 7)
    assert (change["rescued"], change["lost"]) == (1, 1)
    assert change["test"]["p"] == pytest.approx(binomtest(1, 2).pvalue)
    assert change["test"]["difference"] == 0


def test_a_report_counts_the_calls_and_tokens_of_the_results(run: Path) -> None:
    (way,) = reported(run)["answers"]["ways"]  # type: ignore[index]
    lines = results(run)
    assert way["calls"]["value"] == pytest.approx(sum(line["calls"] for line in lines) / 8)
    assert way["tokens"]["value"] == pytest.approx(sum(line["tokens"] for line in lines) / 8)
    assert way["calls"]["ci"][0] < way["calls"]["value"] < way["calls"]["ci"][1]


def test_the_terminal_markdown_and_the_page_show_the_same_tables(run: Path) -> None:
    shown = fellowship("report", run).stdout
    text = fellowship("report", run, "--markdown", "-").stdout
    html = page(report_of(run))
    for title in ("Answers", "Before and after", "Agents: first answers and last"):
        assert title in shown
        assert title in text
        assert title in html
    assert "No figures of raters" not in shown
    assert "society: without a known answer, in no share: 1." in html


def test_a_transcript_shows_known_answer_solutions_and_whether_the_decision_is_right(run: Path) -> None:
    lines = [" ".join(line.split()) for line in fellowship("trace", run, "q0").stdout.splitlines()]
    assert "known answer (no model is shown it)" in lines
    assert sum("one writes solution 1, answer 4 → two, three" in line for line in lines) == 1
    assert any(line.endswith("Decision by unique-mode: 5 (3 votes), which is right") for line in lines)
    assert any(line.endswith("Outcome: 5, which is right") for line in lines)
    wrong = fellowship("trace", run, "q1").stdout
    assert "Decision by unique-mode: 4 (3 votes), which is wrong" in wrong
    nobody = fellowship("trace", run, "q5").stdout
    assert "writes solution 1: no answer could be read" in nobody
    assert "Outcome: no answer, which is wrong" in nobody


async def test_what_was_tried_again_counts_once(tmp_path: Path, run: Path) -> None:
    says, broken = answers(TALKS), [True]

    def failing(call: ModelCall) -> str | Overloaded:
        said = " ".join(message.content for message in call.messages)
        if broken[0] and call.settings.model == "acme/two" and "Question 0?" in said and "I say" in said:
            return Overloaded("on fire")
        return says(call)

    out = tmp_path / "run"
    await play(society(), questions(KNOWN), out, Settings(client=ScriptedModel(failing)))
    with LogReader(out / "run.db") as log:
        before = answers_of(log)
    broken[0] = False
    await retry(out, Settings(client=ScriptedModel(failing)))
    with LogReader(out / "run.db") as log, LogReader(run / "run.db") as whole:
        after, undisturbed = answers_of(log), answers_of(whole)
    assert before is not None
    assert after is not None
    assert undisturbed is not None
    assert (before.ways[0].failed, before.ways[0].items, before.ways[0].decision.correct) == (1, 7, 2)
    same = {"calls": None, "tokens": None}
    assert after.ways[0].model_copy(update=same) == undisturbed.ways[0].model_copy(update=same)


def test_a_sweep_shows_a_row_each_and_accuracy_against_calls(tmp_path: Path) -> None:
    (tmp_path / "society.yaml").write_text(SOCIETY)
    (tmp_path / "alone.yaml").write_text(ALONE)
    (tmp_path / "compared.yaml").write_text(PAIR)
    declared, source = load(str(tmp_path / "compared.yaml"))
    assert isinstance(declared, Sweep)
    made = sweep(declared, source=source)
    out = tmp_path / "run"
    anyio.run(partial(play, made, questions(KNOWN), out, Settings(client=solver(TALKS))))
    whole, alone = reported(out)["answers"]["ways"]  # type: ignore[index]
    assert [way["name"] for way in (whole, alone)] == ["society", "alone"]
    assert (whole["decision"]["correct"], alone["decision"]["correct"]) == (3, 3)
    assert whole["change"]["test"]["p_holm"] == whole["change"]["test"]["p"]
    assert alone["change"] is None  # nobody is asked again
    assert (whole["frontier"], alone["frontier"]) == (False, True)  # as right, for half the calls
    assert alone["calls"]["value"] < whole["calls"]["value"]
    html = page(report_of(out))
    assert "Accuracy against calls" in html
    assert html.count("<svg") >= 1
    shown = fellowship("report", out).stdout
    assert "best *" in shown
    assert "(8 in 2 ways)" in shown


def test_a_run_without_an_outcome_or_a_known_answer_says_so(tmp_path: Path) -> None:
    anyio.run(partial(play, society(), questions([None]), tmp_path / "run", Settings(client=solver({0: TALKS[7]}))))
    done = fellowship("report", tmp_path / "run")
    assert "No accuracy: no question has a known answer." in done.stderr
    assert fellowship("status", tmp_path / "run").stdout.count("no question has a known answer yet; 1 whose") == 1
    anyio.run(partial(play, society(), [], tmp_path / "empty", Settings(client=solver({}))))
    assert "No accuracy: no item has an outcome yet." in fellowship("report", tmp_path / "empty").stderr


def test_known_answers_are_proven_and_missing_ones_told_before_anything_is_spent(tmp_path: Path) -> None:
    (tmp_path / "society.yaml").write_text(SOCIETY)
    data = tmp_path / "d.jsonl"
    data.write_text('{"prompt": "Question 0?", "answer": "five"}\n')
    command = ("run", tmp_path / "society.yaml", "--data", data, "--out", tmp_path / "run")
    done = fellowship(*command)
    assert done.exit_code == 2
    assert "d.jsonl:1: the known answer 'five' is not one number" in done.stderr
    data.write_text('{"prompt": "Question 0?", "answer": 5}\n{"prompt": "Question 1?"}\n')
    (tmp_path / "none.jsonl").write_text("")
    done = fellowship(*command, "--cassette", tmp_path / "none.jsonl")
    assert "1 of 2 questions have no known answer: they are neither right nor wrong" in done.stderr


async def test_what_moderators_say_and_where_the_flow_goes_are_lines_of_a_transcript(tmp_path: Path) -> None:
    talk = "q~1"
    item = Item(id=ItemId("q"), prompt="Which?", reference="x", choices=("x", "y"))
    said = [
        ("conductor", ItemOpened(number=0, item=item)),
        ("conductor", BranchesOpened(step="0", round=1, each="part", values=("first", "second"), left_out=3)),
        ("conductor", AgentsExcused(step="1", round=1, agents=("one", "two"), reason="exclude: family")),
        ("moderator", SummaryWritten(round=1, text="In short.", replaces=True)),
        ("moderator", ApprovalGiven(round=1, reason="Not yet.", approved=False)),
        ("moderator", ApprovalGiven(round=1, reason="Mumbled.", approved=None)),
        ("moderator", CriteriaProposed(round=1, criteria=("brevity", "truth"))),
        ("moderator", QuestionAsked(round=1, text="Why so?", cut_off=True)),
        ("one", DraftWritten(round=1, text="Because. Answer: x", version=1, answer="x", confidence=0.85)),
        ("two", ArgumentMade(round=1, text="Indeed.")),
        ("conductor", ConditionMet(round=2, until="consensus", branch="first")),
        ("conductor", BranchTaken(step="2", round=1, when="disagreement", holds=False, branch="second")),
        ("conductor", DecisionMade(rule="majority", version=1, verdict="tie", votes=3, unread=1, answer="x")),
        ("conductor", ItemFinished(number=0, answer="x", correct=True)),
    ]
    await written(tmp_path / "run.db", [(talk, who, message) for who, message in said])  # type: ignore[misc]
    done = fellowship("trace", tmp_path, "q")
    assert done.exit_code == 0, done.stderr
    shown = " ".join(done.stdout.split())
    for line in (
        "choices A. x B. y known answer (no model is shown it) x",
        "For each part: first | second; 3 more are left out",
        "Not asked, by exclude: family: one, two",
        "moderator sums up, in place of what was said before",
        "moderator does not approve",
        "Not yet.",
        "moderator rules: unread, which is no approval",
        "Mumbled.",
        "moderator proposes 2 criteria",
        "- brevity - truth",
        "moderator asks, cut off at the token limit",
        "Why so?",
        "one writes solution 1, answer x, 85 % sure",
        "two argues",
        "Enough after round 2 in branch first: consensus",
        "disagreement: no (branch second)",
        "Decision by majority: x (3 votes, 1 unread), which is right",
        "Outcome: x, which is right",
    ):
        assert line in shown

"""What scenarios written from papers, by people who had the docs alone, wanted to say."""

import json
from pathlib import Path
from typing import Any

import pytest
from playing import fellowship

from fellowship.protocols.aggregation import RULES
from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.topology import neighbours
from fellowship.scenarios.rehearsal import rehearse

TOURNAMENT = """
scenario: tournament
takes: instruction
models: {m: openai/gpt-4o, j: anthropic/claude}
agents:
  writer: {role: generator, count: 3, model: m}
  judge: {role: judge, model: j}
  critic: {role: reviewer, model: j}
  reviser: {role: generator, model: j}
flow:
  - {ask: writer, for: draft}
  - {pick: knock-out, by: judge}
  - {ask: critic, for: feedback, hears: writer, on: picked}
  - {ask: writer, for: draft, hears: critic, assign: picked}
  - {ask: reviser, for: draft, hears: [writer, critic], on: picked}
  - {pick: last, among: writer}
gives: draft
"""
MOOT = """
scenario: moot
takes: comparison
judging: {orders: ab}
models: {m: openai/gpt-4o}
agents:
  juror: {role: debater, count: 3}
  foreman: {role: moderator}
flow:
  - {ask: juror, for: ballot, secret: true}
  - when: disagreement
    do:
      - {ask: juror, for: argument, hears: juror, order: in-turn}
      - {ask: juror, for: ballot, secret: true}
  - {decide: majority}
  - {ask: foreman, for: summary, hears: juror, instructions: "The jury found: $decision. Write its reasons."}
gives: verdict
"""
PAIR = {"prompt": "Q", "a": "one", "b": "other"}


def vote(reason: str, a: float, b: float) -> dict[str, Any]:
    return {"reason": reason, "score_a": a, "score_b": b}


async def test_the_winner_alone_is_reviewed_and_revised() -> None:
    always_second = {"judge": lambda _: json.dumps(vote("so", 3, 8))}  # in both orders: a tie, so that the first stays
    played = await rehearse(TOURNAMENT, item={"prompt": "Write."}, answers=always_second)
    assert [(agent, word) for agent, word, _ in played.sequence if word in ("draft", "feedback")] == [
        ("writer-1", "draft"),
        ("writer-2", "draft"),
        ("writer-3", "draft"),
        ("critic", "feedback"),
        ("writer-1", "draft"),
        ("reviser", "draft"),
    ]
    assert played.text == "draft 2 of writer-1"
    critic, reviser = (played.prompts(name)[-1][-1].content for name in ("critic", "reviser"))
    assert "draft 1 of writer-1" in critic
    assert "writer-2" not in critic
    assert all(words in reviser for words in ("draft 1 of writer-1", "feedback 1 of critic"))
    assert "writer-2" not in reviser


@pytest.mark.parametrize(
    "step", ["{ask: critic, for: feedback, hears: writer, on: picked}", "{ask: writer, for: draft, assign: picked}"]
)
async def test_what_is_picked_must_have_been_picked_before(step: str) -> None:
    text = TOURNAMENT.replace("  - {pick: knock-out, by: judge}\n", "").replace(
        "{ask: critic, for: feedback, hears: writer, on: picked}", step
    )
    with pytest.raises(DeclarationError, match="picked needs a `pick` before this step"):
        await rehearse(text, item={"prompt": "Write."})


async def test_secret_votes_are_told_to_nobody_then_or_later_and_the_foreman_knows_what_was_decided() -> None:
    split = {
        "juror-1": [vote("SECRET", 9, 1), "first", vote("SECRET", 9, 1)],
        "juror-2": [vote("SECRET", 1, 9), "second", vote("SECRET", 9, 1)],
    }
    played = await rehearse(MOOT, item=PAIR, answers=split)
    assert played.verdict == "a"
    assert [(agent, heard) for agent, word, heard in played.sequence if word == "argument"] == [
        ("juror-1", ()),
        ("juror-2", ("juror-1",)),
        ("juror-3", ("juror-1", "juror-2")),
    ]
    others = str([played.prompts(name) for name in ("juror-3", "foreman")])
    assert "SECRET" not in others
    assert "first" in others
    assert "The jury found: answer A is better. Write its reasons." in played.prompts("foreman")[-1][-1].content


async def test_what_was_decided_is_told_in_the_order_that_the_discussion_was_shown() -> None:
    united = {f"juror-{number}": vote("so", 9, 1) for number in (1, 2, 3)}  # of what is shown first
    played = await rehearse(MOOT.replace("orders: ab", "orders: ba"), item=PAIR, answers=united)
    assert played.verdict == "b"
    assert "The jury found: answer A is better." in played.prompts("foreman")[-1][-1].content


async def test_a_decision_is_in_a_steps_words_only_after_one() -> None:
    first, last, end = (MOOT.index(part) for part in ("  - {decide", "  - {ask: foreman", "gives:"))
    moved = MOOT[:first] + MOOT[last:end] + MOOT[first:last] + MOOT[end:]
    with pytest.raises(DeclarationError, match="decision is filled by nobody"):
        await rehearse(moved, item=PAIR)


def test_in_a_relay_each_hears_the_one_before_it() -> None:
    import random

    found = neighbours("relay", ("a", "b", "c"), k=None, centre=None, rewired=0.0, dice=random.Random(0))
    assert found == {"a": ("c",), "b": ("a",), "c": ("b",)}
    assert neighbours("relay", ("a",), k=None, centre=None, rewired=0.0, dice=random.Random(0)) == {"a": ()}


def test_scores_of_a_weighted_decision_are_weighted_means() -> None:
    class Vote:
        def __init__(self, verdict: str, a: float, b: float) -> None:
            self.verdict, self.score_a, self.score_b, self.confidence = verdict, a, b, None

    tally = RULES["weighted"].tally([Vote("a", 5.0, 1.0), Vote("b", 1.0, 5.0)], weights=[2, 1])  # type: ignore[list-item]
    assert tally.verdict == "a"
    assert (tally.score_a, tally.score_b) == (pytest.approx(11 / 3), pytest.approx(7 / 3))


async def test_agents_of_a_scenario_in_use_can_be_heard_and_named() -> None:
    text = """
scenario: appeal
takes: comparison
models: {judge: openai/gpt-4o}
agents: {chief: {role: judge, model: judge}}
flow:
  - {use: jury}
  - {decide: meta-judge, by: chief, among: [jury-first, jury-third]}
gives: verdict
"""
    played = await rehearse(text, item=PAIR)
    assert played.sequence[-1] == ("chief", "ballot", ("jury-first", "jury-third"))
    everyone = await rehearse(text.replace(", among: [jury-first, jury-third]", ""), item=PAIR)
    assert everyone.sequence[-1] == ("chief", "ballot", ("jury-first", "jury-second", "jury-third"))


@pytest.mark.parametrize(
    ("condition", "more", "message"),
    [
        ("confidence < 0.6", "", "no ballot or answer says how sure it is: say confidence: true"),
        ("margin < 1", ", strategy: direct", "margin needs scores, and strategy: direct gives none"),
    ],
)
async def test_a_condition_that_no_vote_feeds_is_refused(condition: str, more: str, message: str) -> None:
    text = f"""
scenario: rung
takes: comparison
models: {{m: openai/gpt-4o}}
agents: {{cheap: {{role: judge}}, strong: {{role: judge}}}}
flow:
  - {{ask: cheap, for: ballot{more}}}
  - when: {condition}
    do: [{{ask: strong, for: ballot{more}}}]
  - {{decide: unique-mode}}
gives: verdict
"""
    with pytest.raises(DeclarationError, match=message):
        await rehearse(text, item=PAIR)
    if condition.startswith("confidence"):
        fed = await rehearse(
            text.replace("for: ballot", "for: ballot, confidence: true"),
            item=PAIR,
            answers={"cheap": {**vote("so", 9, 1), "confidence": 0.2}},
        )
        assert [agent for agent, _, _ in fed.sequence] == ["cheap", "strong"]


async def test_no_more_criteria_are_gone_through_than_were_asked_for(tmp_path: Path) -> None:
    text = """
scenario: few
takes: comparison
models: {m: openai/gpt-4o}
agents: {planner: {role: moderator}, judge: {role: judge}}
flow:
  - {ask: planner, for: criteria, most: 3}
  - {each: criterion, of: criteria, order: together, do: [{ask: judge, for: ballot, instructions: $criterion}]}
  - {decide: mean-score}
gives: verdict
"""
    played = await rehearse(text, item=PAIR)
    assert [name for name in played.agents if name.startswith("judge")] == ["judge-1", "judge-2", "judge-3"]


RUBRICS = """
scenario: rubrics
takes: comparison
models: {m: openai/gpt-4o}
agents: {judge: {role: judge}}
flow:
  - {each: rubric, of: data.rubrics, do: [{ask: judge, for: ballot, instructions: $rubric}]}
  - {decide: unique-mode}
gives: verdict
"""


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"rubric": ["clear"]}, "2: there is no column 'rubrics' for data.rubrics; did you mean 'rubric'?"),
        ({"rubrics": "clear"}, "2: data.rubrics is 'clear': a list of texts is wanted"),
        ({"rubrics": [{}]}, "2: data.rubrics holds what is neither text nor a number"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_row_without_the_list_that_an_each_goes_through_is_told_before_anything_is_spent(
    command: str, row: dict[str, Any], message: str, tmp_path: Path
) -> None:
    scenario, data = tmp_path / "rubrics.yaml", tmp_path / "d.jsonl"
    scenario.write_text(RUBRICS)
    data.write_text("".join(json.dumps({**PAIR, **more}) + "\n" for more in ({"rubrics": ["clear", 2]}, row)))
    out = ("--out", tmp_path / "run") if command == "run" else ()
    done = fellowship(command, scenario, "--data", data, *out)
    assert done.exit_code == 2
    assert f"d.jsonl:{message}" in " ".join(done.stderr.split())
    assert not (tmp_path / "run").exists()


def test_a_sweep_finds_what_lies_beside_it_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(MOOT)
    sweep = "{scenario: s, takes: comparison, models: {x: a/x}, sweep: [{play: mine.yaml, over: {models.m: every}}], gives: verdict}"
    Path("sweep.yaml").write_text(sweep)
    done = fellowship("check", "sweep.yaml")
    assert (done.exit_code, done.stderr) == (0, "")

"""Flows that go one way or another: the verb `when`, and disputed items that are debated."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from playing import fellowship, status
from playing import results as rows
from telling import Speaker, apart, kinds, played, said, story

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.models import ModelCall
from fellowship.runtime.testing import as_reply
from fellowship.scenarios import Agent, Ask, Decide, Plan, Scenario, When, plan
from fellowship.scenarios.again import replay
from fellowship.scenarios.loading import set_part, validate
from fellowship.scenarios.source import read

SCORES = {"a": (8, 2), "b": (2, 8), "tie": (5, 5)}
BEFORE = ["aaa", "aab", "bbb", "abt"]
AFTER = ["", "bbb", "", "tta"]


def number(call: ModelCall) -> int:
    return int(call.messages[1].content.split("Question ")[1].split("?")[0])


def opinions(before: list[str], after: list[str]) -> Callable[[ModelCall], str]:
    """Return a script by which three jurors vote `aab`, argue, and vote otherwise, item by item."""

    def script(call: ModelCall) -> str:
        if call.answer is None:
            return f"I am {call.settings.model}."
        argued = sum(message.role == "assistant" for message in call.messages) > 1
        place = ("first", "second", "third").index(call.settings.model.partition("/")[2])
        vote = (after if argued else before)[number(call)][place]
        a, b = SCORES["tie" if vote == "t" else vote]
        return json.dumps({"reason": f"{vote} it is", "score_a": a, "score_b": b})

    return script


GOOD = """\
scenario: s
takes: comparison
models: {m: x/y}
agents:
  one: {role: debater}
  two: {role: debater}
flow:
  - {ask: [one, two], for: ballot}
  - when: disagreement
    do:
      - {ask: [one, two], for: argument, order: in-turn, hears: everyone}
      - {ask: [one, two], for: ballot}
    else:
      - {ask: two, for: summary}
  - {decide: mean-score}
gives: verdict
"""


def planned(text: str) -> Plan:
    source = read(text, "s.yaml")
    return plan(validate(source), source=source)


async def test_only_disputed_items_are_debated_and_votes_after_the_debate_take_the_place_of_those_before(
    tmp_path: Path,
) -> None:
    speaker, out = Speaker(opinions(BEFORE, AFTER)), tmp_path / "run"
    await played(apart("jury-escalating"), 4, out, speaker)
    assert [row["verdict"] for row in rows(out)] == ["a", "b", "b", "tie"]
    assert [row["calls"] for row in rows(out)] == [3, 9, 3, 9]
    assert Counter(map(number, speaker.calls)) == {0: 3, 1: 9, 2: 3, 3: 9}
    assert [(taken.step, taken.when, taken.holds) for taken in kinds(out, "branch_taken")] == [
        ("1", "disagreement", holds) for holds in (False, True, False, True)
    ]
    assert {decision.votes for decision in kinds(out, "decision_made")} == {3}


async def test_who_debates_has_heard_all_votes_and_votes_without_hearing_those_of_the_second_time(
    tmp_path: Path,
) -> None:
    speaker = Speaker(opinions(["aab"], ["bbb"]))
    await played(apart("jury-escalating"), 1, tmp_path / "run", speaker)
    blind, debate, again = speaker.calls[:3], speaker.calls[3:6], speaker.calls[6:]
    assert all("Nobody has spoken yet" in call.messages[-1].content for call in blind)
    assert [call.messages[-1].content.count("<turn by=") for call in debate] == [2, 3, 4]
    assert "b it is" in debate[0].messages[-1].content
    assert [call.messages[-1].content.count("<turn by=") for call in again] == [2, 1, 0]
    for call in again:
        assert "The discussion is over" in call.messages[-1].content
        assert (
            sum(message.content.count("a it is") + message.content.count("b it is") for message in call.messages) == 3
        )


async def test_an_unread_vote_is_no_disagreement(tmp_path: Path) -> None:
    script = opinions(["aaa"], [""])
    speaker = Speaker(lambda call: "?" if call.settings.model == "acme/third" else script(call))
    found = await played(apart("jury-escalating"), 1, tmp_path / "run", speaker)
    assert found is not None
    assert (found.verdicts, found.unread_votes, found.calls) == ({"a": 1}, 1, 4)


async def test_where_the_condition_does_not_hold_the_other_way_is_gone(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(planned(GOOD), 1, out, Speaker(as_reply))
    assert [line for line in said(out, "i0~1") if "conductor" not in line and "model" not in line] == [
        "one vote_cast",
        "two vote_cast",
        "two summary_written",
    ]
    assert [taken.holds for taken in kinds(out, "branch_taken")] == [False]
    assert [asked.step for asked in kinds(out, "write_summary")] == ["1.else.0"]


async def test_a_juror_may_be_added_only_where_the_first_two_are_not_of_one_mind(tmp_path: Path) -> None:
    source = read(
        """\
scenario: s
takes: comparison
agents:
  first: {role: juror, model: acme/first}
  second: {role: juror, model: acme/second}
  third: {role: juror, model: acme/third}
flow:
  - {ask: [first, second], for: ballot}
  - {when: agreement < 1, do: [{ask: third, for: ballot}]}
  - {decide: majority}
gives: verdict
""",
        "s.yaml",
    )
    out = tmp_path / "run"
    await played(plan(validate(source), source=source), 3, out, Speaker(opinions(["aab", "aba", "btb"], [])))
    assert [(row["verdict"], row["calls"]) for row in rows(out)] == [("a", 2), ("a", 3), ("b", 3)]


async def test_a_way_may_lie_in_a_repeat_and_look_at_what_a_later_step_said_the_round_before(tmp_path: Path) -> None:
    text = """\
scenario: s
takes: comparison
models: {m: x/y}
agents:
  one: {role: debater, model: acme/first}
  two: {role: debater, model: acme/second}
flow:
  - repeat: 4
    until: consensus
    do:
      - when: disagreement
        do:
          - repeat: 2
            do: [{ask: [one, two], for: argument, order: in-turn, hears: everyone}]
      - {ask: [one, two], for: ballot}
  - {decide: mean-score}
gives: verdict
"""
    out, votes = tmp_path / "run", iter("ababaa")

    def script(call: ModelCall) -> str:
        if call.answer is None:
            return "I see."
        a, b = SCORES[next(votes)]
        return json.dumps({"reason": "so", "score_a": a, "score_b": b})

    await played(planned(text), 1, out, Speaker(script))
    assert [(taken.round, taken.holds) for taken in kinds(out, "branch_taken")] == [(1, False), (2, True), (3, True)]
    assert [asked.step for asked in kinds(out, "make_argument")] == ["0.0.do.0.0"] * 8
    assert [asked.round for asked in kinds(out, "make_argument")] == [1, 1, 2, 2] * 2
    assert [asked.round for asked in kinds(out, "cast_vote")] == [1, 1, 2, 2, 3, 3]
    assert rows(out)[0]["verdict"] == "a"


async def test_jurors_in_turn_may_be_stopped_by_the_first_dispute_and_then_debate(tmp_path: Path) -> None:
    made = apart("jury-escalating", "flow.0.order=in-turn", "flow.0.until=disagreement")
    out = tmp_path / "run"
    found = await played(made, 4, out, Speaker(opinions(["aaa", "aba", "aab", "bab"], ["", "aaa", "bbb", "aab"])))
    assert found is not None
    assert [(row["verdict"], row["calls"]) for row in rows(out)] == [("a", 3), ("a", 8), ("b", 9), ("a", 8)]
    assert (found.votes_spared, found.votes_wanted) == (2, 3 + 6 + 6 + 6)


async def test_trace_shows_the_way_that_was_taken_and_no_round_where_there_is_no_repeat(tmp_path: Path) -> None:
    await played(apart("jury-escalating"), 2, tmp_path / "run", Speaker(opinions(BEFORE, AFTER)))
    agreed, disputed = (fellowship("trace", tmp_path / "run", item).stdout for item in ("i0", "i1"))
    assert "disagreement: no" in agreed
    assert "disagreement: yes" in disputed
    assert disputed.count("argues") == 3
    assert "Round" not in disputed
    assert "spared" not in fellowship("status", tmp_path / "run").stdout


async def test_two_runs_part_where_their_ways_part_and_each_is_replayed_as_it_was(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    await played(apart("jury-escalating"), 1, one, Speaker(opinions(["aaa"], ["aaa"])))
    await played(apart("jury-escalating", "flow.1.when=agreement <= 1"), 1, other, Speaker(opinions(["aaa"], ["aaa"])))
    found = json.loads(fellowship("diff", one, other, "--json").stdout)
    first = found["items"][0]["divergence"]["first"]
    assert (first["kind"], first["step"], first["to"]) == ("branch_taken", "1", None)
    assert (await replay(other, tmp_path / "replayed")).differing == ()
    assert status(other)["calls"] == 9


async def test_a_run_that_goes_on_under_another_condition_keeps_what_it_does_not_affect(tmp_path: Path) -> None:
    out, second, fresh = tmp_path / "run", Speaker(opinions(BEFORE, AFTER)), Speaker(opinions(BEFORE, AFTER))
    await played(apart("jury-escalating"), 4, out, Speaker(opinions(BEFORE, AFTER)))
    changed = apart("jury-escalating", "flow.1.when=agreement < 0.6")
    await played(changed, 4, out, second, accept_changes=True)
    await played(changed, 4, tmp_path / "fresh", fresh)
    assert second.calls == []
    assert [row["verdict"] for row in rows(out)] == [row["verdict"] for row in rows(tmp_path / "fresh")]
    assert [row["verdict"] for row in rows(out)] == ["a", "a", "b", "tie"]


# what is refused


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "when: disagreement",
            "when: disagrement",
            "9:5: unknown condition 'disagrement'; did you mean 'disagreement'?",
        ),
        ("when: disagreement", "when: score > 3", "9:5: when: score needs feedback, and none is asked for"),
        ("when: disagreement", "when: margin", "9:5: 'margin' is a quantity: compare it with a number"),
        ("when: disagreement", "when: decided", "9:5: when: decided is for a step that asks for ballots in turn"),
        (
            "when: disagreement",
            "wen: disagreement",
            "9:5: a step has exactly one verb of ask, repeat, when, each, decide, pick, use, pair;",
        ),
        ("    else:", "    esle:", "13:5: unknown key 'esle'; did you mean 'else'?"),
        ("    do:\n", "    od:\n", "10:5: unknown key 'od'; did you mean 'do'?"),
        ("else:\n      - {ask: two, for: summary}", "else: []", "13:5: else must not be empty"),
        ("{ask: two, for: summary}", "{ask: tow, for: summary}", "14:10: unknown agent 'tow'; did you mean 'two'?"),
        ("{ask: two, for: summary}", "{ask: two, fro: summary}", "14:20: unknown key 'fro'; did you mean 'for'?"),
        (
            "  - {ask: [one, two], for: ballot}\n  - when",
            "  - {ask: [one, two], for: argument}\n  - when",
            "9:5: when: disagreement needs answer or ballot, and none is asked for",
        ),
        (
            "  - {ask: [one, two], for: ballot}\n  - when: disagreement",
            "  - {ask: [one, two], for: argument}\n  - when: disagreement",
            "15:5: nothing to decide: where a `when` goes the other way, no ballot is asked for before this step",
        ),
        (
            "{ask: two, for: summary}\n  - {decide: mean-score}",
            "{decide: mean-score}",
            "15:1: gives verdict, and `decide` is not on every way through the flow",
        ),
        (
            "{ask: [one, two], for: ballot}\n    else",
            "{ask: [one, two], for: ballot, orders: both}\n    else",
            "12:9: orders: both is for fresh jurors; one, two took part",
        ),
        ("  two: {role: debater}", "  two: {role: debater}\n  six: {role: debater}", "7:3: agent 'six' is never asked"),
    ],
)
def test_each_mistake_in_a_way_has_its_message_at_its_place(old: str, new: str, message: str) -> None:
    assert old in GOOD
    planned(GOOD)
    with pytest.raises(DeclarationError) as caught:
        planned(GOOD.replace(old, new, 1))
    lines = str(caught.value).splitlines()
    assert any(line.startswith(f"s.yaml:{message}") for line in lines), lines


def test_an_agent_that_only_one_way_asks_is_asked() -> None:
    text = GOOD.replace("  two: {role: debater}", "  two: {role: debater}\n  six: {role: debater}")
    assert list(planned(text.replace("{ask: two, for: summary}", "{ask: six, for: summary}")).profiles) == [
        "one",
        "two",
        "six",
    ]


def test_a_decision_on_each_way_is_a_decision_on_every_way() -> None:
    either = GOOD.replace("  - {decide: mean-score}\n", "").replace(
        "      - {ask: two, for: summary}\n", "      - {decide: majority}\n"
    )
    made = either.replace("for: ballot}\n    else", "for: ballot}\n      - {decide: mean-score}\n    else")
    assert planned(made).flow[1].place == "1"
    with pytest.raises(DeclarationError, match="is not on every way"):
        planned(either)


def test_a_reviewer_who_on_one_way_hears_nobody_has_nothing_to_review() -> None:
    text = """\
scenario: s
takes: instruction
models: {m: x/y}
agents: {w: {role: generator}, r: {role: reviewer}, s: {role: reviewer}}
flow:
  - {ask: w, for: draft}
  - {ask: r, for: feedback, hears: w}
  - {when: score < 5, do: [{ask: s, for: feedback, hears: w}], else: [{ask: w, for: draft, hears: r}]}
  - {ask: s, for: feedback}
  - {pick: last}
gives: draft
"""
    with pytest.raises(DeclarationError, match=r"s.yaml:9:5: 's' hears nobody"):
        planned(text)
    planned(text.replace("else: [{ask: w, for: draft, hears: r}", "else: [{ask: s, for: feedback, hears: w}"))


def test_python_says_it_as_a_file_does() -> None:
    declared = Scenario(
        scenario="s",
        takes="comparison",
        models={"m": "x/y"},
        agents={"one": Agent(role="debater"), "two": Agent(role="debater")},
        flow=(
            Ask(ask=("one", "two"), for_="ballot"),
            When(
                when="disagreement",
                do=(
                    Ask(ask=("one", "two"), for_="argument", order="in-turn", hears=("everyone",)),
                    Ask(ask=("one", "two"), for_="ballot"),
                ),
                else_=(Ask(ask=("two",), for_="summary"),),
            ),
            Decide(decide="mean-score"),
        ),
        gives="verdict",
    )
    assert declared == validate(read(GOOD, "s.yaml"))
    assert Scenario.model_validate(declared.document()) == declared
    assert declared.document()["flow"][1]["else"] == [{"ask": ["two"], "for": "summary"}]


def test_a_part_of_a_way_is_set_by_its_path() -> None:
    document = read(GOOD, "s.yaml").document
    set_part(document, "flow.1.else.0.ask=one")
    assert document["flow"][1]["else"][0]["ask"] == "one"


async def test_who_is_quick_does_not_decide_which_way_is_gone(tmp_path: Path) -> None:
    for name, pause in (("one", False), ("many", True)):
        speaker = Speaker(opinions(BEFORE * 3, AFTER * 3), pause=pause)
        await played(apart("jury-escalating"), 12, tmp_path / name, speaker, concurrency=1 + 5 * pause)
    assert story(tmp_path / "one") == story(tmp_path / "many")

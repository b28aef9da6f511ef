"""Branches within branches: whose agents are whose when the inner ones are over."""

import pytest

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.lifecycle import BranchTaken
from fellowship.scenarios import Scenario, plan
from fellowship.scenarios.forecasting.bounds import bounds
from fellowship.scenarios.loading import validate
from fellowship.scenarios.rehearsal import Asked, Line, rehearse, sample
from fellowship.scenarios.rehearsal.props import item_of
from fellowship.scenarios.source import read

NESTED = """\
scenario: nested
takes: comparison
models: {m: x/y}
agents:
  juror: {role: juror}
flow:
  - each: side
    of: [cost, tone]
    order: together
    do:
      - each: reader
        of: [child, expert]
        order: together
        do:
          - {ask: juror, for: ballot, instructions: $reader on $side.}
      - when: consensus
        do:
          - {ask: juror, for: summary, instructions: On $side., hears: everyone}
  - {decide: majority}
gives: verdict
"""


async def test_after_inner_branches_an_outer_one_asks_those_it_had_in_them() -> None:
    played = await rehearse(NESTED)
    assert sorted(turn.agent for turn in played.sequence if turn.word == "summary") == [
        "juror-1-1", "juror-1-2", "juror-2-1", "juror-2-2",
    ]  # fmt: skip
    assert played.calls == 8


async def test_an_outer_branch_looks_at_the_votes_of_its_own_inner_branches_alone() -> None:
    def say(asked: Asked) -> Line:
        return {"score_a": 1 if asked.agent == "juror-2-2" else 9} if asked.wanted == "ballot" else None

    played = await rehearse(NESTED, answers=say)
    taken = {fact.branch: fact.holds for fact in played.facts(BranchTaken)}
    assert taken == {"cost": True, "tone": False}
    assert sorted(turn.agent for turn in played.sequence if turn.word == "summary") == ["juror-1-1", "juror-1-2"]


def test_the_calls_of_branches_within_branches_are_known_beforehand() -> None:
    source = read(NESTED, "s.yaml")
    scenario = validate(source)
    assert isinstance(scenario, Scenario)
    known = bounds(plan(scenario, source=source), item_of(sample(scenario)[0], scenario, 0))
    assert (known.least, known.greatest) == (4, 8)


async def test_an_inner_branch_of_which_one_is_taken_goes_on_in_the_outer_one() -> None:
    played = await rehearse(
        NESTED.replace("order: together\n        do", "order: together\n        sample: 1\n        do")
    )
    assert (played.status, played.error) == ("done", None)
    assert sorted({turn.agent for turn in played.sequence}) == ["juror-1-1", "juror-2-1"]


EARLIER = """\
scenario: earlier
takes: comparison
models: {m: x/y}
agents:
  debater: {role: debater}
  juror: {role: juror}
flow:
  - {ask: debater, for: argument, hears: everyone}
  - each: side
    of: [cost, tone]
    order: together
    do:
      - {ask: juror, for: ballot, hears: debater, instructions: On $side.}
  - {ask: debater, for: argument}
  - {ask: juror, for: ballot}
  - {decide: majority}
gives: verdict
"""


async def test_who_began_to_hear_everyone_before_the_branches_hears_all_who_speak_in_them() -> None:
    assert (await rehearse(EARLIER)).sequence == [
        ("debater", "argument", ()),
        ("juror-1", "ballot", ("debater",)),
        ("juror-2", "ballot", ("debater",)),
        ("debater", "argument", ("juror-1", "juror-2")),
        ("juror-1", "ballot", ("debater",)),
        ("juror-2", "ballot", ("debater",)),
    ]


def test_an_agent_that_is_asked_on_another_way_is_not_the_branches_own() -> None:
    ask = "{ask: juror, for: ballot, instructions: On $side.}"
    each = f"{{each: side, of: [cost, tone], order: together, do: [{ask}]}}"
    text = EARLIER[: EARLIER.index("  - each")] + (
        "  - when: calls > 1\n    do:\n      - {ask: juror, for: ballot, hears: debater}\n    else:\n"
        f"      - {each}\n  - {{decide: majority}}\ngives: verdict\n"
    )
    source = read(text, "s.yaml")
    scenario = validate(source)
    assert isinstance(scenario, Scenario)
    with pytest.raises(DeclarationError, match=r"s.yaml:13:9: 'juror' has been asked before: branches"):
        plan(scenario, source=source)

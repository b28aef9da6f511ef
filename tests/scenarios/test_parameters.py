"""Parameters of scenarios: their values stand where `$NAME` stood, and what is wrong with them is told at its place."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from drafting import Cast, staged
from hypothesis import given
from hypothesis import strategies as st
from playing import beside, fellowship, written

from fellowship.protocols.errors import DeclarationError
from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.scenarios import Plan, load, plan
from fellowship.scenarios.loading import validate
from fellowship.scenarios.parameters import unused
from fellowship.scenarios.source import Source, read
from fellowship.scenarios.sweep import sweep

GOOD = """\
scenario: s
takes: instruction
parameters:
  who: {about: who reviews, default: one, choices: {one: first, two: second, all: [second, first]}}
  rounds: {default: 2, least: 1, most: 9}
  enough: 8.5
  words: Be kind.
  ends: {default: last, choices: {last: {pick: last}, none: []}}
models: {m: acme/m}
agents:
  writer: {role: generator, instructions: "$words It costs $money."}
  first: {role: reviewer}
  second: {role: reviewer}
flow:
  - {ask: writer, for: draft}
  - repeat: $rounds
    until: [score >= $enough, unchanged]
    do:
      - {ask: $who, for: feedback, hears: writer}
      - {ask: writer, for: draft, hears: $who}
  - $ends
  - {pick: first}
gives: draft
"""


@pytest.fixture
def good(tmp_path: Path) -> str:
    path = tmp_path / "s.yaml"
    path.write_text(GOOD)
    return str(path)


def flow(name: str, *changes: str) -> Any:
    scenario, _ = load(name, changes=changes)
    return scenario.document()["flow"]  # as the run notes it


def made(name: str, *changes: str) -> Plan:
    scenario, source = load(name, changes=changes)
    return plan(scenario, source=source)  # type: ignore[arg-type]


def refused(text: str, *changes: str) -> list[str]:
    """Return what is said of a file, each line without the file's name."""
    source = read(text, "s.yaml")
    with pytest.raises(DeclarationError) as caught:
        if idle := unused(source):
            raise DeclarationError(idle)
        plan(validate(source), source=source)  # type: ignore[arg-type]
    return [line.removeprefix("s.yaml:") for line in str(caught.value).splitlines()]


# substitution


def test_a_value_that_is_a_parameter_as_a_whole_keeps_its_kind(good: str) -> None:
    (_, repeat, *_) = flow(good)
    assert repeat["repeat"] == 2
    assert flow(good, "rounds=3")[1]["repeat"] == 3


def test_within_a_text_a_parameter_stands_as_words_and_other_dollars_stay(good: str) -> None:
    assert flow(good)[1]["until"] == ["score >= 8.5", "unchanged"]
    assert flow(good, "enough=9")[1]["until"][0] == "score >= 9"
    agents = load(good, changes=["words=Be brief."])[0].document()["agents"]
    assert agents["writer"]["instructions"] == "Be brief. It costs $money."


def test_a_choice_puts_a_list_in_place_of_one_name(good: str) -> None:
    assert [step["ask"] for step in flow(good, "who=all")[1]["do"]] == [["second", "first"], ["writer"]]
    assert flow(good, "who=all")[1]["do"][1]["hears"] == ["second", "first"]


def test_a_list_that_stands_in_a_list_is_spread_and_an_empty_one_leaves_nothing(good: str) -> None:
    assert [next(iter(step)) for step in flow(good)] == ["ask", "repeat", "pick", "pick"]
    assert [next(iter(step)) for step in flow(good, "ends=none")] == ["ask", "repeat", "pick"]


def test_agents_that_only_another_choice_asks_are_left_out(good: str) -> None:
    assert list(made(good).profiles) == ["writer", "first"]
    assert list(made(good, "who=two").profiles) == ["writer", "second"]
    assert list(made(good, "who=all").profiles) == ["writer", "first", "second"]


def test_an_agent_may_be_called_as_a_word_of_the_language() -> None:
    text = GOOD.replace("{last: {pick: last}, none: []}", "{last: {pick: first}, none: []}")
    assert refused(text.replace("all: [second, first]", "all: second").replace("one: first", "one: second")) == [
        "12:3: agent 'first' is never asked for anything"
    ]


def test_an_agent_that_no_choice_asks_is_still_a_mistake() -> None:
    text = GOOD.replace("  second: {role: reviewer}", "  second: {role: reviewer}\n  third: {role: reviewer}")
    assert refused(text) == ["14:3: agent 'third' is never asked for anything"]


def test_what_was_chosen_is_noted_and_played_from_there_without_parameters(good: str) -> None:
    document = load(good, changes=["who=two", "rounds=1"])[0].document()
    assert document["chosen"] == {"who": "two", "rounds": 1, "enough": 8.5, "words": "Be kind.", "ends": "last"}
    assert "parameters" not in document
    assert validate(read(yaml.safe_dump(document), "run.yaml")).document() == document


def test_all_that_a_parameter_says_may_be_left_out_but_its_default(good: str) -> None:
    text = GOOD.replace("{default: 2, least: 1, most: 9}", "2")
    assert validate(read(text, "s.yaml")).document()["flow"][1]["repeat"] == 2


async def test_who_is_chosen_is_who_is_asked(tmp_path: Path) -> None:
    asked: dict[str, list[str]] = {}
    for review in ("same", "other", "both"):
        scenario, source = load("feedback-loop", changes=[f"review={review}", "rounds=1"])
        chosen = plan(scenario, source=source, models={a: f"acme/{a}" for a in ("writer", "reviewer", "judge")})  # type: ignore[arg-type]
        cast = Cast()
        await staged(chosen, cast, tmp_path / review)
        asked[review] = sorted(cast.asked)
    revised = "writer after writer 1 by"
    assert asked["same"] == ["writer", "writer after writer 1 by own", "writer on writer 1"]
    assert asked["other"] == ["reviewer on writer 1", "writer", f"{revised} reviewer"]
    assert asked["both"] == ["reviewer on writer 1", "writer", f"{revised} reviewer and own", "writer on writer 1"]


# what is wrong


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("repeat: $rounds", "repeat: $runds", "16:5: unknown parameter 'runds'; did you mean 'rounds'?"),
        ("hears: $who", "hears: [$woh]", "20:43: unknown parameter 'woh'; did you mean 'who'?"),
        ("  enough: 8.5", "  enough: 8.5\n  spare: 1", "7:3: parameter 'spare' is used nowhere: $spare stands in no value"),
        ("  enough: 8.5", "  Enough: 8.5", "6:3: 'Enough' is not a name: small letters, digits, - and _, a letter first"),
        ("default: 2, least: 1", "default: 0, least: 1", "5:12: parameter rounds: must be 1 or more, not 0"),
        ("default: 2, least: 1", "default: 10, least: 1", "5:12: parameter rounds: must be 9 or less, not 10"),
        ("default: one", "default: on", "4:29: parameter who: unknown choice 'on'; did you mean 'one'?"),
        ("default: 2, least: 1", "default: 2, lesat: 1", "5:24: parameter rounds: unknown key 'lesat'; did you mean 'least'?"),
        ("{default: 2, least: 1, most: 9}", "{least: 1, most: 9}", "5:3: parameter rounds: key 'default' is missing"),
        ("{default: 2, least: 1, most: 9}", "{default: [2]}", "5:12: parameter rounds: default: must be one value: text, a number, true or false"),
        ("{default: 2, least: 1, most: 9}", "[2]", "5:3: parameter rounds: default: must be one value: text, a number, true or false"),
        ("choices: {one: first", "choices: {O ne: first", "4:53: parameter who: 'O ne' is not a name: small letters, digits, - and _"),
        ("who: {about: who reviews, default: one, choices: {one: first, two: second, all: [second, first]}}", "who: writer", "19:10: 'writer' is a generator and gives no feedback"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_message_at_its_place(old: str, new: str, message: str) -> None:
    assert old in GOOD
    said = refused(GOOD.replace(old, new, 1))
    assert any(line.startswith(message) for line in said), said


def test_parameters_must_be_a_mapping() -> None:
    assert refused("scenario: s\ntakes: instruction\nparameters: [a]\n") == ["3:1: parameters must be a mapping"]


def test_all_mistakes_of_parameters_are_told_at_once() -> None:
    said = refused(GOOD.replace("default: 2", "default: 0").replace("default: one", "default: won"))
    assert [line.split(":")[0] for line in said] == ["4", "5"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("who=on", "--set who=on: who: unknown choice 'on'; did you mean 'one'?"),
        ("rounds=0", "--set rounds=0: rounds: must be 1 or more, not 0"),
        ("rounds=1000", "--set rounds=1000: rounds: must be 9 or less, not 1000"),
        ("rounds=2.5", "--set rounds=2.5: rounds: must be a whole number, as 2 is, not 2.5"),
        ("rounds=many", "--set rounds=many: rounds: must be a number, as 2 is, not 'many'"),
        ("rounds=true", "--set rounds=true: rounds: must be a number, as 2 is, not True"),
        ("rounds=[1]", "--set rounds=[1]: rounds: must be one value: text, a number, true or false"),
        ("wo=one", "--set wo=one: unknown parameter 'wo'; did you mean 'who'?"),
        ("colour=red", "--set colour=red: unknown parameter 'colour'; there is ends, enough, rounds, who, words"),
        ("flow.1.repeat.x=3", "--set flow.1.repeat.x=3: a parameter stands there: --set rounds=… chooses it"),
    ],
)
def test_a_value_that_a_parameter_does_not_take_is_refused(good: str, change: str, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        load(good, changes=[change])
    assert str(caught.value) == message


def test_a_word_that_is_nearer_to_a_key_than_to_a_parameter_is_told_as_a_key(good: str) -> None:
    with pytest.raises(DeclarationError, match="unknown key 'judgin'; did you mean 'judging'"):
        load(good, changes=["judgin=red"])


def test_a_parameter_whose_place_is_set_otherwise_is_not_missed(good: str) -> None:
    assert flow(good, "flow.1.repeat=7")[1]["repeat"] == 7


def test_a_number_may_be_set_where_words_stand_but_no_words_where_a_number_does(good: str) -> None:
    assert load(good, changes=["words=7"])[0].document()["agents"]["writer"]["instructions"] == "7 It costs $money."


# the command line, and sweeps


def test_run_plays_what_is_set_and_goes_on_only_with_the_same(tmp_path: Path) -> None:
    data, out = written(tmp_path / "d.jsonl", 1), tmp_path / "run"
    with beside(LoopbackEndpoint()) as endpoint:
        words = ("run", "feedback-loop", "--data", data, "--out", out, "--model", "acme/m", "--no-cache")
        words = (*words, "--base-url", endpoint.base_url, "--set", "review=both")
        assert fellowship(*words, "--set", "rounds=1").exit_code == 0
        assert len(endpoint.ledger) == 4
        other = fellowship(*words, "--set", "rounds=2")
        assert (other.exit_code, "rounds" in other.stderr) == (2, True)
    assert yaml.safe_load((out / "run.yaml").read_text())["scenario"]["chosen"]["review"] == "both"
    wrong = fellowship("check", "feedback-loop", "--set", "reviw=both")
    assert wrong.exit_code == 2
    assert "did you mean 'review'" in wrong.stderr


SWEPT = """\
scenario: loops
takes: instruction
models: {small: acme/small}
sweep:
  - play: feedback-loop
    over: {review: [same, other, both], models.writer: every}
    set: {rounds: 1}
gives: draft
"""


def test_a_sweep_plays_every_choice_of_a_parameter() -> None:
    source = read(SWEPT, "loops.yaml")
    found = sweep(validate(source), source=source)  # type: ignore[arg-type]
    assert list(found.variants) == [f"feedback-loop/{each}/small" for each in ("same", "other", "both")]
    assert [list(variant.plan.profiles) for variant in found.variants.values()] == [
        ["writer", "own"],
        ["writer", "reviewer"],
        ["writer", "reviewer", "own"],
    ]
    assert {variant.plan.flow[1].times for variant in found.variants.values()} == {1}  # type: ignore[union-attr]


def test_a_sweep_over_what_a_parameter_does_not_take_is_told_at_its_place() -> None:
    source = read(SWEPT.replace("[same, other, both]", "[same, others]"), "loops.yaml")
    with pytest.raises(DeclarationError, match=r"loops.yaml:5:5: review: others: review: unknown choice 'others'; did"):
        sweep(validate(source), source=source)  # type: ignore[arg-type]


# by chance


@given(st.one_of(st.integers(-99, 99), st.booleans(), st.from_regex(r"[A-Za-z ]{1,8}", fullmatch=True)))
def test_a_value_stands_in_a_text_as_a_file_would_write_it(value: object) -> None:
    document = {
        "scenario": "s",
        "takes": "instruction",
        "parameters": {"p": value},
        "models": {"m": "acme/m"},
        "agents": {"w": {"role": "generator", "instructions": "Before $p after, and $pay."}},
        "flow": [{"ask": "w", "for": "draft"}, {"pick": "last"}],
        "gives": "draft",
    }
    found = validate(Source("s", document)).document()
    shown = value if isinstance(value, str) else json.dumps(value)
    assert found["agents"]["w"]["instructions"] == f"Before {shown} after, and $pay."
    assert found["chosen"] == {"p": value}

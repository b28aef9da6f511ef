"""Scenario files, right and wrong: each mistake has its one message at its place."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fellowship.protocols.errors import DeclarationError
from fellowship.scenarios import Agent, Ask, Decide, Plan, Repeat, Scenario, library, load, plan
from fellowship.scenarios.loading import validate
from fellowship.scenarios.source import read
from fellowship.scenarios.spec import Sweep
from fellowship.scenarios.sweep import sweep

GOOD = """\
scenario: s
takes: comparison
models: {judge: x/y}
agents:
  one: {role: judge, model: judge}
  two: {role: debater, persona: critic, model: judge}
flow:
  - {ask: two, for: argument}
  - repeat: 2
    until: consensus
    do:
      - {ask: [one, two], for: ballot, hears: everyone}
  - {decide: mean-score}
gives: verdict
"""


def planned(text: str) -> Plan:
    source = read(text, "s.yaml")
    return plan(validate(source), source=source)


def test_a_right_file_is_planned() -> None:
    made = planned(GOOD)
    assert list(made.profiles) == ["one", "two"]
    assert [settings.model for settings in made.models] == ["x/y"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "takes: comparison",
            "takes: comparision",
            "2:1: takes: unknown value 'comparision'; did you mean 'comparison'?",
        ),
        ("takes: comparison\n", "", "1:1: key 'takes' is missing"),
        ("takes: comparison", "takes: instruction", "14:1: gives verdict, and there are no two answers"),
        ("gives: verdict", "gives: verdict\nflwo: 1", "15:1: unknown key 'flwo'; did you mean 'flow'?"),
        ("gives: verdict", "gives: draft", "14:1: gives draft, and no step of the flow has `pick`"),
        ("scenario: s", "scenario: My Scenario", "1:1: scenario may have small letters"),
        ("scenario: s", "scenario: 3", "1:1: scenario must be text, got 3"),
        ("scenario: s", "scenario: s\nscenario: t", "2:1: key 'scenario' stands here twice"),
        ("scenario: s", "scenario: [s", "2:6: not YAML"),
        ("scenario: s", "scenario: &x [*x]", "1:11: an alias that contains itself: a cycle"),
        ("scenario: s", "? [s]\n: s", "1:3: a key must be a word"),
        ("judge: x/y", "judge: gpt", "3:10: 'gpt' is no alias, and no provider/model"),
        ("judge: x/y", "judge: /y", "3:10: '/y' names no model"),
        ("judge: x/y", "judge: other, other: judge", "3:10: aliases in a cycle: judge -> other -> judge"),
        ("judge: x/y", "judge: {modle: x/y}", "3:18: unknown key 'modle'; did you mean 'model'?"),
        (
            "judge: x/y",
            "judge: {model: x/y, temprature: 1}",
            "3:30: unknown key 'temprature'; did you mean 'temperature'?",
        ),
        ("judge: x/y", "judge: {model: x/y, temperature: hot}", "3:30: models.judge.temperature must be"),
        ("judge: x/y", "judge: [x/y]", "3:10: models.judge must be a mapping"),
        (
            "{role: judge, model: judge}",
            "{role: jugde, model: judge}",
            "5:9: unknown role 'jugde'; did you mean 'judge'?",
        ),
        (
            "{role: judge, model: judge}",
            "{role: judge, model: jduge}",
            "5:22: unknown model 'jduge'; did you mean 'judge'?",
        ),
        ("{role: judge, model: judge}", "{model: judge}", "5:3: key 'role' is missing"),
        (
            "{role: judge, model: judge}",
            "{role: judge, modell: judge}",
            "5:22: unknown key 'modell'; did you mean 'model'?",
        ),
        ("{role: judge, model: judge}", "{role: judge, failing: {then: recus}}", "5:32: then: unknown value 'recus'"),
        ("{role: judge, model: judge}", "judge", "5:3: agents.one must be a mapping"),
        ("  one: {role: judge", "  O ne: {role: judge", "5:3: 'O ne' is not a name"),
        ("persona: critic", "persona: critc", "6:24: unknown persona 'critc'; did you mean 'critic'?"),
        (
            "{ask: two, for: argument}",
            "{ask: one, for: argument}",
            "8:6: 'one' is a judge and gives no argument; two can",
        ),
        ("{ask: two, for: argument}", "{ask: tow, for: argument}", "8:6: unknown agent 'tow'; did you mean 'two'?"),
        ("{ask: two, for: argument}", "{ask: two, for: argumnet}", "8:16: for: unknown value 'argumnet'; did you mean"),
        ("{ask: two, for: argument}", "{ask: two}", "8:5: key 'for' is missing"),
        ("{ask: two, for: argument}", "{ask: [], for: argument}", "8:6: ask must not be empty"),
        (
            "{ask: two, for: argument}",
            "{ask: [two, two], for: argument}",
            "8:17: agent 'two' is named twice",
        ),
        (
            "{ask: two, for: argument}",
            "{ask: two, for: argument, order: in_turn}",
            "8:31: order: unknown value 'in_turn'; did",
        ),
        (
            "{ask: two, for: argument}",
            "{aks: two}",
            "8:5: a step has exactly one verb of ask, repeat, when, each, decide, pick, use, pair;",
        ),
        ("{ask: two, for: argument}", "{ask: two, decide: majority}", "8:5: a step has exactly one verb"),
        ("{ask: two, for: argument}", "two", "8:5: a step has exactly one verb"),
        ("hears: everyone", "hears: evryone", "12:40: unknown agent 'evryone'; did you mean 'everyone'?"),
        ("hears: everyone", "hears: [one, nobody]", "12:53: 'nobody' stands alone, not among names"),
        ("hears: everyone", "scale: 0", "12:40: flow.1.do.0.scale must be greater than or equal to 1, got 0"),
        ("hears: everyone", "scale: many", "12:40: flow.1.do.0.scale must be a whole number"),
        ("hears: everyone", "orders: both", "12:9: orders: both is for fresh jurors; two took part"),
        ("hears: everyone", "strategy: direct", "13:6: mean-score needs scores, and strategy: direct gives none"),
        ("repeat: 2", "repeat: true", "9:5: flow.1.repeat must be a whole number, got True"),
        ("for: argument}", "for: argument, scale: 5}", "8:31: scale means nothing for a step that asks for argument"),
        ("for: argument}", "for: argument, strategy: direct}", "8:31: strategy means nothing for a step"),
        ("  one: {role: judge", "  everyone: {role: judge", "5:3: 'everyone' is a word of the language"),
        (
            "judge: x/y",
            "judge: {model: x/y, temperature: .inf}",
            "3:30: models.judge.temperature must be a finite number",
        ),
        ("scenario: s", "<x>: 1\nscenario: s", "1:1: unknown key '<x>'"),
        ("scenario: s", "scenario: s\nabout: !!timestamp foo", ""),
        ("scenario: s", "scenario: s\nabout: !!bool foo", ""),
        ("repeat: 2", "repeat: 0", "9:5: flow.1.repeat must be greater than or equal to 1, got 0"),
        ("until: consensus", "until: consensu", "10:5: unknown condition 'consensu'; did you mean 'consensus'?"),
        ("until: consensus", "until: score > 3", "10:5: until: score needs feedback, and none is asked for"),
        ("decide: mean-score", "decide: mean", "13:6: unknown aggregation rule 'mean'; did you mean 'mean-score'?"),
        ("decide: mean-score", "pick: last", "13:5: nothing to pick from"),
        (
            "      - {ask: [one, two], for: ballot, hears: everyone}",
            "      - {ask: [one, two], for: ballot, hears: 3}",
            "12:40",
        ),
    ],
)
def test_each_mistake_has_its_message_at_its_place(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(DeclarationError) as caught:
        planned(GOOD.replace(old, new, 1))
    lines = str(caught.value).splitlines()
    assert any(line.startswith(f"s.yaml:{message}") for line in lines), lines


DRAFTS = """\
scenario: s
takes: instruction
models: {m: x/y, j: x/z}
agents:
  writer: {role: generator, model: m}
  editor: {role: reviewer, model: m}
  judge: {role: judge, model: j}
flow:
  - {ask: writer, for: draft}
  - repeat: 3
    until: [score >= 9, without-gain >= 2]
    do:
      - {ask: editor, for: feedback, hears: writer}
      - {ask: writer, for: draft, hears: editor, apart: true}
  - {pick: knock-out, by: judge, among: writer}
  - {pair: generation, by: judge, select: all, margin: 1}
  - {pair: workflow, by: judge, rule: majority}
gives: pairs
"""


def test_a_right_file_about_drafts_is_planned() -> None:
    assert [type(step).__name__ for step in planned(DRAFTS).flow] == [
        "AskStep", "RepeatStep", "PickStep", "PairStep", "PairStep",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pick: knock-out", "pick: knockout", "15:6: unknown way to pick 'knockout'; did you mean 'knock-out'?"),
        ("pick: knock-out", "pick: last", "15:18: by means nothing here: pick: last asks nobody"),
        ("pick: knock-out", "as_published: true, pick: best", "15:6: as_published is about a knock-out, and this step picks best"),
        ("knock-out, by: judge", "knock-out", "15:5: knock-out is decided by judges: say `by` (judge)"),
        ("knock-out, by: judge", "round-robin", "15:5: round-robin is decided by judges: say `by` (judge)"),
        ("{pick: knock-out, by: judge", "{pick: knock-out, by: jugde", "15:23: unknown agent 'jugde'; did you mean 'judge'?"),
        ("{pick: knock-out, by: judge", "{pick: knock-out, by: [judge, judge]", "15:35: agent 'judge' is named twice"),
        ("{pick: knock-out, by: judge", "{pick: knock-out, by: editor", "15:23: 'editor' is a reviewer and compares no drafts; judge can"),
        ("among: writer", "among: writr", "15:34: unknown agent 'writr'; did you mean 'writer'?"),
        ("among: writer", "among: [writer, editor]", "15:50: 'editor' writes no draft before this step"),
        ("among: writer", "rule: mode", "15:34: unknown aggregation rule 'mode'; did you mean 'unique-mode'?"),
        ("among: writer", "rule: mean-score, strategy: direct", "15:34: mean-score needs scores, and strategy: direct gives none"),
        ("among: writer", "scale: 0", "15:34: flow.2.scale must be greater than or equal to 1, got 0"),
        ("among: writer", "amongst: writer", "15:34: unknown key 'amongst'; did you mean 'among'?"),
        ("{pair: generation, by: judge", "{pair: generation, orders: ab", "16:24: orders means nothing here: no judge is named in `by`"),
        ("{pair: generation", "{pair: genration", "16:6: pair: unknown value 'genration'; did you mean 'generation'?"),
        ("select: all", "select: al", "16:35: select: unknown value 'al'; did you mean 'all'?"),
        ("select: all", "select: all, versions: [2, 1]", "16:48: say select or versions, not both"),
        ("select: all", "versions: [2, 2]", "16:35: versions are two different ones, from 1, as in [3, 1]"),
        ("select: all", "versions: [0, 1]", "16:35: versions are two different ones, from 1, as in [3, 1]"),
        ("select: all", "versions: [1]", "16:35: versions is too short: value 2 is missing"),
        ("select: all", "quorum: 2", "16:35: quorum is 2, and there is 1 judge"),
        ("select: all", "strategy: direct", "16:53: margin needs scores, and strategy: direct gives none"),
        ("select: all", "agreement: 1.5", "16:35: flow.3.agreement must be less than or equal to 1, got 1.5"),
        ("margin: 1", "margin: -1", "16:48: flow.3.margin must be greater than or equal to 0, got -1"),
        ("rule: majority", "select: all", "17:33: select is for pair: generation; workflow sets revisions against what they revise"),
        ("rule: majority", "versions: [2, 1]", "17:33: versions is for pair: generation; workflow sets revisions"),
        ("hears: editor, apart", "apart", "14:9: 'writer' hears nobody, so that there is no feedback to follow apart: say `hears`"),
        ("hears: writer}", "hears: writer, apart: true}", "13:53: apart means nothing for a step that asks for feedback"),
        ("score >= 9", "scor >= 9", "11:13: unknown condition 'scor >= 9'; did you mean 'score'?"),
        ("without-gain >= 2", "without-gain", "11:25: 'without-gain' is a quantity: compare it with a number, as in 'without-gain >= 1'"),
        ("without-gain >= 2", "consensus", "11:25: until: consensus needs answer or ballot, and none is asked for"),
        ("[score >= 9, without-gain >= 2]", "[]", "11:5: until must not be empty"),
        ("- {ask: writer, for: draft}\n", "- {pair: workflow, by: judge}\n  - {ask: writer, for: draft}\n", "9:5: nothing to make pairs of: no draft is asked for before this step"),
        ("- {ask: writer, for: draft}\n", "- {ask: writer, for: draft}\n  - {pair: workflow, by: judge}\n", "10:5: nothing to make pairs of: no feedback is asked for before this step"),
        ("- {ask: writer, for: draft}\n", "- {ask: writer, for: draft}\n  - {pair: generation}\n", "10:5: nobody says which is better: name judges in `by`"),
        ("- {ask: writer, for: draft}\n", "- {ask: writer, for: draft}\n  - {pick: best}\n", "10:5: best goes by scores: no feedback is asked for before this step, and no judge is named in `by`"),
        ("gives: pairs", "gives: verdict", "18:1: gives verdict, and there are no two answers: takes must be comparison"),
    ],
)  # fmt: skip
def test_each_mistake_about_drafts_has_its_message_at_its_place(old: str, new: str, message: str) -> None:
    assert old in DRAFTS
    with pytest.raises(DeclarationError) as caught:
        planned(DRAFTS.replace(old, new, 1))
    lines = str(caught.value).splitlines()
    assert any(line.startswith(f"s.yaml:{message}") for line in lines), lines


def test_pairs_are_given_by_a_step_that_makes_them() -> None:
    text = DRAFTS.replace("  - {pair: generation, by: judge, select: all, margin: 1}\n", "")
    with pytest.raises(DeclarationError, match=r"s.yaml:16:1: gives pairs, and no step of the flow has `pair`"):
        planned(text.replace("  - {pair: workflow, by: judge, rule: majority}\n", ""))
    when = "  - when: score < 3\n    do:\n      - {pair: workflow, by: judge}\n"
    with pytest.raises(DeclarationError, match=r"gives pairs, and `pair` is not on every way through the flow"):
        planned(text.replace("  - {pair: workflow, by: judge, rule: majority}\n", when))


def test_one_mistake_gives_one_message() -> None:
    for old, new in [("{ask: two,", "{ask: tow,"), ("judge: x/y", "judge: other, other: judge"), ("critic", "critc")]:
        with pytest.raises(DeclarationError) as caught:
            planned(GOOD.replace(old, new, 1))
        assert len(caught.value.problems) == 1, str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(DeclarationError) as caught:
        planned(
            GOOD.replace("persona: critic", "persona: critc")
            .replace("mean-score", "mean")
            .replace("until: con", "until: cn")
        )
    assert [problem.line for problem in caught.value.problems] == [6, 10, 13]


def test_a_reviewer_that_hears_nobody_is_a_mistake() -> None:
    text = """\
scenario: s
takes: instruction
models: {m: x/y}
agents: {w: {role: generator}, r: {role: reviewer}}
flow: [{ask: w, for: draft}, {ask: r, for: feedback}, {pick: last}]
gives: draft
"""
    with pytest.raises(DeclarationError, match=r"s.yaml:5:30: 'r' hears nobody"):
        planned(text)
    planned(text.replace("for: feedback", "for: feedback, hears: w"))


def test_a_model_for_all_serves_agents_that_name_none() -> None:
    text = GOOD.replace("models: {judge: x/y}\n", "").replace(", model: judge", "")
    source = read(text, "s.yaml")
    made = plan(validate(source), source=source, models={"*": "x/z"})
    assert {profile.settings.model for profile in made.profiles.values()} == {"x/z"}


def test_another_provider_takes_nothing_over_from_the_old_one() -> None:
    text = GOOD.replace("judge: x/y", "judge: {model: vllm/y, base_url: 'http://127.0.0.1:1/v1', temperature: 0.5}")
    source = read(text, "s.yaml")
    settings = plan(validate(source), source=source, models={"judge": "groq/z"}).profiles["one"].settings
    assert (settings.base_url, settings.temperature) == (None, 0.5)
    settings = plan(validate(source), source=source, models={"judge": "vllm/z"}).profiles["one"].settings
    assert settings.base_url == "http://127.0.0.1:1/v1"


def test_an_agent_that_is_never_asked_is_a_mistake() -> None:
    with pytest.raises(DeclarationError, match=r"s.yaml:7:3: agent 'three' is never asked"):
        planned(GOOD.replace("flow:", "  three: {role: judge, model: judge}\nflow:"))


def test_an_agent_without_a_model_is_a_mistake_unless_there_is_one_alias() -> None:
    text = GOOD.replace("{role: judge, model: judge}", "{role: judge}")
    assert planned(text).profiles["one"].settings.model == "x/y"
    with pytest.raises(DeclarationError, match=r"s.yaml:5:3: agent 'one' has no model, and there are several aliases"):
        planned(text.replace("judge: x/y", "judge: x/y, b: x/z"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "- a",
        "a",
        "[" * 5000,
        "a: &a [1,1,1,1,1,1,1,1]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 8)}]\n" for n in range(8)),
    ],
)
def test_what_is_no_scenario_at_all_is_refused(text: str) -> None:
    with pytest.raises(DeclarationError):
        read(text, "s.yaml")


def test_words_stay_words() -> None:
    document = read("a: no\nb: 2024-01-01\nc: true\nd: on", "s.yaml").document
    assert document == {"a": "no", "b": "2024-01-01", "c": True, "d": "on"}


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab:{}[]-&*!?|>'\"%@`#, \n\t0~", max_size=60))
def test_no_text_whatever_ends_in_anything_but_a_message(text: str) -> None:
    try:
        planned(text)
    except DeclarationError as error:
        assert str(error)


def test_a_file_is_found_by_path_and_a_library_scenario_by_name(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    assert load(str(tmp_path / "mine.yaml"))[0].scenario == "s"
    assert load("judge")[0].scenario == "judge"
    with pytest.raises(DeclarationError, match="did you mean 'judge'"):
        load("jugde")
    with pytest.raises(DeclarationError, match="there is no file"):
        load(str(tmp_path / "none.yaml"))
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(DeclarationError, match="not UTF-8: byte 0 is 0xff"):
        load(str(tmp_path / "bytes.yaml"))


@pytest.mark.parametrize("name", library())
def test_every_library_scenario_is_right_short_and_cites_its_source(name: str) -> None:
    scenario, source = load(name)
    assert scenario.scenario == name
    if isinstance(scenario, Sweep):
        sweep(scenario, source=source)
    else:
        plan(scenario, source=source)
    text = (Path(__file__).parents[2] / "scenarios" / "library" / f"{name}.yaml").read_text()
    assert re.search(r"\barXiv \d{4}\.\d{5}\b|\bACL Anthology \d{4}\.", text.splitlines()[0])
    assert len(text.splitlines()) <= 32


def test_set_changes_a_part_of_the_document() -> None:
    assert load("judge", changes=["judging.scale=5"])[0].judging.scale == 5
    assert load("debate", changes=["flow.0.repeat=3"])[0].flow[0].repeat == 3  # type: ignore[union-attr]
    assert load("jury", changes=["judging.strategy=direct"])[0].judging.strategy == "direct"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("judging", "takes PATH=VALUE"),
        ("flow.7.repeat=3", "flow.7 is not there; the list has parts 0 to 1"),
        ("agnets.judge.role=x", "agnets is not there; did you mean 'agents'"),
        ("scenario.x.y=1", "scenario.x has no parts"),
        ("judging.scal=5", "unknown key 'scal'; did you mean 'scale'"),
        ("judging.scale=[", "the value is not YAML"),
    ],
)
def test_a_set_that_fits_nowhere_is_refused(change: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message.replace("[", r"\[")):
        load("judge", changes=[change])


def test_models_are_replaced_by_alias_or_all_at_once() -> None:
    scenario, source = load("jury")

    def models(**chosen: str) -> dict[str, str]:
        made = plan(
            scenario, source=source, models={alias.replace("every", "*"): name for alias, name in chosen.items()}
        )
        return {name: profile.settings.model for name, profile in made.profiles.items()}

    assert models(judge="x/y") == {"first": "x/y", "second": "x/y", "third": "x/y"}
    assert models(every="x/y", third="x/z") == {"first": "x/y", "second": "x/y", "third": "x/z"}
    with pytest.raises(DeclarationError, match="unknown model alias 'thrid'.*did you mean 'third'"):
        models(thrid="x/y")
    with pytest.raises(DeclarationError, match="'gpt' is no provider/model"):
        models(every="gpt")


def test_python_and_files_say_the_same() -> None:
    declared = Scenario(
        scenario="s",
        takes="comparison",
        models={"judge": "x/y"},
        agents={
            "one": Agent(role="judge", model="judge"),
            "two": Agent(role="debater", persona="critic", model="judge"),
        },
        flow=(
            Ask(ask=("two",), for_="argument"),
            Repeat(repeat=2, until="consensus", do=(Ask(ask=("one", "two"), for_="ballot", hears=("everyone",)),)),
            Decide(decide="mean-score"),
        ),
        gives="verdict",
    )
    assert declared == validate(read(GOOD, "s.yaml"))
    assert Scenario.model_validate(declared.document()) == declared

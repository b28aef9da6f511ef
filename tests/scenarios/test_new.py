"""`fellowship new`: what it makes passes as it is, for whatever scenario it is made after."""

import json
import shlex
from pathlib import Path

import pytest
import yaml
from playing import fellowship
from plugged import INI, WITH_PLUGIN

from fellowship.scenarios import load
from fellowship.scenarios.loading import library
from fellowship.scenarios.spec import Scenario

pytest_plugins = ["pytester"]

SCENARIOS = [name for name in library() if isinstance(load(name)[0], Scenario)]


def test_for_every_library_scenario_what_is_made_is_right_and_its_test_passes(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini(INI)
    for name in SCENARIOS:
        made = fellowship("new", f"my-{name}", "--like", name)
        assert made.exit_code == 0, f"{name}: {made.stderr}"
        first = next(line for line in made.stdout.splitlines() if line.startswith("  fellowship check "))
        checked = fellowship(*shlex.split(first)[1:])
        assert checked.exit_code == 0, f"{name}: {checked.stderr}"
        assert f"my-{name}/my-{name}.yaml is right" in checked.stdout
    passed = pytester.runpytest_inprocess(*WITH_PLUGIN, "-p", "no:cacheprovider").parseoutcomes()
    assert passed.keys() == {"passed"}
    assert passed["passed"] >= 3 * len(SCENARIOS)


def test_the_files_are_a_copy_under_the_new_name_a_schema_a_sample_and_a_test(tmp_path: Path) -> None:
    made = fellowship("new", "duel", "--to", tmp_path / "a b", "--json")
    document = json.loads(made.stdout)
    folder = tmp_path / "a b"
    assert document["files"] == [
        str(folder / name) for name in ("duel.yaml", "scenario.schema.json", "data.jsonl", "test_duel.py")
    ]
    text = (folder / "duel.yaml").read_text()
    original = _text_of("debate")
    assert text == "# yaml-language-server: $schema=scenario.schema.json\n" + original.replace(
        "scenario: debate", "scenario: duel"
    )
    assert yaml.safe_load(text)["scenario"] == "duel"
    assert json.loads((folder / "scenario.schema.json").read_text()) == json.loads(fellowship("schema").stdout)
    rows = [json.loads(line) for line in (folder / "data.jsonl").read_text().splitlines()]
    assert [set(row) for row in rows] == [{"id", "prompt", "a", "b"}] * 3
    check, test, run = map(shlex.split, document["next"])
    assert check == ["fellowship", "check", str(folder / "duel.yaml")]
    assert test == ["pytest", str(folder / "test_duel.py")]
    assert run[:5] == ["fellowship", "run", str(folder / "duel.yaml"), "--data", str(folder / "data.jsonl")]
    assert run[5:] == ["--model", "local/smollm2-135m"]


def _text_of(name: str) -> str:
    from fellowship.scenarios import loading

    return (Path(loading.__file__).parent / "library" / f"{name}.yaml").read_text()


def test_nothing_is_written_over_and_nothing_is_written_where_something_is_there(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text("mine\n")
    made = fellowship("new", "duel", "--to", tmp_path)
    assert made.exit_code == 2
    assert f"{tmp_path / 'data.jsonl'}: there already" in made.stderr.replace("\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]
    assert (tmp_path / "data.jsonl").read_text() == "mine\n"
    in_the_way = fellowship("new", "duel", "--to", tmp_path / "data.jsonl" / "x")
    assert in_the_way.exit_code == 2
    assert "cannot be written" in in_the_way.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("My Debate",), "'My Debate' is not a name: small letters, digits, - and _; did you mean 'my-debate'?"),
        (("x", "--like", "debat"), "unknown scenario 'debat'; did you mean 'debate'?"),
        (
            ("x", "--like", "evaluation"),
            "evaluation is a sweep, which has no flow to change: --like takes ",
        ),
        (("x", "--like", "none.yaml"), "there is no file none.yaml"),
    ],
)
def test_what_cannot_be_made_is_told(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    made = fellowship("new", *words, "--to", tmp_path / "new")
    assert made.exit_code == 2
    assert told in " ".join(made.stderr.split())
    assert "Traceback" not in made.stderr
    assert not (tmp_path / "new").exists()


def test_a_file_can_be_liked_too_and_keeps_its_comments(tmp_path: Path) -> None:
    first = fellowship("new", "one", "--like", "jury-escalating", "--to", tmp_path / "one")
    assert first.exit_code == 0, first.stderr
    second = fellowship("new", "two", "--like", tmp_path / "one/one.yaml", "--to", tmp_path / "two")
    assert second.exit_code == 0, second.stderr
    one, two = ((tmp_path / name / f"{name}.yaml").read_text() for name in ("one", "two"))
    assert two == one.replace("scenario: one", "scenario: two")
    assert two.count("yaml-language-server") == 1
    assert "Du et al. 2023" in two


def test_data_that_an_each_goes_through_is_in_the_sample(tmp_path: Path) -> None:
    liked = tmp_path / "points.yaml"
    liked.write_text(
        "scenario: points\ntakes: instruction\nmodels: {m: acme/m}\nagents: {writer: {role: generator}}\nflow:\n"
        "  - {each: point, of: data.points, do: [{ask: writer, for: draft, instructions: Mind $point.}]}\n"
        "  - {pick: last}\ngives: draft\n"
    )
    made = fellowship("new", "mine", "--like", liked, "--to", tmp_path / "mine")
    assert made.exit_code == 0, made.stderr
    rows = [json.loads(line) for line in (tmp_path / "mine/data.jsonl").read_text().splitlines()]
    assert all(len(row["points"]) == 2 for row in rows)
    assert (tmp_path / "mine/test_mine.py").read_text().count('("writer", "draft", ()),') == 2


@pytest.mark.parametrize("how", ["exact", "numeric", "choice"])
def test_a_scenario_of_questions_gets_questions_and_a_test_of_who_is_right(how: str, tmp_path: Path) -> None:
    liked = tmp_path / "guess.yaml"
    liked.write_text(
        f"# Guess.\nscenario: guess   # so far\ntakes: question\nanswers: {how}\nmodels: {{m: acme/m}}\n"
        "agents: {solver: {role: solver, count: 2}}\nflow:\n  - {ask: solver, for: answer}\n"
        "  - {decide: unique-mode}\ngives: answer\n"
    )
    made = fellowship("new", "mine", "--like", liked, "--to", tmp_path / "mine")
    assert made.exit_code == 0, made.stderr
    assert "scenario: mine   # so far" in (tmp_path / "mine/mine.yaml").read_text()
    rows = [json.loads(line) for line in (tmp_path / "mine/data.jsonl").read_text().splitlines()]
    assert [("choices" in row, "reference" in row) for row in rows] == [(how == "choice", True)] * 3
    test = (tmp_path / "mine/test_mine.py").read_text()
    assert '("solver-1", "answer", ())' in test
    assert "assert played.correct is True" in test
    assert '("tea", "failed")' not in test

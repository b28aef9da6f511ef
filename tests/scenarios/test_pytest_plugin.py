"""The fixture `fellowship_scenario`, as users have it in their own tests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playing import written
from plugged import INI, WITH_PLUGIN

from fellowship.protocols.errors import DeclarationError
from fellowship.scenarios.rehearsal import RehearsalRoom

pytest_plugins = ["pytester"]

SCENARIO = """\
scenario: mine
takes: comparison
models: {m: acme/m}
agents: {first: {role: debater}, second: {role: debater}}
flow:
  - {ask: [first, second], for: argument, order: in-turn, hears: everyone}
  - {ask: [first, second], for: ballot}
  - {decide: mean-score}
gives: verdict
"""
HEARD = [
    ("first", "argument", ()),
    ("second", "argument", ("first",)),
    ("first", "ballot", ("second",)),
    ("second", "ballot", ()),
]


async def test_an_async_test_awaits_it(fellowship_scenario: RehearsalRoom) -> None:
    played = await fellowship_scenario(SCENARIO, answers={"second": ["B is wrong.", {"score_a": 8, "score_b": 3}]})
    assert played.sequence == HEARD
    assert played.verdict == "a"
    with pytest.raises(RuntimeError, match="an async test awaits"):
        fellowship_scenario.play(SCENARIO)


def test_any_other_test_plays_it(fellowship_scenario: RehearsalRoom) -> None:
    assert fellowship_scenario.play(SCENARIO).sequence == HEARD
    items = [{"prompt": f"{number}?", "a": "x", "b": "y"} for number in range(2)]
    assert [played.sequence for played in fellowship_scenario.play(SCENARIO, items=items)] == [HEARD, HEARD]
    with pytest.raises(DeclarationError, match="did you mean 'first'"):
        fellowship_scenario.play(SCENARIO.replace("[first, second], for: ballot", "[frist, second], for: ballot"))


def test_files_are_looked_for_beside_the_test_and_a_failure_shows_what_was_said(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI)
    folder = pytester.mkdir("scenarios")
    (folder / "mine.yaml").write_text(SCENARIO)
    written(folder / "pairs.jsonl", 3)
    (folder / "test_mine.py").write_text(
        f"HEARD = {HEARD!r}\n"
        "def test_right(fellowship_scenario):\n"
        "    assert fellowship_scenario.play('mine.yaml').sequence == HEARD\n"
        "async def test_all(fellowship_scenario):\n"
        "    assert [each.sequence for each in await fellowship_scenario('mine.yaml', data='pairs.jsonl')] == [HEARD] * 3\n"
        "def test_wrong(fellowship_scenario):\n"
        "    played = fellowship_scenario.play('mine.yaml')\n"
        "    assert played.sequence == [('first', 'argument', ()), ('second', 'argument', ())]\n"
        "def test_typo(fellowship_scenario):\n"
        "    fellowship_scenario.play('mien.yaml')\n"
    )
    result = pytester.runpytest_inprocess(*WITH_PLUGIN, "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*At index 1 diff: ('second', 'argument', ('first',)) != ('second', 'argument', ())*"])
    result.stdout.fnmatch_lines(["*there is no file mien.yaml*"])


def test_the_examples_of_the_page_on_testing_pass_as_they_stand_there(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI)
    page = (Path(__file__).parents[2] / "docs/testing.md").read_text()
    for name, text in re.findall(r"```(?:yaml|python)\n# (\S+)\n(.*?)```", page, re.DOTALL):
        (pytester.path / name).write_text(text)
    pytester.runpytest_inprocess(*WITH_PLUGIN, "-p", "no:cacheprovider").assert_outcomes(passed=4)


def test_nothing_is_loaded_until_a_test_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_nothing():\n"
        "    heavy = ['fellowship.scenarios.rehearsal', 'pydantic', 'yaml', 'jinja2', 'numpy', 'openai', 'aiohttp']\n"
        "    assert not [name for name in heavy if name in sys.modules]\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", "-p", "fellowship.scenarios.pytest_plugin", "--noconftest"]
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [*words, tmp_path], cwd=tmp_path, env={**os.environ, **alone}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

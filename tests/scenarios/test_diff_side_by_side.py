"""Two runs on one item, side by side: what is the same once, what differs word by word."""

import asyncio
import json
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from playing import fellowship, items, library
from rich.console import Console
from telling import apart

from fellowship.protocols.errors import PromptTooLong
from fellowship.protocols.models import ModelCall
from fellowship.runtime.log import LogReader
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Plan, Settings, play
from fellowship.scenarios.traces.beside import Beside
from fellowship.scenarios.traces.talk import find, fold

Script = Callable[[ModelCall], str | Exception]


def saying(reason: str, score_b: float = 2) -> Script:
    """Return jurors of whom the third has reasons and a score of its own."""

    def vote(call: ModelCall) -> str:
        third = call.settings.model == "acme/third"
        said = {"reason": reason if third else "As always.", "score_a": 5, "score_b": score_b if third else 2}
        return json.dumps(said)

    return vote


def played(out: Path, script: Script = as_reply, made: Plan | None = None) -> Path:
    made = made or apart("jury", "flow.0.order=in-turn")
    asyncio.run(play(made, items(1), out, Settings(client=ScriptedModel(script))))
    return out


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.chdir(tmp_path)
    words = "The first is plainly {} and says all that was asked."
    first, second = saying(words.format("better")), saying(words.format("worse \x1b[31m[bold]x"), 8)
    return played(Path("one"), first), played(Path("other"), second)


def shown(runs: tuple[Path, Path], columns: int) -> list[str]:
    result = fellowship("diff", *runs, "i0", env={"COLUMNS": str(columns)})
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    return lines


def test_what_both_say_stands_once_and_words_that_differ_are_marked_in_two_columns(runs: tuple[Path, Path]) -> None:
    lines = shown(runs, 120)
    assert lines[1] == "Item i0"
    assert any(line.startswith("  first divergence, after ") for line in lines)
    start = next(number for number, line in enumerate(lines) if line.rstrip().endswith("│ other"))
    both = "\n".join(lines[start:])
    assert both.count("As always.") == 2
    assert re.search(
        r"^\d+ = \d+ second votes a, a 5 : b 2 \(combined of 10, shown ab\)\n      As always\.$", both, re.MULTILINE
    )
    left, right = ([line.split(" │ ")[side].rstrip() for line in lines if " │ " in line] for side in (0, 1))
    assert left[0] == "one"
    assert re.match(r"\d+ third votes a, a 5 : b 2 ", left[1])
    assert re.match(r"\d+ third votes b, a 5 : b 8 ", right[1])
    assert "The first is plainly [-better-] and says all that was asked." in " ".join(left)
    assert "The first is plainly {+worse �[31m[bold]x+} and says all that was asked." in " ".join(right)
    end = lines.index("What became of it, and what it took")
    assert re.fullmatch(r"done: a, a 5 : b 2 +│ done: a, a 5 : b 4", lines[end + 1])
    assert re.match(r"3 calls, .* cost not known.*│ 3 calls, ", lines[end + 2])


def test_where_it_is_narrow_one_stands_below_the_other_and_the_words_that_differ_in_one_text(
    runs: tuple[Path, Path],
) -> None:
    lines = shown(runs, 80)
    assert "│" not in "".join(lines)
    words = " ".join(" ".join(lines).split())
    assert "The first is plainly [-better-] {+worse �[31m[bold]x+} and says all that was asked." in words
    assert re.search(r"< \d+ third votes a, .* > \d+ third votes b, ", words)
    assert re.search(r"< done: a, a 5 : b 2 3 calls, .* > done: a, a 5 : b 4 3 calls, ", words)


def test_colours_stand_in_place_of_brackets_and_not_alone(runs: tuple[Path, Path]) -> None:
    with LogReader(runs[0] / "run.db") as one, LogReader(runs[1] / "run.db") as other:
        beside = Beside(fold(one, find(one, "i0")), fold(other, find(other, "i0")), ("one", "other"))
    page = StringIO()
    Console(file=page, width=120, force_terminal=True, color_system="standard", no_color=False).print(beside)
    assert "\x1b[1;4;31mbetter\x1b[0m" in page.getvalue()
    assert "\x1b[1;4;32mworse �[31m[bold]x\x1b[0m" in page.getvalue()
    assert "[-" not in page.getvalue()


def test_what_one_run_alone_says_has_nothing_beside_it(tmp_path: Path) -> None:
    def failing(call: ModelCall) -> str | Exception:
        return PromptTooLong("9,000 tokens") if "round 2" in str(call.messages[-1].content) else as_reply(call)

    one = played(tmp_path / "one", made=library("debate"))
    other = played(tmp_path / "other", failing, library("debate"))
    lines = shown((one, other), 140)
    assert lines.count("Round 1") == lines.count("Round 2") == 1
    assert any(re.match(r"\d+ public argues .*│ \d+ public failed \(try 1, then fail\): 9,000 tokens", line) for line in lines)  # fmt: skip
    assert any(re.match(r"\d+ critic votes tie.*│ \(nothing\)$", line) for line in lines)
    assert any(re.match(r"done: tie, a 5 : b 5 +│ failed: PromptTooLong$", line) for line in lines)


def test_the_json_document_is_as_it_was_and_the_same_is_told_in_a_line(runs: tuple[Path, Path]) -> None:
    found = json.loads(fellowship("diff", *runs, "i0", "--json").stdout)
    assert set(found) == {"item", "first", "second", "same", "verdict_changed", "data", "divergence"}
    same = fellowship("diff", runs[0], runs[0], "i0")
    assert same.exit_code == 0
    assert same.stdout.splitlines()[-1] == "Not a message differs."

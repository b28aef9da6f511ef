"""Broken scenario files, one mistake each: `check` tells the one right thing at the right place.

A case is a file in broken/: its first lines say what is told, as in `# expect: 7:4: unknown agent 'tow'`, one line for
each message. A place in another file begins with its name. `# mind:` is for what is told of a file that is right.
"""

import re
from pathlib import Path

import pytest
from playing import fellowship

BROKEN = Path(__file__).parent / "broken"
FILES = sorted(BROKEN.glob("*.yaml"))
SAID = re.compile(r"^# (expect|mind): (.*)$")


def said_to_be_told(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [match[2] for line in lines if (match := SAID.match(line))]


def told(file: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[str]]:
    """Return the exit code and the messages of `check`, each without the file's own name."""
    monkeypatch.chdir(file.parent)
    result = fellowship("check", file.name)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    lines = [
        re.sub(r"^(fellowship|mind|not played unless asked for): ", "", line) for line in result.stderr.splitlines()
    ]
    return result.exit_code, [line.removeprefix(f"{file.name}:").strip() for line in lines]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_broken_file_is_told_what_is_wrong_at_its_place_and_nothing_else(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = said_to_be_told(file)
    assert expected, f"{file.name} does not say what is expected"
    code, lines = told(file, monkeypatch)
    assert sorted(lines) == sorted(expected)
    is_right = file.read_text(encoding="utf-8").startswith("# mind: ")
    assert code == (0 if is_right else 2)


def test_nearly_every_file_has_one_mistake_and_one_message() -> None:
    counts = [len(said_to_be_told(file)) for file in FILES]
    assert len(FILES) >= 200
    assert counts.count(1) >= 0.95 * len(counts)
    assert max(counts) == 3, "a few files have three mistakes, told all at once"


def test_a_message_that_knows_the_word_that_was_meant_names_it() -> None:
    unknown = [file for file in FILES if file.stem.startswith(("unknown-", "three-unknown"))]
    hinted = [file for file in unknown if all("did you mean" in line for line in said_to_be_told(file))]
    assert len(unknown) >= 45
    assert {file.stem for file in set(unknown) - set(hinted)} <= {"unknown-file-in-use", "unknown-model-behind-alias"}


def test_a_line_that_is_told_is_a_line_of_the_file() -> None:
    for file in FILES:
        lines = file.read_text(encoding="utf-8").splitlines()
        for each in said_to_be_told(file):
            place = re.match(r"^(\d+):(\d+): ", each)
            if place is not None:
                line, column = int(place[1]), int(place[2])
                assert not lines[line - 1].startswith("#"), f"{file.name}: {each}"
                assert column <= len(lines[line - 1]) + 1, f"{file.name}: {each}"

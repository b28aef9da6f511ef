"""LibYAML reads what it reads as PyYAML does; the rest is PyYAML's, which says what is wrong and where."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fellowship.protocols.errors import DeclarationError
from fellowship.scenarios.source import Source, read

ROOT = Path(__file__).parents[2]
TEXTS = sorted(
    path.read_text(encoding="utf-8")
    for folder in ("scenarios/library", "examples", "tests/scenarios/broken")
    for path in (ROOT / folder).glob("*.yaml")
)
ODD = (
    "\t",
    "?",
    "!",
    ":",
    "-",
    "[",
    "]",
    "{",
    "}",
    "'",
    '"',
    "#",
    "&a ",
    "*a",
    "|",
    ">",
    "%",
    "@",
    "`",
    ",",
    "\n",
    " ",
    "é",
)


def by_both(text: str) -> tuple[Source | str, Source | str]:
    """Return what is read or told with LibYAML, and without it."""
    with pytest.MonkeyPatch.context() as patch:
        quick = read_or_told(text)
        patch.setattr(yaml, "__with_libyaml__", False)
        return quick, read_or_told(text)


def read_or_told(text: str) -> Source | str:
    try:
        return read(text, "s.yaml")
    except DeclarationError as error:
        return str(error)


def test_every_scenario_has_the_same_parts_at_the_same_places_with_and_without_libyaml() -> None:
    assert len(TEXTS) > 250
    for text in TEXTS:
        quick, slow = by_both(text)
        assert quick == slow


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TEXTS), st.floats(0, 1), st.sampled_from(ODD), st.booleans())
def test_a_slip_is_told_in_the_same_words_at_the_same_place(text: str, at: float, odd: str, over: bool) -> None:
    place = int(at * len(text))
    quick, slow = by_both(text[:place] + odd + text[place + over :])
    assert quick == slow


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("s\tcenario: s", "s.yaml:1:2: not YAML: a tab: YAML is indented with blanks"),
        ("a: {re?viewer: m}", "s.yaml:1:7: not YAML: expected ',' or '}', but got '?'"),
        ("a: 'b", "s.yaml:1:4: not YAML: a quotation mark opens here and none closes it"),
        ("a: " + "[" * 10_000, "s.yaml: lists and mappings are nested too deep"),
    ],
)
def test_what_libyaml_would_take_or_tell_otherwise_is_told_as_ever(text: str, told: str) -> None:
    assert by_both(text) == (told, told)

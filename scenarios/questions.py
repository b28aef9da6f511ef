"""Rows of questions with a known answer: their choices, the answer, and what is wrong with either."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from ..protocols.answering import LETTERS, Answers, key
from ..protocols.errors import nearest
from ..protocols.items import Item
from .rows import Row

FINAL = re.compile(r"^\s*####[ \t]*(\S.*?)\s*\Z", re.MULTILINE)
"""The last line of GSM8K's answers."""
BOX = re.compile(r"\\(?:boxed|fbox)(?:\s*(?=\{)|\s+(?=[^\s{]))")
SHORT = 60
KINDS: Mapping[Answers, str] = {"exact": "an answer in words", "numeric": "one number", "choice": "one of the choices"}


@dataclass(frozen=True, slots=True)
class Choices:
    """What may be answered, in the data's order."""

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    """What the data call them; none where they only have places."""


def choices_of(column: str, value: object) -> Choices | None:
    """Return the choices that a column has; None where it has nothing.

    They are a list of texts, ARC's `{"label": [...], "text": [...]}`, or a mapping of labels to texts; in a table of
    texts, such as CSV, one of these as JSON.

    Raises:
        ValueError: they are none of these, or fewer than two.
    """
    if isinstance(value, str) and value.strip():
        try:
            value = cast("object", orjson.loads(value))
        except orjson.JSONDecodeError:
            raise ValueError(f"{column} is no list of choices, but text {_short(value)}") from None
    if not value:
        return None
    texts, labels = _parted(value)
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{column} has choices that are no texts: {_short(value)}")
    if len(texts) < 2 or (labels and len(labels) != len(texts)):
        raise ValueError(f"{column} is no list of two texts or more: {_short(value)}")
    return Choices(tuple(map(str, texts)), tuple(map(str, labels)))


def _parted(value: object) -> tuple[Sequence[object], Sequence[object]]:
    if isinstance(value, dict):
        named = cast("dict[object, object]", value)
        texts, labels = named.get("text"), named.get("label")
        if isinstance(texts, list) and isinstance(labels, list):
            return cast("list[object]", texts), cast("list[object]", labels)
        return list(named.values()), list(named)
    return (cast("list[object]", value), ()) if isinstance(value, list) else ((), ())


def known_answer(column: str, value: object, choices: Choices | None) -> str | None:
    """Return the known answer of a question: a text; None where the column has nothing.

    A whole number beside choices is a place among them, from 0, and a label is that choice; it becomes the choice's
    text. Another number is the text that it is written as.

    Raises:
        ValueError: it is neither text nor number, or it names a choice that there is not.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        what = f"a known answer is text or a number, and column {column!r} has {_short(value)}"
        raise ValueError(what)  # noqa: TRY004 - the row is at fault, not the caller
    if choices is None:
        return value if isinstance(value, str) else str(value)
    if isinstance(value, int):
        if not 0 <= value < len(choices.texts):
            raise ValueError(f"{column} is {value}, and the {len(choices.texts)} choices are counted from 0")
        return _told(value, choices.texts)
    if not choices.labels:
        return str(value)  # a letter, or a text: answers are compared with it as they are with one another
    for names in (choices.labels, choices.texts):
        if value in names:
            return _told(names.index(str(value)), choices.texts)
    raise ValueError(f"{column} is {_short(value)}, which is no choice{nearest(str(value), choices.labels)}")


def _told(place: int, texts: Sequence[str]) -> str:
    """Return a choice's text; with its letter, where the text alone would say another one, or two."""
    text = texts[place]
    alone = text.strip(" .()").upper()
    misread = alone in set(LETTERS[: len(texts)]) - {LETTERS[place : place + 1]}
    return f"{LETTERS[place]}) {text}" if place < len(LETTERS) and (misread or texts.count(text) > 1) else text


def why_unscored(item: Item, how: Answers) -> str | None:
    """Return why answers to an item cannot be told right from wrong though its data mean them to be; None: they can.

    An item whose answer is not known is not meant to be.
    """
    if how == "choice" and not item.choices:
        return "there are no choices, and answers are choices here (a column choices, or --map choices=COLUMN)"
    if how == "choice" and len(item.choices) > len(LETTERS):
        return f"there are {len(item.choices)} choices, and no more than {len(LETTERS)} letters"
    if item.reference is None or key(item.reference, how, item.choices) is not None:
        return None
    among = f": {', '.join(item.choices)}" if how == "choice" else ""
    return f"the known answer {_short(item.reference)} is not {KINDS[how]}{among[:SHORT]}"


def is_final(row: Row) -> bool:
    """Whether an answer is as GSM8K has it: worked out, with a last line `#### 42`."""
    return isinstance(row.get("answer"), str) and FINAL.search(row["answer"]) is not None


def final(row: Row) -> Row:
    """Return a row of GSM8K's with what is after #### as the known answer; how it is worked out stays in `answer`.

    A column `reference` is the known answer where there is one.

    Raises:
        ValueError: there is an answer without such a line.
    """
    answer: Any = row["answer"]
    if answer is None or answer == "" or "reference" in row:
        return row
    found = FINAL.search(answer) if isinstance(answer, str) else None
    if found is None:
        raise ValueError(f"answer has no last line `#### …`, as that of the first row has: {_short(answer)}")
    return {**row, "reference": found[1]}


def boxed(row: Row) -> Row:
    r"""Return a row of MATH's with its `answer`, or else what its solution boxes last, as the known answer.

    A column `reference` is the known answer where there is one.

    Raises:
        ValueError: there is a solution, and no answer and nothing in a \boxed{…}.
    """
    solution: Any = row["solution"]
    if "reference" in row:
        return row
    if row.get("answer") not in (None, ""):
        return {**{name: value for name, value in row.items() if name != "answer"}, "reference": row["answer"]}
    if solution is None or solution == "":
        return row
    found = last_box(solution) if isinstance(solution, str) else None
    if found is None:
        raise ValueError(rf"solution has no \boxed{{…}}, and there is no answer: {_short(solution)}")
    return {**row, "reference": found}


def last_box(text: str) -> str | None:
    r"""Return what stands in the last \boxed{…} or \fbox{…} of a text, braces within it included; None without one."""
    found = list(BOX.finditer(text))
    if not found:
        return None
    start = found[-1].end()
    if text[start] != "{":
        return text[start]
    depth = 0
    for place in range(start, len(text)):
        if text[place - 1] == "\\":
            continue  # \{ is a brace that is shown
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start + 1 : place].strip() or None
    return None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHORT else f"{text[: SHORT - 3]}..."

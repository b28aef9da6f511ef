"""Markdown in which words of models and data stay words: they open no block, and end none."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

from pydantic import JsonValue

from ...runtime.printable import plain
from ..tables.shown import text

LONGEST = 400
"""Characters of a text that an example shows."""
MOST = 6
"""Parts of a list that an example shows."""


def code(words: str) -> str:
    """Return a name as code; one that code cannot hold as text."""
    name = " ".join(plain(words).split())
    return f"`{name}`" if name and not set("`|") & set(name) else text(words)


def fenced(words: str, language: str = "") -> str:
    """Return a block of code whose fence is longer than any run of backticks within; without control characters."""
    words = plain(words)
    longest = max((len(run) for run in re.findall(r"`+", words)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{words.rstrip()}\n{fence}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """Return a table of cells that are Markdown already.

    Args:
        columns: Titles.
        rows: Cells.
        words: How many columns, from the left, are words; figures stand to the right.
    """
    lines = [columns, [":--" if place < words else "--:" for place in range(len(columns))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(row: Mapping[str, JsonValue]) -> str:
    """Return a row of a data set as JSON to be looked at: long texts and lists shortened, with a mark."""
    document = cast("dict[str, JsonValue]", _short(dict(row)))
    return "{\n" + ",\n".join(_lines(document, "  ", 2)) + "\n}"


def _lines(document: Mapping[str, JsonValue], indent: str, depth: int) -> Iterator[str]:
    """Return the fields of an object, each on a line of its own; so are those of their parts, to a depth."""
    for key, value in document.items():
        name = f"{indent}{json.dumps(key, ensure_ascii=False)}: "
        if isinstance(value, dict) and value and depth > 1:
            yield name + "{\n" + ",\n".join(_lines(value, f"{indent}  ", depth - 1)) + f"\n{indent}}}"
        elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
            parts = ",\n".join(f"{indent}  {json.dumps(part, ensure_ascii=False)}" for part in value)
            yield f"{name}[\n{parts}\n{indent}]"
        else:
            yield name + json.dumps(value, ensure_ascii=False)


def _short(value: JsonValue) -> JsonValue:
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{value[:LONGEST]} [… {len(value) - LONGEST:,} more characters]"
    if isinstance(value, list):
        kept = [_short(part) for part in value[:MOST]]
        return [*kept, f"[… {len(value) - MOST:,} more]"] if len(value) > MOST else kept
    if isinstance(value, dict):
        return {key: _short(part) for key, part in value.items()}
    return value

"""Columns of a row, and the ways to name them: by name, by a path into them, or several joined."""

from typing import Any, cast

from .rows import Row

MISSING = object()
"""What is found where there is no such column."""


def parts(column: str, row: Row) -> tuple[str, ...]:
    """Return the columns that an expression such as `instruction+input` or `turns.0` reads."""
    if column in row:
        return (column,)
    return tuple(part if part in row else part.split(".")[0] for part in column.split("+"))


def lookup(column: str, row: Row) -> Any:  # noqa: ANN401 - a row's value may be anything
    """Return a column's value: a name, a path into it (`turns.0`), or several joined by a blank line (`a+b`)."""
    if column in row:
        return row[column]
    if "+" in column:
        texts = [lookup(part, row) for part in column.split("+")]
        if MISSING in texts:
            return MISSING
        if all(isinstance(text, str) for text in texts):
            return "\n\n".join(text for text in texts if text)
        return texts
    value: Any = row
    for part in column.split("."):
        value = _part(value, part)
    return value


def _part(value: Any, part: str) -> Any:  # noqa: ANN401 - as above
    if isinstance(value, dict):
        return cast("Row", value).get(part, MISSING)
    if isinstance(value, list) and part.isdecimal():
        values = cast("list[object]", value)
        return values[int(part)] if int(part) < len(values) else MISSING
    return MISSING

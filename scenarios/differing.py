"""Where two documents differ, as lines that a person reads."""

import json
from collections.abc import Iterator
from typing import cast

LONGEST_VALUE = 60
"""Characters of a value that are shown."""


def differences(before: object, after: object, path: str = "") -> Iterator[str]:
    """Return a line for each place at which two JSON documents differ: `path: X then, Y now`."""
    if before == after:
        return
    if (parts := _fields(before, after) or _parts(before, after)) is not None:
        for name, one, two in parts:
            yield from differences(one, two, f"{path}.{name}" if path else name)
    else:
        was, is_now = _words(before), _words(after)
        yield f"{path}: {_short(was, is_now)} then, {_short(is_now, was)} now"


Parts = list[tuple[str, object, object]]
"""Name of each part, as it was and as it is."""


def _fields(before: object, after: object) -> Parts | None:
    """Return the fields of two mappings, side by side; None where they are none. What is not set is empty."""
    if not isinstance(before, dict | None) or not isinstance(after, dict | None):
        return None
    then, now = cast("dict[str, object]", before or {}), cast("dict[str, object]", after or {})
    return [(name, then.get(name), now.get(name)) for name in dict.fromkeys([*then, *now])]


def _parts(before: object, after: object) -> Parts | None:
    """Return the parts of two lists of one length, side by side; None where they are none."""
    if not isinstance(before, list) or not isinstance(after, list):
        return None
    then, now = cast("list[object]", before), cast("list[object]", after)
    if len(then) != len(now):
        return None
    return [(str(place), one, two) for place, (one, two) in enumerate(zip(then, now, strict=True))]


def _words(value: object) -> str:
    return "not set" if value is None else json.dumps(value, ensure_ascii=False)


def _short(text: str, other: str) -> str:
    """Return a text, or, of a long one, the part in which it begins to differ from another."""
    if len(text) <= LONGEST_VALUE:
        return text
    pairs = zip(text, other, strict=False)
    same = next((place for place, (one, two) in enumerate(pairs) if one != two), min(len(text), len(other)))
    first = min(max(0, same - LONGEST_VALUE // 2), len(text) - LONGEST_VALUE)
    last = first + LONGEST_VALUE
    return f"{'...' if first else ''}{text[first:last]}{'...' if last < len(text) else ''}"

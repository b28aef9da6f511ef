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
    if isinstance(before, dict | None) and isinstance(after, dict | None):
        then, now = cast("dict[str, object]", before or {}), cast("dict[str, object]", after or {})
        for key in dict.fromkeys([*then, *now]):
            yield from differences(then.get(key), now.get(key), f"{path}.{key}" if path else key)
    elif (parts := _parts(before, after)) is not None:
        for place, (one, two) in enumerate(parts):
            yield from differences(one, two, f"{path}.{place}")
    else:
        was, is_now = _words(cast("object", before)), _words(cast("object", after))
        yield f"{path}: {_short(was, is_now)} then, {_short(is_now, was)} now"


def _parts(before: object, after: object) -> list[tuple[object, object]] | None:
    """Return the parts of two lists of one length, side by side; None where they are none."""
    if not isinstance(before, list) or not isinstance(after, list):
        return None
    then, now = cast("list[object]", before), cast("list[object]", after)
    return list(zip(then, now, strict=True)) if len(then) == len(now) else None


def _words(value: object) -> str:
    return "not set" if value is None else json.dumps(value)


def _short(text: str, other: str) -> str:
    """Return a text, or, of a long one, the part in which it begins to differ from another."""
    if len(text) <= LONGEST_VALUE:
        return text
    pairs = zip(text, other, strict=False)
    same = next((place for place, (one, two) in enumerate(pairs) if one != two), min(len(text), len(other)))
    first = min(max(0, same - LONGEST_VALUE // 2), len(text) - LONGEST_VALUE)
    last = first + LONGEST_VALUE
    return f"{'...' if first else ''}{text[first:last]}{'...' if last < len(text) else ''}"

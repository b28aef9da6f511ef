"""Where two documents differ, as lines that a person reads."""

import json
from collections.abc import Iterator
from typing import Any, cast

LONGEST_VALUE = 60
"""Characters of a value that are shown."""


def differences(before: object, after: object, path: str = "") -> Iterator[str]:
    """Return a line for each place at which two JSON documents differ: `path: X then, Y now`."""
    if isinstance(before, dict | None) and isinstance(after, dict | None) and before != after:
        then, now = cast("dict[str, object]", before or {}), cast("dict[str, object]", after or {})
        for key in dict.fromkeys([*then, *now]):
            yield from differences(then.get(key), now.get(key), f"{path}.{key}" if path else key)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _in_lists(cast("list[object]", before), cast("list[object]", after), path)
    elif before != after:
        yield f"{path}: {short(before)} then, {short(after)} now"


def _in_lists(before: list[object], after: list[object], path: str) -> Iterator[str]:
    """Go into lists that are as long as each other; in others, nobody knows which part became which."""
    if len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{path}.{place}")
    else:
        yield f"{path}: {short(before)} then, {short(after)} now"


def short(value: Any) -> str:  # noqa: ANN401 - a part of a document
    """Return a value as JSON, its beginning where it is long."""
    text = "not set" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."

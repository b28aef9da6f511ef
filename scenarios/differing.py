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
    elif before != after:
        yield f"{path}: {short(before)} then, {short(after)} now"


def short(value: Any) -> str:  # noqa: ANN401 - a part of a document
    """Return a value as JSON, its beginning where it is long."""
    text = "not set" if value is None else json.dumps(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."

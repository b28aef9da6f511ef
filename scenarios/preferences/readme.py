"""README.md of an export: what `datasets` loads it by, and the first row of each configuration."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import yaml

from ..rows import rows
from .exported import Exported
from .formats import Row
from .front import loading


def examples(exported: Exported, now: Mapping[str, Row], to: Path) -> dict[str, Row]:
    """Return the first row of every configuration that has one, whether it was written now or before.

    Args:
        exported: What the folder will hold.
        now: The first rows of what was written now.
        to: The folder, which has what was written before.
    """
    found: dict[str, Row] = {}
    for written in exported.written:
        if written.config in now:
            found[written.config] = now[written.config]
            continue
        for name in islice(written.files.values(), 1):
            found[written.config] = next(row for _, row in rows(to / name))
    return found


def bare_card(exported: Exported, examples: Mapping[str, Row]) -> str:
    """Return a README.md of what `datasets` needs to know: a folder's configurations, their files and types."""
    del examples
    return f"---\n{yaml.safe_dump(loading(exported), sort_keys=False)}---\n"

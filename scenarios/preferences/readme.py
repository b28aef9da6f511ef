"""README.md of an export: where the files are, for `datasets`, and the first row of each configuration."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import yaml

from ..rows import rows
from .exported import Exported
from .formats import Row


def examples(exported: Exported, stage: Path, to: Path) -> dict[str, Row]:
    """Return the first row of every configuration that has one, whether it was written now or before."""
    found: dict[str, Row] = {}
    for written in exported.written:
        for name in islice(written.files.values(), 1):
            path = stage / name if (stage / name).is_file() else to / name
            found[written.config] = next(row for _, row in rows(path))
    return found


def bare_card(exported: Exported, examples: Mapping[str, Row]) -> str:
    """Return a README.md of what `datasets` needs to know, a folder's configurations by name, and no more."""
    configs = [
        {
            "config_name": written.config,
            "description": f"rows {written.digest}",
            "data_files": [{"split": split, "path": path} for split, path in written.files.items()],
        }
        for written in exported.written
        if written.config in examples
    ]
    return f"---\n{yaml.safe_dump({'configs': configs}, sort_keys=False)}---\n"

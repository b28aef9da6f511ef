"""The front matter of a card: what a hub of data sets, and the package `datasets`, read of it."""

from collections.abc import Sequence
from typing import Any

import yaml

from .exported import FORMATS, Exported
from .features import features

ASSUMED = ("en",)
"""The language of texts, where nobody said."""
_NAMES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")


def front_matter(exported: Exported, scenario: str, licence: str | None, languages: Sequence[str]) -> str:
    """Return the front matter, with its fences.

    Args:
        exported: What was written.
        scenario: Its name.
        licence: As the hub names it, such as `cc-by-4.0`; without one the key is left out.
        languages: ISO 639 codes.
    """
    formats = {written.format for written in exported.written}
    document: dict[str, Any] = {
        "language": list(languages),
        **({"license": licence} if licence else {}),
        "pretty_name": pretty_name(scenario),
        "size_categories": [size_category(sum(sum(written.rows.values()) for written in exported.written))],
        "task_categories": ["text-generation"],
        "tags": [
            "synthetic",
            "preference",
            "rlaif",
            *(target for target in FORMATS if target in formats),
            "trl",
            "fellowship",
        ],
        **loading(exported),
    }
    return f"---\n{yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)}---\n"


def pretty_name(scenario: str) -> str:
    """Return what a data set is called: `feedback-loop` makes `Preferences of feedback-loop`."""
    return f"Preferences of {scenario}"


def size_category(rows: int) -> str:
    """Return the hub's name for a number of rows, such as `1K<n<10K`; a bound is in the upper one."""
    place = 0
    while place < len(_NAMES) and rows >= 1_000 * 10**place:
        place += 1
    if place == 0:
        return "n<1K"
    return f"n>{_NAMES[-1]}" if place == len(_NAMES) else f"{_NAMES[place - 1]}<n<{_NAMES[place]}"


def loading(exported: Exported) -> dict[str, Any]:
    """Return what `datasets` loads the folder by: the files and the types of every configuration that has rows.

    A file without any cannot be loaded, and is not named.
    """
    configs: list[dict[str, Any]] = []
    types: list[dict[str, Any]] = []
    for config in exported.written:
        files = [{"split": split, "path": path} for split, path in config.files.items() if config.rows.get(split)]
        if files:
            marked = {"description": f"rows {config.digest}"} if config.digest else {}
            first = {} if configs else {"default": True}
            configs.append({"config_name": config.config, **marked, "data_files": files, **first})
            types.append({"config_name": config.config, "features": features(config.format, implicit=config.implicit)})
    return {"configs": configs, **({"dataset_info": types} if types else {})}

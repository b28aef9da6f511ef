"""Data sets of a hub: fetched once by the package `datasets`, then a file like any other."""

from collections.abc import Mapping
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import Any

from ..protocols.errors import DeclarationError, nearest
from ..runtime.models import weights
from .conversations import Turns

PREFIX = "hub:"
READY: Mapping[str, str] = {
    "alpaca-eval": "ma-eval/alpaca-eval",
    "fair-eval": "ma-eval/fair-eval",
    "pandalm-eval": "ma-eval/pandalm-eval",
    "mt-bench": "ma-eval/mt-bench",
    "argilla-capybara-prompts": "ma-eval/argilla-capybara-prompts",
    "argilla-capybara-prompts-subset": "ma-eval/argilla-capybara-prompts-subset",
    "no-robots": "ma-eval/no-robots",
}
"""Short names: the paper's own data, with what people said, and the prompts that it generated from."""
FIRST_TURNS = frozenset({"argilla-capybara-prompts", "argilla-capybara-prompts-subset"})
"""Of whose conversations the user's first turn is the prompt, as in the paper; `--turns last` says otherwise."""


def file_of(data: str) -> Path:
    """Return the file of a data set: as named, or of `hub:NAME`; raises DeclarationError as `fetch` does."""
    return fetch(data) if data.startswith(PREFIX) else Path(data)


def turns_of(data: str) -> Turns:
    """Return which turn of a data set's conversations is the prompt, where nobody says it."""
    return "first" if data.startswith(PREFIX) and _name(data)[0] in FIRST_TURNS else "last"


def _name(data: str) -> tuple[str, str]:
    """Return the name and the split; the split may be empty."""
    name, _, split = data.removeprefix(PREFIX).partition(":")
    return name, split


def fetch(data: str, folder: Path | None = None) -> Path:
    """Return a file of the rows of `hub:NAME[:SPLIT]`, fetched where it is not there yet.

    NAME is a ready name such as `mt-bench`, ORGANISATION/NAME, or a folder of data files. Without a split there must be
    one only. What was fetched is kept by the fingerprint of its content, in the user's cache folder; `datasets` keeps
    what it downloads, so that it is there without a network, too.

    Args:
        data: What is wanted.
        folder: Where the file is kept, in place of the cache folder.

    Raises:
        DeclarationError: the extra `data` is not installed, there is no such data set or split, or it cannot be read.
    """
    name, split = _name(data)
    if not name:
        raise DeclarationError(f"{data!r} names no data set: write hub:NAME, as in hub:mt-bench")
    if "/" not in name and name not in READY and not Path(name).is_dir():
        raise DeclarationError(f"unknown data set {name!r}{nearest(name, READY)}, or ORGANISATION/NAME")
    rows = _loaded(name, split)
    known = blake2b(f"{name}:{split}:{rows._fingerprint}".encode(), digest_size=8).hexdigest()  # noqa: SLF001 - as the library's own cache does
    path = (folder or weights.cache() / "data") / f"{name.replace('/', '-').strip('-')}-{known}.parquet"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        rows.to_parquet(str(part))
        part.replace(path)
    return path


def _loaded(name: str, split: str) -> Any:  # noqa: ANN401 - the library ships no types
    try:
        datasets: Any = import_module("datasets")  # an extra, and heavy
    except ImportError as error:
        raise DeclarationError("hub:… needs the extra `data`: pip install 'llm-fellowship[data]'") from error
    datasets.disable_progress_bars()
    try:
        found: Any = datasets.load_dataset(READY.get(name, name))
    except Exception as error:  # its errors, and those of the libraries below it, have no common class
        what = " ".join(str(error).split())[:200]
        raise DeclarationError(
            f"data set {READY.get(name, name)} cannot be had: {type(error).__name__}: {what}"
        ) from error
    splits = list(found)
    if split and split not in splits:
        raise DeclarationError(f"{name} has no split {split!r}{nearest(split, splits)}")
    if not split and len(splits) > 1:
        there = ", ".join(f"{each} ({len(found[each])} rows)" for each in splits)
        raise DeclarationError(f"{name} has several splits: write {PREFIX}{name}:{splits[0]}; there is {there}")
    return found[split or splits[0]]

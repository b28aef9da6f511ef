"""A run's directory: what lies in it, what an earlier start has left there, and whether it is a run of the same."""

import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from ..protocols.errors import DeclarationError, LogError
from ..protocols.identity import ItemId
from ..protocols.items import Item
from ..protocols.lifecycle import ItemFinished, ItemOpened
from ..runtime.log import LogReader, SqliteLog
from .differing import differences
from .steps import Plan

LOG = "run.db"
RECORD = "run.yaml"
RESULTS = "results.jsonl"
MOST_CHANGES = 8
"""Changes named when a directory holds a run of something else."""


@dataclass(slots=True)
class Earlier:
    """What earlier starts have left."""

    ended: dict[ItemId, bytes] = field(default_factory=dict[ItemId, bytes])
    """Items that have an outcome, each with its digest."""
    begun: dict[ItemId, int] = field(default_factory=dict[ItemId, int])
    """How often an item was begun."""
    done: int = 0
    failed: int = 0


def prepare(plan: Plan, items: Iterable[Item], out: Path, seed: int) -> Earlier:
    """Make the directory, or look what a run has left in it.

    Raises:
        DeclarationError: it holds something else, or a run of something else; or two items have one id.
    """
    earlier = Earlier()
    if (out / LOG).exists():
        with LogReader(out / LOG) as reader:
            played = reader.meta("played")
            if played is not None:
                _same(json.loads(played), _played(plan, seed), out)
            earlier = _left(reader)
    elif out.exists() and (not out.is_dir() or any(entry.suffix != ".lock" for entry in out.iterdir())):
        raise DeclarationError(f"{out} is there already and is not a run: choose another --out")
    _look_at(items, earlier, out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeclarationError(f"{out} cannot be written: {error.strerror}") from error
    return earlier


def _look_at(items: Iterable[Item], earlier: Earlier, out: Path) -> None:
    """Check that every item has its own id, and that those with an outcome are what they were."""
    seen: set[ItemId] = set()
    changed: list[ItemId] = []
    for item in items:
        if item.id in seen:
            raise DeclarationError(f"two items have the id {item.id!r}")
        seen.add(item.id)
        if earlier.ended.get(item.id, digest := _digest(item)) != digest:
            changed.append(item.id)
    gone = [item for item in earlier.ended if item not in seen]
    for ids, what in (
        (changed, "changed in the data since"),
        (gone, "not in the data now"),
    ):
        if ids:
            raise DeclarationError(
                f"{out} holds outcomes of {len(ids)} items that are {what}, such as {ids[0]!r}: choose another --out"
            )


def _digest(item: Item) -> bytes:
    try:
        return blake2b(item.model_dump_json().encode(), digest_size=8).digest()
    except ValueError as error:  # pydantic's, for text that is not Unicode
        raise DeclarationError(f"item {item.id!r} cannot be written down: {error}") from error


def _left(reader: LogReader) -> Earlier:
    earlier = Earlier()
    open_items: dict[str, Item] = {}
    for event in reader.events(kinds=("item_opened", "item_finished", "item_failed")):
        message = event.message()
        if isinstance(message, ItemOpened):
            open_items[event.conversation] = message.item
            earlier.begun[message.item.id] = earlier.begun.get(message.item.id, 0) + 1
            continue
        item = open_items.pop(event.conversation)
        earlier.ended[item.id] = _digest(item)
        del earlier.begun[item.id]
        if isinstance(message, ItemFinished):
            earlier.done += 1
        else:
            earlier.failed += 1
    return earlier


def describe(plan: Plan, out: Path, log: SqliteLog, seed: int, about: Mapping[str, str]) -> None:
    """Say in the log and in run.yaml what is played."""
    log.note(name=plan.scenario.scenario, played=json.dumps(_played(plan, seed)))
    text = yaml.safe_dump(_record(plan, seed, about), sort_keys=False, allow_unicode=True)
    try:
        (out / RECORD).write_text(text, encoding="utf-8")
    except OSError as error:
        raise LogError(f"{out / RECORD} cannot be written: {error.strerror}") from error


def _played(plan: Plan, seed: int) -> dict[str, Any]:
    """Return all that decides what a run says, for comparison with a later start."""
    return {
        "scenario": plan.scenario.document(),
        "models": {
            name: profile.settings.model_dump(mode="json", exclude_defaults=True)
            for name, profile in plan.profiles.items()
        },
        "prompts": plan.prompt_digests(),
        "seed": seed,
    }


def _record(plan: Plan, seed: int, about: Mapping[str, str]) -> dict[str, Any]:
    packages = ("llm-fellowship", "aiohttp", "openai", "pydantic")
    versions = {"python": platform.python_version(), **{name: version(name) for name in packages}}
    return {**_played(plan, seed), **about, "versions": versions}


def _same(earlier: dict[str, Any], now: dict[str, Any], out: Path) -> None:
    changes = list(differences(earlier, json.loads(json.dumps(now))))
    if changes:
        shown = "\n  ".join(changes[:MOST_CHANGES])
        more = f"\n  and {len(changes) - MOST_CHANGES} more" if len(changes) > MOST_CHANGES else ""
        raise DeclarationError(
            f"{out} holds a run of something else; choose another --out. It differs in\n  {shown}{more}"
        )

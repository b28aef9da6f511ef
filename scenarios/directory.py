"""A run's directory: what lies in it, what an earlier start has left there, and whether it is a run of the same."""

import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import yaml

from ..protocols.errors import DeclarationError, LogError
from ..protocols.identity import ConversationId, ItemId
from ..protocols.items import Item
from ..protocols.lifecycle import ItemOpened
from ..runtime.log import LogReader, SqliteLog, begun
from ..runtime.secrecy import hidden, hide_json
from .declared import unplaced
from .differing import differences
from .plugins.playing import described, digests
from .steps import Playable

LOG = "run.db"
RECORD = "run.yaml"
RESULTS = "results.jsonl"
PAIRS = "pairs.jsonl"
"""The comparisons that `versus` makes for a run to judge."""
DATASET = "dataset"
"""Folder of the data sets of a run that makes preference pairs, written anew whenever it ends."""
FIRST = frozenset({"run.lock", LOG, f"{LOG}-journal", PAIRS, f"{PAIRS}.part"})
"""What lies in a directory before anything is played."""
MOST_CHANGES = 8
"""Changes named when a directory holds a run of something else."""
LANDMARKS = ("run_changed", "item_opened", "item_resumed", "item_finished", "item_failed", "outcome_set_aside")
"""Kinds that say how far items have come."""
ABOUT = "about"
"""Key of a note: what the user said of the run, as JSON."""
MARK = "data"
"""Key of a note: the mark of the data set."""
PLUGINS = "plugins"
"""Key of a note: where the plugins come from, and what they bring, as JSON."""
UNKNOWN = b""
"""The digest of an item that nobody has asked for, or that a damaged log has lost."""


def runs_in(folder: Path) -> str:
    """Return words on the runs that lie in a folder, which may have been taken for one; empty where there are none."""
    with suppress(OSError):
        names = sorted(path.name for path in folder.iterdir() if (path / LOG).is_file())
        more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
        return f"; in it is {', '.join(names[:5])}{more}" if names else ""
    return ""


@dataclass(frozen=True, slots=True)
class Left:
    """An item that was begun and has no outcome, or one that failed and is to be tried again."""

    conversation: ConversationId
    """The newest about it."""
    opened: int
    """Sequence of the conversation's first event."""
    digest: bytes
    """Of the item."""
    outcome: int | None = None
    """Sequence of the outcome that counts until there is another."""
    anew: bool = False
    """Whether the conversation cannot be gone on with: it was held by another plan."""

    def conversations(self) -> Iterator[ConversationId]:
        """Return the names of all conversations about it, the newest last."""
        item, _, number = self.conversation.rpartition("~")
        return (ConversationId(f"{item}~{place}") for place in range(1, int(number) + 1))

    def next(self) -> ConversationId:
        """Return the name of the conversation that follows."""
        item, _, number = self.conversation.rpartition("~")
        return ConversationId(f"{item}~{int(number) + 1}")


@dataclass(slots=True)
class Earlier:
    """What earlier starts have left."""

    ended: dict[ItemId, bytes] = field(default_factory=dict[ItemId, bytes])
    """Items that have an outcome, each with its digest."""
    left: dict[ItemId, Left] = field(default_factory=dict[ItemId, Left])
    """Items that have been begun and have none."""
    failures: dict[ItemId, Left] = field(default_factory=dict[ItemId, Left])
    """Of those that have an outcome: the failed ones."""
    done: int = 0
    failed: int = 0
    last: int = 0
    """Sequence of the newest event that was there to be looked at."""
    changes: tuple[str, ...] = ()
    """What is played otherwise than before, a line each."""
    replanned: bool = False
    """Whether more than the data has changed."""
    changed: tuple[ItemId, ...] = ()
    """Items with an outcome whose data changed since."""
    gone: tuple[ItemId, ...] = ()
    """Items with an outcome that the data has no more."""

    def forget(self, item: ItemId) -> None:
        """Take an item out of those that have an outcome."""
        del self.ended[item]
        if self.failures.pop(item, None) is None:
            self.done -= 1
        else:
            self.failed -= 1


def prepare(
    plan: Playable, items: Iterable[Item], out: Path, seed: int, *, accept_changes: bool | None = False
) -> Earlier:
    """Make the directory, or look what a run has left in it.

    Changes are refused unless they are accepted; with None they cannot be, and nobody is told that they could.
    Items of a Dataset with the same mark as at the last start are not looked at again.

    Raises:
        DeclarationError: it holds something else, or a run of something else whose changes are not accepted; or two
            items have one id.
    """
    earlier = Earlier()
    if (out / LOG).exists() and not _stillborn(out):
        with LogReader(out / LOG) as reader:
            same_data = mark_of(items) is not None and mark_of(items) == reader.meta(MARK)
            earlier = look_back(reader, with_digests=not same_data)
            earlier.changes = compare(plan, seed, reader)
            earlier.replanned = bool(earlier.changes)
            if not same_data:
                _look_at(items, earlier, reader)
        if earlier.changes and not accept_changes:
            raise refused(earlier, out, acceptable=accept_changes is not None)
    else:
        if out.exists() and (not out.is_dir() or any(entry.name not in FIRST for entry in out.iterdir())):
            raise DeclarationError(f"{out} is there already and is not a run: choose another --out")
        _look_at(items, earlier, None)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeclarationError(f"{out} cannot be written: {error.strerror}") from error
    return earlier


def _stillborn(out: Path) -> bool:
    """Whether a process was killed as it made the log, so that nothing has ever been played here.

    An empty log beside anything else was cut off, and is not gone on with.
    """
    return all(entry.name in FIRST for entry in out.iterdir()) and not begun(out / LOG)


def compare(plan: Playable, seed: int, reader: LogReader) -> tuple[str, ...]:
    """Return in what a plan differs from that of the last start, a line each."""
    played = reader.meta("played")
    if played is None:
        return ()
    now = json.loads(json.dumps(hidden(_played(plan, seed))))
    return tuple(differences(unplaced(json.loads(played)), unplaced(now)))


def refused(earlier: Earlier, out: Path, *, acceptable: bool = True) -> DeclarationError:
    """Return the error that says what is played otherwise than before."""
    shown = "\n  ".join(earlier.changes[:MOST_CHANGES])
    rest = len(earlier.changes) - MOST_CHANGES
    more = f"\n  and {rest} more" if rest > 0 else ""
    accepted = (
        "--accept-changes goes on with what is played now, and keeps the outcomes that this does not affect; or "
        if acceptable
        else ""
    )
    limited = "what lies beyond --limit is not there, either; " if earlier.gone else ""
    return DeclarationError(
        f"{out} holds a run of something else. It differs in\n  {shown}{more}\n{limited}{accepted}choose another --out"
    )


def _look_at(items: Iterable[Item], earlier: Earlier, reader: LogReader | None) -> None:
    """Check that every item has its own id, and find those that were begun and are not what they were."""
    seen: set[ItemId] = set()
    changed: dict[ItemId, Item] = {}
    for item in items:
        if item.id in seen:
            raise DeclarationError(f"two items have the id {item.id!r}")
        seen.add(item.id)
        left = earlier.left.get(item.id)
        before = earlier.ended.get(item.id) if left is None else left.digest
        if (digest := _digest(item)) == before or before in (None, UNKNOWN):
            continue
        changed[item.id] = item
        if left is not None:
            earlier.left[item.id] = replace(left, digest=digest, anew=True)
    earlier.changed = tuple(item for item in changed if item in earlier.ended)
    earlier.gone = tuple(item for item in earlier.ended if item not in seen)
    if reader is not None and (changed or earlier.gone):
        earlier.changes += tuple(_data_changes(changed, reader))
        earlier.changes += tuple(f"data: item {item!r} is not there any more" for item in earlier.gone)


def _data_changes(changed: Mapping[ItemId, Item], reader: LogReader) -> Iterator[str]:
    """Say of each item what has changed since it was begun last."""
    before: dict[ItemId, Item] = {}
    for event in reader.events(kinds=("item_opened",)) if changed else ():
        opened = event.message()
        if isinstance(opened, ItemOpened) and opened.item.id in changed:
            before[opened.item.id] = opened.item
    for item, then in before.items():
        now = changed[item].model_dump(mode="json", exclude_none=True)
        yield from differences(then.model_dump(mode="json", exclude_none=True), now, f"data: item {item!r}")


def _digest(item: Item) -> bytes:
    try:
        return _digest_of(orjson.loads(hide_json(item.model_dump_json(exclude_none=True))))
    except ValueError as error:  # pydantic's, for text that is not Unicode
        raise DeclarationError(f"item {item.id!r} cannot be written down: {error}") from error


def _digest_of(document: dict[str, Any]) -> bytes:
    return blake2b(orjson.dumps(document, option=orjson.OPT_SORT_KEYS), digest_size=8).digest()


def mark_of(items: Iterable[Item]) -> str | None:
    """Return what decides what a data set's items are; None where nobody says."""
    return getattr(items, "mark", None) or None


def noted(out: Path, key: str) -> str | None:
    """Return what is noted under a key in the log of a directory; None where there is no run yet, or no such note."""
    if not (out / LOG).is_file() or _stillborn(out):
        return None
    with LogReader(out / LOG) as reader:
        return reader.meta(key)


def look_back(reader: LogReader, *, with_digests: bool = True) -> Earlier:
    """Return what earlier starts have left in a log; without digests in a fraction of the time."""
    return _LookBack(reader, with_digests=with_digests).earlier()


class _LookBack:
    """A fold over what says how far items have come."""

    def __init__(self, reader: LogReader, *, with_digests: bool) -> None:
        self._earlier = Earlier(last=reader.last())
        self._digests = dict(_digests(reader)) if with_digests else {}
        self._aside = {_item_of(name) for _, name, _ in reader.landmarks(("outcome_set_aside",))}
        self._no_more: dict[ItemId, Left] = {}
        """What had come to the outcome of an item that is set aside later."""
        for sequence, conversation, kind in reader.landmarks(LANDMARKS):
            self._take(sequence, conversation, kind)

    def earlier(self) -> Earlier:
        earlier = self._earlier
        for item in earlier.left:  # an outcome that is being replaced counts until then, and is nothing to rest on
            if item in earlier.ended:
                earlier.forget(item)
        return earlier

    def _take(self, sequence: int, conversation: ConversationId, kind: str) -> None:
        earlier, item = self._earlier, _item_of(conversation)
        match kind:
            case "item_opened":
                before = earlier.left.get(item) or earlier.failures.get(item)
                outcome = before.outcome if before is not None else None
                earlier.left[item] = Left(conversation, sequence, self._digests.get(sequence, UNKNOWN), outcome)
            case "item_resumed":
                if item in earlier.failures:
                    earlier.left[item] = earlier.failures[item]
            case "run_changed":
                earlier.left = {item: replace(left, anew=True) for item, left in earlier.left.items()}
            case "outcome_set_aside":
                if item in earlier.ended:  # else said twice: the first time was the last that a process came to
                    earlier.forget(item)
                earlier.left.setdefault(item, replace(self._no_more[item], anew=True))
            case _:
                self._end(sequence, conversation, kind)

    def _end(self, sequence: int, conversation: ConversationId, kind: str) -> None:
        earlier, item = self._earlier, _item_of(conversation)
        left = earlier.left.pop(item, None) or Left(conversation, sequence, UNKNOWN)  # where the log has lost the rest
        earlier.ended[item] = left.digest
        if item in self._aside:
            self._no_more[item] = replace(left, outcome=None)
        if kind == "item_finished":
            earlier.done += 1
        else:
            earlier.failed += 1
            earlier.failures[item] = replace(left, outcome=sequence, anew=False)


def _item_of(conversation: str) -> ItemId:
    return ItemId(conversation.rpartition("~")[0])


def _digests(reader: LogReader) -> Iterator[tuple[int, bytes]]:
    for event in reader.events(kinds=("item_opened",)):
        yield event.sequence, _digest_of(orjson.loads(event.body)["item"])


def describe(
    plan: Playable, out: Path, log: SqliteLog, seed: int, about: Mapping[str, str], mark: str | None = None
) -> None:
    """Say in the log and in run.yaml what is played."""
    found = described(plan)
    notes = {"name": plan.scenario.scenario, "played": json.dumps(_played(plan, seed)), ABOUT: json.dumps(dict(about))}
    if found:
        notes[PLUGINS] = json.dumps(hidden(found))
    log.note(**notes, **({MARK: mark} if mark is not None else {}))
    text = yaml.safe_dump(hidden(_record(plan, seed, about)), sort_keys=False, allow_unicode=True)
    part = out / f"{RECORD}.part"
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(out / RECORD)
    except OSError as error:
        raise LogError(f"{out / RECORD} cannot be written: {error.strerror}") from error


def _played(plan: Playable, seed: int) -> dict[str, Any]:
    """Return all that decides what a run says, for comparison with a later start."""
    plugins = digests(plan)
    return {**plan.record(), "seed": seed, **({"plugins": plugins} if plugins else {})}


def _record(plan: Playable, seed: int, about: Mapping[str, str]) -> dict[str, Any]:
    plugins = described(plan)
    return {**_played(plan, seed), **about, "versions": dict(_versions()), **({"plugins": plugins} if plugins else {})}


@cache
def _versions() -> Mapping[str, str]:
    packages = ("llm-fellowship", "aiohttp", "openai", "pydantic")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}

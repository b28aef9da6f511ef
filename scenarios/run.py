"""A run: a plan played for every item of a data set, many at once, into a directory of its own."""

import asyncio
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import anyio
import anyio.to_thread
import structlog
import yaml

from ..protocols.errors import DeclarationError, FellowshipError, LogError
from ..protocols.identity import CONDUCTOR, ConversationId, ItemId
from ..protocols.items import Item
from ..protocols.lifecycle import Failure, ItemFailed, ItemFinished, ItemOpened, RunEnded, RunStarted
from ..protocols.models import Completion, ModelCall
from ..protocols.ports import Clock, ModelClient
from ..runtime.log import LogReader
from ..runtime.session import Limits, Session, open_session, prove
from .conductor import Conductor
from .outcomes import Status, status, write_results
from .planning import Plan

LOG = "run.db"
RECORD = "run.yaml"
RESULTS = "results.jsonl"
MOST_CHANGES = 8
"""Changes named when a directory holds a run of something else."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Items(Protocol):
    """What a run is about: a list of items, or a Dataset; iterated once."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Item]: ...


@dataclass(slots=True)
class Progress:
    """A run as it goes; one object all along, to be read at any moment."""

    items: int
    """Items the run covers."""
    earlier: int = 0
    """Items that an earlier start had ended."""
    done: int = 0
    failed: int = 0
    in_flight: int = 0
    calls: int = 0
    tokens: int = 0
    draining: bool = False
    """Set it to begin no further item, and to leave when those in flight have ended."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run is carried out."""

    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    """For everything that is left to chance."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    """Where keys and addresses are looked up."""
    client: ModelClient | None = None
    """Answers model calls in place of real endpoints."""
    clock: Clock | None = None
    watch: Callable[[Progress], None] | None = None
    """Is handed the progress when the run begins."""
    about: Mapping[str, str] = field(default_factory=dict[str, str])
    """Noted in run.yaml: where the data came from, and the like."""


@dataclass(slots=True)
class _Earlier:
    """What earlier starts have left."""

    ended: set[ItemId] = field(default_factory=set[ItemId])
    begun: dict[ItemId, int] = field(default_factory=dict[ItemId, int])
    """How often an item was begun without an end."""
    done: int = 0
    failed: int = 0


class _Counting:
    """A ModelClient that counts, for the progress."""

    def __init__(self, client: ModelClient, progress: Progress) -> None:
        self._client = client
        self._progress = progress

    async def complete(self, call: ModelCall) -> Completion:
        """Answer a call."""
        self._progress.calls += 1
        completion = await self._client.complete(call)
        self._progress.tokens += completion.usage.input_tokens + completion.usage.output_tokens
        return completion


async def play(plan: Plan, items: Items, out: Path, settings: Settings | None = None) -> Status:
    """Play a plan for every item, and return the state of the run at its end.

    The directory gets the log, what was played, and the results. Played into again, it keeps the items that have an
    outcome and begins the others anew.

    Raises:
        DeclarationError: a model cannot be reached, or the directory holds something else.
        LogError: the log cannot be written.
    """
    settings = settings or Settings()
    if settings.client is None:
        prove(plan.models, settings.environ)
    earlier = _prepare(plan, out, settings)
    progress = Progress(len(items), len(earlier.ended), earlier.done, earlier.failed)
    if settings.watch is not None:
        settings.watch(progress)
    try:
        await _play(plan, items, out, settings, earlier, progress)
    except BaseExceptionGroup as group:
        raise _first(group) from group
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_fold, out)
    with LogReader(out / LOG) as reader:
        return status(reader, str(out))


async def _play(plan: Plan, items: Items, out: Path, settings: Settings, earlier: _Earlier, progress: Progress) -> None:
    async with open_session(
        out / LOG,
        plan.models,
        environ=settings.environ,
        limits=settings.limits,
        seed=settings.seed,
        client=settings.client,
        clock=settings.clock,
    ) as session:
        session.system.models = _Counting(session.system.models, progress)
        session.log.note(name=plan.scenario.scenario, played=json.dumps(_played(plan, settings)))
        concurrency = settings.limits.concurrency
        start = RunStarted(items=len(items), finished=len(earlier.ended), concurrency=concurrency, seed=settings.seed)
        session.log.append(start, sender=CONDUCTOR)
        log.info("run_started", run=str(out), items=len(items), finished=len(earlier.ended))
        reason: Literal["done", "stopped", "failed"] = "failed"
        try:
            todo = _todo(items, earlier, progress)
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(concurrency, len(items))):
                    workers.create_task(_work(todo, plan, session, progress, settings.seed))
            reason = "stopped" if progress.draining else "done"
        except asyncio.CancelledError:
            reason = "stopped"
            raise
        finally:
            if not session.log.broken:
                session.log.append(RunEnded(reason=reason), sender=CONDUCTOR)
            log.info("run_ended", run=str(out), reason=reason, done=progress.done, failed=progress.failed)


def _todo(items: Items, earlier: _Earlier, progress: Progress) -> Iterator[tuple[int, Item, ConversationId]]:
    """Return number, item and conversation of all that is still to be played."""
    for number, item in enumerate(items):
        if progress.draining:
            return
        if item.id in earlier.ended:
            continue
        begun = earlier.begun.get(item.id, 0)
        yield number, item, ConversationId(f"{item.id}~{begun + 1}" if begun else item.id)


async def _work(
    todo: Iterator[tuple[int, Item, ConversationId]],
    plan: Plan,
    session: Session,
    progress: Progress,
    seed: int,
) -> None:
    for number, item, conversation in todo:
        progress.in_flight += 1
        try:
            end = await _play_item(plan, number, item, conversation, session, seed)
        finally:
            progress.in_flight -= 1
        if isinstance(end, ItemFailed):
            progress.failed += 1
            log.warning("item_failed", item=item.id, error=end.cause.error, reason=end.cause.reason)
        else:
            progress.done += 1
            log.info("item_finished", item=item.id, verdict=end.verdict)


async def _play_item(
    plan: Plan, number: int, item: Item, conversation: ConversationId, session: Session, seed: int
) -> ItemFinished | ItemFailed:
    """Play one item; whatever goes wrong with it is a fact, and no other item's business."""
    opened = session.log.append(ItemOpened(number=number, item=item), sender=CONDUCTOR, conversation=conversation)
    end: ItemFinished | ItemFailed
    conductor: Conductor | None = None
    try:
        async with session.system.conversation(conversation, plan.cast(item), plan.policies) as talk:
            conductor = Conductor(plan, item, number, talk, seed)
            end = await conductor.play(opened)
    except LogError:
        raise
    except Exception as error:  # noqa: BLE001 - recorded as the item's end
        culprit = conductor.culprit if conductor else None
        end = ItemFailed(number=number, cause=Failure(error=type(error).__name__, reason=str(error), agent=culprit))
    session.log.append(end, sender=CONDUCTOR, conversation=conversation, cause=opened)
    await session.log.drain()
    return end


def _fold(out: Path) -> None:
    if (out / LOG).exists():
        with LogReader(out / LOG) as reader:
            write_results(reader, out / RESULTS)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one error that all in a group come from, or the group where there are several."""
    leaves: list[BaseException] = []
    parts: list[BaseException] = [group]
    while parts:
        part = parts.pop(0)
        if isinstance(part, BaseExceptionGroup):
            parts.extend(cast("BaseExceptionGroup[BaseException]", part).exceptions)
        else:
            leaves.append(part)
    first = leaves[0]
    same = all(isinstance(leaf, FellowshipError) and str(leaf) == str(first) for leaf in leaves)
    return first if same or len(leaves) == 1 else group


# the directory


def _prepare(plan: Plan, out: Path, settings: Settings) -> _Earlier:
    """Make the directory, or look what a run has left in it."""
    if (out / LOG).exists():
        with LogReader(out / LOG) as reader:
            _same(reader.meta("played"), _played(plan, settings), out)
            return _left(reader)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DeclarationError(f"{out} is there already and is not a run: choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(_record(plan, settings), sort_keys=False, allow_unicode=True)
        (out / RECORD).write_text(text, encoding="utf-8")
    except OSError as error:
        raise DeclarationError(f"{out} cannot be written: {error.strerror}") from error
    return _Earlier()


def _left(reader: LogReader) -> _Earlier:
    earlier = _Earlier()
    items: dict[str, ItemId] = {}
    for event in reader.events(kinds=("item_opened", "item_finished", "item_failed")):
        if event.kind == "item_opened":
            opened = event.message()
            if isinstance(opened, ItemOpened):
                items[event.conversation] = opened.item.id
                earlier.begun[opened.item.id] = earlier.begun.get(opened.item.id, 0) + 1
            continue
        item = items.pop(event.conversation)
        earlier.ended.add(item)
        earlier.begun.pop(item, None)
        if event.kind == "item_finished":
            earlier.done += 1
        else:
            earlier.failed += 1
    return earlier


def _played(plan: Plan, settings: Settings) -> dict[str, Any]:
    """Return all that decides what a run says, for comparison with a later start."""
    return {
        "scenario": plan.scenario.document(),
        "models": {
            name: profile.settings.model_dump(mode="json", exclude_defaults=True)
            for name, profile in plan.profiles.items()
        },
        "prompts": plan.prompt_digests(),
        "seed": settings.seed,
    }


def _record(plan: Plan, settings: Settings) -> dict[str, Any]:
    packages = ("llm-fellowship", "aiohttp", "openai", "pydantic")
    versions = {"python": platform.python_version(), **{name: version(name) for name in packages}}
    return {**_played(plan, settings), **settings.about, "versions": versions}


def _same(earlier: str | None, now: dict[str, Any], out: Path) -> None:
    changes = list(_changes(json.loads(earlier or "{}"), json.loads(json.dumps(now)), ""))
    if changes:
        shown = "\n  ".join(changes[:MOST_CHANGES])
        more = f"\n  and {len(changes) - MOST_CHANGES} more" if len(changes) > MOST_CHANGES else ""
        raise DeclarationError(
            f"{out} holds a run of something else; choose another --out. It differs in\n  {shown}{more}"
        )


def _changes(before: object, after: object, path: str) -> Iterator[str]:
    if isinstance(before, dict | None) and isinstance(after, dict | None) and before != after:
        then, now = cast("dict[str, object]", before or {}), cast("dict[str, object]", after or {})
        for key in dict.fromkeys([*then, *now]):
            yield from _changes(then.get(key), now.get(key), f"{path}.{key}" if path else key)
        return
    if before != after:
        yield f"{path}: {_short(before)} then, {_short(after)} now"


def _short(value: Any) -> str:  # noqa: ANN401 - a part of a document
    text = "not set" if value is None else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

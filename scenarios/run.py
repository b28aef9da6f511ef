"""A run: a plan played for every item of a data set, many at once, into a directory of its own."""

import asyncio
import gc
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import anyio
import anyio.to_thread

from ..protocols.errors import (
    FellowshipError,
    ItemTimedOut,
    LogError,
    ModelError,
    RunStopping,
)
from ..protocols.identity import CONDUCTOR, ConversationId, ItemId
from ..protocols.items import Item
from ..protocols.lifecycle import Failure, ItemFailed, ItemFinished, ItemOpened, RunEnded, RunStarted
from ..protocols.models import Completion, ModelCall, Usage
from ..protocols.ports import Clock, ModelClient
from ..runtime.log import LogReader
from ..runtime.secrecy import hide, hiding, known, secrets_of
from ..runtime.session import Access, Limits, Session, open_session, prove
from ..runtime.tracing import Log, logger
from .conductor import Conductor
from .directory import LOG, RESULTS, Earlier, describe, prepare
from .live import live
from .outcomes import Status, status, write_results
from .steps import Plan

COLLECT_EVERY = 50_000
"""Objects made, less those gone, after which the garbage collector looks at them."""
NOTED_EVERY_S = 2.0
"""How often a run notes how it stands, for `status` from elsewhere."""
MOST_WARNINGS = 5
"""Failures of one sort that are told of as they happen."""


class Items(Protocol):
    """What a run is about: a list of items, or a Dataset; iterated twice, to look and to play."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Item]: ...


class _Named:
    """Items by names that may be written."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        for item in self._items:
            name = hide(item.id)
            yield item if name == item.id else item.model_copy(update={"id": ItemId(name)})


@dataclass(slots=True)
class Progress:
    """A run as it goes; one object all along, to be read at any moment."""

    items: int
    """Items the run covers."""
    earlier: int = 0
    """Items that an earlier start had ended."""
    done: int = 0
    failed: int = 0
    failures: Counter[str] = field(default_factory=Counter[str])
    """Those of this start, by class of error."""
    in_flight: int = 0
    calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    """Calls whose cost nobody knows."""
    draining: bool = False
    """Set it to begin no further item, and to leave when those in flight have ended."""
    stopped_by: Failure | None = None
    """Why no further item can succeed."""
    session: Session | None = None
    """The open run, to be looked at."""
    playing: dict[ConversationId, asyncio.Task[None]] = field(
        default_factory=dict[ConversationId, "asyncio.Task[None]"], repr=False
    )
    """Who plays which conversation."""
    dropped: set[ConversationId] = field(default_factory=set[ConversationId])
    """Conversations that had not come to anything when no further item was to be begun."""


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
    access: Access = field(default_factory=Access)
    """By which way real endpoints are reached."""
    watch: Callable[[Progress], None] | None = None
    """Is handed the progress when the run begins."""
    about: Mapping[str, str] = field(default_factory=dict[str, str])
    """Noted in run.yaml: where the data came from, and the like."""


class _Counting:
    """A ModelClient that counts, for the progress."""

    def __init__(self, client: ModelClient, progress: Progress) -> None:
        self._client = client
        self._progress = progress

    async def complete(self, call: ModelCall) -> Completion:
        """Answer a call."""
        progress = self._progress
        progress.calls += 1
        try:
            completion = await self._client.complete(call)
        except ModelError as error:
            self._count(error.usage or Usage(), error.cost_usd)
            raise
        self._count(completion.usage, completion.cost_usd)
        return completion

    def _count(self, usage: Usage, cost_usd: float | None) -> None:
        self._progress.tokens += usage.input_tokens + usage.output_tokens
        self._progress.cost_usd += cost_usd or 0.0
        self._progress.unpriced += not usage.reported or (cost_usd is None and usage.input_tokens > 0)


async def play(plan: Plan, items: Items, out: Path, settings: Settings | None = None) -> Status:
    """Play a plan for every item, and return the state of the run at its end.

    The directory gets the log, what was played, and the results. Played into again, it keeps the items that have an
    outcome and begins the others anew.

    Raises:
        DeclarationError: a model cannot be reached, two items have one id, the directory holds something else, or
            another process is playing it.
        LogError: the log cannot be written.
    """
    settings = settings or Settings()
    with hiding(secrets_of(settings.environ, settings.about.values())):
        return await _played(plan, _Named(items), out, settings)


async def _played(plan: Plan, items: Items, out: Path, settings: Settings) -> Status:
    """Play a plan; see `play`."""
    if settings.client is None:
        prove(plan.models, settings.environ)
    earlier = prepare(plan, items, out, settings.seed)
    progress = Progress(len(items), len(earlier.ended), earlier.done, earlier.failed)
    if settings.watch is not None:
        settings.watch(progress)
    try:
        with _collector_at_rest():
            await _play(plan, items, out, settings, earlier, progress)
    except BaseExceptionGroup as group:
        error = _first(group)
        if not isinstance(error, LogError) and (out / LOG).exists():
            await _fold(out)
        raise error from group
    except asyncio.CancelledError:
        if (out / LOG).exists():
            await _fold(out)
        raise
    return await _fold(out)


@contextmanager
def _collector_at_rest() -> Generator[None, None, None]:
    """Let the garbage collector pass over all that is alive when a run begins.

    Thousands of short conversations keep it busy, and each time it would walk every module again: a quarter of the
    CPU of a run without a network, measured. What a run makes itself is looked at less often: it makes no cycles.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


async def _play(plan: Plan, items: Items, out: Path, settings: Settings, earlier: Earlier, progress: Progress) -> None:
    async with open_session(
        out / LOG,
        plan.models,
        environ=settings.environ,
        limits=settings.limits,
        seed=settings.seed,
        client=settings.client,
        clock=settings.clock,
        access=settings.access,
        secrets=known(),
    ) as session:
        progress.session = session
        session.system.models = _Counting(session.system.models, progress)
        describe(plan, out, session.log, settings.seed, settings.about)
        concurrency = settings.limits.concurrency
        start = RunStarted(items=len(items), finished=len(earlier.ended), concurrency=concurrency, seed=settings.seed)
        session.log.append(start, sender=CONDUCTOR)
        log = logger().bind(run=str(out))
        log.info("run_started", items=len(items), finished=len(earlier.ended))
        reason: Literal["done", "stopped", "failed"] = "failed"
        try:
            todo = _todo(items, earlier, progress)
            async with _attended(session, progress, settings.limits), asyncio.TaskGroup() as workers:
                for _ in range(min(_conversations(settings), len(items))):
                    workers.create_task(_work(todo, plan, session, progress, settings, log))
            all_ended = progress.done + progress.failed == len(items)
            reason = "stopped" if progress.draining and not all_ended else "done"
        except asyncio.CancelledError:
            reason = "stopped"
            raise
        finally:
            if not session.log.closed:
                session.log.append(
                    RunEnded(reason=reason, cause=None if reason == "done" else progress.stopped_by), sender=CONDUCTOR
                )
            log.info("run_ended", reason=reason, done=progress.done, failed=progress.failed)


def _conversations(settings: Settings) -> int:
    """Return how many conversations are played at once: some more than calls, where those are admitted one by one.

    While one is at its log, another can call: without these, a fifth of the calls in flight were missing at 256.
    """
    most = settings.limits.concurrency
    return most if settings.client is not None else most + most // 4


@asynccontextmanager
async def _attended(session: Session, progress: Progress, limits: Limits) -> AsyncGenerator[None, None]:
    """Note how the run stands, now and then, for whoever looks at it from elsewhere; end it when its time is over."""

    async def note() -> None:
        while True:
            session.log.note(live=live(session, progress).model_dump_json())
            if progress.draining:
                _drop(session, progress)
            await anyio.sleep(NOTED_EVERY_S)

    async def end_in_time(seconds: float) -> None:
        await anyio.sleep(seconds)
        reason = f"the run's time of {seconds:g} s is over"
        progress.stopped_by = progress.stopped_by or Failure(error="TimeIsOver", reason=reason)
        progress.draining = True

    async with anyio.create_task_group() as attendants:
        attendants.start_soon(note)
        if limits.run_deadline_s is not None:
            attendants.start_soon(end_in_time, limits.run_deadline_s)
        yield
        attendants.cancel_scope.cancel()


def _todo(items: Items, earlier: Earlier, progress: Progress) -> Iterator[tuple[int, Item, ConversationId]]:
    """Return number, item and conversation of all that is still to be played."""
    for number, item in enumerate(items):
        if progress.draining:
            return
        if item.id in earlier.ended:
            continue
        yield number, item, ConversationId(f"{item.id}~{earlier.begun.get(item.id, 0) + 1}")


async def _work(
    todo: Iterator[tuple[int, Item, ConversationId]],
    plan: Plan,
    session: Session,
    progress: Progress,
    settings: Settings,
    log: Log,
) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - coroutines run in tasks
    for number, item, conversation in todo:
        progress.in_flight += 1
        progress.playing[conversation] = task
        try:
            end = await _play_item(plan, number, item, conversation, session, settings)
        except RunStopping as error:  # no item's failure: it stays open, to be played when the cause is gone
            if progress.stopped_by is None:
                progress.stopped_by = Failure(error=type(error).__name__, reason=str(error))
                log.warning("run_stopping", error=type(error).__name__, reason=str(error))
            progress.draining = True
            return
        except asyncio.CancelledError:
            if conversation not in progress.dropped or task.uncancel():
                raise
            return  # it stays open
        finally:
            progress.in_flight -= 1
            del progress.playing[conversation]
        if isinstance(end, ItemFailed):
            progress.failed += 1
            _warn(log, progress, item.id, end.cause)
        else:
            progress.done += 1
            log.info("item_finished", item=item.id, verdict=end.verdict)


def _drop(session: Session, progress: Progress) -> None:
    """Leave the items open whose first calls still wait for a limit: they may wait for hours, and have cost nothing."""
    if session.access is None:
        return
    sent: set[ConversationId] = set()
    unsent: set[ConversationId] = set()
    for pending in session.access.pending():
        asked = session.system.asking.get(id(pending.call))
        if asked is not None:
            (sent if pending.attempts else unsent).add(asked[0].conversation)
    for conversation in unsent.intersection(session.system.idle()) - sent - progress.dropped:
        progress.dropped.add(conversation)
        progress.playing[conversation].cancel()


def _warn(log: Log, progress: Progress, item: ItemId, cause: Failure) -> None:
    """Tell of a failure; of the many that are alike, of the first few."""
    progress.failures[cause.error] += 1
    number = progress.failures[cause.error]
    tell = log.warning if number <= MOST_WARNINGS else log.info
    more = {"more": "further ones of this sort are only in the log"} if number == MOST_WARNINGS else {}
    tell("item_failed", item=item, error=cause.error, reason=cause.reason, **more)


async def _play_item(
    plan: Plan, number: int, item: Item, conversation: ConversationId, session: Session, settings: Settings
) -> ItemFinished | ItemFailed:
    """Play one item; whatever goes wrong with it is a fact, and no other item's business.

    Raises:
        RunStopping: no other item can succeed either.
        LogError: nothing can be recorded any more.
    """
    opened = session.log.append(ItemOpened(number=number, item=item), sender=CONDUCTOR, conversation=conversation)
    end: ItemFinished | ItemFailed
    conductor: Conductor | None = None
    try:
        async with session.system.conversation(conversation, plan.cast(item), plan.policies) as talk:
            conductor = Conductor(plan, item, number, talk, settings.seed)
            end = await _in_time(conductor.play(opened), settings.limits.item_deadline_s)
    except (LogError, RunStopping):
        raise
    except Exception as error:  # noqa: BLE001 - recorded as the item's end
        culprit = conductor.culprit if conductor else None
        end = ItemFailed(number=number, cause=Failure(error=type(error).__name__, reason=str(error), agent=culprit))
    session.log.append(end, sender=CONDUCTOR, conversation=conversation, cause=opened)
    await session.log.drain()
    return end


async def _in_time(playing: Coroutine[Any, Any, ItemFinished], seconds: float | None) -> ItemFinished:
    """Return an item's end; raises ItemTimedOut when it is not there in time."""
    if seconds is None:
        return await playing
    timeout = asyncio.timeout(seconds)
    try:
        async with timeout:
            return await playing
    except TimeoutError as error:
        if timeout.expired():
            raise ItemTimedOut(seconds) from error
        raise


async def _fold(out: Path) -> Status:
    """Write the results, whatever is being cancelled; raises LogError where they cannot be written."""
    found: list[Status] = []
    with anyio.CancelScope(shield=True):
        found.append(await anyio.to_thread.run_sync(_write_results, out))
    return found[0]


def _write_results(out: Path) -> Status:
    with LogReader(out / LOG) as reader:
        return status(reader, str(out), write_results(reader, out / RESULTS))


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

"""A run: a plan played for every item of a data set, many at once, into a directory of its own."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Literal, Protocol, cast

import anyio
import anyio.to_thread

from ..protocols.errors import DeclarationError, FellowshipError, LogError
from ..protocols.identity import CONDUCTOR
from ..protocols.items import Item
from ..protocols.lifecycle import Failure, RunEnded, RunStarted
from ..runtime.collecting import collector_at_rest
from ..runtime.log import LogReader
from ..runtime.recording import RecordedRun
from ..runtime.secrecy import hiding, known, secrets_of
from ..runtime.session import Limits, Session, open_session, prove
from ..runtime.system import NoModels
from ..runtime.tracing import scope
from .changes import take_in_changes
from .directory import LOG, RESULTS, Earlier, describe, mark_of, prepare
from .live import live, stalls
from .outcomes import Status, status, write_results
from .player import Player, Tally
from .settings import Counting, Progress, Settings
from .stage import Due, Stage, Todo
from .steps import Playable, Swept
from .sweep import SweptItems

COLLECT_EVERY = 50_000
"""Objects made, less those gone, after which the garbage collector looks at them. Thousands of short conversations keep
it busy, and each time it would walk every module again: a quarter of the CPU of a run without a network, measured. What
a run makes itself has no cycles."""
NOTED_EVERY_S = 2.0
"""How often a run notes how it stands, for `status` from elsewhere."""
SETTLED_EVERY = 64
"""Items played from a recording until the log is waited for."""


class Items(Protocol):
    """What a run is about: a list of items, or a Dataset; iterated twice, to look and to play.

    A Dataset has a mark, by which it is known to be what it was, and passes over what has an outcome by itself.
    """

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Item]: ...


async def play(plan: Playable, items: Items, out: Path, settings: Settings | None = None) -> Status:
    """Play a plan for every item, a sweep by each of its variants, and return the state of the run at its end.

    The directory gets the log, what was played, and the results. Played into again, it keeps the items that have an
    outcome, goes on with conversations that were broken off, at the message where they were, and begins the rest.

    Raises:
        DeclarationError: a model cannot be reached, two items have one id, the directory holds something else,
            another process is playing it, or judges would label what their own family wrote.
        LogError: the log cannot be written.
        CassetteMiss: a call is made that the cassette has no answer to.
    """
    settings = settings or Settings()
    if plan.unasked:
        raise DeclarationError(plan.unasked)
    if isinstance(plan, Swept):
        items = SweptItems(items, tuple(plan.variants))
    with hiding(secrets_of(settings.environ)):
        earlier = prepare(plan, items, out, settings.seed, accept_changes=settings.accept_changes)
    return await carry_on(plan, _numbered(items, earlier), out, settings, earlier, len(items), mark_of(items) or "")


def _numbered(items: Items, earlier: Earlier) -> Iterable[tuple[int, Item]]:
    numbered: Callable[..., Iterable[tuple[int, Item]]] | None = getattr(items, "numbered", None)
    return enumerate(items) if numbered is None else numbered(but=earlier.ended)


async def carry_on(
    plan: Playable,
    items: Iterable[tuple[int, Item]],
    out: Path,
    settings: Settings,
    earlier: Earlier,
    count: int,
    mark: str | None = None,
) -> Status:
    """Play a plan for all items that have no outcome; see `play`.

    Args:
        plan: What is played.
        items: What it is played for, each with its place in the data set; those that have an outcome are passed over.
        out: The run's directory.
        settings: How it is carried out.
        earlier: What earlier starts have left.
        count: Items that the run covers.
        mark: Of the data set they are from, where it has one.
    """
    with hiding(secrets_of(settings.environ, settings.about.values())):
        return await _carried_on(plan, items, out, settings, earlier, count, mark)


async def _carried_on(
    plan: Playable,
    items: Iterable[tuple[int, Item]],
    out: Path,
    settings: Settings,
    earlier: Earlier,
    count: int,
    mark: str | None,
) -> Status:
    if settings.client is None and not settings.recorded:
        prove(plan.models, settings.environ)
    progress = Progress(count, len(earlier.ended), earlier.done, earlier.failed)
    progress.budget = str(settings.limits.budget) if settings.limits.budget and settings.client is None else None
    if settings.watch is not None:
        settings.watch(progress)
    try:
        with collector_at_rest(COLLECT_EVERY):
            await _play(plan, items, out, settings, earlier, progress, mark)
    except BaseExceptionGroup as group:
        error = _first(group)
        await _fold_what_is_there(out)
        raise error from group
    except asyncio.CancelledError:
        await _fold_what_is_there(out)
        raise
    return await _fold(out)


async def _fold_what_is_there(out: Path) -> None:
    """Write the results on the way out with an error, which is the one to be told of."""
    if (out / LOG).exists():
        try:
            await _fold(out)
        except LogError as error:
            scope().warning("results_not_written", path=str(out), reason=str(error))


async def _play(
    plan: Playable,
    items: Iterable[tuple[int, Item]],
    out: Path,
    settings: Settings,
    earlier: Earlier,
    progress: Progress,
    mark: str | None,
) -> None:
    elsewhere = settings.recorded or settings.cluster is not None
    async with open_session(
        out / LOG,
        plan.models,
        environ=settings.environ,
        limits=settings.limits,
        seed=settings.seed,
        client=NoModels() if elsewhere else settings.client,
        clock=settings.clock,
        access=settings.access,
        durability=settings.durability,
        secrets=known(),
    ) as session:
        if session.log.found != earlier.last:  # it ended while we waited for its lock: what we know of it is stale
            raise DeclarationError(f"{out} was played by another process until just now: start the same command again")
        progress.begun = True
        if session.access is not None:
            progress.admissions = session.access.admissions
            progress.stalls = partial(stalls, session.system, session.access)
        session.system.models = Counting(session.system.models, progress)
        with LogReader(out / LOG) as reader:
            if earlier.changes:
                await take_in_changes(plan, reader, session.log, earlier, settings.seed)
                progress.earlier, progress.done, progress.failed = len(earlier.ended), earlier.done, earlier.failed
            describe(plan, out, session.log, settings.seed, settings.about, mark)
            await _play_all(plan, _open(items, earlier, progress), session, settings, progress, _own(reader, earlier))


def _open(items: Iterable[tuple[int, Item]], earlier: Earlier, progress: Progress) -> Iterator[Todo]:
    """Return all that is still to be played."""
    for number, item in items:
        if progress.draining:
            return
        if item.id not in earlier.ended:
            yield number, item, earlier.left.get(item.id)


def _own(reader: LogReader, earlier: Earlier) -> RecordedRun | None:
    """Return what this run has recorded of items that have no outcome."""
    if not earlier.left:
        return None
    conversations = [name for left in earlier.left.values() for name in left.conversations()]
    begun_anew = len(conversations) > len(earlier.left)
    return RecordedRun(reader, conversations, 0 if begun_anew else min(left.opened for left in earlier.left.values()))


async def _play_all(
    plan: Playable,
    todo: Iterator[Todo],
    session: Session,
    settings: Settings,
    progress: Progress,
    own: RecordedRun | None,
) -> None:
    finished = progress.done + progress.failed
    limits = settings.limits
    start = RunStarted(items=progress.items, finished=finished, concurrency=limits.concurrency, seed=settings.seed)
    session.log.append(start, sender=CONDUCTOR)
    log = scope().within(
        path=str(session.log.path.parent)
    )  # lines of the run and its items say it; what is within, not
    log.info("run_started", items=progress.items, finished=finished)
    reason: Literal["done", "stopped", "failed"] = "failed"
    tally = Tally(progress, log)
    player = Player(session.system, session.access, progress, tally)
    try:
        async with _attended(session, progress, limits, tally, player):
            if settings.cluster is None:
                await _play_here(plan, todo, session, settings, player, own)
            else:
                from .cluster.driving import drive  # noqa: PLC0415 - loaded by those who have a cluster

                await drive(plan, todo, session.log, settings, progress, tally, own)
        all_ended = progress.done + progress.failed == progress.items
        reason = "done" if all_ended else "stopped"
    except asyncio.CancelledError:
        reason = "stopped"
        raise
    finally:
        if not session.log.closed:
            ended = RunEnded(reason=reason, cause=None if reason == "done" else progress.stopped_by)
            session.log.append(ended, sender=CONDUCTOR)
        log.info("run_ended", reason=reason, done=progress.done, failed=progress.failed)


async def _play_here(
    plan: Playable,
    todo: Iterator[Todo],
    session: Session,
    settings: Settings,
    player: Player,
    own: RecordedRun | None,
) -> None:
    """Play all that is to be played in this process."""
    stage = Stage(
        plan,
        session.system,
        settings.seed,
        deadline_s=settings.limits.item_deadline_s,
        own=own,
        cassette=settings.cassette,
        fit=settings.fit,
    )
    at_once = 1 if settings.recorded else settings.conversations  # nothing waits, and the log is always the same
    played = count(1)
    async with asyncio.TaskGroup() as workers:
        for _ in range(min(at_once, player.progress.items)):
            workers.create_task(_work((stage.due(*each) for each in todo), stage, player, session, played))


@asynccontextmanager
async def _attended(
    session: Session, progress: Progress, limits: Limits, tally: Tally, player: Player
) -> AsyncGenerator[None, None]:
    """Note how the run stands, now and then, for whoever looks at it from elsewhere; end it when its time is over."""

    async def note() -> None:
        while True:
            session.log.note(live=live(session, progress).model_dump_json())
            if progress.draining:
                player.drop()
            await anyio.sleep(NOTED_EVERY_S)

    async def end_in_time(seconds: float) -> None:
        await anyio.sleep(seconds)
        reason = f"the run's time of {seconds:g} s is over"
        tally.stop(Failure(error="TimeIsOver", reason=reason))

    async with anyio.create_task_group() as attendants:
        attendants.start_soon(note)
        if limits.run_deadline_s is not None:
            attendants.start_soon(end_in_time, limits.run_deadline_s)
        yield
        attendants.cancel_scope.cancel()


async def _work(todo: Iterator[Due], stage: Stage, player: Player, session: Session, played: Iterator[int]) -> None:
    for due in todo:
        if not await player.play(stage, due):
            return
        if due.recorded is not None and next(played) % SETTLED_EVERY == 0:
            await session.log.flush()  # nothing was waited for: let the log keep up, always at the same places


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

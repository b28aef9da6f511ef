"""The driver of a run on a cluster: leases out items, takes what workers say into the one log, and outlives them."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar

import anyio
import orjson

from ...protocols.errors import (
    BankLost,
    CassetteMiss,
    DeclarationError,
    FellowshipError,
    LogError,
    NameTaken,
    UnknownName,
    WorkerFailed,
    WorkerLost,
    first_of,
)
from ...protocols.identity import ConversationId, ItemId
from ...protocols.lifecycle import Failure
from ...runtime.cluster.intake import Intake, item_of
from ...runtime.log import SqliteLog
from ...runtime.log.reader import WRITTEN_OFF
from ...runtime.log.scribe import Row
from ...runtime.models.budget import Reservation
from ...runtime.tracing import scope, tell
from .. import live
from ..directory import UNKNOWN, Left
from ..live import LONGEST_SHOWN, Stall, Workers
from ..player import Tally
from ..settings import Progress
from ..stage import Todo
from .parcels import Answer, Charter, Order, Welcome
from .places import line_of, stall_of
from .workload import Workload
from .yard import Hand, Unreachable, Yard

if TYPE_CHECKING:
    from ...runtime.models.leases import AdmissionState

MOST_IN_VAIN = 3
"""Workers in one place that may die one after another before they have said that they can play. Then the others go on
without; where there are none, the run stops."""
GATHER_S = 0.003
"""How long events of a worker gather, for each worker there is: what the driver spends on a message of one, it has to
spend on those of all."""
LONGEST_GATHER_S = 0.25
STOP_S = 10.0
"""How long workers have to break off what they play, and to say so."""
WATCH_EVERY_S = 1.0
"""How often the bank is asked how it stands."""
LAST_ORDERS = 2**31
"""Orders from this number on break off."""
LATE_S = 20.0
"""How long a worker may take to come until that is told."""
WHY_LATE = "no processor of the cluster is free for them, or their environment is being made"
QUIET_S = 30.0
"""How long a worker that has nothing to do may hear nothing: long before it takes itself for deserted."""
AGAIN_S, LONGEST_S = 0.5, 30.0
"""How often, and for how long, a worker is tried again that cannot be reached."""
KNOWN: dict[str, type[FellowshipError]] = {kind.__name__: kind for kind in (CassetteMiss, LogError, WorkerLost)}
DECLARED = frozenset({DeclarationError.__name__, UnknownName.__name__, NameTaken.__name__})
Found = TypeVar("Found")


@dataclass(slots=True)
class Member:
    """A worker, and what it has."""

    name: str
    intake: Intake
    held: dict[str, Todo] = field(default_factory=dict[str, Todo])
    """Items that it plays."""
    last: Answer = field(default_factory=Answer)
    stalls: tuple[Stall, ...] = ()
    spoke: bool = False
    """Whether it has ever said anything."""
    host: str = ""


class Crew:
    """All workers of a run, and what is left for them to do."""

    def __init__(
        self,
        yard: Yard,
        charter: Charter,
        log: SqliteLog,
        workload: Workload,
        progress: Progress,
        tally: Tally,
        *,
        written_off: Reservation | None = None,
    ) -> None:
        """Make a crew.

        Args:
            yard: Where workers come from.
            charter: What they are told of the run.
            log: The one log.
            workload: What is to be played.
            progress: Of the run.
            tally: Counts the ends of items.
            written_off: What earlier starts have counted in full because nobody says what it cost.
        """
        self._yard = yard
        self._charter = charter
        self._log = log
        self._progress = progress
        self._tally = tally
        self._workload = workload
        self._off = written_off or Reservation(0.0, 0)
        self._members: dict[str, Member] = {}
        self._wanted = self._lost = 0
        self._changed = asyncio.Event()
        self._hiring: dict[anyio.CancelScope, float] = {}
        """Workers that are not there yet, and since when."""
        self._employed = asyncio.TaskGroup()
        self._admissions: tuple[AdmissionState, ...] = ()

    async def play(self, workers: int) -> None:
        """Play all that is to be played, by so many workers.

        Raises:
            DeclarationError: a worker cannot play: no package, no key, no weights where it is.
            LogError: the log takes no more.
            CassetteMiss: a call is made that the cassette has no answer to.
            WorkerFailed: a worker met a fault of its own.
        """
        progress = self._progress
        progress.admissions = lambda: self._admissions
        progress.stalls = self._stalls
        progress.workers = self._workers
        self._wanted = workers
        try:
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(self._watch())
                async with self._employed:
                    for place in range(1, workers + 1):
                        self._employed.create_task(self._employ(place))
                watch.cancel()
        except BaseExceptionGroup as group:
            first = first_of(group)  # what others failed of at the same time, they would again
            if not isinstance(first, BankLost):
                raise first from group
            self._tally.stop(Failure(error=BankLost.__name__, reason=str(first)))

    async def _watch(self) -> None:
        """Look now and then how the bank stands, and whether there is room for all workers."""
        told = False
        while True:
            late_s = self._loop_s() - LATE_S
            if not told and any(since_s < late_s for since_s in self._hiring.values()):
                told = True
                scope().warning("workers_late", there=len(self._members), wanted=self._wanted, reason=WHY_LATE)
            self._admissions = (await self._yard.bank()).endpoints
            self._tell_all()  # a signal may have come meanwhile
            await anyio.sleep(WATCH_EVERY_S)

    def _tell_all(self) -> None:
        """Let those who wait, for work or for a worker, look whether there is anything to do any more."""
        self._changed.set()
        if self._finished():
            for hiring in self._hiring:
                hiring.cancel()

    # workers

    async def _employ(self, place: int) -> None:
        """Keep a place filled: a worker that dies is followed by another."""
        number = vain = 0
        while not self._finished():
            number += 1
            member = Member(f"{place}.{number}", Intake(self._log))
            try:
                await self._attend(member)
            except WorkerLost as lost:
                vain = 0 if member.spoke else vain + 1
                scope().warning(
                    "worker_lost", worker=member.name, host=member.host, items=len(member.held), reason=str(lost)
                )
                await self._bury(member)
                if vain >= MOST_IN_VAIN and any(other.spoke for other in self._members.values()):
                    scope().warning("worker_place_given_up", place=place, reason=str(lost))
                    return
                if vain >= MOST_IN_VAIN:
                    reason = f"workers die as soon as they are made: {lost}"
                    self._tally.stop(Failure(error=WorkerLost.__name__, reason=reason))

    async def _attend(self, member: Member) -> None:
        hand = await self._awaited(self._yard.hire(member.name))
        if hand is None:
            return
        try:
            await self._introduce(member, hand)
        except Unreachable as error:
            raise WorkerLost(str(error)) from error
        finally:
            with anyio.CancelScope(shield=True):
                await hand.dismiss()

    async def _awaited(self, coming: Awaitable[Found]) -> Found | None:
        """Return a new worker, or what it needs; None where there is nothing to do any more before that is there."""
        with anyio.CancelScope() as hiring:
            self._hiring[hiring] = self._loop_s()
            try:
                return await coming
            finally:
                del self._hiring[hiring]
        return None

    async def _introduce(self, member: Member, hand: Hand) -> None:
        before_s = self._now_s()
        place = await hand.place()
        member.host = place.host
        if place.version != version("llm-fellowship"):
            raise DeclarationError(
                f"llm-fellowship {place.version} is on {place.host}, and {version('llm-fellowship')} here: "
                "install the same there, or ship it by --ship WHEEL"
            )
        member.intake = Intake(self._log, _ahead(before_s, self._now_s(), place.now_s))
        engines = await self._awaited(self._yard.engines(place))
        if engines is None:
            return
        welcome = Welcome(member.name, place.address, engines)
        scope().info("worker_joined", worker=member.name, host=place.host, node=place.node, pid=place.pid)
        running = self._employed.create_task(_accompanied(hand.run(self._charter, welcome)))
        self._members[member.name] = member
        try:
            number = await self._lead(member, hand)
            await self._say(hand, Order(number + 1, *_taken(member), leave=True))
            await running
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True), anyio.move_on_after(STOP_S):
                await self._break_off(member, hand)
            raise
        finally:
            running.cancel()

    def _now_s(self) -> float:
        return self._log.clock.now_s()

    @staticmethod
    def _loop_s() -> float:
        return asyncio.get_running_loop().time()

    async def _lead(self, member: Member, hand: Hand) -> int:
        """Give a worker items until there are no more; returns the number of the last order."""
        number, room, quiet_s = 0, 0, self._loop_s() + QUIET_S  # no item waits for a worker to open its way to models
        while True:
            works = tuple(self._workload.lease(room, len(self._members)))
            member.held.update((work.item.id, (work.number, work.item, work.left)) for work in works)
            more = self._workload.more
            if not member.held and not more:
                if self._finished():
                    return number
                await self._change()  # `_watch` sees to it that this is not for long
                if self._workload.more or self._loop_s() < quiet_s:
                    continue
            number += 1
            order = Order(
                number,
                *_taken(member),
                works=works,
                more=more,
                draining=self._progress.draining,
                gather_s=min(LONGEST_GATHER_S, GATHER_S * len(self._members)),
            )
            answer = await self._say(hand, order)
            quiet_s = self._loop_s() + QUIET_S
            self._take(member, answer)
            await self._log.durable(member.intake.last)
            room = answer.room
            if answer.failed is not None:
                raise self._error(member, answer.failed)

    async def _say(self, hand: Hand, order: Order) -> Answer:
        """Exchange words with a worker, again where it could not be reached."""
        until_s: float | None = None
        while True:
            try:
                return await hand.exchange(order)
            except Unreachable as error:
                until_s = until_s or self._loop_s() + LONGEST_S
                if self._loop_s() > until_s:
                    raise WorkerLost(f"it could not be reached for {LONGEST_S:g} s: {error}") from error
                scope().info("worker_unreachable", reason=str(error))
            await anyio.sleep(AGAIN_S)

    async def _change(self) -> None:
        """Wait until there is more to do for those who have nothing, or no more at all."""
        self._changed.clear()
        if not self._finished() and not self._workload.more:
            await self._changed.wait()

    async def _break_off(self, member: Member, hand: Hand) -> None:
        """Let a worker break off what it plays, and take down what came of it."""
        number = LAST_ORDERS
        try:
            while True:
                number += 1
                answer = await hand.exchange(Order(number, *_taken(member), more=False, draining=True, stop=True))
                self._take(member, answer)
                if not answer.playing:
                    return
        except (WorkerLost, Unreachable) as error:
            scope().warning("worker_lost", worker=member.name, host=member.host, reason=str(error))

    def _error(self, member: Member, failure: Failure) -> FellowshipError:
        kind = KNOWN.get(failure.error)
        if kind is not None:
            return kind(failure.reason)
        where = f"a worker on {member.host}"
        if failure.error in DECLARED:
            reason = failure.reason.replace(" or in .env", " there before Ray is started")
            return DeclarationError(f"{where}: {reason}")
        return WorkerFailed(f"{where} failed: {failure.reason}")

    def _finished(self) -> bool:
        """Whether no worker will ever have anything to do any more."""
        return not self._workload.more and not any(member.held for member in self._members.values())

    # what they say

    def _take(self, member: Member, answer: Answer) -> None:
        """Take in what a worker has said."""
        ended: list[str] = []
        for row in member.intake.take(answer.rows, answer.texts):
            self._heed(member, row, ended)
        for level, event, facts in answer.lines:
            tell(level, event, line_of(member.intake, facts))
        self._count(member, answer)
        if answer.stalls is not None:
            member.stalls = tuple(stall_of(member.intake, stall) for stall in answer.stalls)
        for item in ended:
            member.intake.forget(item)
        for item in answer.left_open:
            if member.held.pop(item, None) is not None:
                self._progress.in_flight -= 1
        if answer.stopped_by is not None:
            self._tally.stop(answer.stopped_by)
        if ended or answer.left_open or answer.stopped_by is not None:
            self._tell_all()
        member.last, member.spoke = answer, True

    def _heed(self, member: Member, row: Row, ended: list[str]) -> None:
        """Take in an event that says how far an item has come."""
        sequence, conversation, kind = row[0], ConversationId(row[1]), row[5]
        item = ItemId(item_of(conversation))
        todo = member.held.get(item)
        if todo is None:
            return
        if kind == "item_opened":
            number, whole, left = todo
            outcome = left.outcome if left is not None else None
            member.held[item] = (number, whole, Left(conversation, sequence, UNKNOWN, outcome))
        elif kind in ("item_finished", "item_failed"):
            body = orjson.loads(row[6])
            if kind == "item_finished":
                self._tally.finished(item, conversation, body.get("verdict"))
            else:
                self._tally.failed(item, conversation, Failure.model_validate(body["cause"]))
            del member.held[item]
            self._progress.in_flight -= 1
            ended.append(item)

    def _count(self, member: Member, answer: Answer) -> None:
        progress, last = self._progress, member.last
        progress.calls += answer.calls - last.calls
        progress.tokens += answer.tokens - last.tokens
        progress.cost_usd += answer.cost_usd - last.cost_usd
        progress.unpriced += answer.unpriced - last.unpriced
        self._write_off(Reservation(answer.off_usd - last.off_usd, answer.off_tokens - last.off_tokens))

    def _write_off(self, most: Reservation) -> None:
        if most.tokens:
            self._off = Reservation(self._off.usd + most.usd, self._off.tokens + most.tokens)
            self._log.note(**{WRITTEN_OFF: f"{self._off.usd} {self._off.tokens}"})

    def _workers(self) -> Workers:
        there = [live.Worker(name=each.name, host=each.host, items=len(each.held)) for each in self._members.values()]
        return Workers(there=tuple(there), wanted=self._wanted, lost=self._lost)

    def _stalls(self) -> tuple[Stall, ...]:
        found = [stall for member in self._members.values() for stall in member.stalls]
        return tuple(sorted(found, key=lambda stall: -stall.seconds)[:LONGEST_SHOWN])

    async def _bury(self, member: Member) -> None:
        """Have what a dead worker played gone on with by others."""
        self._lost += 1
        self._write_off(await self._yard.bury(member.name))
        await self._workload.take_back(member.held)
        self._members.pop(member.name, None)
        self._tell_all()


async def _accompanied(run: Awaitable[None]) -> None:
    """Wait until a worker has ended; how, is known from what it says, and of one that dies from its silence."""
    with suppress(WorkerLost, Unreachable):
        await run


def _taken(member: Member) -> tuple[int, int]:
    """Return the newest event of a worker that is durable, and how many of its texts are."""
    return member.intake.taken, member.intake.texts


def _ahead(before_s: float, after_s: float, theirs_s: float) -> float:
    """Return what our clock is ahead of another's, as far as that can be told from one question and its answer."""
    ahead_s = (before_s + after_s) / 2 - theirs_s
    return ahead_s if abs(ahead_s) > after_s - before_s else 0.0

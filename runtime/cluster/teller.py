"""A worker's way to the bank: what gathers is reported at once, one report at a time, and the bank's news is heard."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import count
from math import inf
from types import TracebackType
from typing import Protocol, Self

from ...protocols.errors import ModelError
from ..models.budget import Reservation
from ..models.pace import MINUTE_S, about_limits
from .terms import Condition, Desk, End, Ended, Foreseen, Money, Need, Report, Settled, Spares, Told, Want

LAZY_S = 0.1
"""The longest that something waits to be reported that nobody waits for, of a minute of 60 s."""
GAP_S = 0.005
"""The least time from one report to the next, of a minute of 60 s: what comes together is told together."""
GOODBYE_S = 5.0
"""The longest that the last report may take."""


class BankLine(Protocol):
    """The bank, as a worker reaches it."""

    async def report(self, worker: str, report: Report) -> Told:
        """Tell what has happened; return what there is to tell."""
        ...

    async def listen(self, worker: str) -> Told:
        """Return what there is to tell as soon as there is anything, and after some seconds anyway."""
        ...


class Window(Protocol):
    """A worker's share in the controller of one endpoint."""

    def foresee(self) -> Foreseen | None:
        """Give back what was not used in time; return what is likely to be needed next."""
        ...

    def until_s(self) -> float:
        """Return when something must be given back, on the loop's time."""
        ...

    def hear(self, number: int, condition: Condition) -> None:
        """Take in how the endpoint is."""
        ...

    def lend(self, number: int, spares: Spares, since_s: float) -> None:
        """Take leases that nobody has asked for; they are as old as the report from `since_s`."""
        ...


class Pocket(Protocol):
    """A worker's share in the budget."""

    def put(self, amount: Reservation) -> None:
        """Take money that was set aside, and that nobody waits for."""
        ...

    def settled(self, *, last: bool) -> Settled | None:
        """Return what is not held any more since this was asked last; none where there is no change."""
        ...

    def hear(self, number: int, money: Money) -> None:
        """Take in how the budget stands."""
        ...


@dataclass(slots=True)
class _News:
    """What the next report will tell."""

    desks: list[Desk] = field(default_factory=list[Desk])
    ended: list[Ended] = field(default_factory=list[Ended])
    withdrawn: list[int] = field(default_factory=list[int])
    wants: dict[int, Want] = field(default_factory=dict[int, Want])
    needs: dict[int, Need] = field(default_factory=dict[int, Need])
    announced: dict[str, int] = field(default_factory=dict[str, int])
    """Where among those ended the last one is that has headers about limits, by endpoint."""


class Teller:
    """Speaks with the bank for all of a worker; it is open as an async context."""

    def __init__(self, bank: BankLine, worker: str, *, minute_s: float = MINUTE_S) -> None:
        """Make a teller.

        Args:
            bank: Where it reports.
            worker: The worker's name, which no other has or had.
            minute_s: Length of the minute that limits are of, in seconds.
        """
        self.scale = minute_s / MINUTE_S
        self.reports = 0
        """Sent so far."""
        self._bank = bank
        self._worker = worker
        self._windows: dict[str, Window] = {}
        self._pocket: Pocket | None = None
        self._numbers = count(1)
        self._news = _News()
        self._leases: dict[int, asyncio.Future[int]] = {}
        self._money: dict[int, tuple[asyncio.Future[None], Reservation]] = {}
        self._due_s = inf
        self._sent_s = -inf
        self._stirred = asyncio.Event()
        self._closing = False
        self._tasks = asyncio.TaskGroup()
        self._speaking: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._speaking = (self._tasks.create_task(self._report()), self._tasks.create_task(self._listen()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, trace
        reporting, listening = self._speaking
        listening.cancel()
        self._closing = True
        self.soon()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await asyncio.wait({reporting})
        finally:
            reporting.cancel()
            await closed(self._tasks, error)

    # what the worker's shares say

    def serve(self, identity: str, window: Window) -> None:
        """Speak for a share in a controller, too."""
        self._windows[identity] = window

    def pay_into(self, pocket: Pocket) -> None:
        """Speak for a share in the budget, too."""
        self._pocket = pocket

    def come_to(self, desk: Desk) -> None:
        """Tell of an endpoint that will be asked."""
        self._news.desks.append(desk)
        self.soon()

    async def lease(self, want: Want) -> int:
        """Return the number of a lease, once there is one; raises the endpoint's last word where there will be none."""
        granted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._leases[want.number] = granted
        self._news.wants[want.number] = want
        self.soon()
        try:
            return await granted
        except asyncio.CancelledError:
            if not granted.cancelled() and granted.exception() is None:
                self.end(granted.result(), "unused")
            elif self._leases.pop(want.number, None) is not None and self._news.wants.pop(want.number, None) is None:
                self._withdraw(want.number)
            raise

    async def money(self, most: Reservation) -> None:
        """Wait until money was set aside; raises BudgetExhausted where it will not be."""
        need = Need(self.number(), most)
        paid: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._money[need.number] = paid, most
        self._news.needs[need.number] = need
        self.soon()
        try:
            await paid
        except asyncio.CancelledError:
            if not paid.cancelled() and paid.exception() is None:
                self._put(most)
            elif self._money.pop(need.number, None) is not None and self._news.needs.pop(need.number, None) is None:
                self._withdraw(need.number)
            raise

    def number(self) -> int:
        """Return a number for a want or a need."""
        return next(self._numbers)

    def unsent(self, identity: str) -> list[Want]:
        """Return who waits at an endpoint and was not reported yet; who was sent before comes first."""
        return sorted((want for want in self._news.wants.values() if want.identity == identity), key=_rank)

    def grant(self, want: int, lease: int) -> None:
        """Let a request be sent; a lease that nobody waits for any more is given back."""
        self._news.wants.pop(want, None)
        waiting = self._leases.pop(want, None)
        if waiting is None or waiting.done():
            self.end(lease, "unused")
        else:
            waiting.set_result(lease)

    def answer(self, identity: str, lease: int, used: float, headers: Mapping[str, str]) -> None:
        """Tell of an answer; of what several announce, the last word is told once."""
        news, about = self._news, about_limits(headers)
        if about:
            before = news.announced.get(identity)
            if before is not None:
                about = {**(news.ended[before].headers or {}), **about}
                news.ended[before] = replace(news.ended[before], headers=None)
            news.announced[identity] = len(news.ended)
        news.ended.append(Ended(lease, "answered", used, about or None))

    def fail(self, lease: int, error: ModelError) -> None:
        """Tell of an error."""
        told = copy(error)
        told.headers = about_limits(error.headers) if error.headers is not None else None
        self._news.ended.append(Ended(lease, "failed", error=told))
        self.soon()

    def end(self, lease: int, how: End) -> None:
        """Tell of a lease that ended in another way, and at once: others may wait for it."""
        self._news.ended.append(Ended(lease, how))
        self.soon()

    # when it is told

    def soon(self) -> None:
        """Report as soon as one may."""
        self.due(-inf)

    def later(self) -> None:
        """Report before long."""
        if self._due_s == inf:
            self.due(asyncio.get_running_loop().time() + LAZY_S * self.scale)

    def due(self, at_s: float) -> None:
        """Report at a time of the loop, or earlier."""
        if at_s < self._due_s:
            self._due_s = at_s
            self._stirred.set()

    async def _report(self) -> None:
        while not self._closing or self._due_s == -inf:
            self._stirred.clear()
            if self._due_s > asyncio.get_running_loop().time():
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(self._due_s if self._due_s < inf else None):
                        await self._stirred.wait()
                continue
            gap_s = self._sent_s + GAP_S * self.scale - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, gap_s))
            report = self._gathered()
            self._due_s = inf
            if report != Report():
                self.reports += 1
                self._sent_s = since_s = asyncio.get_running_loop().time()
                self._hear(await self._bank.report(self._worker, report), since_s)
            self.due(min((window.until_s() for window in self._windows.values()), default=inf))
            if report.last:
                return

    def _gathered(self) -> Report:
        foreseen = [foreseen for window in self._windows.values() if (foreseen := window.foresee()) is not None]
        settled = self._pocket.settled(last=self._closing) if self._pocket is not None else None
        news, self._news = self._news, _News()
        return Report(
            desks=tuple(news.desks),
            ended=tuple(news.ended),
            settled=settled,
            withdrawn=tuple(news.withdrawn),
            wants=tuple(news.wants.values()),
            needs=tuple(news.needs.values()),
            foreseen=tuple(foreseen),
            last=self._closing,
        )

    async def _listen(self) -> None:
        while True:
            self._hear(await self._bank.listen(self._worker))

    def _hear(self, told: Told, since_s: float = -inf) -> None:
        for condition in told.conditions:
            self._windows[condition.identity].hear(told.number, condition)
        if told.money is not None and self._pocket is not None:
            self._pocket.hear(told.number, told.money)
        for granted in told.granted:
            self.grant(granted.want, granted.lease)
        for paid in told.paid:
            self._pay(paid.need, paid.amount)
        for spares in told.spares:
            self._windows[spares.identity].lend(told.number, spares, since_s)
        for refused in told.refused:
            waiting = self._leases.pop(refused.number, None) or self._money.pop(refused.number, (None,))[0]
            if waiting is not None and not waiting.done():
                waiting.set_exception(refused.error)

    def _pay(self, need: int, amount: Reservation) -> None:
        waiting, most = self._money.pop(need, (None, None))
        if waiting is not None and most is not None and not waiting.done():
            waiting.set_result(None)
            amount = Reservation(amount.usd - most.usd, amount.tokens - most.tokens)
        if amount.tokens > 0:
            self._put(amount)

    def _put(self, amount: Reservation) -> None:
        if self._pocket is not None:
            self._pocket.put(amount)

    def _withdraw(self, number: int) -> None:
        self._news.withdrawn.append(number)
        self.soon()


async def closed(tasks: asyncio.TaskGroup, error: BaseException | None) -> None:
    """Wait for tasks that were told to end; raises what broke one of them as it is, and leaves other errors alone."""
    try:
        if isinstance(error, asyncio.CancelledError):
            await tasks.__aexit__(type(error), error, error.__traceback__)
        else:
            await tasks.__aexit__(None, None, None)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


def _rank(want: Want) -> tuple[bool, int]:
    return not want.again, want.number

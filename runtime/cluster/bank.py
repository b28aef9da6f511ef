"""The one bank of a cluster: it holds the controllers of all endpoints and the purse, and leases from them to workers.

Every request that any worker sends has a lease of its own here, and the most that it can cost is set aside here: so
limits, waits, the breaker and the budget hold for all workers together, by the code that keeps them in one process.
Where nothing is scarce a worker is given a little more than it asks for, to use without a word; as soon as anything is,
all of that is called back.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from math import ceil
from types import TracebackType
from typing import Self

from ...protocols.errors import DeclarationError, ModelError, WorkerLost
from ...protocols.ports import Clock
from ..clock import SystemClock
from ..models.admission import SPARE, Admission
from ..models.budget import Budget, Purse, Reservation
from ..models.leases import AdmissionState
from ..models.pace import MINUTE_S
from .account import Account, Counter
from .teller import closed
from .terms import VALID_S, Desk, Ended, Foreseen, Money, Need, Report, Settled, Told, Want

LISTEN_S = 10.0
"""The longest that a worker is kept waiting for news."""
LINGER_S = 0.005
"""What comes so shortly after the last news is told together."""
BLOCK = 4
"""Needs' worth of money that are set aside at once, while there is plenty."""
PLENTY = 16
"""Times the largest need that must be left, for each worker, for there to be plenty."""
NOTHING = Reservation(0.0, 0)


@dataclass(frozen=True, slots=True)
class BankState:
    """How everything stands that is shared by all workers."""

    endpoints: tuple[AdmissionState, ...]
    spent_usd: float
    spent_tokens: int


class Bank:
    """Leases requests, tokens, calls in flight and money to workers."""

    def __init__(
        self,
        *,
        minute_s: float = MINUTE_S,
        patience_s: float = 600.0,
        budget: Budget | None = None,
        spent_usd: float = 0.0,
        spent_tokens: int = 0,
        clock: Clock | None = None,
    ) -> None:
        """Make a bank; it is open as an async context.

        Args:
            minute_s: Length of the minute that limits are of, in seconds.
            patience_s: How long an endpoint may fail everybody before it is given up.
            budget: What all workers together may spend, earlier starts included.
            spent_usd: What earlier starts have spent.
            spent_tokens: The same.
            clock: In place of the machine's.
        """
        self._minute_s = minute_s
        self._scale = minute_s / MINUTE_S
        self._patience_s = patience_s
        self._clock = clock or SystemClock()
        self._purse = Purse(budget, spent_usd=spent_usd, spent_tokens=spent_tokens) if budget is not None else None
        self._counters: dict[str, Counter] = {}
        self._accounts: dict[str, Account] = {}
        self._gone: set[str] = set()
        self._largest = NOTHING
        self._numbers = count(1)
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, trace
        for account in self._accounts.values():
            account.close()
        await closed(self._tasks, error)

    # what workers say

    async def join(self, worker: str, desks: Sequence[Desk]) -> None:
        """Take on a worker, and the endpoints that it will ask; a report may name more of them."""
        self._join(self._account(worker), desks)

    async def report(self, worker: str, report: Report) -> Told:
        """Take in what has happened in a worker, and return what there is to tell it, all that it can have at once.

        Raises:
            WorkerLost: the worker is taken for dead, or has left; a name is not used twice.
            DeclarationError: it needs money, and there is no budget.
        """
        account = self._account(worker)
        self._join(account, report.desks)
        for ended in report.ended:
            self._end(account, ended)
        if report.settled is not None:
            self._settle(account, report.settled)
        for number in report.withdrawn:
            account.withdraw(number)
        if report.last:
            self.leave(worker)
            return Told()
        for want in report.wants:
            self._want(account, want)
        for need in report.needs:
            self._need(account, need)
        for foreseen in report.foreseen:
            self._lend(account, foreseen)
        self._look()
        return account.told(self._money())

    async def listen(self, worker: str) -> Told:
        """Return as soon as there is something to tell a worker, and in the end anyway; one call at a time.

        Raises:
            WorkerLost: the worker is taken for dead, or has left.
        """
        account = self._account(worker)
        with suppress(TimeoutError):
            async with asyncio.timeout(LISTEN_S):
                await account.news(LINGER_S * self._scale)
        return self._account(worker).told(self._money())

    def leave(self, worker: str) -> None:
        """Let a worker go that has ended in good order: what it still holds was never used."""
        account = self._remove(worker)
        if account is None:
            return
        for lease in account.leases.values():
            lease.unused()
        if self._purse is not None and account.held_tokens > 0:
            self._purse.settle(Reservation(account.held_usd, account.held_tokens), 0.0, 0)
        self._look()

    def bury(self, worker: str) -> Reservation:
        """Let a worker go that has died: what it had sent is broken off, and all that it held of the budget is spent.

        Returns:
            The money that was counted because nobody knows what became of it.
        """
        account = self._remove(worker)
        if account is None:
            return NOTHING
        for lease in account.leases.values():
            lease.end()
        held = Reservation(account.held_usd, account.held_tokens)
        if self._purse is not None and account.held_tokens > 0:
            self._purse.write_off(held, for_good=False)
        self._look()
        return held

    def state(self) -> BankState:
        """Return how everything stands."""
        purse = self._purse
        endpoints = tuple(counter.state() for counter in self._counters.values())
        return BankState(endpoints, purse.spent_usd if purse else 0.0, purse.spent_tokens if purse else 0)

    # what becomes of it

    def _account(self, worker: str) -> Account:
        if worker in self._gone:
            raise WorkerLost(f"worker {worker} has left, or was taken for dead")
        if worker not in self._accounts:
            self._accounts[worker] = Account(worker, self._tasks, lambda: next(self._numbers), self._purse)
        return self._accounts[worker]

    def _remove(self, worker: str) -> Account | None:
        self._gone.add(worker)
        account = self._accounts.pop(worker, None)
        if account is not None:
            account.close()
            for identity, lane in account.lanes.items():
                counter = self._counters[identity]
                counter.admission.leave(lane)
                del counter.accounts[worker]
        return account

    def _join(self, account: Account, desks: Sequence[Desk]) -> None:
        for desk in desks:
            counter = self._counters.get(desk.identity)
            if counter is None:
                admission = Admission(
                    desk.name, desk.most, clock=self._clock, minute_s=self._minute_s, patience_s=self._patience_s
                )
                counter = self._counters[desk.identity] = Counter(
                    desk.identity, admission, self._clock, VALID_S * self._scale
                )
            counter.accounts[account.name] = account
            counter.admission.join(
                account.join(counter),
                desk.most,
                requests_per_minute=desk.requests_per_minute,
                tokens_per_minute=desk.tokens_per_minute,
            )

    def _end(self, account: Account, ended: Ended) -> None:
        lease = account.leases.pop(ended.lease)
        if ended.how == "answered":
            lease.served(ended.used, ended.headers or {})
        elif ended.error is not None:
            lease.failed(ended.error)
        elif ended.how == "unused":
            lease.unused()
        else:
            lease.end()

    def _want(self, account: Account, want: Want) -> None:
        admission, queue = self._counters[want.identity].admission, account.queues[want.identity]
        try:
            lease = admission.try_lease(want.tokens) if not queue else None
        except ModelError as error:
            account.refuse(want.number, error)
            return
        if lease is None:
            queue.add(want, again=want.again)
        else:
            account.grant(want.number, lease)

    def _lend(self, account: Account, foreseen: Foreseen) -> None:
        """Give leases that nobody has asked for: a fair part of what there is plenty of."""
        counter = self._counters[foreseen.identity]
        if not counter.roomy:
            return
        room = SPARE * counter.admission.state().most_in_flight - counter.admission.in_flight
        most = min(foreseen.requests, ceil(room / len(counter.accounts)))
        leases = [lease for _ in range(most) if (lease := counter.admission.spare(foreseen.tokens)) is not None]
        if leases:
            account.lend(foreseen.identity, leases, foreseen.tokens)

    # money

    def _need(self, account: Account, need: Need) -> None:
        purse, most = self._purse, need.most
        if purse is None:
            raise DeclarationError(f"worker {account.name} needs money, and the bank was given no budget")
        self._largest = Reservation(max(self._largest.usd, most.usd), max(self._largest.tokens, most.tokens))
        block = _times(most, BLOCK)
        if account.needs:
            account.needs.add(need)
        elif self._plenty() and purse.try_reserve(block):
            account.pay(need.number, block)
        elif purse.try_reserve(most):
            account.pay(need.number, most)
        else:
            account.needs.add(need)

    def _settle(self, account: Account, settled: Settled) -> None:
        if self._purse is not None:
            account.settle(settled.released)
            self._purse.settle(settled.released, settled.usd, settled.tokens)

    def _plenty(self) -> bool:
        """Return whether nobody waits for money, and what is left suffices for all workers for a while."""
        if self._purse is None or any(account.needs for account in self._accounts.values()):
            return False
        return self._purse.leaves(_times(self._largest, PLENTY * max(1, len(self._accounts))))

    def _money(self) -> Money | None:
        purse = self._purse
        return Money(self._plenty(), purse.spent_usd, purse.spent_tokens) if purse is not None else None

    # who has to know

    def _look(self) -> None:
        """See what has changed; who may hold what is scarce now is told at once."""
        for counter in self._counters.values():
            if counter.changed():
                for account in counter.accounts.values():
                    account.stale[counter.identity] = counter
                    if not counter.roomy:
                        account.stir()
        plenty = self._plenty()
        for account in self._accounts.values():
            if account.plenty and not plenty:
                account.stir()


def _times(most: Reservation, times: int) -> Reservation:
    return Reservation(most.usd * times, most.tokens * times)

"""What the bank keeps for one worker: what it has been given, what it waits for, and what there is to tell it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Generic, TypeVar

from ...protocols.errors import ModelError
from ...protocols.ports import Clock
from ..models.admission import Admission
from ..models.budget import Purse, Reservation
from ..models.leases import AdmissionState, Lane, Lease
from .terms import Condition, Granted, Money, Need, Paid, Refused, Spares, Told, Want

Wanted = TypeVar("Wanted", Want, Need)


class Queue(Generic[Wanted]):
    """Wants of one worker for one thing, served one at a time, so that workers take turns.

    Those of requests that were sent before are served before the others.
    """

    def __init__(self, tasks: asyncio.TaskGroup, serve: Callable[[Wanted], Awaitable[None]]) -> None:
        self._tasks = tasks
        self._serve: Callable[[Wanted], Awaitable[None]] = serve
        self._again: dict[int, Wanted] = {}
        self._fresh: dict[int, Wanted] = {}
        self._served: int | None = None
        self._serving: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._again) + len(self._fresh)

    def add(self, want: Wanted, *, again: bool = False) -> None:
        """Let a want wait."""
        (self._again if again else self._fresh)[want.number] = want
        if self._serving is None:
            self._serving = self._tasks.create_task(self._serve_all())

    def withdraw(self, number: int) -> None:
        """Forget a want, should it still wait."""
        if self._again.pop(number, None) is None and self._fresh.pop(number, None) is None:
            return
        if number == self._served:
            self.close()
            if len(self):
                self._serving = self._tasks.create_task(self._serve_all())

    def close(self) -> None:
        """Serve nobody any more."""
        if self._serving is not None:
            self._serving.cancel()
            self._serving = self._served = None

    async def _serve_all(self) -> None:
        while self:
            waiting = self._again or self._fresh
            self._served = next(iter(waiting))
            await self._serve(waiting[self._served])
            del waiting[self._served]
        self._serving = self._served = None


@dataclass(slots=True)
class Counter:
    """One endpoint, as the bank serves it."""

    identity: str
    admission: Admission
    clock: Clock
    calm_s: float
    """How long it must have been roomy before it counts as that again."""
    accounts: dict[str, "Account"] = field(default_factory=dict[str, "Account"])
    """Of the workers that ask here, by name."""
    seen: tuple[object, ...] = ()
    """What workers were told of it last."""
    scarce_until_s: float = -inf

    def changed(self) -> bool:
        """Return whether it is otherwise than when this was asked last, in what matters to those who ask."""
        admission = self.admission
        limits = admission.requests.limit, admission.tokens.limit
        now = (self.roomy, admission.broken, admission.given_up, *limits)
        before, self.seen = self.seen, now
        return now != before

    @property
    def roomy(self) -> bool:
        """Whether workers may hold leases that nobody has asked for: nothing is scarce, and was not a moment ago."""
        now_s = self.clock.monotonic_s()
        if not self.admission.roomy:
            self.scarce_until_s = now_s + self.calm_s
        return now_s >= self.scarce_until_s

    def condition(self) -> Condition:
        """Return how it is."""
        return Condition(self.identity, self.roomy, self.state(), self.admission.last_word)

    def state(self) -> AdmissionState:
        """Return its controller, with all that wait for it in any worker."""
        waiting = sum(len(account.queues[self.identity]) for account in self.accounts.values())
        return replace(self.admission.state(), waiting=waiting)


class Account:
    """One worker's."""

    def __init__(self, name: str, tasks: asyncio.TaskGroup, numbers: Callable[[], int], purse: Purse | None) -> None:
        """Make an account.

        Args:
            name: The worker's.
            tasks: Owns those that wait in its place.
            numbers: Draws the number of a lease.
            purse: What is spent from.
        """
        self.name = name
        self.leases: dict[int, Lease] = {}
        self.held_usd = 0.0
        self.held_tokens = 0
        self.lanes: dict[str, Lane] = {}
        self.queues: dict[str, Queue[Want]] = {}
        self.needs: Queue[Need] = Queue(tasks, self._wait_for_money)
        self.stale: dict[str, Counter] = {}
        """Endpoints that have changed since the worker was told of them."""
        self.plenty: bool | None = None
        """What it was told last."""
        self._tasks = tasks
        self._numbers = numbers
        self._purse = purse
        self._told = 0
        self._granted: list[Granted] = []
        self._spares: list[Spares] = []
        self._paid: list[Paid] = []
        self._refused: list[Refused] = []
        self._news = asyncio.Event()

    def join(self, counter: Counter) -> Lane:
        """Return the lane in which the worker waits at an endpoint."""
        identity = counter.identity
        if identity not in self.lanes:
            lane = self.lanes[identity] = Lane()

            async def wait(want: Want) -> None:
                try:
                    lease = await counter.admission.lease(lane, want.tokens, again=want.again)
                except ModelError as error:
                    self.refuse(want.number, error)
                else:
                    self.grant(want.number, lease)

            self.queues[identity] = Queue(self._tasks, wait)
            self.stale[identity] = counter
        return self.lanes[identity]

    async def _wait_for_money(self, need: Need) -> None:
        assert self._purse is not None  # noqa: S101 - asked by the bank
        try:
            await self._purse.reserve(need.most)
        except ModelError as error:
            self.refuse(need.number, error)
        else:
            self.pay(need.number, need.most)

    def withdraw(self, number: int) -> None:
        """Forget a want or a need, should it still wait."""
        self.needs.withdraw(number)
        for queue in self.queues.values():
            queue.withdraw(number)

    # what there is to tell

    def grant(self, want: int, lease: Lease) -> None:
        """Tell that a request may be sent."""
        self._granted.append(Granted(want, self._keep(lease)))
        self.stir()

    def lend(self, identity: str, leases: list[Lease], tokens: float) -> None:
        """Tell of leases that nobody has asked for."""
        self._spares.append(Spares(identity, tuple(self._keep(lease) for lease in leases), tokens))

    def pay(self, need: int, amount: Reservation) -> None:
        """Tell that money was set aside."""
        self.held_usd += amount.usd
        self.held_tokens += amount.tokens
        self._paid.append(Paid(need, amount))
        self.stir()

    def refuse(self, number: int, error: ModelError) -> None:
        """Tell that something will never be had."""
        self._refused.append(Refused(number, error))
        self.stir()

    def stir(self) -> None:
        """Let the worker be told at once."""
        self._news.set()

    async def news(self, linger_s: float) -> None:
        """Wait until there is something to tell, and a moment longer for what comes with it."""
        while True:
            await self._news.wait()
            await asyncio.sleep(linger_s)
            if self._news.is_set():  # else a report was told it meanwhile
                return

    def told(self, money: Money | None) -> Told:
        """Return all that there is to tell, once."""
        self._told += 1
        told = Told(
            number=self._told,
            granted=tuple(self._granted),
            spares=tuple(self._spares),
            paid=tuple(self._paid),
            refused=tuple(self._refused),
            conditions=tuple(counter.condition() for counter in self.stale.values()),
            money=money,
        )
        for kept in (self._granted, self._spares, self._paid, self._refused, self.stale):
            kept.clear()
        self.plenty = money.plenty if money is not None else None
        self._news.clear()
        return told

    def _keep(self, lease: Lease) -> int:
        number = self._numbers()
        self.leases[number] = lease
        return number

    def settle(self, released: Reservation) -> None:
        """Note that money is not held any more."""
        self.held_tokens -= released.tokens
        self.held_usd = self.held_usd - released.usd if self.held_tokens > 0 else 0.0

    def close(self) -> None:
        """Serve the worker no more."""
        self.needs.close()
        for queue in self.queues.values():
            queue.close()
        self._news.set()

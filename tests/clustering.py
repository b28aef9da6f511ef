"""A cluster within one process, for tests: what travels is pickled on its way, and workers die when they are told to."""

import asyncio
import pickle
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import pytest

from fellowship.protocols.errors import WorkerLost
from fellowship.runtime.cluster.bank import Bank, BankState
from fellowship.runtime.models.budget import Reservation
from fellowship.runtime.models.endpoints import Endpoint
from fellowship.scenarios.cluster import rays
from fellowship.scenarios.cluster.parcels import Answer, Charter, Order, Place, Welcome
from fellowship.scenarios.cluster.worker import Worker
from fellowship.scenarios.cluster.yard import Unreachable


class NearWorker(Worker):
    """A worker that shares its process, and leaves its logs alone."""

    def listen(self, least: int) -> None:
        del least


class NearHand:
    """A worker within this process. It can be told to die, or to be deaf for a while."""

    def __init__(self, name: str, bank: Bank, yard: "NearYard") -> None:
        self.name = name
        self.worker = NearWorker()
        self.answers = 0
        self._bank = bank
        self._yard = yard
        self._dead = False
        self._heard: list[anyio.CancelScope] = []
        """What it is asked now."""

    def die(self) -> None:
        """End it without another word."""
        self._dead = True
        for scope in self._heard:
            scope.cancel()

    async def _unless_dead(self, do: Callable[[], Awaitable[Any]]) -> Any:
        with anyio.CancelScope() as scope:
            self._heard.append(scope)
            try:
                if not self._dead:
                    return pickle.loads(pickle.dumps(await do()))  # noqa: S301 - our own
            finally:
                self._heard.remove(scope)
        raise WorkerLost(f"{self.name} is no more")

    async def place(self) -> Place:
        place: Place = await self._unless_dead(partial(asyncio.sleep, 0, self.worker.place()))
        return replace(place, node="n1", address="10.0.0.1")

    async def run(self, charter: Charter, welcome: Welcome) -> None:
        sent = pickle.loads(pickle.dumps((charter, welcome)))  # noqa: S301 - our own
        await self._unless_dead(partial(self.worker.run, *sent, self._bank))

    async def exchange(self, order: Order) -> Answer:
        sent = pickle.loads(pickle.dumps(order))  # noqa: S301 - our own
        answer: Answer = await self._unless_dead(partial(self.worker.exchange, sent))
        self.answers += 1
        if self._yard.doomed(self):
            self.die()
            raise WorkerLost(f"{self.name} is no more")
        if self._yard.deaf(self):
            raise Unreachable(f"{self.name} was not heard")
        return answer

    async def dismiss(self) -> None:
        self.die()


class NearYard:
    """Workers within this process, under a bank that is the real one."""

    def __init__(self) -> None:
        self.hands: list[NearHand] = []
        """All workers that were ever hired."""
        self.deaf: Callable[[NearHand], bool] = lambda _: False
        """Whether a worker's answer is lost."""
        self.doomed: Callable[[NearHand], bool] = lambda _: False
        """Whether a worker dies now, with its answer on its way."""
        self.made: Bank | None = None

    @property
    def _bank(self) -> Bank:
        assert self.made is not None
        return self.made

    async def hire(self, name: str) -> NearHand:
        hand = NearHand(name, self._bank, self)
        self.hands.append(hand)
        return hand

    async def engines(self, place: Place) -> Mapping[str, Endpoint]:
        del place
        return {}

    async def bank(self) -> BankState:
        return self._bank.state()

    async def bury(self, name: str) -> Reservation:
        return self._bank.bury(name)


@pytest.fixture
def near(monkeypatch: pytest.MonkeyPatch) -> NearYard:
    """Have runs on a cluster played within this process; returns where their workers come from."""
    yard = NearYard()

    @asynccontextmanager
    async def opened(cluster: object, models: object, **terms: Any) -> AsyncGenerator[NearYard, None]:
        del cluster, models
        async with Bank(**terms) as yard.made:
            yield yard

    monkeypatch.setattr(rays, "opened", opened)
    monkeypatch.setattr(rays, "processors", lambda: 4)
    monkeypatch.setattr(rays, "nodes", lambda: 2)
    monkeypatch.setattr("fellowship.scenarios.cluster.crew.AGAIN_S", 0.0)
    return yard

"""Admission and budget of a cluster: leased by one bank to workers that reach it late, kept as by one process."""

import asyncio
import pickle
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random

import pytest
from acting import settle
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual import in_virtual_time, now_s

from fellowship.protocols.errors import (
    AskCycle,
    BudgetExhausted,
    CallTimedOut,
    ConnectionFailed,
    EndpointDown,
    FellowshipError,
    ItemTimedOut,
    ModelError,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    TruncatedReply,
    UnknownName,
    WorkerLost,
    model_error,
)
from fellowship.protocols.models import ChatMessage, Completion, ModelCall, ModelSettings, Tier, Usage
from fellowship.runtime.cluster.bank import Bank
from fellowship.runtime.cluster.leasing import LeasedAdmission, LeasedAdmissions, LeasedPurse, Teller
from fellowship.runtime.cluster.terms import Report, Told
from fellowship.runtime.models import Admission, Endpoint, ModelAccess, Price, Retries, Route, Transport
from fellowship.runtime.models.budget import Budget, Purse, Reservation, most_of
from fellowship.runtime.models.leases import Lane, Lease
from fellowship.runtime.models.retries import TABLE, Rule
from fellowship.runtime.models.wire import Reply, refusal
from fellowship.runtime.testing import Enforced
from fellowship.runtime.testing.gauges import Style
from fellowship.runtime.testing.latency import constant, lognormal
from fellowship.runtime.testing.simulated import LoopClock, SimulatedEndpoint, VirtualTimeLoop

SETTINGS = ModelSettings(model="simulated/m")
CALL = ModelCall(SETTINGS, (ChatMessage("user", "why is it so? " * 20),))
ENDPOINT = Endpoint("simulated/m", "m", "https://models.example/v1", key="sk-secret")
SPENT = Usage(input_tokens=80, output_tokens=20)
MINUTE_S = 60.0


class Line:
    """A way to a bank in another process: everything crosses by pickle, and takes its time both ways."""

    def __init__(self, bank: Bank, seed: int = 0, *, delay_s: float = 0.02) -> None:
        self._bank = bank
        self._rng = Random(seed)
        self._delay_s = delay_s
        self.written = b""

    async def report(self, worker: str, report: Report) -> Told:
        crossed = pickle.dumps(report)
        self.written += crossed
        await self._late()
        return await self._back(await self._bank.report(worker, pickle.loads(crossed)))

    async def listen(self, worker: str) -> Told:
        await self._late()
        return await self._back(await self._bank.listen(worker))

    async def _back(self, told: Told) -> Told:
        crossed = pickle.dumps(told)
        await self._late()
        heard: Told = pickle.loads(crossed)
        return heard

    async def _late(self) -> None:
        if self._delay_s:
            await asyncio.sleep(self._rng.uniform(0.0, self._delay_s))


@dataclass
class Worker:
    name: str
    line: Line
    teller: Teller
    admissions: LeasedAdmissions
    purse: LeasedPurse | None

    def share(
        self, most: int = 256, *, requests: float | None = None, tokens: float | None = None, endpoint: Endpoint = ENDPOINT
    ) -> LeasedAdmission:
        share = self.admissions.of(endpoint, lambda: pytest.fail("a controller of its own"))
        share.join(Lane(), most, requests_per_minute=requests, tokens_per_minute=tokens)
        return share

    def access(
        self,
        server: Transport,
        share: LeasedAdmission,
        *,
        price: Price | None = None,
        retries: Retries | None = None,
        endpoint: Endpoint = ENDPOINT,
        settings: ModelSettings = SETTINGS,
        deadline_s: float = 300.0,
    ) -> ModelAccess:
        routes = {settings: Route(endpoint, server, share, price)}
        return ModelAccess(routes, clock=LoopClock(), deadline_s=deadline_s, purse=self.purse, retries=retries)


@asynccontextmanager
async def employed(
    bank: Bank, count: int = 4, *, budget: Budget | None = None, delay_s: float = 0.02
) -> AsyncGenerator[list[Worker], None]:
    async with AsyncExitStack() as stack:
        workers: list[Worker] = []
        for number in range(count):
            line = Line(bank, number, delay_s=delay_s)
            teller = await stack.enter_async_context(Teller(line, f"w{number}"))
            admissions = LeasedAdmissions(teller, salt=b"salt", node=f"10.0.0.{number}")
            purse = LeasedPurse(teller, budget) if budget is not None else None
            workers.append(Worker(f"w{number}", line, teller, admissions, purse))
        yield workers


def bank_of(budget: Budget | None = None, **facts: float) -> Bank:
    return Bank(budget=budget, clock=LoopClock(), **facts)  # type: ignore[arg-type]


async def work(
    server: Transport, workers: list[Worker], seconds: float, each: int = 64, *, most: int = 256, **limits: float
) -> None:
    """Let every worker ask as much as is let in."""

    async def ask(access: ModelAccess) -> None:
        while True:
            await access.complete(CALL)

    accesses = [worker.access(server, worker.share(most, **limits)) for worker in workers]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as asking:
            for access in accesses:
                for _ in range(each):
                    asking.create_task(ask(access))


async def all_is_free(bank: Bank) -> None:
    """Prove that nothing is held once the workers have left."""
    for state in bank.state().endpoints:
        assert (state.in_flight, state.waiting) == (0, 0)


# limits of the whole cluster


class Watched(SimulatedEndpoint):
    """Keeps when every request came in, and how many were inside."""

    def __init__(self, enforced: Enforced, tokens: int = 120, seconds: float = 0.3) -> None:
        super().__init__(
            enforced,
            LoopClock().monotonic_s,
            latency=lognormal(seconds, 0.4),
            usage=lambda rng: Usage(
                input_tokens=round(tokens * 0.8), output_tokens=round(tokens * rng.uniform(0.1, 0.3))
            ),
        )
        self.came_s: list[float] = []
        self.most = 0

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier, hear: object = None) -> Reply:
        self.came_s.append(now_s())
        self.most = max(self.most, self.enforcer.inside + 1)
        return await super().send(endpoint, call, tier)


@pytest.mark.parametrize("tokens", [120, 400], ids=["requests-bind", "tokens-bind"])
@pytest.mark.parametrize("style", ["window", "sliding", "bucket"])
@in_virtual_time
async def test_limits_a_minute_hold_for_all_workers_to_the_request_and_are_used(style: Style, tokens: int) -> None:
    limits = Enforced(requests_per_minute=600, tokens_per_minute=100_000, style=style, announced=False)
    server = Watched(limits, tokens)
    async with bank_of() as bank:
        async with employed(bank) as workers:
            await work(server, workers, 2 * MINUTE_S, requests=600, tokens=100_000)
        await all_is_free(bank)
    assert server.enforcer.refused.total() == 0
    assert server.enforcer.share_used("requests" if tokens == 120 else "tokens", MINUTE_S, 2 * MINUTE_S) >= 0.95


@in_virtual_time
async def test_calls_in_flight_never_exceed_the_most_of_the_whole_cluster_and_come_near_it() -> None:
    server = Watched(Enforced(), seconds=1.0)
    async with bank_of() as bank:
        async with employed(bank) as workers:
            await work(server, workers, 30.0, most=12)
        await all_is_free(bank)
    assert server.most == 12
    assert len(server.came_s) >= 0.9 * 30.0 * 12 / 1.083


class Shut(Watched):
    """Refuses everybody for three seconds, from the fifth on, and lets all in before and after."""

    refused = 0

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier, hear: object = None) -> Reply:
        if 5.0 <= now_s() < 8.0:
            self.refused += 1
            self.came_s.append(now_s())
            await asyncio.sleep(0.01)
            raise refusal(429, b"slow down", {"retry-after-ms": "3100"}, endpoint)
        return await super().send(endpoint, call, tier)


@in_virtual_time
async def test_a_429_that_one_worker_meets_holds_all_of_them_and_one_call_goes_ahead_alone() -> None:
    server = Shut(Enforced())
    async with bank_of() as bank:
        async with employed(bank) as workers:
            await work(server, workers, 12.0, each=20, most=512)
            reports = sum(worker.teller.reports for worker in workers)
        await all_is_free(bank)
    before = [time_s for time_s in server.came_s if time_s < 5.0]
    assert reports < len(server.came_s) / 2  # most were sent without a word
    assert 1_000 < len(before)
    met_s = next(time_s for time_s in server.came_s if time_s >= 5.0)
    on_the_way_s = 0.01 + 3 * 0.02 + 0.01  # refusal, report, what the others hear, and a little for what gathers
    after = [time_s for time_s in server.came_s if time_s > met_s + on_the_way_s]
    ahead_s, *others_s = after
    assert met_s + 3.1 <= ahead_s <= met_s + 3.1 + on_the_way_s + 0.05
    assert others_s[0] >= ahead_s + 0.1  # not before it is answered
    assert server.came_s[-1] > 11.9


@in_virtual_time
async def test_leases_that_nobody_asked_for_are_called_back_when_something_is_scarce_and_run_out_by_themselves() -> None:
    server = Watched(Enforced(), seconds=0.1)
    async with bank_of() as bank, employed(bank, 2) as (busy, other):
        await work(server, [busy], 3.0, each=16, most=512)
        await asyncio.sleep(0.05)
        lent = bank.state().endpoints[0].in_flight
        lease = await other.share(512).lease(Lane(), 0.0)
        lease.failed(refusal(429, b"slow down", {"retry-after": "1"}, ENDPOINT))
        await asyncio.sleep(0.1)
        recalled = bank.state().endpoints[0].in_flight
        await asyncio.sleep(5.0)
        await work(server, [busy], 3.0, each=16, most=512)
        await asyncio.sleep(0.05)
        again = bank.state().endpoints[0].in_flight
        await asyncio.sleep(0.35)
        assert (lent > 0, recalled, again > 0, bank.state().endpoints[0].in_flight) == (True, 0, True, 0)


@in_virtual_time
async def test_a_busy_worker_sends_many_requests_for_one_report_where_nothing_is_scarce() -> None:
    server = Watched(Enforced(), seconds=0.3)
    async with bank_of() as bank:
        async with employed(bank, 1) as (worker,):
            await work(server, [worker], 20.0, each=200, most=1_000)
        await all_is_free(bank)
    asked = len([time_s for time_s in server.came_s if time_s >= 5.0])
    assert asked >= 0.9 * 15.0 * 200 / (0.3 * 1.083)  # nearly as if there were no bank
    assert worker.teller.reports <= len(server.came_s) / 30


@in_virtual_time
async def test_a_worker_with_few_requests_is_not_kept_waiting_by_one_with_many() -> None:
    async with bank_of() as bank, employed(bank, 2) as (many, few):
        shares = [worker.share(20, requests=600) for worker in (many, few)]
        ends: dict[str, list[float]] = {"many": [], "few": []}

        async def ask(name: str, share: LeasedAdmission) -> None:
            lease = await share.lease(Lane(), 0.0)
            ends[name].append(now_s())
            await asyncio.sleep(0.2)
            lease.answered({}, SPENT)

        async with asyncio.TaskGroup() as asking:
            for _ in range(1_000):
                asking.create_task(ask("many", shares[0]))
            await asyncio.sleep(5.0)
            for _ in range(10):
                asking.create_task(ask("few", shares[1]))
    assert len(ends["many"]) == 1_000
    assert ends["few"][-1] <= 5.0 + 10 * 2 * 0.102 + 0.3  # every other turn
    assert ends["many"][-1] >= 1_000 * 60 / 600


@in_virtual_time
async def test_requests_that_were_sent_before_go_first_within_a_worker() -> None:
    async with bank_of() as bank, employed(bank, 1) as (worker,):
        share, order = worker.share(1), list[str]()

        async def ask(name: str, *, again: bool) -> None:
            lease = await share.lease(Lane(), 0.0, again=again)
            order.append(name)
            lease.end()

        first = await share.lease(Lane(), 0.0)
        async with asyncio.TaskGroup() as asking:
            for name, again in (("a", False), ("b", False), ("c", True), ("d", True)):
                asking.create_task(ask(name, again=again))
                await asyncio.sleep(0.2 if name == "a" else 0.0)
            await asyncio.sleep(0.2)
            first.end()
    assert order == ["a", "c", "d", "b"]  # the first stands at the bank already


# those who leave, and those who die


@in_virtual_time
async def test_a_dead_workers_leases_are_free_again_and_who_waited_in_it_waits_no_more() -> None:
    async with bank_of(Budget(tokens=10_000)) as bank, employed(bank, 2, budget=Budget(tokens=10_000)) as (dead, alive):
        shares = [worker.share(4) for worker in (dead, alive)]
        async with asyncio.TaskGroup() as asking:
            assert dead.purse is not None
            await dead.purse.reserve(Reservation(0.0, 700))
            await asking.create_task(taken(shares[0], 4))
            waiting = [asking.create_task(shares[0].lease(Lane(), 0.0)) for _ in range(10)]
            others = asking.create_task(taken(shares[1], 4))
            await asyncio.sleep(1.0)
            assert not others.done()
            assert bank.state().endpoints[0].waiting == 11
            assert bank.bury("w0").tokens == 700
            assert bank.bury("w0").tokens == 0
            await asyncio.sleep(0.1)
            assert others.done()
            assert (bank.state().endpoints[0].in_flight, bank.state().endpoints[0].waiting) == (4, 0)
            assert bank.state().spent_tokens == 700
            with pytest.raises(WorkerLost, match="w0 has left, or was taken for dead"):
                await bank.report("w0", Report())
            for call in waiting:
                call.cancel()
            raise LostWorkers  # noqa: TRY301 - the dead one's teller notices, too


class LostWorkers(Exception):
    """Ends a test."""


async def taken(share: LeasedAdmission, count: int) -> list[Lease]:
    return [await share.lease(Lane(), 0.0) for _ in range(count)]

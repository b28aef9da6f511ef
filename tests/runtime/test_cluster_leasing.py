"""Admission and budget of a cluster: leased by one bank to workers that reach it late, kept as by one process."""

import asyncio
import gc
import pickle
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from random import Random

import pytest
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
from fellowship.runtime.cluster.terms import Condition, Ended, Granted, Paid, Report, Spares, Told, Want
from fellowship.runtime.models import Admission, Endpoint, ModelAccess, Price, Retries, Route, Transport
from fellowship.runtime.models.budget import Budget, Purse, Reservation, most_of
from fellowship.runtime.models.leases import AdmissionState, Lane, Lease
from fellowship.runtime.models.retries import TABLE
from fellowship.runtime.models.wire import Reply, refusal
from fellowship.runtime.testing import Enforced
from fellowship.runtime.testing.gauges import Style
from fellowship.runtime.testing.latency import lognormal
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
        self.written: list[bytes] = []

    async def report(self, worker: str, report: Report) -> Told:
        crossed = pickle.dumps(report)
        self.written.append(crossed)
        await self._late()
        return await self._back(await self._bank.report(worker, pickle.loads(crossed)))  # noqa: S301 - our own

    async def listen(self, worker: str) -> Told:
        await self._late()
        return await self._back(await self._bank.listen(worker))

    async def _back(self, told: Told) -> Told:
        crossed = pickle.dumps(told)
        await self._late()
        heard: Told = pickle.loads(crossed)  # noqa: S301 - our own
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
        self,
        most: int = 256,
        *,
        requests: float | None = None,
        tokens: float | None = None,
        endpoint: Endpoint = ENDPOINT,
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
    bank: Bank,
    count: int = 4,
    *,
    first: int = 0,
    budget: Budget | None = None,
    delay_s: float = 0.02,
    minute_s: float = MINUTE_S,
) -> AsyncGenerator[list[Worker], None]:
    async with AsyncExitStack() as stack:
        workers: list[Worker] = []
        for number in range(first, first + count):
            line = Line(bank, number, delay_s=delay_s)
            teller = await stack.enter_async_context(Teller(line, f"w{number}", minute_s=minute_s))
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
async def test_limits_hold_where_workers_ask_by_fits_and_starts_about_as_much_as_is_allowed() -> None:
    """Here leases that nobody asked for are in use all the time, and requests leave later than they are counted."""
    server = Watched(Enforced(requests_per_minute=6_000, style="sliding", announced=False))
    rng = Random(1)

    async def ask(access: ModelAccess) -> None:
        while True:
            await access.complete(CALL)
            await asyncio.sleep(rng.expovariate(1 / 0.7))

    async with bank_of() as bank, employed(bank) as workers:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5 * MINUTE_S), asyncio.TaskGroup() as asking:
                for worker in workers:
                    access = worker.access(server, worker.share(requests=6_000))
                    for _ in range(25):
                        asking.create_task(ask(access))
        reports = sum(worker.teller.reports for worker in workers)
    assert server.enforcer.refused.total() == 0
    assert server.enforcer.share_used("requests", 0.5 * MINUTE_S, 1.5 * MINUTE_S) >= 0.95
    assert reports < 0.7 * len(
        server.came_s
    )  # two would be needed for each, if all were asked for and ended one by one


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
    assert len(before) > 1_000
    met_s = next(time_s for time_s in server.came_s if time_s >= 5.0)
    on_the_way_s = 0.01 + 3 * 0.02 + 0.01  # refusal, report, what the others hear, and a little for what gathers
    after = [time_s for time_s in server.came_s if time_s > met_s + on_the_way_s]
    ahead_s, *others_s = after
    assert met_s + 3.1 <= ahead_s <= met_s + 3.1 + on_the_way_s + 0.05
    assert others_s[0] >= ahead_s + 0.1  # not before it is answered
    assert server.came_s[-1] > 11.9


@in_virtual_time
async def test_leases_that_nobody_asked_for_are_called_back_when_something_is_scarce_and_run_out_by_themselves() -> (
    None
):
    server = Watched(Enforced(), seconds=0.1)
    minute_s = 600.0  # so that leases are valid for 2.5 s: those that come back sooner were called back
    async with bank_of(minute_s=minute_s) as bank, employed(bank, 2, minute_s=minute_s) as (busy, other):
        for _ in range(2):
            await work(server, [busy], 3.0, each=16, most=100)
            await asyncio.sleep(0.2)
            assert bank.state().endpoints[0].in_flight > 0  # and all requests have ended
            async with asyncio.TaskGroup() as asking:
                share = other.share(100)
                calls = [asking.create_task(share.lease(Lane(), 0.0)) for _ in range(200)]
                await asyncio.sleep(0.6)
                leases = [call.result() for call in calls if call.done()]
                assert len(leases) == bank.state().endpoints[0].in_flight == bank.state().endpoints[0].most_in_flight
                for call in calls:
                    call.cancel()
            for lease in leases:
                lease.answered({}, SPENT)
            await asyncio.sleep(10.0)
        await work(server, [busy], 3.0, each=16, most=100)
        await asyncio.sleep(0.2)
        assert bank.state().endpoints[0].in_flight > 0
        await asyncio.sleep(3.5)
        assert bank.state().endpoints[0].in_flight == 0


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


async def taken(share: LeasedAdmission, count: int) -> list[Lease]:
    return [await share.lease(Lane(), 0.0) for _ in range(count)]


@in_virtual_time
async def test_a_dead_workers_leases_are_free_again_and_its_money_is_spent() -> None:
    budget = Budget(tokens=1_200)

    async def live_and_die(bank: Bank) -> None:
        with pytest.raises(WorkerLost, match="worker w0 has left, or was taken for dead"):
            async with employed(bank, 1, budget=budget) as (worker,), asyncio.TaskGroup() as asking:
                assert worker.purse is not None
                await worker.purse.reserve(Reservation(0.0, 700))
                await taken(worker.share(4), 4)
                for _ in range(10):
                    asking.create_task(worker.share(4).lease(Lane(), 0.0))
                    asking.create_task(worker.purse.reserve(Reservation(0.0, 700)))

    async with (
        bank_of(budget) as bank,
        employed(bank, 1, first=1, budget=budget) as (alive,),
        asyncio.TaskGroup() as life,
    ):
        life.create_task(live_and_die(bank))
        await asyncio.sleep(1.0)
        others = life.create_task(taken(alive.share(4), 4))
        await asyncio.sleep(1.0)
        assert not others.done()
        assert bank.state().endpoints[0].waiting == 11
        assert (bank.bury("w0"), bank.bury("w0")) == (Reservation(0.0, 700), Reservation(0.0, 0))
        await asyncio.sleep(0.2)
        assert len(others.result()) == 4
        assert (bank.state().endpoints[0].in_flight, bank.state().endpoints[0].waiting) == (4, 0)
        assert bank.state().spent_tokens == 700
        assert alive.purse is not None
        await alive.purse.reserve(Reservation(0.0, 500))
        with pytest.raises(WorkerLost):
            await bank.report("w0", Report())


WANTED = st.tuples(
    st.integers(0, 2),
    st.sampled_from([0.0, 0.01, 0.03, 0.2]),
    st.sampled_from([0.0, 0.01, 0.03, 0.05, 1.0]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(asked=st.lists(WANTED, max_size=25), most=st.integers(1, 6), requests=st.sampled_from([None, 600]))
@in_virtual_time
async def test_requests_that_are_broken_off_whenever_leave_nothing_behind(
    asked: list[tuple[int, float, float, bool]], most: int, requests: int | None
) -> None:
    async with bank_of() as bank, employed(bank, 3) as workers:

        async def ask(which: int, begins_s: float, lasts_s: float, *, again: bool) -> None:
            await asyncio.sleep(begins_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(lasts_s):
                    lease = await workers[which].share(most, requests=requests).lease(Lane(), 0.0, again=again)
                    try:
                        await asyncio.sleep(0.05)
                    finally:
                        lease.end()

        async with asyncio.TaskGroup() as asking:
            for which, begins_s, lasts_s, again in asked:
                asking.create_task(ask(which, begins_s, lasts_s, again=again))
        await asyncio.sleep(1.0)
        await all_is_free(bank)
        assert [worker.share().state().in_flight for worker in workers] == [0, 0, 0]
    assert len(asyncio.all_tasks()) == 1


@in_virtual_time
async def test_a_request_that_is_broken_off_at_any_step_on_its_way_holds_nothing() -> None:
    budget = Budget(tokens=1_000)
    async with bank_of(budget) as bank, employed(bank, 1, budget=budget, delay_s=0.0) as (worker,):
        share, purse = worker.share(1), worker.purse
        assert purse is not None
        for occupied in (False, True):
            for steps in range(40):
                leases = await taken(share, 1) if occupied else []
                async with asyncio.TaskGroup() as asking:
                    calls = [
                        asking.create_task(share.lease(Lane(), 0.0)),
                        asking.create_task(purse.reserve(Reservation(0.0, 1_000))),
                    ]
                    for _ in range(steps):
                        await asyncio.sleep(0)
                    if steps % 2:
                        await asyncio.sleep(0.006)
                    held = [call.done() for call in calls]
                    for call in calls:
                        call.cancel()
                if held[0]:
                    calls[0].result().end()  # type: ignore[union-attr]
                if held[1]:
                    purse.settle(Reservation(0.0, 1_000), 0.0, 0)
                await asyncio.sleep(0.05)
                assert bank.state().endpoints[0].waiting == 0
                for lease in leases:
                    lease.end()
                await asyncio.sleep(0.05)
                assert bank.state().endpoints[0].in_flight == 0
                async with asyncio.timeout(1.0):
                    await purse.reserve(Reservation(0.0, 1_000))
                purse.settle(Reservation(0.0, 1_000), 0.0, 0)


@in_virtual_time
async def test_leases_that_cross_with_their_being_called_back_are_not_used() -> None:
    state = AdmissionState("m", 0, 0, 9, None, "none", None, "none", 0.0, 0, broken=False, why="")

    class Crossing:
        def __init__(self) -> None:
            self.ended: list[Ended] = []
            self.wants: list[Want] = []

        async def report(self, worker: str, report: Report) -> Told:
            self.ended += report.ended
            self.wants += report.wants
            if not report.desks:
                return Told(9, granted=tuple(Granted(want.number, 100) for want in report.wants))
            identity = report.desks[0].identity
            self.recall = Told(2, conditions=(Condition(identity, roomy=False, state=state, fatal=None),))
            await asyncio.sleep(0.1)
            roomy = Condition(identity, roomy=True, state=state, fatal=None)
            return Told(1, conditions=(roomy,), spares=(Spares(identity, (1, 2, 3), 0.0),))

        async def listen(self, worker: str) -> Told:
            await asyncio.sleep(0.05 if now_s() == 0.0 else 1e9)
            return self.recall

    bank = Crossing()
    async with Teller(bank, "w0") as teller:
        share = LeasedAdmissions(teller, salt=b"salt", node="n").of(ENDPOINT, lambda: pytest.fail("made"))
        share.join(Lane(), 9)
        await asyncio.sleep(0.15)
        (await share.lease(Lane(), 0.0)).answered({}, SPENT)
    assert len(bank.wants) == 1
    assert [(ended.lease, ended.how) for ended in bank.ended] == [
        (1, "unused"),
        (2, "unused"),
        (3, "unused"),
        (100, "answered"),
    ]


@in_virtual_time
async def test_what_is_given_in_the_very_moment_in_which_its_call_is_broken_off_is_given_back() -> None:
    class Giving:
        def __init__(self) -> None:
            self.calls: list[asyncio.Task[object]] = []
            self.ended: list[Ended] = []
            self.released = 0

        async def report(self, worker: str, report: Report) -> Told:
            self.ended += report.ended
            self.released += report.settled.released.tokens if report.settled else 0
            for call in self.calls:
                asyncio.get_running_loop().call_soon(call.cancel)
            granted = tuple(Granted(want.number, 7) for want in report.wants)
            return Told(1, granted=granted, paid=tuple(Paid(need.number, need.most) for need in report.needs))

        async def listen(self, worker: str) -> Told:
            await asyncio.sleep(1e9)
            return Told()

    bank = Giving()
    async with Teller(bank, "w0") as teller, asyncio.TaskGroup() as asking:
        share = LeasedAdmissions(teller, salt=b"salt", node="n").of(ENDPOINT, lambda: pytest.fail("made"))
        purse = LeasedPurse(teller, Budget(tokens=1_000))
        bank.calls.append(asking.create_task(share.lease(Lane(), 0.0)))
        bank.calls.append(asking.create_task(purse.reserve(Reservation(0.0, 300))))
    assert [call.cancelled() for call in bank.calls] == [True, True]
    assert [(ended.lease, ended.how) for ended in bank.ended] == [(7, "unused")]
    assert bank.released == 300


@in_virtual_time
async def test_who_waited_for_money_and_left_keeps_nobody_else_from_it() -> None:
    budget = Budget(tokens=1_000)
    async with bank_of(budget) as bank, employed(bank, 3, budget=budget) as workers, asyncio.TaskGroup() as asking:
        first, second, third = (worker.purse for worker in workers)
        assert first is not None
        assert second is not None
        assert third is not None
        await first.reserve(Reservation(0.0, 600))
        waiting = asking.create_task(second.reserve(Reservation(0.0, 800)))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.sleep(0.1)
        async with asyncio.timeout(0.1):
            await third.reserve(Reservation(0.0, 300))


@in_virtual_time
async def test_answers_to_what_may_have_left_before_a_refused_request_do_not_make_it_chance() -> None:
    controller = Admission(ENDPOINT.name, 20, clock=LoopClock())
    early = controller.spare(0.0)
    assert early is not None
    later = [await controller.lease(Lane(), 0.0) for _ in range(4)]
    early.failed(refusal(429, b"slow down", {"retry-after": "30"}, ENDPOINT))
    for lease in later:
        lease.answered({}, SPENT)
    assert controller.state().held_s == 30.0


# the budget


PRICE = Price(input_cost_per_token=0.01, output_cost_per_token=0.02)


@dataclass(frozen=True)
class Errand:
    """A request that some worker makes: what is set aside, and what becomes of it."""

    worker: int
    begins_s: float
    takes_s: float
    most: int
    share: float
    end: str


ERRANDS = st.builds(
    Errand,
    st.integers(0, 2),
    st.sampled_from([0.0, 0.01, 0.3, 1.0]),
    st.sampled_from([0.0, 0.02, 0.5, 3.0]),
    st.integers(1, 1_000),
    st.floats(0.0, 1.0),
    st.sampled_from(["settled", "settled", "settled", "free", "written off", "broken off"]),
)


class Billed:
    """What was really used, and by whom."""

    def __init__(self) -> None:
        self.tokens = self.refused = 0
        self.left: list[Reservation] = []

    async def run(self, errand: Errand, purse: LeasedPurse | Purse, usd_a_token: float) -> None:
        await asyncio.sleep(errand.begins_s)
        most = Reservation(errand.most * usd_a_token, errand.most)
        try:
            await purse.reserve(most)
        except BudgetExhausted as error:
            assert "does not reach for the next request" in str(error)
            self.refused += 1
            return
        used = 0 if errand.end == "free" else round(errand.most * errand.share)
        self.tokens += used
        try:
            await asyncio.sleep(errand.takes_s)
        except asyncio.CancelledError:
            purse.write_off(most)
            raise
        if errand.end in ("written off", "broken off"):
            purse.write_off(most)
        else:
            purse.settle(most, used * usd_a_token, used)


async def spent(
    errands: Sequence[Errand], budget: Budget, usd_a_token: float, deaths: Sequence[float]
) -> tuple[Billed, float, int]:
    """Run errands in three workers, of which some die; return what was used, and what the bank has counted."""
    billed = Billed()
    async with bank_of(budget) as bank:

        async def live(number: int) -> None:
            with suppress(WorkerLost):
                async with employed(bank, 1, first=number, budget=budget) as (worker,), asyncio.TaskGroup() as asking:
                    assert worker.purse is not None
                    for errand in errands:
                        if errand.worker == number:
                            asking.create_task(billed.run(errand, worker.purse, usd_a_token))

        async with asyncio.TaskGroup() as lives:
            for number in range(3):
                lives.create_task(live(number))
            for number, death_s in enumerate(deaths):
                await asyncio.sleep(death_s)
                bank.bury(f"w{number}")
        state = bank.state()
        async with employed(bank, 1, first=9, budget=budget) as (last,):  # nothing is held any more
            assert last.purse is not None
            rest = (budget.tokens or 0) - state.spent_tokens
            if rest > 0:
                await last.purse.reserve(Reservation(0.0, rest))
                last.purse.settle(Reservation(0.0, rest), 0.0, 0)
    return billed, state.spent_usd, state.spent_tokens


@settings(max_examples=60, deadline=None)
@given(
    st.lists(ERRANDS, min_size=1, max_size=20),
    st.integers(500, 100_000),
    st.sampled_from([0.0, 0.001, 0.0137]),
    st.lists(st.sampled_from([0.01, 0.1, 0.6]), max_size=2),
)
def test_no_budget_is_overshot_whatever_workers_do_or_die_of(
    errands: list[Errand], tokens: int, usd_a_token: float, deaths: list[float]
) -> None:
    budget = Budget(usd=tokens * usd_a_token or None, tokens=tokens)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        billed, spent_usd, spent_tokens = runner.run(spent(errands, budget, usd_a_token, deaths))
    assert billed.tokens <= spent_tokens <= tokens
    assert spent_usd <= tokens * usd_a_token + 1e-9


@settings(max_examples=40, deadline=None)
@given(st.lists(ERRANDS, min_size=1, max_size=20), st.integers(500, 100_000))
def test_a_request_is_refused_only_where_nothing_that_is_held_can_come_back(errands: list[Errand], tokens: int) -> None:
    """Whoever is refused would not fit if all that is held came back, so refusals need nearly all to be spent."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        billed, _, spent_tokens = runner.run(spent(errands, Budget(tokens=tokens), 0.0, []))
    if billed.refused:
        assert spent_tokens + max(errand.most for errand in errands) > tokens


@in_virtual_time
async def test_money_is_not_asked_for_with_each_request_while_there_is_plenty_and_is_when_there_is_not() -> None:
    budget = Budget(tokens=100_000)
    async with bank_of(budget) as bank, employed(bank, 1, budget=budget) as (worker,):
        purse, most = worker.purse, Reservation(0.0, 500)
        assert purse is not None
        waits_s: list[float] = []
        for _ in range(199):
            start_s = now_s()
            await purse.reserve(most)
            waits_s.append(now_s() - start_s)
            purse.settle(most, 0.0, 500)
            await asyncio.sleep(0.05)
        assert sum(wait_s > 0 for wait_s in waits_s[:160]) <= 45  # one in four, when all is used that is set aside
        assert all(wait_s > 0 for wait_s in waits_s[-10:])
        await asyncio.sleep(0.2)
        assert bank.state().spent_tokens == 99_500


@in_virtual_time
async def test_what_workers_keep_of_the_money_is_called_back_for_who_needs_it() -> None:
    budget = Budget(usd=20.0, tokens=20_000)
    async with bank_of(budget) as bank, employed(bank, 3, budget=budget) as workers:
        for worker in workers:
            assert worker.purse is not None
            await worker.purse.reserve(Reservation(0.1, 100))
            worker.purse.settle(Reservation(0.1, 100), 0.01, 10)
        await asyncio.sleep(0.3)
        assert bank.state().spent_tokens == 30
        assert workers[0].purse is not None
        async with asyncio.timeout(1.0):
            rest = Reservation(20.0 - 0.03, 20_000 - 30)
            await workers[0].purse.reserve(rest)  # to the last token
            workers[0].purse.settle(rest, 19.0, 19_000)
            with pytest.raises(BudgetExhausted, match=r"19\.0300 usd and 19,030 tokens are spent"):
                await workers[1].purse.reserve(rest)  # type: ignore[union-attr]


# the same as in one process


class Down:
    """A transport to an endpoint that answers for a while and then fails everybody, until it recovers."""

    def __init__(
        self, down_s: float, up_s: float = float("inf"), error: Callable[[], ModelError] | None = None
    ) -> None:
        self._down_s = down_s
        self._up_s = up_s
        self._error = error or (lambda: Overloaded("the endpoint is burning"))
        self.inside = 0
        self.asked = 0
        self.crowd: list[int] = []
        """For each failure, how many were inside."""

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier) -> Reply:
        self.inside += 1
        self.asked += 1
        try:
            await asyncio.sleep(0.5)
        finally:
            self.inside -= 1
        if self._down_s <= now_s() < self._up_s:
            self.crowd.append(self.inside + 1)
            raise self._error()
        return Reply(Completion("so", "stop", "m", SPENT, (), tier=tier), {})


@asynccontextmanager
async def accesses(
    kind: str,
    server: Transport,
    *,
    most: int = 20,
    patience_s: float = 600.0,
    budget: Budget | None = None,
    price: Price | None = None,
    retries: Retries | None = None,
    settings: ModelSettings = SETTINGS,
    deadline_s: float = 300.0,
) -> AsyncGenerator[list[ModelAccess], None]:
    """Yield accesses in two workers, or one in one process twice."""
    if kind == "one process":
        admission = Admission(ENDPOINT.name, most, clock=LoopClock(), patience_s=patience_s)
        route = {settings: Route(ENDPOINT, server, admission, price)}
        purse = Purse(budget) if budget is not None else None
        yield [ModelAccess(route, clock=LoopClock(), deadline_s=deadline_s, purse=purse, retries=retries)] * 2
        return
    async with bank_of(budget, patience_s=patience_s) as bank, employed(bank, 2, budget=budget) as workers:
        yield [
            worker.access(
                server, worker.share(most), price=price, retries=retries, settings=settings, deadline_s=deadline_s
            )
            for worker in workers
        ]
        await asyncio.sleep(1.0)
        await all_is_free(bank)


BOTH = pytest.mark.parametrize("kind", ["one process", "two workers"])


@BOTH
@in_virtual_time
async def test_calls_outlive_an_endpoint_that_is_down_for_minutes(kind: str) -> None:
    server, answered = Down(5.0, 200.0), list[float]()

    async def ask(access: ModelAccess) -> None:
        while now_s() < 250.0:
            await access.complete(CALL)
            answered.append(now_s())

    async with accesses(kind, server, most=40) as both, asyncio.TaskGroup() as asking:
        for number in range(40):
            asking.create_task(ask(both[number % 2]))
    assert 40 <= len(server.crowd) <= 40 + 15
    assert set(server.crowd[40:]) == {1}  # one at a time finds out
    assert len([time_s for time_s in answered if 240.0 <= time_s < 250.0]) >= 0.9 * 40 * 20


@BOTH
@pytest.mark.parametrize(("down_s", "patience_s"), [(0.0, 30.0), (5.0, 100.0)], ids=["never-answered", "was-well"])
@in_virtual_time
async def test_an_endpoint_that_fails_for_longer_than_patience_is_given_up_by_everybody(
    kind: str, down_s: float, patience_s: float
) -> None:
    ends = list[float]()

    async def ask(access: ModelAccess) -> None:
        with pytest.raises(EndpointDown, match=r"has failed every call for .*the endpoint is burning"):
            while True:
                await access.complete(CALL)
        ends.append(now_s())

    async with accesses(kind, Down(down_s), patience_s=100.0) as both, asyncio.TaskGroup() as asking:
        for number in range(60):
            asking.create_task(ask(both[number % 2]))
    assert len(ends) == 60
    assert down_s + patience_s <= min(ends) <= max(ends) <= down_s + patience_s + 2 * 30


@BOTH
@in_virtual_time
async def test_an_empty_account_is_told_to_all_who_wait_or_come_later(kind: str) -> None:
    server = Down(2.0, error=lambda: QuotaExhausted("the account is empty"))
    told: list[ModelError] = []

    async def ask(access: ModelAccess) -> None:
        with pytest.raises(QuotaExhausted, match="the account is empty") as caught:
            while True:
                await access.complete(CALL)
        told.append(caught.value)

    async with accesses(kind, server, most=4) as both:
        async with asyncio.TaskGroup() as asking:
            for number in range(50):
                asking.create_task(ask(both[number % 2]))
        assert len(server.crowd) <= 4
        asked, start_s = server.asked, now_s()
        for access in both:
            with pytest.raises(QuotaExhausted, match="the account is empty"):
                await access.complete(CALL)
        assert (server.asked, now_s()) == (asked, start_s)
    assert len({id(error) for error in told}) == 50


@BOTH
@in_virtual_time
async def test_a_call_that_keeps_failing_is_tried_as_often_as_the_table_says(kind: str) -> None:
    server = Down(0.0, error=lambda: TruncatedReply("cut"))
    async with accesses(kind, server) as (access, _):
        with pytest.raises(TruncatedReply) as caught:
            await access.complete(CALL)
    assert len(caught.value.attempts) == server.asked == 1 + (TABLE[TruncatedReply].times or 0)


LIMITED = ModelSettings(model="simulated/m", max_tokens=100)
ASKED = ModelCall(LIMITED, CALL.messages)
MOST = most_of(ASKED, PRICE, 100)


@BOTH
@in_virtual_time
async def test_a_budget_holds_exactly_what_it_says_and_who_does_not_fit_waits_for_those_in_flight(kind: str) -> None:
    server = Down(1e9)
    budget = Budget(usd=MOST.usd * 2, tokens=MOST.tokens * 2)
    ends: list[str] = []

    async def ask(access: ModelAccess) -> None:
        try:
            await access.complete(ASKED)
            ends.append("answered")
        except BudgetExhausted as error:
            assert str(error).startswith(f"the budget of {budget} does not reach for the next request, which can cost")
            ends.append("refused")

    offered = accesses(kind, server, budget=budget, price=PRICE, settings=LIMITED)
    async with offered as both, asyncio.TaskGroup() as asking:
        for number in range(30):
            asking.create_task(ask(both[number % 2]))
    cost = PRICE.cost_usd(SPENT)
    fitting = max(
        number
        for number in range(1, 30)
        if (number - 1) * cost + MOST.usd <= MOST.usd * 2 and (number - 1) * 100 + MOST.tokens <= MOST.tokens * 2
    )
    assert (ends.count("answered"), ends.count("refused")) == (fitting, 30 - fitting)
    assert server.asked == fitting


@BOTH
@in_virtual_time
async def test_a_call_whose_cost_nobody_knows_counts_in_full(kind: str) -> None:
    server = Down(0.0, error=lambda: CallTimedOut("late"))
    async with accesses(kind, server, budget=Budget(tokens=MOST.tokens * 2), settings=LIMITED, retries=Retries({})) as (
        access,
        other,
    ):
        for way in (access, other):
            with pytest.raises(CallTimedOut):
                await way.complete(ASKED)
        with pytest.raises(BudgetExhausted, match=f"{2 * MOST.tokens:,} tokens are spent"):
            await access.complete(ASKED)


# what crosses


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("slow", retry_after_s=2.5, limit="tokens"),
        Overloaded("burning", retry_after_s=7.0),
        ConnectionFailed("reset", sent=True),
        TruncatedReply("cut"),
        refusal(429, b"slow down", {"Retry-After": "3", "x-ratelimit-limit-requests": "60"}, ENDPOINT),
        BudgetExhausted("nothing left"),
        ItemTimedOut(3.0),
        AskCycle(["a", "b", "a"]),
        UnknownName("model", "gpt", ["gtp"]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_cross_to_another_process_with_all_that_they_say(error: FellowshipError) -> None:
    if isinstance(error, ModelError):
        error.usage, error.status, error.cost_usd = SPENT, 429, 0.25
    crossed = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(crossed).__name__, str(crossed)) == (type(error).__name__, str(error))
    facts, expected = vars(crossed), vars(error)
    if isinstance(error, ModelError) and error.headers is not None:
        facts, expected = dict(facts), dict(expected)
        assert facts.pop("headers") == {name.lower(): value for name, value in expected.pop("headers").items()}
    assert {name: value for name, value in facts.items() if name != "problems"} == {
        name: value for name, value in expected.items() if name != "problems"
    }


def test_an_error_of_a_class_that_is_known_by_its_name_alone_crosses() -> None:
    crossed = pickle.loads(pickle.dumps(model_error("NobodyKnowsThis", "recorded elsewhere")))  # noqa: S301 - our own
    assert isinstance(crossed, ModelError)
    assert (type(crossed).__name__, str(crossed)) == ("NobodyKnowsThis", "recorded elsewhere")
    del crossed
    gc.collect()  # other tests look at all classes there are


@in_virtual_time
async def test_the_bank_knows_an_endpoint_by_a_digest_and_one_at_a_loopback_address_by_its_node() -> None:
    here = Endpoint("vllm/m", "m", "http://127.0.0.1:8000/v1", key="sk-secret")
    async with bank_of() as bank, employed(bank, 3) as workers:
        for worker in workers:
            for endpoint in (ENDPOINT, here, replace(ENDPOINT, key="sk-other")):
                (await worker.share(endpoint=endpoint).lease(Lane(), 0.0)).end()
        assert sorted(state.endpoint for state in bank.state().endpoints) == ["simulated/m"] * 2 + ["vllm/m"] * 3
        crossed = b"".join(b"".join(worker.line.written) for worker in workers)
        assert b"simulated/m" in crossed
        assert b"sk-secret" not in crossed
        assert b"models.example" not in crossed


@in_virtual_time
async def test_what_an_endpoint_announces_to_one_worker_is_known_to_all() -> None:
    async with bank_of() as bank, employed(bank, 2) as (first, second):
        shares = [worker.share() for worker in (first, second)]
        assert not shares[1].counts_tokens
        await taken(shares[1], 1)
        (lease,) = await taken(shares[0], 1)
        headers = {"x-ratelimit-limit-tokens": "6000", "x-ratelimit-remaining-tokens": "5900", "server": "x" * 1_000}
        lease.answered(headers, SPENT)
        await asyncio.sleep(0.2)
        await taken(shares[1], 1)
        assert shares[1].counts_tokens
        assert shares[1].state().tokens_per_minute == 6000
        assert b"xxx" not in b"".join(first.line.written)


@in_virtual_time
async def test_a_teller_whose_bank_fails_ends_its_worker_with_that_error() -> None:
    class Dead:
        async def report(self, worker: str, report: Report) -> Told:
            raise OSError("the bank is gone")

        async def listen(self, worker: str) -> Told:
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(OSError, match="the bank is gone"):
        async with Teller(Dead(), "w0") as teller:
            share = LeasedAdmissions(teller, salt=b"salt", node="n").of(ENDPOINT, lambda: pytest.fail("made"))
            share.join(Lane(), 4)
            await share.lease(Lane(), 0.0)

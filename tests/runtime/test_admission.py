import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from pathlib import Path

import pytest
from acting import settle
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual import in_virtual_time, now_s

from fellowship.protocols.errors import (
    CallRefused,
    CallTimedOut,
    ConnectionFailed,
    EndpointDown,
    MalformedReply,
    ModelError,
    Overloaded,
    QuotaExhausted,
    Unauthorised,
)
from fellowship.protocols.models import ChatMessage, Completion, ModelCall, ModelSettings, Tier, Usage
from fellowship.runtime.models import Admission, Admissions, Endpoint, ModelAccess, Route, Transport
from fellowship.runtime.models.admission import FAILURES, Lane, Lease, everybody
from fellowship.runtime.models.wire import Reply, refusal
from fellowship.runtime.session import Access, Limits, Session, open_session
from fellowship.runtime.testing import Enforced
from fellowship.runtime.testing.gauges import Style
from fellowship.runtime.testing.latency import constant, lognormal
from fellowship.runtime.testing.simulated import LoopClock, SimulatedEndpoint

SETTINGS = ModelSettings(model="simulated/m")
CALL = ModelCall(SETTINGS, (ChatMessage("user", "why is it so? " * 20),))
ENDPOINT = Endpoint("simulated/m", "m", "http://simulated")
SPENT = Usage(input_tokens=80, output_tokens=20)
MINUTE_S = 60.0
SHARE = 0.98
"""The part of a limit that is used."""
WORKERS = 256


def admission(
    most: int = 8,
    *,
    start: int = 64,
    requests: float | None = None,
    tokens: float | None = None,
    patience_s: float = 600.0,
) -> Admission:
    return Admission(
        "simulated/m",
        most,
        clock=LoopClock(),
        requests_per_minute=requests,
        tokens_per_minute=tokens,
        patience_s=patience_s,
        start=start,
    )


def limited(headers: Mapping[str, str] | None = None, words: str = "slow down") -> ModelError:
    """Return a 429 as it comes over the wire."""
    return refusal(429, words.encode(), headers or {}, ENDPOINT)


async def many(controller: Admission, count: int, lane: Lane | None = None) -> list[Lease]:
    lane = lane or Lane()
    return [await controller.lease(lane, 0.0) for _ in range(count)]


def fill(controller: Admission) -> Awaitable[list[Lease]]:
    return many(controller, controller.state().most_in_flight - controller.in_flight)


def well(leases: list[Lease]) -> None:
    for lease in leases:
        lease.answered({}, SPENT)


async def clean_round(controller: Admission, leases: list[Lease]) -> list[Lease]:
    """Answer each of those in flight and send what may be sent in its place; return those that were sent."""
    sent: list[Lease] = []
    for lease in leases:
        lease.answered({}, SPENT)
        sent += await fill(controller)
    return sent


def concurrent() -> ModelError:
    return limited(words="too many concurrent requests")


def fail(leases: list[Lease], error: Callable[[], ModelError]) -> None:
    for lease in leases:
        lease.failed(error())


async def waited_s(controller: Admission, tokens: float = 0.0) -> float:
    """Return how long the next request waits, and end it at once."""
    start_s = now_s()
    lease = await controller.lease(Lane(), tokens)
    lease.answered({}, Usage(input_tokens=int(tokens)))
    return now_s() - start_s


async def times_s(controller: Admission, count: int, headers: Mapping[str, str]) -> list[float]:
    """Return when each of many requests left that are answered at once."""
    lane, left = Lane(), []
    for _ in range(count):
        lease = await controller.lease(lane, 0.0)
        left.append(now_s())
        lease.answered(headers, SPENT)
    return left


# Limits a minute, kept and used.


class Anthropic(SimulatedEndpoint):
    """Announces its limits as Anthropic does."""

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier) -> Reply:
        reply = await super().send(endpoint, call, tier)
        headers = {
            f"anthropic-ratelimit-{name.split('-')[3]}-{name.split('-')[2]}": value
            for name, value in reply.headers.items()
            if not name.startswith("x-ratelimit-reset")
        }
        return Reply(reply.completion, headers)


class Fickle(SimulatedEndpoint):
    """Refuses a part of the requests, and counts nothing."""

    share = 0.03
    refused = 0

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier) -> Reply:
        if self._rng.random() < self.share:
            self.refused += 1
            await asyncio.sleep(0.05)
            raise limited()
        return await super().send(endpoint, call, tier)


class Stormy(SimulatedEndpoint):
    """Refuses everybody for a second, now and then: a part of the requests sets it off. It counts nothing."""

    share = 0.2
    until_s = 0.0

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier) -> Reply:
        if now_s() >= self.until_s and self._rng.random() < self.share:
            self.until_s = now_s() + 1.0
        if now_s() < self.until_s:
            await asyncio.sleep(0.01)
            raise limited()
        return await super().send(endpoint, call, tier)


class Showery(Stormy):
    share = 0.02


def calling(server: Transport, controller: Admission) -> ModelAccess:
    return ModelAccess({SETTINGS: Route(ENDPOINT, server, controller, None)}, clock=LoopClock(), deadline_s=300)


async def work(server: Transport, controller: Admission, minutes: float) -> None:
    """Ask as much as is let in."""
    access = calling(server, controller)

    async def ask() -> None:
        while True:
            await access.complete(CALL)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(MINUTE_S * minutes), asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(ask())


def endpoint(
    enforced: Enforced, tokens: int = 120, sort: type[SimulatedEndpoint] = SimulatedEndpoint, seed: int = 0
) -> SimulatedEndpoint:
    return sort(
        enforced,
        LoopClock().monotonic_s,
        latency=lognormal(0.3, 0.4),
        usage=lambda rng: Usage(input_tokens=round(tokens * 0.8), output_tokens=round(tokens * rng.uniform(0.1, 0.3))),
        seed=seed,
    )


def used(server: SimulatedEndpoint, tokens: int, minutes: float) -> tuple[float, float]:
    """Return the share of the binding limit that was used after the first minute, and the share of 429s."""
    start_s, end_s = MINUTE_S, MINUTE_S * minutes
    tally = server.enforcer.between(start_s, end_s)
    refused = tally.refused.total()
    share = server.enforcer.share_used("requests" if tokens == 120 else "tokens", start_s, end_s)
    return share, refused / (refused + tally.admitted)


BINDING = pytest.mark.parametrize("tokens", [120, 400], ids=["requests-bind", "tokens-bind"])
STYLES = pytest.mark.parametrize("style", ["window", "sliding", "bucket"])


@BINDING
@STYLES
@in_virtual_time
async def test_configured_limits_are_used_and_never_exceeded(style: Style, tokens: int) -> None:
    server = endpoint(
        Enforced(requests_per_minute=600, tokens_per_minute=100_000, style=style, announced=False), tokens
    )
    await work(server, admission(WORKERS, requests=600, tokens=100_000), 2)
    assert used(server, tokens, 2)[0] >= 0.95
    assert server.enforcer.refused.total() == 0


@BINDING
@STYLES
@pytest.mark.parametrize("sort", [SimulatedEndpoint, Anthropic], ids=["openai", "anthropic"])
@in_virtual_time
async def test_announced_limits_are_used_and_rarely_met(
    sort: type[SimulatedEndpoint], style: Style, tokens: int
) -> None:
    server = endpoint(Enforced(requests_per_minute=600, tokens_per_minute=100_000, style=style), tokens, sort)
    controller = admission(WORKERS)
    await work(server, controller, 2)
    share, refused = used(server, tokens, 2)
    assert share >= 0.95
    assert refused <= 0.01
    state = controller.state()
    assert (state.requests_per_minute, state.tokens_per_minute) == (600, 100_000)
    assert (state.requests_origin, state.tokens_origin) == ("announced", "announced")


@BINDING
@STYLES
@pytest.mark.parametrize("retry_after", [True, False], ids=["retry-after", "no-word"])
@in_virtual_time
async def test_limits_that_nobody_tells_are_found_out_and_used(style: Style, retry_after: bool, tokens: int) -> None:
    limits = Enforced(
        requests_per_minute=600, tokens_per_minute=100_000, style=style, announced=False, retry_after=retry_after
    )
    server, controller = endpoint(limits, tokens), admission(WORKERS)
    await work(server, controller, 3)
    share, refused = used(server, tokens, 3)
    assert share >= 0.85
    assert refused <= 0.03


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "0.25"}, 0.25),
        ({}, 0.5),
    ],
)
@in_virtual_time
async def test_nobody_is_sent_before_the_wait_that_a_429_asks_for_is_over(
    headers: dict[str, str], expected_s: float
) -> None:
    controller = admission()
    (lease,) = await many(controller, 1)
    lease.failed(limited(headers))
    assert controller.state().held_s == pytest.approx(expected_s)
    assert await waited_s(controller) == pytest.approx(expected_s)


@in_virtual_time
async def test_waits_that_nobody_asks_for_grow_while_a_limit_holds() -> None:
    controller, waits = admission(), []
    for _ in range(7):
        (lease,) = await many(controller, 1)
        lease.failed(limited())
        waits.append(controller.state().held_s)
    assert waits == pytest.approx([0.5, 1, 2, 4, 5, 5, 5])


@pytest.mark.parametrize(
    ("configured", "announced", "expected", "origin"),
    [
        (None, ["60"], 60, "announced"),
        (600, ["60"], 60, "announced"),
        (60, ["600"], 60, "configured"),
        (60, ["30", "45"], 45, "announced"),
        (60, ["30", "600"], 60, "configured"),
        (60, ["many", "nan", "-1", "0", ""], 60, "configured"),
        (None, ["many", "nan", "-1", "0", ""], None, "none"),
    ],
)
@pytest.mark.parametrize("unit", ["requests", "tokens"])
@pytest.mark.parametrize("form", ["x-ratelimit-limit-{}", "anthropic-ratelimit-{}-limit"])
@in_virtual_time
async def test_what_is_announced_corrects_what_is_configured_downwards(
    form: str, unit: str, configured: int | None, announced: list[str], expected: int | None, origin: str
) -> None:
    controller = admission(requests=configured, tokens=configured)
    for limit in announced:
        (lease,) = await many(controller, 1)
        lease.answered({form.format(unit): limit}, SPENT)
    state = controller.state()
    limits = {
        "requests": (state.requests_per_minute, state.requests_origin),
        "tokens": (state.tokens_per_minute, state.tokens_origin),
    }
    assert limits.pop(unit) == (expected, origin)
    assert limits.popitem()[1] == (configured, "none" if configured is None else "configured")


@in_virtual_time
async def test_requests_leave_as_fast_as_an_announced_limit_allows() -> None:
    left = await times_s(admission(), 10, {"x-ratelimit-limit-requests": "60"})
    gaps = [later_s - sooner_s for sooner_s, later_s in pairwise(left)]
    assert gaps[1:] == pytest.approx([1 / SHARE] * 8)


@pytest.mark.parametrize(("reset", "expected"), [("1m0s", 60.0), ("89s", 60.0), ("6m0s", None), ("23h59m3.5s", None)])
@in_virtual_time
async def test_limits_of_hours_and_days_pace_no_minute(reset: str, expected: float | None) -> None:
    controller = admission()
    (lease,) = await many(controller, 1)
    lease.answered({"x-ratelimit-limit-requests": "60", "x-ratelimit-reset-requests": reset}, SPENT)
    assert controller.state().requests_per_minute == expected


@pytest.mark.parametrize(("answered_after_s", "remaining", "expected_s"), [(0, 0, 1), (30, 0, 1), (30, 20, 0)])
@in_virtual_time
async def test_where_others_have_used_the_limit_up_nobody_is_sent(
    answered_after_s: float, remaining: int, expected_s: float
) -> None:
    controller = admission(requests=60)
    (lease,) = await many(controller, 1)
    await asyncio.sleep(answered_after_s)
    if not answered_after_s:
        await asyncio.sleep(5)  # more than a request's share of the minute: pacing alone lets the next go at once
        lease.end()
        (lease,) = await many(controller, 1)
        await asyncio.sleep(2)
    lease.answered({"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": str(remaining)}, SPENT)
    assert await waited_s(controller) == pytest.approx(expected_s / SHARE)


@in_virtual_time
async def test_tokens_that_were_expected_and_not_used_are_given_back() -> None:
    controller, lane = admission(tokens=6000), Lane()
    lease = await controller.lease(lane, 49.0)
    lease.answered({}, Usage(input_tokens=1))
    assert await waited_s(controller, 48.0) == 0.0
    assert await waited_s(controller, 49.0) == pytest.approx(49 / (SHARE * 100))


@in_virtual_time
async def test_tokens_that_were_used_and_not_expected_are_paid_back() -> None:
    controller = admission(tokens=6000)
    lease = await controller.lease(Lane(), 0.0)
    lease.answered({}, Usage(input_tokens=900, output_tokens=80))
    assert await waited_s(controller, 49.0) == pytest.approx(980 / (SHARE * 100))


@pytest.mark.parametrize("announced", [False, True])
@in_virtual_time
async def test_a_request_larger_than_the_limit_of_a_minute_goes_alone_and_is_paid_back(announced: bool) -> None:
    controller, lane = admission(tokens=600), Lane()
    others = [await controller.lease(lane, 1.0) for _ in range(3)]
    headers = {"x-ratelimit-limit-tokens": "600", "x-ratelimit-remaining-tokens": "597"} if announced else {}
    for lease in others:
        lease.answered(headers, Usage(input_tokens=1))
    async with asyncio.TaskGroup() as group:
        large = group.create_task(controller.lease(lane, 5000.0))
        small = group.create_task(controller.lease(lane, 1.0))
        await asyncio.sleep(10)
        assert large.done()
        assert controller.state().in_flight == 1
        assert not small.done()
        large.result().answered({}, Usage(input_tokens=5000))
        start_s = now_s()
    assert now_s() - start_s == pytest.approx(5000 / (SHARE * 10), rel=0.05)
    small.result().end()


@pytest.mark.parametrize("seed", range(1, 5))
@in_virtual_time
async def test_a_bucket_that_lets_one_in_after_each_wait_is_not_taken_for_refusals_by_chance(seed: int) -> None:
    server = endpoint(Enforced(requests_per_minute=600, style="bucket", announced=False), seed=seed)
    await work(server, admission(WORKERS), 2)
    share, refused = used(server, 120, 2)
    assert share >= 0.85
    assert refused <= 0.03


# Calls in flight.


@in_virtual_time
async def test_calls_in_flight_double_with_every_clean_round() -> None:
    controller = admission(40, start=2)
    leases, rounds = await fill(controller), list[int]()
    for _ in range(6):
        rounds.append(len(leases))
        leases = await clean_round(controller, leases)
    assert rounds == [2, 4, 8, 16, 32, 40]


@in_virtual_time
async def test_calls_in_flight_grow_only_where_they_are_needed() -> None:
    controller = admission(40, start=10)
    for _ in range(50):
        well(await many(controller, 3))
    assert controller.state().most_in_flight == 10


@in_virtual_time
async def test_one_episode_of_refusals_cuts_once_and_then_calls_grow_by_one_a_round() -> None:
    controller = admission(20)
    fail((await fill(controller))[::-1], concurrent)
    assert controller.state().most_in_flight == 14
    leases, rounds = await fill(controller), list[int]()
    for _ in range(4):
        rounds.append(len(leases))
        leases = await clean_round(controller, leases)
    assert rounds == [14, 14, 15, 16]  # a little less than one a round: 1/14, 1/14.07, …


@in_virtual_time
async def test_the_next_episode_cuts_again() -> None:
    controller = admission(20)
    for expected in (14, 9, 6, 4, 2, 1, 1):
        fail((await fill(controller))[::-1], concurrent)
        assert controller.state().most_in_flight == expected
    assert controller.state().refused == 20 + 14 + 9 + 6 + 4 + 2 + 1


@in_virtual_time
async def test_answers_to_what_was_sent_before_a_cut_grow_nothing() -> None:
    controller = admission(20)
    *rest, last = await fill(controller)
    last.failed(limited(words="too many concurrent requests"))
    well(rest)
    assert controller.state().most_in_flight == 14


@pytest.mark.parametrize(("headers", "expected_s"), [({}, 0.1), ({"retry-after": "4"}, 4.0)])
@in_virtual_time
async def test_after_a_cut_calls_cool_down(headers: dict[str, str], expected_s: float) -> None:
    controller = admission()
    (lease,) = await many(controller, 1)
    lease.failed(limited(headers, "too many concurrent requests"))
    assert await waited_s(controller) == pytest.approx(expected_s)


@in_virtual_time
async def test_calls_that_were_cut_to_one_grow_again() -> None:
    controller = admission(8)
    while controller.state().most_in_flight > 1:
        fail(await fill(controller), concurrent)
    leases, rounds = await fill(controller), 0
    while controller.state().most_in_flight < 8:
        leases = await clean_round(controller, leases)
        rounds += 1
    assert 7 <= rounds <= 10


@pytest.mark.parametrize(("announced", "least"), [(True, 0.75), (False, 0.4)])
@pytest.mark.parametrize("concurrency", [4, 16, 60])
@in_virtual_time
async def test_a_limit_of_calls_in_flight_is_found_out(concurrency: int, announced: bool, least: float) -> None:
    server = SimulatedEndpoint(
        Enforced(concurrency=concurrency, announced=announced),
        LoopClock().monotonic_s,
        latency=constant(0.3),
        usage=lambda _: SPENT,
    )
    await work(server, admission(WORKERS), 2)
    tally = server.enforcer.between(MINUTE_S, 2 * MINUTE_S)
    assert tally.admitted / MINUTE_S >= least * concurrency / 0.3
    assert tally.refused.total() <= 0.06 * tally.admitted


# What a 429 is for.


@in_virtual_time
async def test_a_limit_of_a_minute_is_learned_and_cuts_no_calls_where_it_was_told() -> None:
    controller = admission(20, requests=6000)
    leases = await many(controller, 5)
    fail(leases, lambda: limited({"retry-after": "2"}, "requests per min (RPM)"))
    assert controller.state().most_in_flight == 1
    assert await waited_s(controller) == pytest.approx(2.0)
    state = controller.state()
    assert (state.most_in_flight, state.requests_per_minute, state.requests_origin) == (20, 6000, "configured")


@in_virtual_time
async def test_a_limit_of_calls_in_flight_teaches_no_limit_of_a_minute() -> None:
    controller = admission(20)
    fail(await fill(controller), concurrent)
    well(await fill(controller))
    state = controller.state()
    assert (state.requests_origin, state.tokens_origin) == ("none", "none")


@in_virtual_time
async def test_a_limit_of_a_minute_that_nobody_tells_is_learned_from_what_was_let_in() -> None:
    controller, lane = admission(20), Lane()
    for _ in range(40):
        (await controller.lease(lane, 0.0)).answered({}, SPENT)
        await asyncio.sleep(0.25)
    fail(await many(controller, 1), lambda: limited(words="requests per min"))
    assert controller.state().requests_origin == "none"
    assert await waited_s(controller) == 0.5
    state = controller.state()
    assert state.requests_origin == "learned"
    assert state.requests_per_minute == pytest.approx(60 * 41 / 10.5)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            limited(words='{"error": {"code": "insufficient_quota", "message": "Your account is empty."}}'),
            QuotaExhausted,
        ),
        (Unauthorised("wrong key: Your account is empty."), Unauthorised),
    ],
)
@in_virtual_time
async def test_an_empty_account_is_told_at_once_to_all_who_wait(error: ModelError, kind: type[ModelError]) -> None:
    controller, lanes = admission(2), (Lane(), Lane())
    met, other = await many(controller, 2)
    told: list[ModelError] = []

    async def ask(lane: Lane) -> None:
        try:
            await controller.lease(lane, 0.0)
        except ModelError as word:
            told.append(word)

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(ask(lanes[number % 2]))
        await settle()
        assert controller.state().waiting == 10
        met.failed(error)
    assert [type(word) for word in told] == [kind] * 10
    assert all("Your account is empty." in str(word) for word in told)
    assert len({id(word) for word in told}) == 10
    assert now_s() == 0.0
    assert controller.given_up
    with pytest.raises(kind, match="Your account is empty"):
        await controller.lease(Lane(), 0.0)
    other.end()
    state = controller.state()
    assert (state.in_flight, state.waiting) == (0, 0)


@in_virtual_time
async def test_a_quota_that_runs_out_ends_all_calls_and_no_others_are_sent() -> None:
    server = SimulatedEndpoint(Enforced(quota_requests=20), LoopClock().monotonic_s)
    access = calling(server, admission(4))
    ends: list[str] = []

    async def ask() -> None:
        try:
            ends.append((await access.complete(CALL)).finish_reason)
        except QuotaExhausted as error:
            assert "the account is empty" in str(error)
            ends.append("quota")

    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(ask())
    assert (ends.count("stop"), ends.count("quota")) == (20, 30)
    assert server.enforcer.refused["quota"] <= 4


@in_virtual_time
async def test_refusals_by_chance_throttle_nobody_else() -> None:
    server = endpoint(Enforced(), sort=Fickle)
    assert isinstance(server, Fickle)
    controller = admission(WORKERS)
    await work(server, controller, 0.75)
    tally = server.enforcer.between(MINUTE_S / 4, 0.75 * MINUTE_S)
    unthrottled = WORKERS / (0.3 * 1.083)  # workers over the mean of the latency
    assert server.refused > 400
    assert tally.admitted / (MINUTE_S / 2) >= 0.8 * unthrottled
    assert controller.state().requests_origin == "none"


@pytest.mark.parametrize(("sort", "least"), [(Stormy, 80), (Showery, 500)])
@in_virtual_time
async def test_storms_of_refusals_do_not_slow_the_pace_down_for_good(sort: type[SimulatedEndpoint], least: int) -> None:
    server = endpoint(Enforced(), sort=sort)
    await work(server, admission(WORKERS), 6)
    assert server.enforcer.between(5 * MINUTE_S, 6 * MINUTE_S).admitted >= least


@in_virtual_time
async def test_a_refusal_that_later_calls_do_not_meet_holds_nobody() -> None:
    controller = admission(20)
    refused, *later = await many(controller, 10)
    refused.failed(limited({"retry-after": "30"}))
    assert controller.state().held_s == 30.0
    well(later[:3])
    assert controller.state().held_s == 0.0
    assert await waited_s(controller) == 0.0
    assert controller.state().most_in_flight == 20


@in_virtual_time
async def test_a_call_that_stalls_does_not_keep_others_from_going_ahead_after_a_refusal() -> None:
    controller = admission(20)
    stalled, refused = await many(controller, 2)
    refused.failed(limited({"retry-after": "2"}))
    assert await waited_s(controller) == 2.0
    assert controller.state().in_flight == 1
    stalled.end()


@in_virtual_time
async def test_where_the_call_that_goes_ahead_is_broken_off_the_next_goes_ahead() -> None:
    controller = admission(20)
    (refused,) = await many(controller, 1)
    refused.failed(limited({"retry-after": "2"}))
    (ahead,) = await many(controller, 1)
    ahead.end()
    async with asyncio.timeout(1):
        assert await waited_s(controller) == 0.0
    assert controller.state().most_in_flight > 1


# The breaker.


@in_virtual_time
async def test_an_endpoint_that_fails_everybody_is_asked_by_one_at_a_time_until_it_recovers() -> None:
    controller = admission(20, patience_s=1e9)
    well(await many(controller, 1))
    fail(await many(controller, FAILURES - 1), lambda: Overloaded("down"))
    assert not controller.broken
    fail(await many(controller, 1), lambda: ConnectionFailed("reset"))
    assert controller.state().broken
    assert controller.state().why == "reset"
    for held_s in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        start_s = now_s()
        async with asyncio.TaskGroup() as group:
            probe = await controller.lease(Lane(), 0.0)
            assert now_s() - start_s == pytest.approx(held_s)
            second = group.create_task(controller.lease(Lane(), 0.0))
            await asyncio.sleep(100)
            assert not second.done()
            second.cancel()
        probe.failed(CallTimedOut("again"))
    assert await waited_s(controller) == pytest.approx(30.0)
    state = controller.state()
    assert (state.broken, state.most_in_flight) == (False, 20)
    leases = await many(controller, 20)
    assert now_s() - start_s == pytest.approx(30 + 100 + 30)
    well(leases)


@in_virtual_time
async def test_an_answer_between_failures_keeps_an_endpoint_in_use() -> None:
    controller = admission(20)
    for _ in range(5):
        fail(await many(controller, FAILURES - 1), lambda: Overloaded("down"))
        well(await many(controller, 1))
    assert not controller.broken
    assert now_s() == 0.0


@in_virtual_time
async def test_errors_that_concern_one_call_break_nothing() -> None:
    controller = admission(8)
    for error in (MalformedReply("x"), CallRefused("x")):
        for _ in range(3):
            fail(await fill(controller), lambda error=error: error)  # type: ignore[misc]
    assert (controller.broken, controller.state().most_in_flight, now_s()) == (False, 8, 0.0)


class Down:
    """A transport to an endpoint that answers for a while and then fails everybody, until it recovers."""

    def __init__(self, down_s: float, up_s: float = float("inf")) -> None:
        self._down_s = down_s
        self._up_s = up_s
        self.inside = 0
        self.crowd: list[int] = []
        """For each failure, how many were inside."""

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier) -> Reply:
        self.inside += 1
        try:
            await asyncio.sleep(0.5)
        finally:
            self.inside -= 1
        if self._down_s <= now_s() < self._up_s:
            self.crowd.append(self.inside + 1)
            raise Overloaded("the endpoint is burning")
        return Reply(Completion("so", "stop", "m", SPENT, (), tier=tier), {})


@pytest.mark.parametrize(("down_s", "patience_s"), [(0.0, 30.0), (5.0, 100.0)], ids=["never-answered", "was-well"])
@in_virtual_time
async def test_an_endpoint_that_fails_for_longer_than_patience_is_given_up_by_everybody(
    down_s: float, patience_s: float
) -> None:
    access, ends = calling(Down(down_s), admission(20, patience_s=100.0)), list[float]()

    async def ask() -> None:
        with pytest.raises(EndpointDown, match=r"has failed every call for .*the endpoint is burning"):
            while True:
                await access.complete(CALL)
        ends.append(now_s())

    async with asyncio.TaskGroup() as group:
        for _ in range(60):
            group.create_task(ask())
    assert len(ends) == 60
    assert down_s + patience_s <= min(ends) <= max(ends) <= down_s + patience_s + 2 * 30


@in_virtual_time
async def test_calls_outlive_an_endpoint_that_is_down_for_minutes() -> None:
    server, answered = Down(5.0, 200.0), list[float]()
    access = calling(server, admission(40))

    async def ask() -> None:
        while now_s() < 250.0:
            await access.complete(CALL)
            answered.append(now_s())

    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(ask())
    assert server.crowd[:40] == list(range(40, 0, -1))
    assert set(server.crowd[40:]) == {1}
    assert len(server.crowd) <= 40 + 15
    assert len([time_s for time_s in answered if 240.0 <= time_s < 250.0]) == 40 * 20


# Leases and turns.


class Holder:
    """A call as an access makes it: it waits for a lease, is sent, and ends it in one of three ways."""

    def __init__(self, controller: Admission, lane: Lane, *, again: bool, tokens: float) -> None:
        self._lease = controller.lease(lane, tokens, again=again)
        self.ending: asyncio.Future[ModelError | None] = asyncio.get_running_loop().create_future()
        self.end: str | None = None
        self.sent = False

    async def live(self) -> None:
        try:
            lease = await self._lease
        except ModelError:
            self.end = "told"
            return
        except asyncio.CancelledError:
            self.end = "cancelled"
            raise
        self.sent = True
        try:
            error = await self.ending
        except asyncio.CancelledError:
            lease.end()
            self.end = "cancelled"
            raise
        self.end = "served"
        if error is None:
            lease.answered({}, SPENT)
        else:
            lease.failed(error)


ERRORS: tuple[Callable[[], ModelError], ...] = (
    limited,
    lambda: limited({"retry-after": "7"}),
    concurrent,
    lambda: limited(words="tokens per min"),
    lambda: Overloaded("down"),
    lambda: CallTimedOut("late"),
    lambda: MalformedReply("what"),
)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 11)),
        st.tuples(st.just("answer"), st.integers(0, 50)),
        st.tuples(st.just("fail"), st.integers(0, 400)),
        st.tuples(st.just("cancel"), st.integers(0, 50)),
        st.tuples(st.just("pass"), st.integers(0, 20)),
        st.tuples(st.just("at once"), st.just(0)),
    ),
    max_size=60,
)


async def act(
    deed: str,
    number: int,
    controller: Admission,
    lanes: list[Lane],
    begin: Callable[[Holder], None],
    open_: list[Holder],
) -> None:
    sent = [holder for holder in open_ if holder.sent and not holder.ending.done()]
    if deed == "ask":
        begin(Holder(controller, lanes[number % 3], again=number % 2 == 0, tokens=100.0 * (number % 4)))
    elif deed == "pass":
        await asyncio.sleep(number)
    elif deed == "answer" and sent:
        sent[number % len(sent)].ending.set_result(None)
    elif deed == "fail" and sent:
        sent[number % len(sent)].ending.set_result(ERRORS[number % len(ERRORS)]())


@settings(max_examples=150, deadline=None)
@given(
    acts=ACTS,
    most=st.integers(1, 6),
    start=st.integers(1, 6),
    requests=st.sampled_from([None, 60, 600]),
    tokens=st.sampled_from([None, 6000]),
)
@in_virtual_time
async def test_whatever_becomes_of_calls_no_lease_is_lost_and_who_still_waits_is_served(
    acts: list[tuple[str, int]], most: int, start: int, requests: int | None, tokens: int | None
) -> None:
    controller = admission(most, start=start, requests=requests, tokens=tokens, patience_s=1e9)
    (await controller.lease(Lane(), 0.0)).answered({}, SPENT)  # it has answered once: it is not given up soon
    lanes, holders, tasks = [Lane(), Lane(), Lane()], list[Holder](), list[asyncio.Task[None]]()
    async with asyncio.TaskGroup() as group:

        def begin(holder: Holder) -> None:
            holders.append(holder)
            tasks.append(group.create_task(holder.live()))

        at_once = False
        for deed, number in acts:
            at_once = deed == "at once"  # the next deed finds the last one half done
            if deed == "cancel" and tasks:
                tasks[number % len(tasks)].cancel()
            await act(deed, number, controller, lanes, begin, [holder for holder in holders if holder.end is None])
            if not at_once:
                await asyncio.sleep(0)
            assert 0 <= controller.in_flight <= most
        async with asyncio.timeout(3600):
            while not all(task.done() for task in tasks):
                for holder in holders:
                    if holder.sent and not holder.ending.done():
                        holder.ending.set_result(None)
                await asyncio.sleep(0.5)
    ends = [holder.end for holder, task in zip(holders, tasks, strict=True) if not task.cancelled()]
    assert ends == ["served"] * len(ends)
    state = controller.state()
    assert (state.in_flight, state.waiting) == (0, 0)


@in_virtual_time
async def test_a_call_that_is_broken_off_makes_room_for_the_next() -> None:
    controller = admission(1)
    (first,) = await many(controller, 1)
    async with asyncio.timeout(1), asyncio.TaskGroup() as group:
        waiting = group.create_task(controller.lease(Lane(), 0.0))
        await settle()
        assert not waiting.done()
        first.end()
    assert controller.in_flight == 1
    waiting.result().end()
    assert controller.in_flight == 0


@in_virtual_time
async def test_who_leaves_the_queue_is_not_counted_as_waiting() -> None:
    controller, lane = admission(1), Lane()
    (first,) = await many(controller, 1)
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(controller.lease(lane, 0.0)) for _ in range(5)]
        await settle()
        assert controller.state().waiting == 5
        for call in calls[1:4]:
            call.cancel()
        await settle()
        assert controller.state().waiting == 2
        calls[0].cancel()  # it stands first
        await settle()
        assert controller.state().waiting == 1
        first.end()
    calls[4].result().end()
    assert (controller.state().in_flight, controller.state().waiting) == (0, 0)


@in_virtual_time
async def test_a_lease_that_is_ended_twice_counts_once() -> None:
    controller = admission(4)
    lease, other = await many(controller, 2)
    lease.answered({}, SPENT)
    lease.end()
    lease.failed(limited())
    assert (controller.in_flight, controller.refused) == (1, 0)
    other.end()


async def order(controller: Admission, asked: list[tuple[str, Lane, bool]]) -> list[str]:
    """Return the names of those who asked while one was in flight, in the order in which they were sent."""
    (first,) = await many(controller, 1)
    names: list[str] = []

    async def ask(name: str, lane: Lane, *, again: bool) -> None:
        lease = await controller.lease(lane, 0.0, again=again)
        names.append(name)
        await asyncio.sleep(1)
        lease.answered({}, SPENT)

    async with asyncio.TaskGroup() as group:
        for name, lane, again in asked:
            group.create_task(ask(name, lane, again=again))
            await settle()
        first.answered({}, SPENT)
    return names


@in_virtual_time
async def test_two_runs_take_turns_whatever_their_backlog() -> None:
    one, other = Lane(), Lane()
    asked = [(f"a{number}", one, False) for number in range(8)] + [(f"b{number}", other, False) for number in range(3)]
    names = await order(admission(1), asked)
    # The first of them stands at the head of the queue before anybody else comes.
    assert names == ["a0", "a1", "b0", "a2", "b1", "a3", "b2", "a4", "a5", "a6", "a7"]


@in_virtual_time
async def test_who_comes_first_is_served_first_and_what_is_tried_again_before_all() -> None:
    lane = Lane()
    asked = [("first", lane, False), ("second", lane, False), ("third", lane, False)]
    asked += [("again", lane, True), ("again, later", lane, True)]
    # The first stands at the head of the queue already when those that are tried again come.
    assert await order(admission(1), asked) == ["first", "again", "again, later", "second", "third"]


@in_virtual_time
async def test_what_runs_know_of_an_endpoint_holds_while_they_use_it() -> None:
    controller, slow, quick = admission(8), Lane(), Lane()
    controller.join(slow, 4, requests_per_minute=60)
    assert (controller.most, controller.state().requests_per_minute) == (4, 60)
    controller.join(quick, 16, requests_per_minute=600, tokens_per_minute=100_000)
    assert (controller.most, controller.state().requests_per_minute) == (16, 60)
    assert controller.state().tokens_per_minute == 100_000
    controller.leave(slow)
    assert (controller.most, controller.state().requests_per_minute) == (16, 600)
    assert len(await times_s(controller, 30, {})) == 30
    assert now_s() == pytest.approx(2.5, abs=0.6)  # ten a second, and half a second's worth at once
    controller.leave(quick)
    controller.join(slow, 4)
    assert controller.state().requests_origin == "none"


@in_virtual_time
async def test_the_last_item_is_not_starved_by_those_that_keep_coming() -> None:
    controller, lane, other = admission(2), Lane(), Lane()
    sent: list[float] = []

    async def ask(lane: Lane) -> None:
        lease = await controller.lease(lane, 0.0)
        await asyncio.sleep(1)
        lease.answered({}, SPENT)

    async def last() -> None:
        await asyncio.sleep(20.5)
        await ask(lane)
        sent.append(now_s())

    async with asyncio.TaskGroup() as group:
        group.create_task(last())
        for number in range(200):
            group.create_task(ask((lane, other)[number % 2]))
            group.create_task(ask((lane, other)[number % 2]))
            group.create_task(ask(other))
            await asyncio.sleep(1)
    backlog_of_its_lane = 21
    assert sent[0] <= 20.5 + 1 + backlog_of_its_lane + 1


# Controllers and who shares them.


def of(admissions: Admissions, address: Endpoint) -> Admission:
    return admissions.of(address, admission)


@in_virtual_time
async def test_an_address_an_account_and_a_model_have_one_controller() -> None:
    admissions = Admissions()
    mine = of(admissions, Endpoint("a/m", "m", "http://x/v1", key="k"))
    assert of(admissions, Endpoint("alias/m", "m", "http://x/v1/", key="k")) is mine
    others = [
        of(admissions, Endpoint("a/m", "m", "http://x/v1", key="other")),
        of(admissions, Endpoint("a/m", "m", "http://x/v1")),
        of(admissions, Endpoint("a/m", "n", "http://x/v1", key="k")),
        of(admissions, Endpoint("a/m", "m", "http://y/v1", key="k")),
    ]
    assert len({id(controller) for controller in (mine, *others)}) == 5


@in_virtual_time
async def test_a_controller_that_has_given_up_is_made_anew() -> None:
    admissions = Admissions()
    first = of(admissions, ENDPOINT)
    (lease,) = await many(first, 1)
    lease.failed(QuotaExhausted("empty"))
    second = of(admissions, ENDPOINT)
    assert second is not first
    assert of(admissions, ENDPOINT) is second
    assert await waited_s(second) == 0.0


def test_every_event_loop_has_controllers_of_its_own() -> None:
    async def mine() -> tuple[Admissions, bool]:
        return everybody(), everybody() is everybody()

    (one, same), (other, _) = asyncio.run(mine()), asyncio.run(mine())
    assert same
    assert one is not other


async def test_runs_and_aliases_share_an_endpoints_controller_and_another_key_has_its_own(tmp_path: Path) -> None:
    environ = {"ACME_BASE_URL": "http://127.0.0.1:1/v1", "ACME_API_KEY": "one", "OTHER_API_KEY": "two"}
    plain, warm = ModelSettings(model="acme/m"), ModelSettings(model="acme/m", base_url="http://127.0.0.1:1/v1/")
    foreign = ModelSettings(model="acme/m", key_env="OTHER_API_KEY")
    warm = warm.model_copy(update={"key_env": "ACME_API_KEY"})
    access = Access(transport=SimulatedEndpoint(Enforced(), LoopClock().monotonic_s, latency=constant(3600)))

    def opened(name: str, *models: ModelSettings) -> AbstractAsyncContextManager[Session]:
        return open_session(tmp_path / name, models, environ=environ, limits=Limits(), seed=0, access=access)

    async with opened("one.db", plain, warm) as one, opened("two.db", warm, foreign) as two:
        assert one.access is not None
        assert two.access is not None
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(one.access.complete(ModelCall(model, CALL.messages))) for model in (plain, warm)]
            await settle()
            assert [state.in_flight for state in one.access.admissions()] == [2]
            assert [state.in_flight for state in two.access.admissions()] == [2, 0]
            for call in calls:
                call.cancel()
        assert [state.in_flight for state in two.access.admissions()] == [0, 0]

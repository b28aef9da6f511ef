import asyncio
from collections.abc import Callable

import pytest
from virtual import in_virtual_time, now_s

from fellowship.protocols.errors import ConnectionFailed, ModelError
from fellowship.protocols.models import Attempt, ChatMessage, Completion, ModelCall, ModelSettings, Tier, Usage
from fellowship.runtime.models import Admission, Endpoint, ModelAccess, Retries, Route
from fellowship.runtime.models.deadlines import Deadlines
from fellowship.runtime.models.wire import Reply
from fellowship.runtime.testing.simulated import LoopClock

SETTINGS = ModelSettings(model="simulated/m")
CALL = ModelCall(SETTINGS, (ChatMessage("user", "why is it so"),))
ENDPOINT = Endpoint("simulated/m", "m", "http://simulated")
STALLED = float("inf")
DEADLINE_S = 7.0


class Slow:
    """A transport whose n-th request, from 1, takes so many seconds."""

    def __init__(self, seconds: Callable[[int], float], error: ModelError | None = None) -> None:
        self._seconds = seconds
        self._error = error
        self.sent = 0

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier) -> Reply:
        self.sent += 1
        seconds = self._seconds(self.sent)
        if seconds == STALLED:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(seconds)
        if self._error is not None:
            raise self._error
        return Reply(Completion("so", "stop", "m", Usage(), (Attempt(latency_s=0.0),), tier=tier), {})


class Asking:
    """An access without second tries."""

    def __init__(self, transport: Slow, most: int = 1000) -> None:
        clock = LoopClock()
        self.admission = Admission(ENDPOINT.name, most, clock=clock, start=most)
        route = Route(ENDPOINT, transport, self.admission, None)
        self._access = ModelAccess({SETTINGS: route}, clock=clock, deadline_s=DEADLINE_S, retries=Retries({}))

    async def ended_s(self, start_s: float = 0.0) -> tuple[str, float]:
        """Return how a call ended, and when."""
        await asyncio.sleep(start_s)
        try:
            return (await self._access.complete(CALL)).text, now_s()
        except ModelError as error:
            return type(error).__name__, now_s()


def timers() -> int:
    """Return how many timers are set in this loop."""
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return sum(not timer.cancelled() for timer in scheduled)


@in_virtual_time
async def test_a_call_that_stalls_has_timed_out_at_its_deadline() -> None:
    asking = Asking(Slow(lambda _: STALLED))
    assert await asking.ended_s() == ("CallTimedOut", DEADLINE_S)
    assert asking.admission.state().in_flight == timers() == 0


@in_virtual_time
async def test_each_of_many_calls_has_the_deadline_that_it_began_with() -> None:
    asking = Asking(Slow(lambda number: STALLED if number % 3 else 2.0))
    starts = [number / 8 for number in range(240)]
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(asking.ended_s(start_s)) for start_s in starts]
    ends = [call.result() for call in calls]
    expected = [
        ("so", start_s + 2) if number % 3 == 0 else ("CallTimedOut", start_s + DEADLINE_S)
        for number, start_s in enumerate(starts, start=1)
    ]
    assert ends == expected
    assert timers() == 0


@in_virtual_time
async def test_all_calls_of_an_access_have_one_timer() -> None:
    asking = Asking(Slow(lambda _: STALLED))
    async with asyncio.TaskGroup() as group:
        for number in range(500):
            group.create_task(asking.ended_s(number / 500))
        await asyncio.sleep(1)
        assert asking.admission.state().in_flight == 500
        assert timers() == 1


@in_virtual_time
async def test_a_call_that_ends_in_time_leaves_no_timer_and_takes_nothing_from_the_next() -> None:
    asking = Asking(Slow(lambda number: DEADLINE_S - 1 if number < 3 else STALLED))
    assert await asking.ended_s() == ("so", 6.0)
    assert timers() == 0
    assert await asking.ended_s() == ("so", 12.0)
    assert await asking.ended_s() == ("CallTimedOut", 12.0 + DEADLINE_S)


@in_virtual_time
async def test_a_call_that_fails_in_time_leaves_no_timer() -> None:
    asking = Asking(Slow(lambda _: 1.0, ConnectionFailed("reset")))
    assert await asking.ended_s() == ("ConnectionFailed", 1.0)
    assert timers() == 0


@in_virtual_time
async def test_the_time_in_the_queue_is_not_the_requests_time() -> None:
    asking = Asking(Slow(lambda _: DEADLINE_S - 1), most=1)
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(asking.ended_s()) for _ in range(5)]
    assert [call.result()[0] for call in calls] == ["so"] * 5


@in_virtual_time
async def test_a_cancellation_from_outside_stays_one() -> None:
    asking = Asking(Slow(lambda _: STALLED))
    async with asyncio.TaskGroup() as group:
        call = group.create_task(asking.ended_s())
        await asyncio.sleep(1)
        call.cancel()
    assert call.cancelled()
    assert asking.admission.state().in_flight == timers() == 0


@pytest.mark.parametrize("first", ["deadline", "cancellation"])
@in_virtual_time
async def test_a_cancellation_at_the_very_deadline_stays_one(first: str) -> None:
    asking, loop = Asking(Slow(lambda _: STALLED)), asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        call = group.create_task(asking.ended_s())
        if first == "cancellation":
            loop.call_at(DEADLINE_S, call.cancel)
        await asyncio.sleep(1)
        if first == "deadline":
            loop.call_at(DEADLINE_S, call.cancel)
    assert call.cancelled()
    assert now_s() == DEADLINE_S
    assert asking.admission.state().in_flight == timers() == 0


@in_virtual_time
async def test_a_shorter_limit_of_the_caller_ends_a_call_as_the_callers() -> None:
    asking = Asking(Slow(lambda _: STALLED))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await asking.ended_s()
    assert (now_s(), timers()) == (2.0, 0)


@in_virtual_time
async def test_a_task_whose_call_timed_out_is_not_left_cancelled() -> None:
    asking, task = Asking(Slow(lambda _: STALLED)), asyncio.current_task()
    assert task is not None
    for _ in range(3):
        assert (await asking.ended_s())[0] == "CallTimedOut"
        assert task.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await asking.ended_s()


@in_virtual_time
async def test_a_task_that_was_told_to_end_and_cleans_up_may_make_a_call_with_a_deadline() -> None:
    asking = Asking(Slow(lambda _: STALLED))
    ends: list[tuple[str, float]] = []

    async def stubborn() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            ends.append(await asking.ended_s())
            raise

    async with asyncio.TaskGroup() as group:
        task = group.create_task(stubborn())
        await asyncio.sleep(1)
        task.cancel()
    assert ends == [("CallTimedOut", 1 + DEADLINE_S)]
    assert task.cancelled()


@in_virtual_time
async def test_a_deadline_that_passes_breaks_off_none_but_its_own_request() -> None:
    deadlines = Deadlines(DEADLINE_S)
    first = deadlines.begin()
    await asyncio.sleep(1)
    second = deadlines.begin()
    deadlines.end(first)
    await asyncio.sleep(DEADLINE_S - 0.5)
    assert not second.passed()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(1)
    assert second.passed()
    assert not first.passed()
    deadlines.end(second)
    deadlines.end(second)
    assert timers() == 0

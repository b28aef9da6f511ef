import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fellowship.protocols import errors
from fellowship.protocols.errors import (
    BudgetExhausted,
    CallRefused,
    CallTimedOut,
    ConnectionFailed,
    ContentFiltered,
    EndpointDown,
    MalformedReply,
    ModelError,
    ModelNotFound,
    ModelRefused,
    Overloaded,
    PromptTooLong,
    QuotaExhausted,
    RateLimited,
    RunStopping,
    ServerError,
    TruncatedReply,
    Unauthorised,
)
from fellowship.protocols.models import Attempt, ChatMessage, Completion, ModelCall, ModelSettings, Tier, Usage
from fellowship.runtime.models import Admission, Endpoint, ModelAccess, Retries, Route
from fellowship.runtime.models.admission import FAILURES
from fellowship.runtime.models.retries import TABLE, Rule
from fellowship.runtime.models.wire import Reply
from fellowship.runtime.testing import ManualClock

SETTINGS = ModelSettings(model="simulated/m")
CALL = ModelCall(SETTINGS, (ChatMessage("user", "why is it so"),))
ENDPOINT = Endpoint("simulated/m", "m", "http://simulated")
AS_OFTEN_AS_IT_TAKES = None
FURTHER_TRIES: dict[type[ModelError], int | None] = {
    RateLimited: AS_OFTEN_AS_IT_TAKES,
    Overloaded: 6,
    ServerError: 6,
    ConnectionFailed: 6,
    TruncatedReply: 4,
    MalformedReply: 3,
    CallTimedOut: 2,
    CallRefused: 0,
    ModelNotFound: 0,
    PromptTooLong: 0,
    ModelRefused: 0,
    ContentFiltered: 0,
    RunStopping: 0,
    EndpointDown: 0,
    Unauthorised: 0,
    QuotaExhausted: 0,
    BudgetExhausted: 0,
}
CURED = 40
"""Errors after which a call that may be tried for ever is let in."""


class Failing:
    """A transport whose n-th request, from 1, ends in an error; where there is none, in an answer."""

    def __init__(self, error: Callable[[int], ModelError | None]) -> None:
        self._error = error
        self.sent = 0

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier) -> Reply:
        self.sent += 1
        error = self._error(self.sent)
        if error is not None:
            raise error
        return Reply(Completion("so", "stop", "m", Usage(), (Attempt(latency_s=0.0),), tier=tier), {})


def access(transport: Failing, clock: ManualClock, retries: Retries | None = None, seed: int = 0) -> ModelAccess:
    route = Route(ENDPOINT, transport, Admission(ENDPOINT.name, 8, clock=clock), None)
    return ModelAccess({SETTINGS: route}, clock=clock, deadline_s=60, retries=retries, seed=seed)


def kinds(base: type[ModelError] = ModelError) -> Iterator[type[ModelError]]:
    for kind in base.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
        yield from kinds(kind)


def test_every_error_of_a_model_has_its_decision_and_says_whether_it_is_worth_another_try() -> None:
    assert set(kinds()) == set(FURTHER_TRIES)
    assert {kind for kind in kinds() if kind.retryable} == {kind for kind, times in FURTHER_TRIES.items() if times != 0}


@pytest.mark.parametrize("kind", sorted(kinds(), key=lambda kind: kind.__name__))
async def test_a_call_is_tried_as_often_as_its_class_of_error_says(
    kind: type[ModelError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fellowship.runtime.models.admission.FAILURES", CURED)  # as where others are answered
    times = FURTHER_TRIES[kind]
    transport = Failing(lambda sent: kind("its own words") if sent <= CURED else None)
    asking = access(transport, ManualClock()).complete(CALL)
    if times is AS_OFTEN_AS_IT_TAKES:
        assert len((await asking).attempts) == transport.sent == CURED + 1
    else:
        with pytest.raises(kind, match="its own words") as caught:
            await asking
        assert len(caught.value.attempts) == transport.sent == times + 1


async def test_an_error_of_another_class_has_its_own_number_of_tries() -> None:
    truncated, malformed = FURTHER_TRIES[TruncatedReply], FURTHER_TRIES[MalformedReply]
    assert truncated
    assert malformed
    planned: list[ModelError] = [TruncatedReply("x")] * truncated + [MalformedReply("x")] * malformed
    transport = Failing(lambda sent: planned[sent - 1] if sent <= len(planned) else None)
    assert (await access(transport, ManualClock()).complete(CALL)).text == "so"
    planned.append(MalformedReply("one too many"))
    transport.sent = 0
    with pytest.raises(MalformedReply, match="one too many"):
        await access(transport, ManualClock()).complete(CALL)


async def test_a_try_at_an_endpoint_that_fails_everybody_is_no_fault_of_the_call() -> None:
    few = Retries({Overloaded: Rule(times=FAILURES - 1)})
    transport = Failing(lambda sent: Overloaded("down") if 1 < sent <= FAILURES + 5 else None)
    asked = access(transport, ManualClock(), few)
    assert [(await asked.complete(CALL)).text for _ in range(2)] == ["so", "so"]
    assert transport.sent == FAILURES + 6


def test_a_more_special_error_follows_the_rule_of_its_class() -> None:
    class Busy(Overloaded):
        pass

    Busy.__module__ = "elsewhere"
    assert Retries().rule(Busy("x")) == TABLE[Overloaded]


@given(
    tries=st.integers(1, 2000), first_s=st.floats(0.1, 10), longest_s=st.floats(0.1, 100), seed=st.integers(0, 2**32)
)
def test_half_of_a_wait_is_chance_and_no_more(tries: int, first_s: float, longest_s: float, seed: int) -> None:
    retries = Retries({Overloaded: Rule(times=None, first_s=first_s, longest_s=longest_s)})
    wait_s = retries.wait_s(Overloaded("x"), tries, random.Random(seed))
    bound_s = min(longest_s, first_s * 2.0 ** min(tries - 1, 30))
    assert wait_s is not None
    assert bound_s / 2 <= wait_s <= bound_s


def test_those_that_failed_together_come_back_apart() -> None:
    rng = random.Random(0)
    waits = [Retries().wait_s(Overloaded("x"), 1, rng) for _ in range(500)]
    tenths = {int((wait_s or 0.0) * 40) for wait_s in waits}
    assert tenths == set(range(10, 20))  # every fortieth of a second between a quarter and a half


async def test_waits_are_the_same_for_the_same_seed() -> None:
    async def slept(seed: int) -> list[float]:
        clock = ManualClock()
        with pytest.raises(MalformedReply):
            await access(Failing(lambda _: MalformedReply("x")), clock, seed=seed).complete(CALL)
        return clock.slept

    assert await slept(1) == await slept(1) != await slept(2)


@pytest.mark.parametrize("kind", [Overloaded, RateLimited])
def test_a_wait_is_no_shorter_than_the_endpoint_asks(kind: type[Overloaded | RateLimited]) -> None:
    def wait_s(retry_after_s: float, tries: int) -> float:
        return Retries().wait_s(kind("x", retry_after_s=retry_after_s), tries, random.Random(0)) or 0.0

    assert wait_s(590.0, 1) == 590.0
    assert wait_s(0.0, 1) >= 0.25
    assert wait_s(0.01, 4) >= 2.0


@pytest.mark.parametrize(("asked_for_s", "sent"), [(599.0, 2), (601.0, 1)])
async def test_who_asks_for_more_than_there_is_patience_is_not_asked_again(asked_for_s: float, sent: int) -> None:
    transport = Failing(lambda sent: Overloaded("back soon", retry_after_s=asked_for_s) if sent == 1 else None)
    clock = ManualClock()
    asking = access(transport, clock, Retries(patience_s=600.0)).complete(CALL)
    if sent == 1:
        with pytest.raises(EndpointDown, match="back soon"):
            await asking
        assert clock.slept == []
    else:
        assert len((await asking).attempts) == sent
        assert sum(clock.slept) == asked_for_s
    assert transport.sent == sent


async def test_a_call_that_the_endpoint_fails_on_again_and_again_fails_though_nobody_else_asks() -> None:
    transport = Failing(lambda _: ServerError("oops"))
    with pytest.raises(ServerError):
        await access(transport, ManualClock()).complete(CALL)
    assert transport.sent == 1 + (FURTHER_TRIES[ServerError] or 0)


async def test_an_outage_fails_no_call_though_nobody_else_asks() -> None:
    transport = Failing(lambda sent: Overloaded("down") if 1 < sent < 20 else None)
    asked = access(transport, ManualClock())
    assert [(await asked.complete(CALL)).text for _ in range(2)] == ["so", "so"]
    assert transport.sent == 20


async def test_an_endpoint_that_refuses_everybody_without_end_is_given_up() -> None:
    transport, clock = Failing(lambda _: RateLimited("come back tomorrow")), ManualClock()
    with pytest.raises(EndpointDown, match="has refused every call for 6.. s; the last one: come back tomorrow"):
        await access(transport, clock, Retries(patience_s=600.0)).complete(CALL)
    assert 600 <= sum(clock.slept) < 700

import asyncio
import random
from collections.abc import Iterable

import orjson
import pytest
from acting import settle

from fellowship.protocols.errors import (
    CallRefused,
    CallTimedOut,
    ConnectionFailed,
    EndpointDown,
    MalformedReply,
    ModelError,
    ModelNotFound,
    ModelRefused,
    Overloaded,
    PromptTooLong,
    QuotaExhausted,
    RateLimited,
    ServerError,
    TruncatedReply,
    Unauthorised,
)
from fellowship.protocols.models import AnswerSchema, ChatMessage, Completion, ModelCall, ModelSettings, Tier, Usage
from fellowship.runtime.models import Admission, Budget, Endpoint, ModelAccess, Price, Retries, Route
from fellowship.runtime.models.admission import Lane
from fellowship.runtime.models.budget import Purse, Reservation
from fellowship.runtime.models.lean import LeanTransport
from fellowship.runtime.models.retries import TABLE, Rule
from fellowship.runtime.models.wire import Reply, completion, refusal
from fellowship.runtime.testing import Fault, LoopbackEndpoint, ManualClock

SETTINGS = ModelSettings(model="loopback/m")
CALL = ModelCall(SETTINGS, (ChatMessage("system", "be brief"), ChatMessage("user", "why is it so")))
QUICK = Retries({**{kind: Rule(times=2, first_s=1.0) for kind in TABLE}, RateLimited: TABLE[RateLimited]})


async def ask(
    server: LoopbackEndpoint,
    *,
    clock: ManualClock | None = None,
    call: ModelCall = CALL,
    deadline_s: float = 10.0,
    retries: Retries | None = None,
) -> Completion:
    endpoint = Endpoint("loopback/m", "m", server.base_url, key="sk-secret")
    async with LeanTransport() as transport:
        clock = clock or ManualClock()
        route = Route(endpoint, transport, Admission(endpoint.name, 8, clock=clock), None)
        access = ModelAccess({call.settings: route}, clock=clock, deadline_s=deadline_s, retries=retries or QUICK)
        return await access.complete(call)


async def test_a_call_is_sent_as_chat_completions_and_its_answer_read() -> None:
    settings = ModelSettings(model="loopback/m", temperature=0.5, max_tokens=9, seed=3, stop=("END",), top_p=0.9)
    schema = {"type": "object", "properties": {"score": {"type": "number"}}}
    call = ModelCall(settings, CALL.messages, AnswerSchema("score", schema))
    async with LoopbackEndpoint(lambda _: '{"score": 3}') as server:
        completion = await ask(server, call=call)
    assert (completion.text, completion.finish_reason, completion.served_by) == ('{"score": 3}', "stop", "m")
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (6, 2)
    served = server.ledger[0]
    assert served.headers["Authorization"] == "Bearer sk-secret"
    assert served.request == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "why is it so"}],
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 3,
        "stop": ["END"],
        "top_p": 0.9,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "score", "strict": True, "schema": schema},
        },
    }


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=500), ServerError),
        (Fault(status=503), Overloaded),
        (Fault(status=429), RateLimited),
        (Fault("reset"), ConnectionFailed),
        (Fault("malformed"), MalformedReply),
        (Fault("truncated"), TruncatedReply),
        (Fault("truncated-json"), MalformedReply),
        (Fault("not-json"), MalformedReply),
    ],
)
async def test_what_another_try_can_help_is_tried_again(fault: Fault, error: type[ModelError]) -> None:
    clock = ManualClock()
    async with LoopbackEndpoint(lambda _: "so", faults=[fault]) as server:
        completion = await ask(server, clock=clock)
    assert completion.text == "so"
    assert [attempt.error is None for attempt in completion.attempts] == [False, True]
    assert str(completion.attempts[0].error).startswith(error.__name__)
    assert 0.5 <= sum(clock.slept) <= 1.0


@pytest.mark.parametrize(
    ("status", "words", "error"),
    [
        (400, {"message": "bad request"}, CallRefused),
        (404, {"message": "no such model"}, ModelNotFound),
        (401, {"message": "wrong key sk-secret"}, Unauthorised),
        (403, {"message": "not yours"}, CallRefused),
        (400, {"message": "too long", "code": "context_length_exceeded"}, PromptTooLong),
        (429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}, QuotaExhausted),
    ],
)
async def test_what_no_try_can_help_is_told_at_once(
    status: int, words: dict[str, str], error: type[ModelError]
) -> None:
    async with LoopbackEndpoint(faults=[Fault(status=status, error=words)]) as server:
        with pytest.raises(error) as caught:
            await ask(server)
    assert len(server.ledger) == 1
    assert len(caught.value.attempts) == 1
    assert "sk-secret" not in str(caught.value)
    assert "sk-secret" not in str(caught.value.attempts)


async def test_a_call_that_keeps_failing_tells_every_attempt() -> None:
    async with LoopbackEndpoint(faults=[Fault(status=500)] * 9) as server:
        with pytest.raises(Overloaded, match="something went wrong") as caught:
            await ask(server)
    assert len(caught.value.attempts) == len(server.ledger) == 3


async def test_the_wait_an_endpoint_asks_for_is_kept() -> None:
    clock = ManualClock()
    faults = [
        Fault(status=429, headers={"retry-after": "7"}),
        Fault(status=429, headers={"retry-after-ms": "9500", "retry-after": "1"}),
    ]
    async with LoopbackEndpoint(lambda _: "so", faults=faults) as server:
        await ask(server, clock=clock)
    assert sum(clock.slept) == pytest.approx(16.5)


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
async def test_a_wait_that_is_no_number_is_passed_over(value: str) -> None:
    clock = ManualClock()
    faults = [Fault(status=429, headers={"retry-after": value})]
    async with LoopbackEndpoint(lambda _: "so", faults=faults) as server:
        await ask(server, clock=clock)
    assert 0.5 <= sum(clock.slept) <= 1.0


async def test_a_stalled_call_ends_at_its_deadline() -> None:
    async with LoopbackEndpoint(faults=[Fault("stall")] * 3) as server:
        with pytest.raises(CallTimedOut, match=r"no answer within 0.05 s"):
            await ask(server, deadline_s=0.05)


async def test_nobody_listening_is_a_connection_that_failed() -> None:
    async with LoopbackEndpoint() as server:
        pass
    with pytest.raises(ConnectionFailed, match=r"no connection to http://127\.0\.0\.1"):
        await ask(server)


async def test_an_endpoint_never_has_more_calls_in_flight_than_its_cap() -> None:
    async with LoopbackEndpoint(latency_s=0.01) as server, LeanTransport() as transport:
        endpoint = Endpoint("loopback/m", "m", server.base_url)
        other = ModelSettings(model="loopback/m", temperature=1.0)  # another alias of the same endpoint
        clock = ManualClock()
        route = Route(endpoint, transport, Admission(endpoint.name, 5, clock=clock), None)
        access = ModelAccess({SETTINGS: route, other: route}, clock=clock, deadline_s=5)
        async with asyncio.TaskGroup() as calls:
            for number in range(30):
                calls.create_task(access.complete(ModelCall((SETTINGS, other)[number % 2], CALL.messages)))
    assert server.most_in_flight == 5
    assert len(server.ledger) == 30


def test_the_wait_doubles_and_is_bounded() -> None:
    retries = Retries({Overloaded: Rule(times=9, first_s=1.0, longest_s=5.0)})

    def longest(tries: int) -> float:
        rng = random.Random(0)
        waits: Iterable[float] = (retries.wait_s(Overloaded("x"), tries, rng) or 0.0 for _ in range(200))
        return max(waits)

    assert [round(longest(tries), 1) for tries in (1, 2, 3, 4, 9)] == [1.0, 2.0, 4.0, 5.0, 5.0]


async def test_an_agent_that_asks_with_settings_of_its_own_reaches_the_same_endpoint() -> None:
    async with LoopbackEndpoint(lambda _: "so") as server, LeanTransport() as transport:
        endpoint = Endpoint("loopback/m", "m", server.base_url)
        clock = ManualClock()
        route = Route(endpoint, transport, Admission(endpoint.name, 1, clock=clock), None)
        access = ModelAccess({SETTINGS: route}, clock=clock, deadline_s=5)
        hot = ModelCall(ModelSettings(model="loopback/m", temperature=1.0), CALL.messages)
        assert (await access.complete(hot)).text == "so"
        with pytest.raises(ModelError, match="other/m is not among the models"):
            await access.complete(ModelCall(ModelSettings(model="other/m"), CALL.messages))
    assert server.ledger[0].request["temperature"] == 1.0


@pytest.mark.parametrize("status", [429, 503])
async def test_an_endpoint_that_asks_for_a_day_is_not_waited_for(status: int) -> None:
    clock = ManualClock()
    async with LoopbackEndpoint(faults=[Fault(status=status, headers={"retry-after": "86400"})]) as server:
        with pytest.raises(EndpointDown, match="86400 s of patience"):
            await ask(server, clock=clock)
    assert clock.slept == []


WELL = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "so"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}


@pytest.mark.parametrize(
    "change",
    [
        {"service_tier": "on_demand"},
        {"id": None},
        {"created": None, "object": "text"},
        {"choices": [{"finish_reason": "eos", "message": {"role": "assistant", "content": "so"}}]},
        {"choices": [{"finish_reason": None, "message": {"content": "so"}}]},
        {"choices": [{"finish_reason": ["stop"], "message": {"content": "so"}}]},
        {"choices": [{"finish_reason": "eos", "message": {"content": "so", "tool_calls": {"a": 1}}}]},
    ],
)
def test_a_reply_that_deviates_in_what_nobody_needs_is_read(change: dict[str, object]) -> None:
    read = completion(orjson.dumps({**WELL, **change}), "tool")
    assert (read.text, read.usage.input_tokens, read.usage.output_tokens) == ("so", 3, 1)
    assert read.finish_reason == ("other" if "choices" in change else "stop")


@pytest.mark.parametrize(
    "change",
    [
        {"choices": []},
        {"choices": None},
        {"choices": [{"message": "so"}]},
        {"choices": [{"message": {"content": ["so"]}, "finish_reason": "eos"}]},
    ],
)
def test_a_reply_without_what_is_needed_is_malformed(change: dict[str, object]) -> None:
    with pytest.raises(MalformedReply):
        completion(orjson.dumps({**WELL, **change}))


def test_a_refusal_in_a_form_of_its_own_is_a_refusal() -> None:
    message = {"content": None, "refusal": {"reason": "not this"}}
    with pytest.raises(ModelRefused, match="not this"):
        completion(orjson.dumps({**WELL, "choices": [{"finish_reason": "stop", "message": message}]}))


GEMINI = "You exceeded your current quota, please check your plan and billing details. Please retry in 34.07s."


@pytest.mark.parametrize(
    ("period", "error"), [("PerMinutePerProject", RateLimited), ("PerDayPerProject", QuotaExhausted)]
)
def test_a_quota_of_a_minute_is_a_rate_and_one_of_a_day_is_a_quota(period: str, error: type[ModelError]) -> None:
    violation = {"quotaId": f"GenerateRequests{period}PerModel-FreeTier"}
    body = [{"error": {"code": 429, "message": GEMINI, "details": [{"violations": [violation]}]}}]
    endpoint = Endpoint("gemini/m", "m", "http://127.0.0.1:9/v1")
    assert type(refusal(429, orjson.dumps(body), {}, endpoint)) is error


async def test_after_a_refusal_one_goes_ahead_though_a_call_from_before_takes_for_ever() -> None:
    clock, lane = ManualClock(), Lane()
    admission = Admission("loopback/m", 8, clock=clock)
    await admission.lease(lane, 0.0)  # is never answered
    refused = await admission.lease(lane, 0.0)
    refused.failed(RateLimited("slow down", retry_after_s=2.0, limit="requests"))
    async with asyncio.timeout(5):
        ahead = await admission.lease(lane, 0.0)
    assert sum(clock.slept) == 2.0
    async with asyncio.TaskGroup() as tasks:
        behind = tasks.create_task(admission.lease(lane, 0.0))
        await settle()
        assert not behind.done()
        ahead.answered({}, Usage())
    assert admission.in_flight == 2


async def test_a_limit_of_tokens_is_heard_where_none_of_requests_is_announced() -> None:
    admission = Admission("loopback/m", 8, clock=ManualClock())
    lease = await admission.lease(Lane(), 0.0)
    lease.answered({"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "5"}, Usage())
    assert (admission.tokens.limit, admission.requests.limit) == (1000, None)


@pytest.mark.parametrize(
    "usage", [None, {"prompt_tokens": "three"}, {"prompt_tokens": -3, "completion_tokens": 1}, {"prompt_tokens": 3}]
)
def test_usage_that_cannot_be_is_not_reported_and_the_answer_is_kept(usage: object) -> None:
    read = completion(orjson.dumps({**WELL, "usage": usage}))
    assert (read.text, read.usage) == ("so", Usage(reported=False))


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 14,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(input_tokens=9, output_tokens=5, cached_tokens=4, reasoning_tokens=3),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 17,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(input_tokens=9, output_tokens=8, reasoning_tokens=3),
        ),
        (
            {"input_tokens": 9, "output_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2},
            Usage(input_tokens=15, output_tokens=5, cached_tokens=4),
        ),
    ],
    ids=["openai", "gemini", "anthropic"],
)
def test_cached_input_is_part_of_the_input_and_reasoning_of_the_output(
    usage: dict[str, object], expected: Usage
) -> None:
    assert completion(orjson.dumps({**WELL, "usage": usage})).usage == expected


async def test_a_call_in_a_batch_that_was_billed_and_given_up_costs_what_batches_cost() -> None:
    class Refusing:
        async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier) -> Reply:
            error = ModelRefused("no")
            error.usage = Usage(input_tokens=10, output_tokens=2)
            raise error

    price = Price(
        input_cost_per_token=4.0,
        output_cost_per_token=6.0,
        input_cost_per_token_batches=2.0,
        output_cost_per_token_batches=3.0,
    )
    clock, endpoint = ManualClock(), Endpoint("loopback/m", "m", "http://127.0.0.1:9/v1")
    route = Route(endpoint, Refusing(), Admission(endpoint.name, 1, clock=clock), price, batch=True)
    with pytest.raises(ModelRefused) as caught:
        await ModelAccess({SETTINGS: route}, clock=clock, deadline_s=5).complete(CALL)
    assert caught.value.cost_usd == 26.0


async def test_a_call_that_was_broken_off_before_it_was_sent_costs_nothing_of_a_budget() -> None:
    written_off: list[Reservation] = []
    clock, endpoint = ManualClock(), Endpoint("loopback/m", "m", "http://127.0.0.1:9/v1")
    admission = Admission(endpoint.name, 1, clock=clock)
    purse = Purse(Budget(tokens=100_000), write_off=written_off.append)
    route = Route(endpoint, LeanTransport(), admission, None)
    access = ModelAccess({SETTINGS: route}, clock=clock, deadline_s=5, purse=purse)
    await admission.lease(Lane(), 0.0)  # nobody else gets in
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(access.complete(CALL))
        await settle()
        waiting.cancel()
    assert (purse.spent_tokens, written_off) == (0, [])

"""The batch transport against a Batch API on loopback: one batch for many calls, and nothing paid for twice."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import anyio
import orjson
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from fellowship.protocols.errors import (
    CallRefused,
    ContentFiltered,
    LogError,
    MalformedReply,
    ModelError,
    ModelNotFound,
    Overloaded,
    PromptTooLong,
    QuotaExhausted,
    RateLimited,
    ServerError,
    Unauthorised,
)
from fellowship.protocols.lifecycle import BatchEnded, BatchPrepared, BatchSubmitted
from fellowship.protocols.models import AnswerSchema, ChatMessage, Completion, ModelCall, ModelSettings
from fellowship.protocols.ports import EventLog
from fellowship.runtime.log import LogReader, MemoryLog, open_log
from fellowship.runtime.models import Endpoint, ModelAccess, Retries
from fellowship.runtime.models.access import Route
from fellowship.runtime.models.admission import Admission
from fellowship.runtime.models.batch import BatchTransport
from fellowship.runtime.models.batch_course import SETTLE_S, TRIES
from fellowship.runtime.models.batch_journal import EarlierBatch, LogJournal, submitted
from fellowship.runtime.models.batch_lines import asked, entry
from fellowship.runtime.models.batch_lines import outcome as read_outcome
from fellowship.runtime.models.batch_tickets import Batch, Ticket
from fellowship.runtime.models.retries import Rule
from fellowship.runtime.models.wire import Reply, request
from fellowship.runtime.testing import BatchFault, LineFault, LoopbackBatches, ManualClock

SETTINGS = ModelSettings(model="loopback/m")
Words = (
    "choices",
    "message",
    "content",
    "refusal",
    "tool_calls",
    "finish_reason",
    "usage",
    "prompt_tokens",
    "error",
    "code",
)
"""What the parts of a reply are called."""
SCHEMA = {"type": "object", "properties": {"score": {"type": "number"}}}
FOREVER = 10**9


def call(text: str, model: str = "m") -> ModelCall:
    return ModelCall(ModelSettings(model=f"loopback/{model}"), (ChatMessage("user", text),))


def calls(number: int) -> list[ModelCall]:
    return [call(f"question {place}") for place in range(number)]


def echo(asked: ModelCall) -> str:
    return f"answer to {asked.messages[-1].content}"


def endpoint(server: LoopbackBatches, model: str = "m", key: str | None = "sk-secret") -> Endpoint:
    return Endpoint(f"loopback/{model}", model, server.base_url, key=key)


def transport_for(log: EventLog, clock: ManualClock | None = None, *, again: bool = False) -> BatchTransport:
    """A transport over a log, which goes on with what the log knows where it is another start."""
    return BatchTransport(LogJournal(log), clock=clock or ManualClock(), earlier=submitted(log) if again else ())


async def ask(transport: BatchTransport, whom: Endpoint, what: Sequence[ModelCall]) -> list[Completion | ModelError]:
    """Ask all at once; an error stands in its call's place."""

    async def one(it: ModelCall) -> Completion | ModelError:
        try:
            return (await transport.send(whom, it, "json-schema")).completion
        except ModelError as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(it)) for it in what]
    return [task.result() for task in tasks]


async def ask_one(transport: BatchTransport, whom: Endpoint, text: str = "why") -> str:
    return (await transport.send(whom, call(text), "json-schema")).completion.text


def texts(outcomes: Sequence[Completion | ModelError]) -> list[str]:
    assert all(isinstance(outcome, Completion) for outcome in outcomes), outcomes
    return [outcome.text for outcome in outcomes if isinstance(outcome, Completion)]


def kinds(log: EventLog) -> list[str]:
    return [event.kind for event in log.events()]


class CrashingJournal(LogJournal):
    """Ends everything at one point: before or after a fact is written."""

    def __init__(self, log: EventLog, scope: anyio.CancelScope, at: str) -> None:
        super().__init__(log)
        self._scope = scope
        self._at = at

    async def prepared(self, batch: BatchPrepared) -> None:
        await super().prepared(batch)
        await self._crash("prepared")

    async def submitted(self, batch: BatchSubmitted) -> None:
        await self._crash("made")
        await super().submitted(batch)
        await self._crash("submitted")

    async def _crash(self, point: str) -> None:
        if self._at == point:
            self._scope.cancel()
            await anyio.lowlevel.checkpoint()


async def crash(log: EventLog, at: str, whom: Endpoint, what: Sequence[ModelCall]) -> None:
    """Ask, and end at a point on the way."""
    with anyio.CancelScope() as scope:
        async with BatchTransport(CrashingJournal(log, scope, at), clock=ManualClock()) as transport:
            await ask(transport, whom, what)
    assert scope.cancelled_caught


# one batch for many calls


async def test_a_call_is_a_line_of_a_file_and_its_answer_says_where_it_came_from() -> None:
    asked_for = ModelCall(ModelSettings(model="loopback/m", seed=3), call("why").messages, AnswerSchema("s", SCHEMA))
    async with LoopbackBatches(lambda _: '{"score": 3}') as server, transport_for(MemoryLog()) as transport:
        reply = await transport.send(endpoint(server), asked_for, "json-schema")
    assert (reply.completion.text, reply.completion.source, reply.completion.tier) == (
        '{"score": 3}',
        "batch",
        "json-schema",
    )
    assert (reply.completion.usage.input_tokens, reply.completion.usage.output_tokens) == (1, 2)
    assert (server.input_tokens, server.output_tokens) == (1, 2)
    assert reply.headers["x-request-id"] == f"req-{server.billed[0]}"
    batch = server.batches[0]
    assert batch.requests[0][1] == request(endpoint(server), asked_for, "json-schema")
    assert batch.authorization == "Bearer sk-secret"


async def test_an_endpoint_without_a_key_is_sent_none_and_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-ambient")
    async with LoopbackBatches(echo) as server, transport_for(MemoryLog()) as transport:
        await ask_one(transport, endpoint(server, key=None))
        await ask_one(transport, endpoint(server))
    assert [batch.authorization for batch in server.batches] == ["", "Bearer sk-secret"]


async def test_a_thousand_calls_are_one_batch_and_each_gets_its_own_answer() -> None:
    what = calls(1000)
    async with (
        LoopbackBatches(echo, shuffled=random.Random(1)) as server,
        transport_for(MemoryLog()) as transport,
    ):
        answers = await ask(transport, endpoint(server), what)
    assert texts(answers) == [echo(it) for it in what]
    assert len(server.batches) == 1
    assert (server.requests["upload"], server.requests["create"]) == (1, 1)
    assert transport.statistics().calls == 1000


async def test_each_model_and_each_account_has_batches_of_its_own() -> None:
    async with LoopbackBatches(echo) as server, transport_for(MemoryLog()) as transport:
        ends = [endpoint(server, "m"), endpoint(server, "n"), endpoint(server, "m", key="sk-2")]
        async with asyncio.TaskGroup() as group:
            for end in ends:
                for text in ("one", "two"):
                    group.create_task(transport.send(end, call(text, end.model), "text"))
    assert sorted((batch.requests[0][1]["model"], batch.authorization) for batch in server.batches) == [
        ("m", "Bearer sk-2"),
        ("m", "Bearer sk-secret"),
        ("n", "Bearer sk-secret"),
    ]
    assert [len(batch.requests) for batch in server.batches] == [2, 2, 2]


async def test_calls_that_depend_on_answers_form_the_next_wave() -> None:
    async with LoopbackBatches(echo) as server, transport_for(MemoryLog()) as transport:

        async def twice(text: str) -> str:
            first = await ask_one(transport, endpoint(server), text)
            return await ask_one(transport, endpoint(server), first)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(twice(f"q{place}")) for place in range(5)]
    assert [task.result() for task in tasks] == [f"answer to answer to q{place}" for place in range(5)]
    assert [len(batch.requests) for batch in server.batches] == [5, 5]


async def test_a_wave_waits_until_no_further_call_has_come_for_a_while() -> None:
    async with LoopbackBatches(echo) as server, transport_for(MemoryLog(), clock := ManualClock()) as transport:
        await ask(transport, endpoint(server), calls(3))
    assert clock.slept[0] == 2.0
    assert clock.slept[1:] == [15.0, 18.75]


async def test_looks_at_a_batch_become_rarer_up_to_a_minute() -> None:
    async with (
        LoopbackBatches(echo, polls=9) as server,
        transport_for(MemoryLog(), clock := ManualClock()) as transport,
    ):
        await ask_one(transport, endpoint(server))
    waits = clock.slept[1:]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1], len(waits)) == (15.0, 60.0, 10)


async def test_a_full_wave_is_submitted_at_once_and_the_next_one_gathers() -> None:
    async with LoopbackBatches(echo) as server:
        async with BatchTransport(LogJournal(MemoryLog()), clock=ManualClock(), most_calls=4) as transport:
            answers = await ask(transport, endpoint(server), calls(10))
        assert texts(answers) == [echo(it) for it in calls(10)]
        assert sorted(len(batch.requests) for batch in server.batches) == [2, 4, 4]


async def test_a_file_does_not_grow_beyond_its_bound_and_a_call_beyond_it_is_refused() -> None:
    async with LoopbackBatches(lambda _: "so") as server:
        async with BatchTransport(LogJournal(MemoryLog()), clock=ManualClock(), largest_file=3000) as transport:
            what = [call(f"{place}" * 1000) for place in range(4)]
            answers = await ask(transport, endpoint(server), [*what, call("x" * 3000)])
        assert texts(answers[:4]) == ["so"] * 4
        assert isinstance(answers[4], CallRefused)
        assert sorted(len(batch.requests) for batch in server.batches) == [2, 2]


async def test_identical_calls_are_told_apart_by_number_and_each_is_answered() -> None:
    async with LoopbackBatches(lambda _: "so") as server, transport_for(MemoryLog()) as transport:
        answers = await ask(transport, endpoint(server), [call("why")] * 3)
    assert texts(answers) == ["so"] * 3
    names = server.batches[0].custom_ids
    assert [name.rpartition("-")[2] for name in names] == ["1", "2", "3"]
    assert len({name.rpartition("-")[0] for name in names}) == 1


def test_a_name_hangs_on_what_is_asked_and_where_but_not_on_the_key() -> None:
    whom = Endpoint("p/m", "m", "http://h/v1", key="a")

    def name(whom: Endpoint, it: ModelCall, tier: str = "text") -> str:
        return asked(whom, it, tier).digest  # type: ignore[arg-type]  # tiers as plain words

    formed = ModelCall(SETTINGS, call("why").messages, AnswerSchema("s", SCHEMA))
    first = name(whom, call("why"))
    assert first == name(Endpoint("q/m", "m", "http://h/v1/", key="b"), call("why"))
    others = {
        name(whom, call("how")),
        name(Endpoint("p/m", "m", "http://other/v1"), call("why")),
        name(Endpoint("p/n", "n", "http://h/v1"), call("why")),
        name(whom, formed, "json-schema"),
        name(whom, formed, "tool"),
    }
    assert len(others | {first}) == 6
    assert len(f"{first}-50000") <= 64


async def test_a_transport_that_is_not_open_says_so_and_another_dialect_is_refused() -> None:
    transport = transport_for(MemoryLog())
    whom = Endpoint("azure/m", "m", "http://127.0.0.1:9/", dialect="azure", api_version="1")
    with pytest.raises(RuntimeError, match="async with"):
        await transport.send(whom, call("why"), "text")
    async with transport:
        with pytest.raises(CallRefused, match="addressed as OpenAI's"):
            await transport.send(whom, call("why"), "text")


# lines and batches that go wrong


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (LineFault(status=400), CallRefused, "went wrong"),
        (LineFault(status=404), ModelNotFound, "went wrong"),
        (LineFault(status=429), RateLimited, "went wrong"),
        (LineFault(status=500), ServerError, "went wrong"),
        (LineFault(status=400, error={"message": "m", "code": "context_length_exceeded"}), PromptTooLong, ""),
        (LineFault("error", error={"code": "batch_expired", "message": "m"}), Overloaded, "expired before"),
        (LineFault("error", error={"code": "request_timeout", "message": "m"}), Overloaded, ""),
        (LineFault("error", error={"code": "insufficient_quota", "message": "m"}), QuotaExhausted, ""),
        (LineFault("error", error={"code": "content_filter", "message": "m"}), ContentFiltered, ""),
        (LineFault("error", error={"message": "oops"}), ServerError, "oops"),
        (LineFault("malformed"), MalformedReply, "not a chat completion"),
        (LineFault("torn"), MalformedReply, "not a line of a batch"),
        (LineFault("nameless"), MalformedReply, "without a line"),
        (LineFault("missing"), MalformedReply, "without a line"),
    ],
)
async def test_a_line_that_went_wrong_is_its_own_calls_error_and_harms_no_other(
    fault: LineFault, error: type[ModelError], words: str
) -> None:
    async with LoopbackBatches(echo, lines={2: fault}) as server, transport_for(MemoryLog()) as transport:
        outcomes = await ask(transport, endpoint(server), calls(3))
    assert texts([outcomes[0], outcomes[2]]) == ["answer to question 0", "answer to question 2"]
    assert type(outcomes[1]) is error
    assert words in str(outcomes[1])
    assert transport.statistics().strange_lines == (fault.sort == "nameless")


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("sort", ["expired", "cancelled"])
async def test_calls_that_a_batch_did_not_come_to_may_be_tried_again(sort: str, *, told: bool) -> None:
    fault = BatchFault(sort, after=2, told=told)  # type: ignore[arg-type]  # from a table
    async with LoopbackBatches(echo, batches=[fault]) as server, transport_for(log := MemoryLog()) as transport:
        outcomes = await ask(transport, endpoint(server), calls(4))
    assert texts(outcomes[:2]) == ["answer to question 0", "answer to question 1"]
    for outcome in outcomes[2:]:
        assert isinstance(outcome, Overloaded)
        assert sort in str(outcome)
        assert "before this call was run" in str(outcome)
    assert outcomes[2] is not outcomes[3]
    end = next(event.message() for event in log.events(kinds=("batch_ended",)))
    assert isinstance(end, BatchEnded)
    assert (end.status, end.completed) == (sort, 2)


async def test_what_is_tried_again_goes_with_the_next_wave() -> None:
    async with (
        LoopbackBatches(echo, batches=[BatchFault("expired", after=3)]) as server,
        transport_for(MemoryLog()) as transport,
    ):
        clock = ManualClock()
        admission = Admission("loopback/m", 100, clock=clock, start=100)
        route = Route(endpoint(server), transport, admission, None, batch=True)
        retries = Retries({Overloaded: Rule(times=1)})
        access = ModelAccess({SETTINGS: route}, clock=clock, deadline_s=60.0, retries=retries)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(access.complete(it)) for it in calls(8)]
        assert [task.result().text for task in tasks] == [echo(it) for it in calls(8)]
        assert [len(batch.requests) for batch in server.batches] == [8, 5]
        assert len(server.billed) == 8
        assert [len(task.result().attempts) for task in tasks] == [1] * 3 + [2] * 5


async def test_a_batch_that_is_found_wrong_refuses_each_call_in_the_providers_words() -> None:
    errors = (
        {"line": 2, "code": "invalid_value", "message": "no such parameter"},
        {"line": 3, "code": "context_length_exceeded", "message": "too long"},
    )
    async with (
        LoopbackBatches(echo, batches=[BatchFault("failed", errors=errors)]) as server,
        transport_for(MemoryLog()) as transport,
    ):
        outcomes = await ask(transport, endpoint(server), calls(4))
    assert [type(outcome) for outcome in outcomes] == [CallRefused, CallRefused, PromptTooLong, CallRefused]
    assert "line 2 of the batch: no such parameter" in str(outcomes[0])
    assert "answered 400: no such parameter" in str(outcomes[1])
    assert server.billed == []


async def test_a_batch_that_is_found_wrong_as_a_whole_says_why_or_that_nobody_said_why() -> None:
    errors = ({"line": None, "code": "empty_file", "message": "the file is empty"},)
    full = ({"line": None, "code": "token_limit_exceeded", "message": "enqueued too much"},)
    faults = [BatchFault("failed", errors=errors), BatchFault("failed"), BatchFault("failed", errors=full)]
    async with LoopbackBatches(echo, batches=faults) as server, transport_for(MemoryLog()) as transport:
        outcomes = [(await ask(transport, endpoint(server), [call("why")]))[0] for _ in faults]
    assert [type(outcome) for outcome in outcomes] == [CallRefused, CallRefused, RateLimited]
    assert "the file is empty" in str(outcomes[0])
    assert "does not say why" in str(outcomes[1])
    assert isinstance(outcomes[2], RateLimited)
    assert outcomes[2].retry_after_s == 300


async def test_a_line_that_comes_twice_answers_once() -> None:
    async with LoopbackBatches(echo, lines={1: LineFault("twice")}) as server, transport_for(MemoryLog()) as transport:
        assert texts(await ask(transport, endpoint(server), calls(2))) == [echo(it) for it in calls(2)]
    assert transport.statistics().strange_lines == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[1]",
        b"{}",
        b'{"custom_id": 3}',
        b'{"custom_id": "x", "response": {"status_code": "200"}}',
        b'{"custom_id": "x", "response": {"status_code": true}}',
        b'{"custom_id": "x", "error": {}}',
        b"\xff\xfe",
        b'{"text": "\\"custom_id\\": \\"0123456789abcdef0123456789abcdef-1\\""',
    ],
)
def test_a_line_of_any_sort_is_read_without_raising(raw: bytes) -> None:
    assert not entry(raw).legible
    assert entry(raw).custom_id in (None, "x")


Json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.sampled_from(Words), parts, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400)
@given(body=Json, error=Json, status=st.none() | st.integers(0, 700) | st.just(200))
def test_whatever_a_line_says_it_is_an_answer_or_an_error_and_never_raises(
    body: object, error: object, status: int | None
) -> None:
    raw = orjson.dumps({"custom_id": "x", "response": {"status_code": status, "body": body}, "error": error})
    whom = Endpoint("p/m", "m", "http://h/v1")
    assert isinstance(read_outcome(entry(raw), whom, "tool"), Reply | ModelError)


def test_a_line_deeper_than_anybody_writes_is_that_calls_error() -> None:
    raw = b'{"custom_id": "x", "response": {"status_code": 200, "body": %b%b}}' % (b"[" * 400, b"]" * 400)
    assert isinstance(read_outcome(entry(raw), Endpoint("p/m", "m", "http://h/v1"), None), MalformedReply)


Fate = st.sampled_from(
    [
        None,
        None,
        LineFault(status=500),
        LineFault(status=400),
        LineFault("error"),
        LineFault("malformed"),
        LineFault("torn"),
        LineFault("nameless"),
        LineFault("missing"),
        LineFault("twice"),
    ]
)


@settings(max_examples=40, deadline=None)
@given(
    fates=st.lists(Fate, min_size=1, max_size=8),
    seed=st.integers(0, 1000),
    end=st.sampled_from([None, "expired", "cancelled"]),
    after=st.integers(0, 8),
    twins=st.booleans(),
)
async def test_whatever_comes_back_each_call_gets_its_own_answer_or_an_error(
    fates: list[LineFault | None], seed: int, end: str | None, after: int, *, twins: bool
) -> None:
    what = [call("the same")] * len(fates) if twins else calls(len(fates))
    fault = BatchFault(end, after=after, told=seed % 2 == 0) if end else None  # type: ignore[arg-type]  # from a table
    lines = {number: fate for number, fate in enumerate(fates, start=1) if fate is not None}
    async with (
        LoopbackBatches(echo, lines=lines, batches=[fault], shuffled=random.Random(seed)) as server,
        transport_for(MemoryLog()) as transport,
    ):
        outcomes = await ask(transport, endpoint(server), what)
    for number, (it, fate, outcome) in enumerate(zip(what, fates, outcomes, strict=True)):
        run = fault is None or number < after
        if run and (fate is None or fate.sort == "twice"):
            assert isinstance(outcome, Completion)
            assert outcome.text == echo(it)
        else:
            assert isinstance(outcome, ModelError)
    assert len(server.batches) == 1


# a provider that cannot be reached


@pytest.mark.parametrize("operation", ["upload", "poll", "content"])
@pytest.mark.parametrize("how", ["unreachable", "lost"])
async def test_a_provider_that_is_away_for_a_while_fails_no_call(operation: str, how: str) -> None:
    async with LoopbackBatches(echo, **{how: {operation: 3}}) as server, transport_for(MemoryLog()) as transport:  # type: ignore[arg-type]
        answers = await ask(transport, endpoint(server), calls(20))
    assert texts(answers) == [echo(it) for it in calls(20)]
    assert len(server.batches) == 1
    assert len(server.billed) == 20


async def test_an_upload_that_never_succeeds_fails_the_calls_and_they_can_be_tried_again() -> None:
    async with LoopbackBatches(echo, unreachable={"upload": TRIES}) as server, transport_for(MemoryLog()) as transport:
        failed = await ask(transport, endpoint(server), calls(2))
        assert [type(outcome) for outcome in failed] == [Overloaded, Overloaded]
        assert texts(await ask(transport, endpoint(server), calls(2))) == [echo(it) for it in calls(2)]
    assert len(server.batches) == 1


@pytest.mark.parametrize("metadata_kept", [True, False])
async def test_a_batch_whose_making_was_not_confirmed_is_found_and_not_made_again(*, metadata_kept: bool) -> None:
    async with (
        LoopbackBatches(echo, lost={"create": 1}, unreachable={"list": 2}, metadata_kept=metadata_kept) as server,
        transport_for(MemoryLog()) as transport,
    ):
        assert await ask_one(transport, endpoint(server)) == "answer to why"
    assert server.requests["create"] == 1
    assert len(server.billed) == 1


async def test_a_batch_that_was_not_made_is_made_again_once_it_could_have_turned_up() -> None:
    async with (
        LoopbackBatches(echo, unreachable={"create": 1}) as server,
        transport_for(MemoryLog(), clock := ManualClock()) as transport,
    ):
        assert await ask_one(transport, endpoint(server)) == "answer to why"
    assert server.requests["create"] == 2
    assert clock.monotonic_s() > SETTLE_S
    assert len(server.batches) == 1


async def test_a_key_that_is_not_accepted_is_told_to_all_and_the_intent_is_closed() -> None:
    async with LoopbackBatches(echo) as server, transport_for(log := MemoryLog()) as transport:
        server.key = "sk-new"
        outcomes = await ask(transport, endpoint(server), calls(2))
        assert [type(outcome) for outcome in outcomes] == [Unauthorised, Unauthorised]
        assert outcomes[0] is not outcomes[1]
    assert submitted(log) == ()


async def test_a_batch_that_may_not_be_looked_at_stays_on_record_and_is_found_later() -> None:
    log = MemoryLog()
    async with LoopbackBatches(echo, polls=FOREVER) as server:
        async with transport_for(log) as transport, asyncio.TaskGroup() as group:
            task = group.create_task(ask(transport, endpoint(server), calls(2)))
            await server.looked_at.wait()
            server.key = "sk-new"
            await task
        assert [type(outcome) for outcome in task.result()] == [Unauthorised, Unauthorised]
        assert kinds(log) == ["batch_prepared", "batch_submitted"]
        server.key, server.polls = None, 0
        async with transport_for(log, again=True) as transport:
            assert texts(await ask(transport, endpoint(server), calls(2))) == [echo(it) for it in calls(2)]
        assert len(server.batches) == 1


async def test_a_batch_that_vanished_is_asked_anew() -> None:
    log = MemoryLog()
    async with LoopbackBatches(echo) as server:
        await crash(log, "submitted", endpoint(server), calls(2))
        server.forget()
        async with transport_for(log, again=True) as transport:
            assert texts(await ask(transport, endpoint(server), calls(2))) == [echo(it) for it in calls(2)]
        assert len(server.batches) == 2
        assert len(server.billed) == 2
        polls = server.requests["poll"]
        async with transport_for(log, again=True) as transport:
            assert texts(await ask(transport, endpoint(server), calls(2))) == [echo(it) for it in calls(2)]
        assert server.requests["poll"] == polls + 1
        assert len(server.batches) == 2


async def test_files_that_are_no_longer_kept_are_missed_and_their_calls_asked_anew() -> None:
    log = MemoryLog()
    async with LoopbackBatches(echo) as server:
        async with transport_for(log) as transport:
            await ask(transport, endpoint(server), calls(2))
        server.drop_files()
        async with transport_for(log, again=True) as transport:
            assert texts(await ask(transport, endpoint(server), calls(2))) == [echo(it) for it in calls(2)]
        assert len(server.batches) == 2


# what is written down


async def test_a_batch_is_written_down_before_it_is_made_and_before_it_is_waited_for() -> None:
    seen: list[tuple[str, int, int]] = []

    class Watching(LogJournal):
        async def prepared(self, batch: BatchPrepared) -> None:
            seen.append(("prepared", server.requests["create"], server.requests["poll"]))
            await super().prepared(batch)

        async def submitted(self, batch: BatchSubmitted) -> None:
            seen.append(("submitted", server.requests["create"], server.requests["poll"]))
            await super().submitted(batch)

        async def ended(self, batch: BatchEnded) -> None:
            seen.append(("ended", server.requests["create"], server.requests["poll"]))
            await super().ended(batch)

    log = MemoryLog()
    async with LoopbackBatches(echo) as server, BatchTransport(Watching(log), clock=ManualClock()) as transport:
        await ask(transport, endpoint(server), calls(2))
    assert seen == [("prepared", 0, 0), ("submitted", 1, 0), ("ended", 1, 2)]
    prepared, made, ended = [event.message() for event in log.events()]
    batch = server.batches[0]
    assert isinstance(prepared, BatchPrepared)
    assert batch.metadata == {"fellowship_nonce": prepared.nonce}
    assert made == BatchSubmitted(
        nonce=prepared.nonce,
        batch_id=batch.id,
        base_url=server.base_url,
        model="m",
        input_file_id=batch.input_file_id,
        calls=2,
        custom_ids=batch.custom_ids,
    )
    assert ended == BatchEnded(nonce=prepared.nonce, batch_id=batch.id, status="completed", completed=2)


async def test_no_key_is_written_down() -> None:
    async with LoopbackBatches(echo) as server, transport_for(log := MemoryLog()) as transport:
        await ask(transport, endpoint(server), calls(2))
    assert "sk-secret" not in "".join(event.body for event in log.events())


async def test_a_log_that_cannot_be_written_ends_everything_before_anything_is_bought() -> None:
    class Broken(LogJournal):
        async def prepared(self, batch: BatchPrepared) -> None:
            raise LogError("the disk is full")

    async with LoopbackBatches(echo) as server:
        with pytest.RaisesGroup(LogError):
            async with BatchTransport(Broken(MemoryLog()), clock=ManualClock()) as transport:
                await ask_one(transport, endpoint(server))
        assert server.batches == []


# another start


@pytest.mark.parametrize("at", ["made", "submitted"])
async def test_after_a_crash_the_same_calls_find_their_answers_and_nothing_is_submitted_twice(at: str) -> None:
    log = MemoryLog(ManualClock())
    what = [*calls(5), call("twin"), call("twin")]
    async with LoopbackBatches(echo) as server:
        await crash(log, at, endpoint(server), what)
        assert len(server.batches) == 1
        async with transport_for(log, again=True) as transport:
            assert texts(await ask(transport, endpoint(server), what)) == [echo(it) for it in what]
            assert transport.statistics().found == 7
        assert len(server.batches) == 1
        assert len(server.billed) == 7
    assert kinds(log) == ["batch_prepared", "batch_submitted", "batch_ended"]


async def test_an_intent_that_came_to_nothing_is_closed_and_its_calls_are_submitted() -> None:
    log = MemoryLog(ManualClock())
    async with LoopbackBatches(echo) as server:
        await crash(log, "prepared", endpoint(server), calls(3))
        assert server.batches == []
        async with transport_for(log, clock := ManualClock(), again=True) as transport:
            assert texts(await ask(transport, endpoint(server), calls(3))) == [echo(it) for it in calls(3)]
        assert clock.monotonic_s() >= SETTLE_S
        assert len(server.batches) == 1
        assert [earlier.batch_id for earlier in submitted(log)] == ["batch_1"]
        async with transport_for(log, again=True) as transport:
            assert texts(await ask(transport, endpoint(server), calls(3))) == [echo(it) for it in calls(3)]
        assert len(server.batches) == 1


async def test_a_batch_of_unknown_id_is_found_on_any_page_of_the_list() -> None:
    log = MemoryLog(ManualClock())
    async with LoopbackBatches(echo, page=2) as server:
        await crash(log, "made", endpoint(server), calls(1))
        async with transport_for(MemoryLog()) as other:
            for number in range(5):
                await ask_one(other, endpoint(server), f"other {number}")
        async with transport_for(log, again=True) as transport:
            assert texts(await ask(transport, endpoint(server), calls(1))) == ["answer to question 0"]
        assert server.requests["list"] == 3
        assert len(server.batches) == 6


async def test_a_list_that_never_ends_is_left() -> None:
    class Stuck(LoopbackBatches):
        async def _list(self, request: web.Request) -> web.Response:
            return await super()._list(request.clone(rel_url=request.rel_url.without_query_params("after")))

    log = MemoryLog(ManualClock())
    async with Stuck(echo, page=1) as server:
        await crash(log, "prepared", endpoint(server), calls(1))
        async with transport_for(MemoryLog()) as other:
            for number in range(2):
                await ask_one(other, endpoint(server), f"other {number}")
        async with transport_for(log, again=True) as transport:
            assert texts(await ask(transport, endpoint(server), calls(1))) == ["answer to question 0"]


async def test_a_batch_that_turns_up_late_in_the_list_is_waited_for() -> None:
    class Lagging(LoopbackBatches):
        async def _list(self, request: web.Request) -> web.Response:
            if self.requests["list"] <= 3:
                return web.json_response({"data": [], "has_more": False})
            return await super()._list(request)

    log = MemoryLog(ManualClock())
    async with Lagging(echo) as server:
        await crash(log, "made", endpoint(server), calls(2))
        async with transport_for(log, again=True) as transport:
            assert texts(await ask(transport, endpoint(server), calls(2))) == [echo(it) for it in calls(2)]
        assert len(server.billed) == 2


async def test_over_a_log_in_a_file_a_crash_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with LoopbackBatches(echo) as server:
        for at in ("made", "submitted"):
            async with open_log(path) as log:
                await crash(log, at, endpoint(server), calls(4) if at == "made" else [call("more")])
        with LogReader(path) as reader:
            earlier = submitted(reader)
        assert [batch.batch_id for batch in earlier] == [None, "batch_2"]
        async with (
            open_log(path) as log,
            BatchTransport(LogJournal(log), clock=ManualClock(2e9), earlier=earlier) as transport,
        ):
            what = [*calls(4), call("more")]
            assert texts(await ask(transport, endpoint(server), what)) == [echo(it) for it in what]
        assert len(server.batches) == 2
        assert len(server.billed) == 5
        with LogReader(path) as reader:
            assert [batch.ended is not None for batch in submitted(reader)] == [True, True]


async def test_a_batch_that_is_over_is_not_looked_at_before_somebody_asks_for_what_it_holds() -> None:
    log = MemoryLog()
    async with LoopbackBatches(echo) as server:
        async with transport_for(log) as transport:
            await ask(transport, endpoint(server), calls(2))
        server.requests.clear()
        earlier = submitted(log)
        async with BatchTransport(
            LogJournal(log), clock=ManualClock(), earlier=earlier, endpoints=[endpoint(server)]
        ) as transport:
            assert await ask_one(transport, endpoint(server), "new") == "answer to new"
            assert server.requests["content"] == 1
            assert await ask_one(transport, endpoint(server), "question 1") == "answer to question 1"
            assert await ask_one(transport, endpoint(server), "question 0") == "answer to question 0"
            assert server.requests["content"] == 2
        assert len(server.batches) == 2


async def test_a_batch_that_is_not_over_is_looked_at_from_the_start() -> None:
    over = asyncio.Event()

    class Telling(LogJournal):
        async def ended(self, batch: BatchEnded) -> None:
            await super().ended(batch)
            over.set()

    log = MemoryLog()
    async with LoopbackBatches(echo) as server:
        await crash(log, "submitted", endpoint(server), calls(2))
        ends = [endpoint(server)]
        async with BatchTransport(Telling(log), clock=ManualClock(), earlier=submitted(log), endpoints=ends):
            await over.wait()
        assert server.requests["content"] == 0


async def test_what_an_earlier_batch_did_not_answer_is_asked_anew_and_what_it_refused_is_not() -> None:
    log = MemoryLog()
    lines = {2: LineFault(status=500), 3: LineFault(status=400)}
    async with LoopbackBatches(echo, lines=lines) as server:
        await crash(log, "submitted", endpoint(server), calls(4))
        for _ in range(2):
            async with transport_for(log, again=True) as transport:
                outcomes = await ask(transport, endpoint(server), calls(4))
            assert texts([outcomes[0], outcomes[1], outcomes[3]]) == [echo(calls(4)[it]) for it in (0, 1, 3)]
            assert isinstance(outcomes[2], CallRefused)
        assert [len(batch.requests) for batch in server.batches] == [4, 1]
        assert len(server.billed) == 3


async def test_a_twin_that_is_left_alone_takes_the_answer_that_was_paid_for_both() -> None:
    log = MemoryLog()
    async with LoopbackBatches(echo) as server:
        await crash(log, "submitted", endpoint(server), [call("twin"), call("twin")])
        async with transport_for(log, again=True) as transport:
            assert texts(await ask(transport, endpoint(server), [call("twin")] * 3)) == ["answer to twin"] * 3
        assert [len(batch.requests) for batch in server.batches] == [2, 1]
        assert server.batches[1].custom_ids[0].endswith("-3")


def test_a_log_without_batches_has_none() -> None:
    assert submitted(MemoryLog()) == ()


# callers that leave


async def test_a_call_that_is_made_again_after_its_caller_left_finds_its_own_line() -> None:
    async with LoopbackBatches(echo, polls=FOREVER) as server, transport_for(MemoryLog()) as transport:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(ask_one(transport, endpoint(server)))
            await server.looked_at.wait()
            first.cancel()
        async with asyncio.TaskGroup() as group:
            second = group.create_task(ask_one(transport, endpoint(server)))
            await asyncio.sleep(0)
            server.polls = 0
        assert second.result() == "answer to why"
        assert len(server.billed) == 1


async def test_an_answer_that_comes_when_its_caller_has_left_is_kept_for_the_same_call() -> None:
    log = MemoryLog()
    async with LoopbackBatches(echo, polls=FOREVER) as server, transport_for(log) as transport:
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(ask_one(transport, endpoint(server)))
            staying = group.create_task(ask_one(transport, endpoint(server), "how"))
            await server.looked_at.wait()
            leaving.cancel()
            server.polls = 0
        assert staying.result() == "answer to how"
        assert await ask_one(transport, endpoint(server)) == "answer to why"
        assert len(server.billed) == 2
        assert len(server.batches) == 1


async def test_an_answer_that_comes_in_the_moment_its_caller_leaves_is_not_lost() -> None:
    whom = Endpoint("p/m", "m", "http://h/v1")
    batch = Batch(whom, ["x-1"])
    body = {"model": "m", "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "so"}}]}
    first, second = (Ticket("x-1", whom, None, b"", asyncio.get_running_loop().create_future()) for _ in range(2))
    batch.ask(first)
    assert batch.read(orjson.dumps({"custom_id": "x-1", "response": {"status_code": 200, "body": body}}))
    batch.forget(first)
    batch.ask(second)
    reply = await second.answer
    assert isinstance(reply, Reply)
    assert reply.completion.text == "so"


async def test_a_call_whose_caller_left_while_it_gathered_is_not_submitted() -> None:
    async with LoopbackBatches(echo) as server, transport_for(MemoryLog()) as transport:
        async with asyncio.TaskGroup() as group:
            staying = group.create_task(ask_one(transport, endpoint(server), "how"))
            leaving = group.create_task(ask_one(transport, endpoint(server)))
            await asyncio.sleep(0)
            leaving.cancel()
        assert staying.result() == "answer to how"
        assert [len(batch.requests) for batch in server.batches] == [1]
        async with asyncio.TaskGroup() as group:
            alone = group.create_task(ask_one(transport, endpoint(server), "where"))
            await asyncio.sleep(0)
            alone.cancel()
    assert len(server.batches) == 1


async def test_leaving_the_transport_lets_those_who_wait_go_and_the_batch_run() -> None:
    log = MemoryLog()
    async with LoopbackBatches(echo, polls=FOREVER) as server:
        async with asyncio.TaskGroup() as group, transport_for(log) as transport:
            waiting = group.create_task(ask_one(transport, endpoint(server)))
            await server.looked_at.wait()
        assert waiting.cancelled()
        assert server.requests["cancel"] == 0
        assert server.batches[0].status == "in_progress"
        with pytest.raises(RuntimeError):
            await ask_one(transport, endpoint(server))
        left = [task for task in asyncio.all_tasks() if "BatchTransport" in repr(task.get_coro())]
        assert left == []
    assert [earlier.ended for earlier in submitted(log)] == [None]


def test_an_earlier_batch_is_a_value() -> None:
    prepared = BatchPrepared(nonce="n", base_url="http://h/v1", model="m", input_file_id="f", custom_ids=("a-1",))
    assert EarlierBatch(prepared, 1.0) == EarlierBatch(
        BatchPrepared.model_validate(orjson.loads(prepared.model_dump_json())), 1.0
    )

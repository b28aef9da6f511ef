"""Answers that stream: events in any division, what is made of them, and who sees the words on their way."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI, DefaultAioHttpClient
from rich.console import Console

from fellowship.protocols.errors import (
    CallRefused,
    CallTimedOut,
    ContentFiltered,
    DeclarationError,
    MalformedReply,
    ModelError,
    ModelNotFound,
    Overloaded,
    PromptTooLong,
    QuotaExhausted,
    RateLimited,
    ServerError,
    TruncatedReply,
    Unauthorised,
)
from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Candidate, Item
from fellowship.protocols.models import ChatMessage, Completion, ModelCall, ModelSettings, Tier, Usage
from fellowship.runtime.log import LogReader
from fellowship.runtime.models import Admission, Endpoint, ModelAccess, Retries, Route
from fellowship.runtime.models.lean import LeanTransport
from fellowship.runtime.models.retries import TABLE, Rule
from fellowship.runtime.models.sdk import SdkTransport
from fellowship.runtime.models.stream import Event, Events, Incoming
from fellowship.runtime.models.wire import Hear, Reply, Transport, completion
from fellowship.runtime.session import Access
from fellowship.runtime.testing import Fault, LoopbackEndpoint, ManualClock
from fellowship.runtime.testing.streams import events
from fellowship.scenarios import Settings, Status, load, plan, play
from fellowship.scenarios.outcomes import Fold, status
from fellowship.scenarios.terminal import summary

SETTINGS = ModelSettings(model="loopback/m")
CALL = ModelCall(SETTINGS, (ChatMessage("user", "why is it so"),))
KEY = "sk-secret-0123456789"
ENDPOINT = Endpoint("loopback/m", "m", "http://127.0.0.1:9/v1", key=KEY)
EVENTS = "text/event-stream"
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}

Open = Callable[..., LeanTransport | SdkTransport]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def chunk(delta: Any = None, finish: str | None = None, **facts: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m-2024", "choices": [choice], **facts}


def stream(*chunks: Any) -> bytes:
    return b"".join(b"data: " + orjson.dumps(one) + b"\n\n" for one in chunks)


def whole(message: Any = None, finish: str = "stop", **facts: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "so"} if message is None else message
    choice = {"index": 0, "finish_reason": finish, "message": message, **facts}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m-2024",
        "choices": [choice],
        "usage": USAGE,
    }


def divided(raw: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    return [raw[start:end] for start, end in pairwise(places)]


def read(*parts: bytes, label: str = EVENTS, tier: Tier | None = None, hear: Hear | None = None) -> Completion:
    incoming = Incoming(ENDPOINT, {}, label, hear)
    for part in parts:
        incoming.take(part)
    return incoming.completion(tier)


CUTS = st.lists(st.integers(0, 2**20), max_size=30)
LINE = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=12)


# Events


@st.composite
def written(draw: st.DrawFn) -> tuple[bytes, list[Event]]:
    """Return a stream in any way the standard allows, and the events in it."""
    raw, found = b"", []
    for _ in range(draw(st.integers(1, 4))):
        name, lines = draw(st.none() | LINE), draw(st.lists(LINE, min_size=1, max_size=3))
        fields = [] if name is None else [("event", name)]
        for field, value in [*fields, *(("data", line) for line in lines)]:
            if draw(st.booleans()):
                raw += f":{draw(LINE)}".encode() + draw(st.sampled_from([b"\n", b"\r\n"]))
            if draw(st.booleans()):
                raw += b"id: 7\nretry: 5\nunknown\nunknown: x\n"
            space = " " if draw(st.booleans()) or value.startswith(" ") else ""
            raw += f"{field}:{space}{value}".encode() + draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
        raw += draw(st.sampled_from([b"\n", b"\n\n"])) if raw.endswith(b"\n") else b"\r"
        found.append(Event((name or "").encode(), "\n".join(lines).encode()))
    return raw, found


@settings(deadline=None)
@given(written(), CUTS)
def test_any_division_of_the_bytes_gives_the_same_events(made: tuple[bytes, list[Event]], cuts: list[int]) -> None:
    raw, expected = made
    reader = Events()
    found = [event for part in divided(raw, cuts) for event in reader.feed(part)]
    assert found + reader.end() == expected
    assert reader.held == 0


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_an_event_is_there_as_soon_as_its_empty_line_is(end: bytes) -> None:
    reader = Events()
    assert reader.feed(b"data: 1" + end) == []
    assert reader.feed(end) == [Event(b"", b"1")]


def test_an_event_that_nothing_ends_is_an_event() -> None:
    reader = Events()
    assert reader.feed(b"data: 1\ndata: 2") == []
    assert reader.end() == [Event(b"", b"1\n2")]
    assert reader.end() == []


# Answers


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=40), st.booleans(), CUTS)
def test_any_division_of_a_stream_gives_the_answer_that_would_have_come_whole(
    text: str,
    thinks: bool,
    cuts: list[int],
) -> None:
    message = {"role": "assistant", "content": text} | ({"reasoning_content": f"{text} hm"} if thinks else {})
    raw = b"".join(events(whole(message), counted=True))
    heard: list[str] = []
    found = read(*divided(raw, cuts), hear=heard.append)
    assert found == completion(orjson.dumps(whole(message)))
    assert "".join(heard) == (f"{text} hm" if thinks else "") + text


@settings(deadline=None)
@given(CUTS)
def test_an_endpoint_that_does_not_stream_is_read_all_the_same(cuts: list[int]) -> None:
    raw = b"\n \t" + orjson.dumps(whole(), option=orjson.OPT_INDENT_2)
    for label in ("application/json", EVENTS):
        assert read(*divided(raw, cuts), label=label) == completion(raw)


@settings(deadline=None)
@given(CUTS)
def test_events_are_read_whatever_they_are_labelled(cuts: list[int]) -> None:
    for begin in (b"", b"\n", b": processing\n\n", b"event: message\n", b"retry: 3\n\n", b"id: 1\n"):
        raw = begin + stream(chunk({"content": "so"}, "stop")) + DONE
        assert read(*divided(raw, cuts), label="text/plain").text == "so"


@pytest.mark.parametrize("raw", [b"", b"d", b"dat", b"<html>", b"null", b"internal error"])
@pytest.mark.parametrize("label", ["text/html", "application/json", EVENTS])
def test_what_is_neither_events_nor_json_is_no_answer(raw: bytes, label: str) -> None:
    with pytest.raises(ModelError) as caught:
        read(*(raw[at : at + 1] for at in range(len(raw))), label=label)
    assert type(caught.value) is (TruncatedReply if label == EVENTS and not raw else MalformedReply)


def test_the_arguments_of_the_first_tool_become_the_text() -> None:
    parts = [
        [{"index": 0, "id": "1", "type": "function", "function": {"name": "score", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"sco'}}, {"index": 1, "id": "2", "function": {"arguments": "{}"}}],
        [{"index": 0, "function": {"arguments": 're": 3}'}}],
    ]
    heard: list[str] = []
    raw = stream(*(chunk({"tool_calls": part}) for part in parts), chunk(finish="tool_calls"))
    found = read(raw, tier="tool", hear=heard.append)
    assert (found.text, found.finish_reason, heard[-1]) == ('{"score": 3}', "stop", 're": 3}')


@pytest.mark.parametrize(
    ("rest", "finish"),
    [(stream(chunk(finish="length")), "length"), (stream(chunk(finish="eos")), "other"), (DONE, "other")],
    ids=["a-reason", "a-reason-nobody-knows", "done"],
)
def test_either_a_reason_or_the_last_event_ends_a_stream(rest: bytes, finish: str) -> None:
    found = read(stream(chunk({"content": "so"})) + rest)
    assert (found.text, found.finish_reason, found.served_by) == ("so", finish, "m-2024")
    assert found.usage == Usage(reported=False)


@pytest.mark.parametrize(
    "rest", [b"", b"\n", b": still there\n\n", b'data: {"choices": [{"delta"', b"data: [DO", stream({"usage": USAGE})]
)
def test_a_stream_that_has_no_end_is_truncated(rest: bytes) -> None:
    with pytest.raises(TruncatedReply, match="the reply of loopback/m broke off: its stream has no end") as caught:
        read(stream(chunk({"content": "so"})) + rest)
    assert caught.value.maybe_billed


def test_of_all_counts_the_last_one_is_the_bill() -> None:
    counts = [{"prompt_tokens": 3, "completion_tokens": count, "total_tokens": 3 + count} for count in range(4)]
    said = [chunk({"content": "so "}, usage=count) for count in counts]
    found = read(stream(*said, chunk(finish="stop", usage=None)) + DONE)
    assert (found.text, found.usage) == ("so so so so ", Usage(input_tokens=3, output_tokens=3))


def test_azure_begins_with_a_chunk_that_says_nothing() -> None:
    filtered = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
    assert read(stream(filtered, chunk({"content": "so"}, "stop"))).served_by == "m-2024"


def test_a_second_choice_is_passed_over() -> None:
    other = chunk({"content": "no"}, "stop")
    other["choices"][0]["index"] = 1
    assert read(stream(chunk({"content": "s"}), other, chunk({"content": "o"}, "length"))).text == "so"


def test_a_whole_answer_in_one_event_is_read() -> None:
    assert read(stream(whole()) + DONE) == completion(orjson.dumps(whole()))


def test_nothing_is_read_after_the_end() -> None:
    assert read(stream(chunk({"content": "so"}, "stop")) + DONE + stream({"error": {"message": "late"}})).text == "so"


@pytest.mark.parametrize(
    "odd",
    [b"data: so\n\n", stream([]), stream("so"), stream(chunk({"content": ["so"]})), stream({"choices": "so"}) + DONE],
)
def test_chunks_that_are_none_are_malformed(odd: bytes) -> None:
    with pytest.raises(MalformedReply, match="not a chat completion"):
        read(odd + (b"" if odd.endswith(DONE) else stream(chunk({"content": "so"}, "stop")) + DONE))


def test_no_choice_at_all_is_malformed_and_told_with_its_bill() -> None:
    with pytest.raises(MalformedReply) as caught:
        read(stream({"choices": [], "usage": USAGE}) + DONE)
    assert caught.value.usage == Usage(input_tokens=3, output_tokens=1)


@pytest.mark.parametrize(
    "endless",
    [
        b" " * 1000,
        b"{" + b" " * 999,
        b"data: " + b"x" * 994,
        b"data: x\n" * 100,
        b"data:\n" * 100,
        stream(chunk({"content": "so " * 300})),
        stream(chunk({"reasoning": "so " * 300})),
        stream(chunk({"tool_calls": [{"index": 0, "function": {"arguments": " " * 900}}]})),
        stream({"choices": [{"logprobs": {"content": [{"token": "so", "logprob": -0.1}] * 30}}]}),
    ],
    ids=["space", "json", "line", "event", "empty-lines", "words", "thoughts", "arguments", "probabilities"],
)
def test_what_does_not_end_is_given_up(endless: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fellowship.runtime.models.stream.LARGEST_REPLY", 2**16)
    incoming = Incoming(ENDPOINT, {}, EVENTS)
    with pytest.raises(MalformedReply, match="the reply is larger than 32 MB"):
        for _ in range(200):
            incoming.take(endless)


def test_what_is_not_kept_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fellowship.runtime.models.stream.LARGEST_REPLY", 2**12)
    waiting = [b": keep-alive\n\n"] * 1000
    assert read(*waiting, *([stream(chunk({"content": "so "}))] * 1000), stream(chunk(finish="stop"))).text[:3] == "so "


# Errors in the middle


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"error": {"message": "slow down", "code": 429}}, RateLimited),
        ({"error": {"message": "slow down", "code": "429"}}, RateLimited),
        ({"error": {"message": "slow down", "type": "rate_limit_error"}}, RateLimited),
        ({"error": {"message": "pay", "type": "insufficient_quota"}}, QuotaExhausted),
        ({"error": {"message": "who", "type": "authentication_error"}}, Unauthorised),
        ({"error": {"message": "what", "type": "invalid_request_error"}}, CallRefused),
        ({"error": {"message": "none such", "code": "model_not_found"}}, ModelNotFound),
        ({"error": {"message": "long", "code": "context_length_exceeded"}}, PromptTooLong),
        ({"error": {"message": "no", "code": "content_filter"}}, ContentFiltered),
        ({"type": "error", "error": {"message": "busy", "type": "overloaded_error"}}, Overloaded),
        ({"object": "error", "message": "what", "type": "BadRequestError", "code": 400}, CallRefused),
        ({"error": {"message": "oops", "code": 99999}}, ServerError),
        ({"error": "oops"}, ServerError),
        (chunk(finish="error", error={"message": "gone", "code": 502}), Overloaded),
    ],
)
def test_an_error_in_the_middle_is_the_error_it_stands_for(error: Any, kind: type[ModelError]) -> None:
    for words in (b"", stream(chunk({"content": "so"}))):
        with pytest.raises(ModelError) as caught:
            read(words + stream(error) + DONE)
        assert type(caught.value) is kind
        assert caught.value.maybe_billed == (words != b"")


@pytest.mark.parametrize("data", [b'{"message": "oops sk-secret-0123456789"}', b"oops sk-secret-0123456789"])
def test_an_event_that_is_named_an_error_is_one_and_does_not_tell_the_key(data: bytes) -> None:
    with pytest.raises(Overloaded, match=r"oops \[secret\]") as caught:
        read(b"event: error\ndata: " + data + b"\n\n")
    assert KEY not in str(caught.value)


# Over a connection


@asynccontextmanager
async def serving(handler: Handler) -> AsyncGenerator[str, None]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def begun(request: web.Request, *parts: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": EVENTS})
    await response.prepare(request)
    for part in parts:
        await response.write(part)
    return response


@pytest.fixture(params=[LeanTransport, SdkTransport], ids=["lean", "sdk"])
def opening(request: pytest.FixtureRequest) -> Open:
    kind: type[LeanTransport | SdkTransport] = request.param
    return partial(kind, stream=True)


async def ask(opening: Open, base_url: str, hear: Hear | None = None) -> Reply:
    async with asyncio.timeout(20), opening() as transport:
        return await transport.send(Endpoint("loopback/m", "m", base_url, key=KEY), CALL, "text", hear)


async def test_a_stream_and_its_usage_are_asked_for(opening: Open) -> None:
    async with LoopbackEndpoint(lambda _: "so it is") as server:
        answer = await ask(opening, server.base_url)
    assert server.ledger[0].request["stream"] is True
    assert server.ledger[0].request["stream_options"] == {"include_usage": True}
    assert answer.completion.usage == Usage(input_tokens=4, output_tokens=3)


async def test_without_the_wish_nothing_streams() -> None:
    for kind in (LeanTransport, SdkTransport):
        heard: list[str] = []
        async with LoopbackEndpoint(lambda _: "so it is") as server:
            await ask(kind, server.base_url, heard.append)
        assert not {"stream", "stream_options"} & set(server.ledger[0].request)
        assert heard == []


async def test_words_are_heard_before_the_answer_is_there(opening: Open) -> None:
    heard: list[str] = []
    more = asyncio.Event()

    def hear(words: str) -> None:
        heard.append(words)
        more.set()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = await begun(request, stream(chunk({"content": "so "})))
        await more.wait()
        await response.write(stream(chunk({"content": "it is"}, "stop")) + DONE)
        return response

    async with serving(handler) as base_url:
        assert (await ask(opening, base_url, hear)).completion.text == "so it is"
    assert heard == ["so ", "it is"]


async def test_an_answer_that_is_whole_does_not_wait_for_the_connection_to_end(opening: Open) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await begun(request, stream(chunk({"content": "so"}, "stop")), DONE)
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async with serving(handler) as base_url:
        assert (await ask(opening, base_url)).completion.text == "so"


@pytest.mark.parametrize("end", [stream(chunk(finish="stop")), stream(chunk(finish="stop")) + DONE, DONE])
async def test_a_connection_that_breaks_when_all_is_said_does_no_harm(opening: Open, end: bytes) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await begun(request, stream(chunk({"content": "so"})), end)
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(handler) as base_url:
        assert (await ask(opening, base_url)).completion.text == "so"


async def test_a_connection_that_breaks_before_that_is_a_truncated_reply(opening: Open) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = await begun(request, stream(chunk({"content": "so"})))
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(handler) as base_url:
        with pytest.raises(TruncatedReply, match="the reply of loopback/m broke off: "):
            await ask(opening, base_url)


async def test_streams_one_after_another_share_a_connection(opening: Open) -> None:
    peers: set[Any] = set()

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        response = await begun(request, *(stream(chunk({"content": "so"})) for _ in range(5)))
        await response.write(stream(chunk(finish="stop")))
        await response.write(DONE)
        for _ in range(50):  # the client has read the last event before the body ends
            await asyncio.sleep(0)
        await response.write_eof()
        return response

    async with asyncio.timeout(20), serving(handler) as base_url, opening() as transport:
        for _ in range(5):
            await transport.send(Endpoint("loopback/m", "m", base_url, key=KEY), CALL, "text")
    assert len(peers) == 1


@pytest.mark.parametrize("fault", ["wrong-type", "no-usage", "cut-off"])
async def test_an_endpoint_that_misbehaves_while_it_streams_is_understood(opening: Open, fault: Any) -> None:
    async with LoopbackEndpoint(lambda _: "so it is", faults=[Fault(fault)]) as server:
        found = (await ask(opening, server.base_url)).completion
    assert found.text.startswith("so")
    assert found.usage.reported == (fault != "no-usage")
    assert (found.finish_reason == "length") == (fault == "cut-off")


async def test_a_client_of_the_users_own_streams(opening: Open) -> None:
    async with (
        LoopbackEndpoint(lambda _: "so it is") as server,
        AsyncOpenAI(api_key="sk-own", base_url=server.base_url, http_client=DefaultAioHttpClient()) as client,
        SdkTransport(client, stream=True) as transport,
    ):
        answer = await transport.send(ENDPOINT, CALL, "text")
    assert (answer.completion.text, server.ledger[0].request["stream"]) == ("so it is", True)


# Who looks on


class Telling:
    """A transport that says two things, and then does what a test wants."""

    def __init__(self, clock: ManualClock, end: Callable[[], Awaitable[None]], *said: str) -> None:
        self._clock = clock
        self._end = end
        self._said = said

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier, hear: Hear | None = None) -> Reply:
        for words in self._said if hear is not None else ():
            await self._clock.sleep(1.5)
            assert hear is not None
            hear(words)
        await self._clock.sleep(0.25)
        await self._end()
        return Reply(completion(orjson.dumps(whole())), {})


def access(transport: Transport, clock: ManualClock, *, stream: bool = True, deadline_s: float = 10.0) -> ModelAccess:
    route = Route(ENDPOINT, transport, Admission(ENDPOINT.name, 8, clock=clock), None)
    once = Retries({kind: Rule(times=1, first_s=1.0) for kind in TABLE})
    return ModelAccess({SETTINGS: route}, clock=clock, deadline_s=deadline_s, retries=once, stream=stream)


async def test_the_last_words_of_a_pending_call_can_be_looked_at() -> None:
    async def look() -> None:
        seen.extend(asking.pending())
        assert seen[0].words == ("so it is " * 100)[-198:] + ", "
        assert (seen[0].first_word_s, seen[0].last_word_s) == (1.5, 3.0)

    clock, seen = ManualClock(), list[Any]()
    asking = access(Telling(clock, look, "so it is " * 100, ", "), clock)
    found = await asking.complete(CALL)
    assert len(seen) == 1
    assert found.attempts[0].first_token_s == 1.5
    assert found.attempts[0].latency_s == 3.25


async def test_a_try_that_went_wrong_leaves_no_words_to_the_next() -> None:
    async def fail_once() -> None:
        seen.append(asking.pending()[0].words)
        if len(seen) == 1:
            raise TruncatedReply("broke off")

    clock, seen = ManualClock(), list[str]()
    asking = access(Telling(clock, fail_once, "so "), clock)
    found = await asking.complete(CALL)
    assert seen == ["so ", "so "]
    assert [(one.first_token_s, one.error is None) for one in found.attempts] == [(1.5, False), (1.5, True)]


async def test_who_does_not_stream_hears_nothing() -> None:
    async def look() -> None:
        assert asking.pending()[0].words == ""

    clock = ManualClock()
    asking = access(Telling(clock, look, "so "), clock, stream=False)
    assert (await asking.complete(CALL)).attempts[0].first_token_s is None


async def test_a_deadline_is_for_the_whole_answer_though_its_words_come_in(opening: Open) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await begun(request, stream(chunk({"content": "so "})))
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async with serving(handler) as base_url, opening() as transport:
        clock = ManualClock()
        endpoint = Endpoint("loopback/m", "m", base_url, key=KEY)
        route = Route(endpoint, transport, Admission(endpoint.name, 8, clock=clock), None)
        asking = ModelAccess({SETTINGS: route}, clock=clock, deadline_s=0.2, retries=Retries({}), stream=True)
        with pytest.raises(CallTimedOut) as caught:
            await asking.complete(CALL)
    assert [attempt.first_token_s for attempt in caught.value.attempts] == [0.0]


def test_a_batch_that_streams_is_refused_when_it_is_declared() -> None:
    with pytest.raises(DeclarationError, match="a batch is answered as a whole"):
        Access(batch=True, stream=True)


async def test_status_from_another_shell_shows_the_words_on_their_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fellowship.scenarios.run.NOTED_EVERY_S", 0.005)
    log = tmp_path / "run" / "run.db"
    looked = asyncio.Event()
    begin, end = '{"reason": "One is red ' + "and so on " * 30, 'at last.", "score_a": 3, "score_b": 8}'

    async def handler(request: web.Request) -> web.StreamResponse:
        response = await begun(request, *(stream(chunk({"content": part})) for part in (begin[:100], begin[100:])))
        await looked.wait()
        await response.write(stream(chunk({"content": end}, "stop")) + DONE)
        return response

    async def seen() -> Status:
        while True:
            await asyncio.sleep(0)
            if log.exists():
                with LogReader(log) as reader:
                    found = status(reader, "run", Fold(reader))
                if found.live is not None and any(begin.endswith(stall.words or "?") for stall in found.live.stalls):
                    return found

    made = plan(*load("judge")[:1], source=load("judge")[1], models={"*": "acme/m"})
    candidates = (Candidate(slot="a", text="one"), Candidate(slot="b", text="two"))
    item = Item(id=ItemId("i0"), prompt="Why?", candidates=candidates)
    async with asyncio.timeout(20), serving(handler) as base_url, asyncio.TaskGroup() as tasks:
        streaming = Settings(environ={"ACME_BASE_URL": base_url}, access=Access(stream=True))
        run = tasks.create_task(play(made, [item], tmp_path / "run", streaming))
        found = await seen()
        looked.set()
    assert run.result().verdicts == {"b": 1}
    assert found.live is not None
    stall = found.live.stalls[0]
    assert (stall.stage, stall.words) == ("sent", begin[-200:])
    assert stall.quiet_s is not None
    assert 0 <= stall.quiet_s <= stall.seconds
    assert shown(found).endswith(f"1 request, last words {stall.quiet_s:.1f} s ago: …{begin.strip()[-60:]}")
    for words, line in (("so\n\x1b[31m  it [b]is[/b]", "so \N{REPLACEMENT CHARACTER}[31m it [b]is[/b]"), ("", "")):
        odd = found.live.model_copy(update={"stalls": (stall.model_copy(update={"words": words, "quiet_s": 3.0}),)})
        assert shown(found.model_copy(update={"live": odd})).endswith(f"last words 3.0 s ago: {line}".strip())


def shown(found: Status) -> str:
    """Return the line of the oldest call as a terminal shows it."""
    console = Console(width=400, record=True, file=StringIO(), markup=False)
    console.print(summary(found, []))
    return next(line for line in console.export_text().splitlines() if line.startswith("oldest call")).rstrip()


def test_a_tool_whose_function_is_no_object_is_passed_over() -> None:
    incoming = Incoming(ENDPOINT, {}, EVENTS)
    incoming.take(stream(chunk({"tool_calls": [{"index": 0, "function": "x"}]}), chunk({"content": "so"}, "stop")))
    assert incoming.completion(None).text == "so"

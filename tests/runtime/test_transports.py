"""What every transport promises: one contract, run over all of them, against servers that misbehave."""

import asyncio
import gc
import gzip
import socket
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import openai
import orjson
import pytest
from aiohttp import web
from openai import AsyncAzureOpenAI, AsyncOpenAI, DefaultAioHttpClient

from fellowship.protocols.errors import (
    CallRefused,
    ConnectionFailed,
    ContentFiltered,
    DeclarationError,
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
from fellowship.protocols.models import AnswerSchema, ChatMessage, ModelCall, ModelSettings, Tier, Usage
from fellowship.runtime.models import Endpoint
from fellowship.runtime.models.lean import LeanTransport
from fellowship.runtime.models.sdk import SdkTransport
from fellowship.runtime.models.wire import Reply
from fellowship.runtime.testing import Fault, LoopbackEndpoint
from fellowship.runtime.testing.streams import events

Open = Callable[[], LeanTransport | SdkTransport]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SETTINGS = ModelSettings(model="loopback/m")
CALL = ModelCall(SETTINGS, (ChatMessage("system", "be brief"), ChatMessage("user", "why is it so")))
SCHEMA = {"type": "object", "properties": {"score": {"type": "number"}}, "required": ["score"]}
SCORED = ModelCall(SETTINGS, CALL.messages, AnswerSchema("score", SCHEMA))
KEY = "sk-secret-0123456789"


@pytest.fixture(
    params=[LeanTransport, SdkTransport, partial(LeanTransport, stream=True), partial(SdkTransport, stream=True)],
    ids=["lean", "sdk", "lean-streamed", "sdk-streamed"],
)
def opening(request: pytest.FixtureRequest) -> Open:
    kind: Open = request.param
    return kind


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left_open() -> Iterator[None]:
    yield
    gc.collect()  # a session or a connection that nobody closed warns when it goes, and a warning is a failure


@dataclass
class Server:
    """A real server whose answers a test writes."""

    base_url: str = ""
    requests: list[web.Request] = field(default_factory=list[web.Request])
    bodies: list[bytes] = field(default_factory=list[bytes])
    peers: set[Any] = field(default_factory=set[Any])
    """Connections that brought a request."""

    @property
    def root(self) -> str:
        return self.base_url.removesuffix("/v1")


@asynccontextmanager
async def serving(handler: Handler) -> AsyncGenerator[Server, None]:
    server = Server()

    async def noting(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        server.peers.add(request.transport.get_extra_info("peername"))
        server.requests.append(request)
        server.bodies.append(await request.read())
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", noting)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        server.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def saying(words: bytes, *, abort: bool = False) -> AsyncGenerator[str, None]:
    """Serve these very bytes, after which the connection ends."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            writer.write(words)
            await writer.drain()
        if abort:
            writer.transport.abort()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def reply(**change: Any) -> dict[str, Any]:
    message = change.pop("message", {"role": "assistant", "content": "so"})
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m-2024",
        "choices": [{"index": 0, "finish_reason": change.pop("finish_reason", "stop"), "message": message, **change}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }


def always(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    """Answer with these bytes; with a completion, as events to those who ask for them."""

    async def handler(request: web.Request) -> web.Response:
        if isinstance(content, dict) and "choices" in content and orjson.loads(await request.read()).get("stream"):
            label = {"Content-Type": "text/event-stream"} | (headers or {})
            return web.Response(body=b"".join(events(content, counted=True)), status=status, headers=label)
        body = content if isinstance(content, bytes) else orjson.dumps(content)
        return web.Response(body=body, status=status, headers={"Content-Type": "application/json"} | (headers or {}))

    return handler


def asked(raw: bytes) -> dict[str, Any]:
    """Return a request without what asks for a stream."""
    content: dict[str, Any] = orjson.loads(raw)
    if content.pop("stream", False):
        assert content.pop("stream_options") == {"include_usage": True}
    return content


async def ask(opening: Open, base_url: str, call: ModelCall = CALL, tier: Tier = "text", **facts: Any) -> Reply:
    facts.setdefault("key", KEY)
    endpoint = Endpoint("loopback/m", "m", base_url, **facts)
    async with asyncio.timeout(20), opening() as transport:
        return await transport.send(endpoint, call, tier)


async def answered(opening: Open, content: Any, call: ModelCall = CALL, tier: Tier = "text") -> Reply:
    async with serving(always(content)) as server:
        return await ask(opening, server.base_url, call, tier)


async def failed(opening: Open, handler: Handler) -> ModelError:
    async with serving(handler) as server:
        with pytest.raises(ModelError) as caught:
            await ask(opening, server.base_url)
    return caught.value


# What is sent


async def test_a_dialogue_is_sent_as_it_is(opening: Open) -> None:
    messages = (
        ChatMessage("system", "be brief"),
        ChatMessage("user", "why is it so? «naïve» 🙂 \u2028 \x00 \"'\\"),
        ChatMessage("assistant", ""),
        ChatMessage("user", "and?\n"),
    )
    async with serving(always(reply())) as server:
        await ask(opening, server.base_url, ModelCall(SETTINGS, messages))
    assert asked(server.bodies[0]) == {
        "model": "m",
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "temperature": 0.0,
    }
    request = server.requests[0]
    assert (request.method, request.path_qs) == ("POST", "/v1/chat/completions")
    assert request.content_type == "application/json"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["User-Agent"] == "llm-fellowship"


async def test_all_parameters_are_sent(opening: Open) -> None:
    settings = ModelSettings(
        model="loopback/m",
        temperature=0.5,
        max_tokens=9,
        seed=3,
        stop=("END", "\n\n"),
        top_p=0.9,
        logprobs=2,
        reasoning_effort="low",
    )
    async with serving(always(reply())) as server:
        await ask(opening, server.base_url, ModelCall(settings, CALL.messages), max_tokens="max_completion_tokens")
    sent = asked(server.bodies[0])
    assert {name: value for name, value in sent.items() if name not in ("model", "messages")} == {
        "temperature": 0.5,
        "max_completion_tokens": 9,
        "seed": 3,
        "stop": ["END", "\n\n"],
        "top_p": 0.9,
        "logprobs": True,
        "top_logprobs": 2,
        "reasoning_effort": "low",
    }


@pytest.mark.parametrize(
    ("tier", "form"),
    [
        (
            "json-schema",
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "score", "strict": True, "schema": SCHEMA},
                }
            },
        ),
        (
            "tool",
            {
                "tools": [{"type": "function", "function": {"name": "score", "parameters": SCHEMA}}],
                "tool_choice": {"type": "function", "function": {"name": "score"}},
            },
        ),
        ("json-object", {"response_format": {"type": "json_object"}}),
        ("text", {}),
    ],
)
async def test_a_tier_says_how_the_answer_is_held_to_its_form(opening: Open, tier: Tier, form: dict[str, Any]) -> None:
    async with serving(always(reply())) as server:
        answer = await ask(opening, server.base_url, SCORED, tier)
    sent = asked(server.bodies[0])
    assert {name: sent[name] for name in sent if name not in ("model", "messages", "temperature")} == form
    assert answer.completion.tier == tier


@pytest.mark.parametrize("tier", ["json-schema", "tool", "json-object", "text"])
async def test_all_transports_send_the_same_bytes(tier: Tier) -> None:
    async with serving(always(reply())) as server:
        for opening in (LeanTransport, SdkTransport):
            await ask(opening, server.base_url, SCORED, tier)
    assert server.bodies[0] == server.bodies[1]


async def test_without_a_key_nothing_is_sent_in_its_place(opening: Open) -> None:
    async with serving(always(reply())) as server:
        await ask(opening, server.base_url, key=None)
        await ask(opening, server.root, key=None, dialect="azure", api_version="v")
    for request in server.requests:
        assert not {"Authorization", "api-key"} & set(request.headers)


async def test_azure_is_addressed_by_deployment_and_version(opening: Open) -> None:
    async with serving(always(reply())) as server:
        answer = await ask(opening, f"{server.root}/", dialect="azure", api_version="2024-10-21")
    request = server.requests[0]
    assert answer.completion.text == "so"
    assert request.path_qs == "/openai/deployments/m/chat/completions?api-version=2024-10-21"
    assert request.headers["api-key"] == KEY
    assert "Authorization" not in request.headers


async def test_what_the_environment_has_for_other_clients_is_not_sent(
    opening: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "AZURE_OPENAI_AD_TOKEN"):
        monkeypatch.setenv(name, "of-another")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer of-another\nX-Gateway: of-another")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/of-another")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with serving(always(reply())) as server:
        await ask(opening, server.base_url)
        await ask(opening, server.base_url, key=None)
        await ask(opening, server.root, dialect="azure", api_version="v")
    assert len(server.requests) == 3
    for request in server.requests:
        assert "of-another" not in str(request.headers)


# What is read


async def test_an_answer_is_read_with_its_usage_and_its_headers(opening: Open) -> None:
    async with LoopbackEndpoint(lambda call: f"{len(call.messages)} messages") as server:
        answer = await ask(opening, server.base_url)
    assert answer.completion.text == "2 messages"
    assert (answer.completion.finish_reason, answer.completion.served_by) == ("stop", "m")
    assert answer.completion.usage == Usage(input_tokens=6, output_tokens=2)
    assert answer.completion.tier is None
    assert answer.headers["content-type"].startswith(("application/json", "text/event-stream"))


async def test_headers_are_found_however_they_are_written(opening: Open) -> None:
    async with serving(always(reply(), headers={"X-RateLimit-Remaining-Tokens": "9"})) as server:
        answer = await ask(opening, server.base_url)
    assert answer.headers["x-ratelimit-remaining-tokens"] == answer.headers["X-Ratelimit-Remaining-TOKENS"] == "9"
    assert answer.headers.get("x-ratelimit-remaining-requests") is None


async def test_the_arguments_of_a_tool_become_the_text(opening: Open) -> None:
    function = {"name": "score", "arguments": '{"score": 3}'}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": function}],
    }
    answer = await answered(opening, reply(message=message, finish_reason="tool_calls"), SCORED, "tool")
    assert (answer.completion.text, answer.completion.finish_reason) == ('{"score": 3}', "stop")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_what_the_model_thought_is_kept(opening: Open, name: str) -> None:
    answer = await answered(opening, reply(message={"role": "assistant", "content": "so", name: "hmm"}))
    assert (answer.completion.text, answer.completion.reasoning) == ("so", "hmm")


async def test_log_probabilities_are_kept(opening: Open) -> None:
    token = {"token": "so", "logprob": -0.1, "bytes": None}
    content = [{**token, "top_logprobs": [{**token, "token": "no", "logprob": -2.5}]}]
    answer = await answered(opening, reply(logprobs={"content": content, "refusal": None}))
    assert answer.completion.logprobs is not None
    assert [(shown.token, shown.logprob) for shown in answer.completion.logprobs] == [("so", -0.1)]
    assert answer.completion.logprobs[0].alternatives == (("no", -2.5),)


async def test_an_answer_that_was_cut_says_so(opening: Open) -> None:
    assert (await answered(opening, reply(finish_reason="length"))).completion.finish_reason == "length"


async def test_the_parts_of_usage_are_kept(opening: Open) -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    answer = await answered(opening, {**reply(), "usage": usage})
    assert answer.completion.usage == Usage(input_tokens=9, output_tokens=5, cached_tokens=4, reasoning_tokens=3)


async def test_a_refusal_is_told_with_what_it_cost(opening: Open) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I can't help\nwith that"}
    with pytest.raises(ModelRefused, match="the model declined: I can't help with that") as caught:
        await answered(opening, reply(message=message))
    assert caught.value.usage == Usage(input_tokens=3, output_tokens=1)


async def test_an_answer_that_a_filter_withheld_is_told(opening: Open) -> None:
    with pytest.raises(ContentFiltered) as caught:
        await answered(opening, reply(finish_reason="content_filter"))
    assert caught.value.usage == Usage(input_tokens=3, output_tokens=1)


@pytest.mark.parametrize("content_type", ["text/plain", "application/json; charset=utf-8", "application/octet-stream"])
async def test_a_completion_is_taken_whatever_it_is_labelled(opening: Open, content_type: str) -> None:
    async with serving(always(b" \n" + orjson.dumps(reply()), headers={"Content-Type": content_type})) as server:
        assert (await ask(opening, server.base_url)).completion.text == "so"


async def test_a_compressed_answer_is_read(opening: Open) -> None:
    handler = always(gzip.compress(orjson.dumps(reply())), headers={"Content-Encoding": "gzip"})
    async with serving(handler) as server:
        assert (await ask(opening, server.base_url)).completion.text == "so"


async def test_an_answer_in_pieces_is_read(opening: Open) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        whole = orjson.dumps(reply(message={"role": "assistant", "content": "so " * 50_000}))
        for begin in range(0, len(whole), 7_001):
            await response.write(whole[begin : begin + 7_001])
        await response.write_eof()
        return response

    async with serving(handler) as server:
        assert (await ask(opening, server.base_url)).completion.text == "so " * 50_000


# What goes wrong


@pytest.mark.parametrize(
    ("status", "words", "error"),
    [
        (201, {"message": "made"}, CallRefused),
        (302, {"message": "elsewhere"}, CallRefused),
        (307, {"message": "elsewhere"}, CallRefused),
        (400, {"message": "bad request"}, CallRefused),
        (400, {"message": "too long", "code": "context_length_exceeded"}, PromptTooLong),
        (400, {"message": "filtered", "code": "content_filter"}, ContentFiltered),
        (401, {"message": "wrong key"}, Unauthorised),
        (402, {"message": "pay"}, QuotaExhausted),
        (403, {"message": "not yours"}, CallRefused),
        (403, {"message": "insufficient credits"}, QuotaExhausted),
        (404, {"message": "no such model"}, ModelNotFound),
        (408, {"message": "too slow"}, Overloaded),
        (409, {"message": "conflict"}, Overloaded),
        (413, {"message": "the prompt is too long"}, PromptTooLong),
        (422, {"message": "what is that"}, CallRefused),
        (425, {"message": "too early"}, Overloaded),
        (429, {"message": "slow down"}, RateLimited),
        (429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}, QuotaExhausted),
        (429, {"message": "Request too large for gpt-4 on tokens per min"}, PromptTooLong),
        (500, {"message": "oops"}, ServerError),
        (502, {"message": "oops"}, Overloaded),
        (503, {"message": "oops"}, Overloaded),
        (504, {"message": "oops"}, Overloaded),
        (529, {"message": "oops"}, Overloaded),
    ],
)
async def test_a_status_says_what_is_wrong_once(
    opening: Open, status: int, words: dict[str, str], error: type[ModelError]
) -> None:
    handler = always({"error": words}, status, {"X-Request-Id": "r1", "Location": "/v1/elsewhere"})
    async with serving(handler) as server:
        with pytest.raises(error, match=f"loopback/m answered {status}: {words['message']}") as caught:
            await ask(opening, server.base_url)
    assert type(caught.value) is error
    assert caught.value.headers is not None
    assert caught.value.headers["x-request-id"] == "r1"
    assert len(server.requests) == 1, "a transport neither retries nor follows"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "1500", "retry-after": "1"}, 1.5),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
async def test_the_wait_that_is_asked_for_is_told(
    opening: Open, status: int, headers: dict[str, str], wait_s: float | None
) -> None:
    error = await failed(opening, always({"error": {"message": "wait"}}, status, headers))
    assert isinstance(error, RateLimited | Overloaded)
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("words", "headers", "limit"),
    [
        ("Rate limit reached for requests per min (RPM)", {}, "requests"),
        ("Rate limit reached on tokens per min (TPM): Limit 200000", {}, "tokens"),
        ("Too many concurrent requests", {}, "concurrency"),
        ("slow down", {}, "unknown"),
        ("slow down", {"x-ratelimit-remaining-requests": "0"}, "requests"),
        ("slow down", {"x-ratelimit-remaining-requests": "5", "anthropic-ratelimit-tokens-remaining": "0"}, "tokens"),
    ],
)
async def test_limits_are_told_apart(opening: Open, words: str, headers: dict[str, str], limit: str) -> None:
    error = await failed(opening, always({"error": {"message": words}}, 429, headers))
    assert isinstance(error, RateLimited)
    assert error.limit == limit


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not json",
        b"null",
        b'"so"',
        b"[]",
        b'[{"error": {"message": "so"}}]',
        b'{"detail": [{"msg": "so"}]}',
        b"\xff\xfe",
    ],
)
async def test_an_error_in_any_form_is_an_error(opening: Open, raw: bytes) -> None:
    error = await failed(opening, always(raw, 500))
    assert type(error) is ServerError
    assert str(error).startswith("loopback/m answered 500: ")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b'{"id": "x", "choices": [',
        b'{"choices": []}',
        b'{"error": {"message": "so"}}',
    ],
)
async def test_what_is_no_completion_is_malformed(opening: Open, raw: bytes) -> None:
    assert type(await failed(opening, always(raw))) is MalformedReply


@pytest.mark.parametrize(
    ("fault", "kind"), [("malformed", MalformedReply), ("truncated", TruncatedReply), ("not-json", MalformedReply)]
)
async def test_the_faults_of_the_loopback_endpoint_are_told_apart(
    opening: Open, fault: Any, kind: type[ModelError]
) -> None:
    async with LoopbackEndpoint(faults=[Fault(fault)]) as server:
        with pytest.raises(ModelError) as found:
            await ask(opening, server.base_url)
    assert type(found.value) is kind


async def test_a_web_page_is_malformed(opening: Open) -> None:
    error = await failed(opening, always(b"<html>gateway</html>", headers={"Content-Type": "text/html; charset=utf-8"}))
    assert type(error) is MalformedReply
    assert str(error) == "not a chat completion: the reply is text/html, not JSON"


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("way", ["length", "chunked", "compressed"])
async def test_a_body_that_does_not_end_is_not_read_to_its_end(
    opening: Open, way: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("lean", "sdk", "stream"):
        monkeypatch.setattr(f"fellowship.runtime.models.{module}.LARGEST_REPLY", 2**16)
    part = b'{"choices": [' + b" " * 2**16
    ended: list[int] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
        sent = part
        if way == "length":
            response.content_length = 2**30
        elif way == "compressed":
            sent = gzip.compress(b" " * 2**26)
            response.headers["Content-Encoding"] = "gzip"
            response.content_length = 2 * len(sent)
        await response.prepare(request)
        with suppress(ConnectionError):
            for number in range(2**14):
                await response.write(sent)
                ended.append(number)
                if way == "compressed":
                    await asyncio.Event().wait()
        return response

    error = await failed(opening, handler)
    assert type(error) is MalformedReply
    assert str(error) == "not a chat completion: the reply is larger than 32 MB"
    assert len(ended) < 2**13


@pytest.mark.parametrize("status", [b"200 OK", b"500 Oops"])
@pytest.mark.parametrize(
    "rest",
    [
        b'Content-Length: 1000\r\n\r\n{"id": "x", "choices": [',
        b"Content-Length: 1000\r\n\r\n",
        b'Transfer-Encoding: chunked\r\n\r\n8\r\n{"id": "\r\n',
    ],
    ids=["cut", "no-body", "chunks"],
)
async def test_a_body_that_breaks_off_is_truncated(opening: Open, status: bytes, rest: bytes) -> None:
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\n"
    async with saying(head + rest) as base_url:
        with pytest.raises(TruncatedReply, match="the reply of loopback/m broke off: "):
            await ask(opening, base_url)


@pytest.mark.parametrize("status", [200, 500])
async def test_a_body_that_cannot_be_unpacked_is_truncated(opening: Open, status: int) -> None:
    error = await failed(opening, always(b"nothing that is packed", status, {"Content-Encoding": "gzip"}))
    assert type(error) is TruncatedReply


@pytest.mark.parametrize(
    ("words", "abort"),
    [
        (b"", False),
        (b"", True),
        (b"HTTP/1.1 200 OK\r\nContent-", False),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", False),
    ],
    ids=["closed", "reset", "half-a-head", "not-http"],
)
async def test_a_connection_that_breaks_is_a_connection_that_failed(
    opening: Open, words: bytes, *, abort: bool
) -> None:
    async with saying(words, abort=abort) as base_url:
        with pytest.raises(ConnectionFailed, match=f"no connection to {base_url}: ") as caught:
            await ask(opening, base_url)
    assert "ConnectTimeout" not in str(caught.value), "what the network did, not what a library made of it"


async def test_nobody_listening_is_a_connection_that_failed(opening: Open) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(ConnectionFailed, match=rf"no connection to {base_url}: ClientConnectorError: "):
            await ask(opening, base_url)


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
@pytest.mark.parametrize("dialect", ["openai", "azure"])
async def test_no_error_repeats_the_key(opening: Open, dialect: Any, *, as_json: bool, status: int) -> None:
    words = f"Incorrect API key provided: {KEY}."
    content: Any = {"error": {"message": words, "code": KEY}} if as_json else words.encode()
    handler = always(content, status, {"Content-Type": "application/json" if as_json else "text/plain"})
    async with serving(handler) as server:
        with pytest.raises(ModelError) as caught:
            await ask(opening, server.base_url, dialect=dialect, api_version="v")
    assert KEY not in str(caught.value)
    assert KEY not in repr(caught.value)
    if status != 200:  # what is wrong with a completion is told by its reader, whose words the error has as its cause
        assert KEY not in "".join(traceback.format_exception(caught.value))


# Connections


async def test_calls_one_after_another_share_a_connection(opening: Open) -> None:
    answers = iter([200, 200, 429, 500, 200, 302, 200])

    async def handler(request: web.Request) -> web.StreamResponse:
        return await always(reply(), next(answers))(request)

    async with serving(handler) as server, opening() as transport:
        endpoint = Endpoint("loopback/m", "m", server.base_url, key=KEY)
        for _ in range(7):
            with suppress(ModelError):
                await transport.send(endpoint, CALL, "text")
    assert len(server.requests) == 7
    assert len(server.peers) == 1


async def test_nothing_but_the_caller_bounds_what_is_in_flight(opening: Open) -> None:
    many = 300
    in_flight = 0
    all_there = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal in_flight
        in_flight += 1
        if in_flight == many:
            all_there.set()
        await all_there.wait()
        return await always(reply())(request)

    async with asyncio.timeout(30), serving(handler) as server, opening() as transport:
        endpoint = Endpoint("loopback/m", "m", server.base_url, key=KEY)
        async with asyncio.TaskGroup() as calls:
            sent = [calls.create_task(transport.send(endpoint, CALL, "text")) for _ in range(many)]
    assert {task.result().completion.text for task in sent} == {"so"}
    assert len(server.peers) == many


@pytest.mark.parametrize("begun", [False, True], ids=["before-the-answer", "in-its-middle"])
async def test_a_call_that_is_given_up_is_closed_at_the_endpoint(opening: Open, *, begun: bool) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        if begun:
            await response.prepare(request)
            await response.write(b'{"id": ')
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        return response

    async with asyncio.timeout(20), serving(handler) as server, opening() as transport:
        endpoint = Endpoint("loopback/m", "m", server.base_url, key=KEY)
        async with asyncio.TaskGroup() as calls:
            call = calls.create_task(transport.send(endpoint, CALL, "text"))
            await arrived.wait()
            call.cancel()
        assert call.cancelled()
        await gone.wait()
        assert server.requests[0].transport is None


async def test_a_transport_that_is_left_closes_its_connections(opening: Open) -> None:
    gone = asyncio.Event()

    async def linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        content = orjson.dumps(reply())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content))
        writer.write(content)
        while await reader.read(2**16):
            pass
        writer.close()
        gone.set()

    async with asyncio.timeout(20), await asyncio.start_server(linger, "127.0.0.1", 0) as server:
        await ask(opening, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        assert await gone.wait()


async def test_a_transport_that_is_not_open_says_so(opening: Open) -> None:
    endpoint = Endpoint("loopback/m", "m", "http://127.0.0.1:9/v1", key=KEY)
    transport = opening()
    with pytest.raises(RuntimeError, match="not open"):
        await transport.send(endpoint, CALL, "text")
    async with transport:
        pass
    with pytest.raises(RuntimeError, match="not open"):
        await transport.send(endpoint, CALL, "text")


async def test_a_transport_serves_several_endpoints_each_with_its_own_key(opening: Open) -> None:
    async with serving(always(reply())) as one, serving(always(reply())) as other, opening() as transport:
        for key in ("sk-1", "sk-2"):
            for server in (one, other):
                await transport.send(Endpoint("loopback/m", "m", server.base_url, key=key), CALL, "text")
    for server in (one, other):
        assert [request.headers["Authorization"] for request in server.requests] == ["Bearer sk-1", "Bearer sk-2"]


# The SDK transport alone


@pytest.mark.parametrize("dialect", ["openai", "azure"])
async def test_a_token_is_asked_for_anew_and_stands_in_for_the_key(dialect: Any) -> None:
    tokens = iter(["t-one-0123456789", "t-two-0123456789"])

    async def token() -> str:
        return next(tokens)

    async def handler(request: web.Request) -> web.StreamResponse:
        return await always({"error": {"message": request.headers["Authorization"]}}, 401)(request)

    async with serving(handler) as server, SdkTransport(token=token) as transport:
        endpoint = Endpoint("loopback/m", "m", server.base_url, key=KEY, dialect=dialect, api_version="v")
        errors: list[str] = []
        for _ in range(2):
            with pytest.raises(Unauthorised) as caught:
                await transport.send(endpoint, CALL, "text")
            errors.append("".join(traceback.format_exception(caught.value)))
    assert [request.headers["Authorization"] for request in server.requests] == [
        "Bearer t-one-0123456789",
        "Bearer t-two-0123456789",
    ]
    assert all("api-key" not in request.headers for request in server.requests)
    assert "0123456789" not in "".join(errors)


@pytest.mark.parametrize("dialect", ["openai", "azure"])
async def test_no_token_is_told_before_anything_is_sent(dialect: Any) -> None:
    async def broken() -> str:
        raise ValueError("not with this password: hunter2")

    async def empty() -> str:
        return ""

    async with serving(always(reply())) as server:
        endpoint = Endpoint("loopback/m", "m", server.base_url, dialect=dialect, api_version="v")
        for token, words in ((broken, "no token could be had: ValueError"), (empty, "the one given is empty")):
            async with SdkTransport(token=token) as transport:
                with pytest.raises(Unauthorised, match=words) as caught:
                    await transport.send(endpoint, CALL, "text")
            assert "hunter2" not in str(caught.value)
    assert not server.requests


async def test_a_client_of_the_users_own_is_asked_and_left_open() -> None:
    async with serving(always(reply())) as server:
        async with AsyncOpenAI(
            api_key="sk-own", base_url=f"{server.root}/gateway", http_client=DefaultAioHttpClient()
        ) as client:
            async with SdkTransport(client) as transport:
                endpoint = Endpoint("loopback/m", "m", "http://127.0.0.1:9/v1", key=KEY)
                assert (await transport.send(endpoint, SCORED, "json-schema")).completion.text == "so"
            assert not client.is_closed()
        assert (await ask(LeanTransport, server.base_url, SCORED, "json-schema")).completion.text == "so"
    assert server.requests[0].path == "/gateway/chat/completions"
    assert server.requests[0].headers["Authorization"] == "Bearer sk-own"
    assert orjson.loads(server.bodies[0]) == orjson.loads(server.bodies[1])


@pytest.mark.parametrize("http", [DefaultAioHttpClient, openai.DefaultAsyncHttpxClient], ids=["aiohttp", "httpx"])
async def test_a_client_of_the_users_own_fails_in_the_same_words(http: Any) -> None:
    words = {"error": {"message": "wrong key sk-own-0123456789"}}
    endpoint = Endpoint("loopback/m", "m", "http://127.0.0.1:9/v1")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"

    async def error(base_url: str) -> ModelError:
        async with (
            AsyncOpenAI(api_key="sk-own-0123456789", base_url=base_url, http_client=http()) as client,
            SdkTransport(client) as transport,
        ):
            with pytest.raises(ModelError) as caught:
                await transport.send(endpoint, CALL, "text")
            return caught.value

    async with serving(always(words, 500, {"Retry-After": "7"})) as server:
        overloaded = await error(server.base_url)
    assert isinstance(overloaded, Overloaded)
    assert (str(overloaded), overloaded.retry_after_s) == ("loopback/m answered 500: wrong key [secret]", 7.0)
    assert "sk-own" not in "".join(traceback.format_exception(overloaded))
    assert len(server.requests) == 1
    async with saying(b"") as base_url:
        assert type(await error(base_url)) is ConnectionFailed
    for status in (b"200 OK", b"500 Oops"):
        async with saying(head.replace(b"200 OK", status) + b'{"id') as base_url:
            assert type(await error(base_url)) is TruncatedReply


async def test_an_azure_client_of_the_users_own_finds_the_deployment() -> None:
    async with (
        serving(always(reply())) as server,
        AsyncAzureOpenAI(
            azure_endpoint=server.root, api_version="v", api_key="k", http_client=DefaultAioHttpClient()
        ) as client,
        SdkTransport(client) as transport,
    ):
        await transport.send(Endpoint("azure/m", "m", "http://127.0.0.1:9"), CALL, "text")
    assert server.requests[0].path_qs == "/openai/deployments/m/chat/completions?api-version=v"


def test_a_client_and_a_token_are_one_too_many() -> None:
    async def token() -> str:
        return "t"

    with pytest.raises(DeclarationError, match="give the token to the client"):
        SdkTransport(AsyncOpenAI(api_key="k", http_client=DefaultAioHttpClient()), token=token)

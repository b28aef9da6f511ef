import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fellowship.runtime.models.wire import LARGEST_REPLY, completion
from fellowship.runtime.testing import (
    FAULTS,
    Enforced,
    Enforcer,
    Fault,
    LoopbackEndpoint,
    ManualClock,
    Mishaps,
    Totals,
    constant,
    exponential,
    lognormal,
    uniform,
)
from fellowship.runtime.testing.enforcement import spoken
from fellowship.runtime.testing.gauges import Style

STYLES: tuple[Style, ...] = ("window", "sliding", "bucket")
MESSAGES = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "why is it so"}]
SCHEMA = {"type": "object", "properties": {"score": {"type": "number"}}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "score", "schema": SCHEMA}}
TOOL = {
    "tools": [{"type": "function", "function": {"name": "score", "parameters": SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "score"}},
}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
TEXT = "it is so because it is"


def answer(_: object) -> str:
    return TEXT


class Client:
    """A plain client: it knows nothing of the package."""

    def __init__(self, server: LoopbackEndpoint, session: aiohttp.ClientSession) -> None:
        self._url = f"{server.base_url}/chat/completions"
        self._session = session

    def post(self, **more: Any) -> Any:
        headers = more.pop("headers", {})
        return self._session.post(self._url, json={"model": "m", "messages": MESSAGES, **more}, headers=headers)

    async def ask(self, **more: Any) -> tuple[int, Any]:
        async with self.post(**more) as response:
            return response.status, json.loads(await response.read())

    async def statuses(self, count: int) -> list[int]:
        return [(await self.ask())[0] for _ in range(count)]


@asynccontextmanager
async def served(server: LoopbackEndpoint) -> AsyncIterator[Client]:
    async with server, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Client(server, session)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a real server has no event to wait for
            await asyncio.sleep(0.001)


def events(raw: bytes) -> list[Any]:
    """Return the events of a stream that has come to its end."""
    lines = raw.decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


# What comes over the wire.


async def test_a_good_reply_is_billed_as_its_usage_says() -> None:
    server = LoopbackEndpoint(answer)
    async with served(server) as client:
        status, reply = await client.ask()
    assert (status, reply["choices"][0]["message"]["content"]) == (200, TEXT)
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["usage"] == {"prompt_tokens": 6, "completion_tokens": 6, "total_tokens": 12}
    (entry,) = server.ledger
    assert (entry.input_tokens, entry.output_tokens, entry.billed, entry.answered) == (6, 6, True, True)
    assert (entry.status, entry.fault, entry.abandoned, entry.unmetered) == (200, None, False, False)
    assert server.totals.cost_usd(1.0, 10.0) == 66.0


async def test_cached_input_reasoning_and_log_probabilities_are_told() -> None:
    server = LoopbackEndpoint(answer, cached_share=0.5, reasoning_tokens=4)
    async with served(server) as client:
        _, reply = await client.ask(logprobs=True, top_logprobs=2)
    assert reply["usage"]["prompt_tokens_details"] == {"cached_tokens": 3}
    assert reply["usage"]["completion_tokens_details"] == {"reasoning_tokens": 4}
    assert (reply["usage"]["completion_tokens"], reply["usage"]["total_tokens"]) == (10, 16)
    tokens = reply["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == TEXT
    assert {(token["logprob"], len(token["top_logprobs"])) for token in tokens} == {(-0.1, 2)}
    read = completion(json.dumps(reply).encode())
    assert (read.usage.cached_tokens, read.usage.reasoning_tokens, read.usage.output_tokens) == (3, 4, 10)
    assert read.reasoning == "hm hm hm hm"
    assert server.totals.cached_tokens == 3
    assert server.totals.cost_usd(1.0, 0.0, 0.5) == 4.5


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({"response_format": JSON_SCHEMA}, lambda message: message["content"]),
        (TOOL, lambda message: message["tool_calls"][0]["function"]["arguments"]),
        ({**TOOL, "tool_choice": "required"}, lambda message: message["tool_calls"][0]["function"]["arguments"]),
    ],
    ids=["json-schema", "tool", "required"],
)
async def test_the_form_of_the_answer_is_known_for_a_schema_and_a_forced_tool(more: Any, shown: Any) -> None:
    async with served(LoopbackEndpoint()) as client:
        _, reply = await client.ask(**more)
    choice = reply["choices"][0]
    assert json.loads(shown(choice["message"])) == {"score": 5}
    assert choice["finish_reason"] == "stop"
    assert (choice["message"]["content"] is None) == ("tools" in more)


async def test_a_tool_that_need_not_be_called_is_not() -> None:
    async with served(LoopbackEndpoint(answer)) as client:
        _, reply = await client.ask(**{**TOOL, "tool_choice": "auto"})
    assert reply["choices"][0]["message"] == {"role": "assistant", "content": TEXT}


@pytest.mark.parametrize(
    ("tier", "more", "words"),
    [
        ("json-schema", {"response_format": JSON_SCHEMA}, "response_format of type json_schema is not supported"),
        ("tool", TOOL, "tools are not supported"),
        ("json-object", {"response_format": {"type": "json_object"}}, "response_format of type json_object is not"),
    ],
)
async def test_a_form_that_is_missing_is_refused_and_one_that_is_ignored_is_passed_over(
    tier: Any, more: Any, words: str
) -> None:
    others = {"json-schema", "tool", "json-object"} - {tier}
    async with served(LoopbackEndpoint(tiers=others)) as client:
        status, reply = await client.ask(**more)
    assert status == 400
    assert words in reply["error"]["message"]
    async with served(LoopbackEndpoint(tiers=others, ignores=[tier])) as client:
        status, reply = await client.ask(**more)
    assert (status, reply["choices"][0]["message"]) == (200, {"role": "assistant", "content": "Because it is so."})


async def test_only_the_key_is_let_in() -> None:
    server = LoopbackEndpoint(key="sk-right")
    async with served(server) as client:
        assert (await client.ask())[0] == 401
        assert (await client.ask(headers={"Authorization": "Bearer sk-wrong"}))[0] == 401
        assert (await client.ask(headers={"Authorization": "Bearer sk-right"}))[0] == 200
        assert (await client.ask(headers={"api-key": "sk-right"}))[0] == 200
    assert server.totals.by_status == {401: 2, 200: 2}


async def test_what_is_no_question_is_told_so() -> None:
    server = LoopbackEndpoint()
    async with served(server) as client:
        for more in (
            {"messages": None},
            {"messages": [{"content": "x"}]},
            {"response_format": {"type": "json_schema"}},
        ):
            assert (await client.ask(**more))[0] == 400
        async with aiohttp.request("POST", f"{server.base_url}/chat/completions", data=b"{") as response:
            assert response.status == 400
    assert server.totals.by_status == {400: 4}


async def test_questions_are_answered_where_they_are_asked_and_nowhere_else() -> None:
    server = LoopbackEndpoint()
    question = json.dumps({"model": "m", "messages": MESSAGES})
    async with server:
        for method, place, status in (
            ("POST", "/chat/completions", 200),
            ("POST", "/chat/completions?api-version=1", 200),
            ("POST", "/openai/deployments/m/chat/completions?api-version=1", 200),
            ("POST", "/nowhere/chat/completions", 404),
            ("GET", "/chat/completions", 404),
            ("POST", "/models", 404),
        ):
            async with aiohttp.request(method, f"{server.base_url}{place}", data=question) as response:
                assert response.status == status, place
                await response.read()
    assert server.totals.by_status == {200: 3, 404: 3}


async def test_requests_are_kept_only_where_they_are_wanted() -> None:
    keeping, forgetting = LoopbackEndpoint(), LoopbackEndpoint(keep_requests=False)
    for server in (keeping, forgetting):
        async with served(server) as client:
            await client.ask(headers={"X-Who": "me"})
    assert keeping.ledger[0].request == {"model": "m", "messages": MESSAGES}
    assert keeping.ledger[0].headers["X-Who"] == "me"
    assert (forgetting.ledger[0].request, forgetting.ledger[0].headers) == ({}, {})
    assert keeping.totals == forgetting.totals


async def test_hundreds_of_requests_can_be_in_flight_at_once() -> None:
    late = [10.0] * 200
    server = LoopbackEndpoint(answer, latency=lambda _: late.pop() if late else 0.0)
    async with served(server) as client:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(client.ask()) for _ in range(200)]
            await until(lambda: server.in_flight == 200)
            assert await client.statuses(3) == [200] * 3
            for task in asked:
                task.cancel()
        await until(lambda: server.in_flight == 0)
    assert 200 <= server.most_in_flight <= 201
    assert (server.totals.abandoned, server.totals.billed_calls) == (200, 3)


# Faults.


async def test_an_error_has_the_status_headers_and_words_it_is_given() -> None:
    fault = Fault(status=429, headers={"retry-after": "3"}, error={"message": "no", "code": "x"})
    server = LoopbackEndpoint(answer, faults=[fault, None, Fault(status=503)])
    async with served(server) as client:
        async with client.post() as response:
            assert (response.status, response.headers["retry-after"]) == (429, "3")
            assert await response.json() == {"error": {"message": "no", "code": "x"}}
        assert [(await client.ask())[0] for _ in range(3)] == [200, 503, 200]
    assert server.totals.by_fault == {"status": 2}
    assert server.totals.by_status == {429: 1, 503: 1, 200: 2}
    assert [entry.billed for entry in server.ledger] == [False, True, False, True]


async def test_a_stalled_request_is_never_answered() -> None:
    server = LoopbackEndpoint(answer, faults=[Fault("stall")])
    async with served(server) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.03):
                await client.ask()
        await until(lambda: server.in_flight == 0)
    (entry,) = server.ledger
    assert (entry.fault, entry.abandoned, entry.billed, entry.status) == ("stall", True, False, 0)


async def test_a_reply_can_stop_after_half_of_its_body() -> None:
    server = LoopbackEndpoint(answer, faults=[Fault("stall-after-headers")])
    async with served(server) as client:
        async with client.post() as response:
            assert response.status == 200
            assert response.content_length is not None
            half = await response.content.readany()
            assert len(half) == response.content_length // 2
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.03):
                    await response.content.readany()
            response.close()
        await until(lambda: server.in_flight == 0)
    assert server.totals == Totals(
        requests=1, abandoned=1, by_status=server.totals.by_status, by_fault=server.totals.by_fault
    )
    assert server.totals.by_fault == {"stall-after-headers": 1}


async def test_a_reset_connection_is_reset() -> None:
    server = LoopbackEndpoint(answer, faults=[Fault("reset")])
    async with served(server) as client:
        with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
            await client.ask()
    assert (server.ledger[0].status, server.ledger[0].billed, server.ledger[0].abandoned) == (0, False, False)


@pytest.mark.parametrize("more", [{}, STREAM], ids=["whole", "stream"])
async def test_a_reply_that_drips_is_good_and_slow(more: Any) -> None:
    server = LoopbackEndpoint(answer, faults=[Fault("drip", over_s=0.03)])
    start_s = asyncio.get_running_loop().time()
    async with served(server) as client, client.post(**more) as response:
        pieces = [piece async for piece in response.content.iter_any()]
    assert asyncio.get_running_loop().time() - start_s >= 0.03
    assert len(pieces) > 2
    raw = b"".join(pieces)
    assert TEXT in (raw.decode() if not more else "".join(_said(events(raw))))
    assert (server.totals.billed_calls, server.totals.output_tokens) == (1, 6)


async def test_a_truncated_reply_is_shorter_than_it_says() -> None:
    server = LoopbackEndpoint(answer, faults=[Fault("truncated")])
    async with served(server) as client, client.post() as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert (server.ledger[0].status, server.ledger[0].billed) == (200, False)


async def test_truncated_json_is_delivered_as_long_as_it_says() -> None:
    server = LoopbackEndpoint(answer, faults=[Fault("truncated-json")])
    async with served(server) as client, client.post() as response:
        raw = await response.read()
        assert response.content_length == len(raw)
        assert response.content_type == "application/json"
    with pytest.raises(json.JSONDecodeError):
        json.loads(raw)
    assert (server.ledger[0].status, server.ledger[0].billed) == (200, False)


async def test_labels_can_be_wrong() -> None:
    server = LoopbackEndpoint(answer, faults=[Fault("not-json"), Fault("wrong-type")])
    async with served(server) as client:
        async with client.post() as response:
            assert (response.status, response.content_type) == (200, "text/html")
            assert (await response.read()).startswith(b"<html>")
        async with client.post() as response:
            assert (response.status, response.content_type) == (200, "text/plain")
            assert completion(await response.read()).text == TEXT
    assert [entry.billed for entry in server.ledger] == [False, True]


async def test_a_huge_reply_is_larger_than_a_client_takes_and_ends_when_it_leaves() -> None:
    server = LoopbackEndpoint(answer, faults=[Fault("huge")] * 2)
    async with served(server) as client:
        async with client.post() as response:
            assert response.content_length is None
            assert sum([len(piece) async for piece in response.content.iter_any()]) > LARGEST_REPLY
        async with client.post() as response:
            await response.content.readany()
            response.close()
        await until(lambda: len(server.ledger) == 2)
    assert [entry.abandoned for entry in server.ledger] == [False, True]
    assert (server.totals.billed_calls, server.totals.unmetered, server.totals.by_fault["huge"]) == (0, 0, 2)


@pytest.mark.parametrize(
    ("sort", "finish_reason", "content", "answered"),
    [
        ("cut-off", "length", TEXT[:11], True),
        ("refused", "stop", None, False),
        ("filtered", "content_filter", None, False),
        ("no-usage", "stop", TEXT, True),
    ],
)
async def test_an_answer_can_be_withheld_cut_off_or_not_counted(
    sort: Any, finish_reason: str, content: str | None, *, answered: bool
) -> None:
    server = LoopbackEndpoint(answer, faults=[Fault(sort)])
    async with served(server) as client:
        status, reply = await client.ask()
    choice = reply["choices"][0]
    assert (status, choice["finish_reason"], choice["message"]["content"]) == (200, finish_reason, content)
    assert ("refusal" in choice["message"]) == (sort == "refused")
    assert ("usage" not in reply) == (sort == "no-usage")
    entry = server.ledger[0]
    assert (entry.answered, entry.unmetered, entry.billed) == (answered, sort == "no-usage", sort != "no-usage")
    told = reply.get("usage", {"prompt_tokens": 0, "completion_tokens": 0})
    assert (entry.input_tokens, entry.output_tokens) == (told["prompt_tokens"], told["completion_tokens"])


@pytest.mark.parametrize(("sort", "choices"), [("malformed", "none"), ("no-choices", [])])
async def test_json_without_an_answer_is_billed_all_the_same(sort: Any, choices: object) -> None:
    server = LoopbackEndpoint(answer, faults=[Fault(sort)])
    async with served(server) as client:
        status, reply = await client.ask()
    assert (status, reply["choices"], reply["usage"]["total_tokens"]) == (200, choices, 12)
    assert (server.totals.billed_calls, server.totals.output_tokens, server.totals.answered) == (1, 6, 0)


async def test_usage_that_cannot_be_comes_in_turns_and_is_not_billed() -> None:
    server = LoopbackEndpoint(answer, faults=[Fault("wrong-usage")] * 4)
    async with served(server) as client:
        replies = [(await client.ask())[1] for _ in range(4)]
    assert len({json.dumps(reply["usage"]) for reply in replies}) == 4
    for reply in replies:
        read = completion(json.dumps(reply).encode())
        assert (read.text, read.usage.reported) == (TEXT, False)
    assert (server.totals.unmetered, server.totals.answered, server.totals.billed_calls) == (4, 4, 0)


async def test_a_storm_of_a_number_of_requests_ends() -> None:
    storm = Fault("storm", requests=3, headers={"retry-after": "2"})
    server = LoopbackEndpoint(answer, faults=[None, storm, Fault(status=500)])
    async with served(server) as client:
        assert await client.statuses(1) == [200]
        async with client.post() as response:
            assert (response.status, response.headers["retry-after"]) == (429, "2")
            assert "slow down" in (await response.json())["error"]["message"]
        assert await client.statuses(4) == [429, 429, 500, 200]
    assert server.totals.by_fault == {"storm": 3, "status": 1}


async def test_a_storm_of_a_time_ends() -> None:
    clock = ManualClock()
    server = LoopbackEndpoint(answer, faults=[Fault("storm", lasting_s=5)], clock=clock.monotonic_s)
    async with served(server) as client:
        assert await client.statuses(12) == [429] * 12
        await clock.sleep(4.9)
        async with client.post() as response:
            assert response.status == 429
            assert "retry-after" not in response.headers
        await clock.sleep(0.2)
        assert await client.statuses(2) == [200, 200]
    assert server.totals.by_fault == {"storm": 13}


def test_mishaps_are_the_same_with_the_same_seed_and_as_many_as_their_share() -> None:
    def drawn(seed: int, sorts: Any = FAULTS) -> list[Fault | None]:
        return [fault for fault, _ in zip(Mishaps(0.2, sorts, seed), range(5000), strict=False)]

    assert drawn(1) == drawn(1) != drawn(2)
    hit = [fault for fault in drawn(1) if fault is not None]
    assert 900 <= len(hit) <= 1100
    assert {fault.sort for fault in hit} == set(FAULTS)
    assert {fault.status for fault in hit if fault.sort == "status"} == {500, 503, 429}
    own = Fault("drip", over_s=0.5)
    assert all(fault is own for fault in drawn(1, (own,)) if fault is not None)


PROMPT = tuple(sort for sort in FAULTS if sort not in ("stall", "stall-after-headers", "huge", "drip"))


@pytest.mark.parametrize("more", [{}, STREAM], ids=["whole", "stream"])
async def test_the_ledger_bills_what_whole_replies_told_and_nothing_else(more: Any) -> None:
    sorts = (*PROMPT, Fault("drip", over_s=0.001))
    server = LoopbackEndpoint(
        lambda call: "so " * (len(server.ledger) % 7 + 2),
        mishaps=Mishaps(0.7, sorts, seed=3),
        cached_share=0.4,
        reasoning_tokens=2,
    )
    told: list[Any] = []
    async with served(server) as client:
        for _ in range(300):
            try:
                async with client.post(**more) as response:
                    raw = await response.read()
            except (aiohttp.ClientOSError, aiohttp.ClientPayloadError):
                continue
            told.append(_usage(raw) if response.status == 200 else None)
    possible = [usage for usage in told if usage is not None]
    totals = server.totals
    assert totals.requests == len(server.ledger) == 300
    assert totals.billed_calls == len(possible)
    assert totals.input_tokens == sum(usage["prompt_tokens"] for usage in possible)
    assert totals.output_tokens == sum(usage["completion_tokens"] for usage in possible)
    assert totals.cached_tokens == sum(usage["prompt_tokens_details"]["cached_tokens"] for usage in possible)
    assert set(totals.by_fault) == {sort for sort in FAULTS if sort in PROMPT} | {"drip"}
    assert totals.unmetered == totals.by_fault["no-usage"] + totals.by_fault["wrong-usage"]
    assert totals.abandoned == 0


def _usage(raw: bytes) -> Any:
    """Return the usage that a body tells, where it can be."""
    try:
        content = events(raw) if raw.startswith(b"data:") else [json.loads(raw)]
    except (AssertionError, json.JSONDecodeError):
        return None
    usage = next((part["usage"] for part in content if part.get("usage")), None)
    counts = [] if usage is None else [usage["prompt_tokens"], usage["completion_tokens"]]
    if not counts or not all(isinstance(count, int) and count >= 0 for count in counts):
        return None
    return usage if usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"] else None


# Clients that leave.


@pytest.mark.parametrize("more", [{}, STREAM], ids=["whole", "stream"])
async def test_who_leaves_before_the_answer_pays_nothing(more: Any) -> None:
    server = LoopbackEndpoint(answer, latency_s=10.0, enforced=Enforced(concurrency=1))
    async with served(server) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.03):
                await client.ask(**more)
        await until(lambda: server.in_flight == 0)
    assert server.enforcer.inside == 0
    assert (server.totals.requests, server.totals.abandoned, server.totals.billed_calls) == (1, 1, 0)
    assert server.totals.by_status == {0: 1}
    assert server.totals.input_tokens == server.totals.answered == 0


async def test_who_leaves_in_the_middle_of_a_reply_pays_nothing() -> None:
    server = LoopbackEndpoint(answer, faults=[Fault("drip", over_s=5.0)])
    async with served(server) as client:
        async with client.post() as response:
            await response.content.readany()
            response.close()
        await until(lambda: server.in_flight == 0)
    assert (server.ledger[0].abandoned, server.ledger[0].billed, server.ledger[0].fault) == (True, False, "drip")


async def test_a_client_that_left_while_the_endpoint_was_busy_pays_nothing() -> None:
    writers: list[asyncio.StreamWriter] = []

    def close_meanwhile(_: object) -> str:
        writers[0].get_extra_info("socket").shutdown(1)  # nobody has looked at the connection since
        return TEXT

    server = LoopbackEndpoint(close_meanwhile)
    async with server:
        port = int(server.base_url.rsplit(":", 1)[1].split("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        content = json.dumps({"model": "m", "messages": MESSAGES}).encode()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(content))
        writer.write(content)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert (server.totals.abandoned, server.totals.billed_calls) == (1, 0)


async def test_requests_under_way_end_with_the_endpoint() -> None:
    server = LoopbackEndpoint(answer, faults=[Fault("stall")], latency_s=0.0)
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group, server:
        client = Client(server, session)

        async def stalled() -> None:
            with pytest.raises(aiohttp.ClientError):
                await client.ask()

        group.create_task(stalled())
        await until(lambda: server.in_flight == 1)
    assert server.totals.requests == server.totals.abandoned == 1


# Streams.


def _said(chunks: list[Any]) -> list[str]:
    return [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"]]


@pytest.mark.parametrize("text", [TEXT, "  spaced\n\nout ", "", '{"score": 5}'])
async def test_the_chunks_of_a_stream_are_the_answer(text: str) -> None:
    server = LoopbackEndpoint(lambda _: text)
    async with served(server) as client, client.post(**STREAM, logprobs=True) as response:
        assert response.content_type == "text/event-stream"
        chunks = events(await response.read())
    assert "".join(_said(chunks)) == text
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[-3:-1]] == [None, "stop"]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == server.totals.output_tokens == len(text.split())


async def test_a_stream_tells_its_usage_only_when_asked() -> None:
    server = LoopbackEndpoint(answer)
    async with served(server) as client, client.post(stream=True) as response:
        chunks = events(await response.read())
    assert not any(chunk.get("usage") for chunk in chunks)
    assert (server.totals.unmetered, server.totals.billed_calls, server.totals.answered) == (1, 0, 1)


async def test_the_arguments_of_a_tool_are_streamed() -> None:
    async with served(LoopbackEndpoint()) as client, client.post(**STREAM, **TOOL) as response:
        chunks = events(await response.read())
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert calls[0]["function"]["name"] == "score"
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"score": 5}


async def test_a_truncated_stream_breaks_off() -> None:
    server = LoopbackEndpoint(answer, faults=[Fault("truncated")])
    async with served(server) as client, client.post(**STREAM) as response:
        assert (await response.content.readany()).startswith(b"data: {")
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert server.totals.billed_calls == server.totals.unmetered == 0


# Limits, as they are kept.


def _enforcer(clock: ManualClock, **limits: Any) -> Enforcer:
    return Enforcer(Enforced(**limits), clock.monotonic_s)


ARRIVALS = st.lists(st.tuples(st.floats(0, 40), st.integers(1, 9)), max_size=80)


def _admitted(enforcer: Enforcer, clock: ManualClock, arrivals: list[tuple[float, int]]) -> list[tuple[float, int]]:
    let_in: list[tuple[float, int]] = []
    for gap_s, tokens in arrivals:
        clock._passed_s += gap_s
        if enforcer.enter(tokens) is None:
            let_in.append((clock.monotonic_s(), tokens))
            enforcer.leave()
    return let_in


@given(ARRIVALS, st.integers(1, 6), st.integers(9, 20))
def test_no_minute_of_a_sliding_limit_lets_more_in_than_the_limit(
    arrivals: list[tuple[float, int]], requests: int, tokens: int
) -> None:
    clock = ManualClock()
    enforcer = _enforcer(clock, requests_per_minute=requests, tokens_per_minute=tokens, style="sliding")
    let_in = _admitted(enforcer, clock, arrivals)
    for start_s, _ in let_in:
        minute = [amount for time_s, amount in let_in if time_s >= start_s and time_s - start_s < 60]
        assert len(minute) <= requests
        assert sum(minute) <= tokens


@given(ARRIVALS, st.integers(1, 6), st.integers(9, 20))
def test_no_time_of_a_bucket_lets_more_in_than_it_holds_and_is_refilled(
    arrivals: list[tuple[float, int]], requests: int, tokens: int
) -> None:
    clock = ManualClock()
    enforcer = _enforcer(clock, requests_per_minute=requests, tokens_per_minute=tokens, style="bucket")
    let_in = _admitted(enforcer, clock, arrivals)
    for place, (start_s, _) in enumerate(let_in):
        for end in range(place, len(let_in)):
            share = 1 + (let_in[end][0] - start_s) / 60
            assert end - place + 1 <= requests * share + 1e-6
            assert sum(amount for _, amount in let_in[place : end + 1]) <= tokens * share + 1e-6


@given(ARRIVALS, st.integers(1, 6), st.integers(9, 20))
def test_no_fixed_window_lets_more_in_than_the_limit(
    arrivals: list[tuple[float, int]], requests: int, tokens: int
) -> None:
    clock = ManualClock()
    enforcer = _enforcer(clock, requests_per_minute=requests, tokens_per_minute=tokens, style="window")
    windows: dict[int, list[int]] = {}
    for time_s, amount in _admitted(enforcer, clock, arrivals):
        windows.setdefault(int(time_s / 60), []).append(amount)
    assert all(len(window) <= requests and sum(window) <= tokens for window in windows.values())


@pytest.mark.parametrize("style", STYLES)
@given(arrivals=ARRIVALS)
def test_who_waits_as_long_as_told_is_let_in(style: Style, arrivals: list[tuple[float, int]]) -> None:
    clock = ManualClock()
    enforcer = _enforcer(clock, requests_per_minute=3, tokens_per_minute=12, style=style)
    for gap_s, tokens in arrivals:
        clock._passed_s += gap_s
        for _ in range(3):  # requests first, then tokens; once more for a last digit
            refusal = enforcer.enter(tokens)
            if refusal is None:
                break
            assert refusal.retry_after_s is not None
            clock._passed_s += int(refusal.headers["retry-after-ms"]) / 1000 + 1e-9
        else:
            raise AssertionError("refused after every wait")


@pytest.mark.parametrize("style", STYLES)
def test_the_limit_is_reached_and_not_less(style: Style) -> None:
    clock = ManualClock()
    enforcer = _enforcer(clock, requests_per_minute=5, style=style)
    assert [enforcer.enter(1) is None for _ in range(6)] == [True] * 5 + [False]
    clock._passed_s += 12
    assert (enforcer.enter(1) is None) == (style == "bucket")
    clock._passed_s += 48
    assert [enforcer.enter(1) is None for _ in range(4)] == [True] * 4


def test_refusals_say_what_is_reached() -> None:
    clock = ManualClock()
    enforcer = _enforcer(clock, requests_per_minute=2, tokens_per_minute=100, concurrency=2)
    assert enforcer.enter(10) is None
    assert enforcer.headers() == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "1m0s",
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "90",
        "x-ratelimit-reset-tokens": "1m0s",
    }
    refusal = enforcer.enter(91, "m")
    assert refusal is not None
    assert refusal.error["message"] == (
        "Rate limit reached for m on tokens per min (TPM): Limit 100, Used 10, Requested 91."
    )
    assert (refusal.limit, refusal.retry_after_s, refusal.headers["retry-after"]) == ("tokens", 60.0, "60")
    assert enforcer.enter(1) is None
    refusal = enforcer.enter(1)
    assert refusal is not None
    assert (refusal.limit, refusal.retry_after_s) == ("concurrency", None)
    assert "too many concurrent requests" in refusal.error["message"]
    enforcer.leave()
    refusal = enforcer.enter(1)
    assert refusal is not None
    assert refusal.limit == "requests"
    assert "requests per min (RPM): Limit 2, Used 2, Requested 1" in refusal.error["message"]
    assert (enforcer.admitted, dict(enforcer.refused)) == (2, {"tokens": 1, "concurrency": 1, "requests": 1})


def test_a_request_that_never_fits_is_told_so_whatever_else_holds() -> None:
    enforcer = _enforcer(
        ManualClock(), requests_per_minute=1, tokens_per_minute=10, concurrency=1, quota_requests=1, announced=False
    )
    for _ in range(2):
        refusal = enforcer.enter(11, "m")
        assert refusal is not None
        assert "Request too large for m on tokens per min" in refusal.error["message"]
        assert (refusal.limit, refusal.headers) == ("size", {})
        enforcer.enter(10)


def test_limits_that_are_not_announced_show_nothing() -> None:
    enforcer = _enforcer(ManualClock(), requests_per_minute=1, announced=False, retry_after=False)
    assert enforcer.enter(1) is None
    refusal = enforcer.enter(1)
    assert refusal is not None
    assert (refusal.error, refusal.headers, enforcer.headers()) == ({"message": "slow down"}, {}, {})


def test_an_empty_account_stays_empty() -> None:
    clock = ManualClock()
    enforcer = _enforcer(clock, quota_requests=2)
    assert [enforcer.enter(1) for _ in range(2)] == [None, None]
    clock._passed_s += 3600
    refusal = enforcer.enter(1)
    assert refusal is not None
    assert (refusal.limit, refusal.error["code"], refusal.retry_after_s) == ("quota", "insufficient_quota", None)


def test_who_was_let_in_is_known_second_by_second() -> None:
    clock = ManualClock()
    enforcer = _enforcer(clock, requests_per_minute=60, tokens_per_minute=600, style="bucket", concurrency=7)
    for _ in range(10):
        for _ in range(2):
            if enforcer.enter(5) is None:
                enforcer.leave()
        clock._passed_s += 1
    assert enforcer.share_used("requests", 0, 10) == 2.0
    assert enforcer.share_used("tokens", 0, 10) == 1.0
    assert enforcer.between(2, 5).admitted == 6
    clock._passed_s = 20.0
    refused = sum(enforcer.enter(5) is not None for _ in range(9))
    assert enforcer.between(20, 21).refused == {"concurrency": refused} == {"concurrency": 2}
    clock._passed_s = 10_000.0
    for _ in range(8000):
        enforcer.enter(700)
        clock._passed_s += 1
    assert enforcer.between(0, 10).admitted == 0  # forgotten
    assert enforcer.admitted == 27


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0ms"), (0.12, "120ms"), (0.9999, "1s"), (1, "1s"), (7.66, "7.66s"), (360, "6m0s"), (61.5, "1m1.5s")],
)
def test_times_are_written_as_in_openai_headers(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


@pytest.mark.parametrize("limits", [{"requests_per_minute": 0}, {"concurrency": -1}, {"minute_s": 0}])
def test_a_limit_that_lets_nobody_in_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a limit is at least 1"):
        Enforced(**limits)


@pytest.mark.parametrize("style", STYLES)
async def test_limits_hold_over_the_wire(style: Style) -> None:
    clock = ManualClock()
    limits = Enforced(requests_per_minute=3, tokens_per_minute=100, style=style)
    server = LoopbackEndpoint(answer, enforced=limits, clock=clock.monotonic_s)
    async with served(server) as client:
        async with client.post() as response:
            assert response.headers["x-ratelimit-remaining-requests"] == "2"
            assert response.headers["x-ratelimit-remaining-tokens"] == "88"
        assert await client.statuses(4) == [200, 200, 429, 429]
        await clock.sleep(60)
        assert await client.statuses(1) == [200]
        status, reply = await client.ask(messages=[{"role": "user", "content": "so " * 95}])
        assert (status, reply["error"]["type"]) == (429, "tokens")
        assert "Request too large" in reply["error"]["message"]
        status, reply = await client.ask(messages=[{"role": "user", "content": "so " * 90}])
        assert (status, reply["error"]["type"]) == (429, "tokens")
        assert "Rate limit reached for m on tokens per min (TPM): Limit 100" in reply["error"]["message"]
    assert server.totals.by_refusal == {"requests": 2, "size": 1, "tokens": 1}
    assert server.enforcer.between(0, 61).tokens == server.totals.input_tokens + server.totals.output_tokens == 48
    assert server.totals.by_fault == {}


async def test_no_more_than_the_concurrency_runs_at_once() -> None:
    server = LoopbackEndpoint(answer, faults=[Fault("stall")] * 4, enforced=Enforced(concurrency=4))
    async with served(server) as client:
        async with asyncio.TaskGroup() as group:
            stalled = [group.create_task(client.ask()) for _ in range(4)]
            await until(lambda: server.enforcer.inside == 4)
            assert await client.statuses(6) == [429] * 6
            for task in stalled:
                task.cancel()
        await until(lambda: server.enforcer.inside == 0)
        assert await client.statuses(5) == [200] * 5
    assert server.totals.by_refusal == {"concurrency": 6}


# Latencies.


def test_latencies_have_the_middle_they_are_named_by() -> None:
    rng = Random(1)

    def drawn(latency: Callable[[Random], float]) -> list[float]:
        return sorted(latency(rng) for _ in range(4001))

    assert set(drawn(constant(0.2))) == {0.2}
    assert all(1 <= value <= 3 for value in drawn(uniform(1, 3)))
    assert drawn(lognormal(2.0, 0.5))[2000] == pytest.approx(2.0, rel=0.05)
    assert sum(drawn(exponential(0.5))) / 4001 == pytest.approx(0.5, rel=0.05)

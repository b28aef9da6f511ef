"""An OpenAI-compatible endpoint on loopback that keeps a ledger, and misbehaves on purpose."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

import orjson
from aiohttp import web

from ...protocols.models import AnswerSchema, ChatMessage, ModelCall, ModelSettings
from .scripted import as_reply

Misbehaviour = Literal["status", "stall", "reset", "malformed", "truncated", "not-json"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request."""

    sort: Misbehaviour = "status"
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict[str, str])
    error: dict[str, str] = field(default_factory=lambda: {"message": "something went wrong"})


@dataclass(frozen=True, slots=True)
class Served:
    """A request as it came in, and how it was answered."""

    request: dict[str, Any]
    headers: dict[str, str]
    status: int
    input_tokens: int = 0
    output_tokens: int = 0


class LoopbackEndpoint:
    """A real HTTP server; an async context manager. Faults are taken one a request, then it answers well."""

    def __init__(
        self,
        answer: Callable[[ModelCall], str] = as_reply,
        *,
        faults: Iterable[Fault | None] = (),
        latency_s: float = 0.0,
    ) -> None:
        self._answer = answer
        self._faults = iter(faults)
        self._latency_s = latency_s
        self._runner: web.AppRunner | None = None
        self.ledger: list[Served] = []
        """Every request, in the order of its answer."""
        self.in_flight = 0
        self.most_in_flight = 0
        self.base_url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = orjson.loads(await request.read())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self._latency_s:
                await asyncio.sleep(self._latency_s)
            fault = next(self._faults, None)
            if fault is None:
                return self._good(request, body)
            return await self._bad(request, body, fault)
        finally:
            self.in_flight -= 1

    def _good(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        text = self._answer(_call(body))
        words = sum(len(message["content"].split()) for message in body["messages"])
        served = Served(body, dict(request.headers), 200, words, len(text.split()))
        self.ledger.append(served)
        return web.Response(body=orjson.dumps(_completion(body, text, served)), content_type="application/json")

    async def _bad(self, request: web.Request, body: dict[str, Any], fault: Fault) -> web.StreamResponse:
        self.ledger.append(Served(body, dict(request.headers), fault.status if fault.sort == "status" else 0))
        match fault.sort:
            case "status":
                content = orjson.dumps({"error": fault.error})
                return web.Response(
                    body=content, status=fault.status, headers=fault.headers, content_type="application/json"
                )
            case "stall":
                await asyncio.Event().wait()
            case "reset":
                if request.transport is not None:
                    request.transport.abort()
            case "malformed":
                return web.Response(body=b'{"id": "x", "choices": "none"}', content_type="application/json")
            case "truncated":
                return web.Response(body=b'{"id": "x", "choices": [', content_type="application/json")
            case "not-json":
                return web.Response(body=b"<html>gateway</html>", content_type="text/html")
        return web.Response()


def _call(body: dict[str, Any]) -> ModelCall:
    """Return a request as the call it came from, so that one script serves endpoint and scripted model alike."""
    form = body.get("response_format", {}).get("json_schema")
    messages = tuple(ChatMessage(message["role"], message["content"]) for message in body["messages"])
    answer = AnswerSchema(form["name"], form["schema"]) if form else None
    return ModelCall(ModelSettings(model=f"loopback/{body['model']}"), messages, answer)


def _completion(body: dict[str, Any], text: str, served: Served) -> dict[str, Any]:
    return {
        "id": "chatcmpl-loopback",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": body["model"],
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {
            "prompt_tokens": served.input_tokens,
            "completion_tokens": served.output_tokens,
            "total_tokens": served.input_tokens + served.output_tokens,
        },
    }

"""The example that serves a model in a cluster: its application, without Ray; the engine is one that tests can look into."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Self

import pytest

from fellowship.runtime.models.endpoints import Endpoint
from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.runtime.testing.faults import Fault

pytest.importorskip("starlette", reason="the example needs ray[serve], which is not installed")
FILE = Path(__file__).parents[2] / "examples/cluster/serve_smollm.py"
KEY = "of-the-engine-alone"
SAY = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "Say hello"}]}

Ask = Callable[[dict[str, Any] | bytes], Any]


class Engine:
    """A loopback endpoint in the place of the embedded engine."""

    def __init__(self, served: LoopbackEndpoint) -> None:
        self._served = served

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Leave it to the test."""

    @property
    def endpoint(self) -> Endpoint:
        return replace(Endpoint(name="local/m", model="m", base_url=self._served.base_url), key=KEY)


@asynccontextmanager
async def application(served: LoopbackEndpoint) -> AsyncGenerator[Ask, None]:
    spec = spec_from_file_location("serve_smollm", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Any = module
    made.EmbeddedEngine = lambda *_: Engine(served)
    made.weights = type("Weights", (), {"find": staticmethod(Path)})
    app = made.application()

    async def ask(body: dict[str, Any] | bytes) -> tuple[int, dict[bytes, bytes], list[bytes]]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent: list[dict[str, Any]] = []
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "raw_path": b"/v1/chat/completions",
            "root_path": "",
            "query_string": b"",
            "headers": [],
            "http_version": "1.1",
            "asgi": {"version": "3.0"},
        }
        inbox = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return inbox.pop() if inbox else await asyncio.Event().wait() or {}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await app(scope, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"]), [each["body"] for each in sent[1:] if each.get("body")]

    async with app.router.lifespan_context(app):
        yield ask


async def test_an_answer_of_the_engine_comes_whole_and_the_callers_need_no_key() -> None:
    async with LoopbackEndpoint(lambda _: "Hello!", key=KEY) as served, application(served) as ask:
        status, headers, body = await ask(SAY)
        assert status == 200
        assert headers[b"content-type"].startswith(b"application/json")
        document = json.loads(b"".join(body))
        assert document["choices"][0]["message"]["content"] == "Hello!"
        assert document["usage"]["completion_tokens"] > 0


async def test_an_answer_has_a_bound_and_the_callers_own_comes_first() -> None:
    async with LoopbackEndpoint(lambda _: "Hello!") as served, application(served) as ask:
        for bound in ({}, {"max_tokens": 9}, {"max_completion_tokens": 7}):
            await ask({**SAY, **bound})
        asked = [{key: value for key, value in each.request.items() if key.startswith("max")} for each in served.ledger]
        assert asked == [{"max_tokens": 256}, {"max_tokens": 9}, {"max_completion_tokens": 7}]


async def test_a_stream_comes_as_a_stream() -> None:
    async with LoopbackEndpoint(lambda _: "One two three") as served, application(served) as ask:
        status, headers, body = await ask({**SAY, "stream": True})
        assert status == 200
        assert headers[b"content-type"].startswith(b"text/event-stream")
        assert b"".join(body).rstrip().endswith(b"data: [DONE]")


@pytest.mark.parametrize("body", [b"{", b"[1]"])
async def test_what_is_no_request_is_refused_by_the_engine_itself(body: bytes) -> None:
    async with LoopbackEndpoint() as served, application(served) as ask:
        assert (await ask(body))[0] == 400


async def test_a_refusal_of_the_engine_is_passed_on() -> None:
    async with LoopbackEndpoint(faults=[Fault(status=503)]) as served, application(served) as ask:
        assert (await ask(SAY))[0] == 503

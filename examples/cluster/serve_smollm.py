"""The embedded model behind Ray Serve, for a whole cluster: a model endpoint in the OpenAI way, with a replica a node.

    python examples/cluster/serve_smollm.py --address auto --replicas 2
    fellowship run judge --data examples/pairs.jsonl --model smol/smollm2-135m --base-url http://127.0.0.1:8000/v1

Nodes need `pip install 'llm-fellowship[local,ray]' 'ray[serve]'` and `fellowship models get smollm2-135m`. What
`application` returns is an ordinary ASGI application, which needs no Ray: put your own model in its place.
"""

import argparse
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from fellowship.runtime.models import weights
from fellowship.runtime.models.embedded import SLOTS, EmbeddedEngine

MODEL = "smollm2-135m"
MOST_TOKENS = 256
"""Of an answer, where the request sets no bound: so small a model may not end of its own accord."""


def application() -> Starlette:
    """Return what answers under /v1; a model is loaded as it starts."""

    @asynccontextmanager
    async def open_engine(app: Starlette) -> AsyncIterator[None]:
        async with EmbeddedEngine(f"local/{MODEL}", weights.find(MODEL)) as engine:
            endpoint = engine.endpoint  # on loopback, behind a key that nobody else has
            async with aiohttp.ClientSession(endpoint.base_url + "/", headers=endpoint.authorization) as session:
                app.state.session = session
                yield

    async def relay(request: Request) -> Response:
        session: aiohttp.ClientSession = request.app.state.session
        reply = await session.request(
            request.method,
            request.path_params["path"],
            data=_bounded(await request.body()),
            headers={"content-type": "application/json"},
        )
        return StreamingResponse(
            reply.content.iter_any(),
            reply.status,
            media_type=reply.content_type,
            background=BackgroundTask(reply.close),
        )

    return Starlette(routes=[Route("/v1/{path:path}", relay, methods=["GET", "POST"])], lifespan=open_engine)


def _bounded(body: bytes) -> bytes:
    try:
        asked = json.loads(body)
    except ValueError:
        return body  # the engine says what is wrong
    if not isinstance(asked, dict) or {"max_tokens", "max_completion_tokens"} & asked.keys():
        return body
    return json.dumps({**asked, "max_tokens": MOST_TOKENS}).encode()


def deploy(address: str | None, replicas: int, host: str, port: int) -> None:
    """Serve until interrupted, with a replica on each of so many nodes."""
    import ray  # noqa: PLC0415 - the application needs no Ray
    from ray import serve  # noqa: PLC0415 - the same

    ray.init(address=address)
    serve.start(proxy_location="EveryNode", http_options={"host": host, "port": port})
    # As many calls at once as the engine has slots for: others wait for whichever replica is free first.
    deployment = serve.deployment(
        name="smollm", num_replicas=replicas, max_replicas_per_node=1, max_ongoing_requests=SLOTS
    )(serve.ingress(application)())
    try:
        serve.run(deployment.bind(), blocking=True)
    finally:
        serve.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--address", help="auto, for the cluster this machine is part of; else a Ray is started here")
    parser.add_argument("--replicas", type=int, default=1, help="at most one a node")
    parser.add_argument("--host", default="127.0.0.1", help="where nodes listen; 0.0.0.0 for callers from elsewhere")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    deploy(options.address, options.replicas, options.host, options.port)

"""A bare HTTP server on a free port of loopback."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
BACKLOG = 4096  # connections that wait to be accepted: a client may open all of its at once
LARGEST_REQUEST = 64 * 2**20


class LoopbackServer:
    """Serves every request by one function, which is cancelled when the client leaves."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._runner: web.ServerRunner | None = None
        self._serving: set[asyncio.Task[object]] = set()
        self.most_in_flight = 0

    @property
    def in_flight(self) -> int:
        """Requests that are not yet answered."""
        return len(self._serving)

    @property
    def connections(self) -> int:
        """Connections that are open."""
        server = self._runner.server if self._runner is not None else None
        return len(server.connections) if server is not None else 0

    async def open(self) -> str:
        """Begin to listen; returns the address."""
        # Without the routes of an application a request costs less.
        server = web.Server(self._serve, request_factory=_request, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=BACKLOG).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """End the requests that are under way, then listen no more."""
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a handler runs in a task
        self._serving.add(task)
        self.most_in_flight = max(self.most_in_flight, len(self._serving))
        try:
            return await self._handler(request)
        finally:
            self._serving.discard(task)


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=LARGEST_REQUEST)

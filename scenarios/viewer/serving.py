"""The server: it listens, and keeps up with the logs, until it is left."""

import secrets
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from aiohttp import web

from ...protocols.errors import DeclarationError
from .comparisons import COMPARISONS
from .guard import LOOPBACK, Door, is_loopback
from .runs import Runs
from .site import site

PORT = 7654
"""Where it listens, or at any free port where this one is taken."""
GOODBYE_S = 1.0
"""How long pages that are being sent may take when the server is left."""


@asynccontextmanager
async def serving(
    paths: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    names: Sequence[str] = (),
    token: str | None = None,
    folder: Path | None = None,
) -> AsyncGenerator[str, None]:
    """Serve pages about some runs; yields the address to open, with the token where one is needed.

    Args:
        paths: The runs' directories.
        host: The address to listen at; beyond this machine a token is asked for.
        port: The port; 0 for any; none: 7654, or any where that is taken.
        names: Further names under which it may be asked for, where it listens beyond this machine.
        token: What must be known beyond this machine; none: one is made up.
        folder: Where the indexes lie; none: the user's cache.

    Raises:
        DeclarationError: nobody can listen there.
        LogError: one of the runs has no log that can be read.
    """
    local = is_loopback(host)
    known = None if local else token or secrets.token_urlsafe(16)
    listening = _listening(host, port)
    at = listening.getsockname()[1]
    shown = socket.gethostname() if host in ("0.0.0.0", "::") else host  # noqa: S104 - told, not bound
    hosts = frozenset({*LOOPBACK, *(() if local else (shown, host, *names))})
    try:
        with Runs(paths, folder) as runs:
            app = site(runs, Door(hosts, known))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=GOODBYE_S)
            await runner.setup()
            try:
                await web.SockSite(runner, listening).start()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(app[COMPARISONS].work)
                    for run in runs:
                        tasks.start_soon(run.keep_up)
                    literal = f"[{shown}]" if ":" in shown else shown
                    yield f"http://{literal}:{at}/" + (f"?token={known}" if known else "")
                    tasks.cancel_scope.cancel()
            finally:
                for run in runs:
                    run.leave()
                await runner.cleanup()
    finally:
        listening.close()


def _listening(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens; raises DeclarationError where it cannot."""
    for wanted in (PORT, 0) if port is None else (port,):
        try:
            return socket.create_server((host, wanted), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            if port is None and wanted:
                continue
            raise DeclarationError(f"nobody can listen at {host}:{wanted}: {error.strerror or error}") from error
    raise AssertionError("a free port is always tried last")

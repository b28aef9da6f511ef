"""A run at a glance: how far it is, what it came to and cost, what went wrong; and the stream that tells of more."""

from contextlib import suppress

import anyio
import orjson
from aiohttp import web

from ..glance import glance, spent_by, state
from ..rendering import address, page
from ..runs import RUNS, Viewed, viewed

QUIET_S = 15.0
"""After which a comment is sent where nothing has happened, so that nobody in between gives the connection up."""


async def front(request: web.Request) -> web.Response:
    """Return the list of runs, or lead to the only one."""
    runs = request.app[RUNS]
    if len(runs) == 1:
        raise web.HTTPFound(address(next(iter(runs)).name))
    return page("runs.html", runs=[(run, *await run.ask(state)) for run in runs])


async def overview(request: web.Request) -> web.Response:
    """Return a run's overview."""
    run = viewed(request)
    seen = await run.ask(glance)
    return page(
        "overview.html", run=run, here="Overview", seen=seen, overview=seen.overview, spent=spent_by(seen.overview)
    )


async def events(request: web.Request) -> web.StreamResponse:
    """Stream a message whenever the run has grown, until the reader or the server goes."""
    run = viewed(request)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    with suppress(ConnectionResetError):  # the reader has gone: to another page, as a rule
        await _tell(response, run)
    return response


async def _tell(response: web.StreamResponse, run: Viewed) -> None:
    told = -1
    while not run.closed:
        changed = run.changes
        if changed != told:
            told = changed
            await response.write(b"data: " + orjson.dumps({"changes": changed}) + b"\n\n")
        else:
            await response.write(b": still here\n\n")
        with anyio.move_on_after(QUIET_S):
            await run.changed(since=told)


ROUTES = (web.get("/", front), web.get("/r/{run}/", overview), web.get("/r/{run}/events", events))

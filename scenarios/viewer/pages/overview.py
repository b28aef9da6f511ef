"""A run at a glance: how far it is, what it came to and cost, what went wrong; and the stream that tells of more."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import anyio
import orjson
from aiohttp import web

from ..glance import glance, record, spent_by, state
from ..rendering import address, page
from ..runs import RUNS, Viewed, marks, viewed

QUIET_S = 15.0
"""After which a comment is sent where nothing has happened, so that nobody in between gives the connection up."""

ANSWERS = {"right": "yes", "wrong": "no"}
"""How the items of an answer are asked for."""


async def front(request: web.Request) -> web.Response:
    """Return the list of runs, or lead to the only one."""
    runs = request.app[RUNS]
    if len(runs) == 1:
        raise web.HTTPFound(address(next(iter(runs)).name))
    mark = marks(runs)
    return page("runs.html", runs=[(run, *await run.ask(state)) for run in runs], mark=mark)


async def to_overview(request: web.Request) -> web.Response:
    """Lead to a run's overview."""
    raise web.HTTPFound(address(viewed(request).name))


async def overview(request: web.Request) -> web.Response:
    """Return a run's overview."""
    run = viewed(request)
    seen = await run.ask(glance)
    return page(
        "overview.html",
        run=run,
        here="Overview",
        seen=seen,
        overview=seen.overview,
        spent=spent_by(seen),
        items_by=partial(partial, _items_of, run.name),
    )


def _items_of(run: str, name: str, value: str) -> str:
    """Return where the items are listed of which something is so."""
    return address(run, "items", **{name: ANSWERS.get(value, value)})


async def played(request: web.Request) -> web.Response:
    """Return the record of what was played: the scenario, models, prompts, versions."""
    run = viewed(request)
    return page("played.html", run=run, record=await run.ask(record))


async def events(request: web.Request) -> web.StreamResponse:
    """Stream a message whenever a run has grown, until the reader or the server goes.

    `since` is the mark of what the reader has seen: of that nothing is told.
    """
    every = request.app[RUNS]
    runs = (viewed(request),) if "run" in request.match_info else tuple(every)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    told = request.query.get("since")
    with suppress(ConnectionError):  # the reader has gone
        await response.write(b": listening\n\n")
        while not any(run.closed for run in runs):
            seen = [run.mark for run in runs]
            if (now := marks(runs)) != told:
                told = now
                await response.write(b"data: " + orjson.dumps({"mark": now}) + b"\n\n")
            with anyio.move_on_after(QUIET_S) as waiting:
                await _grown(runs, seen)
            if waiting.cancelled_caught:
                await response.write(b": still here\n\n")
    return response


async def _grown(runs: Sequence[Viewed], seen: Sequence[str]) -> None:
    """Wait until any of some runs is not as it was seen."""
    async with anyio.create_task_group() as waiting:

        async def wait(run: Viewed, mark: str) -> None:
            await run.changed(since=mark)
            waiting.cancel_scope.cancel()

        for run, mark in zip(runs, seen, strict=True):
            waiting.start_soon(wait, run, mark)


ROUTES = (
    web.get("/", front),
    web.get("/events", events, allow_head=False),
    web.get("/r/{run}", to_overview),
    web.get("/r/{run}/", overview),
    web.get("/r/{run}/played", played),
    web.get("/r/{run}/events", events, allow_head=False),
)

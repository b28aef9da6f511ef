"""A run at a glance: how far it is, what it came to, what it cost, what went wrong."""

from aiohttp import web

from ...traces.index import Index
from ..rendering import address, page
from ..runs import RUNS, viewed


async def front(request: web.Request) -> web.Response:
    """Return the list of runs, or lead to the only one."""
    runs = request.app[RUNS]
    if len(runs) == 1:
        raise web.HTTPFound(address(next(iter(runs)).name))
    return page("runs.html", runs=[(run, await run.ask(Index.overview)) for run in runs])


async def overview(request: web.Request) -> web.Response:
    """Return a run's overview."""
    run = viewed(request)
    return page("overview.html", run=run, overview=await run.ask(Index.overview))


ROUTES = (web.get("/", front), web.get("/r/{run}/", overview))

"""The application: its pages, its files, and the guard before them."""

from hashlib import blake2b
from mimetypes import guess_type
from pathlib import Path

from aiohttp import web

from .comparisons import COMPARISONS, Comparisons
from .guard import Door, guarded, prepare
from .pages import compare, conversation, items, judges, message, overview, search
from .rendering import GLOBALS, HERE
from .runs import RUNS, Runs

PAGES = (overview, items, conversation, message, search, judges, compare)
ANY_NAME = "{run:[^/]+}"
"""A run's name in an address: whatever a directory may be called, braces included."""
FILES = {path.name: path for path in sorted((HERE / "static").iterdir()) if path.is_file()}
"""What can be asked for under /static/: these, by name, and nothing else."""


def site(runs: Runs, door: Door) -> web.Application:
    """Return the application that shows some runs."""
    app = web.Application(middlewares=[guarded(door)])
    app[RUNS] = runs
    app[COMPARISONS] = Comparisons()
    for each in PAGES:
        for route in each.ROUTES:
            app.router.add_route(route.method, route.path.replace("{run}", ANY_NAME), route.handler)
    app.add_routes([web.get("/static/{version}/{name}", _file)])
    app.on_response_prepare.append(prepare)
    return app


async def _file(request: web.Request) -> web.StreamResponse:
    path = FILES.get(request.match_info["name"])
    if path is None:
        raise web.HTTPNotFound(reason="there is no such file")
    sort, _ = guess_type(path.name)
    return web.Response(
        body=path.read_bytes(),
        content_type=sort or "application/octet-stream",
        charset="utf-8",
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )


def _marked(path: Path) -> str:
    return f"/static/{blake2b(path.read_bytes(), digest_size=6).hexdigest()}/{path.name}"


ADDRESSES = {name: _marked(path) for name, path in FILES.items()}
"""Where each file is to be asked for: a changed file has another address, and is never an old one."""
GLOBALS["static"] = ADDRESSES.__getitem__

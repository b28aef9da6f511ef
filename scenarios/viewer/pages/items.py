"""The conversations of a run as a table: filtered, sorted and paged by SQL, with all of it in the address."""

from dataclasses import replace
from urllib.parse import urlencode

from aiohttp import web

from ...sharing.members import casts
from ...traces.index import Index
from ...traces.listing import SORTS, Wanted
from ..rendering import address, page
from ..runs import number_in, viewed
from ..wanted import STATES, VERDICTS, query_of, wanted_of

A_PAGE = 50
"""Conversations shown at once."""
COLUMNS = (
    ("number", "#", False), ("item", "Item", True), ("state", "State", True), ("verdict", "Outcome", True),
    ("disagreement", "Disagreement", False), ("messages", "Messages", False), ("calls", "Calls", False),
    ("tokens", "Tokens", False), ("cost", "Cost", False), ("seconds", "Time", False),
)  # fmt: skip
"""What each is sorted by, its title, and whether it is of words."""
assert {name for name, _, _ in COLUMNS} <= set(SORTS)  # noqa: S101 - a name that no table has would be a dead link


async def items(request: web.Request) -> web.Response:
    """Return the table."""
    run = viewed(request)
    wanted = wanted_of(request.query)
    offset = number_in(request, "offset", 0, most=10**9)
    shown = await run.ask(Index.page, wanted, offset, A_PAGE)
    overview = await run.ask(Index.overview)
    known = casts(run.index.log)
    return page(
        "items.html",
        run=run,
        here="Items",
        wanted=wanted,
        shown=shown,
        offset=offset,
        size=A_PAGE,
        columns=COLUMNS,
        states=STATES,
        verdicts=VERDICTS,
        failures=sorted(overview.failures),
        models=sorted(overview.models),
        agents=sorted(overview.agents),
        variants=[name for name in known if name],
        questions=any(row.correct is not None for row in shown.rows) or wanted.correct is not None,
        words=urlencode(query_of(wanted)),
        at=lambda offset: address(run.name, "items", **query_of(wanted), offset=offset or None),
        sorted_by=lambda name: address(run.name, "items", **query_of(_sorted(wanted, name))),
    )


def _sorted(wanted: Wanted, name: str) -> Wanted:
    """Return what is wanted, sorted by a column; the other way round where it is so already."""
    return replace(wanted, sort=name, descending=wanted.sort == name and not wanted.descending)


ROUTES = (web.get("/r/{run}/items", items),)

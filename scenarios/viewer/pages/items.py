"""The conversations of a run as a table: filtered, sorted and paged by SQL, with all of it in the address."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from urllib.parse import urlencode

from aiohttp import web

from ...sharing.members import Cast, casts
from ...traces.index import Index
from ...traces.listing import SORTS, Overview, Page, Wanted
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
MORE = ("cost", "correct", "variant", "model", "agent", "all_conversations")
"""What is folded away in the form until it is asked for."""
assert {name for name, _, _ in COLUMNS} <= set(SORTS)  # noqa: S101 - a name that no table has would be a dead link


async def items(request: web.Request) -> web.Response:
    """Return the table."""
    run = viewed(request)
    wanted = wanted_of(request.query)
    offset = number_in(request, "offset", 0, most=10**9)

    shown, overview, known = await run.ask(_asked, wanted, offset)
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
        questions=wanted.correct is not None or any(row.correct is not None for row in shown.rows),
        more=any(getattr(wanted, name) not in (None, False) for name in MORE),
        words=urlencode(query_of(wanted)),
        at=partial(_at, run.name, wanted),
        sorted_by=partial(_sorted_by, run.name, wanted),
    )


def _at(run: str, wanted: Wanted, offset: int = 0) -> str:
    return address(run, "items", **query_of(wanted), offset=offset or None)


def _sorted_by(run: str, wanted: Wanted, name: str) -> str:
    """Return the address of the table sorted by a column; the other way round where it is so already."""
    turned = wanted.sort == name and not wanted.descending
    return _at(run, replace(wanted, sort=name, descending=turned))


def _asked(index: Index, wanted: Wanted, offset: int) -> tuple[Page, Overview, Mapping[str | None, Cast]]:
    return index.page(wanted, offset, A_PAGE), index.overview(), casts(index.log)


ROUTES = (web.get("/r/{run}/items", items),)

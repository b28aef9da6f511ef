"""What was said, by its words."""

from functools import partial

from aiohttp import web
from markupsafe import Markup, escape

from ....runtime.printable import plain
from ....runtime.secrecy import hide_cut
from ...traces.index import Index
from ...traces.listing import Hit
from ..rendering import address, page
from ..runs import number_in, viewed

A_PAGE = 20
"""Messages shown at once."""
KINDS = {
    "agent_failed": "failure",
    "approval_given": "ruling",
    "argument_made": "argument",
    "criteria_proposed": "criteria",
    "draft_scored": "score",
    "draft_written": "draft",
    "drafts_compared": "vote on drafts",
    "feedback_given": "feedback",
    "item_failed": "failure",
    "item_finished": "outcome",
    "item_opened": "the item itself",
    "question_asked": "question",
    "summary_written": "summary",
    "vote_cast": "vote",
}
"""What each kind of message is called; those of plugins go by their own names."""


async def search(request: web.Request) -> web.Response:
    """Return the messages in which some words stand."""
    run = viewed(request)
    query = request.query.get("q", "").strip()
    offset = number_in(request, "offset", 0)
    found = await run.ask(Index.search, query, offset, A_PAGE) if query else None
    return page(
        "search.html",
        run=run,
        query=query,
        found=found,
        offset=offset,
        size=A_PAGE,
        kinds=KINDS,
        excerpt=excerpt,
        at=partial(address, run.name, "search", q=query),
    )


def excerpt(hit: Hit) -> Markup:
    """Return a hit's excerpt with its words marked; unmarked where a secret is hidden in it."""
    text = plain(hide_cut(hit.excerpt))
    if len(text) != len(hit.excerpt):
        return escape(text)
    parts: list[Markup] = []
    done = 0
    for start, end in hit.marks:
        parts += [escape(text[done:start]), Markup("<mark>{}</mark>").format(text[start:end])]
        done = end
    return Markup("").join([*parts, escape(text[done:])])


ROUTES = (web.get("/r/{run}/search", search),)

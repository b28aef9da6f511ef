"""One conversation: who said what to whom, round by round, and what came of it."""

from functools import partial

from aiohttp import web

from ....protocols.errors import DeclarationError
from ....protocols.identity import ConversationId
from ...traces.index import Index
from ..reading import Reading, read
from ..rendering import address, page
from ..runs import viewed


async def conversation(request: web.Request) -> web.Response:
    """Return the page of a conversation."""
    run = viewed(request)
    name = request.query.get("id")
    if not name:
        raise DeclarationError("which conversation? the address names none: ?id=CONVERSATION")
    reading = await run.ask(_read, ConversationId(name))
    inspect = partial(_inspect, run.name)
    return page(
        "conversation.html",
        run=run,
        reading=reading,
        inspect=inspect,
        back=address(run.name, "items"),
        before=None,
        after=None,
    )


def _inspect(run: str, sequence: int) -> str:
    return address(run, f"m/{sequence}")


def _read(index: Index, name: ConversationId) -> Reading:
    return read(index.log, name)


ROUTES = (web.get("/r/{run}/conversation", conversation),)

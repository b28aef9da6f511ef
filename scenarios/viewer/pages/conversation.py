"""One conversation: who said what to whom, round by round, and what came of it."""

from aiohttp import web

from ....protocols.errors import DeclarationError
from ....protocols.identity import ConversationId
from ...traces.index import Index
from ..reading import Reading, read
from ..rendering import page
from ..runs import viewed


async def conversation(request: web.Request) -> web.Response:
    """Return the page of a conversation."""
    run = viewed(request)
    name = request.query.get("id")
    if not name:
        raise DeclarationError("which conversation? the address names none: ?id=CONVERSATION")
    reading = await run.ask(_read, ConversationId(name))
    return page("conversation.html", run=run, reading=reading, list=request.query.get("list"), neighbours=(None, None))


def _read(index: Index, name: ConversationId) -> Reading:
    return read(index.log, name)


ROUTES = (web.get("/r/{run}/conversation", conversation),)

"""One conversation: who said what to whom, round by round, and what came of it."""

from functools import partial
from urllib.parse import parse_qsl

from aiohttp import web

from ....protocols.errors import DeclarationError
from ....protocols.identity import ConversationId
from ...traces.index import Index
from ...traces.listing import Wanted
from ..reading import Reading, read
from ..rendering import address, page
from ..runs import viewed
from ..wanted import query_of, wanted_of

MOST_FIELDS = 50
"""Of the address of a list."""
Neighbours = tuple[ConversationId | None, ConversationId | None]


async def conversation(request: web.Request) -> web.Response:
    """Return the page of a conversation."""
    run = viewed(request)
    name = request.query.get("id")
    if not name:
        raise DeclarationError("the address names no conversation: it ends in ?id= and the conversation's id")
    words = request.query.get("list", "")
    wanted = wanted_of(_fields(words))
    reading, (before, after) = await run.ask(_found, ConversationId(name), wanted)
    to = partial(_conversation, run.name, words)
    return page(
        "conversation.html",
        run=run,
        reading=reading,
        inspect=partial(_message, run.name),
        back=address(run.name, "items", **query_of(wanted)),
        before=before and to(before),
        after=after and to(after),
    )


def _fields(words: str) -> dict[str, str]:
    """Return the fields of a list's address; raises DeclarationError where they are too many."""
    try:
        return dict(parse_qsl(words, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise DeclarationError(f"list has more than {MOST_FIELDS} fields") from error


def _found(index: Index, name: ConversationId, wanted: Wanted) -> tuple[Reading, Neighbours]:
    return read(index.log, name), index.neighbours(name, wanted)


def _conversation(run: str, words: str, name: ConversationId) -> str:
    return address(run, "conversation", id=name, list=words)


def _message(run: str, sequence: int) -> str:
    return address(run, f"m/{sequence}")


ROUTES = (web.get("/r/{run}/conversation", conversation),)

"""One message: who asked for it and heard it, the prompt word for word, the answer as it came, every attempt."""

from aiohttp import web

from ....protocols.errors import DeclarationError
from ...traces.index import Index
from ..inspection import Inspection, inspection
from ..rendering import address, page
from ..runs import viewed

LONGEST = 19
"""Digits of a number that SQLite can hold."""


async def message(request: web.Request) -> web.Response:
    """Return the page of a message, or of the message that a call was made for."""
    run = viewed(request)
    text, _, _ = request.match_info["sequence"].partition(".")  # the id of a call begins with its command's
    if not text.isascii() or not text.isdecimal() or len(text) >= LONGEST:
        raise DeclarationError(f"{text!r:.40} is no number of an event")
    found, run_id = await run.ask(_inspection, int(text))
    asked = found.asked
    return page(
        "message.html",
        run=run,
        run_id=run_id,
        found=found,
        asked=asked,
        lanes=address(run.name, "conversation", id=asked.conversation) + (f"#m{found.at}" if found.at else ""),
    )


def _inspection(index: Index, sequence: int) -> tuple[Inspection, str]:
    return inspection(index.log, sequence), index.log.run_id()


ROUTES = (web.get("/r/{run}/m/{sequence}", message),)

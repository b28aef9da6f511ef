"""Conversations of a run as one file of HTML: everything is in it, nothing is loaded, no script runs."""

import json
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from markupsafe import Markup

from ...protocols.errors import DeclarationError
from ...runtime.log import LogReader
from ..traces.index import Index
from ..traces.listing import Listed, Wanted
from ..traces.talk import find
from ..viewer.inspection import Inspected, whole
from ..viewer.reading import Reading, read
from ..viewer.rendering import HERE, TEMPLATES
from .shared import STDOUT, Shared, Wish, written

STYLES = ("style.css", "conversation.css")
A_PAGE = 200
"""Conversations that are looked up at once."""
PIECES = 64
"""Pieces of the page that are written at once."""


def write(wish: Wish) -> Shared:
    """Write conversations as a page.

    Raises:
        DeclarationError: the run has no such item, or the file cannot be written.
        LogError: the log cannot be read.
    """
    with Index(wish.run) as index:
        while index.refresh():
            pass
        if wish.to == STDOUT:
            return _put(wish, index, sys.stdout.buffer)
        with written(Path(wish.to)) as file:
            return _put(wish, index, file)


@dataclass(slots=True)
class _Counts:
    messages: int = 0
    characters: int = 0


def _put(wish: Wish, index: Index, file: IO[bytes]) -> Shared:
    """Write the page piece by piece: what is held of it is never more than a conversation."""
    chosen, total = _chosen(index, wish)
    counts = _Counts()
    prompts = bool(wish.options.get("prompts"))
    style = "".join((HERE / "static" / name).read_text("utf-8") for name in STYLES)
    page = TEMPLATES.get_template("static.html").stream(
        name=wish.run.resolve().name or "run",
        run_id=index.log.run_id(),
        scenario=_scenario(index.log),
        overview=index.overview(),
        rows=chosen,
        total=total,
        conversations=_read(index.log, chosen, counts, prompts=prompts),
        policy=policy(style),
        style=Markup(style),  # noqa: S704 - our own file
    )
    page.enable_buffering(PIECES)
    for piece in page:
        counts.characters += len(piece)
        file.write(piece.encode("utf-8", "replace"))
    left_out = {"conversations left out": total - len(chosen)} if total > len(chosen) else {}
    said = {"conversations": len(chosen), "messages": counts.messages, "characters": counts.characters}
    return Shared(format="html", to=wish.to, counts={**said, **left_out})


def policy(style: str) -> str:
    """Return what the page may do in a browser: have this style, and nothing else."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _chosen(index: Index, wish: Wish) -> tuple[list[Listed], int]:
    """Return the conversations that are wanted, as far as the limit goes, and how many the run has."""
    for item in wish.items:
        if not index.conversations(item):
            find(index.log, item)
            raise DeclarationError(f"the run has no item {item!r}")
    limit = wish.options.get("limit")
    found: list[Listed] = []
    total = 0
    for row in _rows(index):
        total += 1
        if wish.items and row.item not in wish.items:
            continue
        if limit is None or len(found) < int(limit):
            found.append(row)
    return found, total


def _rows(index: Index) -> Iterator[Listed]:
    offset = 0
    while rows := index.page(Wanted(), offset, A_PAGE).rows:
        yield from rows
        offset += len(rows)


Asked = Callable[[int], tuple[Inspected, ...]]


def _read(
    log: LogReader, chosen: list[Listed], counts: _Counts, *, prompts: bool
) -> Iterator[tuple[Reading, Asked | None]]:
    """Return the conversations one after another, each with the calls of its messages where prompts are wanted."""
    for row in chosen:
        reading = read(log, row.conversation)
        counts.messages += reading.messages
        yield reading, partial(_calls, whole(log, reading.talk)) if prompts else None


def _calls(calls: dict[int, tuple[Inspected, ...]], sequence: int) -> tuple[Inspected, ...]:
    return calls.get(sequence, ())


def _scenario(log: LogReader) -> dict[str, Any]:
    """Return name and description of what was played, as far as the run says so."""
    record: dict[str, Any] = json.loads(log.meta("played") or "{}")
    found: dict[str, Any] = record.get("scenario") or record.get("sweep") or {}
    return {name: str(found[name]) for name in ("scenario", "about") if found.get(name)}

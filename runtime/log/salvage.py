"""Saving what can still be read of a damaged log."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import orjson

from ...protocols.errors import DeclarationError, LogError
from ...protocols.lifecycle import Failure
from . import schema
from .faults import unwritable
from .lock import being_written
from .pages import rows
from .texts import is_own

FIELDS = 7
"""Columns of an event that every version has, after its sequence."""
AT_ONCE = 500
LOST = Failure(error="TextLost", reason="the log was damaged, and the reply in it could not be read")


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What was saved of a damaged log, and what is known to be lost."""

    events: int
    last: int
    """Sequence of the last one."""
    gaps: tuple[tuple[int, int], ...]
    """First and last sequence of each stretch of events that are not there; what came after the last one saved, if
    anything, nobody knows."""
    texts: int
    texts_lost: tuple[str, ...]
    """Digests of texts that events or prompts name and that are not there."""
    replies_lost: int
    """Calls whose reply is not there; what they cost is, and they count as failed."""

    @property
    def lost(self) -> int:
        """How many events are known to be lost."""
        return sum(last - first + 1 for first, last in self.gaps)


def salvage(path: Path, to: Path) -> Salvaged:
    """Copy all that can still be read of a log into a new one, of the present version, that can be gone on with.

    Every page is read for itself, also where SQLite finds no way to it. An event whose text is lost is lost with it,
    but for a model call: what it cost is kept. Nobody may be writing the log; it is not changed.

    Args:
        path: The damaged log.
        to: The new one.

    Raises:
        DeclarationError: there is something at `to`, or a run is writing the log.
        LogError: the log cannot be read at all, holds not one event, or the new one cannot be written.
    """
    if to.exists():
        raise DeclarationError(f"{to} is there already: choose another place for what can be saved")
    if not path.is_file():
        raise LogError(f"{path} is not there: no run has written its log here")
    if being_written(path):
        raise DeclarationError(f"{path} is being written: wait until its run has ended")
    part = to.with_suffix(".part")
    part.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(part)) as connection:
            connection.execute("PRAGMA page_size = 16384")
            schema.migrate(connection, part)
            with connection:
                connection.execute("DELETE FROM meta")  # it is the same run, under its own id
                _copy(path, connection)
                found = _settled(connection)
        if not found.events:
            raise LogError(f"{path} holds nothing that can be read as an event")
        part.replace(to)
    except sqlite3.Error as error:
        raise unwritable(part, error) from error
    except OSError as error:
        raise LogError(f"{error.filename or path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return found


def _copy(path: Path, connection: sqlite3.Connection) -> None:
    """Copy every row that is one of a log; the first of several alike stands."""
    statements = {
        "events": f"INSERT OR IGNORE INTO events VALUES ({', '.join('?' * (FIELDS + 3))})",  # noqa: S608 - marks
        "texts": "INSERT OR IGNORE INTO texts VALUES (?, ?)",
        "meta": "INSERT OR IGNORE INTO meta VALUES (?, ?)",
    }
    found = _recognised(path)
    while chunk := list(islice(found, AT_ONCE)):
        for table, statement in statements.items():
            connection.executemany(statement, [row for name, row in chunk if name == table])


def _recognised(path: Path) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Return the rows that are a log's, each with its table."""
    for number, row in rows(path):
        if number is None:
            if len(row) == 2 and _all_words(row):
                yield "meta", row
        elif len(row) == 2 and _all_words(row):
            if is_own(cast("str", row[0]), cast("str", row[1])):
                yield "texts", row
        elif len(row) in (FIELDS + 1, FIELDS + 2, FIELDS + 3) and row[0] is None and number > 0:
            event = _event(row[1 : FIELDS + 1])
            if event is not None:
                digest = row[FIELDS + 2] if len(row) == FIELDS + 3 else None
                yield "events", (number, *event, 1 if event[4] in schema.LANDMARKS else None, digest)


def _all_words(row: tuple[Any, ...]) -> bool:
    return all(isinstance(value, str) for value in row)


def _event(row: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Return an event's columns where they are what they must be."""
    conversation, cause, sender, recipients, kind, body, time_s = row
    if not _all_words((conversation, sender, recipients, kind, body)) or not isinstance(cause, int | None):
        return None
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    whole = isinstance(content, dict) and cast("dict[str, Any]", content).get("kind") == kind
    return (*row[:6], float(time_s)) if whole and isinstance(time_s, int | float) else None


def _settled(connection: sqlite3.Connection) -> Salvaged:
    """Leave only events that have their texts, and tell what is there and what is not."""
    without = "text_digest IS NOT NULL AND text_digest NOT IN (SELECT digest FROM texts)"
    query = f"SELECT text_digest FROM events WHERE {without}"  # noqa: S608 - constants
    lost = {digest for (digest,) in connection.execute(query)}
    error = LOST.model_dump_json(exclude_none=True)
    replies = connection.execute(
        "UPDATE events SET text_digest = NULL, body = json_set(body, '$.error', json(?)) "  # noqa: S608 - constants
        f"WHERE kind = 'model_called' AND {without}",
        (error,),
    ).rowcount
    connection.execute(f"DELETE FROM events WHERE {without}")  # noqa: S608 - constants
    lost.update(
        digest
        for (digest,) in connection.execute(
            "SELECT DISTINCT json_extract(said.value, '$[1]') FROM events, json_each(body, '$.messages') AS said "
            "WHERE kind = 'model_called' AND json_extract(said.value, '$[1]') NOT IN (SELECT digest FROM texts)"
        )
    )
    ((events, newest),) = connection.execute("SELECT count(*), max(sequence) FROM events")
    ((texts,),) = connection.execute("SELECT count(*) FROM texts")
    return Salvaged(int(events), int(newest or 0), tuple(_gaps(connection)), int(texts), tuple(sorted(lost)), replies)


def _gaps(connection: sqlite3.Connection) -> Iterator[tuple[int, int]]:
    query = "SELECT sequence, before FROM (SELECT sequence, lag(sequence, 1, 0) OVER (ORDER BY sequence) AS before "
    for sequence, before in connection.execute(query + "FROM events) WHERE sequence > before + 1 ORDER BY sequence"):
        yield int(before) + 1, int(sequence) - 1

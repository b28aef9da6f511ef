"""The part of a log that some conversations need, as bytes that travel to another process: a small log of its own."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from ...protocols.identity import ConversationId
from . import schema
from .faults import damaged
from .reader import LogReader

if TYPE_CHECKING:
    from .scribe import Row

PAGE_BYTES = 1_024
"""Of a log that is never written to a disk, and mostly holds one conversation."""
IN_MEMORY = ":memory:"
INSERT = f"INSERT INTO events VALUES ({', '.join('?' * 10)})"  # noqa: S608 - marks


def excerpt(log: LogReader, conversations: Mapping[ConversationId, Iterable[int]]) -> bytes:
    """Return a log that holds some conversations of another, for `LogReader.of`.

    Events keep their sequence, time and cause. Every text that they name is in it, replies and prompts, as the log has
    it: a secret that was taken out stays out, and what is lost or damaged is found to be so by whoever reads it. Of the
    notes, it has the run's id. The whole log is not walked.

    Args:
        log: The whole.
        conversations: Those that are wanted, each with its sequences: what `LogReader.positions` returns of them.

    Raises:
        LogError: the log cannot be read, or one of these calls is not what it was.
    """
    rows = list(log.stored(sorted(chain.from_iterable(conversations.values()))))
    with closing(sqlite3.connect(IN_MEMORY)) as connection:
        connection.deserialize(_empty())
        with connection:
            connection.execute("INSERT INTO meta VALUES (?, ?)", (schema.RUN, log.run_id()))
            connection.executemany(INSERT, rows)
            connection.executemany("INSERT INTO texts VALUES (?, ?)", log.texts(_named(rows, log.path)))
        return connection.serialize()


@cache  # to make the tables takes as long as to fill them
def _empty() -> bytes:
    with closing(sqlite3.connect(IN_MEMORY)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        schema.migrate(connection, Path(IN_MEMORY))
        with connection:
            connection.execute("DELETE FROM meta")  # it is the same run, under its own id
        return connection.serialize()


def _named(rows: "Iterable[Row]", path: Path) -> Iterator[str]:
    """Return the digests of the texts that some events name, each once."""
    named: dict[str, None] = {}
    for row in rows:
        if row[-1] is not None:
            named[row[-1]] = None
        if row[5] == "model_called":
            try:
                named.update((digest, None) for _, digest in orjson.loads(row[6])["messages"])
            except (ValueError, TypeError, KeyError) as error:
                raise damaged(path, f"event {row[0]} is not what it was") from error
    return iter(named)

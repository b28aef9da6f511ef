"""The tables of a log, and how older ones become the present ones."""

import sqlite3
from hashlib import blake2b
from pathlib import Path

from ...protocols.errors import LogError
from .faults import reading

APPLICATION_ID = 0x46_4C_57_53
"""Marks a SQLite file as a log of this package ("FLWS"): PRAGMA application_id."""

LANDMARKS = frozenset(
    {
        "run_started",
        "run_ended",
        "run_changed",
        "item_opened",
        "item_resumed",
        "item_finished",
        "item_failed",
        "outcome_set_aside",
        "letter_undelivered",
        "batch_prepared",
        "batch_submitted",
        "batch_ended",
    }
)
"""Kinds that are looked up by themselves. An index over every event costs as much as writing it; the events of an item
lie between its first and its last, with those of the few hundred others that were being played."""
RUN = "id"
"""Key of the note that is the run's id: 16 hexadecimal digits, made with its log."""
NO_END = 2**63 - 1
"""Past the last event there can be."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE events (
        sequence INTEGER PRIMARY KEY,
        conversation TEXT NOT NULL,
        cause INTEGER,
        sender TEXT NOT NULL,
        recipients TEXT NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        time_s REAL NOT NULL
    );
    CREATE INDEX events_by_conversation ON events (conversation);
    CREATE INDEX events_by_kind ON events (kind);
    CREATE TABLE texts (digest TEXT PRIMARY KEY, text TEXT NOT NULL);
    """,
    f"""
    DROP INDEX events_by_conversation;
    DROP INDEX events_by_kind;
    ALTER TABLE events ADD COLUMN landmark INTEGER;
    UPDATE events SET landmark = 1 WHERE kind IN ({", ".join(repr(kind) for kind in sorted(LANDMARKS))});
    CREATE INDEX landmarks ON events (kind, conversation) WHERE landmark IS NOT NULL;
    """,  # noqa: S608 - constants
    """
    ALTER TABLE events ADD COLUMN text_digest TEXT;
    """,
    f"""
    INSERT OR IGNORE INTO meta VALUES ('{RUN}', lower(hex(randomblob(8))));
    """,  # noqa: S608 - constants
)
"""One script a version: the n-th brings a log from version n to n + 1. Only ever append."""

VERSION = len(MIGRATIONS)


MARKED = 2
"""The version from which on landmarks are marked."""
APART = 3
"""The version from which on an event's long text may lie apart, under its `text_digest`."""


NAMED = 4
"""The version from which on a run has its id noted."""


def id_before(first: tuple[object, ...]) -> str:
    """Return the id of a run whose log is from before version 4: made from body and time of its first event."""
    return blake2b(repr(first).encode(), digest_size=8).hexdigest()


def check(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of a log; 0 for an empty file.

    Raises:
        LogError: the file is not a log, is damaged, or of a newer version than this package knows.
    """
    with reading(path):
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
        tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if tables and application != APPLICATION_ID:
        raise LogError(f"{path} is a SQLite file of something else, not a run's log")
    if version > VERSION:
        raise LogError(
            f"{path} was written by a newer version (log version {version}, this one knows up to {VERSION}): "
            "upgrade llm-fellowship to read it"
        )
    return version


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a log to the present version, each step whole or not at all; raises LogError as `check` does."""
    for number in range(check(connection, path), VERSION):
        known = ""
        if number == NAMED - 1:
            first = connection.execute("SELECT body, time_s FROM events ORDER BY sequence LIMIT 1").fetchone()
            known = f"INSERT OR IGNORE INTO meta VALUES ('{RUN}', '{id_before(first)}');" if first else ""  # noqa: S608 - digits
        connection.executescript(
            f"BEGIN IMMEDIATE;{known}{MIGRATIONS[number]}"
            f"PRAGMA application_id = {APPLICATION_ID};PRAGMA user_version = {number + 1};COMMIT;"
        )

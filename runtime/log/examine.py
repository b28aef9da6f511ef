"""Looking whether a log is whole, as far as that can be seen."""

import sqlite3
from contextlib import closing
from pathlib import Path

from ...protocols.errors import LogError
from . import schema
from .faults import cut_off, damaged, header_of, missing_bytes, reading, wal_bytes
from .reader import LogReader

PROVED_BYTES = 256 * 2**20
"""The largest log that is looked through before it is gone on with, where its last process did not close it."""
MOST_PROBLEMS = 8


def examine(path: Path, *, thorough: bool = False) -> tuple[str, ...]:
    """Return what is wrong with a log, in plain sentences; nothing where all is well.

    Args:
        path: The log.
        thorough: Read all of it, some seconds a gigabyte: pages, gaps between events, texts that are not there.
    """
    try:
        with LogReader(path) as reader:
            reader.newest("run_started")
            reader.last()
    except OSError as error:
        return (f"{path} cannot be read: {error.strerror or error}",)
    except LogError as error:
        return (str(error),)
    return tuple(_problems(path)) if thorough else ()


def _problems(path: Path) -> list[str]:
    """Return what is found in reading everything."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            with reading(path):
                found = pages_wrong(connection, MOST_PROBLEMS)
                if found:
                    return [f"{path} is damaged: {problem}" for problem in found]
                gaps = connection.execute("SELECT coalesce(max(sequence), 0) - count(*) FROM events").fetchone()[0]
                lost = 0
                if schema.check(connection, path) >= schema.APART:
                    query = (
                        "SELECT count(*) FROM events WHERE text_digest IS NOT NULL "
                        "AND text_digest NOT IN (SELECT digest FROM texts)"
                    )
                    lost = connection.execute(query).fetchone()[0]
        except LogError as error:
            return [str(error)]
    problems = [f"{path} lacks {gaps:,} events between the first and the last"] if gaps else []
    return [*problems, f"{path} lacks the texts of {lost:,} events"] if lost else problems


def pages_wrong(connection: sqlite3.Connection, most: int) -> list[str]:
    """Return what SQLite finds wrong with pages and the order of rows; nothing where all is well."""
    found = [line for (row,) in connection.execute(f"PRAGMA quick_check({most})") for line in str(row).splitlines()]
    return [] if found == ["ok"] else [line for line in found if not line.startswith("***")]


def refuse_damaged(connection: sqlite3.Connection, path: Path) -> None:
    """Raise LogError where a log that is about to be gone on with is damaged, as far as that is seen at little cost.

    What a process closed in good order is taken at its word, but for its size; what was left open is looked through,
    unless it is very large.
    """
    if not path.exists() or not path.stat().st_size:
        return
    lacks = missing_bytes(path)
    if lacks:
        raise damaged(path, cut_off(lacks))
    header = header_of(path)
    left_open = header is not None and (header.left_open or wal_bytes(path) > 0)
    if left_open and path.stat().st_size <= PROVED_BYTES:
        with reading(path):
            found = pages_wrong(connection, 1)
        if found:
            raise damaged(path, found[0])

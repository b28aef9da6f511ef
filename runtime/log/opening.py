"""Opening a log for reading, whatever state its process has left it in."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from ...protocols.errors import LogError
from . import schema
from .faults import UNOPENED, code_of, cut_off, damaged, half_done, missing_bytes, reading, wal_of

READ_ONLY, UNCHANGED = "mode=ro", "immutable=1"
"""How a file is opened: as one that others may be writing, or as one that nobody changes."""


def begun(path: Path) -> bool:
    """Return whether anything was ever written to a log that is there; else its process was killed as it made it.

    What that process left half done is undone. Raises LogError where the file is no log, or cannot be opened.
    """
    with reading(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
        return schema.check(connection, path) > 0


def opened(path: Path) -> sqlite3.Connection:
    """Return a connection by which a log can be read, from any thread.

    A log that was not closed in good order wants a file beside it, also of those who only read. In a folder that
    may not be written it is read as a file that nobody changes, where nothing waits to be added to it. What a
    process left half done that was killed while it made the log, opened or closed it, is undone first.

    Raises:
        LogError: there is no log at this path, or none that this version can read.
    """
    if not path.is_file():
        raise LogError(f"{path} is not there: no run has written its log here")
    lacks = missing_bytes(path) if os.access(path, os.R_OK) else 0
    if lacks:
        raise damaged(path, cut_off(lacks))
    try:
        return _checked(_connected(path, READ_ONLY), path)
    except LogError as error:
        cause = error.__cause__ or error
        if half_done(cause):
            begun(path)
            how = READ_ONLY
        elif code_of(cause) in UNOPENED and not wal_of(path).exists():
            how = UNCHANGED
        else:
            raise
    return _checked(_connected(path, how), path)


def held(data: bytes, path: Path) -> sqlite3.Connection:
    """Return a connection by which a log that is held in memory can be read, from any thread, and not be written.

    Args:
        data: The bytes of the log.
        path: What it is called in errors.

    Raises:
        LogError: they are no log, or none that this version can read.
    """
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        with reading(path):
            if data:  # of none SQLite says that there is no memory
                connection.deserialize(data)
            connection.execute("PRAGMA query_only = ON")
    except LogError:
        connection.close()
        raise
    return _checked(connection, path)


def _connected(path: Path, how: str) -> sqlite3.Connection:
    with reading(path):
        return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, check_same_thread=False)


def _checked(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Return a connection to what is a log; else close it and raise LogError."""
    try:
        version = schema.check(connection, path)
    except LogError:
        connection.close()
        raise
    if version == 0:
        connection.close()
        raise LogError(f"{path} is empty: its run was killed before it began, or the file was cut off")
    return connection

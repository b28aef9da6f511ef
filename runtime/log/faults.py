"""What SQLite says went wrong with a log, in words that help."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...protocols.errors import LogError

MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
"""What can be over when it is tried again."""
OF_THE_WORLD = PASSING | {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_AUTH,
}
"""What is no fault of the log's. All else is: what the package asks for is right for a log that is whole."""
UNOPENED = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
"""What SQLite says to a reader who cannot make the files that it wants beside a log."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of a log say of the rest."""

    page_size: int
    pages: int
    """How many there were when the file was last written; what the write-ahead log holds is not among them."""
    left_open: bool
    """Whether it was not closed in good order, or is open now: it counts on a write-ahead log."""


def header_of(path: Path) -> Header | None:
    """Return a file's header; none where it has none of SQLite's. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES or not head.startswith(MAGIC):
        return None
    page_size = int.from_bytes(head[16:18], "big")
    return Header(65536 if page_size == 1 else page_size, int.from_bytes(head[28:32], "big"), head[18] == 2)


def wal_of(path: Path) -> Path:
    """Return the path of the write-ahead log beside a log."""
    return path.with_name(f"{path.name}-wal")


def wal_bytes(path: Path) -> int:
    """Return how large the write-ahead log beside a log is; 0 where there is none."""
    wal = wal_of(path)
    return wal.stat().st_size if wal.exists() else 0


def missing_bytes(path: Path) -> int:
    """Return how many bytes a log lacks for certain, its write-ahead log counted in full; raises OSError."""
    beside = wal_bytes(path)
    header = header_of(path)
    if header is None:
        return 0
    lacks = header.pages * header.page_size - path.stat().st_size
    return max(0, lacks - max(beside, wal_bytes(path))) if lacks > 0 else 0


def code_of(error: BaseException) -> int:
    """Return SQLite's primary code of an error; 0 where it is none of SQLite's own."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def half_done(error: BaseException) -> bool:
    """Return whether a log cannot be read before what a killed process left half done is undone, by a writer."""
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_ROLLBACK


def passes(error: BaseException) -> bool:
    """Return whether an error can be over when the same is tried again: a full disk, a file that is locked."""
    return code_of(error) in PASSING


def damaged(path: Path, what: object) -> LogError:
    """Return the error that a log is damaged."""
    return LogError(f"{path} is damaged: {what}. `fellowship salvage` copies what can still be read into a new run")


def cut_off(lacks: int) -> str:
    """Return the words for a log that lacks so many bytes."""
    return f"it is cut off, {lacks:,} bytes are missing"


def unreadable(path: Path, error: sqlite3.Error) -> LogError:
    """Return what an error met in reading a log means."""
    code = code_of(error)
    if code in UNOPENED:
        return LogError(
            f"{path} cannot be opened: {error}. It may not be read by this user; or its run did not close it, and this "
            "user may not write its folder: then copy the folder, with all that lies in it, and read the copy"
        )
    if code in OF_THE_WORLD:
        return LogError(f"{path} cannot be read: {error}")
    try:
        known, lacks = header_of(path) is not None, missing_bytes(path)
    except OSError:
        known, lacks = True, 0
    if code == sqlite3.SQLITE_NOTADB or not known:
        return LogError(f"{path} is not a run's log, or its beginning is overwritten or cut off: {error}")
    return damaged(path, cut_off(lacks) if lacks else error)


def unwritable(path: Path, error: sqlite3.Error) -> LogError:
    """Return what an error met in opening a log for writing means."""
    code = code_of(error)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return LogError(f"{path} cannot be written: {error}. Look who may write it, and its folder")
    return LogError(f"{path} cannot be written: {error}") if code in OF_THE_WORLD else unreadable(path, error)


@contextmanager
def reading(path: Path) -> Generator[None, None, None]:
    """Translate what SQLite raises while a log is being read."""
    try:
        yield
    except sqlite3.ProgrammingError:  # a reader that was closed: nobody's fault but the caller's
        raise
    except sqlite3.Error as error:
        raise unreadable(path, error) from error

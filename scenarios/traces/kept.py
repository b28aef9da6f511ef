"""The file in which the tables of an index lie: where, whose, sound or not, and for how long."""

import os
import sqlite3
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from filelock import FileLock

from ...protocols.errors import LogError
from ...runtime.log.faults import code_of
from ...runtime.models.weights import cache
from .tables import TABLES, VERSION

BUSY_MS = 60_000
"""How long another process is waited for that is taking events in: it does so in slices of a second at the most."""
CACHE_KIB = 16 * 1024
UNSOUND = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
UNWRITABLE = frozenset(
    {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM}
)
KEPT_S, DAY_S = 90 * 86_400.0, 86_400.0
KEPT_BYTES = 2 * 1024**3
"""How long, and how much in all, tables are kept that nobody has looked at; those of a day always."""


def folder_of() -> Path:
    """Return where indexes lie: `index` in FELLOWSHIP_CACHE, or in the user's cache."""
    return cache() / "index"


class Tables:
    """The file of one index, open."""

    def __init__(self, log: Path, run_id: str, folder: Path | None = None) -> None:
        """Open the tables of a log, made where they are not there; in a temporary file where none can be kept.

        Raises:
            LogError: not even a temporary file can be written.
        """
        digest = blake2b(str(log.absolute()).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        self._name = f"{run_id}-{digest}"
        self._folder = folder or folder_of()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._touched_s = 0.0
        self.path = Path()
        self.db: sqlite3.Connection
        self.reopen()

    def reopen(self) -> None:
        """Open the file, or the first one in its place that is sound; raises LogError as the making does."""
        try:
            self._open_in(self._folder)
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, sqlite3.Error) and code_of(error) not in UNWRITABLE:
                raise LogError(f"the index in {self._folder} cannot be opened: {error}") from error
            self.elsewhere(error)

    def elsewhere(self, cause: Exception) -> None:
        """Go on in a temporary file, which is empty; raises LogError where there can be none."""
        if self._temporary is not None:
            raise LogError(f"the index in {self.path.parent} cannot be written: {cause}") from cause
        try:
            self._temporary = tempfile.TemporaryDirectory(prefix="fellowship-index-", ignore_cleanup_errors=True)
            self._folder = Path(self._temporary.name)
            self._open_in(self._folder)
        except (OSError, sqlite3.Error) as error:
            raise LogError(f"no index can be made, in {self._folder} neither: {error}") from error

    def _open_in(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        generation = 0
        while True:
            suffix = f".{generation}" if generation else ""
            self.path = folder / f"{self._name}{suffix}.db"
            generation += 1
            if self._broken.exists():
                continue
            with FileLock(self.path.with_suffix(".lock"), timeout=BUSY_MS / 1000):
                try:
                    self._connect()
                except sqlite3.DatabaseError as error:
                    if code_of(error) not in UNSOUND:
                        raise
                    self._broken.touch()
                else:
                    break
        self.touch()

    @property
    def _broken(self) -> Path:
        """What says that a file is not sound. It is not removed: somebody may have it open, with files beside it."""
        return self.path.with_suffix(".broken")

    def _connect(self) -> None:
        self.db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            self.db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            self.db.execute("PRAGMA journal_mode = WAL")
            self.db.execute("PRAGMA synchronous = NORMAL")
            self.db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            if int(self.db.execute("PRAGMA user_version").fetchone()[0]) != VERSION:
                with self.writing():
                    self.make_anew()
            self.mark()
        except BaseException:
            self.db.close()
            raise

    def make_anew(self) -> None:
        """Throw all away and make empty tables, within a transaction."""
        listed = self.db.execute("SELECT name, sql LIKE 'CREATE VIRTUAL%' FROM sqlite_master WHERE type = 'table'")
        for name, _ in sorted(listed.fetchall(), key=lambda row: -row[1]):  # a virtual table takes its own with it
            if not name.startswith("sqlite_"):
                quoted = name.replace('"', '""')
                self.db.execute(f'DROP TABLE IF EXISTS "{quoted}"')
        for statement in TABLES.split(";\n"):
            for each in statement.split(";"):
                self.db.execute(each)
        self.db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def writing(self) -> Generator[None]:
        """Let nobody else write meanwhile; all is written, or nothing."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):
                self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """See one state of the tables, whoever writes meanwhile."""
        self.db.execute("BEGIN")
        try:
            yield self.db
        finally:
            with suppress(sqlite3.Error):
                self.db.execute("COMMIT")

    def mark(self) -> tuple[int, float, str]:
        """Return sequence, time and digest of the last event that was taken in; 0 where there is none."""
        row: tuple[int, float, str] | None = self.db.execute("SELECT sequence, time_s, digest FROM mark").fetchone()
        return row or (0, 0.0, "")

    def touch(self) -> None:
        """Note that it is used, once in a while."""
        now_s = time.time()
        if now_s - self._touched_s > DAY_S / 24:
            self._touched_s = now_s
            with suppress(OSError):
                os.utime(self.path)

    def discard(self) -> None:
        """Close a file that is not sound, for good, and open another."""
        self.db.close()
        with suppress(OSError):
            self._broken.touch()
        self.reopen()

    def close(self) -> None:
        """Close the file, and remove a temporary one."""
        self.db.close()
        if self._temporary is not None:
            self._temporary.cleanup()


def tidy(folder: Path, *, now_s: float | None = None, kept_bytes: int = KEPT_BYTES) -> int:
    """Remove indexes that nobody has used for 90 days, and the oldest where all are too large; returns how many.

    What was used within a day is left alone: somebody may have it open.
    """
    now_s = time.time() if now_s is None else now_s
    found: list[tuple[float, int, Path]] = []
    with suppress(OSError):
        for path in folder.glob("*.db"):
            parts = [part for part in (path, *_beside(path)) if part.exists()]
            used_s = max(part.stat().st_mtime for part in parts)
            found.append((used_s, sum(part.stat().st_size for part in parts), path))
    total, removed = sum(size for _, size, _ in found), 0
    for used_s, size, path in sorted(found):
        if now_s - used_s > KEPT_S or (total > kept_bytes and now_s - used_s > DAY_S):
            total, removed = total - size, removed + 1
            for part in (path, *_beside(path)):
                with suppress(OSError):
                    part.unlink(missing_ok=True)
    return removed


def _beside(path: Path) -> tuple[Path, ...]:
    """Return the files that may lie beside an index."""
    beside = tuple(path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm"))
    return (*beside, path.with_suffix(".lock"), path.with_suffix(".broken"))

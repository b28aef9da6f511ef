"""Writing a log: one writer, group commit.

Events get their sequence at once and are written in groups: while one group is being committed on a worker thread, the
next one gathers. Whoever needs an event to be durable waits for its group. A group that finds the disk full is kept and
tried again, for a while. docs/durability.md says what survives what.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Literal

import anyio
from filelock import BaseFileLock, FileLock, Timeout

from ...protocols.errors import DeclarationError, LogError
from ...protocols.events import Event
from ...protocols.identity import WHOLE_RUN, ConversationId, RunId
from ...protocols.messages import Message
from ...protocols.ports import Clock
from ..clock import SystemClock
from ..tracing import outermost
from . import schema
from .durable import Durable
from .examine import refuse_damaged
from .faults import passes, unwritable
from .lock import lock_of
from .reader import LogReader
from .scribe import COLUMNS, Row, Scribe

BACKLOG = 20_000
"""Events that may wait to be written before those who state more have to wait: some 20 MB."""
GATHER_S = 0.003
"""How long a group gathers while many talk at once: a commit has its cost, however few events are in it."""
MANY = 16
"""Events in a group from which on many talk at once; a lone conversation never waits to be joined."""
SIZES = (64, 32, 16, 8, 4, 2, 1)
"""Events inserted by one statement. Python's lock is given up for every statement, and a busy loop is slow to give it
back: a statement an event cost 5 % of the calls a second at 256 in flight."""
LOOK_S, LOOK_EVERY_S = 1.0, 0.01
"""How long the lock of a log is waited for: whoever only looks whether a run is going has it for a moment."""
PATIENCE_S, AGAIN_S = 30.0, 0.5
"""How long a group that finds the disk full is kept, and how often it is tried again."""

Durability = Literal["process", "full"]
"""What a commit survives: the end of the process, or a power loss, too."""
SYNCHRONOUS: dict[Durability, str] = {"process": "NORMAL", "full": "FULL"}


@cache
def _insert(rows: int) -> str:
    row = f"({', '.join('?' * COLUMNS)})"
    return f"INSERT INTO events VALUES {', '.join([row] * rows)}"  # noqa: S608 - marks alone


class SqliteLog:
    """An EventLog over one SQLite file; made by `open_log`."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        clock: Clock,
        *,
        patience_s: float = PATIENCE_S,
        hide: Callable[[str], str] | None = None,
    ) -> None:
        self.path = path
        self._hide = hide
        self._scribe = Scribe(clock, hide)
        self._closed = False
        self._connection = connection
        self.clock = clock
        self._patience_s = patience_s
        self._rows: list[Row] = []
        self._notes: dict[str, str] = {}
        noted = connection.execute("SELECT value FROM meta WHERE key = ?", (schema.RUN,)).fetchone()
        self.run = RunId(noted[0])
        """The run's id."""
        self._scope = outermost().within(run=self.run)
        self._last = int(connection.execute("SELECT coalesce(max(sequence), 0) FROM events").fetchone()[0])
        self.found = self._last
        """Sequence of the newest event that was there when it was opened."""
        self._durable = Durable(self._last)
        self._more = asyncio.Event()
        self._busy = False
        self._broken: LogError | None = None
        self._thread = ThreadPoolExecutor(1, "log")  # a thread of its own: half the CPU of anyio's for every commit
        self._reader: LogReader | None = None

    @property
    def closed(self) -> bool:
        """Whether nothing can be appended any more: it was closed, or the file has failed."""
        return self._closed or self._broken is not None

    def append(
        self,
        message: Message,
        *,
        sender: str,
        conversation: ConversationId = WHOLE_RUN,
        cause: int | None = None,
        recipients: tuple[str, ...] = (),
    ) -> int:
        """Take an event and return its sequence at once; raises LogError once nothing can be written."""
        if self._broken is not None:
            raise self._broken
        if self._closed:
            raise LogError(f"{self.path} is closed: {message.kind} came too late")
        self._rows.append(self._scribe.row(self._last + 1, message, sender, conversation, cause, recipients))
        self._last += 1  # now that it has turned out to be one that can be written down
        self._more.set()
        return self._last

    def take(self, row: Row) -> int:
        """Take an event that another process has put down, whose own sequence does not count; as `append` does."""
        if self._broken is not None:
            raise self._broken
        if self._closed:
            raise LogError(f"{self.path} is closed: {row[5]} came too late")
        _, conversation, cause, sender, recipients, kind, body, time_s, landmark, digest = row
        if self._hide is not None:  # the other process may know fewer secrets
            body = self._hide(body)
        self._last += 1
        self._rows.append((self._last, conversation, cause, sender, recipients, kind, body, time_s, landmark, digest))
        self._more.set()
        return self._last

    def keep(self, digest: str, text: str) -> None:
        """Keep a text under its digest, once; raises UnicodeEncodeError for one that cannot be written down."""
        self._scribe.keep(digest, text)

    async def drain(self) -> None:
        """Wait until there is room for more events."""
        if len(self._rows) >= BACKLOG:
            await self.durable(self._last)

    async def flush(self) -> None:
        """Wait until everything is committed; raises as `durable` does."""
        await self.durable(self._last)

    async def durable(self, sequence: int) -> None:
        """Wait until an event is committed; raises LogError where it could not be."""
        await self._durable.until(sequence)

    def events(self, conversation: ConversationId | None = None, kinds: tuple[str, ...] = ()) -> Iterator[Event]:
        """Return committed events in order of sequence."""
        return self._reading().events(conversation, kinds)

    def text(self, digest: str) -> str:
        """Return a kept text; raises KeyError where there is none."""
        return self._reading().text(digest)

    def note(self, **facts: str) -> None:
        """Note something about the run as a whole, in place of what was noted before; written with the next group."""
        if self.closed:
            return
        hide = self._hide
        self._notes.update(facts if hide is None else {name: hide(text) for name, text in facts.items()})
        self._more.set()

    async def write(self) -> None:
        """Write groups until cancelled; the one task that writes. Raises LogError when the file fails."""
        while True:
            await self._more.wait()
            if self._busy:
                await asyncio.sleep(GATHER_S)
            self._more.clear()
            await self._write_group()

    async def finish(self) -> None:
        """Write what is left and close the file."""
        try:
            while (self._rows or self._notes) and self._broken is None:
                await self._write_group()
        finally:
            self._closed = True
            if self._reader is not None:
                self._reader.close()
            self._thread.shutdown()
            if self._broken is None:
                self._fold_in()
            self._connection.close()

    def _fold_in(self) -> None:
        """Leave one file behind, unless somebody is reading: then the write-ahead log stays beside it."""
        self._connection.execute("PRAGMA busy_timeout = 0")
        with suppress(sqlite3.Error):  # whatever it is, all that is written is written
            self._connection.execute("PRAGMA journal_mode = DELETE")

    async def _write_group(self) -> None:
        rows, self._rows = self._rows, []
        texts = self._scribe.texts()
        notes, self._notes = self._notes, {}
        if not rows and not texts and not notes:
            return
        self._busy = len(rows) >= MANY
        try:
            with anyio.CancelScope(shield=True):  # rows taken are rows written, whoever is cancelled meanwhile
                await self._commit_patiently(rows, texts, notes)
        except Exception as error:
            self._broken = self._given_up(error, rows + self._rows)
            self._broken.__cause__ = error
            self._durable.end(self._broken)
            raise self._broken from error
        if rows:
            self._durable.reached(rows[-1][0])

    async def _commit_patiently(self, rows: list[Row], texts: list[tuple[str, str]], notes: dict[str, str]) -> None:
        """Commit; where that fails for a reason that can pass, such as a full disk, try again for a while."""
        until_s: float | None = None
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, rows, texts, notes)
            except sqlite3.Error as error:
                now_s = self.clock.monotonic_s()
                if not passes(error) or (until_s is not None and now_s >= until_s):
                    raise
                if until_s is None:
                    until_s = now_s + self._patience_s
                    self._scope.warning(
                        "log_waits", path=str(self.path), reason=str(error), for_s=self._patience_s, events=len(rows)
                    )
                await self.clock.sleep(AGAIN_S)
            else:
                if until_s is not None:
                    self._scope.info("log_goes_on", path=str(self.path))
                return

    def _given_up(self, error: Exception, rows: list[Row]) -> LogError:
        """Return what is told to all who wait, and come: what went wrong, what is lost by it, and what to do."""
        answered = sum(row[5] == "model_called" and (row[9] is not None or '"text":' in row[6]) for row in rows)
        calls = f", {answered:,} answered model calls among them, which will be asked again" if answered else ""
        hint = "make room" if passes(error) else "see to that"
        return LogError(
            f"{self.path} cannot be written: {error}. {len(rows):,} events are lost{calls}; what was written before is "
            f"safe. To go on, {hint} and start the same command again"
        )

    def _commit(self, rows: list[Row], texts: list[tuple[str, str]], notes: dict[str, str]) -> None:
        with self._connection:
            if notes:
                self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", notes.items())
            if texts:
                self._connection.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", texts)
            at = 0
            for size in SIZES:
                statement = _insert(size)
                while len(rows) - at >= size:
                    self._connection.execute(statement, [value for row in rows[at : at + size] for value in row])
                    at += size

    def _reading(self) -> LogReader:
        if self._reader is None:
            self._reader = LogReader(self.path)
        return self._reader


async def _locked(path: Path) -> BaseFileLock:
    """Return the lock of a log, held; raises as `open_log` does."""
    lock = FileLock(lock_of(path), timeout=0)
    with anyio.move_on_after(LOOK_S):
        while True:
            try:
                lock.acquire()
            except Timeout:
                await anyio.sleep(LOOK_EVERY_S)
            except OSError as error:
                raise LogError(f"{path} cannot be opened: {error.strerror or error}") from error
            else:
                return lock
    raise DeclarationError(f"{path.parent} is being played by another process")


@asynccontextmanager
async def open_log(
    path: Path,
    *,
    clock: Clock | None = None,
    durability: Durability = "process",
    patience_s: float = PATIENCE_S,
    hide: Callable[[str], str] | None = None,
) -> AsyncGenerator[SqliteLog, None]:
    """Open a log for writing, new or with what it holds, and close it with everything written.

    Args:
        path: The file.
        clock: In place of the machine's.
        durability: What a commit survives; `full` costs a sync of the file a group.
        patience_s: How long a full disk is waited for.
        hide: Takes what must not be written out of every body, text and note; JSON stays JSON.

    Raises:
        DeclarationError: another process writes it.
        LogError: the file is not a log, is damaged, is of a newer version, or cannot be written.
    """
    lock = await _locked(path)
    try:
        async with _opened(path, durability, partial(SqliteLog, path, patience_s=patience_s, hide=hide), clock) as log:
            yield log
    finally:
        lock.release()


@asynccontextmanager
async def _opened(
    path: Path,
    durability: Durability,
    make: Callable[[sqlite3.Connection, Clock], SqliteLog],
    clock: Clock | None,
) -> AsyncGenerator[SqliteLog, None]:
    try:
        connection = sqlite3.connect(path, check_same_thread=False)
        try:
            schema.check(connection, path)
            refuse_damaged(connection, path)
            connection.execute("PRAGMA page_size = 16384")  # rows of a kilobyte: half the CPU of 4096, measured
            schema.migrate(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS[durability]}")
            log = make(connection, clock or SystemClock())
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise unwritable(path, error) from error
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log.write)
            yield log
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await log.finish()

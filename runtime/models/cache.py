"""Answers that were paid for once, by all that makes them what they are.

The address of an answer is a digest over the endpoint, the model, every message, every parameter, the schema, the way
it was asked for, and the sample number. Only what can be had again is kept: answers that were chosen at random are not,
unless a seed or a sample number says which of them is meant; nor are failed, refused, filtered and cut-off ones.
"""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path

import anyio
import anyio.to_thread
import orjson

from ...protocols.errors import LogError
from ...protocols.models import Completion, ModelCall, ModelSettings, TokenLogprob, Usage
from ..secrecy import hide_json
from ..tracing import scope
from .endpoints import Endpoint
from .wire import body

LARGEST = 2**30
"""Bytes of a cache; past them the answers not used for longest go."""
KEPT_SHARE = 0.8
"""What is left of a cache that has grown too large."""
FLUSH_S = 1.0
LOCKED_TRIES, LOCKED_S = 100, 0.05
"""How often, and how far apart, it is tried to open a file that another process is making."""
SCHEMA = """
    CREATE TABLE IF NOT EXISTS answers (
        address BLOB NOT NULL UNIQUE,
        answer BLOB NOT NULL,
        used INTEGER PRIMARY KEY AUTOINCREMENT
    );
"""


def repeatable(settings: ModelSettings) -> bool:
    """Whether the same question has the same answer: without chance, or with its outcome named."""
    return settings.temperature == 0 or settings.seed is not None or settings.sample is not None


def address(endpoint: Endpoint, call: ModelCall) -> bytes:
    """Return the digest, 16 bytes, of all that makes an answer what it is; who pays is no part of it.

    The request is taken byte by byte: a model answers the fields of a schema in their order.

    Raises:
        CallRefused: a message cannot be written.
    """
    where = endpoint.weights or endpoint.base_url.rstrip("/")
    beside = orjson.dumps([where, endpoint.api_version, str(call.settings.sample)])
    return blake2b(beside + b"\n" + body(endpoint, call, endpoint.tier), digest_size=16).digest()


class AnswerCache:
    """A cache of answers in one file, which many runs may use at once; made by `open_cache`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, largest: int) -> None:
        self.path = path
        self._connection = connection
        self._largest = largest
        self._fresh: dict[bytes, bytes] = {}
        self._leaving: dict[bytes, bytes] = {}
        """Answers that are being written."""
        self._warned = False
        self._used: set[bytes] = set()
        self.hits = 0

    def get(self, where: bytes) -> Completion | None:
        """Return an answer, as it costs now: nothing. What a damaged file does not give back is not there."""
        try:
            answer = self._fresh.get(where) or self._leaving.get(where) or self._read(where)
            known = _restored(answer) if answer is not None else None
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            self._warn(error)
            return None
        if known is not None:
            self.hits += 1
        return known

    def put(self, where: bytes, completion: Completion) -> None:
        """Keep an answer, where it is whole; it is written soon."""
        if completion.finish_reason not in ("stop", "tool_calls") or not completion.text.strip():
            return
        facts = {
            "text": completion.text,
            "finish_reason": completion.finish_reason,
            "served_by": completion.served_by,
            "reasoning": completion.reasoning,
            "logprobs": [token.model_dump() for token in completion.logprobs] if completion.logprobs else None,
            "tier": completion.tier,
        }
        self._fresh[where] = hide_json(orjson.dumps(facts).decode()).encode()

    async def write(self) -> None:
        """Write what is kept, now and then, until cancelled."""
        while True:
            await anyio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what is kept and not written."""
        fresh, used = self._fresh, self._used
        if not fresh and not used:
            return
        self._used = set()
        self._fresh, self._leaving = {}, fresh
        try:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._write, fresh, used)
        except sqlite3.Error as error:  # what cannot be kept has to be asked for again: no reason to end a run
            scope().warning("cache_not_written", path=str(self.path), answers=len(fresh), reason=str(error))
        finally:
            self._leaving = {}

    def _warn(self, error: Exception) -> None:
        """Say once that the file does not give back all it was given."""
        if not self._warned:
            self._warned = True
            scope().warning("cache_not_read", path=str(self.path), reason=f"{type(error).__name__}: {error}")

    def _read(self, where: bytes) -> bytes | None:
        # On the loop's thread: an indexed read takes 10 us, handing it to another thread 130.
        row = self._connection.execute("SELECT answer FROM answers WHERE address = ?", (where,)).fetchone()
        if row is None:
            return None
        self._used.add(where)
        return bytes(row[0])

    def _write(self, fresh: dict[bytes, bytes], used: set[bytes]) -> None:
        """Write answers; those that were used move to the end of the line."""
        connection = sqlite3.connect(self.path, timeout=30)
        try:
            with connection:
                rows = list(fresh.items())
                for where in used - fresh.keys():
                    row = connection.execute("SELECT answer FROM answers WHERE address = ?", (where,)).fetchone()
                    rows += [(where, row[0])] if row else []
                connection.executemany("INSERT OR REPLACE INTO answers (address, answer) VALUES (?, ?)", rows)
            self._bound(connection)
        finally:
            connection.close()

    def _bound(self, connection: sqlite3.Connection) -> None:
        pages, free, size = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size <= self._largest:
            return
        with connection:
            count = int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])
            gone = count - int(count * KEPT_SHARE)
            connection.execute(
                "DELETE FROM answers WHERE used IN (SELECT used FROM answers ORDER BY used LIMIT ?)", (gone,)
            )


def _restored(answer: bytes) -> Completion:
    facts = orjson.loads(answer)
    logprobs = facts["logprobs"]
    return Completion(
        text=facts["text"],
        finish_reason=facts["finish_reason"],
        served_by=facts["served_by"],
        usage=Usage(),
        reasoning=facts["reasoning"],
        logprobs=tuple(TokenLogprob.model_validate(token) for token in logprobs) if logprobs else None,
        tier=facts["tier"],
        cost_usd=0.0,
        source="cache",
    )


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the table where there is none; raises sqlite3.DatabaseError before it touches a file of something else."""
    tables = {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables - {"answers", "sqlite_sequence"}:
        raise sqlite3.DatabaseError("it is a database of something else")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA)
    connection.execute("SELECT address, answer, used FROM answers LIMIT 0")


async def _prepared(connection: sqlite3.Connection) -> None:
    """Prepare a file, as soon as no other process does: SQLite does not wait for that by itself."""
    for _ in range(LOCKED_TRIES):
        try:
            return _prepare(connection)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
        await anyio.sleep(LOCKED_S)
    return _prepare(connection)


@asynccontextmanager
async def open_cache(path: Path, *, largest: int = LARGEST) -> AsyncGenerator[AnswerCache, None]:
    """Open a cache, new or with what it holds, and close it with everything written.

    Raises:
        LogError: the file cannot be opened, or is something else.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
        try:
            await _prepared(connection)
        except BaseException:
            connection.close()
            raise
    except (OSError, sqlite3.Error) as error:
        raise LogError(f"the cache {path} cannot be opened: {error}; --no-cache does without") from error
    answers = AnswerCache(path, connection, largest)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answers.write)
            yield answers
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await answers.flush()
        connection.close()

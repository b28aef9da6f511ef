"""Reading a log, also while its run is still going."""

from array import array
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from weakref import finalize

import orjson

from ...protocols.events import Event
from ...protocols.identity import ConversationId, RunId
from . import schema
from .faults import damaged, reading
from .opening import held, opened
from .texts import is_own, whole

if TYPE_CHECKING:
    from .scribe import Row as Stored

BOUNDS = "kind IN ('item_opened', 'item_resumed', 'item_finished', 'item_failed')"
WRITTEN_OFF = "written_off"
"""Key of a note: US dollars and tokens, with a space between them."""
COLUMNS = "sequence, conversation, cause, sender, recipients, kind, body, time_s"
TEXT = "(SELECT text FROM texts WHERE digest = text_digest)"

Row = tuple[int, str, int | None, str, str, str, str, float, str | None, str | None]
Body = tuple[int, str, str, str, str, str | None]
"""Sequence, conversation, sender, kind and body of an event; and the digest of its text, where the body is without."""
Committed = tuple[int, str, int | None, str, str, str, float, str | None, str | None]
"""Sequence, conversation, cause, sender, kind, body, time; digest and words of its text, where that lies apart."""
Entry = tuple[int, str, int | None, str, str, str, str, float]
"""Sequence, conversation, cause, sender, recipients with commas, kind, body and time of an event."""


class LogReader:
    """A reader of committed events; events are streamed, never held."""

    def __init__(self, path: Path) -> None:
        """Open a log for reading.

        Raises:
            LogError: there is no log at this path, or none that this version can read.
        """
        self.path = path
        self._connection = opened(path)

    @classmethod
    def of(cls, data: bytes, path: Path) -> Self:
        """Return a reader of a log in memory, such as an excerpt; it need not be closed.

        Args:
            data: The bytes of the log.
            path: Of the log that they were taken from, for words in errors; nothing need be there.

        Raises:
            LogError: they are no log, or none that this version can read.
        """
        reader = cls.__new__(cls)
        reader.path = path
        reader._connection = connection = held(data, path)  # noqa: SLF001 - its own
        finalize(reader, connection.close)
        return reader

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def events(self, conversation: ConversationId | None = None, kinds: tuple[str, ...] = ()) -> Iterator[Event]:
        """Return committed events in order of sequence, of one conversation or all, of some kinds or all."""
        where: list[str] = []
        values: list[str | int] = []
        if conversation is not None:
            where.append("sequence BETWEEN ? AND ? AND conversation = ?")
            values += [*self._range(conversation), conversation]
        if kinds:
            where.append(self._of(kinds))
            values += kinds
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        query = f"SELECT {self._columns} FROM events{condition} ORDER BY sequence"  # noqa: S608 - placeholders only
        for row in self._rows(query, *values):
            yield self._event(row)

    def _range(self, conversation: ConversationId) -> tuple[int, int]:
        """Return between which events those of a conversation lie."""
        query = (
            f"SELECT kind, max(sequence) FROM events WHERE {BOUNDS}{self._marked} AND conversation = ? "  # noqa: S608 - constants
            "GROUP BY kind"
        )
        found: dict[str, int] = dict(self._rows(query, conversation))
        first, resumed = found.pop("item_opened", 0), found.pop("item_resumed", 0)
        last = max(found.values(), default=0)
        return first, last if last > resumed else schema.NO_END

    def bodies(
        self, kinds: tuple[str, ...], *, with_text: tuple[str, ...] = (), until: int = schema.NO_END
    ) -> Iterator[Body]:
        """Return the events of some kinds, in order of sequence, for folds over all of them.

        Args:
            kinds: Which.
            with_text: Those of them whose text is wanted; of the others a long text is left where it lies.
            until: The last sequence.
        """
        text, digest = "NULL", "NULL"
        if self._version >= schema.APART:
            wanted = ", ".join("?" * len(with_text))
            text, digest = f"CASE WHEN kind IN ({wanted}) THEN {TEXT} END", "text_digest"
        else:
            with_text = ()
        query = (
            f"SELECT sequence, conversation, sender, kind, body, {digest}, {text} FROM events "  # noqa: S608 - placeholders only
            f"WHERE {self._of(kinds)} AND sequence <= ? ORDER BY sequence"
        )
        for row in self._rows(query, *with_text, *kinds, until):
            if row[5] is None or row[3] not in with_text:
                yield row[:6]
            else:
                yield *row[:4], self._whole(row[4], row[5], row[6], row[0]), None

    def since(self, sequence: int, most: int, without_text: tuple[str, ...] = ()) -> Iterator[Committed]:
        """Return the events after one, in order of sequence, at most so many, for tables that grow with the log.

        Args:
            sequence: The one.
            most: How many at the most.
            without_text: Kinds whose long texts are left where they lie.
        """
        text, digest, values = "NULL", "NULL", list[str]()
        if self._version >= schema.APART:
            unwanted = ", ".join("?" * len(without_text))
            text, digest = f"CASE WHEN kind NOT IN ({unwanted}) THEN {TEXT} END", "text_digest"
            values += without_text
        query = (
            f"SELECT sequence, conversation, cause, sender, kind, body, time_s, {digest}, {text} FROM events "  # noqa: S608 - placeholders only
            "WHERE sequence > ? ORDER BY sequence LIMIT ?"
        )
        for row in self._rows(query, *values, sequence, most):
            if row[7] is not None and row[4] not in without_text and (row[8] is None or not is_own(row[7], row[8])):
                self._whole(row[5], row[7], row[8], row[0])
            yield row

    def digest_at(self, sequence: int) -> str | None:
        """Return what stands for an event and all that is in it; none where it is not there."""
        digest = "text_digest" if self._version >= schema.APART else "NULL"
        row = self._row(f"SELECT {COLUMNS}, {digest} FROM events WHERE sequence = ?", sequence)  # noqa: S608 - constants
        return blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest() if row else None

    def entries(
        self,
        after: int = 0,
        *,
        most: int = schema.NO_END,
        conversation: ConversationId | None = None,
        with_text: bool = False,
    ) -> Iterator[Entry]:
        """Return events that come after one, in order of sequence: for whoever follows a run, at the least cost.

        Args:
            after: The last sequence that is known already.
            most: How many.
            conversation: Only those of one.
            with_text: Whether long texts are wanted; else they are left where they lie.
        """
        where, values = "sequence > ?", [after]
        if conversation is not None:
            first, last = self._range(conversation)
            where, values = "sequence BETWEEN ? AND ? AND conversation = ?", [max(after + 1, first), last]
        named = () if conversation is None else (conversation,)
        apart = f", text_digest, {TEXT}" if with_text and self._version >= schema.APART else ""
        query = f"SELECT {COLUMNS}{apart} FROM events WHERE {where} ORDER BY sequence LIMIT ?"  # noqa: S608 - constants
        rows = self._rows(query, *values, *named, most)
        if not apart:
            yield from rows
            return
        for row in rows:
            if row[8] is not None:
                yield *row[:6], self._whole(row[6], row[8], row[9], row[0]), row[7]
            else:
                yield row[:8]

    def set_aside(self, until: int) -> set[int]:
        """Return the sequences of outcomes that do not count any more, as far as is said up to an event."""
        found = self.bodies(("outcome_set_aside",), until=until)
        return {orjson.loads(body)["outcome"] for _, _, _, _, body, _ in found}

    def last(self) -> int:
        """Return the sequence of the newest event; 0 where there is none."""
        return int(self._row("SELECT coalesce(max(sequence), 0) FROM events")[0])

    def count(self, kind: str, by: str | None = None) -> dict[str, int]:
        """Return how many events of a kind there are, by a field of their body such as `$.cause.error`."""
        values = f"SELECT coalesce(json_extract(body, ?), ''), count(*) FROM events WHERE {self._of((kind,))}"  # noqa: S608 - placeholders only
        query = f"{values} GROUP BY 1 ORDER BY 1"
        return {str(value): int(count) for value, count in self._rows(query, by or "$.none", kind)}

    def spent(self) -> tuple[float, int]:
        """Return US dollars and tokens of all calls that this run made, as far as they are known.

        What was written off beside them is in it; what another run has paid for is not.
        """
        query = (
            "SELECT coalesce(total(json_extract(body, '$.cost_usd')), 0), coalesce(sum("
            "json_extract(body, '$.usage.input_tokens') + json_extract(body, '$.usage.output_tokens')), 0) "
            "FROM events WHERE kind = 'model_called' AND json_extract(body, '$.source') NOT IN ('recording', 'earlier')"
        )
        usd, tokens = self._row(query)
        off_usd, off_tokens = self.written_off()
        return float(usd) + off_usd, int(tokens) + off_tokens

    def written_off(self) -> tuple[float, int]:
        """Return US dollars and tokens of requests that may have been billed, and nobody says how much."""
        noted = self.meta(WRITTEN_OFF)
        if noted is None:
            return 0.0, 0
        usd, tokens = noted.split()
        return float(usd), int(tokens)

    def positions(
        self, conversations: Iterable[ConversationId] | None = None, since: int = 0
    ) -> "dict[ConversationId, array[int]]":
        """Return the sequences of the events of some conversations, or of all, from one event on; in one pass."""
        wanted = None if conversations is None else set(conversations)
        found: dict[ConversationId, array[int]] = {}
        if wanted is not None and not wanted:
            return found
        query = "SELECT sequence, conversation FROM events WHERE sequence >= ? AND conversation != '' ORDER BY sequence"
        for sequence, name in self._rows(query, since):
            if wanted is None or name in wanted:
                found.setdefault(ConversationId(name), array("q")).append(sequence)
        return found

    def landmarks(self, kinds: tuple[str, ...]) -> Iterator[tuple[int, ConversationId, str]]:
        """Return sequence, conversation and kind of the events of some kinds, in order; of landmarks by index alone."""
        query = f"SELECT sequence, conversation, kind FROM events WHERE {self._of(kinds)} ORDER BY sequence"  # noqa: S608 - placeholders only
        for sequence, conversation, kind in self._rows(query, *kinds):
            yield sequence, ConversationId(conversation), kind

    def at(self, sequences: Iterable[int]) -> Iterator[Event]:
        """Return events by their sequence, in the order asked for."""
        query = f"SELECT {self._columns} FROM events WHERE sequence = ?"  # noqa: S608 - constants
        for sequence in sequences:
            for row in self._rows(query, sequence) if sequence <= schema.NO_END else ():
                yield self._event(row)

    def stored(self, sequences: Iterable[int]) -> "Iterator[Stored]":
        """Return events by their sequence, in the order asked for, as the present version stores them."""
        digest = "text_digest" if self._version >= schema.APART else "NULL"
        query = (
            f"SELECT {COLUMNS}, {digest} FROM json_each(?) AS wanted CROSS JOIN events ON sequence = wanted.value "  # noqa: S608 - constants
            "ORDER BY wanted.key"
        )
        for *row, text_digest in self._rows(query, orjson.dumps(list(sequences)).decode()):
            yield (*row, 1 if row[5] in schema.LANDMARKS else None, text_digest)  # pyright: ignore[reportReturnType]

    def texts(self, digests: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Return digest and words of kept texts, as far as they are there."""
        query = "SELECT digest, text FROM texts WHERE digest IN (SELECT value FROM json_each(?))"
        yield from self._rows(query, orjson.dumps(list(digests)).decode())

    def newest(self, kind: str) -> Event | None:
        """Return the newest event of a kind."""
        query = f"SELECT {self._columns} FROM events WHERE {self._of((kind,))} ORDER BY sequence DESC LIMIT 1"  # noqa: S608 - constants
        row = self._row(query, kind)
        return self._event(row) if row else None

    def text(self, digest: str) -> str:
        """Return a kept text; raises KeyError where there is none."""
        row = self._row("SELECT text FROM texts WHERE digest = ?", digest)
        if not row:
            raise KeyError(digest)
        text = str(row[0])
        if not is_own(digest, text):
            raise damaged(self.path, f"the text {digest} is not what it was")
        return text

    def run_id(self) -> RunId:
        """Return the run's id, 16 hexadecimal digits; of a log from before version 4, made from its first event."""
        noted = self.meta(schema.RUN)
        if noted is None:
            noted = schema.id_before(self._row("SELECT body, time_s FROM events ORDER BY sequence LIMIT 1"))
        return RunId(noted)

    def meta(self, key: str) -> str | None:
        """Return what is noted about the run under a key."""
        row = self._row("SELECT value FROM meta WHERE key = ?", key)
        return str(row[0]) if row else None

    def _of(self, kinds: tuple[str, ...]) -> str:
        """Return the condition for some kinds, in a form that finds the index where there is one for them."""
        condition = f"kind IN ({','.join('?' * len(kinds))})"
        return f"{condition}{self._marked}" if schema.LANDMARKS.issuperset(kinds) else condition

    @property
    def _version(self) -> int:
        """The version of the log, asked for anew: whoever goes on with an older one migrates it under its readers."""
        return int(self._row("PRAGMA user_version")[0])

    @property
    def _marked(self) -> str:
        """The condition that landmarks are marked: a log that nobody has gone on with since version 1 has no marks."""
        return " AND landmark IS NOT NULL" if self._version >= schema.MARKED else ""

    @property
    def _columns(self) -> str:
        """The columns of an event, with its text where that lies apart."""
        return f"{COLUMNS}, {f'text_digest, {TEXT}' if self._version >= schema.APART else 'NULL, NULL'}"

    def _event(self, row: Row) -> Event:
        sequence, conversation, cause, sender, recipients, kind, body, time_s, digest, text = row
        try:
            to = tuple(recipients.split(",")) if recipients else ()
            if digest is not None:
                body = self._whole(body, digest, text, sequence)
        except (AttributeError, TypeError) as error:
            raise damaged(self.path, f"event {sequence} is not what it was") from error
        return Event(sequence, ConversationId(conversation), cause, sender, to, kind, body, time_s)

    def _rows(self, query: str, *values: str | int) -> Iterator[Any]:
        with reading(self.path):
            for row in self._connection.execute(query, values):  # noqa: UP028 - that would close a cursor whose log is closed
                yield row

    def _row(self, query: str, *values: str | int) -> tuple[Any, ...]:
        """Return the one row that a query finds; an empty one where there is none."""
        with reading(self.path):
            return self._connection.execute(query, values).fetchone() or ()

    def _whole(self, body: str, digest: str, text: str | None, sequence: int) -> str:
        if text is None:
            raise damaged(self.path, f"the text {digest} of event {sequence} is not there")
        if not is_own(digest, text):
            raise damaged(self.path, f"the text {digest} of event {sequence} is not what it was")
        return whole(body, text)

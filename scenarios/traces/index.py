"""A run's log, folded into tables in which conversations are listed, sorted, filtered and searched by SQL.

The log is only read. The tables lie in a file of their own in the user's cache, and take in what was written to the
log since they were last looked at; of another log than they were made from they know it, and are made anew.
"""

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from ...protocols.errors import LogError
from ...protocols.identity import ConversationId
from ...runtime.log import LogReader
from ...runtime.log.faults import code_of
from ..directory import LOG
from . import queries, searching
from .indexing import Taking
from .judged import Judged, judged
from .kept import UNSOUND, UNWRITABLE, Tables, tidy
from .listing import Found, Overview, Page, Vote, Wanted
from .models import models_of

SLICE = 8_000
"""Events that are written at once: less than a second, and some 20 MB, whatever the log holds."""
WITHOUT_TEXT = ("model_called",)
"""Kinds whose texts nobody looks for: what a model answered is said in the message that follows."""
ResultT = TypeVar("ResultT")


class Index:
    """The tables of one run. One thread at a time uses it; any number of them, and processes, may be open at once."""

    def __init__(self, run: Path, folder: Path | None = None) -> None:
        """Open the tables of a run, without taking in anything yet.

        Args:
            run: The run's directory.
            folder: Where the tables lie; none: the user's cache.

        Raises:
            LogError: there is no log, or none that can be read; or no index can be made.
        """
        self.run = run
        self.log = LogReader(run / LOG)
        try:
            self._tables = Tables(run / LOG, self.log.run_id(), folder)
        except BaseException:
            self.log.close()
            raise
        tidy(self._tables.path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the tables and the log."""
        self._tables.close()
        self.log.close()

    def refresh(self, most: int | None = None) -> int:
        """Take in what was committed to the log since, at most so many events; returns how many were taken in.

        Whoever calls it until it returns 0 has all. A log that is not the one known before begins anew.

        Raises:
            LogError: the log is damaged, or no index can be written.
        """
        taken = 0
        while most is None or taken < most:
            wanted = SLICE if most is None else min(SLICE, most - taken)
            found = self._soundly(partial(self._take_in, wanted))
            taken += found
            if found < wanted:
                break
        self._tables.touch()
        return taken

    def _take_in(self, most: int) -> int:
        tables = self._tables
        try:
            if self.log.last() == tables.mark()[0] and self._is_of_this_log():
                return 0
            with tables.writing():
                return self._take_slice(most)
        except sqlite3.OperationalError as error:
            if code_of(error) not in UNWRITABLE:
                raise LogError(f"the index {tables.path} cannot be written: {error}") from error
            tables.elsewhere(error)
            return self._take_in(most)

    def _is_of_this_log(self) -> bool:
        """Return whether the last event that was taken in stands in the log as it did."""
        sequence, _, digest = self._tables.mark()
        return not sequence or self.log.digest_at(sequence) == digest

    def _take_slice(self, most: int) -> int:
        """Take in the next events, within a transaction; nobody else has taken them in meanwhile."""
        tables = self._tables
        if not self._is_of_this_log():
            tables.make_anew()
        after = tables.mark()[0]
        taking, taken, event = Taking(tables.db, self.log), 0, None
        for event in self.log.since(after, most, WITHOUT_TEXT):
            taking.take(event)
            taken += 1
            if not after and taken == 1:
                tables.db.execute("INSERT OR REPLACE INTO facts VALUES ('began', ?)", (event[6],))
        if event is not None:
            taking.write()
            mark = (event[0], event[6], self.log.digest_at(event[0]))
            tables.db.execute("INSERT OR REPLACE INTO mark VALUES (1, ?, ?, ?)", mark)
        return taken

    def _soundly(self, work: Callable[[], ResultT]) -> ResultT:
        """Work on the tables; where their file is not sound, on new ones, which take in the whole log first."""
        try:
            return work()
        except sqlite3.DatabaseError as error:
            if code_of(error) not in UNSOUND:
                raise LogError(f"the index {self._tables.path} cannot be read: {error}") from error
        self._tables.discard()
        while self._take_in(SLICE) == SLICE:
            pass
        return work()

    def _read(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        def reading() -> ResultT:
            with self._tables.reading() as db:
                return work(db)

        return self._soundly(reading)

    @property
    def taken_in(self) -> int:
        """Sequence of the last event that was taken in."""
        return self._soundly(lambda: self._tables.mark()[0])

    def overview(self) -> Overview:
        """Return the run as a whole."""
        return self._read(queries.overview)

    def page(self, wanted: Wanted, offset: int = 0, limit: int = 50) -> Page:
        """Return some of the conversations that are wanted; raises DeclarationError for an unknown `sort`."""
        return self._read(lambda db: queries.page(db, wanted, offset, limit))

    def conversations(self, item: str) -> tuple[ConversationId, ...]:
        """Return the conversations about an item, the oldest first; none where there is no such item."""
        return self._read(lambda db: queries.conversations(db, item))

    def neighbours(
        self, conversation: ConversationId, wanted: Wanted
    ) -> tuple[ConversationId | None, ConversationId | None]:
        """Return the conversations before and after one, in the order wanted."""
        return self._read(lambda db: queries.neighbours(db, conversation, wanted))

    def conversation_of(self, sequence: int) -> ConversationId | None:
        """Return the conversation that an event belongs to; none where it is of no conversation, or not there."""
        event = next(iter(self.log.at([sequence])), None)
        return event.conversation or None if event is not None else None

    def search(self, text: str, offset: int = 0, limit: int = 20) -> Found:
        """Return messages in which all these words stand, the best first; the newest, where there are very many.

        Words in quotes stand together; `-word` excludes; a word that ends in `*` stands for all that begin with it.
        Nothing else has a meaning: no text is a mistake.
        """
        return self._read(lambda db: searching.search(db, self.log, text, max(0, offset), max(0, limit)))

    def judges(self) -> Judged:
        """Return how those who judged have judged."""

        def found(db: sqlite3.Connection) -> Judged:
            return judged(queries.votes(db), queries.scored(db), models_of(self.log))

        return self._read(found)

    def votes(self) -> Iterator[Vote]:
        """Return the last vote of each voter in conversations that count, in order of the items.

        Those on two drafts are among them.
        """
        return iter(self._read(lambda db: tuple(queries.votes(db))))

"""A run's log, folded into tables in which conversations are listed, sorted, filtered and searched by SQL.

The log is only read. The tables lie in a file of their own in the user's cache, and take in what was written to the
log since they were last looked at; of another log than they were made from they know it, and are made anew.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from ...protocols.identity import ConversationId
from ...runtime.log import LogReader
from .listing import Found, Overview, Page, Wanted


class Index:
    """The tables of one run. One thread at a time uses it."""

    def __init__(self, run: Path, folder: Path | None = None) -> None:
        """Open the tables of a run, without taking in anything yet.

        Args:
            run: The run's directory.
            folder: Where the tables lie; none: the user's cache.

        Raises:
            LogError: there is no log, or none that can be read.
        """
        self.run = run
        self.log: LogReader
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the tables and the log."""

    def refresh(self, most: int | None = None) -> int:
        """Take in what was committed to the log since, at most so many events; returns how many were taken in.

        Whoever calls it until it returns 0 has all. A log that is not the one known before begins anew.
        """
        raise NotImplementedError

    @property
    def taken_in(self) -> int:
        """Sequence of the last event that was taken in."""
        raise NotImplementedError

    def overview(self) -> Overview:
        """Return the run as a whole."""
        raise NotImplementedError

    def page(self, wanted: Wanted, offset: int = 0, limit: int = 50) -> Page:
        """Return some of the conversations that are wanted; raises DeclarationError for an unknown `sort`."""
        raise NotImplementedError

    def conversations(self, item: str) -> tuple[ConversationId, ...]:
        """Return the conversations about an item, the oldest first; none where there is no such item."""
        raise NotImplementedError

    def neighbours(
        self, conversation: ConversationId, wanted: Wanted
    ) -> tuple[ConversationId | None, ConversationId | None]:
        """Return the conversations before and after one, in the order wanted."""
        raise NotImplementedError

    def conversation_of(self, sequence: int) -> ConversationId | None:
        """Return the conversation that an event belongs to; none where it is of no conversation, or not there."""
        raise NotImplementedError

    def search(self, text: str, offset: int = 0, limit: int = 20) -> Found:
        """Return messages in which all these words stand, the best first.

        Words in quotes stand together; `-word` excludes; a word that ends in `*` stands for all that begin with it.
        Nothing else has a meaning: no text is a mistake.
        """
        raise NotImplementedError

    def votes(self) -> "Iterator[Vote]":
        """Return the last vote of each voter in conversations that count, in order of the items."""
        raise NotImplementedError


class Vote:
    """See `votes`."""

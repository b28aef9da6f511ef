"""The log of a worker: what is said there is put down here, and is durable once the driver has it in the one log."""

from collections.abc import Callable, Iterator
from pathlib import Path

from ...protocols.errors import LogError
from ...protocols.events import Event
from ...protocols.identity import WHOLE_RUN, ConversationId
from ...protocols.messages import Message
from ...protocols.ports import Clock
from ..log.durable import Durable
from ..log.scribe import Row, Scribe

FIRST = 2**53
"""Sequences from here on are a worker's own, until the driver gives the event its place in the log."""
BACKLOG = 5_000
"""Events that may wait for the driver before those who state more have to wait: some 5 MB a worker."""

Text = tuple[str, str]
"""A text, after its digest."""


class RelayLog:
    """An EventLog that is written elsewhere. Rows stay here until they are known to be durable there."""

    def __init__(self, path: Path, clock: Clock, hide: Callable[[str], str] | None = None) -> None:
        """Make a log.

        Args:
            path: The log's file where it is written, for errors.
            clock: Tells when an event was stated.
            hide: Takes what must not be written out of every body and text; JSON stays JSON.
        """
        self.path = path
        self._scribe = Scribe(clock, hide)
        self._last = FIRST - 1
        self._durable = Durable(self._last)
        self._rows: list[Row] = []
        self._texts: list[Text] = []
        self._texts_taken = 0
        self._broken: LogError | None = None
        self.grown: Callable[[], None] = lambda: None
        """Is called when there is something to relay."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be appended any more."""
        return self._broken is not None

    def append(
        self,
        message: Message,
        *,
        sender: str,
        conversation: ConversationId = WHOLE_RUN,
        cause: int | None = None,
        recipients: tuple[str, ...] = (),
    ) -> int:
        """Take an event and return a sequence for it at once; raises LogError once nothing can be relayed."""
        if self._broken is not None:
            raise self._broken
        self._rows.append(self._scribe.row(self._last + 1, message, sender, conversation, cause, recipients))
        self._last += 1
        self.grown()
        return self._last

    def keep(self, digest: str, text: str) -> None:
        """Keep a text under its digest, once; raises UnicodeEncodeError for one that cannot be written down."""
        self._scribe.keep(digest, text)

    async def drain(self) -> None:
        """Wait until there is room for more events."""
        if len(self._rows) >= BACKLOG:
            await self.durable(self._last)

    async def flush(self) -> None:
        """Wait until everything is durable; raises as `durable` does."""
        await self.durable(self._last)

    async def durable(self, sequence: int) -> None:
        """Wait until an event is in the one log; raises LogError where it cannot come there."""
        await self._durable.until(sequence)

    def events(self, conversation: ConversationId | None = None, kinds: tuple[str, ...] = ()) -> Iterator[Event]:
        """Return nothing: what was said stands in the one log."""
        del conversation, kinds
        return iter(())

    def text(self, digest: str) -> str:
        """Raise KeyError: what is kept lies beside the one log."""
        raise KeyError(digest)

    # what goes to the driver

    def __len__(self) -> int:
        """Return how many events are not known to be durable."""
        return len(self._rows)

    def batch(self) -> tuple[list[Row], list[Text]]:
        """Return the events that are not known to be durable, in order, and the texts that they and later ones name."""
        self._texts += self._scribe.texts()
        return list(self._rows), list(self._texts)

    def taken(self, sequence: int, texts: int) -> None:
        """Take in that all up to an event is durable, and how many of all texts are: to hear it twice does no harm."""
        if texts > self._texts_taken:
            del self._texts[: texts - self._texts_taken]
            self._texts_taken = texts
        if sequence > self._durable.sequence:
            del self._rows[: sequence - self._durable.sequence]
            self._durable.reached(sequence)

    def end(self, reason: str) -> None:
        """Take no more: nobody relays it any longer."""
        self._broken = LogError(f"{self.path} cannot be reached: {reason}")
        self._durable.end(self._broken)

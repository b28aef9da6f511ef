"""Logs without a file: in memory, for tests, and none at all, for talk that nobody wants to keep."""

from collections.abc import Iterator

from ...protocols.errors import LogError
from ...protocols.events import Event
from ...protocols.identity import WHOLE_RUN, ConversationId
from ...protocols.messages import Message
from ...protocols.ports import Clock
from ..clock import SystemClock


class NoLog:
    """An EventLog that keeps nothing but count."""

    closed = False

    def __init__(self) -> None:
        self._last = 0

    def append(
        self,
        message: Message,
        *,
        sender: str,
        conversation: ConversationId = WHOLE_RUN,
        cause: int | None = None,
        recipients: tuple[str, ...] = (),
    ) -> int:
        """Return the next sequence."""
        del message, sender, conversation, cause, recipients
        self._last += 1
        return self._last

    def keep(self, digest: str, text: str) -> None:
        """Keep nothing."""

    async def drain(self) -> None:
        """Return: there is always room."""

    async def durable(self, sequence: int) -> None:
        """Return: nothing here will ever be durable."""
        del sequence

    def events(self, conversation: ConversationId | None = None, kinds: tuple[str, ...] = ()) -> Iterator[Event]:
        """Return nothing."""
        del conversation, kinds
        return iter(())

    def text(self, digest: str) -> str:
        """Raise KeyError."""
        raise KeyError(digest)


class MemoryLog:
    """An EventLog that ends with its process."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.closed = False
        self._clock = clock or SystemClock()
        self._events: list[Event] = []
        self._texts: dict[str, str] = {}

    def append(
        self,
        message: Message,
        *,
        sender: str,
        conversation: ConversationId = WHOLE_RUN,
        cause: int | None = None,
        recipients: tuple[str, ...] = (),
    ) -> int:
        """Take an event and return its sequence."""
        if self.closed:
            raise LogError(f"the log is closed: {message.kind} came too late")
        sequence = len(self._events) + 1
        body = message.model_dump_json(exclude_none=True)
        time_s = self._clock.now_s()
        self._events.append(Event(sequence, conversation, cause, sender, recipients, message.kind, body, time_s))
        return sequence

    def keep(self, digest: str, text: str) -> None:
        """Keep a text under its digest."""
        self._texts.setdefault(digest, text)

    async def drain(self) -> None:
        """Return: there is always room."""

    async def durable(self, sequence: int) -> None:
        """Return: nothing here is durable, and nothing will be more durable later."""
        del sequence

    def events(self, conversation: ConversationId | None = None, kinds: tuple[str, ...] = ()) -> Iterator[Event]:
        """Return events in order of sequence, of one conversation or all, of some kinds or all."""
        for event in tuple(self._events):
            if conversation is not None and event.conversation != conversation:
                continue
            if not kinds or event.kind in kinds:
                yield event

    def text(self, digest: str) -> str:
        """Return a kept text; raises KeyError where there is none."""
        return self._texts[digest]

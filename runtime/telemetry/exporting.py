"""A run's log, sent as spans and events: as it is, or while it is being written.

Whoever follows a run is a process of its own, so that the run pays nothing; the log is its queue: what cannot be sent
yet is not read yet.
"""

import gc
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from ...protocols.errors import LogError
from ...protocols.identity import ConversationId
from ..log import LogReader, being_written
from ..log.reader import Entry
from ..log.schema import NO_END
from .mapping import GenAI
from .otlp import SIGNALS, WHAT, Collector, Signal
from .records import Record, Sender, Span
from .spans import Spans
from .wire import happening, span

MOST_RECORDS, MOST_BYTES = 2_000, 1 << 20
"""Of one request."""
MOST_READ = 500
"""Events read at once: few enough that they, and what is made of them, are in the processor's cache for all of that."""
LOOK_EVERY_S = 0.5
"""How often somebody who follows looks for more."""
SEND_EVERY_S = 1.0
"""How long something that is ready is kept at the most, for more to go with it."""
COLLECT_EVERY = 500_000
"""Objects made, less those gone, after which the collector looks at them: spans are many, and make no cycles."""
PATIENCE_S = 30.0
"""How long sending is tried again after the fact."""
PATIENCE_AFTER_S = 10.0
"""How long after the end of a run that was followed."""


class Until(Protocol):
    """When a log has ended, as far as somebody who sends it is concerned."""

    def over(self) -> bool:
        """Whether nothing will be written any more."""
        ...

    def wait(self, seconds: float, since_s: float) -> bool:
        """Wait so long at the most; see Patience."""
        ...


class AsItIs:
    """The log as it is now."""

    def over(self) -> bool:
        """Whether nothing will be written any more: what is, is not waited for."""
        return True

    def wait(self, seconds: float, since_s: float) -> bool:
        """Wait so long at the most; see Patience."""
        left_s = since_s + PATIENCE_S - time.monotonic()
        if left_s > 0:
            time.sleep(min(seconds, left_s))
        return left_s > 0


class _Ending(ABC):
    """What those have in common who wait for an end."""

    def __init__(self) -> None:
        self._over_s: float | None = None

    @abstractmethod
    def _has_ended(self) -> bool: ...

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def over(self) -> bool:
        """Whether nothing will be written any more."""
        if self._over_s is None and self._has_ended():
            self._over_s = time.monotonic()
        return self._over_s is not None

    def wait(self, seconds: float, since_s: float) -> bool:
        """Wait so long at the most; see Patience."""
        del since_s  # while the run goes on, there is time
        if not self.over():
            self._pause(seconds)
            return True
        left_s = (self._over_s or 0.0) + PATIENCE_AFTER_S - time.monotonic()
        if left_s > 0:
            time.sleep(min(seconds, left_s))
        return left_s > 0


class WhileWritten(_Ending):
    """As long as a process writes the log."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def _has_ended(self) -> bool:
        return not being_written(self._path)

    def _pause(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0 and not self.over():
            time.sleep(min(left_s, LOOK_EVERY_S))


class WhileOpen(_Ending):
    """As long as the process that owns this one holds a stream open: a dead one holds none."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._closed = threading.Event()
        threading.Thread(target=self._read, args=(stream,), daemon=True, name="owner").start()

    def _read(self, stream: IO[bytes]) -> None:
        with suppress(OSError, ValueError):
            while stream.read(1):
                pass
        self._closed.set()

    def _has_ended(self) -> bool:
        return self._closed.is_set()

    def _pause(self, seconds: float) -> None:
        self._closed.wait(seconds)


@dataclass(slots=True)
class Sent:
    """What became of it."""

    spans: int
    """Taken."""
    events: int
    calls: int
    """Model calls that the spans are of."""
    unfinished: int
    """Conversations that had no outcome."""
    up_to: int
    """The last event that is told of."""
    lost: list[tuple[str, int, str]]
    """What was not taken: spans or events, how many, and why."""


class _Batch:
    """What goes to one receiver with the next request."""

    __slots__ = ("collector", "ready", "size")

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.ready: list[bytes] = []
        self.size = 0

    def add(self, encoded: bytes, until: Until) -> None:
        """Take a record; send before what would be too much, or too many."""
        size = len(encoded)
        if self.size + size > MOST_BYTES or len(self.ready) == MOST_RECORDS:
            self.send(until)
        self.ready.append(encoded)
        self.size += size

    def send(self, until: Until) -> None:
        """Send what there is."""
        ready, self.ready, self.size = self.ready, [], 0
        if ready:
            self.collector.send(ready, until)


class Exporter:
    """Sends what a fold makes of a log."""

    def __init__(self, collectors: dict[Signal, Collector], until: Until, state: str) -> None:
        self._spans, self._events = (_Batch(collectors[signal]) if signal in collectors else None for signal in SIGNALS)
        self._until = until
        self._state = state
        self._sent_s = time.monotonic()

    def add(self, records: list[Record]) -> None:
        """Take records; send them where there are enough."""
        for record in records:
            if isinstance(record, Span):
                signal, encoded = self._spans, span(record, self._state)
            else:
                signal, encoded = self._events, happening(record)
            if signal is not None:
                signal.add(encoded, self._until)

    def send(self, *, now: bool = True) -> None:
        """Send all that is ready; not now, if the last time was just before."""
        if now or time.monotonic() - self._sent_s >= SEND_EVERY_S:
            for batch in (self._spans, self._events):
                if batch is not None:
                    batch.send(self._until)
            self._sent_s = time.monotonic()
            gc.collect(0)  # nobody else does, within `collector_at_rest`, but after very many


def opened(path: Path, after: int, until: Until) -> LogReader | None:
    """Return a reader of a log, once there is something in it after an event; none where that never comes."""
    while True:
        over = until.over()
        try:
            log = LogReader(path)
        except LogError:  # it is being made
            if over:
                if path.exists():
                    raise
                return None
        else:
            if over or log.last() > after:
                return log
            log.close()
        until.wait(LOOK_EVERY_S, time.monotonic())


def export(
    log: LogReader,
    sender: Sender,
    names: GenAI,
    collectors: dict[Signal, Collector],
    until: Until,
    *,
    conversations: tuple[ConversationId, ...] | None = None,
    wanted: Callable[[str], bool] | None = None,
    after: int = 0,
) -> Sent:
    """Send a run's log until it has ended, and return what became of it.

    Args:
        log: The log.
        sender: The run.
        names: What things are called.
        collectors: Receivers.
        until: When it has ended.
        conversations: Only these, of a log as it is.
        wanted: Only conversations that this holds for.
        after: Only conversations that go on after this event; they are sent whole.

    Raises:
        LogError: the log is damaged.
    """

    def earlier(conversation: str, before: int) -> Iterator[Entry]:
        found = log.entries(conversation=ConversationId(conversation), with_text=names.content)
        return (entry for entry in found if entry[0] < before)

    fold = Spans(sender, names, text=log.text, earlier=earlier, after=after)
    exporter = Exporter(collectors, until, sender.state)
    if conversations is None:
        up_to = _all(log, fold, exporter, until, wanted, after, with_text=names.content)
    else:
        up_to = after
        for name in conversations:
            for entry in log.entries(conversation=name, with_text=names.content):
                exporter.add(fold.take(entry))
                up_to = max(up_to, entry[0])
    exporter.add(fold.unfinished())
    exporter.send()
    return Sent(
        spans=collectors["traces"].taken if "traces" in collectors else 0,
        events=collectors["logs"].taken if "logs" in collectors else 0,
        calls=fold.calls,
        unfinished=fold.open,
        up_to=up_to,
        lost=[
            (WHAT[signal], count, reason)
            for signal, collector in collectors.items()
            for reason, count in collector.lost.items()
        ],
    )


def _all(
    log: LogReader,
    fold: Spans,
    exporter: Exporter,
    until: Until,
    wanted: Callable[[str], bool] | None,
    after: int,
    *,
    with_text: bool,
) -> int:
    """Go through a log until it has ended; returns the last event."""
    last = log.last() if isinstance(until, AsItIs) else NO_END  # what is written meanwhile is for another time
    while True:
        over = until.over()
        read = 0
        for entry in list(log.entries(after, most=min(MOST_READ, last - after), with_text=with_text)):
            read, after = read + 1, entry[0]
            if (wanted is None or wanted(entry[1])) and (told := fold.take(entry)):
                exporter.add(told)
        if read < MOST_READ:
            if over:
                return after
            exporter.send(now=False)
            until.wait(LOOK_EVERY_S, time.monotonic())

"""Calls that wait for a batch: their names, their tickets, and the batch in which they find their answers."""

import asyncio
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

import anyio

from ...protocols.errors import ModelError
from ...protocols.models import Tier
from . import batch_lines
from .batch_lines import Entry
from .endpoints import Endpoint
from .wire import Reply


@dataclass(eq=False, slots=True)
class Ticket:
    """A call that waits."""

    custom_id: str
    endpoint: Endpoint
    tier: Tier | None
    """How it is held to the form of its answer; none for free text."""
    line: bytes
    answer: asyncio.Future[Reply | ModelError]
    wave: "Wave | None" = None
    """With whom it gathers, until they are submitted."""
    raw: bytes | None = None
    """The line that answered it."""

    def settle(self, outcome: Reply | ModelError) -> None:
        """Answer it, if somebody still waits."""
        if not self.answer.done():
            self.answer.set_result(outcome)


@dataclass(eq=False, slots=True)
class Wave:
    """Calls to one model that gather."""

    endpoint: Endpoint
    last_s: float
    """When the last one came."""
    tickets: dict[str, Ticket] = field(default_factory=dict[str, Ticket])
    size: int = 0
    """Bytes of their lines."""

    def add(self, ticket: Ticket, now_s: float) -> None:
        """Take a call in."""
        self.tickets[ticket.custom_id] = ticket
        self.size += len(ticket.line)
        self.last_s = now_s
        ticket.wave = self

    def remove(self, ticket: Ticket) -> None:
        """Leave a call out."""
        del self.tickets[ticket.custom_id]
        self.size -= len(ticket.line)
        ticket.wave = None


class Numbers:
    """Names for calls: a digest and the number of the identical call. Names that were given back are used first."""

    def __init__(self) -> None:
        self._made: dict[str, int] = {}
        self._free: dict[str, list[int]] = {}

    def take(self, digest: str) -> str:
        """Return a name for a call."""
        if free := self._free.get(digest):
            return f"{digest}-{heappop(free)}"
        self._made[digest] = number = self._made.get(digest, 0) + 1
        return f"{digest}-{number}"

    def give_back(self, custom_id: str) -> None:
        """Let a name that nobody waits under be taken again."""
        digest, _, number = custom_id.rpartition("-")
        heappush(self._free.setdefault(digest, []), int(number))
        self._made[digest] = max(self._made.get(digest, 0), int(number))


class Batch:
    """A batch, who waits for it, and what of it has come back."""

    def __init__(self, endpoint: Endpoint | None, custom_ids: Sequence[str], *, earlier: bool = False) -> None:
        self.endpoint = endpoint
        """One of those who were asked; none where nobody has said yet who that was."""
        self.numbers = {custom_id: number for number, custom_id in enumerate(custom_ids, start=1)}
        """Line of each call, from 1."""
        self.earlier = earlier
        self.asked = anyio.Event()
        """Somebody wants an answer that it holds."""
        self.blocked = False
        """It cannot be looked at: what became of its calls is not known."""
        self._waiting: dict[str, Ticket] = {}
        self._lines: dict[str, bytes] = {}
        """Answers that nobody has asked for yet."""
        self._read: set[str] = set()
        self.illegible: set[str] = set()
        """Calls whose line cannot be read."""
        self._rest: Callable[[Ticket], ModelError] | None = None
        """What becomes of calls without a line, once all has been read."""

    def ask(self, ticket: Ticket) -> None:
        """Have a call answered, now or when the answer is there."""
        self.endpoint = self.endpoint or ticket.endpoint
        self.asked.set()
        raw = self._lines.pop(ticket.custom_id, None)
        if raw is not None:
            self._settle(ticket, raw, batch_lines.entry(raw))
        elif self._rest is not None:
            ticket.settle(self._rest(ticket))
        else:
            self._waiting[ticket.custom_id] = ticket

    def forget(self, ticket: Ticket) -> None:
        """Take note that nobody waits any more; an answer that came at that moment is kept."""
        self._waiting.pop(ticket.custom_id, None)
        if ticket.raw is not None:
            self._lines[ticket.custom_id] = ticket.raw

    def read(self, raw: bytes) -> bool:
        """Take a line that came back; return whether it names a call of this batch.

        A line that cannot be read is put aside: the call may have a better one further on.
        """
        found = batch_lines.entry(raw)
        custom_id = found.custom_id
        if custom_id is None or custom_id not in self.numbers:
            return False
        if custom_id in self._read:
            return True
        if not found.legible:
            self.illegible.add(custom_id)
            return True
        self._read.add(custom_id)
        ticket = self._waiting.pop(custom_id, None)
        if ticket is None:
            self._lines[custom_id] = raw
        else:
            self._settle(ticket, raw, found)
        return True

    def close(self, rest: Callable[[Ticket], ModelError]) -> None:
        """End it: calls that have no line, now or later, get this error."""
        self._rest = rest
        waiting, self._waiting = self._waiting, {}
        for ticket in waiting.values():
            ticket.settle(rest(ticket))

    def block(self, error: ModelError) -> None:
        """End it for this start of the run."""
        self.blocked = True
        self.close(lambda _: own(error))

    @staticmethod
    def _settle(ticket: Ticket, raw: bytes, found: Entry) -> None:
        ticket.raw = raw
        ticket.settle(batch_lines.outcome(found, ticket.endpoint, ticket.tier))


def own(error: ModelError) -> ModelError:
    """Return an error of one's own: whoever gets one writes its attempts on it."""
    copied = copy.copy(error)
    copied.__cause__ = error
    return copied

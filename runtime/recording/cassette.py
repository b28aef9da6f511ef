"""Cassettes: the calls of a run, to be given back in place of asking models.

A run's log is one; a file of JSON lines is another. What one of them has of an item travels to others as a parcel.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...protocols.errors import CassetteMiss, nearest
from ...protocols.identity import ConversationId, ItemId
from ...protocols.lifecycle import Failure, ItemFailed, ModelCalled
from ..log import LogReader
from ..log.excerpt import excerpt
from .standing import Sifted, calls_of, sift
from .tape import Fit, Recorded, Tape

if TYPE_CHECKING:
    from array import array

KNOWN_ITEMS = 10_000
"""Items among which the nearest name is looked for."""

Keep = Callable[[str, str], None]


class Cassette(Protocol):
    """Recorded calls of the items of a run."""

    def tape(self, item: ItemId, *, fit: Fit, keep: Keep) -> Tape:
        """Return the calls of an item; raises CassetteMiss where it was not recorded.

        Args:
            item: The item's id.
            fit: How a recorded call has to fit.
            keep: Keeps a message in the log that is written now.
        """
        ...

    def earlier(self, item: ItemId) -> Iterator[tuple[ConversationId, str, ModelCalled]]:
        """Return conversation, agent and call of all that was asked in conversations that do not count any more."""
        ...

    def only(self, item: ItemId) -> "Parcel":
        """Return what was recorded of an item, to be sent to another process; raises CassetteMiss as `tape` does."""
        ...


class Parcel(Protocol):
    """What was recorded of one item; it can be pickled, and is no larger than what it holds."""

    def cassette(self) -> Cassette:
        """Return a cassette that answers for the item as the one did that it was taken from."""
        ...


class RecordedRun:
    """The recording that every run's log is; it is read item by item."""

    def __init__(
        self,
        log: LogReader,
        conversations: Iterable[ConversationId] | None = None,
        since: int = 0,
        *,
        whole: bool = False,
        forked: bool = False,
    ) -> None:
        """Find where in the log the conversations stand.

        Args:
            log: The run's log; it stays open as long as this is used.
            conversations: Those that are wanted; none for all.
            since: The first event that may be of one of them.
            whole: Whether an item that is played from it counts all that it took then, asked for again or not.
            forked: Whether it is a fork: what that stands on was said in answer to other questions.
        """
        self._log = log
        self._whole = whole
        self._forked = forked
        self._events: dict[ConversationId, array[int]] = log.positions(conversations, since)
        self._held: dict[str, list[ConversationId]] = {}
        for conversation in self._events:
            self._held.setdefault(conversation.rpartition("~")[0], []).append(conversation)

    def __contains__(self, item: object) -> bool:
        return item in self._held

    def text(self, digest: str) -> str:
        """Return a message as it was sent, but for secrets."""
        return self._log.text(digest)

    def items(self) -> Iterator[ItemId]:
        """Return the items, in the order they were begun."""
        return map(ItemId, self._held)

    def sifted(self, conversation: ConversationId) -> Sifted:
        """Return the events of a conversation, with what of them counts."""
        return sift(self._log.at(self._events.get(conversation, ())))

    def newest(self, item: ItemId) -> ConversationId:
        """Return the conversation about an item that counts: the newest."""
        return self._held[item][-1]

    def counts(self, item: ItemId) -> tuple[ConversationId, Sifted]:
        """Return the conversation that counts, and its events: the newest about an item."""
        conversation = self.newest(item)
        return conversation, self.sifted(conversation)

    def earlier(self, item: ItemId) -> Iterator[tuple[ConversationId, str, ModelCalled]]:
        """Return conversation, agent and call of all that was asked in conversations that do not count any more."""
        for conversation in self._held[item][:-1]:
            for event, called in calls_of(self.sifted(conversation).events):
                yield conversation, event.sender, called

    def tape(self, item: ItemId, *, fit: Fit, keep: Keep) -> Tape:
        """Return the calls of an item; raises CassetteMiss where it was not recorded."""
        self._prove(item)
        conversation, sifted = self.counts(item)
        return self.tape_of(conversation, sifted, fit=fit, keep=keep, with_earlier=True)

    def only(self, item: ItemId) -> "Excerpt":
        """Return the conversations about an item as a parcel; raises CassetteMiss where it was not recorded."""
        self._prove(item)
        return Excerpt(self._log.path, self.excerpt(self._held[item]), self._whole, self._forked)

    def excerpt(self, conversations: Iterable[ConversationId]) -> bytes:
        """Return a log that holds those of some conversations that are here, for `LogReader.of`.

        To go on with a conversation it takes those before it about the same item, too: it may be held over them.
        Raises LogError where the log cannot be read.
        """
        return excerpt(self._log, {name: self._events[name] for name in conversations if name in self._events})

    def _prove(self, item: ItemId) -> None:
        if item not in self._held:
            raise unknown(item, str(self._log.path.parent), self._held)

    def tape_of(
        self,
        conversation: ConversationId,
        sifted: Sifted,
        *,
        fit: Fit,
        keep: Keep,
        paid_here: bool = False,
        with_earlier: bool = False,
        then: Tape | None = None,
    ) -> Tape:
        """Return the calls of a conversation; see Tape."""
        fallen = sifted.fallen
        calls = [
            Recorded(event.sender, called, event.sequence not in fallen) for event, called in calls_of(sifted.events)
        ]
        text, failed = self._log.text, _failure(sifted)
        return Tape(
            conversation,
            calls,
            text,
            fit=fit,
            keep=keep,
            failed=failed,
            paid_here=paid_here,
            with_earlier=with_earlier,
            then=then,
            whole=self._whole,
            forked=self._forked,
        )


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A parcel out of a run's log."""

    path: Path
    """Of the log, for words in errors."""
    data: bytes
    whole: bool = False
    forked: bool = False

    def cassette(self) -> RecordedRun:
        """Return the recording."""
        return RecordedRun(LogReader.of(self.data, self.path), whole=self.whole, forked=self.forked)


def _failure(sifted: Sifted) -> Failure | None:
    """Return why a conversation has no outcome, where that is its end."""
    last = next((event for event in reversed(sifted.events) if event.kind in ("item_failed", "item_finished")), None)
    if last is None or last.kind != "item_failed":
        return None
    end = last.message()
    assert isinstance(end, ItemFailed)  # noqa: S101 - of that kind
    return end.cause


def unknown(item: str, where: str, known: Iterable[str]) -> CassetteMiss:
    """Return the error that an item was not recorded, with the nearest name of those that were."""
    names = list(known)
    hint = nearest(item, names) if len(names) <= KNOWN_ITEMS else ""
    return CassetteMiss(f"{where} has no recording of item {item!r}{hint if 'did you mean' in hint else ''}")

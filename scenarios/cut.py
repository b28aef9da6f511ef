"""One conversation up to an event, as a cassette: what a fork stands on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..protocols.events import Event
from ..protocols.identity import CONDUCTOR, ConversationId, ItemId
from ..protocols.lifecycle import ModelCalled
from ..runtime.recording import Fit, RecordedRun, Sifted, Tape
from ..runtime.recording.cassette import Excerpt, Keep


class Cut:
    """A cassette of one conversation up to an event."""

    def __init__(self, recorded: RecordedRun, conversation: ConversationId, sifted: Sifted, at: int) -> None:
        self._recorded = recorded
        self._conversation = conversation
        self._at = at
        by_sequence = {event.sequence: event for event in sifted.events}
        command = _command_of(by_sequence[at], by_sequence)
        before = Sifted()
        for event in sifted.standing():
            own = _command_of(event, by_sequence)
            if event.sequence < at if command is None or own is None else own < command:
                before.events.append(event)
        self._before = before

    def tape(self, item: ItemId, *, fit: Fit, keep: Keep) -> Tape:
        """Return the calls before the event."""
        del item
        return self._recorded.tape_of(self._conversation, self._before, fit=fit, keep=keep)

    def earlier(self, item: ItemId) -> Iterator[tuple[ConversationId, str, ModelCalled]]:
        """Return nothing: a fork counts what it stands on alone."""
        del item
        return iter(())

    def only(self, item: ItemId) -> "CutParcel":
        """Return the conversation as a parcel; raises CassetteMiss where it is about another item."""
        return CutParcel(self._recorded.only(item), self._conversation, self._at)


@dataclass(frozen=True, slots=True)
class CutParcel:
    """A parcel of a conversation up to an event."""

    excerpt: Excerpt
    conversation: ConversationId
    at: int

    def cassette(self) -> Cut:
        """Return the cassette."""
        recorded = self.excerpt.cassette()
        return Cut(recorded, self.conversation, recorded.sifted(self.conversation), self.at)


def _command_of(event: Event, events: Mapping[int, Event]) -> int | None:
    """Return the sequence of the conductor's command that an event is, or comes of."""
    found: int | None = None
    here: Event | None = event
    while here is not None:
        if here.sender == CONDUCTOR and here.recipients:
            found = here.sequence
        here = events.get(here.cause) if here.cause is not None else None
    return found

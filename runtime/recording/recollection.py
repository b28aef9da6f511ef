"""Going on with a conversation in the log that it began in: what was said there stands as said.

The conversation is walked from its first message again. Each message finds itself in the log and each call its answer,
so that agents remember what they knew, until the first that was not said yet.
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from ...protocols.errors import Diverged
from ...protocols.lifecycle import ModelCalled
from ...protocols.messages import Command, Message
from ...protocols.models import ModelCall
from .standing import Sifted, calls_of, failure_of, stops
from .tape import Tape, difference

if TYPE_CHECKING:
    from ...protocols.events import Event

OUTSIDE = frozenset(
    {"model_called", "item_opened", "item_resumed", "item_finished", "item_failed", "outcome_set_aside"}
)
"""Kinds that are not said within a conversation, but about it."""
BY_CHANCE = frozenset({"agent_failed", "agent_recused", "letter_undelivered"})
"""Kinds that depend on when something went wrong: found where they are the same, and otherwise stated anew."""

Lane = tuple[str, str, int | None]
"""Sender, kind and cause."""


class Recollection:
    """A Recall of one conversation, for its own log."""

    def __init__(self, sifted: Sifted, tape: Tape | None = None, text: Callable[[str], str] | None = None) -> None:
        """Make a recollection.

        Args:
            sifted: The events of the conversation.
            tape: What answers when the conversation has nothing more: the recording it was begun with.
            text: Returns a message of the log by its digest.
        """
        self._text = text
        self._tape = tape
        if tape is not None:
            tape.wind(
                [(event.sender, called.round) for event, called in calls_of(sifted.events) if not _stopped(called)]
            )
        self._numbers = Counter(event.cause for event in sifted.events if event.kind == "model_called")
        self._events: dict[Lane, list[Event]] = {}
        self._calls: dict[tuple[str, int | None], deque[ModelCalled]] = {}
        standing = list(sifted.standing())
        for event, called in calls_of(standing):
            self._calls.setdefault((event.sender, event.cause), deque()).append(called)
        for event in standing:
            if event.kind not in OUTSIDE:
                self._events.setdefault((event.sender, event.kind, event.cause), []).append(event)

    def event(self, message: Message, sender: str, cause: int | None, recipients: tuple[str, ...]) -> int | None:
        """Return the sequence under which a message is in the log already."""
        lane = self._events.get((sender, message.kind, cause), ())
        # Whom a fact goes to follows from what was said, and from who had been recused by then.
        to = recipients if isinstance(message, Command) else None
        recorded = next((event for event in lane if to is None or event.recipients == to), None)
        if recorded is None:
            return None
        if orjson.loads(recorded.body) != orjson.loads(message.model_dump_json(exclude_none=True)):
            if message.kind in BY_CHANCE:
                return None
            raise Diverged(f"{sender} says something else than event {recorded.sequence} ({message.kind})")
        self._events[sender, message.kind, cause].remove(recorded)
        return recorded.sequence

    def calls(self, cause: int) -> int:
        """Return how many model calls that an event led to are in the log already, those that do not count included."""
        return self._numbers[cause]

    def answer(
        self, agent: str, letter: int | None, round_: int | None, call: ModelCall, log: Callable[[ModelCalled], object]
    ) -> ModelCalled | None:
        """Return how a call was answered."""
        lane = self._calls.get((agent, letter))
        if not lane:
            return None if self._tape is None else self._tape.answer(agent, letter, round_, call, log)
        differs = difference(lane[0], call, self._text)
        # What a fork stands on was said in answer to other questions; a cassette has been asked the same.
        as_said = lane[0].source == "recording" and (self._tape is None or not self._tape.exact)
        if differs is not None and not as_said:
            raise Diverged(f"{agent} asks something else than was recorded: {differs.what}")
        return lane.popleft()


def _stopped(called: ModelCalled) -> bool:
    """Whether a call was broken off, or met what stops the run: it took nothing from a tape."""
    failure = failure_of(called)
    return failure is not None and stops(failure)

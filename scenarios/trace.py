"""One conversation as a fold over its events: who said what to whom, when, and what it took."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..protocols.comparing import DraftsCompared, DraftScored
from ..protocols.debate import ArgumentMade
from ..protocols.errors import DeclarationError, nearest
from ..protocols.events import Event
from ..protocols.generation import DraftWritten
from ..protocols.identity import ConversationId
from ..protocols.items import Item
from ..protocols.jury import VoteCast
from ..protocols.lifecycle import HearingChanged, ItemOpened, ModelCalled
from ..protocols.messages import Command, Fact, Message
from ..protocols.models import Usage
from ..protocols.moderation import ApprovalGiven, CriteriaProposed, QuestionAsked, SummaryWritten
from ..protocols.review import FeedbackGiven
from ..runtime.log import LogReader

IN_A_REPEAT = re.compile(r"\d\.\d")
"""What the place of such a step has in it: `1.0`, but not `1.do.0`, which is a branch."""
SPOKEN = (
    ApprovalGiven,
    ArgumentMade,
    CriteriaProposed,
    DraftScored,
    DraftWritten,
    DraftsCompared,
    FeedbackGiven,
    QuestionAsked,
    SummaryWritten,
    VoteCast,
)
"""What agents say, as against what becomes of it."""


@dataclass(slots=True)
class Effort:
    """What it took to say something."""

    calls: int = 0
    attempts: int = 0
    seconds: float = 0.0
    """Waiting for the model; waits between tries not included."""
    usage: Usage = field(default_factory=Usage)


@dataclass(slots=True)
class Turn:
    """Something said, or done about what was said."""

    sequence: int
    speaker: str
    message: Message
    round: int | None = None
    """Where it was said in a repeat."""
    heard_by: list[str] = field(default_factory=list[str])
    effort: Effort = field(default_factory=Effort)


@dataclass(slots=True)
class Talk:
    """A whole conversation."""

    conversation: ConversationId
    item: Item
    turns: list[Turn]
    """Everything but commands, model calls and changes of who listens, in order."""


def find(log: LogReader, item: str) -> ConversationId:
    """Return the newest conversation about an item.

    Raises:
        DeclarationError: the run has not begun such an item.
    """
    found = None
    known: set[str] = set()
    for event in log.events(kinds=("item_opened",)):
        opened = event.message()
        if isinstance(opened, ItemOpened):
            known.add(opened.item.id)
            if opened.item.id == item:
                found = event.conversation
    if found is None:
        hint = nearest(item, known) if len(known) < 10_000 else ""
        raise DeclarationError(f"the run has no item {item!r}{hint if 'did you mean' in hint else ''}")
    return found


def fold(log: LogReader, conversation: ConversationId) -> Talk:
    """Return a conversation; raises DeclarationError where the log has none of that name."""
    return _Fold().over(conversation, log.events(conversation))


class _Fold:
    def __init__(self) -> None:
        self._item: Item | None = None
        self._turns: dict[int, Turn] = {}
        self._commands: dict[int, Command[Fact]] = {}
        self._efforts: dict[int, Effort] = {}

    def over(self, conversation: ConversationId, events: Iterator[Event]) -> Talk:
        for event in events:
            self._take(event, event.message())
        if self._item is None:
            raise DeclarationError(f"the log has no conversation {conversation!r}")
        return Talk(conversation, self._item, list(self._turns.values()))

    def _take(self, event: Event, message: Message) -> None:
        if isinstance(message, ItemOpened):
            self._item = message.item
        elif isinstance(message, Command):
            self._commands[event.sequence] = message
        elif isinstance(message, ModelCalled):
            self._add_effort(event, message)
        elif isinstance(message, HearingChanged):
            for sequence in message.caught_up:
                if sequence in self._turns:
                    self._turns[sequence].heard_by.append(message.agent)
        else:
            self._add_turn(event, message)

    def _add_effort(self, event: Event, called: ModelCalled) -> None:
        if event.cause is None:
            return
        effort = self._efforts.setdefault(event.cause, Effort())
        effort.calls += 1
        effort.attempts += len(called.attempts)
        effort.seconds += sum(attempt.latency_s for attempt in called.attempts)
        effort.usage += called.usage

    def _add_turn(self, event: Event, message: Message) -> None:
        turn = Turn(event.sequence, event.sender, message, heard_by=list(event.recipients))
        command = self._commands.get(event.cause) if event.cause is not None else None
        if command is not None and isinstance(message, SPOKEN):
            turn.round = command.round if IN_A_REPEAT.search(command.step) else None
            turn.effort = self._efforts.pop(event.cause, turn.effort) if event.cause is not None else turn.effort
        self._turns[event.sequence] = turn

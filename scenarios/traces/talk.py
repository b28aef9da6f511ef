"""One conversation as a fold over its events: who said what to whom, when, and what it took."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, cast

from ...protocols.comparing import DraftsCompared, DraftScored
from ...protocols.debate import ArgumentMade
from ...protocols.errors import DeclarationError, nearest
from ...protocols.events import Event
from ...protocols.generation import DraftWritten
from ...protocols.identity import CONDUCTOR, ConversationId
from ...protocols.items import Item
from ...protocols.jury import VoteCast
from ...protocols.lifecycle import (
    AgentFailed,
    DecisionMade,
    HearingChanged,
    ItemFailed,
    ItemFinished,
    ItemOpened,
    ItemResumed,
    ModelCalled,
    OutcomeSetAside,
    RunStarted,
)
from ...protocols.messages import Command, Fact, Message
from ...protocols.models import Usage
from ...protocols.moderation import ApprovalGiven, CriteriaProposed, QuestionAsked, SummaryWritten
from ...protocols.review import FeedbackGiven
from ...runtime.log import LogReader

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

    called: list[int] = field(default_factory=list[int])
    """Sequences of the model calls, in order."""
    failed: int = 0
    """Calls that were never answered."""
    attempts: int = 0
    seconds: float = 0.0
    """Waiting for the model; waits between tries not included."""
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = 0.0
    """None where the price of a call is not known."""
    errors: list[str] = field(default_factory=list[str])
    """What went wrong with attempts, each in the words of whoever said so, in order."""
    cached: int = 0
    """Calls that nobody was asked for: the cache or a recording answered."""
    earlier: int = 0
    """Calls that are no further ones: the conversation before about the item had made them, and what they took counts
    there."""

    @property
    def calls(self) -> int:
        """How many calls it took."""
        return len(self.called) - self.earlier

    def add(self, sequence: int, called: ModelCalled) -> None:
        """Count a call."""
        usage = called.usage
        self.called.append(sequence)
        if called.source == "earlier":
            self.earlier += 1
            return
        self.failed += called.text is None
        self.attempts += len(called.attempts)
        self.seconds += sum(attempt.latency_s for attempt in called.attempts)
        self.usage += usage
        self.errors += [attempt.error for attempt in called.attempts if attempt.error is not None]
        self.cached += called.source not in ("endpoint", "batch")
        unpriced = not usage.reported or (called.cost_usd is None and usage.input_tokens > 0)
        known = None if unpriced else called.cost_usd or 0.0
        self.cost_usd = None if self.cost_usd is None or known is None else self.cost_usd + known


@dataclass(slots=True)
class Turn:
    """Something said, or done about what was said."""

    sequence: int
    speaker: str
    message: Message
    time_s: float
    """When, in seconds since the epoch."""
    command: int | None = None
    """Sequence of the command that it answers, or at which the agent failed."""
    step: str = ""
    """Place in the flow of the step that led to it, such as `1.0`."""
    round: int | None = None
    """Where it was said in a repeat."""
    heard_by: list[str] = field(default_factory=list[str])
    effort: Effort = field(default_factory=Effort)

    @property
    def said(self) -> bool:
        """Whether an agent said it, as against what the conductor did about it."""
        return isinstance(self.message, SPOKEN)


@dataclass(slots=True)
class Awaited:
    """A command that nobody has answered."""

    sequence: int
    agent: str
    command: Command[Fact]
    time_s: float
    effort: Effort
    """Calls that were made for it until now."""


@dataclass(slots=True)
class Talk:
    """A whole conversation."""

    conversation: ConversationId
    number: int
    """The item's place in the data set, from 0."""
    item: Item
    turns: list[Turn]
    """Everything but commands, model calls and changes of who listens, in order."""
    awaited: list[Awaited]
    """Commands without an answer: of a conversation that goes on, or was broken off."""
    began_s: float
    """When it was opened, in seconds since the epoch."""
    last_s: float
    """When its last event was written."""
    over: ConversationId | None = None
    """The conversation in whose place it was begun."""

    @property
    def agents(self) -> tuple[str, ...]:
        """All who spoke, heard or were asked, in the order in which they came in."""
        names: dict[str, None] = {}
        for turn in self.turns:
            if turn.speaker != CONDUCTOR:
                names.setdefault(turn.speaker)
        for awaited in self.awaited:
            names.setdefault(awaited.agent)
        for turn in self.turns:
            names.update(dict.fromkeys(name for name in turn.heard_by if name not in names))
        return tuple(names)

    @property
    def outcome(self) -> ItemFinished | ItemFailed | None:
        """The item's end that counts; none while there is none. A failure counts until its retry has an end."""
        aside = {turn.message.outcome for turn in self.turns if isinstance(turn.message, OutcomeSetAside)}
        for turn in reversed(self.turns):
            if isinstance(turn.message, ItemFinished | ItemFailed) and turn.sequence not in aside:
                return turn.message
        return None

    @property
    def goes_on(self) -> bool:
        """Whether it was begun, or taken up again, and has not ended since."""
        bounds = (turn.message for turn in reversed(self.turns))
        last = next((each for each in bounds if isinstance(each, ItemFinished | ItemFailed | ItemResumed)), None)
        return not isinstance(last, ItemFinished | ItemFailed)

    @property
    def state(self) -> Literal["done", "failed", "open"]:
        """What has become of it."""
        outcome = self.outcome
        return "open" if outcome is None else "failed" if isinstance(outcome, ItemFailed) else "done"

    @property
    def seconds(self) -> float:
        """From its beginning to its last event; a clock may be put back."""
        return max(0.0, self.last_s - self.began_s)

    @property
    def decision(self) -> DecisionMade | None:
        """The last decision."""
        found = (turn.message for turn in reversed(self.turns) if isinstance(turn.message, DecisionMade))
        return next(found, None)

    @property
    def effort(self) -> Effort:
        """What all of it took."""
        whole = Effort()
        for part in (*(turn.effort for turn in self.turns), *(awaited.effort for awaited in self.awaited)):
            whole.called += part.called
            whole.failed += part.failed
            whole.attempts += part.attempts
            whole.seconds += part.seconds
            whole.usage += part.usage
            whole.errors += part.errors
            whole.cached += part.cached
            whole.earlier += part.earlier
            known = None if whole.cost_usd is None or part.cost_usd is None else whole.cost_usd + part.cost_usd
            whole.cost_usd = known
        return whole


def find(log: LogReader, item: str) -> ConversationId:
    """Return the newest conversation about an item; raises DeclarationError as `about` does."""
    return about(log, item)[-1]


def about(log: LogReader, item: str) -> tuple[ConversationId, ...]:
    """Return all conversations about an item, the oldest first.

    Raises:
        DeclarationError: the run has not begun such an item, or not yet.
    """
    found: list[ConversationId] = []
    known: set[str] = set()
    for _, conversation, _ in log.landmarks(("item_opened",)):
        name = conversation.rpartition("~")[0]
        known.add(name)
        if name == item:
            found.append(conversation)
    if not found:
        started = log.newest("run_started")
        start = started.message() if started is not None else None
        if isinstance(start, RunStarted) and start.items > len(known):
            begun = f"{len(known):,} of {start.items:,} items"
            raise DeclarationError(f"the run has begun no item {item!r}: it has begun {begun} so far")
        hint = nearest(item, known) if len(known) < 10_000 else ""
        raise DeclarationError(f"the run has no item {item!r}{hint if 'did you mean' in hint else ''}")
    return tuple(found)


def fold(log: LogReader, conversation: ConversationId) -> Talk:
    """Return a conversation; raises DeclarationError where the log has none of that name."""
    return folded(conversation, log.events(conversation))


def folded(conversation: ConversationId, events: Iterable[Event]) -> Talk:
    """Return a conversation out of its events, in order; raises DeclarationError where its beginning is not there."""
    return _Fold().over(conversation, events)


class _Fold:
    def __init__(self) -> None:
        self._opened: ItemOpened | None = None
        self._turns: dict[int, Turn] = {}
        self._commands: dict[int, Command[Fact]] = {}
        self._asked: dict[int, Awaited] = {}
        """By sequence of the command; gone when it is answered."""
        self._efforts: dict[int, Effort] = {}
        self._began_s = self._last_s = 0.0

    def over(self, conversation: ConversationId, events: Iterable[Event]) -> Talk:
        for event in events:
            self._take(event, event.message())
            self._last_s = event.time_s
        opened = self._opened
        if opened is None:
            raise DeclarationError(f"the log has no conversation {conversation!r}")
        return Talk(
            conversation=conversation,
            number=opened.number,
            item=opened.item,
            turns=list(self._turns.values()),
            awaited=list(self._awaited()),
            began_s=self._began_s,
            last_s=self._last_s,
            over=opened.over,
        )

    def _awaited(self) -> Iterator[Awaited]:
        for sequence, asked in self._asked.items():
            asked.effort = self._efforts.pop(sequence, asked.effort)
            yield asked

    def _take(self, event: Event, message: Message) -> None:
        if isinstance(message, ItemOpened):
            self._opened = message
            self._began_s = event.time_s
        elif isinstance(message, Command):
            command = self._commands[event.sequence] = cast("Command[Fact]", message)
            to = event.recipients[0] if event.recipients else ""
            self._asked[event.sequence] = Awaited(event.sequence, to, command, event.time_s, Effort())
        elif isinstance(message, ModelCalled):
            if event.cause is not None:
                self._efforts.setdefault(event.cause, Effort()).add(event.sequence, message)
        elif isinstance(message, HearingChanged):
            for sequence in message.caught_up:
                if sequence in self._turns:
                    self._turns[sequence].heard_by.append(message.agent)
        else:
            self._add_turn(event, message)

    def _add_turn(self, event: Event, message: Message) -> None:
        turn = Turn(event.sequence, event.sender, message, event.time_s, heard_by=list(event.recipients))
        cause = event.cause
        command = self._commands.get(cause) if cause is not None else None
        if cause is not None and command is not None and isinstance(message, (*SPOKEN, AgentFailed)):
            turn.command, turn.step = cause, command.step
            turn.round = command.round if IN_A_REPEAT.search(command.step) else None
            turn.effort = self._efforts.pop(cause, turn.effort)
            if not isinstance(message, AgentFailed) or message.then != "retry":
                self._asked.pop(cause, None)
        self._turns[event.sequence] = turn

"""The envelope in which everything lies in the log."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter

from .comparing import CompareDrafts, DraftsCompared, DraftScored, MatchDecided, ScoreDraft
from .debate import ArgumentMade, MakeArgument
from .generation import DraftWritten, WriteDraft
from .identity import ConversationId
from .jury import CastVote, VoteCast
from .lifecycle import (
    AgentFailed,
    AgentRecused,
    AgentsExcused,
    AskingEnded,
    BatchEnded,
    BatchPrepared,
    BatchSubmitted,
    BranchesOpened,
    BranchTaken,
    ConditionMet,
    DecisionMade,
    DraftPicked,
    HearingChanged,
    ItemFailed,
    ItemFinished,
    ItemOpened,
    ItemResumed,
    LetterUndelivered,
    ModelCalled,
    OutcomeSetAside,
    RunChanged,
    RunEnded,
    RunStarted,
)
from .messages import Message
from .moderation import (
    ApprovalGiven,
    AskQuestion,
    CriteriaProposed,
    GiveApproval,
    ProposeCriteria,
    QuestionAsked,
    SummaryWritten,
    WriteSummary,
)
from .pairing import PairsMade
from .registry import Registry
from .review import FeedbackGiven, GiveFeedback
from .solving import GiveAnswer

LoggedMessage = Annotated[
    AgentFailed
    | AgentRecused
    | AgentsExcused
    | ApprovalGiven
    | ArgumentMade
    | AskQuestion
    | AskingEnded
    | BatchEnded
    | BatchPrepared
    | BatchSubmitted
    | BranchTaken
    | BranchesOpened
    | CastVote
    | CompareDrafts
    | ConditionMet
    | CriteriaProposed
    | DecisionMade
    | DraftPicked
    | DraftScored
    | DraftWritten
    | DraftsCompared
    | FeedbackGiven
    | GiveAnswer
    | GiveApproval
    | GiveFeedback
    | HearingChanged
    | ItemFailed
    | ItemFinished
    | ItemOpened
    | ItemResumed
    | LetterUndelivered
    | MakeArgument
    | MatchDecided
    | ModelCalled
    | OutcomeSetAside
    | PairsMade
    | ProposeCriteria
    | QuestionAsked
    | RunChanged
    | RunEnded
    | RunStarted
    | ScoreDraft
    | SummaryWritten
    | VoteCast
    | WriteDraft
    | WriteSummary,
    Field(discriminator="kind"),
]
"""Everything the package itself writes to a log."""


KINDS: Registry[type[Message]] = Registry("kind of message", {})
"""Messages that plugins bring, by kind."""


class UnknownBody(Message):
    """A message of a kind that this version, or this process, does not know; its body is kept as it was."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the log."""

    sequence: int
    """Place in the log, from 1, without gaps."""
    conversation: ConversationId
    """The conversation it belongs to; empty for the run as a whole."""
    cause: int | None
    """Sequence of the event that led to it."""
    sender: str
    recipients: tuple[str, ...]
    """Whom a command is for, or who listens to a fact."""
    kind: str
    body: str
    """The message as JSON."""
    time_s: float
    """Seconds since the epoch."""

    def message(self) -> Message:
        """Return the message; UnknownBody for a kind that is neither the package's own nor a plugin's."""
        if self.kind not in known_kinds():
            if self.kind in KINDS:
                return KINDS[self.kind].model_validate_json(self.body)
            return UnknownBody.model_validate({"kind": self.kind, "body": json.loads(self.body)})
        return _adapter().validate_json(self.body)


@cache
def _adapter() -> TypeAdapter[Message]:
    return TypeAdapter(LoggedMessage)


@cache
def known_kinds() -> frozenset[str]:
    """Return the kinds of all messages the package itself writes."""
    return frozenset(known_classes())


@cache
def known_classes() -> Mapping[str, type[Message]]:
    """Return the class of each kind of message the package itself writes."""
    members: tuple[type[Message], ...] = get_args(get_args(LoggedMessage)[0])
    return {str(member.model_fields["kind"].default): member for member in members}

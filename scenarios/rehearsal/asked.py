"""What an agent's model is asked, and what a test may let it say."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from ...protocols.comparing import DraftsCompared, DraftScored
from ...protocols.debate import ArgumentMade
from ...protocols.errors import ModelError
from ...protocols.generation import DraftWritten
from ...protocols.items import Item
from ...protocols.jury import VoteCast
from ...protocols.messages import Command, Fact
from ...protocols.models import ChatMessage, Completion, ModelCall
from ...protocols.moderation import ApprovalGiven, CriteriaProposed, QuestionAsked, SummaryWritten
from ...protocols.review import FeedbackGiven
from ...protocols.solving import GiveAnswer
from ...runtime.testing.scripted import as_reply

WORDS: dict[type[Fact], str] = {
    ApprovalGiven: "approval",
    ArgumentMade: "argument",
    CriteriaProposed: "criteria",
    DraftScored: "score",
    DraftWritten: "draft",
    DraftsCompared: "comparison",
    FeedbackGiven: "feedback",
    QuestionAsked: "question",
    SummaryWritten: "summary",
    VoteCast: "ballot",
}
"""What each fact is called in scenarios, and in rehearsals."""


def word_of(command: Command[Fact]) -> str:
    """Return the word for what a command asks for; of a command of your own, the kind of the fact that it wants."""
    if isinstance(command, GiveAnswer):
        return "answer"
    kind = command.wants
    return WORDS.get(kind) or str(kind.model_fields["kind"].default)


def word_for(fact: Fact) -> str:
    """Return the word for a fact; of one of your own, its kind."""
    if isinstance(fact, DraftWritten) and (fact.answer is not None or fact.unread):
        return "answer"
    return WORDS.get(type(fact), fact.kind)


class Prompt(tuple[ChatMessage, ...]):
    """The messages that a model was sent with one call, in order."""

    __slots__ = ()

    @property
    def system(self) -> str:
        """Return the system message; empty where there is none."""
        return next((message.content for message in self if message.role == "system"), "")

    @property
    def request(self) -> str:
        """Return the last message: what is asked now."""
        return self[-1].content if self else ""

    @property
    def text(self) -> str:
        """Return all messages, each after its role."""
        return "\n\n".join(f"[{message.role}]\n{message.content}" for message in self)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A reply exactly as it stands here, whatever form was asked for: what cannot be read is asked for again."""

    text: str = "I would rather not say."


@dataclass(frozen=True, slots=True)
class Asked:
    """A call of one agent's model, as a rehearsal's answers see it."""

    agent: str
    wanted: str
    """As the scenario calls it: draft, argument, ballot, …; comparison or score for judges of drafts."""
    round: int
    """From 1."""
    number: int
    """Which call of this agent's it is, from 1; further requests for unreadable answers count."""
    item: Item
    call: ModelCall

    @property
    def prompt(self) -> Prompt:
        """Return the messages sent."""
        return Prompt(self.call.messages)

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields that the answer must have; none for free text."""
        return () if self.call.answer is None else tuple(self.call.answer.schema["properties"])

    def reply(self, text: str | None = None, number: float = 5) -> str:
        """Return a neutral answer of the form that is asked for, with this text and this number in its fields.

        Left out, the text is different for every call, as in `draft 2 of writer`; of solvers it is always `42`.
        """
        if text is None:
            text = "42" if self.wanted == "answer" else f"{self.wanted} {self.number} of {self.agent}"
        return as_reply(self.call, text, number)


Line = str | Mapping[str, object] | Unreadable | Completion | Exception | type[ModelError] | None
"""One answer: a text, the fields of a form, a failure; none for a neutral answer."""
Teller = Callable[[Asked], Line | Awaitable[Line]]
"""Says what is answered when it is asked for."""
Lines = Line | Teller | Sequence[Line | Teller]
"""What an agent answers: always the same, or one after another."""
Answers = Mapping[str, Lines] | Teller
"""Lines by agent, group of agents, or `*` for all others; or one teller for all."""

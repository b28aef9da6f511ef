"""Moderating: what any agent can be asked for beside its own role's business.

A summary of what was heard, whether it is enough, what is to be judged by, or the question that is to be answered.
"""

from typing import ClassVar, Literal

from .judging import Order, in_order
from .messages import Command, Fact


class SummaryWritten(Fact):
    """What was heard, in short; or the reasons of a verdict, where the step's instructions want these."""

    kind: Literal["summary_written"] = "summary_written"
    round: int
    """Round in which it was written, from 1."""
    text: str
    """The summary."""
    replaces: bool = False
    """Whether those who hear it forget what they heard, and said themselves, before it."""
    cut_off: bool = False
    """Whether the model stopped at its token limit rather than at an end."""
    order: Order | None = None
    """Which candidate was shown first; none where none were shown."""

    def said(self, order: Order = "ab") -> str:
        """Return the summary."""
        return in_order(self.text, self.order, order)


class WriteSummary(Command[SummaryWritten]):
    """Sum up what was heard."""

    wants: ClassVar[type[Fact]] = SummaryWritten

    kind: Literal["write_summary"] = "write_summary"
    order: Order = "ab"
    """Which candidate is shown first."""
    replaces: bool = False


class ApprovalGiven(Fact):
    """Whether somebody thinks that it is enough: the condition `approved` looks at it."""

    kind: Literal["approval_given"] = "approval_given"
    round: int
    """Round in which it was given, from 1."""
    reason: str
    """Why it is enough, or what is still wrong."""
    approved: bool | None = None
    """None where no answer could be read: that is no approval."""
    requests: int = 1
    """Requests it took until the answer could be read, from 1."""
    order: Order | None = None
    """Which candidate was shown first; none where none were shown."""

    def said(self, order: Order = "ab") -> str:
        """Return the reason and the ruling; nothing of one that could not be read."""
        if self.approved is None:
            return ""
        ruling = "Approved." if self.approved else "Not approved."
        return f"{in_order(self.reason, self.order, order)}\n\n{ruling}"


class GiveApproval(Command[ApprovalGiven]):
    """Say whether it is enough."""

    wants: ClassVar[type[Fact]] = ApprovalGiven

    kind: Literal["give_approval"] = "give_approval"
    order: Order = "ab"
    """Which candidate is shown first."""


class CriteriaProposed(Fact):
    """What is to be judged by; `each … of: criteria` goes through them."""

    kind: Literal["criteria_proposed"] = "criteria_proposed"
    round: int
    """Round in which they were proposed, from 1."""
    criteria: tuple[str, ...]
    """At least one, each in a few words."""
    requests: int = 1
    """Requests it took until the answer could be read, from 1."""
    order: Order | None = None
    """Which candidate was shown first; none where none were shown."""

    def said(self, order: Order = "ab") -> str:
        """Return the criteria, one a line."""
        return in_order("\n".join(f"- {criterion}" for criterion in self.criteria), self.order, order)


class ProposeCriteria(Command[CriteriaProposed]):
    """Say by what the request's answers are to be judged."""

    wants: ClassVar[type[Fact]] = CriteriaProposed

    kind: Literal["propose_criteria"] = "propose_criteria"
    most: int = 5
    """How many at the most."""
    order: Order = "ab"
    """Which candidate is shown first."""


class QuestionAsked(Fact):
    """A question, for those who hear it to answer."""

    kind: Literal["question_asked"] = "question_asked"
    round: int
    """Round in which it was asked, from 1."""
    text: str
    """The question."""
    cut_off: bool = False
    """Whether the model stopped at its token limit rather than at an end."""
    order: Order | None = None
    """Which candidate was shown first; none where none were shown."""

    def said(self, order: Order = "ab") -> str:
        """Return the question."""
        return in_order(self.text, self.order, order)


class AskQuestion(Command[QuestionAsked]):
    """Ask a question about the request, or about what was heard."""

    wants: ClassVar[type[Fact]] = QuestionAsked

    kind: Literal["ask_question"] = "ask_question"
    order: Order = "ab"
    """Which candidate is shown first."""

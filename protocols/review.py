"""Reviewing: a reviewer is asked for feedback on what it has heard, and gives it."""

from typing import ClassVar, Literal

from .judging import Order, in_order
from .messages import Command, Fact


class FeedbackGiven(Fact):
    """A reviewer's evaluation, score and advice."""

    kind: Literal["feedback_given"] = "feedback_given"
    round: int
    """Round in which it was given, from 1."""
    evaluation: str
    """What is good and what is not."""
    feedback: str
    """What to change."""
    score: float
    """How good the draft is, from 0 to `scale`."""
    scale: int
    """The best score possible."""
    requests: int
    """Requests it took until the answer could be read, from 1."""
    number: int | None = None
    """Which of the reviewer's feedbacks this is, from 1; none in logs of before it was counted."""
    on: tuple[str, ...] | None = None
    """The drafts it is on, by name, as in `writer/2`."""
    asked: str | None = None
    """Digest of all that the reviewer's model had been sent when it was asked; none in logs of before it was noted."""

    order: Order | None = None
    """Which candidate was shown first; none where none were shown."""

    def said(self, order: Order = "ab") -> str:
        """Return the evaluation and the advice, without the score."""
        return in_order(f"{self.evaluation}\n\n{self.feedback}", self.order, order)


class GiveFeedback(Command[FeedbackGiven]):
    """Evaluate the latest draft heard, score it, and say what to change."""

    wants: ClassVar[type[Fact]] = FeedbackGiven

    kind: Literal["give_feedback"] = "give_feedback"
    scale: int = 10
    """The best score possible."""

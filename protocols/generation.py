"""Writing: a generator is asked for a draft and writes it."""

from typing import ClassVar, Literal

from .judging import Order
from .messages import Command, Fact


class DraftWritten(Fact):
    """An answer to the item's prompt, new or revised."""

    kind: Literal["draft_written"] = "draft_written"
    round: int
    """Round in which it was written, from 1."""
    text: str
    """The draft."""
    version: int
    """Which of the writer's drafts this is, from 1."""
    cut_off: bool = False
    """Whether the model stopped at its token limit rather than at an end."""
    revises: int | None = None
    """The version it revises."""
    by: tuple[str, ...] | None = None
    """The feedback that it follows, by name: `reviewer/1` is the first of reviewer."""
    answer: str | None = None
    """Of a solution: the answer alone, as it was given."""
    confidence: float | None = None
    """Of a solution: how sure its writer is, from 0 to 1, where that was asked for."""
    unread: bool | None = None
    """Of a solution: true where no answer could be read; it is no vote."""

    def said(self, order: Order = "ab") -> str:
        """Return the draft, and how sure its writer is of it; nothing of a solution that is unread."""
        del order
        if self.unread:
            return ""
        return self.text if self.confidence is None else f"{self.text}\n\nConfidence: {self.confidence:g}"


class WriteDraft(Command[DraftWritten]):
    """Write an answer, or revise the last one by the feedback heard since."""

    wants: ClassVar[type[Fact]] = DraftWritten

    kind: Literal["write_draft"] = "write_draft"
    onto: int | None = None
    """The version to revise, and to go back to in the talk; none: the last one."""
    hearing: str | None = None
    """The one reviewer whose feedback to follow; none: all feedback heard since."""

"""What every message is: a command asks for something, a fact says that something was done."""

from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from .judging import Order


def named(speaker: str, number: int) -> str:
    """Return the name of what someone said, in its conversation: `writer/2` is the second draft of writer."""
    return f"{speaker}/{number}"


class Message(BaseModel):
    """A frozen, closed value; `kind` names it in the log."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: str


class Fact(Message):
    """Something that has happened and stays so."""

    def said(self, order: Order = "ab") -> str:
        """Return the words a listener reads; empty where the fact is nothing to listen to.

        Args:
            order: How the listener is shown the candidates: what stands first it knows as A.
        """
        del order
        return ""


FactT_co = TypeVar("FactT_co", bound=Fact, covariant=True)


class Command(Message, Generic[FactT_co]):
    """A wish, sent to one agent and answered by the first fact of the kind it wants."""

    wants: ClassVar[type[Fact]]
    """The kind of fact that answers."""

    round: int = 1
    """Round of the conversation, from 1."""
    step: str = ""
    """Place in the scenario's flow that sent it, such as `1.0`: second step, first within."""
    instructions: str | None = None
    """The step's own words to those who are asked, added to the request."""
    on: str | None = None
    """The one draft it is about, by name; of other drafts, and of what is on them alone, nothing is told."""


@dataclass(frozen=True, slots=True)
class Stop:
    """What a handler returns to end its agent: letters still in the mailbox become dead letters."""

    reason: str

"""Debating: a debater is asked for an argument and makes it."""

from typing import ClassVar, Literal

from .items import Slot
from .judging import Order, in_order
from .messages import Command, Fact


class ArgumentMade(Fact):
    """One turn of one debater."""

    kind: Literal["argument_made"] = "argument_made"
    round: int
    """Round in which it was made, from 1."""
    text: str
    """The argument."""
    cut_off: bool = False
    """Whether the model stopped at its token limit rather than at an end."""
    order: Order | None = None
    """Which candidate was shown first; none where none were shown."""

    def said(self, order: Order = "ab") -> str:
        """Return the argument."""
        return in_order(self.text, self.order, order)


class MakeArgument(Command[ArgumentMade]):
    """Argue about the candidates, or the question, in the light of what was heard."""

    wants: ClassVar[type[Fact]] = ArgumentMade

    kind: Literal["make_argument"] = "make_argument"
    order: Order = "ab"
    """Which candidate is shown first."""
    side: Slot | None = None
    """The candidate to argue for; none: as it seems right."""

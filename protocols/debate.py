"""Debating: a debater is asked for an argument and makes it."""

from typing import ClassVar, Literal

from .items import Slot
from .judging import Order
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

    def said(self, order: Order = "ab") -> str:
        """Return the argument."""
        del order
        return self.text


class MakeArgument(Command[ArgumentMade]):
    """Argue about the candidates, or the question, in the light of what was heard."""

    wants: ClassVar[type[Fact]] = ArgumentMade

    kind: Literal["make_argument"] = "make_argument"
    order: Order = "ab"
    """Which candidate is shown first."""
    side: Slot | None = None
    """The candidate to argue for; none: as it seems right."""

"""Solving: a question with a known answer is answered in a form that can be compared with it.

A solution is a draft that has an answer: it is revised, reviewed, compared, picked and paired like any other.
"""

from typing import ClassVar, Literal

from .generation import DraftWritten
from .messages import Command, Fact


class GiveAnswer(Command[DraftWritten]):
    """Work out an answer to the item's question, or work it out again in the light of what was heard since."""

    wants: ClassVar[type[Fact]] = DraftWritten

    kind: Literal["give_answer"] = "give_answer"
    confidence: bool = False
    """Whether to say how sure the answer is."""

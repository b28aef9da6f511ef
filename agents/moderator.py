"""The moderator: leads a discussion without taking part in it."""

from typing import ClassVar

from .participant import Participant
from .prompt import Prompt


class Moderator(Participant):
    """Sums up, says whether it is enough, proposes criteria, asks questions."""

    prompt: ClassVar[Prompt] = Prompt.from_file("moderator.md")

"""What an agent is told of what others said."""

from typing import Literal

from pydantic import SerializeAsAny

from .messages import Fact, Message


class Heard(Message):
    """Someone this agent listens to has said something."""

    kind: Literal["heard"] = "heard"
    speaker: str
    fact: SerializeAsAny[Fact]
    known_as: str | None = None
    """By what name the listener knows the speaker, where it is not to know who it is."""

    @property
    def name(self) -> str:
        """Return the name under which it is told."""
        return self.known_as or self.speaker

"""What an agent is told of what others said."""

from typing import Literal

from pydantic import SerializeAsAny

from .messages import Fact, Message


class Heard(Message):
    """Someone this agent listens to has said something."""

    kind: Literal["heard"] = "heard"
    speaker: str
    fact: SerializeAsAny[Fact]

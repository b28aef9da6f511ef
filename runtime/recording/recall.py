"""What a conversation asks before it says or asks anything anew."""

from collections.abc import Callable
from typing import Protocol

from ...protocols.lifecycle import ModelCalled
from ...protocols.messages import Message
from ...protocols.models import ModelCall


class Recall(Protocol):
    """The memory of a conversation that has been held before."""

    def event(self, message: Message, sender: str, cause: int | None, recipients: tuple[str, ...]) -> int | None:
        """Return the sequence under which a message is in the log already; None where it is to be appended.

        Raises:
            Diverged: another message was recorded in its place.
        """
        ...

    def calls(self, cause: int) -> int:
        """Return how many model calls that an event led to are in the log already."""
        ...

    def answer(
        self, agent: str, letter: int | None, round_: int | None, call: ModelCall, log: Callable[[ModelCalled], object]
    ) -> ModelCalled | None:
        """Return how a call was answered, or why it was not; None where the model is to be asked.

        Args:
            agent: Who asks.
            letter: Sequence of the letter that led to the call.
            round_: Round of the conversation.
            call: What is asked.
            log: Appends what is not in this log yet.

        Raises:
            Diverged: another call was recorded in its place, or none.
        """
        ...

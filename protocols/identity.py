"""Who is who: ids, and the address of an agent."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NewType

RunId = NewType("RunId", str)
ItemId = NewType("ItemId", str)
ConversationId = NewType("ConversationId", str)
CallId = NewType("CallId", str)

WHOLE_RUN = ConversationId("")
"""Where events belong that are no conversation's own."""

CONDUCTOR = "conductor"
"""The name under which the one who leads a conversation sends commands and records decisions."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where an agent gets its letters: `name@conversation`."""

    agent: str
    conversation: ConversationId

    @classmethod
    def from_str(cls, text: str) -> "Address":
        """Read `name@conversation`; the first `@` divides.

        Raises:
            ValueError: there is no `@`, or one of the sides is empty.
        """
        agent, _, conversation = text.partition("@")
        if not agent or not conversation:
            raise ValueError(f"not an address: {text!r}; an address reads name@conversation")
        return cls(agent, ConversationId(conversation))

    def __str__(self) -> str:
        return f"{self.agent}@{self.conversation}"


def call_id(cause: int, number: int) -> CallId:
    """Return the name of a model call, unique in its run: `17.2` is the second that event 17 led to.

    The log finds it again: it is the `number`-th `model_called` with that cause. An agent of a plugin's that has
    several calls under way for one letter has them numbered as they were begun, and logged as they ended.

    Args:
        cause: Sequence of the event that led to it, as a rule a command.
        number: Which of the calls that this event led to it is, from 1, those of earlier starts and tries included.
    """
    return CallId(f"{cause}.{number}")


def places(agent: str) -> Iterator[str]:
    """Return an agent's name, and those in whose place branches may have it: of `judge-2-1`, `judge-2` and `judge`."""
    while True:
        yield agent
        agent, _, number = agent.rpartition("-")
        if not agent or not number.isdecimal():
            return


def is_of(agent: str, names: Collection[str]) -> bool:
    """Whether an agent is one of these, or of a branch in the place of one."""
    return any(name in names for name in places(agent))

"""What the layers ask of one another: the ports, each with a contract test over all its adapters."""

import random
from collections.abc import Iterator
from typing import Protocol, TypeVar

from .events import Event
from .identity import WHOLE_RUN, Address, ConversationId
from .messages import Command, Fact, Message, Stop
from .models import Completion, ModelCall

AnswerT = TypeVar("AnswerT", bound=Fact)


class Clock(Protocol):
    """Where time comes from."""

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds of a clock that never goes back, for durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class ModelClient(Protocol):
    """Something that answers model calls."""

    async def complete(self, call: ModelCall) -> Completion:
        """Answer a call.

        Raises:
            ModelError: no answer could be had; its class says why.
        """
        ...


class EventLog(Protocol):
    """The append-only truth of a run. One writer; readers read what is committed."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be appended any more."""
        ...

    def append(
        self,
        message: Message,
        *,
        sender: str,
        conversation: ConversationId = WHOLE_RUN,
        cause: int | None = None,
        recipients: tuple[str, ...] = (),
    ) -> int:
        """Take an event and return its sequence at once; it is written with the next group."""
        ...

    def keep(self, digest: str, text: str) -> None:
        """Keep a text under its digest, once; it is durable no later than events appended after it."""
        ...

    async def drain(self) -> None:
        """Wait until there is room for more events: the bound on what is not written yet."""
        ...

    async def durable(self, sequence: int) -> None:
        """Wait until an event is committed.

        Raises:
            LogError: it could not be written.
        """
        ...

    def events(self, conversation: ConversationId | None = None, kinds: tuple[str, ...] = ()) -> Iterator[Event]:
        """Return committed events in order of sequence, of one conversation or all, of some kinds or all."""
        ...

    def text(self, digest: str) -> str:
        """Return a kept text; raises KeyError where there is none."""
        ...


class Context(Protocol):
    """The world as an agent sees it while it handles one letter."""

    @property
    def address(self) -> Address:
        """The agent's own address."""
        ...

    @property
    def model(self) -> ModelClient:
        """Models, as this agent may ask them; every reply is durable in the log before it is returned."""
        ...

    @property
    def clock(self) -> Clock:
        """Time."""
        ...

    @property
    def rng(self) -> random.Random:
        """Chance, the same in every run with the same seed, conversation and agent."""
        ...

    async def tell(self, agent: str, message: Message) -> None:
        """Send a letter to an agent of this conversation; waits while its mailbox is full.

        Raises:
            AgentUnavailable: it has stopped or is recused; the letter is recorded as dead.
            AskCycle: waiting for room could never end.
        """
        ...

    async def ask(self, agent: str, command: Command[AnswerT]) -> AnswerT:
        """Send a command to an agent of this conversation and return the fact that answers it.

        Raises:
            AgentUnavailable: it has stopped or is recused.
            AskCycle: it waits, directly or through others, for this agent.
            Unanswered: it handled the command and said nothing of the wanted kind.
            Exception: whatever its handler raised.
        """
        ...

    async def emit(self, fact: Fact) -> int:
        """State a fact: it is logged, delivered to all who listen, and answers a command that wants it.

        Returns:
            Its sequence in the log.
        """
        ...


class Actor(Protocol):
    """Something with an address: it handles its letters one at a time, in order."""

    async def handle(self, message: Message, context: Context, /) -> Stop | None:
        """Handle one letter. What it raises is recorded, and reaches whoever waits for an answer."""
        ...

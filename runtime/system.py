"""The actor system: what all conversations share, and how all of them are stopped."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..protocols.errors import AgentUnavailable, ModelError
from ..protocols.identity import Address, CallId, ConversationId
from ..protocols.messages import Message
from ..protocols.models import Completion, ModelCall
from ..protocols.ports import Clock, EventLog, ModelClient
from .clock import SystemClock
from .conversation import Cast, Conversation
from .recording.recall import Recall
from .supervision import Policy
from .tracing import outermost

Intercept = Callable[[Message, Address], Message | None]
"""Sees every letter before it is delivered: returns it, another in its place, or None to drop it."""

INBOX = 64
"""Letters an agent's mailbox holds: all that a dozen others say in a few rounds, and its own commands."""


class NoModels:
    """The ModelClient of a system that has no models."""

    async def complete(self, call: ModelCall) -> Completion:
        """Refuse; raises ModelError."""
        raise ModelError(f"this system has no models, and {call.settings.model} was asked for")


@dataclass(frozen=True, slots=True)
class Statistics:
    """An actor system at one moment."""

    conversations: int
    """Conversations that are open."""
    dead_letters: int
    """Letters that nobody could take, since the start."""


class ActorSystem:
    """Opens conversations over one log, one model client and one clock."""

    def __init__(
        self,
        log: EventLog,
        *,
        models: ModelClient | None = None,
        clock: Clock | None = None,
        seed: int = 0,
        inbox: int = INBOX,
        intercept: Intercept | None = None,
    ) -> None:
        self.log = log
        self.models: ModelClient = models or NoModels()
        self.clock: Clock = clock or SystemClock()
        self.seed = seed
        self.inbox = inbox
        self.intercept = intercept
        self.dead_letters = 0
        self.scope = outermost()
        """What events in the logs belong to that are of no run."""
        self.asking: dict[int, tuple[Address, ModelCall, CallId]] = {}
        """Who waits for a model now, for which call, and its name."""
        self._open: dict[Conversation, None] = {}
        self._stopping = False
        self._all_left = asyncio.Event()

    def conversation(
        self,
        conversation: ConversationId,
        cast: Cast,
        policies: Mapping[str, Policy] | None = None,
        recall: Recall | None = None,
    ) -> Conversation:
        """Return a conversation to enter with `async with`.

        Args:
            conversation: Its id, unique in the run.
            cast: A maker for each agent that can be spoken to.
            policies: What to do when an agent's handler raises; agents not named fail the conversation.
            recall: What was said in it before, where it was held before.
        """
        return Conversation(self, conversation, cast, policies or {}, recall)

    def idle(self) -> Iterator[ConversationId]:
        """Return the conversations in which no model has answered yet."""
        return (conversation.id for conversation in self._open if not conversation.answered)

    def statistics(self) -> Statistics:
        """Return the system as it is now."""
        return Statistics(len(self._open), self.dead_letters)

    async def stop(self) -> None:
        """Stop every conversation, and let none begin any more; returns when all have ended.

        Everyone who waits is answered. Call it from outside the conversations: one cannot await its own end.
        """
        self._stopping = True
        for conversation in list(self._open):
            conversation.stop()
        while self._open:
            self._all_left.clear()
            await self._all_left.wait()

    def joined(self, conversation: Conversation) -> None:
        """Note that a conversation is entered; raises AgentUnavailable when the system is stopping."""
        if self._stopping:
            raise AgentUnavailable("the system", "was stopped")
        self._open[conversation] = None

    def left(self, conversation: Conversation) -> None:
        """Note that a conversation has ended."""
        del self._open[conversation]
        if not self._open:
            self._all_left.set()

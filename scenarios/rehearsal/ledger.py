"""What is noted of a conversation while it is held: who said what, having been told what."""

from collections import defaultdict
from typing import Any

from ...protocols.hearing import Heard
from ...protocols.identity import WHOLE_RUN, Address, ConversationId
from ...protocols.messages import Command, Fact, Message
from ...protocols.ports import Clock
from ...runtime.log.memory import MemoryLog
from .asked import word_for, word_of
from .rehearsal import Spoken


class Ledger(MemoryLog):
    """A log in memory that sees every letter as well, in the order of delivery."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self.facts: list[tuple[str, Fact]] = []
        """Everything that was stated, by whom."""
        self.spoken: list[Spoken] = []
        self.told: dict[str, list[Heard]] = defaultdict(list)
        """What each agent was told."""
        self.commands: dict[str, Command[Any]] = {}
        """What each agent was asked for last."""
        self._asked: dict[int, tuple[Command[Any], int]] = {}
        """Each command, and how much the agent had been told when it was given."""
        self._taken: dict[str, int] = defaultdict(int)
        """How much of what an agent was told stood before what it said last."""

    def append(
        self,
        message: Message,
        *,
        sender: str,
        conversation: ConversationId = WHOLE_RUN,
        cause: int | None = None,
        recipients: tuple[str, ...] = (),
    ) -> int:
        """Take an event, note what it is, and return its sequence."""
        sequence = super().append(message, sender=sender, conversation=conversation, cause=cause, recipients=recipients)
        if isinstance(message, Command):
            command: Command[Any] = message  # pyright: ignore[reportUnknownVariableType]  # of whatever it wants
            for agent in recipients:
                self.commands[agent] = command
                self._asked[sequence] = (command, len(self.told[agent]))
        elif isinstance(message, Fact):
            self.facts.append((sender, message))
            if cause in self._asked and sender in self.commands:
                self._speak(sender, message, *self._asked[cause])
        return sequence

    def deliver(self, message: Message, address: Address) -> Message:
        """Note what an agent is told; an Intercept."""
        if isinstance(message, Heard):
            self.told[address.agent].append(message)
        return message

    def _speak(self, agent: str, fact: Fact, command: Command[Any], told: int) -> None:
        """Note what an agent said when it was asked: what was wanted, and what others are told beside it."""
        wanted = isinstance(fact, command.wants)
        if not wanted and not fact.said():
            return
        heard = tuple(each.speaker for each in self.told[agent][self._taken[agent] : told] if each.fact.said())
        self._taken[agent] = max(told, self._taken[agent])
        word = word_of(command) if wanted else word_for(fact)
        self.spoken.append(Spoken(agent, word, heard, command.round, fact))

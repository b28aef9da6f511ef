"""Items played for nothing: the real conductor and agents, a simulated model, and no log."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from ...protocols.identity import WHOLE_RUN, ConversationId
from ...protocols.items import Item
from ...protocols.lifecycle import ItemFailed, ModelCalled
from ...protocols.messages import Command, Message
from ...protocols.models import Completion, ModelCall
from ...runtime.log.memory import NoLog
from ...runtime.system import ActorSystem
from ..stage import Due, Stage
from ..steps import Plan
from .typical import Lengths, Temper, Typical

TURNS = 16
"""Of the loop that an answer takes: who is asked at the same time asks before the first of them is answered."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call of a play."""

    agent: str
    round: int
    input_tokens: int
    output_tokens: int


@dataclass(slots=True)
class Play:
    """One item, played once."""

    calls: list[Called] = field(default_factory=list[Called])
    in_a_row: int = 0
    """Calls that waited for one another."""
    failed: str | None = None
    """Why it came to no end, where it did not."""


class _Ledger(NoLog):
    """A log that keeps only what was called, and what each agent was commanded last."""

    def __init__(self) -> None:
        super().__init__()
        self.play = Play()
        self.commanded: dict[str, str] = {}

    def append(
        self,
        message: Message,
        *,
        sender: str,
        conversation: ConversationId = WHOLE_RUN,
        cause: int | None = None,
        recipients: tuple[str, ...] = (),
    ) -> int:
        """Return the next sequence."""
        said: Message = message
        if isinstance(message, ModelCalled):
            usage = message.usage
            called = Called(sender, message.round or 1, usage.input_tokens, usage.output_tokens)
            self.play.calls.append(called)
        elif isinstance(message, Command):
            self.commanded.update(dict.fromkeys(recipients, message.kind))
        elif isinstance(message, ItemFailed):
            self.play.failed = f"{message.cause.error}: {message.cause.reason}"
        return super().append(said, sender=sender, conversation=conversation, cause=cause, recipients=recipients)


class _Model:
    """A ModelClient that answers as is typical."""

    def __init__(self, typical: Typical, ledger: _Ledger) -> None:
        self._typical = typical
        self._ledger = ledger
        self.system: ActorSystem | None = None

    async def complete(self, call: ModelCall) -> Completion:
        """Answer a call."""
        play = self._ledger.play
        place = play.in_a_row + 1
        asking = self.system.asking.get(id(call)) if self.system is not None else None
        command = self._ledger.commanded.get(asking[0].agent) if asking is not None else None
        completion = self._typical.answer(call, command)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        play.in_a_row = max(play.in_a_row, place)
        return completion


async def rehearsed(
    plan: Plan, item: Item, number: int, lengths: Lengths, *, seed: int = 0, temper: Temper = "random"
) -> Play:
    """Play an item; nothing is asked of a model, and nothing is written.

    Args:
        plan: What is played.
        item: Which item.
        number: Its place in the data, from 0.
        lengths: How long answers are taken to be.
        seed: Of chance: of the scenario's, and of what is answered.
        temper: What verdicts and scores are.
    """
    ledger = _Ledger()
    model = _Model(Typical(lengths, f"{seed}/{item.id}", temper, item.choices), ledger)
    system = ActorSystem(ledger, models=model, seed=seed)
    model.system = system
    await Stage(plan, system, seed).play(Due(number, item))
    return ledger.play


async def rehearsals(
    plan: Plan, items: Iterable[tuple[int, Item]], lengths: Lengths, *, seed: int, times: int
) -> list[list[Play]]:
    """Play each item some times, with a seed of its own each time."""
    return [
        [await rehearsed(plan, item, number, lengths, seed=seed + time) for time in range(times)]
        for number, item in items
    ]

"""The debater: argues about answers, or a question, in the light of what the others say, and votes like a juror."""

from collections.abc import Mapping
from typing import ClassVar

from ..protocols.debate import ArgumentMade, MakeArgument
from ..protocols.items import Slot
from ..protocols.judging import Order
from ..protocols.messages import Command, Fact
from ..protocols.ports import Context
from .juror import Juror
from .participant import SHOWN
from .prompt import Prompt


class Debater(Juror):
    """Makes arguments, then casts a vote in the same dialogue."""

    gives: ClassVar[frozenset[type[Fact]]] = frozenset({ArgumentMade, *Juror.gives})
    prompt: ClassVar[Prompt] = Prompt.from_file("debater.md")
    fills: ClassVar[Mapping[str, frozenset[str]]] = {**Juror.fills, "argument": SHOWN | {"round", "side"}}

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Make an argument, or what else it is asked for."""
        if not isinstance(command, MakeArgument):
            await super().answer(command, context)
            return
        order = command.order
        completion = await self.write(
            "argument",
            command,
            context,
            order,
            candidates=self.shown(order),
            round=command.round,
            side=self._side(command.side or self.profile.side, order),
        )
        cut_off = completion.finish_reason == "length"
        text, shown = completion.text.strip(), self.order_of(order)
        await context.emit(ArgumentMade(round=command.round, text=text, cut_off=cut_off, order=shown))

    def _side(self, slot: Slot | None, order: Order) -> str | None:
        """Return the label under which the candidate to argue for is shown; None where there is none."""
        if slot is None or len(self.item.candidates) < len(order):
            return None
        return "AB"[order.index(slot)]

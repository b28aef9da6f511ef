"""The debater: argues about the candidates in the light of what the others say, and votes like a juror."""

from typing import ClassVar

from ..protocols.debate import ArgumentMade, MakeArgument
from ..protocols.messages import Command, Fact
from ..protocols.ports import Context
from .juror import Juror
from .prompt import Prompt


class Debater(Juror):
    """Makes arguments, then casts a vote in the same dialogue."""

    gives: ClassVar[frozenset[type[Fact]]] = frozenset({ArgumentMade, *Juror.gives})
    prompt: ClassVar[Prompt] = Prompt.from_file("debater.md")

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Make an argument, or vote."""
        if not isinstance(command, MakeArgument):
            await super().answer(command, context)
            return
        order = command.order
        dialogue = self.dialogue(order)
        candidates = self.candidates(order)
        request = self.render("argument", dialogue, order, candidates=candidates, round=command.round)
        if not dialogue:
            dialogue.open(self.render("system", dialogue))
        completion, _ = await dialogue.text(
            context.model,
            self.profile.settings,
            request,
            lambda problem: self.render("again", dialogue, problem=problem, shape=""),
        )
        self.spoke(dialogue, order)
        cut_off = completion.finish_reason == "length"
        await context.emit(ArgumentMade(round=command.round, text=completion.text.strip(), cut_off=cut_off))

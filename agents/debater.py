"""The debater: argues about the candidates in the light of what the others say, and votes like a juror."""

from typing import ClassVar

from ..protocols.debate import ArgumentMade, MakeArgument
from ..protocols.jury import VoteCast
from ..protocols.messages import Command, Fact
from ..protocols.ports import Context
from .juror import Juror
from .prompt import Prompt


class Debater(Juror):
    """Makes arguments, then casts a vote in the same dialogue."""

    gives: ClassVar[frozenset[type[Fact]]] = frozenset({ArgumentMade, VoteCast})
    prompt: ClassVar[Prompt] = Prompt.from_file("debater.md")

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Make an argument, or vote."""
        if not isinstance(command, MakeArgument):
            await super().answer(command, context)
            return
        dialogue = self.dialogue.fork()
        first = not dialogue
        if first:
            dialogue.open(self.render("system"))
        completion, _ = await dialogue.text(
            context.model,
            self.profile.settings,
            self.render("argument", first=first, candidates=self.candidates(command.order), round=command.round),
            lambda problem: self.render("again", problem=problem, shape=""),
        )
        self.spoke(dialogue)
        cut_off = completion.finish_reason == "length"
        await context.emit(ArgumentMade(round=command.round, text=completion.text.strip(), cut_off=cut_off))

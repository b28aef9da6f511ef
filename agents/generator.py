"""The generator: answers the prompt, then revises its answer by the feedback it hears."""

from typing import ClassVar

from ..protocols.generation import DraftWritten, WriteDraft
from ..protocols.items import Item
from ..protocols.messages import Command, Fact
from ..protocols.ports import Context
from .agent import Agent
from .profile import Profile
from .prompt import Prompt


class Generator(Agent):
    """Writes drafts; keeps the whole talk with its model."""

    gives: ClassVar[frozenset[type[Fact]]] = frozenset({DraftWritten})
    prompt: ClassVar[Prompt] = Prompt.from_file("generator.md")
    converses: ClassVar[bool] = True

    def __init__(self, profile: Profile, item: Item) -> None:
        super().__init__(profile, item)
        self._drafts = 0

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Write a draft."""
        if not isinstance(command, WriteDraft):
            await super().answer(command, context)
            return
        dialogue = self.dialogue()
        revising = bool(dialogue) and dialogue.taken < len(self.heard)
        request = self.render("revision" if revising else "draft", dialogue)
        if not dialogue:
            dialogue.open(self.render("system", dialogue), self.item.history)
        completion, _ = await dialogue.text(
            context.model,
            self.profile.settings,
            request,
            lambda problem: self.render("again", dialogue, problem=problem),
        )
        self.spoke(dialogue)
        self._drafts += 1
        cut_off = completion.finish_reason == "length"
        await context.emit(
            DraftWritten(round=command.round, text=completion.text.strip(), version=self._drafts, cut_off=cut_off)
        )

"""The generator: answers the prompt, then revises its answer by the feedback it hears."""

from typing import ClassVar

from ..protocols.generation import DraftWritten, WriteDraft
from ..protocols.hearing import Heard
from ..protocols.items import Item
from ..protocols.messages import Command, Fact, named
from ..protocols.ports import Context
from ..protocols.review import FeedbackGiven
from .agent import Agent
from .dialogue import Dialogue
from .profile import Profile
from .prompt import Prompt


class Generator(Agent):
    """Writes drafts; keeps the whole talk with its model, and how it stood after each draft, to go back to."""

    gives: ClassVar[frozenset[type[Fact]]] = frozenset({DraftWritten})
    prompt: ClassVar[Prompt] = Prompt.from_file("generator.md")
    converses: ClassVar[bool] = True

    def __init__(self, profile: Profile, item: Item) -> None:
        super().__init__(profile, item)
        self._after: dict[int, Dialogue] = {}
        """The dialogue as it stood after each draft, by version."""
        self._followed: set[str] = set()
        """Feedback, by name."""

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Write a draft."""
        if not isinstance(command, WriteDraft):
            await super().answer(command, context)
            return
        onto = command.onto or len(self._after) or None
        dialogue = Dialogue() if onto is None else self._after[onto].fork()
        told = self._told(dialogue, command)
        revising = bool(dialogue) and bool(told)
        words = tuple((heard.speaker, said) for heard in told if (said := heard.fact.said()))
        request = self.render("revision" if revising else "draft", dialogue, heard=words)
        if not dialogue:
            dialogue.open(self.render("system", dialogue, heard=words), self.item.history)
        completion, _ = await dialogue.text(
            context.model,
            self.profile.settings,
            request,
            lambda problem: self.render("again", dialogue, problem=problem),
        )
        dialogue.taken = len(self.heard)
        version = len(self._after) + 1
        self._after[version] = dialogue
        self._followed.update(_feedback(told) or ())
        await context.emit(
            DraftWritten(
                round=command.round,
                text=completion.text.strip(),
                version=version,
                cut_off=completion.finish_reason == "length",
                revises=onto if revising else None,
                by=_feedback(told) if revising else None,
            )
        )

    def _told(self, dialogue: Dialogue, command: WriteDraft) -> list[Heard]:
        """Return what was heard since the draft to revise was written, as far as the command wants it told.

        Of a draft that is gone back to, feedback that was followed already is not followed again.
        """
        fresh = self.heard[dialogue.taken :]
        if command.hearing is not None:
            fresh = [heard for heard in fresh if heard.speaker == command.hearing]
        if command.onto is not None:
            own = named(self.profile.name, command.onto)
            fresh = [heard for heard in fresh if own in (_on(heard.fact) or (own,))]
            fresh = [heard for heard in fresh if not self._followed.issuperset(_feedback([heard]) or {None})]
        return fresh


def _on(fact: Fact) -> tuple[str, ...] | None:
    return fact.on if isinstance(fact, FeedbackGiven) else None


def _feedback(told: list[Heard]) -> tuple[str, ...] | None:
    names = [
        named(heard.speaker, heard.fact.number)
        for heard in told
        if isinstance(heard.fact, FeedbackGiven) and heard.fact.number is not None
    ]
    return tuple(names) or None

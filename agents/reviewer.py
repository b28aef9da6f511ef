"""The reviewer: evaluates drafts, scores them and says what to change."""

from typing import ClassVar

from ..protocols.errors import NothingToDecide
from ..protocols.generation import DraftWritten
from ..protocols.hearing import Heard
from ..protocols.items import Item
from ..protocols.messages import Command, Fact, named
from ..protocols.ports import Context
from ..protocols.review import FeedbackGiven, GiveFeedback
from .agent import Agent
from .dialogue import Dialogue
from .profile import Profile
from .prompt import Prompt
from .replies import feedback_form


class Reviewer(Agent):
    """Gives feedback; keeps its own earlier feedback in mind."""

    gives: ClassVar[frozenset[type[Fact]]] = frozenset({FeedbackGiven})
    prompt: ClassVar[Prompt] = Prompt.from_file("reviewer.md")

    def __init__(self, profile: Profile, item: Item) -> None:
        super().__init__(profile, item)
        self._given = 0
        self._reviewed: set[str] = set()
        """Drafts, by name."""

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Give feedback on what was heard since the last time.

        Raises:
            NothingToDecide: nothing was heard.
        """
        if not isinstance(command, GiveFeedback):
            await super().answer(command, context)
            return
        dialogue = self.dialogue()
        told = self._told(dialogue, command)
        if not told:
            raise NothingToDecide(f"{self.profile.name} has heard nothing new to review (see `hears`)")
        form = feedback_form(command.scale)
        drafts = tuple(
            named(heard.speaker, heard.fact.version) for heard in told if isinstance(heard.fact, DraftWritten)
        )
        words = tuple((heard.speaker, said) for heard in told if (said := heard.fact.said()))
        known = bool(drafts) and self._reviewed.issuperset(drafts)
        request = self.render("feedback", dialogue, heard=words, known=known)
        if not dialogue:
            dialogue.open(self.render("system", dialogue, shape=form.shape, scale=command.scale))
        asked = dialogue.digest(request)
        reply, requests = await dialogue.reply(
            context.model,
            self.profile.settings,
            request,
            form,
            lambda problem: self.render("again", dialogue, problem=problem, shape=form.shape),
        )
        self.spoke(dialogue)
        self._given += 1
        self._reviewed.update(drafts)
        await context.emit(
            FeedbackGiven(
                round=command.round,
                evaluation=reply.evaluation,
                feedback=reply.feedback,
                score=reply.score,
                scale=command.scale,
                requests=requests,
                number=self._given,
                on=drafts or None,
                asked=asked,
            )
        )

    def _told(self, dialogue: Dialogue, command: GiveFeedback) -> list[Heard]:
        """Return what is to be reviewed: the draft that is named, or all that was heard since the last time."""
        if command.on is None:
            return self.heard[dialogue.taken :]
        return [
            heard
            for heard in self.heard
            if isinstance(heard.fact, DraftWritten) and named(heard.speaker, heard.fact.version) == command.on
        ]

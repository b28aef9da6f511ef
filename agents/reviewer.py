"""The reviewer: evaluates drafts, scores them and says what to change."""

from typing import ClassVar

from ..protocols.errors import NothingToDecide
from ..protocols.messages import Command, Fact
from ..protocols.ports import Context
from ..protocols.review import FeedbackGiven, GiveFeedback
from .agent import Agent
from .prompt import Prompt
from .replies import feedback_form


class Reviewer(Agent):
    """Gives feedback; keeps its own earlier feedback in mind."""

    gives: ClassVar[frozenset[type[Fact]]] = frozenset({FeedbackGiven})
    prompt: ClassVar[Prompt] = Prompt.from_file("reviewer.md")

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Give feedback on what was heard since the last time.

        Raises:
            NothingToDecide: nothing was heard.
        """
        if not isinstance(command, GiveFeedback):
            await super().answer(command, context)
            return
        dialogue = self.dialogue()
        if dialogue.taken == len(self.heard):
            raise NothingToDecide(f"{self.profile.name} has heard nothing new to review (see `hears`)")
        form = feedback_form(command.scale)
        request = self.render("feedback", dialogue)
        if not dialogue:
            dialogue.open(self.render("system", dialogue, shape=form.shape, scale=command.scale))
        reply, requests = await dialogue.reply(
            context.model,
            self.profile.settings,
            request,
            form,
            lambda problem: self.render("again", dialogue, problem=problem, shape=form.shape),
        )
        self.spoke(dialogue)
        await context.emit(
            FeedbackGiven(
                round=command.round,
                evaluation=reply.evaluation,
                feedback=reply.feedback,
                score=reply.score,
                scale=command.scale,
                requests=requests,
            )
        )

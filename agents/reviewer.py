"""The reviewer: evaluates drafts, scores them and says what to change."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ..protocols.errors import NothingToDecide
from ..protocols.generation import DraftWritten
from ..protocols.items import Item
from ..protocols.messages import Command, Fact, named
from ..protocols.ports import Context
from ..protocols.review import FeedbackGiven, GiveFeedback
from .agent import worded
from .participant import SHOWN, Participant
from .profile import Profile
from .prompt import Prompt
from .replies import feedback_form


class Reviewer(Participant):
    """Gives feedback; keeps its own earlier feedback in mind."""

    gives: ClassVar[frozenset[type[Fact]]] = frozenset({FeedbackGiven, *Participant.gives})
    prompt: ClassVar[Prompt] = Prompt.from_file("reviewer.md")
    fills: ClassVar[Mapping[str, frozenset[str]]] = {
        **Participant.fills,
        "feedback": SHOWN | {"answers", "remarks", "known", "revised", "scale", "shape"},
    }

    def __init__(self, profile: Profile, item: Item) -> None:
        super().__init__(profile, item)
        self._reviews = 0
        self._reviewed: set[str] = set()
        """Drafts, by name."""

    def forget(self) -> None:
        """Forget what was heard, and every dialogue, with the drafts it had seen in it."""
        super().forget()
        self._reviewed.clear()

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Give feedback on what was heard since the last time, or on the draft it is to be on.

        Raises:
            NothingToDecide: nothing was heard.
        """
        if not isinstance(command, GiveFeedback):
            await super().answer(command, context)
            return
        dialogue = self.dialogue()
        told = [heard for heard in self.told(dialogue, command.on) if heard.fact.said()]
        drafts = [heard for heard in told if isinstance(heard.fact, DraftWritten)]
        if not told or (command.on is not None and not drafts):
            raise NothingToDecide(f"{self.profile.name} has heard nothing new to review (see `hears`)")
        names = tuple(
            named(heard.speaker, heard.fact.version) for heard in drafts if isinstance(heard.fact, DraftWritten)
        )
        form = feedback_form(command.scale)
        given: dict[str, Any] = {
            "heard": worded(told),
            "answers": worded(drafts),
            "remarks": worded([heard for heard in told if heard not in drafts]),
            "candidates": () if drafts else self.shown("ab"),
            "known": bool(names) and self._reviewed.issuperset(names),
            "revised": bool(names) and _writers(self._reviewed).issuperset(_writers(names)),
            "scale": command.scale,
            "shape": form.shape,
        }
        request = self.request(("feedback", "form"), command, dialogue, **given)
        self.begin(dialogue)
        asked = dialogue.digest(request)
        reply, requests = await dialogue.reply(
            context.model,
            self.profile.settings,
            request,
            form,
            lambda problem: self.once_more(dialogue, problem, form.shape),
        )
        self.spoke(dialogue, on=command.on)
        self._reviews += 1
        self._reviewed.update(names)
        await context.emit(
            FeedbackGiven(
                round=command.round,
                evaluation=reply.evaluation,
                feedback=reply.feedback,
                score=reply.score,
                scale=command.scale,
                requests=requests,
                number=self._reviews,
                on=names or None,
                order=None if names else self.order_of("ab"),
                asked=asked,
            )
        )


def _writers(drafts: Iterable[str]) -> set[str]:
    """Return who wrote drafts, by their names."""
    return {name.rpartition("/")[0] for name in drafts}

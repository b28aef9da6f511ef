"""The peer: one actor of several hats, who writes, reviews what others wrote, argues and votes."""

from typing import ClassVar

from ..protocols.generation import WriteDraft
from ..protocols.hearing import Heard
from ..protocols.items import Item
from ..protocols.messages import Command, Fact
from ..protocols.moderation import ApprovalGiven, QuestionAsked, SummaryWritten
from ..protocols.ports import Context
from ..protocols.review import FeedbackGiven, GiveFeedback
from ..protocols.solving import GiveAnswer
from .agent import Agent
from .debater import Debater
from .generator import Generator
from .profile import Profile
from .reviewer import Reviewer

TO_A_WRITER = (FeedbackGiven, ApprovalGiven, QuestionAsked, SummaryWritten)
"""What its writer is told: never what others write."""

ITSELF = "yourself"
"""How one who argues, or votes, is told what it has written itself."""


class Peer(Agent):
    """Writes, reviews and votes among equals; each hat leads its own dialogues.

    The one who writes is told feedback on its own drafts, and questions, not the drafts of others: it revises by what
    was said to it alone.
    """

    gives: ClassVar[frozenset[type[Fact]]] = Generator.gives | Reviewer.gives | Debater.gives
    hats: ClassVar[tuple[type[Agent], ...]] = (Generator, Reviewer, Debater)

    def __init__(self, profile: Profile, item: Item) -> None:
        super().__init__(profile, item)
        self._writer = Generator(profile, item)
        self._reviewer = Reviewer(profile, item)
        self._debater = Debater(profile, item)

    def hear(self, heard: Heard) -> None:
        """Pass on what is heard to the hats it is for; what it has written itself is known to them already."""
        if heard.speaker == self.profile.name:
            return
        if isinstance(heard.fact, TO_A_WRITER):
            self._writer.hear(heard)
        self._reviewer.hear(heard)
        self._debater.hear(heard)

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Answer under the hat that the command is for; what any agent can be asked for, as a debater."""
        match command:
            case WriteDraft() | GiveAnswer():
                before = len(self._writer.drafts)
                await self._writer.answer(command, context)
                for draft in list(self._writer.drafts.values())[before:]:
                    self._reviewer.hear(Heard(speaker=self.profile.name, fact=draft))
                    self._debater.hear(Heard(speaker=self.profile.name, fact=draft, known_as=ITSELF))
            case GiveFeedback():
                await self._reviewer.answer(command, context)
            case _:
                await self._debater.answer(command, context)

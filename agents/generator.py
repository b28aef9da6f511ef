"""The generator: answers the prompt, then revises its answer by what it hears. A solver is one that gives answers."""

from collections.abc import Mapping
from typing import Any, ClassVar

from ..protocols.errors import ContentFiltered, ModelRefused, UnreadAnswer
from ..protocols.generation import DraftWritten, WriteDraft
from ..protocols.hearing import Heard
from ..protocols.items import Item
from ..protocols.messages import Command, Fact, named
from ..protocols.moderation import QuestionAsked
from ..protocols.ports import Context
from ..protocols.review import FeedbackGiven
from ..protocols.solving import GiveAnswer
from .agent import worded
from .dialogue import Dialogue
from .participant import Participant
from .profile import Profile
from .prompt import Prompt
from .replies import AnswerReply, answer_form, confidence_of

HEARD = frozenset({"wish", "questions", "reviews", "answers", "remarks", "own"})


class Generator(Participant):
    """Writes drafts and solutions; keeps the whole talk with its model, and how it stood after each, to go back to."""

    gives: ClassVar[frozenset[type[Fact]]] = frozenset({DraftWritten, *Participant.gives})
    prompt: ClassVar[Prompt] = Prompt.from_file("generator.md")
    converses: ClassVar[bool] = True
    fills: ClassVar[Mapping[str, frozenset[str]]] = {
        **Participant.fills,
        "draft": HEARD,
        "revision": HEARD,
        "solution": HEARD | {"again", "wanted", "confidence", "shape"},
    }

    def __init__(self, profile: Profile, item: Item) -> None:
        super().__init__(profile, item)
        self.drafts: dict[int, DraftWritten] = {}
        """All it has written, by version."""
        self._after: dict[int, Dialogue] = {}
        """The dialogue as it stood after each draft, by version; 0 is before the first."""
        self._told_since: dict[int, list[Heard]] = {}
        """What was told after a draft, by version, when something else than the next draft was asked for."""
        self._followed: set[str] = set()
        """Feedback, by name."""

    def forget(self) -> None:
        """Forget what was heard, and every dialogue; what it has written it still knows."""
        super().forget()
        self._after.clear()
        self._told_since.clear()

    def dialogue(self, order: str = "ab") -> Dialogue:
        """Return a fork of the dialogue as it stood after the last draft, whatever the order."""
        del order
        return self._dialogue_after(len(self.drafts))

    def spoke(self, dialogue: Dialogue, order: str = "ab", on: str | None = None) -> None:
        """Keep a dialogue, to go on from there; what was told in it is still to be followed."""
        version = len(self.drafts)
        self._told_since.setdefault(version, []).extend(self.told(dialogue, on))
        super().spoke(dialogue, order, on)
        self._after[version] = dialogue

    def _dialogue_after(self, version: int) -> Dialogue:
        return self._after.get(version, Dialogue()).fork()

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Write a draft, or a solution, or what else it is asked for."""
        match command:
            case WriteDraft():
                await self._draft(command, context)
            case GiveAnswer():
                await self._solve(command, context)
            case _:
                await super().answer(command, context)

    async def _draft(self, command: WriteDraft, context: Context) -> None:
        onto = command.onto or len(self.drafts) or None
        dialogue = self._dialogue_after(onto or 0)
        told = self._told(dialogue, command)
        given = self._sorted(told, dialogue, onto)
        since = [*self._told_since.get(onto or 0, ()), *told]
        revising = onto is not None and bool(worded(since)) and not given["questions"]
        request = self.request(("revision" if revising else "draft",), command, dialogue, **given)
        self.begin(dialogue)
        completion, _ = await dialogue.text(
            context.model, self.profile.settings, request, lambda problem: self.once_more(dialogue, problem)
        )
        draft = DraftWritten(
            round=command.round,
            text=completion.text.strip(),
            version=len(self.drafts) + 1,
            cut_off=completion.finish_reason == "length",
            revises=onto if revising else None,
            by=_feedback(since) if revising else None,
        )
        self._keep(draft, dialogue, command.on)
        await context.emit(draft)

    async def _solve(self, command: GiveAnswer, context: Context) -> None:
        """Give an answer; one that cannot be read, further requests included, or is withheld, is unread."""
        onto = len(self.drafts) or None
        dialogue = self._dialogue_after(onto or 0)
        before = dialogue.fork()
        told = self.told(dialogue, command.on)
        given = self._sorted(told, dialogue, onto)
        since = [*self._told_since.get(onto or 0, ()), *told]
        again = onto is not None and not self.drafts[onto].unread and not given["questions"]
        facts: dict[str, Any] = {
            "round": command.round,
            "version": len(self.drafts) + 1,
            "revises": onto if again and worded(since) else None,
            "by": _feedback(since) if again else None,
        }
        try:
            reply = await self._solution(command, context, dialogue, {**given, "again": again})
        except UnreadAnswer as error:
            draft, dialogue = DraftWritten(**facts, text=str(error), unread=True), before
        except (ContentFiltered, ModelRefused) as error:
            draft, dialogue = DraftWritten(**facts, text=f"{type(error).__name__}: {error}", unread=True), before
        else:
            text = f"{reply.reasoning}\n\nAnswer: {reply.answer}"
            draft = DraftWritten(**facts, text=text, answer=reply.answer, confidence=confidence_of(reply))
        self._keep(draft, dialogue, command.on)
        await context.emit(draft)

    async def _solution(
        self, command: GiveAnswer, context: Context, dialogue: Dialogue, given: dict[str, Any]
    ) -> AnswerReply:
        form = answer_form(confidence=command.confidence)
        asked: dict[str, Any] = {"wanted": self.profile.answers, "confidence": command.confidence, "shape": form.shape}
        request = self.request(("solution", "form"), command, dialogue, **given, **asked)
        self.begin(dialogue)
        reply, _ = await dialogue.reply(
            context.model,
            self.profile.settings,
            request,
            form,
            lambda problem: self.once_more(dialogue, problem, form.shape),
        )
        return reply

    def _keep(self, draft: DraftWritten, dialogue: Dialogue, on: str | None) -> None:
        """Keep a draft with the dialogue as it then stood; of one that is unread, as it stood before."""
        self.drafts[draft.version] = draft
        self._after[draft.version] = dialogue
        if not draft.unread:
            super().spoke(dialogue, on=on)
            self._followed.update(draft.by or ())

    def _sorted(self, told: list[Heard], dialogue: Dialogue, onto: int | None) -> dict[str, Any]:
        """Return what is told by what it is to a writer, and its own last words, where the dialogue has them not."""
        sorts: dict[str, list[Heard]] = {"questions": [], "reviews": [], "answers": [], "remarks": []}
        for heard in told:
            match heard.fact:
                case QuestionAsked():
                    sorts["questions"].append(heard)
                case FeedbackGiven():
                    sorts["reviews"].append(heard)
                case DraftWritten():
                    sorts["answers"].append(heard)
                case _:
                    sorts["remarks"].append(heard)
        own = None if dialogue or onto is None or self.drafts[onto].unread else self.drafts[onto].text
        return {"heard": worded(told), "own": own, **{sort: worded(those) for sort, those in sorts.items()}}

    def told(self, dialogue: Dialogue, on: str | None = None) -> list[Heard]:
        """Return what is to be told: feedback on others' drafts is none of its business, but on the one it is about."""
        told = super().told(dialogue, on)
        if not told or on is not None:
            return told
        own = {named(self.profile.name, version) for version in self.drafts}
        return [heard for heard in told if (drafts := _on(heard.fact)) is None or not own.isdisjoint(drafts)]

    def _told(self, dialogue: Dialogue, command: WriteDraft) -> list[Heard]:
        """Return what was heard since the draft to revise was written, as far as the command wants it told.

        Of a draft that is gone back to, feedback that was followed already is not followed again.
        """
        fresh = self.told(dialogue, command.on)
        if command.hearing is not None:
            fresh = [heard for heard in fresh if heard.speaker == command.hearing]
        if command.onto is not None:
            onto = named(self.profile.name, command.onto)
            fresh = [heard for heard in fresh if onto in (_on(heard.fact) or (onto,))]
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

"""What all agents share: they listen, they speak through a model, and each role answers its own commands."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, ClassVar

from ..protocols.generation import DraftWritten
from ..protocols.hearing import Heard
from ..protocols.items import Item, Slot
from ..protocols.judging import Order
from ..protocols.messages import Command, Fact, Message, named
from ..protocols.models import Completion
from ..protocols.moderation import SummaryWritten
from ..protocols.ports import Context
from ..protocols.review import FeedbackGiven
from .dialogue import Dialogue
from .profile import Profile
from .prompt import Prompt, prompt_with
from .replies import Form, ReplyT

Shown = tuple[str, str]
"""A candidate as it is shown: a label that says its place, not whose it is, and its text."""


LETTERS = 26
Words = tuple[tuple[str, str], ...]
"""Who said it, by the name the listener knows, and what."""


class Agent:
    """One agent in one conversation.

    A role is a subclass: it names the kinds of fact it `gives`, a `prompt`, and handles the commands for them in
    `answer`. Blocks that a subclass's prompt does not have are taken from the class it extends.
    """

    gives: ClassVar[frozenset[type[Fact]]] = frozenset()
    prompt: ClassVar[Prompt] = Prompt.from_file("agent.md")
    converses: ClassVar[bool] = False
    """Whether what was said before the item's prompt stands in its dialogue, as messages (`Dialogue.open`).

    All others are shown it as a transcript, in their request."""
    hats: ClassVar[tuple[type["Agent"], ...]] = ()
    """The roles it is composed of, where it is."""
    every: ClassVar[frozenset[str]] = frozenset(
        {"request", "mark", "item", "choices", "comparing", "persona", "instructions", "heard", "first"}
    )
    """Variables that every block is given; see `render`."""
    fills: ClassVar[Mapping[str, frozenset[str]]] = {
        "again": frozenset({"problem", "shape"}),
        "form": frozenset({"shape"}),
        "wish": frozenset({"wish"}),
    }
    """Variables that a block is given beside them, by block; a role of your own names those of its own blocks."""

    def __init__(self, profile: Profile, item: Item) -> None:
        self.profile = profile
        self.item = item
        self.heard: list[Heard] = []
        """All that was heard, since it was last summed up in words that replace it."""
        self.drafts_heard: dict[str, Heard] = {}
        """Every draft that was heard, by name."""
        self._mark: str | None = None
        self._dialogues: dict[str, Dialogue] = {}

    async def handle(self, message: Message, context: Context, /) -> None:
        """Take in what is heard; answer what is commanded."""
        if isinstance(message, Heard):
            self.hear(message)
        elif isinstance(message, Command):
            await self.answer(message, context)  # pyright: ignore[reportUnknownArgumentType]  # any command
        else:
            raise TypeError(f"{self.profile.name} ({self.profile.role}) does not take {message.kind}")

    def hear(self, heard: Heard) -> None:
        """Take in what is heard; of what a summary replaces, nothing is remembered."""
        fact = heard.fact
        if isinstance(fact, SummaryWritten) and fact.replaces:
            self.forget()
        elif isinstance(fact, DraftWritten):
            self.drafts_heard[named(heard.speaker, fact.version)] = heard
        self.heard.append(heard)

    def forget(self) -> None:
        """Forget what was heard, and every dialogue; drafts can still be named."""
        self.heard.clear()
        self._dialogues.clear()

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Answer a command by emitting the fact it wants; a role handles its own and leaves the rest to this.

        Raises:
            TypeError: the role does not take this command.
        """
        del context
        raise TypeError(f"{self.profile.name} ({self.profile.role}) does not take {command.kind}")

    # what is said

    async def write(
        self, block: str, command: Command[Fact], context: Context, order: Order = "ab", **variables: object
    ) -> Completion:
        """Ask the model for free text by a block, in the agent's own dialogue, and keep that.

        Raises:
            UnreadAnswer: it stayed empty.
            ModelError: the model could not be asked.
        """
        dialogue = self.dialogue(order)
        request = self.request((block,), command, dialogue, order, **variables)
        self.begin(dialogue)
        completion, _ = await dialogue.text(
            context.model, self.profile.settings, request, lambda problem: self.once_more(dialogue, problem)
        )
        self.spoke(dialogue, order, command.on)
        return completion

    async def fill(
        self,
        block: str,
        form: Form[ReplyT],
        command: Command[Fact],
        context: Context,
        order: Order = "ab",
        **variables: object,
    ) -> tuple[ReplyT, int]:
        """Ask the model for a typed reply by a block, in the agent's own dialogue, and keep that.

        Returns:
            The reply, and the number of requests it took.

        Raises:
            UnreadAnswer: no reply could be read.
            ModelError: the model could not be asked.
        """
        dialogue = self.dialogue(order)
        request = self.request((block, "form"), command, dialogue, order, shape=form.shape, **variables)
        self.begin(dialogue)
        answered = await dialogue.reply(
            context.model,
            self.profile.settings,
            request,
            form,
            lambda problem: self.once_more(dialogue, problem, form.shape),
        )
        self.spoke(dialogue, order, command.on)
        return answered

    def dialogue(self, order: str = "ab") -> Dialogue:
        """Return a fork of the dialogue in which the candidates stand in this order, or a new one.

        An agent that is shown both orders leads two dialogues, so that A and B mean the same all through each.
        """
        return self._dialogues.get(order, Dialogue()).fork()

    def begin(self, dialogue: Dialogue) -> None:
        """Open a dialogue that has not begun yet."""
        if not dialogue:
            dialogue.open(self.render("system", dialogue), self.item.history if self.converses else ())

    def spoke(self, dialogue: Dialogue, order: str = "ab", on: str | None = None) -> None:
        """Keep a dialogue that went well; what was heard counts as told in it, as far as it concerns the draft `on`."""
        dialogue.took(self.heard, None if on is None else lambda heard: concerns(heard, on))
        self._dialogues[order] = dialogue

    def once_more(self, dialogue: Dialogue, problem: str, shape: str = "") -> str:
        """Return the words in which an answer is asked for again; without a shape it is free text."""
        return self.render("again", dialogue, problem=problem, shape=shape)

    # what is shown

    def request(
        self,
        blocks: tuple[str, ...],
        command: Command[Fact],
        dialogue: Dialogue,
        order: Order = "ab",
        **variables: object,
    ) -> str:
        """Return blocks as one request, which ends with the step's own words, where there are any.

        Every block of it is given these words as `wish`; where one says them itself, they are not said again.
        """
        wish = variables["wish"] = command.instructions
        if "heard" not in variables:
            variables["heard"] = self.words(dialogue, order, command.on)
        given = self._filled(dialogue, variables)
        prompts = [(block, self._prompt(block)) for block in blocks]
        texts = [text for block, prompt in prompts if (text := prompt.render(block, given))]
        if wish and not any("wish" in prompt.names[block] for block, prompt in prompts):
            texts.append(self._prompt("wish").render("wish", given))
        return "\n\n".join(texts)

    def render(self, block: str, dialogue: Dialogue, order: Order = "ab", **variables: object) -> str:
        """Return a block of the prompt, for this dialogue; the scenario's own wording of it comes first.

        Every block may use `request` (the item's prompt; before it what was said before, see `converses`), `item`,
        `choices` (pairs of letter and text), `comparing` (whether the item brings two answers), `persona`,
        `instructions`, `heard` (pairs of speaker and text since the agent last spoke in the dialogue), `first` (whether
        it has not spoken in it yet), and `mark`, which belongs into the tags around what the item brings: no answer can
        close its own tag and open another's.
        """
        if "heard" not in variables:
            variables["heard"] = self.words(dialogue, order)
        return self._prompt(block).render(block, self._filled(dialogue, variables))

    def _filled(self, dialogue: Dialogue, variables: Mapping[str, object]) -> dict[str, Any]:
        profile, item = self.profile, self.item
        return {
            "request": item.prompt if self.converses else self._transcript(),
            "mark": self.mark,
            "item": item,
            "choices": tuple((letter(place), text) for place, text in enumerate(item.choices)) if item.choices else (),
            "comparing": len(item.candidates) > 1,
            "persona": profile.persona,
            "instructions": profile.instructions,
            "first": not dialogue,
            **variables,
        }

    def _prompt(self, block: str) -> Prompt:
        own = self.profile.prompt
        return own if own is not None and block in own else prompt_with(type(self), block)

    def candidates(self, order: Order) -> tuple[Shown, Shown]:
        """Return the item's candidates as they are shown in an order; raises KeyError where it brings none."""
        slots: tuple[Slot, Slot] = ("a", "b") if order == "ab" else ("b", "a")
        return ("A", self.item.candidate(slots[0]).text), ("B", self.item.candidate(slots[1]).text)

    def shown(self, order: Order) -> tuple[Shown, ...]:
        """Return the item's candidates as they are shown in an order; none where it brings none."""
        return self.candidates(order) if len(self.item.candidates) > 1 else ()

    def order_of(self, order: Order) -> Order | None:
        """Return the order in which the item's candidates are shown; none where it brings none."""
        return order if len(self.item.candidates) > 1 else None

    @property
    def mark(self) -> str:
        """Some letters that the item's texts cannot know: they are made from all of them."""
        if self._mark is None:
            item = self.item
            said = [*[candidate.text for candidate in item.candidates], *[turn.content for turn in item.history]]
            texts = "\0".join([item.prompt, *said])
            self._mark = blake2b(texts.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()
        return self._mark

    def _transcript(self) -> str:
        """Return the prompt after what was said before it, each in tags that nobody in it can close."""
        item = self.item
        if not item.history:
            return item.prompt
        mark = self.mark
        before = [f'<before-{mark} by="{turn.role}">\n{turn.content}\n</before-{mark}>' for turn in item.history]
        now = f'<now-{mark} by="user">\n{item.prompt}\n</now-{mark}>'
        return "\n\n".join([*before, "What was said last, and is to be answered:", now])

    # what was heard

    def words(self, dialogue: Dialogue, order: Order = "ab", on: str | None = None) -> Words:
        """Return what was heard and is to be told in a dialogue, in words."""
        if on is None and dialogue.taken >= len(self.heard):
            return ()
        return worded(self.told(dialogue, on), order)

    def told(self, dialogue: Dialogue, on: str | None = None) -> list[Heard]:
        """Return what was heard and is to be told in a dialogue.

        That is what was heard since the agent last spoke in it. Where one draft is at issue: this draft, whenever it
        was heard, and of the rest nothing that is on other drafts alone. What an agent said itself it is not told.
        """
        fresh = self.heard[dialogue.taken :]
        if on is None:
            return [heard for heard in fresh if not self._own(heard)]
        about = [heard for heard in (*dialogue.kept_back, *fresh) if concerns(heard, on)]
        draft = self.drafts_heard.get(on)
        others = [heard for heard in about if heard is not draft and not self._own(heard)]
        return others if draft is None else [draft, *others]

    def _own(self, heard: Heard) -> bool:
        """Whether it said this itself; what it said under another hat is told it, by another name than its own."""
        return heard.speaker == self.profile.name and heard.known_as is None


def concerns(heard: Heard, draft: str) -> bool:
    """Whether what was heard may be told where one draft, by its name, is at issue."""
    fact = heard.fact
    if isinstance(fact, DraftWritten):
        return named(heard.speaker, fact.version) == draft
    return draft in fact.on if isinstance(fact, FeedbackGiven) and fact.on else True


def worded(told: list[Heard], order: Order = "ab") -> Words:
    """Return what is told in words; what has none is left out."""
    return tuple((heard.name, said) for heard in told if (said := heard.fact.said(order)))


def letter(place: int) -> str:
    """Return the letter of a choice by its place, from 0; past Z its number, from 1."""
    return chr(ord("A") + place) if place < LETTERS else str(place + 1)

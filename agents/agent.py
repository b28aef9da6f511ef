"""What all agents share: they listen, they speak through a model, and each role answers its own commands."""

from hashlib import blake2b
from typing import ClassVar

from ..protocols.hearing import Heard
from ..protocols.items import Item, Slot
from ..protocols.judging import Order
from ..protocols.messages import Command, Fact, Message
from ..protocols.ports import Context
from .dialogue import Dialogue
from .profile import Profile
from .prompt import Prompt

Shown = tuple[str, str]
"""A candidate as it is shown: a label that says its place, not whose it is, and its text."""


class Agent:
    """One agent in one conversation.

    A role is a subclass: it names the kinds of fact it `gives`, a `prompt`, and handles the commands for them in
    `answer`. Blocks that a subclass's prompt does not have are taken from the class it extends.
    """

    gives: ClassVar[frozenset[type[Fact]]] = frozenset()
    prompt: ClassVar[Prompt]
    converses: ClassVar[bool] = False
    """Whether what was said before the item's prompt stands in its dialogue, as messages (`Dialogue.open`).

    All others are shown it as a transcript, in their request."""

    def __init__(self, profile: Profile, item: Item) -> None:
        self.profile = profile
        self.item = item
        self.heard: list[Heard] = []
        """All that was heard."""
        self._mark: str | None = None
        self._dialogues: dict[Order, Dialogue] = {}

    async def handle(self, message: Message, context: Context, /) -> None:
        """Take in what is heard; answer what is commanded."""
        if isinstance(message, Heard):
            self.heard.append(message)
        elif isinstance(message, Command):
            await self.answer(message, context)  # pyright: ignore[reportUnknownArgumentType]  # any command
        else:
            raise TypeError(f"{self.profile.name} ({self.profile.role}) does not take {message.kind}")

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Answer a command by emitting the fact it wants; a role handles its own and leaves the rest to this.

        Raises:
            TypeError: the role does not take this command.
        """
        del context
        raise TypeError(f"{self.profile.name} ({self.profile.role}) does not take {command.kind}")

    def dialogue(self, order: Order = "ab") -> Dialogue:
        """Return a fork of the dialogue in which the candidates stand in this order, or a new one.

        An agent that is shown both orders leads two dialogues, so that A and B mean the same all through each.
        """
        return self._dialogues.get(order, Dialogue()).fork()

    def render(self, block: str, dialogue: Dialogue, order: Order = "ab", **variables: object) -> str:
        """Return a block of the prompt, for this dialogue.

        Every block may use `request` (the item's prompt; before it what was said before, see `converses`), `item`,
        `persona`, `instructions`, `heard` (pairs of speaker and text since the agent last spoke in the dialogue),
        `first` (whether it has not spoken in it yet), and `mark`, which belongs into the tags around what the item
        brings: no answer can close its own tag and open another's.
        """
        profile = self.profile
        return _prompt_with(type(self), block).render(
            block,
            {
                "request": self.item.prompt if self.converses else self._transcript(),
                "mark": self.mark,
                "item": self.item,
                "persona": profile.persona,
                "instructions": profile.instructions,
                "heard": self._said(dialogue, order),
                "first": not dialogue,
                **variables,
            },
        )

    def candidates(self, order: Order) -> tuple[Shown, Shown]:
        """Return the item's candidates as they are shown in an order."""
        slots: tuple[Slot, Slot] = ("a", "b") if order == "ab" else ("b", "a")
        return ("A", self.item.candidate(slots[0]).text), ("B", self.item.candidate(slots[1]).text)

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

    def spoke(self, dialogue: Dialogue, order: Order = "ab") -> None:
        """Keep a dialogue that went well; all that was heard counts as told in it."""
        dialogue.taken = len(self.heard)
        self._dialogues[order] = dialogue

    def _said(self, dialogue: Dialogue, order: Order) -> tuple[tuple[str, str], ...]:
        fresh = self.heard[dialogue.taken :]
        if not fresh:
            return ()
        return tuple((heard.speaker, said) for heard in fresh if (said := heard.fact.said(order)))


def _prompt_with(role: type[Agent], block: str) -> Prompt:
    """Return the prompt that has a block, the role's own or that of a class it extends; raises KeyError."""
    for kind in role.__mro__:
        prompt = vars(kind).get("prompt")
        if isinstance(prompt, Prompt) and block in prompt:
            return prompt
    raise KeyError(f"no prompt of {role.__name__} has a block {block!r}")

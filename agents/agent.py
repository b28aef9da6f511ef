"""What all agents share: they listen, they speak through a model, and each role answers its own commands."""

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

    def __init__(self, profile: Profile, item: Item) -> None:
        self.profile = profile
        self.item = item
        self.dialogue = Dialogue()
        self.heard: list[Heard] = []
        """What was heard since this agent last spoke."""

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

    def render(self, block: str, **variables: object) -> str:
        """Return a block of the prompt.

        Every block may use `request` (the item's prompt), `item`, `persona`, `instructions`, and `heard`: pairs of
        speaker and text since this agent last spoke.
        """
        profile = self.profile
        return _prompt_with(type(self), block).render(
            block,
            {
                "request": self.item.prompt,
                "item": self.item,
                "persona": profile.persona,
                "instructions": profile.instructions,
                "heard": self._said(),
                **variables,
            },
        )

    def candidates(self, order: Order) -> tuple[Shown, Shown]:
        """Return the item's candidates as they are shown in an order."""
        slots: tuple[Slot, Slot] = ("a", "b") if order == "ab" else ("b", "a")
        return ("A", self.item.candidate(slots[0]).text), ("B", self.item.candidate(slots[1]).text)

    def spoke(self, dialogue: Dialogue) -> None:
        """Keep a dialogue that went well, and all that was heard before it as taken up."""
        self.dialogue = dialogue
        self.heard.clear()

    def _said(self) -> tuple[tuple[str, str], ...]:
        return tuple((heard.speaker, said) for heard in self.heard if (said := heard.fact.said()))


def _prompt_with(role: type[Agent], block: str) -> Prompt:
    """Return the prompt that has a block, the role's own or that of a class it extends; raises KeyError."""
    for kind in role.__mro__:
        prompt = vars(kind).get("prompt")
        if isinstance(prompt, Prompt) and block in prompt:
            return prompt
    raise KeyError(f"no prompt of {role.__name__} has a block {block!r}")

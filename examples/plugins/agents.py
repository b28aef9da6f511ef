"""A role: a juror that first checks what the answers claim, and tells everyone what it found."""

from typing import ClassVar, Literal

from fellowship import plugins
from fellowship.agents import Juror, Prompt
from fellowship.protocols.judging import Order
from fellowship.protocols.jury import CastVote
from fellowship.protocols.messages import Command, Fact
from fellowship.protocols.ports import Context


@plugins.fact
class ClaimsChecked(Fact):
    """What a checker found out before it voted."""

    kind: Literal["claims_checked"] = "claims_checked"
    text: str
    """The claims, and whether each is true."""

    def said(self, order: Order = "ab") -> str:
        """Return what whoever listens to the checker reads."""
        del order
        return f"Claims that were checked: {self.text}"


@plugins.role("fact-checker")
class FactChecker(Juror):
    """A juror that checks what is claimed before it votes."""

    prompt: ClassVar[Prompt] = Prompt(
        "{% block check %}List what these answers claim, and say of each claim whether it is true.\n"
        "{% for _, text in candidates %}\n<answer-{{ mark }}>\n{{ text }}\n</answer-{{ mark }}>{% endfor %}"
        "{% endblock %}"
    )

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Check first, in a dialogue of its own; then vote as jurors do."""
        if isinstance(command, CastVote):
            dialogue = self.dialogue()
            request = self.render("check", dialogue, candidates=self.candidates("ab"))
            checked, _ = await dialogue.text(
                context.model, self.profile.settings, request, lambda problem: f"{problem} List the claims."
            )
            await context.emit(ClaimsChecked(text=checked.text.strip()))
        await super().answer(command, context)

"""What agents are sent for a step that asks them."""

from collections.abc import Mapping
from typing import TypedDict

from ..protocols.debate import MakeArgument
from ..protocols.generation import WriteDraft
from ..protocols.items import Slot
from ..protocols.judging import Order
from ..protocols.jury import CastVote
from ..protocols.messages import Command, Fact
from ..protocols.moderation import AskQuestion, GiveApproval, ProposeCriteria, WriteSummary
from ..protocols.review import GiveFeedback
from ..protocols.solving import GiveAnswer
from .asking import PICKED
from .lanes import Lane
from .steps import AskStep


class _About(TypedDict):
    """What every command says."""

    round: int
    step: str
    instructions: str | None
    on: str | None


def command(  # noqa: C901, PLR0911 - one for each word of `for`
    step: AskStep,
    lane: Lane,
    round_: int,
    *,
    orders: tuple[Order, ...],
    onto: int | None,
    reviewed: str | None,
    picked: str | None,
    known_as: Mapping[str, str],
) -> Command[Fact]:
    """Return the command that asks for what a step wants.

    Args:
        step: Which.
        lane: The branch in which it is asked.
        round_: Of the conversation.
        orders: The orders in which candidates are shown, the discussion's one first.
        onto: The version that a writer is to revise, where it need not be its last.
        reviewed: The draft that a reviewer is to review, where it need not be the last it has heard.
        picked: The draft that was picked last.
        known_as: What drafts of those who spoke anonymously are called in instructions.
    """
    instructions = lane.words(step.instructions, known_as)
    on = picked if step.on == PICKED else lane.words(step.on)
    about = _About(round=round_, step=step.place, instructions=instructions, on=on)
    order = orders[0]
    match step.wanted:
        case "draft":
            return WriteDraft(**about, onto=onto)
        case "answer":
            return GiveAnswer(**about, confidence=step.judging.confidence)
        case "feedback":
            if about["on"] is None:
                about["on"] = reviewed
            return GiveFeedback(**about, scale=step.judging.scale)
        case "argument":
            return MakeArgument(**about, order=order, side=_slot(lane.words(step.side)))
        case "ballot":
            return CastVote(**about, judging=step.judging, orders=orders)
        case "summary":
            return WriteSummary(**about, order=order, replaces=step.replaces)
        case "approval":
            return GiveApproval(**about, order=order)
        case "criteria":
            return ProposeCriteria(**about, order=order, most=step.most)
        case "question":
            return AskQuestion(**about, order=order)


def _slot(side: str | None) -> Slot | None:
    return "a" if side == "a" else "b" if side == "b" else None

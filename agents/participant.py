"""What any agent can be asked for beside its own role's business: to sum up, to approve, to find criteria, to ask."""

from collections.abc import Mapping
from typing import ClassVar

from ..protocols.errors import ContentFiltered, ModelRefused, UnreadAnswer
from ..protocols.messages import Command, Fact
from ..protocols.moderation import (
    ApprovalGiven,
    AskQuestion,
    CriteriaProposed,
    GiveApproval,
    ProposeCriteria,
    QuestionAsked,
    SummaryWritten,
    WriteSummary,
)
from ..protocols.ports import Context
from .agent import Agent
from .replies import approval_form, criteria_form

SHOWN = frozenset({"candidates", "wish"})


class Participant(Agent):
    """Sums up, approves, proposes criteria and asks questions, in the dialogue it leads as what else it is."""

    gives: ClassVar[frozenset[type[Fact]]] = frozenset({SummaryWritten, ApprovalGiven, CriteriaProposed, QuestionAsked})
    fills: ClassVar[Mapping[str, frozenset[str]]] = {
        **Agent.fills,
        "summary": SHOWN,
        "approval": SHOWN | {"shape"},
        "criteria": SHOWN | {"shape", "most"},
        "question": SHOWN,
    }

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Answer what any agent can be asked for."""
        match command:
            case WriteSummary():
                await self._sum_up(command, context)
            case GiveApproval():
                await self._approve(command, context)
            case ProposeCriteria():
                await self._propose(command, context)
            case AskQuestion():
                await self._question(command, context)
            case _:
                await super().answer(command, context)

    async def _sum_up(self, command: WriteSummary, context: Context) -> None:
        order = command.order
        completion = await self.write("summary", command, context, order, candidates=self.shown(order))
        await context.emit(
            SummaryWritten(
                round=command.round,
                text=completion.text.strip(),
                replaces=command.replaces,
                cut_off=completion.finish_reason == "length",
                order=self.order_of(order),
            )
        )

    async def _approve(self, command: GiveApproval, context: Context) -> None:
        """Approve or not; what cannot be read, further requests included, or is withheld, is no approval."""
        order = command.order
        try:
            reply, requests = await self.fill(
                "approval", approval_form(), command, context, order, candidates=self.shown(order)
            )
        except UnreadAnswer as error:
            given = ApprovalGiven(round=command.round, reason=str(error), approved=None, requests=error.requests)
        except (ContentFiltered, ModelRefused) as error:
            given = ApprovalGiven(round=command.round, reason=f"{type(error).__name__}: {error}", approved=None)
        else:
            given = ApprovalGiven(
                round=command.round,
                reason=reply.reason,
                approved=reply.approved,
                requests=requests,
                order=self.order_of(order),
            )
        await context.emit(given)

    async def _propose(self, command: ProposeCriteria, context: Context) -> None:
        order, most = command.order, command.most
        reply, requests = await self.fill(
            "criteria", criteria_form(most), command, context, order, candidates=self.shown(order), most=most
        )
        shown = self.order_of(order)
        await context.emit(
            CriteriaProposed(round=command.round, criteria=reply.criteria, requests=requests, order=shown)
        )

    async def _question(self, command: AskQuestion, context: Context) -> None:
        order = command.order
        completion = await self.write("question", command, context, order, candidates=self.shown(order))
        cut_off = completion.finish_reason == "length"
        text, shown = completion.text.strip(), self.order_of(order)
        await context.emit(QuestionAsked(round=command.round, text=text, cut_off=cut_off, order=shown))

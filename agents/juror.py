"""The juror: looks at the candidates and casts a vote. A judge is a jury of one."""

from typing import Any, ClassVar

from ..protocols.errors import ContentFiltered, ModelRefused, UnreadAnswer
from ..protocols.judging import MIRRORED, STRATEGIES, Ballot, Judging, Order, Verdict, reconciled, verdict_of
from ..protocols.jury import CastVote, VoteCast
from ..protocols.messages import Command, Fact
from ..protocols.ports import Context
from .agent import Agent, Shown
from .dialogue import Dialogue
from .prompt import Prompt
from .replies import Form, ReplyT, combined_form, direct_form, independent_form


class Juror(Agent):
    """Casts votes: a ballot for each order in which it is to see the candidates, each in a dialogue of its own."""

    gives: ClassVar[frozenset[type[Fact]]] = frozenset({VoteCast})
    prompt: ClassVar[Prompt] = Prompt.from_file("juror.md")

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Cast a vote; a ballot that cannot be read, further requests included, or is withheld, is unread."""
        if not isinstance(command, CastVote):
            await super().answer(command, context)
            return
        ballots: list[Ballot] = []
        dialogues: dict[Order, Dialogue] = {}
        for order in command.orders:
            dialogues[order] = self.dialogue(order)
            ballots.append(await self._ballot(command.judging, order, dialogues[order], context))
        for order, dialogue in dialogues.items():
            self.spoke(dialogue, order)
        verdict, score_a, score_b = reconciled(ballots, command.judging.reconcile)
        await context.emit(
            VoteCast(
                round=command.round,
                judging=command.judging,
                ballots=tuple(ballots),
                verdict=verdict,
                score_a=score_a,
                score_b=score_b,
            )
        )

    async def _ballot(self, judging: Judging, order: Order, dialogue: Dialogue, context: Context) -> Ballot:
        """Return one ballot, in terms of the item's own a and b."""
        try:
            if judging.strategy == "independent":
                return await self._independent(judging, order, dialogue, context)
            if judging.strategy == "combined":
                return await self._combined(judging, order, dialogue, context)
            return await self._direct(judging, order, dialogue, context)
        except UnreadAnswer as error:
            return Ballot(order=order, verdict="unread", reason=str(error), requests=error.requests)
        except (ContentFiltered, ModelRefused) as error:
            return Ballot(order=order, verdict="unread", reason=f"{type(error).__name__}: {error}")

    async def _direct(self, judging: Judging, order: Order, dialogue: Dialogue, context: Context) -> Ballot:
        shown = self.candidates(order)
        reply, requests = await self._request(judging, direct_form(), order, shown, dialogue, context)
        verdict = reply.chosen if order == "ab" else MIRRORED[reply.chosen]
        return Ballot(order=order, verdict=verdict, reason=reply.reason, requests=requests)

    async def _combined(self, judging: Judging, order: Order, dialogue: Dialogue, context: Context) -> Ballot:
        shown = self.candidates(order)
        reply, requests = await self._request(judging, combined_form(judging.scale), order, shown, dialogue, context)
        scores = (reply.score_a, reply.score_b) if order == "ab" else (reply.score_b, reply.score_a)
        return self._scored(order, scores, reply.reason, requests)

    async def _independent(self, judging: Judging, order: Order, dialogue: Dialogue, context: Context) -> Ballot:
        """Score each candidate in a conversation of its own."""
        form = independent_form(judging.scale)
        scores: dict[str, float] = {}
        reasons: dict[str, str] = {}
        requests = 0
        for slot, shown in zip(order, self.candidates(order), strict=True):
            fork = dialogue.fork()
            try:
                reply, more = await self._request(judging, form, order, (shown,), fork, context)
            except UnreadAnswer as error:
                error.requests += requests
                raise
            scores[slot], reasons[slot], requests = reply.score, reply.reason, requests + more
        reason = f"A: {reasons['a']}\n\nB: {reasons['b']}"
        return self._scored(order, (scores["a"], scores["b"]), reason, requests)

    async def _request(
        self,
        judging: Judging,
        form: Form[ReplyT],
        order: Order,
        candidates: tuple[Shown, ...],
        dialogue: Dialogue,
        context: Context,
    ) -> tuple[ReplyT, int]:
        """Show candidates and return the reply, with the number of requests it took."""
        together = STRATEGIES[judging.strategy].together
        asked: dict[str, Any] = {
            "strategy": judging.strategy,
            "together": together,
            "scale": judging.scale,
            "shape": form.shape,
        }
        request = self.render("vote", dialogue, order, candidates=candidates, **asked)
        if not dialogue:
            dialogue.open(self.render("system", dialogue, **asked))
        return await dialogue.reply(
            context.model,
            self.profile.settings,
            request,
            form,
            lambda problem: self.render("again", dialogue, problem=problem, shape=form.shape),
        )

    @staticmethod
    def _scored(order: Order, scores: tuple[float, float], reason: str, requests: int) -> Ballot:
        verdict: Verdict = verdict_of(*scores)
        return Ballot(
            order=order,
            verdict=verdict,
            score_a=scores[0],
            score_b=scores[1],
            reason=reason,
            requests=requests,
        )

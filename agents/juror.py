"""The juror: looks at the candidates and casts a vote. A judge is a jury of one."""

from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, ClassVar

from ..protocols.comparing import CompareDrafts, DraftsCompared, DraftScored, ScoreDraft
from ..protocols.errors import ContentFiltered, ModelRefused, NothingToDecide, UnreadAnswer
from ..protocols.generation import DraftWritten
from ..protocols.judging import MIRRORED, STRATEGIES, Ballot, Judging, Order, Verdict, reconciled, verdict_of
from ..protocols.jury import CastVote, VoteCast
from ..protocols.messages import Command, Fact, named
from ..protocols.ports import Context
from .agent import Agent, Shown
from .dialogue import Dialogue
from .prompt import Prompt
from .replies import Form, ReplyT, combined_form, direct_form, independent_form

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Juror(Agent):
    """Casts votes: a ballot for each order in which it is to see the candidates, each in a dialogue of its own.

    Drafts it compares or scores in dialogues that it does not keep, so that each vote on drafts stands by itself.
    """

    gives: ClassVar[frozenset[type[Fact]]] = frozenset({VoteCast, DraftsCompared, DraftScored})
    prompt: ClassVar[Prompt] = Prompt.from_file("juror.md")

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Cast a vote; a ballot that cannot be read, further requests included, or is withheld, is unread."""
        match command:
            case CastVote():
                await self._vote(command, context)
            case CompareDrafts():
                await self._compare(command, context)
            case ScoreDraft():
                await self._score(command, context)
            case _:
                await super().answer(command, context)

    async def _vote(self, command: CastVote, context: Context) -> None:
        ballots: list[Ballot] = []
        dialogues: dict[Order, Dialogue] = {}
        for order in command.orders:
            dialogues[order] = self.dialogue(order)
            shown = self.candidates(order)
            ballots.append(await self._ballot(command.judging, order, shown, dialogues[order], context))
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

    async def _compare(self, command: CompareDrafts, context: Context) -> None:
        """Vote on two drafts; what was heard beside them is not told."""
        texts = self._draft(command.first), self._draft(command.second)
        told = {"mark": self._mark_of(*texts), "heard": ()}
        ballots: list[Ballot] = []
        for order in command.orders:
            first, second = texts if order == "ab" else texts[::-1]
            shown = (("A", first), ("B", second))
            ballots.append(await self._ballot(command.judging, order, shown, Dialogue(), context, told))
        verdict, score_a, score_b = reconciled(ballots, command.judging.reconcile)
        await context.emit(
            DraftsCompared(
                round=command.round,
                first=command.first,
                second=command.second,
                judging=command.judging,
                ballots=tuple(ballots),
                verdict=verdict,
                score_a=score_a,
                score_b=score_b,
            )
        )

    async def _score(self, command: ScoreDraft, context: Context) -> None:
        """Score a draft alone; what was heard beside it is not told."""
        judging, text = Judging(strategy="independent", scale=command.scale), self._draft(command.draft)
        told = {"mark": self._mark_of(text), "heard": ()}
        facts: dict[str, Any] = {"round": command.round, "draft": command.draft, "scale": command.scale}
        form = independent_form(command.scale)
        try:
            reply, requests = await self._request(judging, form, "ab", (("A", text),), Dialogue(), context, told)
        except UnreadAnswer as error:
            scored = DraftScored(**facts, reason=str(error), requests=error.requests)
        except (ContentFiltered, ModelRefused) as error:
            scored = DraftScored(**facts, reason=f"{type(error).__name__}: {error}")
        else:
            scored = DraftScored(**facts, score=reply.score, reason=reply.reason, requests=requests)
        await context.emit(scored)

    def _draft(self, name: str) -> str:
        """Return a draft that was heard.

        Raises:
            NothingToDecide: none of that name was.
        """
        for heard in self.heard:
            if isinstance(heard.fact, DraftWritten) and named(heard.speaker, heard.fact.version) == name:
                return heard.fact.text
        raise NothingToDecide(f"{self.profile.name} has not heard {name}")

    def _mark_of(self, *texts: str) -> str:
        """Return some letters that these texts cannot know either, as `mark` of the item's own."""
        whole = "\0".join((self.mark, *texts))
        return blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()

    async def _ballot(
        self,
        judging: Judging,
        order: Order,
        shown: tuple[Shown, Shown],
        dialogue: Dialogue,
        context: Context,
        told: Mapping[str, Any] = NOTHING,
    ) -> Ballot:
        """Return one ballot, in terms of what is a and b, whichever was shown first."""
        try:
            if judging.strategy == "independent":
                return await self._independent(judging, order, shown, dialogue, context, told)
            if judging.strategy == "combined":
                return await self._combined(judging, order, shown, dialogue, context, told)
            return await self._direct(judging, order, shown, dialogue, context, told)
        except UnreadAnswer as error:
            return Ballot(order=order, verdict="unread", reason=str(error), requests=error.requests)
        except (ContentFiltered, ModelRefused) as error:
            return Ballot(order=order, verdict="unread", reason=f"{type(error).__name__}: {error}")

    async def _direct(
        self,
        judging: Judging,
        order: Order,
        shown: tuple[Shown, Shown],
        dialogue: Dialogue,
        context: Context,
        told: Mapping[str, Any],
    ) -> Ballot:
        reply, requests = await self._request(judging, direct_form(), order, shown, dialogue, context, told)
        verdict = reply.chosen if order == "ab" else MIRRORED[reply.chosen]
        return Ballot(order=order, verdict=verdict, reason=reply.reason, requests=requests)

    async def _combined(
        self,
        judging: Judging,
        order: Order,
        shown: tuple[Shown, Shown],
        dialogue: Dialogue,
        context: Context,
        told: Mapping[str, Any],
    ) -> Ballot:
        form = combined_form(judging.scale)
        reply, requests = await self._request(judging, form, order, shown, dialogue, context, told)
        scores = (reply.score_a, reply.score_b) if order == "ab" else (reply.score_b, reply.score_a)
        return self._scored(order, scores, reply.reason, requests)

    async def _independent(
        self,
        judging: Judging,
        order: Order,
        shown: tuple[Shown, Shown],
        dialogue: Dialogue,
        context: Context,
        told: Mapping[str, Any],
    ) -> Ballot:
        """Score each candidate in a conversation of its own."""
        form = independent_form(judging.scale)
        scores: dict[str, float] = {}
        reasons: dict[str, str] = {}
        requests = 0
        for slot, alone in zip(order, shown, strict=True):
            fork = dialogue.fork()
            try:
                reply, more = await self._request(judging, form, order, (alone,), fork, context, told)
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
        told: Mapping[str, Any],
    ) -> tuple[ReplyT, int]:
        """Show candidates and return the reply, with the number of requests it took."""
        together = STRATEGIES[judging.strategy].together
        asked: dict[str, Any] = {
            "strategy": judging.strategy,
            "together": together,
            "scale": judging.scale,
            "shape": form.shape,
        }
        request = self.render("vote", dialogue, order, candidates=candidates, **asked, **told)
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

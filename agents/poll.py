"""How a juror comes to its ballots: what it is shown, what it answers, and what that means for a and b."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..protocols.errors import ContentFiltered, ModelRefused, UnreadAnswer
from ..protocols.judging import MIRRORED, STRATEGIES, Ballot, Judging, Order, verdict_of
from ..protocols.messages import Command, Fact
from ..protocols.models import ModelSettings
from ..protocols.ports import Context
from .agent import Agent, Shown
from .dialogue import Dialogue
from .replies import Form, IndependentReply, Reply, ReplyT, combined_form, confidence_of, direct_form, independent_form

Cast = tuple[list[Ballot], dict[str, Dialogue]]
"""Ballots, and the dialogues of the first of them that can be gone on with: by order, or by order and slot (`aba`)."""


def afresh(place: str) -> Dialogue:
    """Return a new dialogue, whatever is to be judged."""
    del place
    return Dialogue()


def sampled(settings: ModelSettings, number: int, samples: int) -> ModelSettings:
    """Return the settings of one of several samples, from 1: the cache tells them apart, and those of others too."""
    if samples == 1:
        return settings
    return settings.model_copy(update={"sample": (settings.sample or 0) * samples + number})


@dataclass(frozen=True, slots=True)
class Poll:
    """One vote in the making."""

    agent: Agent
    command: Command[Fact]
    judging: Judging
    context: Context
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Variables of the prompt in place of the usual ones."""
    dialogue: Callable[[str], Dialogue] = afresh
    """Returns a fork of the dialogue in an order (`ab`), or on one candidate in an order (`aba`)."""

    async def ballots(self, order: Order, shown: tuple[Shown, Shown]) -> Cast:
        """Return the ballots in one order, a sample each, in terms of what is a and b, whichever was shown first.

        Each sample is taken as if there were no other. One that cannot be read, further requests included, or is
        withheld, is unread.
        """
        cast: list[Ballot] = []
        kept: dict[str, Dialogue] = {}
        for number in range(1, self.judging.samples + 1):
            talk = _Talk(self, order, sampled(self.agent.profile.settings, number, self.judging.samples))
            cast.append(await talk.ballot(shown))
            if number == 1:
                kept = {place: dialogue for place, dialogue in talk.kept.items() if dialogue.answered}
        return cast, kept

    async def score(self, shown: Shown) -> tuple[IndependentReply, int]:
        """Return the score of one text, and the number of requests it took; see `Dialogue.reply` for what it raises."""
        form = independent_form(self.judging.scale, confidence=self.judging.confidence)
        talk = _Talk(self, "ab", self.agent.profile.settings)
        return await talk.reply(form, (shown,), Dialogue(), known=False)


class _Talk:
    """One sample in one order."""

    def __init__(self, poll: Poll, order: Order, settings: ModelSettings) -> None:
        self.kept: dict[str, Dialogue] = {}
        self._poll = poll
        self._judging = poll.judging
        self._order: Order = order
        self._settings = settings

    async def ballot(self, shown: tuple[Shown, Shown]) -> Ballot:
        order = self._order
        try:
            if self._judging.strategy == "independent":
                return await self._independent(shown)
            dialogue = self.kept[order] = self._poll.dialogue(order)
            if self._judging.strategy == "combined":
                return await self._combined(shown, dialogue)
            return await self._direct(shown, dialogue)
        except UnreadAnswer as error:
            return Ballot(order=order, verdict="unread", reason=str(error), requests=error.requests)
        except (ContentFiltered, ModelRefused) as error:
            return Ballot(order=order, verdict="unread", reason=f"{type(error).__name__}: {error}")

    async def _direct(self, shown: tuple[Shown, Shown], dialogue: Dialogue) -> Ballot:
        form = direct_form(confidence=self._judging.confidence)
        reply, requests = await self.reply(form, shown, dialogue, known=bool(dialogue))
        verdict = reply.chosen if self._order == "ab" else MIRRORED[reply.chosen]
        return Ballot(
            order=self._order,
            verdict=verdict,
            confidence=confidence_of(reply),
            reason=reply.reason,
            requests=requests,
        )

    async def _combined(self, shown: tuple[Shown, Shown], dialogue: Dialogue) -> Ballot:
        form = combined_form(self._judging.scale, confidence=self._judging.confidence)
        reply, requests = await self.reply(form, shown, dialogue, known=bool(dialogue))
        scores = (reply.score_a, reply.score_b) if self._order == "ab" else (reply.score_b, reply.score_a)
        return self._scored(scores, reply.reason, requests, (reply,))

    async def _independent(self, shown: tuple[Shown, Shown]) -> Ballot:
        """Score each candidate in a dialogue of its own.

        Who has spoken about both already scores each in a dialogue that goes on from there, and is not kept.
        """
        form = independent_form(self._judging.scale, confidence=self._judging.confidence)
        replies: dict[str, IndependentReply] = {}
        requests = 0
        both = self._poll.dialogue(self._order)
        for slot, alone in zip(self._order, shown, strict=True):
            place = self._order + slot
            dialogue = both.fork() if both else self._poll.dialogue(place)
            if not both:
                self.kept[place] = dialogue
            try:
                replies[slot], more = await self.reply(form, (alone,), dialogue, known=bool(dialogue) and not both)
            except UnreadAnswer as error:
                error.requests += requests
                raise
            requests += more
        a, b = replies["a"], replies["b"]
        return self._scored((a.score, b.score), f"A: {a.reason}\n\nB: {b.reason}", requests, (a, b))

    async def reply(
        self, form: Form[ReplyT], candidates: tuple[Shown, ...], dialogue: Dialogue, *, known: bool
    ) -> tuple[ReplyT, int]:
        """Show candidates, where they are not known yet, and return the reply with the number of requests it took."""
        poll, agent, judging = self._poll, self._poll.agent, self._judging
        together = STRATEGIES[judging.strategy].together
        given: dict[str, Any] = {
            "candidates": candidates,
            "known": known,
            "strategy": judging.strategy,
            "together": together,
            "scale": judging.scale,
            "confidence": judging.confidence,
            "shape": form.shape,
            **poll.given,
        }
        if "heard" not in given:
            given["heard"] = agent.words(dialogue, self._order, poll.command.on)
        given["labelled"] = together or bool(dialogue) or bool(given["heard"])
        request = agent.request(("vote", "ballot", "form"), poll.command, dialogue, self._order, **given)
        agent.begin(dialogue)
        return await dialogue.reply(
            poll.context.model,
            self._settings,
            request,
            form,
            lambda problem: agent.once_more(dialogue, problem, form.shape),
        )

    def _scored(self, scores: tuple[float, float], reason: str, requests: int, replies: tuple[Reply, ...]) -> Ballot:
        sure = [share for reply in replies if (share := confidence_of(reply)) is not None]
        return Ballot(
            order=self._order,
            verdict=verdict_of(*scores),
            score_a=scores[0],
            score_b=scores[1],
            confidence=sum(sure) / len(sure) if sure else None,
            reason=reason,
            requests=requests,
        )

"""The juror: looks at the candidates and casts a vote. A judge is a jury of one."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, ClassVar

from ..protocols.comparing import CompareDrafts, DraftsCompared, DraftScored, ScoreDraft
from ..protocols.errors import ContentFiltered, ModelRefused, NothingToDecide, UnreadAnswer
from ..protocols.generation import DraftWritten
from ..protocols.judging import Ballot, Judging, reconciled
from ..protocols.jury import CastVote, VoteCast
from ..protocols.messages import Command, Fact
from ..protocols.ports import Context
from .dialogue import Dialogue
from .participant import SHOWN, Participant
from .poll import Poll
from .prompt import Prompt

JUDGED = frozenset({"known", "labelled", "strategy", "together", "scale", "confidence", "shape"})


class Juror(Participant):
    """Casts votes: ballots for each order in which it is to see the candidates, in a dialogue of its own each.

    Drafts it compares or scores in dialogues that it does not keep, so that each vote on drafts stands by itself.
    """

    gives: ClassVar[frozenset[type[Fact]]] = frozenset({VoteCast, DraftsCompared, DraftScored, *Participant.gives})
    prompt: ClassVar[Prompt] = Prompt.from_file("juror.md")
    fills: ClassVar[Mapping[str, frozenset[str]]] = {
        **Participant.fills,
        "vote": SHOWN | JUDGED,
        "ballot": SHOWN | JUDGED,
    }

    async def answer(self, command: Command[Fact], context: Context) -> None:
        """Cast a vote; a ballot that cannot be read, further requests included, or is withheld, is unread.

        Raises:
            NothingToDecide: there is nothing to vote on: no two answers, or drafts that were not heard.
        """
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
        if not self.shown("ab"):
            raise NothingToDecide(f"{self.profile.name} has no two answers to vote on")
        ballots: list[Ballot] = []
        kept = dict[str, Dialogue]()
        poll = Poll(self, command, command.judging, context, dialogue=self.dialogue)
        for order in command.orders:
            cast, talked = await poll.ballots(order, self.candidates(order))
            ballots += cast
            kept |= talked
        for place, dialogue in kept.items():
            self.spoke(dialogue, place, command.on)
        verdict, score_a, score_b = reconciled(ballots, command.judging.reconcile)
        await context.emit(
            VoteCast(
                round=command.round,
                judging=command.judging,
                ballots=tuple(ballots),
                verdict=verdict,
                score_a=score_a,
                score_b=score_b,
                confidence=None if verdict == "unread" else _confidence(ballots),
            )
        )

    async def _compare(self, command: CompareDrafts, context: Context) -> None:
        """Vote on two drafts; what was heard beside them is not told."""
        texts = self._draft(command.first), self._draft(command.second)
        poll = Poll(self, command, command.judging, context, {"mark": self._mark_of(*texts), "heard": ()})
        ballots: list[Ballot] = []
        for order in command.orders:
            first, second = texts if order == "ab" else texts[::-1]
            ballots += (await poll.ballots(order, (("A", first), ("B", second))))[0]
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
        facts: dict[str, Any] = {"round": command.round, "draft": command.draft, "scale": command.scale}
        poll = Poll(self, command, judging, context, {"mark": self._mark_of(text), "heard": ()})
        try:
            reply, requests = await poll.score(("A", text))
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
        heard = self.drafts_heard.get(name)
        if heard is None or not isinstance(heard.fact, DraftWritten):
            raise NothingToDecide(f"{self.profile.name} has not heard {name}")
        return heard.fact.text

    def _mark_of(self, *texts: str) -> str:
        """Return some letters that these texts cannot know either, as `mark` of the item's own."""
        whole = "\0".join((self.mark, *texts))
        return blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()


def _confidence(ballots: Sequence[Ballot]) -> float | None:
    """Return the mean over the ballots that say how sure they are."""
    known = [ballot.confidence for ballot in ballots if ballot.confidence is not None]
    return sum(known) / len(known) if known else None

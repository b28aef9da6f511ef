"""How votes become one verdict. Each rule is a pure function with a version; a vote that is unread never enters."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .errors import NothingToDecide
from .judging import Verdict, verdict_of
from .jury import VoteCast
from .registry import Registry


@dataclass(frozen=True, slots=True)
class Tally:
    """What a rule made of the votes."""

    verdict: Verdict
    votes: int
    """Votes that entered."""
    unread: int
    """Votes that did not."""
    score_a: float | None = None
    score_b: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """An aggregation rule as it is registered."""

    decide: Callable[[Sequence[VoteCast]], tuple[Verdict, float | None, float | None]]
    """Takes votes that were read, at least one; returns the verdict and, where it has them, scores."""
    needs_scores: bool
    version: int = 1

    def tally(self, votes: Sequence[VoteCast]) -> Tally:
        """Return the tally of votes; with none that could be read, the verdict is unread.

        Raises:
            NothingToDecide: there is no vote at all, or one without the scores that the rule needs.
        """
        if not votes:
            raise NothingToDecide("nobody cast a vote")
        read = [vote for vote in votes if vote.verdict != "unread"]
        unread = len(votes) - len(read)
        if not read:
            return Tally("unread", 0, unread)
        if self.needs_scores and any(vote.score_a is None or vote.score_b is None for vote in read):
            raise NothingToDecide("the rule needs scores, and a vote has none (strategy: direct gives none)")
        verdict, score_a, score_b = self.decide(read)
        return Tally(verdict, len(read), unread, score_a, score_b)


def unique_mode(votes: Sequence[VoteCast]) -> tuple[Verdict, float | None, float | None]:
    """The verdict with the most votes; where several have the most, a tie."""
    counts = Counter(vote.verdict for vote in votes).most_common(2)
    split = len(counts) == 2 and counts[0][1] == counts[1][1]  # noqa: PLR2004 - the two most common
    return ("tie" if split else counts[0][0]), None, None


def majority(votes: Sequence[VoteCast]) -> tuple[Verdict, float | None, float | None]:
    """The verdict of more than half of the votes that were read; without one, a tie."""
    verdict, count = Counter(vote.verdict for vote in votes).most_common(1)[0]
    return (verdict if 2 * count > len(votes) else "tie"), None, None


def mean_score(votes: Sequence[VoteCast]) -> tuple[Verdict, float | None, float | None]:
    """The candidate with the higher mean score; equal is a tie.

    Sums of equal scores are compared rather than quotients, so that rounding decides nothing.
    """
    total_a = sum(vote.score_a for vote in votes if vote.score_a is not None)
    total_b = sum(vote.score_b for vote in votes if vote.score_b is not None)
    return verdict_of(total_a, total_b), total_a / len(votes), total_b / len(votes)


RULES: Registry[Rule] = Registry(
    "aggregation rule",
    {
        "unique-mode": Rule(unique_mode, needs_scores=False),
        "majority": Rule(majority, needs_scores=False),
        "mean-score": Rule(mean_score, needs_scores=True),
    },
)

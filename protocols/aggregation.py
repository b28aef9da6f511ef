"""How votes become one verdict. Each rule is a pure function with a version; a vote that is unread never enters."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from .errors import NothingToDecide
from .judging import Verdict, verdict_of
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
    """Mean over the votes that entered; None where one of them has no scores."""
    score_b: float | None = None


class Voted(Protocol):
    """What a rule looks at in a vote."""

    @property
    def verdict(self) -> Verdict:
        """a, b, tie or unread."""
        ...

    @property
    def score_a(self) -> float | None:
        """None where the vote has no scores."""
        ...

    @property
    def score_b(self) -> float | None:
        """None where the vote has no scores."""
        ...


@dataclass(frozen=True, slots=True)
class Rule:
    """An aggregation rule as it is registered."""

    decide: Callable[[Sequence[Voted]], Verdict]
    """Takes votes that were read, at least one; returns the verdict."""
    needs_scores: bool
    version: int = 1

    def tally(self, votes: Sequence[Voted]) -> Tally:
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
        totals = _totals(read)
        if totals is None:
            if self.needs_scores:
                raise NothingToDecide("the rule needs scores, and a vote has none (strategy: direct gives none)")
            return Tally(self.decide(read), len(read), unread)
        return Tally(self.decide(read), len(read), unread, float(totals[0] / len(read)), float(totals[1] / len(read)))


def unique_mode(votes: Sequence[Voted]) -> Verdict:
    """Return the verdict with the most votes; where several have the most, a tie."""
    return most_frequent([vote.verdict for vote in votes])


def most_frequent(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the most frequent of one or more verdicts; where several are equally frequent, a tie."""
    if len(verdicts) == 1:
        return verdicts[0]
    counts = Counter(verdicts).most_common(2)
    if len(counts) == 2 and counts[0][1] == counts[1][1]:
        return "tie"
    return counts[0][0]


def majority(votes: Sequence[Voted]) -> Verdict:
    """Return the verdict of more than half of the votes that were read; without one, a tie."""
    counts: Counter[Verdict] = Counter(vote.verdict for vote in votes)
    verdict, count = counts.most_common(1)[0]
    return verdict if 2 * count > len(votes) else "tie"


def mean_score(votes: Sequence[Voted]) -> Verdict:
    """Return the candidate with the higher mean score; equal is a tie.

    Sums are compared rather than quotients, and as exact fractions, so that rounding decides nothing.
    """
    totals = _totals(votes)
    if totals is None:
        raise NothingToDecide("a vote has no scores")
    return verdict_of(*totals)


def _totals(votes: Sequence[Voted]) -> tuple[Fraction | float, Fraction | float] | None:
    """Return the exact sums of the scores; None where a vote has none. A score counts as its decimal form says."""
    scores_a = [vote.score_a for vote in votes if vote.score_a is not None]
    scores_b = [vote.score_b for vote in votes if vote.score_b is not None]
    if len(scores_a) < len(votes) or len(scores_b) < len(votes):
        return None
    if all(score.is_integer() for score in (*scores_a, *scores_b)):
        return sum(scores_a), sum(scores_b)  # exact as they are
    return sum(Fraction(str(score)) for score in scores_a), sum(Fraction(str(score)) for score in scores_b)


RULES: Registry[Rule] = Registry(
    "aggregation rule",
    {
        "unique-mode": Rule(unique_mode, needs_scores=False),
        "majority": Rule(majority, needs_scores=False),
        "mean-score": Rule(mean_score, needs_scores=True),
    },
)

"""How candidates are judged: one definition, of which every way of scoring is a variant.

A *strategy* says what a juror sees and what it answers. A *scale* says how high scores go. *Orders* say which
candidate is shown first, and *reconcile* what becomes of two ballots that disagree because of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Order = Literal["ab", "ba"]
Orders = Literal["ab", "ba", "both", "random"]
Reconcile = Literal["tie", "mean"]
StrategyName = Literal["direct", "independent", "combined"]
Verdict = Literal["a", "b", "tie", "unread"]

MIRRORED: dict[Verdict, Verdict] = {"a": "b", "b": "a", "tie": "tie", "unread": "unread"}
"""What a verdict on swapped candidates means for the item's own a and b."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """What a juror is shown and what it must answer."""

    name: StrategyName
    together: bool
    """Both candidates in one request, or each in a conversation of its own."""
    scored: bool
    """Whether scores are asked for; else the verdict itself."""


STRATEGIES: dict[StrategyName, Strategy] = {
    "direct": Strategy("direct", together=True, scored=False),
    "independent": Strategy("independent", together=False, scored=True),
    "combined": Strategy("combined", together=True, scored=True),
}


class Judging(BaseModel):
    """How ballots are cast: strategy, scale, orders and their reconciliation."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    strategy: StrategyName = "combined"
    """direct: A, B or tie. independent: a score each, in separate conversations. combined: both scores at once."""
    scale: int = Field(default=10, ge=1, le=1000, strict=True)
    """The best score possible; the worst is 0. Not used by direct."""
    orders: Orders = "ab"
    """Which candidate is shown first: ab, ba, both (two ballots), or random by the run's seed and the item."""
    reconcile: Reconcile = "tie"
    """Two orders that disagree: a tie, or the mean of the scores decides (direct has none: a tie)."""
    samples: int = Field(default=1, ge=1, le=100, strict=True)
    """Ballots in each order, each in a dialogue of its own; more than one wants a temperature above 0."""
    confidence: bool = False
    """Whether to say, from 0 to 1, how sure the ballot is."""

    @property
    def calls(self) -> int:
        """Return how many model calls a vote takes where every answer can be read."""
        return self.samples * (2 if self.orders == "both" else 1) * (1 if STRATEGIES[self.strategy].together else 2)


class Ballot(BaseModel):
    """One reading of one juror: verdict and scores in terms of the item's own a and b."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    order: Order
    """Which candidate was shown first."""
    verdict: Verdict
    """What was chosen; unread where no answer could be read."""
    score_a: float | None = None
    score_b: float | None = None
    confidence: float | None = None
    """How sure it is, from 0 to 1, where that was asked for."""
    reason: str = ""
    """The juror's own words."""
    requests: int = 1
    """Requests it took, further requests for unreadable answers included."""


def verdict_of(score_a: float | Fraction, score_b: float | Fraction) -> Verdict:
    """Return the verdict two scores stand for: the higher wins, equal is a tie."""
    if score_a == score_b:
        return "tie"
    return "a" if score_a > score_b else "b"


def reconciled(ballots: Sequence[Ballot], rule: Reconcile) -> tuple[Verdict, float | None, float | None]:
    """Return verdict and mean scores of one juror's ballots over its orders.

    A ballot that is unread makes the whole vote unread: half an answer is not an answer.

    Raises:
        ValueError: there is no ballot.
    """
    if not ballots:
        raise ValueError("nothing to reconcile: no ballots")
    if any(ballot.verdict == "unread" for ballot in ballots):
        return "unread", None, None
    score_a = _mean([ballot.score_a for ballot in ballots])
    score_b = _mean([ballot.score_b for ballot in ballots])
    verdicts = {ballot.verdict for ballot in ballots}
    if len(verdicts) == 1:
        return ballots[0].verdict, score_a, score_b
    if rule == "mean" and score_a is not None and score_b is not None:
        return verdict_of(score_a, score_b), score_a, score_b
    return "tie", score_a, score_b


def _mean(scores: list[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if len(known) == len(scores) else None

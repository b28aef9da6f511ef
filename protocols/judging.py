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


def in_order(words: str, order: Order | None, listener: Order) -> str:
    """Return words as they are told to whoever is shown the candidates in some order.

    Args:
        words: What somebody says, who may call candidates A and B.
        order: The one in which they were shown to the speaker; none: they were not.
        listener: The one in which they are shown to the listener.
    """
    if not words or order in (None, listener):
        return words
    return f"(Shown the other way round: A and B are exchanged in this.) {words}"


def verdict_of(score_a: float | Fraction, score_b: float | Fraction) -> Verdict:
    """Return the verdict two scores stand for: the higher wins, equal is a tie."""
    if score_a == score_b:
        return "tie"
    return "a" if score_a > score_b else "b"


def reconciled(ballots: Sequence[Ballot], rule: Reconcile) -> tuple[Verdict, float | None, float | None]:
    """Return verdict and mean scores of one juror's ballots over its orders, and its samples in each.

    Where several were cast in one order, those that are unread do not count. An order of which none could be read makes
    the whole vote unread: half an answer is not an answer. By the rule `mean`, the mean of all scores decides, in which
    each order weighs the same; by the rule `tie`, and where there are no scores, each order stands for its most
    frequent verdict (of several equally frequent ones: a tie), and orders that disagree are a tie. Means are compared
    as exact fractions, so that rounding decides nothing.

    Raises:
        ValueError: there is no ballot.
    """
    if not ballots:
        raise ValueError("nothing to reconcile: no ballots")
    if len(ballots) == 1:
        only = ballots[0]
        return (only.verdict, None, None) if only.verdict == "unread" else (only.verdict, only.score_a, only.score_b)
    orders = {ballot.order: [each for each in ballots if each.order == ballot.order] for ballot in ballots}
    read = [[ballot for ballot in cast if ballot.verdict != "unread"] for cast in orders.values()]
    if not all(read):
        return "unread", None, None
    mean_a = _mean([[ballot.score_a for ballot in cast] for cast in read])
    mean_b = _mean([[ballot.score_b for ballot in cast] for cast in read])
    verdicts: set[Verdict] = {_most_frequent([ballot.verdict for ballot in cast]) for cast in read}
    score_a, score_b = (None if mean is None else float(mean) for mean in (mean_a, mean_b))
    verdict: Verdict = "tie"
    if rule == "mean" and mean_a is not None and mean_b is not None:
        verdict = verdict_of(mean_a, mean_b)
    elif len(verdicts) == 1:
        verdict = verdicts.pop()
    return verdict, score_a, score_b


def _most_frequent(verdicts: Sequence[Verdict]) -> Verdict:
    counts: dict[Verdict, int] = {verdict: verdicts.count(verdict) for verdict in verdicts}
    first: list[Verdict] = [verdict for verdict, count in counts.items() if count == max(counts.values())]
    return first[0] if len(first) == 1 else "tie"


def _mean(orders: Sequence[Sequence[float | None]]) -> Fraction | None:
    """Return the mean of each order's mean score; None where a ballot has none. A score counts as its decimal form."""
    means: list[Fraction] = []
    for scores in orders:
        known = [Fraction(str(score)) for score in scores if score is not None]
        if len(known) < len(scores):
            return None
        means.append(sum(known, Fraction(0)) / len(known))
    return sum(means, Fraction(0)) / len(means)

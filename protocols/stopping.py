"""When a repeat or an asking ends early, and which way to go: named predicates, and comparisons of a named quantity.

Pure rules over facts.
"""

import operator
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from .errors import DeclarationError, nearest
from .generation import DraftWritten
from .judging import Verdict
from .jury import VoteCast
from .messages import Fact
from .review import FeedbackGiven

Said = Sequence[tuple[str, Fact]]
"""Speaker and fact, in the order they were said."""


def latest_votes(said: Said) -> list[VoteCast]:
    """Return each voter's last vote."""
    return list({who: fact for who, fact in said if isinstance(fact, VoteCast)}.values())


def consensus(said: Said) -> bool:
    """Whether all who voted voted the same last, and every one of these votes could be read."""
    verdicts = {vote.verdict for vote in latest_votes(said)}
    return len(verdicts) == 1 and "unread" not in verdicts


def disagreement(said: Said) -> bool:
    """Whether two of the last votes that could be read differ."""
    return len({vote.verdict for vote in latest_votes(said)} - {"unread"}) > 1


def settled(said: Said) -> bool:
    """Whether everyone who voted has voted twice, and last as before."""
    by_voter: dict[str, list[VoteCast]] = {}
    for who, fact in said:
        if isinstance(fact, VoteCast):
            by_voter.setdefault(who, []).append(fact)
    return bool(by_voter) and all(
        len(votes) > 1 and votes[-1].verdict == votes[-2].verdict != "unread" for votes in by_voter.values()
    )


def unchanged(said: Said) -> bool:
    """Whether every writer's last draft equals the one before."""
    by_writer: dict[str, list[str]] = {}
    for who, fact in said:
        if isinstance(fact, DraftWritten):
            by_writer.setdefault(who, []).append(fact.text)
    return bool(by_writer) and all(len(texts) > 1 and texts[-1] == texts[-2] for texts in by_writer.values())


def score(said: Said) -> float | None:
    """Return the mean of each reviewer's last score."""
    scores = {who: fact.score for who, fact in said if isinstance(fact, FeedbackGiven)}
    return sum(scores.values()) / len(scores) if scores else None


def without_gain(said: Said) -> float | None:
    """Return how many reviewed drafts in a row, up to the last, had no better mean score than one before them."""
    by_draft: dict[tuple[str | int, ...], list[float]] = {}
    for _, fact in said:
        if isinstance(fact, FeedbackGiven):
            by_draft.setdefault(fact.on or (fact.round,), []).append(fact.score / fact.scale)
    means = [sum(scores) / len(scores) for scores in by_draft.values()]
    return float(len(means) - 1 - means.index(max(means))) if means else None


def margin(said: Said) -> float | None:
    """Return how far the mean scores of a and b lie apart over the last votes; None while one has no scores."""
    votes = latest_votes(said)
    gaps = [vote.score_a - vote.score_b for vote in votes if vote.score_a is not None and vote.score_b is not None]
    return abs(sum(gaps)) / len(gaps) if gaps and len(gaps) == len(votes) else None


def agreement(said: Said) -> float | None:
    """Return the share of the last votes that the most frequent verdict has, from 0 to 1.

    An unread vote agrees with none.
    """
    return agreeing([vote.verdict for vote in latest_votes(said)])


def agreeing(votes: Sequence[Verdict]) -> float | None:
    """Return the share of votes that the most frequent verdict has; None where none of them could be read."""
    verdicts = Counter(vote for vote in votes if vote != "unread")
    return max(verdicts.values()) / len(votes) if verdicts else None


PREDICATES: dict[str, Callable[[Said], bool]] = {
    "consensus": consensus,
    "disagreement": disagreement,
    "settled": settled,
    "unchanged": unchanged,
}
QUANTITIES: dict[str, Callable[[Said], float | None]] = {
    "agreement": agreement,
    "margin": margin,
    "score": score,
    "without-gain": without_gain,
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}
FED_BY: dict[str, str] = {
    "consensus": "ballot",
    "disagreement": "ballot",
    "settled": "ballot",
    "agreement": "ballot",
    "margin": "ballot",
    "unchanged": "draft",
    "score": "feedback",
    "without-gain": "feedback",
}
"""The kind of fact each condition looks at: without one, it could never be met."""
OF_SEVERAL = ("agreement", "consensus")
"""What one vote alone comes to says nothing about."""
_COMPARISON = re.compile(r"^\s*([a-z-]+)\s*(>=|<=|==|>|<)\s*(-?\d+(?:\.\d+)?)\s*$")


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as a scenario states it: `consensus`, or `score >= 9.5`."""

    text: str
    name: str
    """The predicate or quantity."""
    comparison: str | None = None
    threshold: float = 0.0

    @classmethod
    def from_str(cls, text: str, *more: str) -> "Condition":
        """Read a condition.

        Args:
            text: As the scenario states it.
            more: Words that may stand in its place, for the hint where it is none.

        Raises:
            DeclarationError: neither a predicate nor a comparison of a quantity.
        """
        if text.strip() in PREDICATES:
            return cls(text, text.strip())
        match = _COMPARISON.match(text)
        if match and match[1] in QUANTITIES:
            return cls(text, match[1], match[2], float(match[3]))
        name = match[1] if match else text.strip()
        if name in QUANTITIES:
            raise DeclarationError(f"{name!r} is a quantity: compare it with a number, as in '{name} >= 1'")
        raise DeclarationError(f"unknown condition {text!r}{nearest(name, (*PREDICATES, *QUANTITIES, *more))}")

    def __str__(self) -> str:
        return self.text

    def met(self, said: Said) -> bool:
        """Whether it holds; a quantity that has no value yet never does."""
        if self.comparison is None:
            return PREDICATES[self.name](said)
        value = QUANTITIES[self.name](said)
        return value is not None and COMPARISONS[self.comparison](value, self.threshold)

    def enough(self, said: Said, waiting: Collection[str]) -> bool:
        """Whether it holds while others wait to be asked: one vote alone agrees with itself, and is not enough."""
        del waiting  # who they are decides nothing
        return self.met(said) and (self.name not in OF_SEVERAL or len(latest_votes(said)) > 1)

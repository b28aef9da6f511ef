"""Whether a verdict can still change: a jury that is asked one by one stops where it cannot."""

from collections.abc import Sequence

from .aggregation import RULES, Ties
from .judging import Verdict

SETTLING = ("unique-mode", "majority")
"""Rules of which it is known before the last vote. Scores of jurors to come have no bound here."""


def decided(name: str, verdicts: Sequence[Verdict], remaining: int, *, ties: Ties = "tie") -> bool:
    """Whether a rule comes to the same verdict whatever the remaining votes are: a, b, tie or unread, each of them.

    True with nothing remaining; False before that for rules that weigh scores, confidence or agents.

    Args:
        name: The aggregation rule.
        verdicts: The votes that were cast, in order, unread ones among them.
        remaining: How many are still to come.
        ties: What a split comes to.

    Raises:
        UnknownName: there is no such rule.
        ValueError: fewer than none remain.
    """
    RULES[name]  # or there is none of that name
    if remaining < 0:
        raise ValueError(f"{remaining} votes cannot remain")
    if remaining == 0:
        return True
    read: list[Verdict] = [verdict for verdict in verdicts if verdict != "unread"]
    if name not in SETTLING or not read:
        return False
    if ties != "tie":
        return _winner_settled(read, remaining, first=ties == "first")
    a, b, tie = (read.count(verdict) for verdict in ("a", "b", "tie"))
    if name == "majority":
        return _majority_settled(a, b, a + b + tie, remaining)
    return _mode_settled(a, b, tie, remaining)


def _winner_settled(read: Sequence[Verdict], remaining: int, *, first: bool) -> bool:
    """Whether one verdict stays in front, or level with others where it was voted `first`.

    Where a split does not come to a tie, majority and unique mode are the same: the most votes win, or nobody has won.
    """
    order: list[Verdict] = list(dict.fromkeys((*read, "a", "b", "tie")))
    counts = [read.count(verdict) for verdict in order]
    leader = counts.index(max(counts))  # of several the one voted first
    return all(
        counts[leader] - count > remaining - (first and leader < place)
        for place, count in enumerate(counts)
        if place != leader
    )


def _mode_settled(a: int, b: int, tie: int, remaining: int) -> bool:
    """Whether no remaining vote draws level with a winner, nor makes one where there is none."""
    for own, most in ((a, max(b, tie)), (b, max(a, tie))):
        if own > most:
            return own - most > remaining
    return a + remaining <= max(b, tie) and b + remaining <= max(a, tie)


def _majority_settled(a: int, b: int, read: int, remaining: int) -> bool:
    """Whether more than half stay more than half, or whether nobody can get there any more."""
    if 2 * max(a, b) > read:
        return 2 * max(a, b) > read + remaining
    return 2 * max(a, b) + remaining <= read

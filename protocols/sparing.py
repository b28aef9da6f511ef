"""Which votes need not be asked for: those that could not change the verdict any more."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction

from .aggregation import Rule, Ties
from .deciding import SETTLING, decided
from .jury import VoteCast
from .opinions import Said
from .stopping import START, Standing

WORD = "decided"
"""What a scenario calls it."""
FORESEEABLE = (*SETTLING, "mean-score")
"""Aggregation rules whose verdict can be known before the last vote."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Ends the asking for votes as soon as those still to come could not change the verdict.

    Who waits may vote a, b, tie or unread, or, having voted before, not again: in each case the rule comes to the same
    verdict as it does now.
    """

    name: str
    """The aggregation rule of the decision that follows."""
    rule: Rule
    scale: int
    """The best score that those who wait could give; the worst is 0."""
    ties: Ties = "tie"
    """What the decision makes of a split."""
    among: tuple[str, ...] | None = None
    """Whose votes it looks at; none: everyone's."""

    def __str__(self) -> str:
        return WORD

    def enough(self, said: Said, waiting: Collection[str], standing: Standing = START) -> bool:
        """Whether nothing that those who wait may say could change the verdict."""
        del standing  # it decides nothing
        last = {who: fact for who, fact in said if isinstance(fact, VoteCast)}
        cast = [vote for who, vote in last.items() if who not in waiting and self._counts(who)]
        remaining = sum(map(self._counts, waiting))
        if self.name == "mean-score":
            return _out_of_reach(cast, remaining * self.scale)
        return decided(self.name, [vote.verdict for vote in cast], remaining, ties=self.ties)

    def _counts(self, who: str) -> bool:
        return self.among is None or who in self.among


def _out_of_reach(votes: Sequence[VoteCast], reach: int) -> bool:
    """Whether scores that add up to so much at the most cannot make up for how far a and b lie apart, nor draw level.

    Sums are exact, as in the rule itself: a score counts as its decimal form says.
    """
    lead = Fraction(0)
    for vote in votes:
        if vote.score_a is not None and vote.score_b is not None:
            lead += Fraction(str(vote.score_a)) - Fraction(str(vote.score_b))
    return abs(lead) > reach

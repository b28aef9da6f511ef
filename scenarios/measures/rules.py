"""How the votes of juries become verdicts: for all juries and items at once, as `protocols.aggregation` does for one.

Rules of counts are not written a second time: the registered rule is asked once for every sort of ballot box that can
be, and its answers are looked up. Scores are summed as whole numbers, scaled by their common denominator, so that
rounding decides nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from math import lcm
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...protocols.aggregation import RULES
from ...protocols.errors import DeclarationError, UnknownName
from ...protocols.judging import Judging, Verdict
from ...protocols.jury import VoteCast
from ..ratings.table import CODES, MISSING, TIE, UNREAD, A, B, Codes, was_read
from .pool import Pool
from .subsets import Members

Abstain = Literal["unread", "tie"]
Short = Literal["unread", "tie"]
Whole: TypeAlias = NDArray[Any]
"""Whole numbers: int64, or Python's own where those are too small."""

Decide: TypeAlias = Callable[[Whole, Members, NDArray[np.bool_]], Codes]

SCORED = ("mean-score", "median-score")
WEIGHTED = "weighted"
COUNTED = tuple(
    name
    for name, rule in ((name, RULES[name]) for name in RULES)
    if not (rule.needs_scores or rule.needs_confidence or rule.weighs or rule.alone or RULES.owner(name))
)
KNOWN = (*COUNTED, *SCORED, WEIGHTED)
"""Rules that stored votes can be put to: these say nothing of how sure they are, and there is no judge of judges.
What a plugin's rule comes to may depend on more than how many votes each verdict has."""
QUORUM_MISSED = np.int8(4)
"""In place of a verdict: some votes were read, and fewer than the quorum."""
_LARGEST = 2**62
_AT_ONCE = 4_000_000
"""Verdicts that are worked out at once."""


@dataclass(frozen=True, slots=True)
class JuryRule:
    """A rule with what is decided around it."""

    name: str = "unique-mode"
    """unique-mode: the verdict with the most votes, a tie where several have. majority: more than half of the votes
    that count, else a tie. mean-score, median-score: the higher one, equal is a tie. weighted: the most weight."""
    quorum: int = 1
    """The least number of votes that count for a verdict, or all votes of a jury that is smaller. A vote that abstains
    does not count."""
    abstain: Abstain = "unread"
    """Who abstains: a juror that could not be read; with `tie`, one that says tie as well."""
    short: Short = "unread"
    """What a jury says that was read, but misses its quorum. One of which nobody could be read is always unread."""
    weights: Mapping[str, Fraction] = field(default_factory=dict[str, Fraction])
    """Of jurors, for `weighted`; 1 where none is named. Exact, so that equal weights are equal."""

    def __post_init__(self) -> None:
        if self.name not in KNOWN:
            raise UnknownName("aggregation rule", self.name, KNOWN)
        if self.quorum <= 0:
            raise DeclarationError(f"a quorum of {self.quorum}: one vote is the least")
        if self.weights and self.name != WEIGHTED:
            raise DeclarationError(f"weights go with the rule {WEIGHTED}, not with {self.name}")
        none = [juror for juror, weight in self.weights.items() if weight <= 0]
        if none:
            raise DeclarationError(f"the weight of {none[0]!r} is not above 0: leave it out with --jurors")

    @property
    def counting(self) -> bool:
        """Whether it depends on nothing but how many votes each verdict has."""
        return self.name not in SCORED and self.name != WEIGHTED

    def verdicts(self, pool: Pool, members: Members) -> Codes:
        """Return the verdicts of all juries, juries x items.

        A, B or TIE; UNREAD where nobody of the jury could be read, QUORUM_MISSED where too few could, MISSING where
        nobody was asked.

        Raises:
            DeclarationError: the rule needs scores and a vote has none, or there are weights of nobody.
        """
        counted = self.counted(pool.votes)
        few = max(_AT_ONCE // max(len(pool.items), 1), 1)
        parts = [self._decided(pool, members[start : start + few], counted) for start in range(0, len(members), few)]
        found = np.concatenate(parts)
        quorum = np.minimum(self.quorum, members.sum(axis=1))[:, None]
        found[how_many(members, counted) < quorum] = TIE if self.short == "tie" else QUORUM_MISSED
        found[how_many(members, was_read(pool.votes)) == 0] = UNREAD
        found[how_many(members, pool.votes != MISSING) == 0] = MISSING
        return found

    def counted(self, votes: Codes) -> NDArray[np.bool_]:
        """Return which votes count, those that do not abstain."""
        counted = was_read(votes)
        return counted & (votes != TIE) if self.abstain == "tie" else counted

    def _decided(self, pool: Pool, members: Members, counted: NDArray[np.bool_]) -> Codes:
        if self.name == WEIGHTED:
            return _weighed(pool, members, counted, self._weights(pool))
        if self.name in SCORED:
            decide: Decide = _means if self.name == "mean-score" else _medians
            return decide(_whole_scores(pool, counted, self.name), members, counted)
        table = verdicts_of_counts(self.name, members.shape[1])
        boxes = [how_many(members, counted & (pool.votes == code)) for code in (A, B, TIE)]
        found: Codes = table[boxes[0], boxes[1], boxes[2]]
        return found

    def _weights(self, pool: Pool) -> Whole:
        for juror in self.weights:
            if juror not in pool.jurors:
                raise UnknownName("juror", juror, pool.jurors)
        weights = [self.weights.get(juror, Fraction(1)) for juror in pool.jurors]
        scale = lcm(*(weight.denominator for weight in weights))
        whole = [int(weight * scale) for weight in weights]
        return np.array(whole, dtype=np.int64 if sum(whole) < _LARGEST else object)


def how_many(members: Members, votes: NDArray[np.bool_]) -> Codes:
    """Return how many members of each jury cast such a vote, juries x items. Floats have the fast product."""
    return (members.astype(np.float32) @ votes.T.astype(np.float32)).astype(np.int8)


@cache
def verdicts_of_counts(name: str, jurors: int) -> Codes:
    """Return what a registered rule says of so many votes for a, b and tie, up to `jurors` of each."""
    cast = {verdict: _vote(verdict) for verdict in ("a", "b", "tie")}
    found = np.full((jurors + 1,) * 3, UNREAD, dtype=np.int8)
    for a in range(jurors + 1):
        for b in range(jurors + 1 - a):
            for tie in range(jurors + 1 - a - b):
                votes = [cast["a"]] * a + [cast["b"]] * b + [cast["tie"]] * tie
                if votes:
                    found[a, b, tie] = CODES[RULES[name].tally(votes).verdict]
    found.flags.writeable = False
    return found


def _vote(verdict: Verdict) -> VoteCast:
    return VoteCast(round=1, judging=Judging(), ballots=(), verdict=verdict)


def _weighed(pool: Pool, members: Members, counted: NDArray[np.bool_], weights: Whole) -> Codes:
    seats: Whole = members * weights
    totals = np.stack(
        [seats @ (counted & (pool.votes == code)).T.astype(weights.dtype) for code in (A, B, TIE)], axis=-1
    )
    most = totals.max(axis=-1, keepdims=True)
    split = (totals == most).sum(axis=-1) > 1
    return np.where(split, TIE, totals.argmax(axis=-1)).astype(np.int8)


def _whole_scores(pool: Pool, counted: NDArray[np.bool_], name: str) -> Whole:
    """Return scores as whole numbers of one unit, 0 where a vote does not count; raises DeclarationError."""
    lacking = counted & np.isnan(pool.scores).any(axis=2)
    if lacking.any():
        item, juror = np.argwhere(lacking)[0]
        raise DeclarationError(
            f"the rule {name} needs scores, and {int(lacking.sum()):,} votes have none, the first of them "
            f"that of {pool.jurors[juror]!r} on item {pool.items[item]!r}: take another rule, such as unique-mode, "
            "or leave the juror out with --jurors"
        )
    values, place = np.unique(np.where(counted[:, :, None], pool.scores, 0.0), return_inverse=True)
    exact = [Fraction(str(float(value))) for value in values]
    scale = lcm(*(value.denominator for value in exact))
    whole = [int(value * scale) for value in exact]
    small = 2 * max(whole, default=0) * len(pool.jurors) < _LARGEST
    return np.array(whole, dtype=np.int64 if small else object)[place.reshape(pool.scores.shape)]


def _higher(scores_a: Whole, scores_b: Whole) -> Codes:
    return np.where(scores_a == scores_b, TIE, np.where(scores_a > scores_b, A, B)).astype(np.int8)


def _means(scores: Whole, members: Members, counted: NDArray[np.bool_]) -> Codes:
    """Sums are compared: both sides have as many votes."""
    del counted  # the others are 0
    seats = members.astype(scores.dtype)
    return _higher(seats @ scores[:, :, 0].T, seats @ scores[:, :, 1].T)


def _medians(scores: Whole, members: Members, counted: NDArray[np.bool_]) -> Codes:
    """Twice the median is compared, which is whole."""
    found = np.empty((len(members), len(scores)), dtype=np.int8)
    for row, seats in enumerate(members):
        heard = counted[:, seats].sum(axis=1)
        sides = [_twice_the_median(scores[:, seats, side], counted[:, seats], heard) for side in range(2)]
        found[row] = _higher(*sides)
    return found


def _twice_the_median(scores: Whole, counted: NDArray[np.bool_], heard: NDArray[np.int64]) -> Whole:
    last: int = scores.max(initial=0) + 1
    ordered = np.sort(np.where(counted, scores, last), axis=1)
    low, high = np.maximum(heard - 1, 0) // 2, np.minimum(heard // 2, scores.shape[1] - 1)
    rows = np.arange(len(scores))
    twice: Whole = ordered[rows, low] + ordered[rows, high]
    return twice

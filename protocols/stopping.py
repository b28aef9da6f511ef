"""When a repeat or an asking ends early, and which way to go: named predicates, and comparisons of a named quantity.

Pure rules over what was said and over where the conversation stands.
"""

import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from .errors import DeclarationError, nearest
from .generation import DraftWritten
from .identity import is_of
from .jury import VoteCast
from .moderation import ApprovalGiven
from .opinions import UNREAD, Key, Said, agreeing, drift, histories, latest
from .registry import Registry
from .review import FeedbackGiven

STABLE = 0.05
"""How far opinions may drift from one round to the next and be stable."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a conversation stands as a condition is looked at."""

    round: int = 1
    """Of the innermost repeat, from 1."""
    tokens: int = 0
    """Of all calls for the item so far."""
    calls: int = 0
    """Calls for the item so far."""
    cost_usd: float = 0.0
    """Of all calls for the item so far."""
    key: Key | None = None
    """How answers to the item's question are compared; none: by their very words."""


START = Standing()
"""Before anything is spent."""
Range = tuple[float, float | None]
"""The least value and the greatest; None where there is none."""
OPINIONS = frozenset({"ballot", "answer"})
"""What opinions are read from."""
ALWAYS = frozenset[str]()
"""Fed by nothing that is asked for: it is always known."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """Something that holds, or does not."""

    function: Callable[[Said, Standing], bool]
    """Pure. Where nothing it looks at was said, it does not hold."""
    fed_by: frozenset[str]
    """The words of `for` that ask for what it looks at: without one of them it could never hold. Empty: needs none."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that can be compared."""

    function: Callable[[Said, Standing], float | None]
    """Pure. None where it has no value yet: then no comparison holds."""
    fed_by: frozenset[str]
    """As of a predicate."""
    range: Range = (0.0, None)
    """What it can be."""


def latest_votes(said: Said) -> list[VoteCast]:
    """Return each voter's last vote."""
    return list({who: fact for who, fact in said if isinstance(fact, VoteCast)}.values())


# predicates


def consensus(said: Said, standing: Standing) -> bool:
    """Whether all have the same opinion last, and every one could be read."""
    choices = {opinion.choice for opinion in latest(said, standing.key)}
    return len(choices) == 1 and UNREAD not in choices


def disagreement(said: Said, standing: Standing) -> bool:
    """Whether two of the last opinions that could be read differ."""
    return len({opinion.choice for opinion in latest(said, standing.key)} - {UNREAD}) > 1


def settled(said: Said, standing: Standing) -> bool:
    """Whether everyone who has voted, or answered, has done so twice, and last as before."""
    found = histories(said, standing.key).values()
    return bool(found) and all(len(own) > 1 and own[-1].choice == own[-2].choice != UNREAD for own in found)


def stable(said: Said, standing: Standing) -> bool:
    """Whether the last opinions are distributed as those before them were, whoever holds them: by `drift`.

    A simple form of the adaptive stopping of arXiv 2510.12697, which fits a mixture model instead.
    """
    distance = drift(said, standing.key)
    return distance is not None and distance <= STABLE


def approved(said: Said, standing: Standing) -> bool:
    """Whether everyone who was asked for approval gave it last. What could not be read is no approval."""
    del standing
    last = {who: fact.approved for who, fact in said if isinstance(fact, ApprovalGiven)}
    return bool(last) and all(last.values())


def unchanged(said: Said, standing: Standing) -> bool:
    """Whether every writer's last draft equals the one before; of two that have answers, whether the answers do."""
    by_writer: dict[str, list[DraftWritten]] = {}
    for who, fact in said:
        if isinstance(fact, DraftWritten):
            by_writer.setdefault(who, []).append(fact)
    return bool(by_writer) and all(
        len(drafts) > 1 and _same(drafts[-2], drafts[-1], standing) for drafts in by_writer.values()
    )


def _same(one: DraftWritten, other: DraftWritten, standing: Standing) -> bool:
    if one.unread or other.unread:
        return False
    if one.answer is None or other.answer is None:
        return one.text == other.text
    if standing.key is None:
        return one.answer == other.answer
    keys = standing.key(one.answer), standing.key(other.answer)
    return keys[0] == keys[1] is not None


# quantities


def score(said: Said, standing: Standing) -> float | None:
    """Return the mean of each reviewer's last score."""
    del standing
    scores = {who: fact.score for who, fact in said if isinstance(fact, FeedbackGiven)}
    return sum(scores.values()) / len(scores) if scores else None


def without_gain(said: Said, standing: Standing) -> float | None:
    """Return how many reviewed drafts in a row, up to the last, had no better mean score than one before them."""
    del standing
    by_draft: dict[tuple[str | int, ...], list[float]] = {}
    for _, fact in said:
        if isinstance(fact, FeedbackGiven):
            by_draft.setdefault(fact.on or (fact.round,), []).append(fact.score / fact.scale)
    means = [sum(scores) / len(scores) for scores in by_draft.values()]
    return float(len(means) - 1 - means.index(max(means))) if means else None


def margin(said: Said, standing: Standing) -> float | None:
    """Return how far the mean scores of a and b lie apart over the last votes; None while one has no scores."""
    del standing
    votes = latest_votes(said)
    gaps = [vote.score_a - vote.score_b for vote in votes if vote.score_a is not None and vote.score_b is not None]
    return abs(sum(gaps)) / len(gaps) if gaps and len(gaps) == len(votes) else None


def agreement(said: Said, standing: Standing) -> float | None:
    """Return the share of the last opinions that the most frequent one has, from 0 to 1.

    An unread opinion agrees with none.
    """
    return agreeing([opinion.choice for opinion in latest(said, standing.key)])


def confidence(said: Said, standing: Standing) -> float | None:
    """Return how sure the last opinions are in the mean, from 0 to 1; those that do not say do not count."""
    sure = [opinion.confidence for opinion in latest(said, standing.key) if opinion.confidence is not None]
    return sum(sure) / len(sure) if sure else None


def unread(said: Said, standing: Standing) -> float | None:
    """Return the share of the last opinions that could not be read."""
    found = latest(said, standing.key)
    return sum(opinion.choice == UNREAD for opinion in found) / len(found) if found else None


PREDICATES: Registry[Predicate] = Registry(
    "condition",
    {
        "approved": Predicate(approved, frozenset({"approval"})),
        "consensus": Predicate(consensus, OPINIONS),
        "disagreement": Predicate(disagreement, OPINIONS),
        "settled": Predicate(settled, OPINIONS),
        "stable": Predicate(stable, OPINIONS),
        "unchanged": Predicate(unchanged, frozenset({"draft", "answer"})),
    },
)
QUANTITIES: Registry[Quantity] = Registry(
    "quantity",
    {
        "agreement": Quantity(agreement, OPINIONS, (0.0, 1.0)),
        "calls": Quantity(lambda _, standing: float(standing.calls), ALWAYS),
        "confidence": Quantity(confidence, OPINIONS, (0.0, 1.0)),
        "cost": Quantity(lambda _, standing: standing.cost_usd, ALWAYS),
        "drift": Quantity(lambda said, standing: drift(said, standing.key), OPINIONS, (0.0, 1.0)),
        "margin": Quantity(margin, frozenset({"ballot"})),
        "round": Quantity(lambda _, standing: float(standing.round), ALWAYS, (1.0, None)),
        "score": Quantity(score, frozenset({"feedback"})),
        "tokens": Quantity(lambda _, standing: float(standing.tokens), ALWAYS),
        "unread": Quantity(unread, OPINIONS, (0.0, 1.0)),
        "without-gain": Quantity(without_gain, frozenset({"feedback"})),
    },
)
FED_BY: dict[str, frozenset[str]] = {
    **{name: PREDICATES[name].fed_by for name in PREDICATES},
    **{name: QUANTITIES[name].fed_by for name in QUANTITIES},
}
"""What feeds each condition that comes along; `Condition.fed_by` knows those of plugins, too."""
RANGES: dict[str, Range] = {name: QUANTITIES[name].range for name in QUANTITIES}
"""What each quantity that comes along can be."""
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}
OF_SEVERAL = ("agreement", "consensus")
"""What one opinion alone comes to says nothing about."""
_COMPARISON = re.compile(r"^\s*([a-z][a-z0-9_-]*)\s*(>=|<=|==|>|<)\s*(-?\d+(?:\.\d+)?)\s*$")


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as a scenario states it: `consensus`, or `score >= 9.5`."""

    text: str
    name: str
    """The predicate or quantity."""
    comparison: str | None = None
    threshold: float = 0.0
    among: tuple[str, ...] | None = None
    """Whose words it looks at, theirs in branches among them; none: everyone's."""

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
        if name in PREDICATES:
            raise DeclarationError(f"{name!r} holds or does not: it is compared with no number")
        raise DeclarationError(f"unknown condition {text!r}{nearest(name, (*PREDICATES, *QUANTITIES, *more))}")

    def __str__(self) -> str:
        return self.text

    @property
    def fed_by(self) -> frozenset[str]:
        """Return the words of `for` of which one must be asked for; empty where it needs none."""
        return PREDICATES[self.name].fed_by if self.comparison is None else QUANTITIES[self.name].fed_by

    def met(self, said: Said, standing: Standing = START) -> bool:
        """Whether it holds; a quantity that has no value yet never does."""
        said = self._counted(said)
        if self.comparison is None:
            return PREDICATES[self.name].function(said, standing)
        value = QUANTITIES[self.name].function(said, standing)
        return value is not None and COMPARISONS[self.comparison](value, self.threshold)

    def enough(self, said: Said, waiting: Collection[str], standing: Standing = START) -> bool:
        """Whether it holds while others wait to be asked: one opinion alone agrees with itself, and is not enough."""
        del waiting  # who they are decides nothing
        return self.met(said, standing) and (
            self.name not in OF_SEVERAL or len(latest(self._counted(said), standing.key)) > 1
        )

    def _counted(self, said: Said) -> Said:
        if self.among is None:
            return said
        return [(who, fact) for who, fact in said if is_of(who, self.among)]

    def never(self, highest: Mapping[str, float] | None = None) -> str | None:
        """Return why it can never hold; None where it can.

        Args:
            highest: The greatest value of quantities that have one here: of score and margin the scale, of round the
                number of rounds.
        """
        least, most, span = self._range(highest)
        never = self.comparison is not None and _outside(self.comparison, self.threshold, least, most)
        return f"{self.text.strip()} never holds: {self.name} is {span}" if never else None

    def always(self, highest: Mapping[str, float] | None = None) -> str | None:
        """Return why it holds whatever is said; None where it need not. The argument is that of `never`."""
        least, most, span = self._range(highest)
        opposite = _OPPOSITES.get(self.comparison or "", "")
        always = bool(opposite) and _outside(opposite, self.threshold, least, most)
        return f"{self.text.strip()} always holds: {self.name} is {span}" if always else None

    def _range(self, highest: Mapping[str, float] | None) -> tuple[float, float | None, str]:
        """Return what the quantity can be, at the least and at the most, and both in words."""
        if self.comparison is None:
            return 0.0, None, ""
        least, most = QUANTITIES[self.name].range
        known = (highest or {}).get(self.name)
        most = known if most is None else most if known is None else min(known, most)
        return least, most, f"from {least:g}" if most is None else f"from {least:g} to {most:g}"


_OPPOSITES = {">=": "<", "<=": ">", ">": "<=", "<": ">=", "==": "!="}


def _outside(comparison: str, threshold: float, least: float, most: float | None) -> bool:
    """Whether no value from the least to the greatest compares so."""
    match comparison:
        case ">=":
            return most is not None and threshold > most
        case ">":
            return most is not None and threshold >= most
        case "<=":
            return threshold < least
        case "<":
            return threshold <= least
        case "==":
            return threshold < least or (most is not None and threshold > most)
        case _:  # differs from the threshold
            return least == most == threshold

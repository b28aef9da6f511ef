"""What each agent thinks: its votes, or its answers to a question, one after another."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from .generation import DraftWritten
from .jury import VoteCast
from .messages import Fact

Said = Sequence[tuple[str, Fact]]
"""Speaker and fact, in the order they were said."""
Key = Callable[[str], str | None]
"""Returns what tells an answer from others, as `answering.key` does; None where it is none of its kind."""
UNREAD = "unread"
"""The opinion of whom nobody could read."""
_LEADS = {"a": Fraction(1), "tie": Fraction(0), "b": Fraction(-1)}


@dataclass(frozen=True, slots=True)
class Opinion:
    """A vote, or an answer."""

    kind: Literal["ballot", "answer"]
    choice: str
    """a, b, tie, or what tells the answer from others; unread where it could not be read."""
    lead: Fraction | None = None
    """Of a vote with scores, how far a is above b: a score counts as its decimal form says."""
    confidence: float | None = None
    """From 0 to 1, where it was asked for."""

    @classmethod
    def of(cls, fact: Fact, key: Key | None = None) -> "Opinion | None":
        """Return the opinion that a fact is; None where it is none: a draft, say, without an answer."""
        if isinstance(fact, VoteCast):
            scored = fact.score_a is not None and fact.score_b is not None
            lead = Fraction(str(fact.score_a)) - Fraction(str(fact.score_b)) if scored else None
            return cls("ballot", fact.verdict, lead, fact.confidence)
        if not isinstance(fact, DraftWritten):
            return None
        if fact.unread:
            return cls("answer", UNREAD)
        if fact.answer is None:
            return None
        choice = fact.answer if key is None else key(fact.answer)
        return cls("answer", UNREAD) if choice is None else cls("answer", choice, None, fact.confidence)


def histories(said: Said, key: Key | None = None) -> dict[str, list[Opinion]]:
    """Return the opinions of each who has any, in the order in which they were given.

    Where someone has both voted and answered, those of the kind that came last.

    Args:
        said: What was said.
        key: How answers are compared; none: by their very words.
    """
    found: dict[str, list[Opinion]] = {}
    for who, fact in said:
        opinion = Opinion.of(fact, key)
        if opinion is not None:
            found.setdefault(who, []).append(opinion)
    return {who: [each for each in own if each.kind == own[-1].kind] for who, own in found.items()}


def opinions(said: Said, key: Key | None = None) -> dict[str, list[str]]:
    """Return what each who voted or answered thought, one opinion after another, as `histories` tells them."""
    return {who: [each.choice for each in own] for who, own in histories(said, key).items()}


def latest(said: Said, key: Key | None = None) -> list[Opinion]:
    """Return the last opinion of each who has any."""
    return [own[-1] for own in histories(said, key).values()]


def agreeing(choices: Sequence[str]) -> float | None:
    """Return the share of opinions that the most frequent has; None where none of them could be read.

    An unread opinion agrees with none.
    """
    counts = Counter(choice for choice in choices if choice != UNREAD)
    return max(counts.values()) / len(choices) if counts else None


def drift(said: Said, key: Key | None = None) -> float | None:
    """Return how far the last opinions are distributed apart from those before them, from 0 to 1.

    It looks at each who has two opinions and could be read in the last two; None where nobody has. Of votes it is the
    distance of Kolmogorov and Smirnov, the greatest difference of the two distribution functions: over how far a is
    above b where all of the votes have scores, else over the order b, tie, a. Where there are answers it is the total
    variation distance, half the sum of the differences of shares: answers have no order.
    """
    pairs = [
        (own[-2], own[-1])
        for own in histories(said, key).values()
        if len(own) > 1 and UNREAD not in (own[-2].choice, own[-1].choice)
    ]
    if not pairs:
        return None
    before, after = [one for one, _ in pairs], [other for _, other in pairs]
    every = (*before, *after)
    if any(opinion.kind == "answer" for opinion in every):
        counts = Counter(opinion.choice for opinion in before), Counter(opinion.choice for opinion in after)
        return (counts[0] - counts[1]).total() / len(pairs)
    scored = all(opinion.lead is not None for opinion in every)
    return _farthest(_places(before, scored=scored), _places(after, scored=scored))


def _places(votes: Sequence[Opinion], *, scored: bool) -> list[Fraction]:
    """Return where votes stand on the line from b to a."""
    if scored:
        return [vote.lead for vote in votes if vote.lead is not None]
    return [_LEADS[vote.choice] for vote in votes]


def _farthest(one: Sequence[Fraction], other: Sequence[Fraction]) -> float:
    """Return the Kolmogorov-Smirnov distance of as many values on either side."""
    apart = (abs(sum(each <= place for each in one) - sum(each <= place for each in other)) for place in (*one, *other))
    return max(apart) / len(one)

"""How far those who debate agree, wave by wave: diversity, agreement, consensus, and how different their words are."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from pydantic import BaseModel, ConfigDict

from .alpha import Among, among
from .estimate import Estimate
from .opinions import Debate, Wave, read, unanimous
from .swaying import Hits, Values

WORDS = 5
"""Words in a piece of a text."""
PAIR = 2


class Diversity(BaseModel):
    """How opinions of one wave differ; of items with two opinions or more that could be read."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    items: int
    """Items that have such a wave."""
    opinions: int
    unread: int
    """Opinions of it that could not be read; in no figure."""
    entropy: Estimate | None
    """Mean over items of the entropy of opinions, as a share of the greatest possible; 0 where all hold the same."""
    distinct: Estimate | None
    """Mean over items of how many different opinions there are."""
    unanimous: Estimate | None
    """Share of items on which all hold the same."""
    agreement: Estimate | None
    """Mean over items of the share of pairs of agents who hold the same."""
    among: Among | None
    """Krippendorff's alpha and Fleiss' kappa; None where items have no values in common to be held against chance."""
    confidence: Estimate | None
    """Mean of how sure agents said that they are."""


class Consensus(BaseModel):
    """When all hold the same for the first time."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    items: int
    """Items with a wave in which two opinions could be read."""
    reached: dict[int, int]
    """How many items came to it in which wave."""
    never: Estimate | None
    """Share of items that did not, in all waves that they have."""
    waves: Estimate | None
    """Mean number of waves until it, of the items that came to it."""
    broken: Estimate | None
    """Of items that came to it and have a wave after that: the share that is of different opinions again in one."""


class Wording(BaseModel):
    """How different the texts of one round are."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    texts: int
    distance: Estimate | None
    """Mean over items of the mean distance of two texts: one less the share of runs of five words that both have."""


class Converged(BaseModel):
    """How opinions came together, or did not."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    waves: dict[int, Diversity]
    """By number, from 1."""
    consensus: Consensus
    wording: dict[int, Wording]
    """By round of arguments; of debates without arguments, by wave of answers."""


@dataclass(slots=True)
class _Wave:
    items: int = 0
    opinions: int = 0
    unread: int = 0
    most: int = PAIR
    entropy: Values = field(default_factory=Values)
    distinct: Values = field(default_factory=Values)
    unanimous: Hits = field(default_factory=Hits)
    agreement: Values = field(default_factory=Values)
    confidence: Values = field(default_factory=Values)
    counts: list[tuple[int, tuple[int, ...]]] = field(default_factory=list[tuple[int, tuple[int, ...]]])
    """By item."""

    def add(self, item: int, wave: Wave, debate: Debate) -> None:
        held = read(wave)
        self.items += 1
        self.opinions += len(wave)
        self.unread += len(wave) - len(held)
        for opinion in wave:
            if opinion.verdict is not None and opinion.confidence is not None:
                self.confidence.add(item, opinion.confidence)
        if len(held) < PAIR:
            return
        counted = Counter(held)
        most = len(held) if debate.possible is None else max(PAIR, min(len(held), debate.possible))
        self.most = max(self.most, most)
        self.entropy.add(item, _entropy(list(counted.values()), most))
        self.distinct.add(item, len(counted))
        self.unanimous.add(item, hit=len(counted) == 1)
        alike = sum(count * (count - 1) for count in counted.values())
        self.agreement.add(item, alike / (len(held) * (len(held) - 1)))
        if debate.values:
            self.counts.append((item, tuple(counted[value] for value in debate.values)))

    def found(self) -> Diversity:
        return Diversity(
            items=self.items,
            opinions=self.opinions,
            unread=self.unread,
            entropy=self.entropy.mean(),
            distinct=self.distinct.mean((1.0, float(self.most))),
            unanimous=self.unanimous.share(),
            agreement=self.agreement.mean(),
            among=among(_rectangular([row for _, row in sorted(self.counts)])) if self.counts else None,
            confidence=self.confidence.mean(),
        )


def _rectangular(rows: Sequence[tuple[int, ...]]) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    """Return counts, items x values; questions may have different numbers of choices."""
    found = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found


def _entropy(counts: Sequence[int], most: int) -> float:
    """Return Shannon's entropy of counts as a share of that of `most` opinions held by equally many (Pielou 1966)."""
    total = sum(counts)
    found = -sum(count / total * math.log(count / total) for count in counts)
    return min(1.0, max(0.0, found / math.log(most)))


@dataclass(slots=True)
class Convergence:
    """Takes in debates one by one, and says what they come to."""

    _waves: dict[int, _Wave] = field(default_factory=dict[int, _Wave])
    _reached: Counter[int] = field(default_factory=Counter[int])
    _never: Hits = field(default_factory=Hits)
    _when: Values = field(default_factory=Values)
    _broken: Hits = field(default_factory=Hits)
    _texts: Counter[int] = field(default_factory=Counter[int])
    _distances: dict[int, Values] = field(default_factory=dict[int, Values])

    def add(self, debate: Debate) -> None:
        """Take in a debate."""
        item = debate.number
        for number, wave in enumerate(debate.waves, start=1):
            self._waves.setdefault(number, _Wave()).add(item, wave, debate)
        self._consensus(item, debate.waves)
        for number, texts in enumerate(debate.said, start=1):
            self._texts[number] += len(texts)
            values = self._distances.setdefault(number, Values())
            found = list(_distances(texts))
            if found:
                values.add(item, sum(found) / len(found))

    def _consensus(self, item: int, waves: Sequence[Wave]) -> None:
        if not any(len(read(wave)) >= PAIR for wave in waves):
            return
        first = next((number for number, wave in enumerate(waves, start=1) if unanimous(wave)), None)
        self._never.add(item, hit=first is None)
        if first is not None:
            self._reached[first] += 1
            self._when.add(item, first)
            later = [wave for wave in waves[first:] if len(read(wave)) >= PAIR]
            if later:
                self._broken.add(item, hit=not all(map(unanimous, later)))

    def found(self) -> Converged:
        """Return what all debates so far come to."""
        last = max(self._waves, default=1)
        return Converged(
            waves={number: wave.found() for number, wave in sorted(self._waves.items())},
            consensus=Consensus(
                items=self._never.n,
                reached=dict(sorted(self._reached.items())),
                never=self._never.share(),
                waves=self._when.mean((1.0, float(last))),
                broken=self._broken.share(),
            ),
            wording={
                number: Wording(texts=self._texts[number], distance=values.mean())
                for number, values in sorted(self._distances.items())
            },
        )


def _distances(texts: Sequence[str]) -> Iterator[float]:
    """Return Jaccard's distance of every two texts that have a word."""
    pieces = [found for text in texts if (found := _pieces(text))]
    for one, other in combinations(pieces, 2):
        yield 1 - len(one & other) / len(one | other)


def _pieces(text: str) -> frozenset[str]:
    """Return the runs of five words of a text, small letters; of a shorter one, the text."""
    words = text.casefold().split()
    last = max(len(words) - WORDS, 0)
    return frozenset(" ".join(words[start : start + WORDS]) for start in range(last + 1)) if words else frozenset()

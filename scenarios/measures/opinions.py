"""What agents held in the course of a debate: one opinion an agent and wave, and whom it had heard before it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Sort = Literal["ballot", "answer"]
"""A verdict on the item's two candidates, or an answer to its question."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an agent committed itself to when it was asked."""

    agent: str
    verdict: str | None
    """a, b, tie, or what tells an answer from others; None where none could be read."""
    heard: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Whom it had newly heard since its opinion before, and what each of them then held; None: nothing readable."""
    scores: tuple[float, float] | None = None
    """Of a ballot, for a and for b."""
    confidence: float | None = None
    """From 0 to 1, where it was asked for."""


Wave: TypeAlias = tuple[Opinion, ...]
"""The opinions of those who were asked before any of them was asked again."""


@dataclass(frozen=True, slots=True)
class Debate:
    """The conversation about one item, as far as opinions go."""

    item: str
    number: int
    """Place in the data set: figures are the same in whatever order items came to their end."""
    variant: str
    """Of a sweep; else empty."""
    sort: Sort
    waves: tuple[Wave, ...]
    """At least one."""
    truth: str | None = None
    """What most people said, a split being a tie; or the known answer. None where nobody knows."""
    possible: int | None = None
    """How many opinions there are to choose from: three verdicts, or a question's choices. None: any number."""
    values: tuple[str, ...] = ()
    """These, where all items have the same, or at least the same places: the first choice of each question is A."""
    said: tuple[tuple[str, ...], ...] = ()
    """The arguments of each round of them; of a debate without arguments, the answers of each wave."""
    beside: int = 0
    """Opinions in no wave: those of someone who was asked once, over what several others had come to."""
    of_parts: int = 0
    """Opinions in no wave because they were asked for inside an `each`: they are about different things."""

    @property
    def agents(self) -> tuple[str, ...]:
        """Return who gave opinions, in the order in which they first did."""
        return tuple(dict.fromkeys(opinion.agent for wave in self.waves for opinion in wave))

    @property
    def talked(self) -> bool:
        """Whether anybody had heard anybody before giving an opinion; otherwise it was a vote, and no debate."""
        return any(opinion.heard for wave in self.waves for opinion in wave)


@dataclass(frozen=True, slots=True)
class Step:
    """An agent's opinion in a wave, and the one it gave before."""

    wave: int
    """Of the later one, from 2."""
    before: Opinion
    after: Opinion
    around: Wave
    """The wave of the earlier one."""

    @property
    def readable(self) -> bool:
        """Whether both could be read."""
        return self.before.verdict is not None and self.after.verdict is not None

    @property
    def changed(self) -> bool:
        """Whether they differ."""
        return self.before.verdict != self.after.verdict


def steps(debate: Debate) -> Iterator[Step]:
    """Return every two opinions of an agent that follow one another."""
    last: dict[str, tuple[Opinion, Wave]] = {}
    for number, wave in enumerate(debate.waves, start=1):
        for opinion in wave:
            if opinion.agent in last:
                before, around = last[opinion.agent]
                yield Step(number, before, opinion, around)
            last[opinion.agent] = opinion, wave


def read(wave: Sequence[Opinion]) -> list[str]:
    """Return the opinions of a wave that could be read."""
    return [opinion.verdict for opinion in wave if opinion.verdict is not None]


def plurality(wave: Sequence[Opinion]) -> str | None:
    """Return what more agents hold than anything else; None where the wave is split, or none could be read."""
    ranked = Counter(read(wave)).most_common(2)
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def majority(wave: Sequence[Opinion]) -> str | None:
    """Return what more than half of those hold who could be read, of two at least; None where there is nothing such."""
    held = read(wave)
    ranked = Counter(held).most_common(1)
    return ranked[0][0] if len(held) > 1 and 2 * ranked[0][1] > len(held) else None


def unanimous(wave: Sequence[Opinion]) -> bool:
    """Whether two or more could be read, and all of them hold the same."""
    held = read(wave)
    return len(held) > 1 and len(set(held)) == 1

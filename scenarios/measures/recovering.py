"""Whether those who debate are right, before and after: wave by wave, as a body and each for itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel, ConfigDict

from .confusion import Interval
from .estimate import Estimate, holm
from .opinions import Debate, Opinion, Sort, plurality
from .paired import Discordance
from .swaying import Hits


class Right(BaseModel):
    """How often a wave is right, of items whose truth is known."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    plurality: Estimate | None
    """Share of items on which what most agents hold is right. Of ballots a split is a tie; of answers it is not right,
    and neither is a wave in which nothing could be read."""
    own: Estimate | None
    """Share of opinions that are right, of those that could be read."""


class BeforeAfter(BaseModel):
    """The first wave of each item, and its last; of items with two waves or more."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    n: int
    """Items, or of one agent: items on which both of its opinions could be read."""
    before: Estimate | None
    """Share that was right in the first."""
    after: Estimate | None
    """Share that was right in the last."""
    both: int
    rescued: int
    """Wrong in the first, right in the last."""
    lost: int
    """Right in the first, wrong in the last."""
    neither: int
    difference: float | None
    """After less before."""
    difference_ci: Interval | None
    p: float | None
    """McNemar's, exact; 1 where nothing changed."""
    p_holm: float | None
    """The same, adjusted for all that were compared beside it."""


class Recovered(BaseModel):
    """Whether debating helped."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    known: int
    """Items whose truth is known."""
    waves: dict[int, Right]
    plurality: BeforeAfter
    agents: dict[str, BeforeAfter]
    rescued: tuple[str, ...]
    """Items that the plurality got wrong at first and right in the end."""
    lost: tuple[str, ...]
    """Items that the plurality got right at first and wrong in the end."""


@dataclass(slots=True)
class _Changes:
    """Right or wrong, at first and in the end."""

    item: list[int] = field(default_factory=list[int])
    first: list[bool] = field(default_factory=list[bool])
    last: list[bool] = field(default_factory=list[bool])

    def add(self, item: int, *, first: bool, last: bool) -> None:
        self.item.append(item)
        self.first.append(first)
        self.last.append(last)

    def counts(self) -> Discordance:
        return Discordance.of(np.array(self.last, dtype=np.bool_), np.array(self.first, dtype=np.bool_))

    def found(self, p: float | None, p_holm: float | None) -> BeforeAfter:
        counts, before, after = self.counts(), Hits(), Hits()
        for item, first, last in zip(self.item, self.first, self.last, strict=True):
            before.add(item, hit=first)
            after.add(item, hit=last)
        return BeforeAfter(
            n=counts.n,
            before=before.share(),
            after=after.share(),
            both=counts.both,
            rescued=counts.only_first,
            lost=counts.only_second,
            neither=counts.neither,
            difference=counts.difference if counts.n else None,
            difference_ci=counts.difference_ci if counts.n else None,
            p=p,
            p_holm=p_holm,
        )


@dataclass(slots=True)
class Recovery:
    """Takes in debates one by one, and says what they come to."""

    known: int = 0
    _pluralities: dict[int, Hits] = field(default_factory=dict[int, Hits])
    _own: dict[int, Hits] = field(default_factory=dict[int, Hits])
    _whole: _Changes = field(default_factory=_Changes)
    _agents: dict[str, _Changes] = field(default_factory=dict[str, _Changes])
    _rescued: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    _lost: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def add(self, debate: Debate) -> None:
        """Take in a debate; one whose truth is not known counts for nothing."""
        item = debate.number
        if debate.truth is None:
            return
        self.known += 1
        right = [_right(wave, debate.truth, debate.sort) for wave in debate.waves]
        for number, (wave, hit) in enumerate(zip(debate.waves, right, strict=True), start=1):
            self._pluralities.setdefault(number, Hits()).add(item, hit=hit)
            own = self._own.setdefault(number, Hits())
            for opinion in wave:
                if opinion.verdict is not None:
                    own.add(item, hit=opinion.verdict == debate.truth)
        if len(right) > 1:
            self._whole.add(item, first=right[0], last=right[-1])
            if right[0] != right[-1]:
                (self._lost if right[0] else self._rescued).append((item, debate.item))
        for agent in debate.agents:
            mine = [opinion for wave in debate.waves for opinion in wave if opinion.agent == agent]
            first, last = mine[0].verdict, mine[-1].verdict
            if len(mine) > 1 and first is not None and last is not None:
                changes = self._agents.setdefault(agent, _Changes())
                changes.add(item, first=first == debate.truth, last=last == debate.truth)

    def found(self, names: Sequence[str]) -> Recovered | None:
        """Return what all debates so far come to, agents in this order; None where no truth is known."""
        if not self.known:
            return None
        agents = {name: self._agents[name].counts().p for name in names if name in self._agents}
        adjusted = dict(zip(agents, holm(list(agents.values())), strict=True)) if agents else {}
        p = self._whole.counts().p if self._whole.item else None
        return Recovered(
            known=self.known,
            waves={
                number: Right(plurality=hits.share(), own=self._own[number].share())
                for number, hits in sorted(self._pluralities.items())
            },
            plurality=self._whole.found(p, p),
            agents={name: self._agents[name].found(p_own, adjusted[name]) for name, p_own in agents.items()},
            rescued=tuple(item for _, item in sorted(self._rescued)),
            lost=tuple(item for _, item in sorted(self._lost)),
        )


def _right(wave: Sequence[Opinion], truth: str, sort: Sort) -> bool:
    if all(opinion.verdict is None for opinion in wave):
        return False
    split = "tie" if sort == "ballot" else None
    return (plurality(wave) or split) == truth

"""Who changes an opinion in a debate, after whom, and whether to that of the majority."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel, ConfigDict

from .clustered import clustered
from .estimate import Estimate, share
from .opinions import Debate, Step, majority, steps


@dataclass(slots=True)
class Hits:
    """Yes or no, one an opinion, and the item of each."""

    _hits: list[bool] = field(default_factory=list[bool])
    _item: list[int] = field(default_factory=list[int])

    def add(self, item: int, *, hit: bool) -> None:
        """Take one in."""
        self._hits.append(hit)
        self._item.append(item)

    @property
    def count(self) -> int:
        """Return how many were yes."""
        return sum(self._hits)

    @property
    def n(self) -> int:
        """Return how many there are."""
        return len(self._hits)

    def share(self) -> Estimate | None:
        """Return the share of yes, items being clusters."""
        return share(np.array(self._hits, dtype=np.bool_), np.array(self._item, dtype=np.int64))


@dataclass(slots=True)
class Values:
    """Numbers, and the item of each."""

    _values: list[float] = field(default_factory=list[float])
    _item: list[int] = field(default_factory=list[int])

    def add(self, item: int, value: float) -> None:
        """Take one in."""
        self._values.append(value)
        self._item.append(item)

    def mean(self, span: tuple[float, float] | None = (0.0, 1.0)) -> Estimate | None:
        """Return the mean, items being clusters; see `clustered`."""
        item = np.array(self._item, dtype=np.int64)
        order = np.argsort(item, kind="stable")
        return clustered(np.array(self._values, dtype=np.float64)[order], item[order], span)


class Changed(BaseModel):
    """How often an opinion differs from the same agent's opinion before."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    share: Estimate | None
    """Of opinions that could be read, both times."""
    unread: int
    """Opinions that follow another of the same agent where one of the two could not be read; not in the share."""
    swing: Estimate | None
    """Mean of how far the difference of the two scores moved, in points of the scale; None without scores."""


class Moved(BaseModel):
    """What a listener did after it had heard a speaker. Others whom it heard may have said the same."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    speaker: str
    listener: str
    heard: int
    """Times the listener gave an opinion after it had newly heard the speaker, all three opinions readable: its own
    before and after, and the speaker's as it stood."""
    differed: int
    """Times of these at which the two had differed."""
    toward: int
    """Of those: the listener came to hold what the speaker held."""
    elsewhere: int
    """Of those: it came to hold something else again."""
    agreed: int
    """Times at which the two had held the same."""
    away: int
    """Of those: the listener came to hold something else."""
    net: int
    """Moves toward the speaker less moves away."""
    followed: Estimate | None
    """Share of `differed` that is `toward`."""
    left: Estimate | None
    """Share of `agreed` that is `away`."""

    @property
    def changes(self) -> int:
        """Return how often the listener changed after it had heard the speaker."""
        return self.toward + self.elsewhere + self.away


class Conformity(BaseModel):
    """What becomes of those who hold something else than a strict majority, and have heard it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    capitulated: Estimate | None
    """Share of those in the minority, having heard somebody of the majority, whose next opinion is the majority's."""
    unprompted: Estimate | None
    """The same share of those in the minority who heard nobody of the majority."""
    converted: Estimate | None
    """Against it: share of those in the majority, having heard somebody of the minority, whose next opinion is one that
    the minority held."""
    right_to_wrong: Estimate | None
    """Of those in the minority, having heard the majority, who were right: the share that took up the majority's."""
    wrong_to_right: Estimate | None
    """Of those in the minority, having heard the majority, who were wrong where the majority was right: that share."""


class Swayed(BaseModel):
    """Who changed its mind, and after whom."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    changed: Changed
    by_wave: dict[int, Changed]
    """From the second wave on."""
    by_agent: dict[str, Changed]
    moved: tuple[Moved, ...]
    """Every ordered pair of whom one has heard the other, those with the most moves toward the speaker first."""
    conformity: Conformity
    harmed: Estimate | None
    """Of opinions that were right: the share that the same agent's next one is wrong. None where no truth is known."""
    helped: Estimate | None
    """Of opinions that were wrong: the share that the same agent's next one is right."""


@dataclass(slots=True)
class _Changes:
    hits: Hits = field(default_factory=Hits)
    swings: Values = field(default_factory=Values)
    unread: int = 0

    def add(self, item: int, step: Step) -> None:
        if not step.readable:
            self.unread += 1
            return
        self.hits.add(item, hit=step.changed)
        if step.before.scores is not None and step.after.scores is not None:
            gap = (step.after.scores[0] - step.after.scores[1]) - (step.before.scores[0] - step.before.scores[1])
            self.swings.add(item, abs(gap))

    def found(self) -> Changed:
        return Changed(share=self.hits.share(), unread=self.unread, swing=self.swings.mean(None))


@dataclass(slots=True)
class _Pair:
    followed: Hits = field(default_factory=Hits)
    left: Hits = field(default_factory=Hits)
    elsewhere: int = 0

    def add(self, item: int, step: Step, stood: str) -> None:
        if step.before.verdict == stood:
            self.left.add(item, hit=step.changed)
            return
        toward = step.after.verdict == stood
        self.followed.add(item, hit=toward)
        self.elsewhere += step.changed and not toward

    def found(self, speaker: str, listener: str) -> Moved:
        return Moved(
            speaker=speaker,
            listener=listener,
            heard=self.followed.n + self.left.n,
            differed=self.followed.n,
            toward=self.followed.count,
            elsewhere=self.elsewhere,
            agreed=self.left.n,
            away=self.left.count,
            net=self.followed.count - self.left.count,
            followed=self.followed.share(),
            left=self.left.share(),
        )


_CONFORMITY = ("capitulated", "unprompted", "converted", "right_to_wrong", "wrong_to_right")


@dataclass(slots=True)
class Sway:
    """Takes in debates one by one, and says what they come to."""

    _all: _Changes = field(default_factory=_Changes)
    _waves: dict[int, _Changes] = field(default_factory=dict[int, _Changes])
    _agents: dict[str, _Changes] = field(default_factory=dict[str, _Changes])
    _pairs: dict[tuple[str, str], _Pair] = field(default_factory=dict[tuple[str, str], _Pair])
    _conformity: dict[str, Hits] = field(default_factory=lambda: {name: Hits() for name in _CONFORMITY})
    _harmed: Hits = field(default_factory=Hits)
    _helped: Hits = field(default_factory=Hits)

    def add(self, debate: Debate) -> None:
        """Take in a debate."""
        item = debate.number
        for step in steps(debate):
            for changes in (
                self._all,
                self._waves.setdefault(step.wave, _Changes()),
                self._agents.setdefault(step.after.agent, _Changes()),
            ):
                changes.add(item, step)
            if not step.readable:
                continue
            for speaker, stood in step.after.heard.items():
                if stood is not None:
                    self._pairs.setdefault((speaker, step.after.agent), _Pair()).add(item, step, stood)
            for name, hit in _conformed(step, debate.truth):
                self._conformity[name].add(item, hit=hit)
            if debate.truth is not None:
                was = step.before.verdict == debate.truth
                now = step.after.verdict == debate.truth
                (self._harmed if was else self._helped).add(item, hit=was != now)

    def found(self, agents: Sequence[str]) -> Swayed:
        """Return what all debates so far come to, agents in this order."""
        moved = [pair.found(*names) for names, pair in self._pairs.items()]
        return Swayed(
            changed=self._all.found(),
            by_wave={wave: changes.found() for wave, changes in sorted(self._waves.items())},
            by_agent={agent: self._agents[agent].found() for agent in agents if agent in self._agents},
            moved=tuple(sorted(moved, key=lambda each: (-each.toward, -each.net, each.speaker, each.listener))),
            conformity=Conformity(**{name: hits.share() for name, hits in self._conformity.items()}),
            harmed=self._harmed.share(),
            helped=self._helped.share(),
        )


def _conformed(step: Step, truth: str | None) -> Iterator[tuple[str, bool]]:
    """Return what an agent did about the majority of the wave before, by the name of each share it enters."""
    most = majority(step.around)
    if most is None:
        return
    others = {other.agent: other.verdict for other in step.around if other.verdict is not None}
    before, after = step.before.verdict, step.after.verdict
    if before == most:
        minority = {agent: held for agent, held in others.items() if held != most}
        if _met(step, minority):
            yield "converted", after in set(minority.values())
        return
    gave_in = after == most
    if not _met(step, {agent for agent, held in others.items() if held == most}):
        yield "unprompted", gave_in
        return
    yield "capitulated", gave_in
    if truth is not None and before == truth:
        yield "right_to_wrong", gave_in
    elif truth is not None and most == truth:
        yield "wrong_to_right", gave_in


def _met(step: Step, agents: Iterable[str]) -> bool:
    return any(agent in step.after.heard for agent in agents)

"""One way through a flow as far as it has come: the calls it takes, and what further steps' calls depend on."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TypeVar

from ...protocols.judging import Judging

Span = tuple[int, int]
"""The least and the greatest."""
Draft = tuple[str, int]
"""Writer and version."""
Voting = tuple[str, Judging]
"""A judge, and how it compares drafts."""
Reviewers = tuple[frozenset[str], frozenset[str]]
"""Those who surely have given feedback, and those who may have."""

NO_ONE: frozenset[str] = frozenset()
NOBODY: Reviewers = (NO_ONE, NO_ONE)
ALL = ""
"""In place of an agent: all of them together."""
ANY = 0
"""In place of a round: all of them together."""
MOST_WAYS = 64
"""Ways that are told apart; of more, one is made that lies around all of them."""


@dataclass(slots=True)
class Way:
    """One way, or several between bounds."""

    calls: dict[tuple[str, int], Span] = field(default_factory=dict[tuple[str, int], Span])
    """By agent and round, and for all agents, and for all rounds: of several the sums' bounds can be closer than the
    sums of the bounds."""
    drafts: dict[str, Span] = field(default_factory=dict[str, Span])
    """Versions, by writer, in the order in which they began."""
    hears: dict[str, frozenset[str] | None] = field(default_factory=dict[str, frozenset[str] | None])
    """Whom each agent listens to; None where that is not known beforehand."""
    fresh: dict[str, Reviewers] = field(default_factory=dict[str, Reviewers])
    """Who has reviewed each writer since it wrote last."""
    alternatives: dict[str, int] = field(default_factory=dict[str, int])
    """For each writer, the most pairs of drafts that revise one draft by different feedback."""
    voted: frozenset[str] = frozenset()
    """Who may have cast a vote on the candidates."""
    scored: frozenset[tuple[str, Draft]] = frozenset()
    """Judge and draft, of scores that surely were given."""
    perhaps_scored: frozenset[tuple[str, Draft]] = frozenset()
    compared: dict[Voting, frozenset[frozenset[Draft]]] = field(
        default_factory=dict[Voting, frozenset[frozenset[Draft]]]
    )
    """Drafts that surely need no judge's word any more."""
    used: dict[Voting, int] = field(default_factory=dict[Voting, int])
    """The most comparisons so far."""
    picked: bool = False
    """Whether a draft may have been picked."""
    champion: tuple[frozenset[str], frozenset[Voting]] | None = None
    """Of a draft that surely was picked: the writers it was picked from, and who surely has compared it with another
    one that counted."""

    def copy(self) -> "Way":
        """Return a way that goes on from here by itself."""
        return replace(
            self,
            calls=dict(self.calls),
            drafts=dict(self.drafts),
            hears=dict(self.hears),
            fresh=dict(self.fresh),
            alternatives=dict(self.alternatives),
            compared=dict(self.compared),
            used=dict(self.used),
        )

    def count(self, number: int, spans: Mapping[str, Span], total: Span | None = None) -> None:
        """Add calls of a round, by agent; `total` where all together have closer bounds than their sums."""
        if total is None:
            total = sum(least for least, _ in spans.values()), sum(most for _, most in spans.values())
        for agent, span in (*spans.items(), (ALL, total)):
            for key in ((agent, number), (agent, ANY)):
                before = self.calls.get(key, (0, 0))
                self.calls[key] = before[0] + span[0], before[1] + span[1]

    @property
    def state(self) -> object:
        """All that further steps' calls depend on: where two ways have the same, they are one from here on."""
        return (
            tuple(self.drafts.items()),
            frozenset(self.hears.items()),
            frozenset(self.fresh.items()),
            frozenset(self.alternatives.items()),
            self.voted,
            self.scored,
            self.perhaps_scored,
            frozenset(self.compared.items()),
            frozenset(self.used.items()),
            self.picked,
            self.champion,
        )

    def joined(self, other: "Way") -> "Way":
        """Return a way that lies around this one and another."""
        return Way(
            calls=_around(self.calls, other.calls),
            drafts=_around(self.drafts, other.drafts),
            hears={
                name: one if (one := self.hears.get(name, NO_ONE)) == other.hears.get(name, NO_ONE) else None
                for name in {**self.hears, **other.hears}
            },
            fresh={
                name: _either(self.fresh.get(name), other.fresh.get(name)) for name in {**self.fresh, **other.fresh}
            },
            alternatives=_most(self.alternatives, other.alternatives),
            voted=self.voted | other.voted,
            scored=self.scored & other.scored,
            perhaps_scored=self.perhaps_scored | other.perhaps_scored,
            compared={
                voting: pairs & other.compared[voting]
                for voting, pairs in self.compared.items()
                if voting in other.compared
            },
            used=_most(self.used, other.used),
            picked=self.picked or other.picked,
            champion=self.champion if self.champion == other.champion else None,
        )


KeyT = TypeVar("KeyT", bound=Hashable)


def _around(one: Mapping[KeyT, Span], other: Mapping[KeyT, Span]) -> dict[KeyT, Span]:
    spans = {key: (one.get(key, (0, 0)), other.get(key, (0, 0))) for key in {**one, **other}}
    return {key: (min(a[0], b[0]), max(a[1], b[1])) for key, (a, b) in spans.items()}


def _most(one: Mapping[KeyT, int], other: Mapping[KeyT, int]) -> dict[KeyT, int]:
    return {key: max(one.get(key, 0), other.get(key, 0)) for key in {**one, **other}}


def _either(one: Reviewers | None, other: Reviewers | None) -> Reviewers:
    (surely, perhaps), (sure, too) = one or NOBODY, other or NOBODY
    return surely & sure, perhaps | too


def gathered(ways: Iterable[Way]) -> list[Way]:
    """Return ways: those that are one from here on as one, and all of them as one where there are too many."""
    apart: dict[object, Way] = {}
    for way in ways:
        known = apart.get(way.state)
        if known is None:
            apart[way.state] = way
        else:
            known.calls = _around(known.calls, way.calls)
    found = list(apart.values())
    return found if len(found) <= MOST_WAYS else [reduce(Way.joined, found)]

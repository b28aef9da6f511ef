"""What planning the steps of a scenario goes by: who there is, what was brought about, and where to tell faults."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace

from ..agents import Agent
from ..protocols.errors import nearest
from ..protocols.topology import NOBODY
from . import spec
from .cast import Cast, Scope
from .problems import Problems
from .source import Path


@dataclass
class Seen:
    """What the steps so far have brought about."""

    facts: set[str] = field(default_factory=set[str])
    """On every way."""
    verbs: set[str] = field(default_factory=set[str])
    """On every way."""
    maybe: set[str] = field(default_factory=set[str])
    """Facts on some way."""
    strategies: set[str] = field(default_factory=set[str])
    """On some way."""
    confident: bool = True
    """Whether every vote and answer, on any way, says how sure it is."""
    ever_confident: bool = False
    """Whether one does, on some way."""
    spoke: set[str] = field(default_factory=set[str])
    """Who has been shown the candidates in the conversation's one order, on some way."""
    asked: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """Who was asked for what, on some way: agents by fact."""
    judges: set[str] = field(default_factory=set[str])
    """Who has compared drafts, on some way."""
    hears: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Where ways differ in whether someone hears anybody: nobody."""
    unheard: dict[str, tuple[str, Path]] = field(default_factory=dict[str, tuple[str, Path]])
    """Who has said what nobody has been told yet: the fact, and the step."""
    revised: set[str] = field(default_factory=set[str])
    """Who has written more than one draft, on some way."""

    def copy(self) -> "Seen":
        """Return what is no part of this any more."""
        return deepcopy(self)

    def merged(self, other: "Seen", unheard: Mapping[str, tuple[str, Path]]) -> "Seen":
        """Return what has been brought about by one way or another.

        What was `unheard` before the ways parted is so no more where it is heard on one of them.
        """
        still = {**self.unheard, **other.unheard}
        heard = {name for name in unheard if name not in self.unheard or name not in other.unheard}
        deaf = (NOBODY,)
        names = {**self.hears, **other.hears}
        hears = {name: self.hears.get(name, deaf) for name in names if other.hears.get(name, deaf) != deaf}
        return Seen(
            self.facts & other.facts,
            self.verbs & other.verbs,
            self.maybe | other.maybe,
            self.strategies | other.strategies,
            self.confident and other.confident,
            self.ever_confident or other.ever_confident,
            self.spoke | other.spoke,
            {
                fact: self.asked.get(fact, set()) | other.asked.get(fact, set())
                for fact in {**self.asked, **other.asked}
            },
            self.judges | other.judges,
            hears,
            {name: told for name, told in still.items() if name not in heard or told != unheard[name]},
            self.revised | other.revised,
        )

    def branched(self, own: Mapping[str, tuple[str, ...]]) -> "Seen":
        """Return the same of the agents that branches have in place of those that their steps name."""

        def several(names: Iterable[str]) -> set[str]:
            return {each for name in names for each in own.get(name, (name,))}

        return replace(
            self,
            spoke=several(self.spoke),
            asked={fact: several(names) for fact, names in self.asked.items()},
            judges=several(self.judges),
            revised=several(self.revised),
            hears={
                each: heard
                for name, before in self.hears.items()
                for heard in (tuple(speaker for one in before for speaker in own.get(one, (one,))),)
                for each in own.get(name, (name,))
            },
            unheard={each: told for name, told in self.unheard.items() for each in own.get(name, (name,))},
        )

    @property
    def agents(self) -> set[str]:
        """Return who was asked for anything."""
        return set[str]().union(*self.asked.values())


@dataclass
class Ground:
    """The place where steps are planned."""

    cast: Cast
    scope: Scope
    """The names that the steps may use."""
    roles: Mapping[str, type[Agent] | None]
    """The class of each agent by what it is called; None where it could not be found."""
    families: Mapping[str, str]
    """Of what family each agent's model is, where that is known."""
    models: Mapping[str, str]
    """The model of each agent, by its own name: who serves it does not make it another one."""
    problems: Problems
    seen: Seen = field(default_factory=Seen)
    bound: dict[str, str] = field(default_factory=dict[str, str])
    """What each `$name` stands for: text, draft or candidate."""
    together: bool = False
    """Whether the steps are of branches that are played together."""
    using: str = ""
    """Before each fault: the scenario whose steps these are, where it is one that is used."""
    ever: set[str] = field(default_factory=set[str])
    """Who is asked, or judges, in any step planned so far, whichever way it is on."""
    around: list[set[str]] = field(default_factory=list[set[str]])
    """For each repeat that the step is in: what is asked for in it, before or in the round before."""
    inside: list[set[str]] = field(default_factory=list[set[str]])
    """For each `each` that the step is in: who is asked in it."""
    criteria: int = 0
    """How many were proposed at the most."""
    rounds: int = 1
    """Of the repeat that the step is in."""

    @property
    def scenario(self) -> spec.Scenario:
        """The scenario whose steps are planned."""
        return self.scope.scenario

    @property
    def among(self) -> tuple[str, ...] | None:
        """Return whose words count for what the steps go by; none: everyone's. A used scenario goes by its own."""
        return self.scope.cast if self.using else None

    def wrong(self, what: str, path: Path) -> None:
        """Note what is wrong, at its place."""
        self.problems.add(f"{self.using}{what}", path)

    def role(self, name: str) -> str:
        """Return the word for an agent's role."""
        return self.cast.declared[name].role

    def named(self, names: Sequence[str] | None, path: Path, known: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the agents that names stand for; names that are not known are noted.

        Args:
            names: Agents and groups.
            path: Where they stand.
            known: The likeliest ones, for the hint; else all.
        """
        found: list[str] = []
        for number, name in enumerate(names or ()):
            members = self.scope.resolved(name)
            if members is None:
                self.problems.misnamed = True
            if members is None and self.scope.known:
                hint = nearest(name, tuple(known) or self.scope.known)
                self.wrong(f"unknown agent {name!r}{hint}", (*path, number))
            for member in members or ():
                if member in found:
                    self.wrong(f"agent {member!r} is named twice", (*path, number))
                else:
                    found.append(member)
        return tuple(found)

    def placed(self, name: str, names: Sequence[str] | None, path: Path) -> Path:
        """Return where, among names, an agent or a group that it is of stands."""
        for number, each in enumerate(names or ()):
            if name in (self.scope.resolved(each) or ()):
                return (*path, number)
        return path

    def writers(self) -> tuple[str, ...]:
        """Return who has written drafts, on some way."""
        wrote = self.seen.asked.get("draft", set()) | self.seen.asked.get("answer", set())
        return tuple(name for name in self.scope.everyone if name in wrote)

    def missing(self, wanted: str) -> str:
        """Return why there is none of a fact that a step needs."""
        if wanted in self.seen.maybe:
            return f"where a `when` goes the other way, no {wanted} is asked for before this step"
        return f"no {wanted} is asked for before this step"

    @contextmanager
    def within(self, **changed: object) -> Generator[None]:
        """Plan steps with something else, as in `rounds`, for a while."""
        before = {name: getattr(self, name) for name in changed}
        for name, value in changed.items():
            setattr(self, name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)

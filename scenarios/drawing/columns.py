"""The columns of a picture: agents that are made of one declaration share one where they are always asked together."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...agents import Profile
from .. import spec
from ..steps import AskStep, DecideStep, EachStep, PairStep, PickStep, Plan, RepeatStep, Step, WhenStep
from .picture import TIMES, Column

MOST = 7
"""Columns; of more, those of several personas and those of a group are drawn as one, too."""
_NUMBERED = re.compile(r"^(.+)-\d+$")


def within(steps: Iterable[Step]) -> Iterator[Step]:
    """Return steps, each followed by those inside it."""
    for step in steps:
        yield step
        if isinstance(step, (RepeatStep, EachStep)):
            yield from within(step.steps)
        elif isinstance(step, WhenStep):
            yield from within((*step.steps, *step.otherwise))


@dataclass(frozen=True, slots=True)
class _Family:
    """Agents that may share a column."""

    name: str
    members: tuple[str, ...]


class Columns:
    """The columns of a plan, and in which of them each agent is."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._steps = tuple(within(plan.flow))
        self._names = tuple(dict.fromkeys((*plan.profiles, *self._asked())))
        self._parent = {name: name for name in self._names}
        self._titles: dict[str, str] = {}
        self._branches: dict[str, str] = {}
        self._unite_branches()
        for family in self._counted():
            self._unite(family)
        for family in (*self._of_personas(), *self._groups()):
            if len({self._root(name) for name in self._names}) > MOST:
                self._unite(family)
        roots = tuple(dict.fromkeys(map(self._root, self._names)))
        self._number = {root: number for number, root in enumerate(roots)}
        self.columns: tuple[Column, ...] = tuple(map(self._column, roots))

    def of(self, name: str) -> int:
        """Return the column that an agent is in."""
        return self._number[self._root(name)]

    def numbers(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the columns of agents, each once, from the left."""
        return tuple(sorted({self.of(name) for name in names}))

    def told(self, names: Iterable[str]) -> str:
        """Return in words who some are: all of a column by its title."""
        named = dict.fromkeys(names)
        found: list[str] = []
        for number, column in enumerate(self.columns):
            members = [name for name in named if self.of(name) == number]
            known = [name for name in self._names if self.of(name) == number]
            whole = [name for name in known if name in self._plan.profiles] or known
            if not members:
                continue
            found += [column.title] if len(members) == len(whole) or len(whole) == 1 else members
        everyone = len(self._plan.profiles)
        return "everyone" if len(named) == everyone > 2 else ", ".join(found)

    # who shares a column

    def _asked(self) -> Iterator[str]:
        for step in self._steps:
            if isinstance(step, EachStep):
                for name, own in step.own.items():
                    yield name
                    yield from own
            elif isinstance(step, AskStep):
                yield from step.agents
                if not isinstance(step.hears, spec.Graph):
                    for heard in step.hears.values():
                        yield from heard
            elif isinstance(step, DecideStep):
                yield from step.among or ()
            elif isinstance(step, (PickStep, PairStep)):
                yield from (*step.writers, *step.jury.judges)

    def _root(self, name: str) -> str:
        while self._parent[name] != name:
            name = self._parent[name]
        return name

    def _join(self, names: Sequence[str]) -> str:
        roots = {self._root(name) for name in names}
        root = min(roots, key=self._names.index)
        for known in (self._titles, self._branches):
            found = [known.pop(each) for each in sorted(roots) if each in known]
            if found:
                known[root] = found[-1]
        for each in roots:
            self._parent[each] = root
        return root

    def _unite(self, family: _Family) -> None:
        if len({self._root(name) for name in family.members}) > 1 and self._inseparable(family.members):
            self._titles[self._join(family.members)] = f"{family.name} {TIMES}{len(family.members)}"

    def _unite_branches(self) -> None:
        """Put the agents that each branch has of its own into the column of those they stand for."""
        for step in self._steps:
            if isinstance(step, EachStep):
                for name, own in step.own.items():
                    root = self._join((name, *own))
                    self._titles[root] = name
                    self._branches[root] = f"one for each ${step.name}"
        for name in self._names:  # branches within branches
            stem = name
            while match := _NUMBERED.match(stem):
                stem = match[1]
                if stem in self._names and self._root(stem) in self._branches:
                    self._join((stem, name))

    def _counted(self) -> Iterator[_Family]:
        stems: dict[str, list[str]] = {}
        for name in self._names:
            match = _NUMBERED.match(name)
            if match and match[1] not in self._names:
                stems.setdefault(match[1], []).append(name)
        for stem, members in stems.items():
            if len({self._alike(name) for name in members}) == 1:
                yield _Family(stem, tuple(members))

    def _alike(self, name: str) -> object:
        profile = self._profile(name)
        if profile is None:
            return None
        one_of_several = profile.settings.model_copy(update={"sample": None})
        return repr(replace(profile, name="", settings=one_of_several))

    def _of_personas(self) -> Iterator[_Family]:
        for scenario in (self._plan.scenario, *self._plan.scenario.used.values()):
            for name, agent in scenario.agents.items():
                ends = tuple(f"{name}-{persona}" for persona in agent.personas or ())
                members = tuple(each for each in self._names if each.endswith(ends)) if ends else ()
                if len(members) == len(ends) > 1:
                    yield _Family(name, members)

    def _groups(self) -> Iterator[_Family]:
        for name, members in self._plan.scenario.groups.items():
            if all(each in self._names for each in members) and len(members) > 1:
                yield _Family(name, members)

    def _inseparable(self, members: Sequence[str]) -> bool:
        """Whether they are always asked, always heard and always counted together, and hear the same."""
        roots = {self._root(name) for name in members}
        return all(_all_or_none(roots, names) for names in self._sets(roots))

    def _sets(self, roots: set[str]) -> Iterator[set[str]]:
        for step in self._steps:
            if isinstance(step, AskStep):
                yield self._roots(step.agents)
                if not isinstance(step.hears, spec.Graph):
                    yield self._roots(step.hears)
                    yield from self._heard(step.hears, roots)
            elif isinstance(step, DecideStep) and step.among is not None:
                yield self._roots(step.among)
            elif isinstance(step, (PickStep, PairStep)):
                yield self._roots(step.jury.judges)

    def _heard(self, hears: Mapping[str, tuple[str, ...]], roots: set[str]) -> Iterator[set[str]]:
        for name, heard in hears.items():
            found = self._roots(heard)
            own = self._root(name)
            yield found | {own} if own in roots and found & roots else found

    def _roots(self, names: Iterable[str]) -> set[str]:
        return {self._root(name) for name in names if name in self._parent}

    # what stands at the head of a column

    def _profile(self, name: str) -> Profile | None:
        return self._plan.profiles.get(name)

    def _column(self, root: str) -> Column:
        members = [name for name in self._names if self._root(name) == root]
        profiles = [profile for profile in map(self._profile, members) if profile is not None]
        title = self._titles.get(root, root)
        roles = dict.fromkeys(profile.role for profile in profiles)
        personas = dict.fromkeys(profile.persona.title for profile in profiles if profile.persona is not None)
        sides = dict.fromkeys(f"argues for {profile.side}" for profile in profiles if profile.side is not None)
        models = dict.fromkeys(self._model(profile) for profile in profiles)
        shown = [model for model in models if model and model not in members]
        lines = [", ".join(personas), *sides, self._branches.get(root, ""), _model_line(shown)]
        return Column(title, ", ".join(roles), tuple(line for line in lines if line))

    def _model(self, profile: Profile) -> str:
        """Return the alias of an agent's model; its name, where it has none or --model sets it."""
        scenario = self._plan.scenario
        stems = (name for name in scenario.agents if profile.name == name or profile.name.startswith(f"{name}-"))
        stem = max(stems, key=len, default=None)
        alias = None if stem is None else scenario.agents[stem].model
        name: object = alias or next(iter(scenario.models), None)
        while isinstance(name, str) and name in scenario.models:
            name = scenario.models[name]
        declared = getattr(name, "model", name)
        return alias or "" if declared == profile.settings.model else profile.settings.model


def _model_line(models: Sequence[str]) -> str:
    if not models:
        return ""
    named = ", ".join(models[:3])
    return f"model{'s' if len(models) > 1 else ''} {named}{', …' if len(models) > 3 else ''}"


def _all_or_none(some: set[str], names: set[str]) -> bool:
    return not some & names or some <= names

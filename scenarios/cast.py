"""Who takes part: the agents that a scenario declares, and those that its words make of them.

`count` and `personas` make several of one, a group is a name for several, the agents of a scenario that is used come
along, and branches of an `each` that are played together have agents of their own.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..protocols.errors import nearest
from . import spec
from .problems import Problems
from .source import Path


@dataclass(slots=True)
class Scope:
    """The names that steps of one scenario may use, and whom each stands for."""

    scenario: spec.Scenario
    members: dict[str, tuple[str, ...]]
    """By declared name or group: the agents, as they are called in the conversation."""
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """What groups are made of: declared names, groups and single agents."""
    cast: tuple[str, ...] = field(init=False)
    """Everyone, before branches have agents of their own."""

    def __post_init__(self) -> None:
        self.cast = self.everyone

    @property
    def everyone(self) -> tuple[str, ...]:
        """Return all agents, as they are called, in the order in which they are declared."""
        return tuple(dict.fromkeys(name for names in self.members.values() for name in names))

    @property
    def known(self) -> tuple[str, ...]:
        """Return all names that may be used."""
        return tuple(dict.fromkeys((*self.members, *self.groups, *self.everyone)))

    def resolved(self, name: str) -> tuple[str, ...] | None:
        """Return the agents that a name stands for; None where it is not known."""
        if name in self.members:
            return self.members[name]
        if name in self.groups:
            found = [self.resolved(each) or () for each in self.groups[name]]
            return tuple(dict.fromkeys(member for names in found for member in names))
        return (name,) if name in self.everyone else None

    def branched(self, own: Mapping[str, tuple[str, ...]]) -> None:
        """Let every name stand for the agents of all branches from now on, where they had their own."""
        for name, members in self.members.items():
            branched = [each for member in members for each in own.get(member, (member,))]
            self.members[name] = tuple(dict.fromkeys(branched))


class Cast:
    """All agents of a scenario, used scenarios' included."""

    def __init__(self, scenario: spec.Scenario, problems: Problems) -> None:
        """Work out who takes part; what is wrong with it is noted.

        Args:
            scenario: As it is declared, what it uses filled in.
            problems: Where to note.
        """
        self.declared: dict[str, spec.Agent] = {}
        """What each agent is declared as, by what it is called."""
        self.home: dict[str, spec.Scenario] = {}
        """The scenario that declares it."""
        self.bare: dict[str, str] = {}
        """Its name there."""
        self.paths: dict[str, Path] = {}
        """Where it is declared."""
        self.number: dict[str, int] = {}
        """Which of several that are declared alike it is, from 1."""
        self._problems = problems
        self._scopes: dict[int, Scope] = {}
        self.scope = self._scope(scenario, "", {}, ())

    def branched(self, own: Mapping[str, tuple[str, ...]]) -> None:
        """Let every name, of used scenarios too, stand for the agents of all branches, where they had their own."""
        for scope in (self.scope, *self._scopes.values()):
            scope.branched(own)

    def used(self, step: spec.Use) -> Scope | None:
        """Return the names of a scenario that a step uses; None where it is not known, which is noted."""
        return self._scopes.get(id(step))

    def _scope(self, scenario: spec.Scenario, prefix: str, ours: Mapping[str, tuple[str, ...]], at: Path) -> Scope:
        """Return the names of a scenario; agents get a prefix, but for those that are `ours`."""
        members: dict[str, tuple[str, ...]] = {}
        for name, agent in scenario.agents.items():
            path: Path = at or ("agents", name)
            if name in ours:
                members[name] = ours[name]
                continue
            members[name] = tuple(self._added(scenario, prefix, name, agent, path))
        scope = Scope(scenario, members)
        for name, names in scenario.groups.items():
            self._group(scope, name, names, at)
        for step, path in uses(scenario.flow, ("flow",)):
            used = scenario.used.get(used_name(step))
            if used is not None:
                inner = self._scopes[id(step)] = self._use(scope, step, used, prefix, at or path)
                along = {f"{prefix}{used.scenario}-{name}": inner.members[name] for name in used.agents}
                scope.members |= {name: each for name, each in along.items() if name not in scope.members}
        scope.cast = scope.everyone
        return scope

    def _added(self, scenario: spec.Scenario, prefix: str, name: str, agent: spec.Agent, path: Path) -> Iterator[str]:
        self._prove_several(agent, path)
        for number, (bare, one) in enumerate(_several(name, agent), start=1):
            called = f"{prefix}{bare}"
            if called in self.declared and self.declared[called] != one:
                self._problems.add(f"there are two agents {called!r}", path)
                continue
            self.declared[called], self.home[called], self.paths[called] = one, scenario, path
            self.bare[called] = name
            if agent.count > 1:
                self.number[called] = number
            yield called

    def _prove_several(self, agent: spec.Agent, path: Path) -> None:
        """Check that an agent is made several of in one way."""
        personas = agent.personas or ()
        if personas and agent.persona is not None:
            self._problems.add("say persona or personas, not both", (*path, "persona"))
        if personas and "count" in agent.model_fields_set:
            self._problems.add("say count or personas, not both: there is one agent for each persona", (*path, "count"))
        for number, persona in enumerate(personas):
            if persona in personas[:number]:
                self._problems.add(f"persona {persona!r} is named twice", (*path, "personas", number))

    def _group(self, scope: Scope, name: str, names: Iterable[str], at: Path) -> None:
        path: Path = at or ("groups", name)
        if name in scope.known:
            self._problems.add(f"{name!r} is an agent's name already", path)
            return
        declared = scope.scenario.groups
        known = {*scope.members, *scope.groups, *scope.everyone, *declared}
        for number, each in enumerate(names):
            if each not in known:
                self._problems.misnamed = True
                self._problems.add(f"unknown agent {each!r}{nearest(each, known)}", (*path, number))
                return
            within = {each, *_within(declared, each)} if each in declared else set[str]()
            if name in within:
                self._problems.misnamed = True
                if name == next(group for group in declared if group in within):  # each ring once
                    self._problems.add(f"group {name!r} is a member of itself", (*path, number))
                return
        scope.groups[name] = tuple(names)

    def _use(self, scope: Scope, step: spec.Use, used: spec.Scenario, prefix: str, at: Path) -> Scope:
        ours: dict[str, tuple[str, ...]] = {}
        for theirs, own in step.as_.items():
            found = scope.resolved(own)
            if theirs not in used.agents:
                hint = nearest(theirs, used.agents)
                self._problems.misnamed = True
                self._problems.add(f"{step.use} has no agent {theirs!r}{hint}", (*at, "as", theirs))
            elif found is None:
                self._problems.misnamed = True
                self._problems.add(f"unknown agent {own!r}{nearest(own, scope.known)}", (*at, "as", theirs))
            else:
                ours[theirs] = found
        return self._scope(used, f"{prefix}{used.scenario}-", ours, at)


def used_name(step: spec.Use) -> str:
    """Return the name under which a scenario holds what a step uses: another one where other parts of it are set."""
    said = ", ".join(f"{path}={value}" for path, value in sorted(step.set.items()))
    return f"{step.use} with {said}" if said else step.use


def uses(steps: Iterable[spec.Step], at: Path) -> Iterator[tuple[spec.Use, Path]]:
    """Return the steps that use other scenarios, each with its place."""
    for index, step in enumerate(steps):
        path: Path = (*at, index)
        if isinstance(step, spec.Use):
            yield step, path
        elif isinstance(step, (spec.Repeat, spec.Each)):
            yield from uses(step.do, (*path, "do"))
        elif isinstance(step, spec.When):
            yield from uses(step.do, (*path, "do"))
            yield from uses(step.else_, (*path, "else"))


def _several(name: str, agent: spec.Agent) -> Iterator[tuple[str, spec.Agent]]:
    """Return the agents that one declaration stands for, each with what it is called."""
    if agent.personas is not None:
        for persona in dict.fromkeys(agent.personas):
            yield f"{name}-{persona}", agent.model_copy(update={"persona": persona, "personas": None})
    elif agent.count > 1:
        for number in range(1, agent.count + 1):
            yield f"{name}-{number}", agent
    else:
        yield name, agent


def _within(groups: Mapping[str, Iterable[str]], group: str) -> set[str]:
    """Return a group's groups, and theirs; itself, too, where it is a member of one of them."""
    found: set[str] = set()
    waiting = [group]
    while waiting:
        new = {each for each in groups[waiting.pop()] if each in groups} - found
        found |= new
        waiting += new
    return found

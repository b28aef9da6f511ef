"""The branches of a conversation: each knows its own agents, and what its `each` stands at."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..protocols.identity import is_of, places
from ..protocols.opinions import Said
from .asking import NAMED
from .steps import EachStep


@dataclass(frozen=True, slots=True)
class Lane:
    """One of several branches that are played together; a conversation that does not branch has one."""

    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """The branch's own agents, by the name that its steps have for them."""
    bound: Mapping[str, str] = field(default_factory=dict[str, str])
    """What each `$name` stands for: a text, or the name of a draft or candidate."""
    foreign: frozenset[str] = frozenset()
    """The agents of other branches: what they say does not count in this one."""
    label: str | None = None
    """Which branch it is, in words; none for a conversation that does not branch."""

    def own(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return agents as this branch has them, those of branches within it among them."""
        if not self.names:
            return tuple(names)
        return tuple(self._own(name) for name in names)

    def _own(self, name: str) -> str:
        base = next((each for each in places(name) if each in self.names), None)
        return name if base is None else f"{self.names[base]}{name.removeprefix(base)}"

    def said(self, said: Said, among: Collection[str] | None = None) -> Said:
        """Return what counts in this branch of all that was said; `among` names whose words count, none: everyone's."""
        if not self.foreign and among is None:
            return said
        return [
            (who, fact) for who, fact in said if not is_of(who, self.foreign) and (among is None or is_of(who, among))
        ]

    def words(self, text: str | None, known_as: Mapping[str, str] | None = None) -> str | None:
        """Return a step's words, with what every `$name` stands for; `known_as` has other names for some drafts."""
        if text is None or "$" not in text:
            return text

        def filled(use: re.Match[str]) -> str:
            value = "$" if use[1] == "$" else self.bound[use[1]]
            return value if known_as is None else known_as.get(value, value)

        return NAMED.sub(filled, text)

    def knowing(self, names: Mapping[str, str]) -> "Lane":
        """Return the same branch, with more names standing for something."""
        return Lane(self.names, {**self.bound, **names}, self.foreign, self.label)

    def standing_at(self, name: str, value: str) -> "Lane":
        """Return the same branch, with a name standing for something."""
        return Lane(self.names, {**self.bound, name: value}, self.foreign, self.label)

    def _named(self, step: EachStep, number: int) -> dict[str, str]:
        """Return the agents of one of a step's branches, by the names that its steps have for them."""
        names = {base: f"{self.names.get(base, base)}-{number}" for base in step.own}
        within = {f"{base}{tail}": f"{names[base]}{tail}" for base, tails in step.tails.items() for tail in tails}
        return {**names, **within}

    def branched(self, step: EachStep, values: Sequence[str]) -> list["Lane"]:
        """Return the branches in which steps are played together, within this one."""
        count = len(values)
        own = [self._named(step, number) for number in range(1, step.most + 1)]
        lanes: list[Lane] = []
        for number, value in enumerate(values):
            others = {name for place, names in enumerate(own[:count]) if place != number for name in names.values()}
            label = value if self.label is None else f"{self.label} / {value}"
            names, bound = {**self.names, **own[number]}, {**self.bound, step.name: value}
            lanes.append(Lane(names, bound, self.foreign | others, label))
        return lanes

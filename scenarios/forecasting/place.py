"""Where in a flow a step is played: its round, and what names stand for in the branches around it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..steps import EachStep


@dataclass(frozen=True, slots=True)
class Place:
    """A round, and branches."""

    round: int = 1
    own: Mapping[str, str] = field(default_factory=dict[str, str])
    """Agents of the branch by their declared names, where it has its own."""
    about: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """For each `$NAME`, the writer whose draft it stands for; None where that is not known beforehand."""

    def names(self, declared: Iterable[str]) -> tuple[str, ...]:
        """Return the agents that names stand for here."""
        return tuple(self.own.get(name, name) for name in declared)

    def declared(self, name: str) -> str:
        """Return the declared name of an agent."""
        return next((ours for ours, own in self.own.items() if own == name), name)

    def within(self, step: EachStep, branch: int, writer: str | None) -> "Place":
        """Return the place in a branch, from 0; `writer` is that of its draft, where it is of one that is known."""
        own = {name: branches[branch] for name, branches in step.own.items() if branch < len(branches)}
        return replace(self, own={**self.own, **own}, about={**self.about, f"${step.name}": writer})

"""Where in a flow a step is played: its round, and the branch it is in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..lanes import Lane
from ..steps import EachStep


@dataclass(frozen=True, slots=True)
class Place:
    """A round, and a branch."""

    round: int = 1
    lane: Lane = field(default_factory=Lane)
    about: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """For each `$NAME`, the writer whose draft it stands for; None where that is not known beforehand."""

    def names(self, declared: Iterable[str]) -> tuple[str, ...]:
        """Return the agents that names stand for here."""
        return self.lane.own(tuple(declared))

    def branches(self, step: EachStep, count: int, writers: Iterable[str | None]) -> list["Place"]:
        """Return the places in so many branches; `writers` are those of their drafts, where they are known."""
        lanes = self.lane.branched(step, [""] * count) if step.together else [self.lane] * count
        return [
            replace(self, lane=lane, about={**self.about, f"${step.name}": writer})
            for lane, writer in zip(lanes, writers, strict=True)
        ]

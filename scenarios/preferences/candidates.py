"""What an export reads: the candidates of a run, and what is found out about their prompts."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from ...protocols.pairing import BY_FILTERS, Data, Filters, Reason, filtered
from .pair import Pair


class Candidates(Protocol):
    """The candidates of a run, in any order of the items; those of one conversation in the order they were made in.

    Gone through once; the counts are right after that.
    """

    def __iter__(self) -> Iterator[Pair]:
        """Return all there are, those dropped included."""
        ...

    def asked(self, pair: Pair) -> Filters:
        """Return what the scenario asks of such a pair."""
        ...

    @property
    def run(self) -> str:
        """Return a digest of what was played and of its data: the same for two runs that would say the same."""
        ...

    @property
    def data(self) -> tuple[Data, ...]:
        """Return which data sets the scenario makes."""
        ...

    @property
    def items(self) -> int:
        """Return how many items the run has."""
        ...

    @property
    def failed(self) -> int:
        """Return how many of them failed."""
        ...

    @property
    def open(self) -> int:
        """Return how many have no outcome yet."""
        ...

    @property
    def without(self) -> Mapping[Data, int]:
        """Return how many were played and made no candidate of a data set."""
        ...


Repeats = Callable[[Iterable[str]], Callable[[int], str | None]]
"""Looks through prompts, one an item, and returns what says of each, by its place, why it is left out: `duplicate`,
`overlap with NAME`, or None."""
DUPLICATE = "duplicate"
OVERLAP = "overlap with "


def why_dropped(pair: Pair, filters: Filters) -> Reason | None:
    """Return why a pair is none by these filters, whatever the scenario's were; None where it is one."""
    if pair.dropped is not None and pair.dropped not in BY_FILTERS:
        return pair.dropped
    return filtered(filters, margin=pair.margin, winning=pair.votes[0], read=sum(pair.votes[:3]))

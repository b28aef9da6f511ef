"""What a forecast looks at of the data: how many items there are of each sort, and some to be played."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from ...protocols.items import Item

SPREAD = 8
"""Items that are played."""
Numbered = tuple[int, Item]


class Items(Protocol):
    """A list of items, or a Dataset."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Item]: ...


@dataclass(slots=True)
class Sample:
    """Of one data set."""

    size: int
    """Items of the data set."""
    sorts: Counter[Hashable] = field(default_factory=Counter[Hashable])
    """How many items have each signature."""
    one_of: dict[Hashable, Numbered] = field(default_factory=dict[Hashable, Numbered])
    """The first of each."""
    spread: list[Numbered] = field(default_factory=list[Numbered])
    """Some, from all over the data set."""
    longest: Numbered | None = None
    """By the characters of all its texts."""
    shortest: Numbered | None = None


def sampled(items: Items, signature: Callable[[int, Item], Hashable]) -> Sample:
    """Look at every item once."""
    size = len(items)
    count = min(SPREAD, size)
    places = {int((number + 0.5) * size / count) for number in range(count)}
    sample = Sample(size)
    for number, item in enumerate(items):
        sort = signature(number, item)
        sample.sorts[sort] += 1
        sample.one_of.setdefault(sort, (number, item))
        if number in places:
            sample.spread.append((number, item))
        if sample.longest is None or length(item) > length(sample.longest[1]):
            sample.longest = number, item
        if sample.shortest is None or length(item) < length(sample.shortest[1]):
            sample.shortest = number, item
    return sample


def length(item: Item) -> int:
    """Return the characters of all that a model may be shown of an item."""
    return sum(map(len, _texts(item)))


def _texts(item: Item) -> Iterable[str]:
    yield item.prompt
    for turn in item.history:
        yield turn.content
    for candidate in item.candidates:
        yield candidate.text
    yield from item.choices

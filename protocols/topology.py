"""Who listens to whom: a rule of the scenario, worked out to sets of names."""

import random
from collections.abc import Iterable, Sequence
from typing import Literal

from .errors import DeclarationError, UnknownName

EVERYONE = "everyone"
NOBODY = "nobody"
WORDS = (EVERYONE, NOBODY)
GraphName = Literal["complete", "ring", "relay", "star", "tree", "small-world", "random"]
COUNTED: tuple[GraphName, ...] = ("tree", "small-world", "random")
"""Graphs that `k` means something for."""
USUAL = 2
"""What `k` is where nothing is said."""


def speakers(hears: str | Sequence[str], listener: str, cast: Sequence[str]) -> tuple[str, ...]:
    """Return whom `listener` listens to, in the order of the cast, never itself.

    An agent always knows what it said itself, so that naming it changes nothing.

    Args:
        hears: `everyone`, `nobody`, the name of an agent or several names.
        listener: The agent that listens.
        cast: All agents of the scenario.

    Raises:
        UnknownName: a name that is not in the cast.
    """
    if hears == NOBODY:
        return ()
    if hears == EVERYONE:
        return tuple(name for name in cast if name != listener)
    named = (hears,) if isinstance(hears, str) else tuple(hears)
    for name in named:
        if name not in cast:
            raise UnknownName("agent", name, (*cast, *WORDS))
    return tuple(name for name in cast if name in named and name != listener)


def neighbours(
    graph: GraphName,
    cast: Sequence[str],
    *,
    k: int | None,
    centre: str | None,
    rewired: float,
    dice: random.Random,
) -> dict[str, tuple[str, ...]]:
    """Return for each of the cast whom it hears, in the order of the cast, never itself.

    All but `relay` and `random` are undirected: who hears someone is heard by that one.

    Args:
        graph: complete: everyone hears everyone. ring: each hears the one before and the one after, the first and the
            last one another. relay: each hears the one before it, the first the last. star: the centre and all others
            hear one another. tree: parents and children hear one another, numbered breadth-first as in a heap. small-
            world: after Watts & Strogatz, "Collective dynamics of small-world networks", Nature 393 (1998): a ring in
            which each has `k` nearest neighbours, and each edge gets a new end with probability `rewired`. random: each
            hears `k` others, drawn without replacement.
        cast: Who takes part, each once.
        k: Children in a tree, neighbours in a small world, those heard in a random graph (fewer where there are not so
            many); 2 where it is None.
        centre: Of a star; None: the first one.
        rewired: From 0 to 1; of a small world alone.
        dice: What small worlds and random graphs are drawn by; the others leave it alone.

    Raises:
        DeclarationError: `k` or `centre` with a graph they mean nothing for, or a `k` that no small world of so many
            has: an odd one, or one that is not less than their number.
        UnknownName: a centre that is not in the cast.
    """
    _prove(graph, cast, k, centre)
    count = USUAL if k is None else k
    size = len(cast)
    match graph:
        case "complete":
            edges: Iterable[tuple[int, int]] = ((one, other) for one in range(size) for other in range(one))
        case "ring":
            edges = ((place, (place + 1) % size) for place in range(size))
        case "star":
            middle = 0 if centre is None else cast.index(centre)
            edges = ((middle, place) for place in range(size))
        case "tree":
            edges = ((place, (place - 1) // count) for place in range(1, size))
        case "small-world":
            edges = _small_world(size, count, rewired, dice)
        case "random":
            return _drawn(cast, count, dice)
        case "relay":
            return {name: tuple({cast[place - 1]} - {name}) for place, name in enumerate(cast)}
    heard: list[set[int]] = [set() for _ in cast]
    for one, other in edges:
        heard[one].add(other)
        heard[other].add(one)
    return {name: tuple(cast[other] for other in sorted(heard[place] - {place})) for place, name in enumerate(cast)}


def _prove(graph: GraphName, cast: Sequence[str], k: int | None, centre: str | None) -> None:
    if k is not None and graph not in COUNTED:
        raise DeclarationError(f"k means nothing for graph: {graph}; it is for {', '.join(COUNTED)}")
    if k is not None and k < 1:
        raise DeclarationError(f"k: {k}: 1 is the least")
    if centre is not None and graph != "star":
        raise DeclarationError(f"centre means nothing for graph: {graph}; it is for star")
    if centre is not None and centre not in cast:
        raise UnknownName("agent", centre, cast)
    if graph != "small-world":
        return
    count = USUAL if k is None else k
    if count % 2:
        raise DeclarationError(
            f"k: {count}: in a small world it is even, as many neighbours on one side as on the other"
        )
    if count >= len(cast):
        raise DeclarationError(
            f"k: {count}: a small world in which each has {count} neighbours needs {count + 1} agents at least, and "
            f"there are {len(cast)}"
        )


def _small_world(size: int, k: int, rewired: float, dice: random.Random) -> set[tuple[int, int]]:
    """Return the edges; there are `size * k / 2` of them, whatever is drawn.

    Edges are taken in the order of the paper: first all to the next neighbour, once round the ring, then all to the
    next but one. Whoever has everyone for a neighbour already keeps the edge.
    """
    near: list[set[int]] = [
        {(place + step) % size for step in range(-k // 2, k // 2 + 1) if step} for place in range(size)
    ]
    for step in range(1, k // 2 + 1):
        for one in range(size):
            other = (one + step) % size
            if dice.random() >= rewired:
                continue
            free = [place for place in range(size) if place != one and place not in near[one]]
            if not free:
                continue
            new = dice.choice(free)
            near[one].remove(other)
            near[other].remove(one)
            near[one].add(new)
            near[new].add(one)
    return {(one, other) for one in range(size) for other in near[one] if one < other}


def _drawn(cast: Sequence[str], k: int, dice: random.Random) -> dict[str, tuple[str, ...]]:
    heard: dict[str, tuple[str, ...]] = {}
    for name in cast:
        others = [other for other in cast if other != name]
        drawn = set(dice.sample(others, min(k, len(others))))
        heard[name] = tuple(other for other in others if other in drawn)
    return heard

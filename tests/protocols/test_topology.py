"""Graphs of who hears whom: their definitions, and what holds of all of them."""

import random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fellowship.protocols.errors import DeclarationError, UnknownName
from fellowship.protocols.topology import GraphName, neighbours

GRAPHS: tuple[GraphName, ...] = get_args(GraphName)
UNDIRECTED = tuple(graph for graph in GRAPHS if graph not in ("random", "relay"))
Heard = dict[str, tuple[str, ...]]


def cast(size: int) -> tuple[str, ...]:
    return tuple(f"agent-{number}" for number in range(size))


def drawn(
    graph: GraphName,
    who: tuple[str, ...],
    k: int | None = None,
    *,
    centre: str | None = None,
    rewired: float = 0.1,
    seed: int = 7,
) -> Heard:
    return neighbours(graph, who, k=k, centre=centre, rewired=rewired, dice=random.Random(seed))


def reached(heard: Heard) -> set[str]:
    """Return whom the first one hears, directly or by others."""
    seen, ahead = {next(iter(heard))}, [next(iter(heard))]
    while ahead:
        for other in heard[ahead.pop()]:
            if other not in seen:
                seen.add(other)
                ahead.append(other)
    return seen


@pytest.mark.parametrize(
    ("graph", "k", "heard"),
    [
        ("complete", None, {"a": "bcd", "b": "acd", "c": "abd", "d": "abc"}),
        ("ring", None, {"a": "bd", "b": "ac", "c": "bd", "d": "ac"}),
        ("star", None, {"a": "bcd", "b": "a", "c": "a", "d": "a"}),
        ("tree", None, {"a": "bc", "b": "ad", "c": "a", "d": "b"}),
        ("tree", 1, {"a": "b", "b": "ac", "c": "bd", "d": "c"}),
        ("tree", 3, {"a": "bcd", "b": "a", "c": "a", "d": "a"}),
    ],
)
def test_four_agents_hear_as_the_graph_says(graph: GraphName, k: int | None, heard: dict[str, str]) -> None:
    assert drawn(graph, tuple("abcd"), k) == {name: tuple(others) for name, others in heard.items()}


def test_a_star_has_the_centre_that_it_is_given() -> None:
    assert drawn("star", tuple("abc"), centre="b") == {"a": ("b",), "b": ("a", "c"), "c": ("b",)}


@pytest.mark.parametrize("graph", ["complete", "ring", "star", "tree", "random"])
def test_two_hear_one_another_one_hears_nobody_and_nobody_hears_nothing(graph: GraphName) -> None:
    assert drawn(graph, tuple("ab")) == {"a": ("b",), "b": ("a",)}
    assert drawn(graph, ("a",)) == {"a": ()}
    assert drawn(graph, ()) == {}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[GraphName, int, int | None, float, int]:
    """Draw a graph, a number of agents, a `k` that it may have, a share and a seed."""
    graph = draw(st.sampled_from(GRAPHS))
    size = draw(st.integers(3, 24))
    k: int | None = None
    if graph == "small-world":
        k = draw(st.none() | st.integers(1, (size - 1) // 2).map(lambda half: 2 * half))
    elif graph in ("tree", "random"):
        k = draw(st.none() | st.integers(1, 30))
    return graph, size, k, draw(st.floats(0, 1)), draw(st.integers())


@given(worlds())
def test_nobody_hears_itself_and_everyone_is_heard_in_the_order_of_the_cast(
    world: tuple[GraphName, int, int | None, float, int],
) -> None:
    graph, size, k, rewired, seed = world
    heard = drawn(graph, cast(size), k, rewired=rewired, seed=seed)
    assert tuple(heard) == cast(size)
    for name, others in heard.items():
        assert name not in others
        assert list(others) == [other for other in cast(size) if other in others]


@given(worlds())
def test_in_graphs_without_direction_hearing_is_mutual(world: tuple[GraphName, int, int | None, float, int]) -> None:
    graph, size, k, rewired, seed = world
    heard = drawn(graph, cast(size), k, rewired=rewired, seed=seed)
    if graph in UNDIRECTED:
        assert all(name in heard[other] for name, others in heard.items() for other in others)


@given(worlds())
def test_everyone_is_reached_where_the_graph_promises_it(world: tuple[GraphName, int, int | None, float, int]) -> None:
    graph, size, k, rewired, seed = world
    heard = drawn(graph, cast(size), k, rewired=rewired, seed=seed)
    if graph in ("complete", "ring", "star", "tree") or (graph == "small-world" and rewired == 0):
        assert reached(heard) == set(heard)


@given(worlds())
def test_the_same_seed_draws_the_same_graph(world: tuple[GraphName, int, int | None, float, int]) -> None:
    graph, size, k, rewired, seed = world
    assert drawn(graph, cast(size), k, rewired=rewired, seed=seed) == drawn(
        graph, cast(size), k, rewired=rewired, seed=seed
    )


@given(worlds())
def test_each_has_as_many_neighbours_as_the_graph_says(world: tuple[GraphName, int, int | None, float, int]) -> None:
    graph, size, k, rewired, seed = world
    degrees = [len(others) for others in drawn(graph, cast(size), k, rewired=rewired, seed=seed).values()]
    count = k or 2
    match graph:
        case "complete":
            assert set(degrees) == {size - 1}
        case "ring":
            assert set(degrees) == {2}
        case "star":
            assert sorted(degrees) == [1] * (size - 1) + [size - 1]
        case "tree":
            assert sum(degrees) == 2 * (size - 1)
            assert max(degrees) <= count + 1
        case "random":
            assert set(degrees) == {min(count, size - 1)}
        case "small-world":  # Watts & Strogatz 1998: rewiring keeps the number of edges; each keeps its own half
            assert sum(degrees) == size * count
            assert min(degrees) >= count // 2


def test_a_small_world_that_is_not_rewired_is_a_ring_of_nearest_neighbours() -> None:
    heard = drawn("small-world", cast(7), 4, rewired=0.0)
    assert heard["agent-0"] == ("agent-1", "agent-2", "agent-5", "agent-6")
    assert drawn("small-world", cast(7), rewired=0.0) == drawn("ring", cast(7))


def test_a_small_world_in_which_all_are_neighbours_cannot_be_rewired() -> None:
    assert drawn("small-world", cast(5), 4, rewired=1.0) == drawn("complete", cast(5))


def test_rewiring_takes_about_the_share_of_edges_that_is_asked_for() -> None:
    who = cast(200)
    before = {(name, other) for name, others in drawn("small-world", who, 4, rewired=0).items() for other in others}
    after = {(name, other) for name, others in drawn("small-world", who, 4, rewired=0.25).items() for other in others}
    assert len(after) == len(before) == 800
    # 400 edges, each rewired by chance of a quarter: the binomial's 99.9 % lies within 100 +- 29.
    assert abs(len(before - after) / 2 - 100) < 29


@pytest.mark.parametrize(
    ("graph", "k", "centre", "message"),
    [
        ("small-world", 3, None, "k: 3: in a small world it is even"),
        ("small-world", 4, None, "needs 5 agents at least, and there are 4"),
        ("small-world", 6, None, "needs 7 agents at least, and there are 4"),
        ("ring", 2, None, "k means nothing for graph: ring; it is for tree, small-world, random"),
        ("complete", None, "a", "centre means nothing for graph: complete"),
        ("star", None, "aa", "unknown agent 'aa'; did you mean 'a'"),
        ("tree", 0, None, "k: 0: 1 is the least"),
    ],
)
def test_a_graph_that_cannot_be_is_refused_in_a_sentence(
    graph: GraphName, k: int | None, centre: str | None, message: str
) -> None:
    with pytest.raises(DeclarationError, match=message):
        drawn(graph, tuple("abcd"), k, centre=centre)


def test_a_small_world_of_two_needs_a_third_agent_and_a_centre_must_take_part() -> None:
    with pytest.raises(DeclarationError, match="needs 3 agents at least, and there are 2"):
        drawn("small-world", tuple("ab"))
    with pytest.raises(UnknownName):
        drawn("star", tuple("ab"), centre="z")

"""Runs on a cluster, here within one process: where items are played changes nothing of what comes of them."""

from collections import Counter
from pathlib import Path

import anyio
import pytest
from clustering import NearHand, NearYard, near
from playing import items, library, results

from fellowship.runtime.log import LogReader, examine
from fellowship.runtime.session import Limits
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Plan, Settings, play
from fellowship.scenarios.cluster.cluster import Cluster

__all__ = ["near"]

TWO = Cluster(workers=2)


def settings(**more: object) -> Settings:
    return Settings(client=ScriptedModel(as_reply), **more)  # type: ignore[arg-type]


def said(run: Path) -> dict[str, Counter[tuple[str, str, str]]]:
    """Return what was said in each conversation: who, what kind, and to whom."""
    found: dict[str, Counter[tuple[str, str, str]]] = {}
    with LogReader(run / "run.db") as log:
        for event in log.events():
            if event.conversation:
                found.setdefault(event.conversation, Counter())[event.sender, event.kind, event.recipients] += 1  # type: ignore[index]
    return found


async def test_what_comes_of_a_run_is_the_same_wherever_it_is_played(tmp_path: Path, near: NearYard) -> None:
    plan = library("debate")
    await play(plan, items(12), tmp_path / "here", settings())
    there = await play(plan, items(12), tmp_path / "there", settings(cluster=Cluster(workers=3)))
    assert (there.done, there.state) == (12, "done")
    assert results(tmp_path / "here") == results(tmp_path / "there")
    assert said(tmp_path / "here") == said(tmp_path / "there")
    assert examine(tmp_path / "there" / "run.db", thorough=True) == ()


async def test_every_cause_in_the_log_is_an_earlier_event_of_the_same_conversation(
    tmp_path: Path, near: NearYard
) -> None:
    await play(library("debate"), items(6), tmp_path / "r", settings(cluster=TWO))
    with LogReader(tmp_path / "r" / "run.db") as log:
        events = list(log.events())
    places = {event.sequence: event.conversation for event in events}
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    caused = [event for event in events if event.cause is not None]
    assert caused
    assert all(event.cause < event.sequence and places[event.cause] == event.conversation for event in caused)  # type: ignore[operator]


@pytest.mark.parametrize("after", [1, 2, 3, 5, 8])
async def test_what_a_dead_worker_played_others_go_on_with(tmp_path: Path, near: NearYard, after: int) -> None:
    plan = library("debate")
    await play(plan, items(8), tmp_path / "here", settings())
    near.doomed = lambda hand: hand.name.endswith(".1") and hand.answers == after
    there = await play(plan, items(8), tmp_path / "there", settings(cluster=TWO))
    assert there.done == 8
    assert results_but_for_calls(tmp_path / "here") == results_but_for_calls(tmp_path / "there")
    assert {"1.2", "2.2"} <= {hand.name for hand in near.hands}


def results_but_for_calls(run: Path) -> list[dict[str, object]]:
    return [
        {key: value for key, value in row.items() if key not in ("calls", "tokens", "cost_usd")} for row in results(run)
    ]


async def test_an_answer_that_is_lost_comes_again_and_counts_once(tmp_path: Path, near: NearYard) -> None:
    near.deaf = lambda hand: hand.answers % 3 == 0
    there = await play(library("debate"), items(6), tmp_path / "there", settings(cluster=TWO))
    await play(library("debate"), items(6), tmp_path / "here", settings())
    assert there.done == 6
    assert results(tmp_path / "here") == results(tmp_path / "there")
    assert said(tmp_path / "here") == said(tmp_path / "there")


async def test_an_item_whose_workers_always_die_fails_and_says_so(tmp_path: Path, near: NearYard) -> None:
    def deadly(hand: NearHand) -> bool:
        return "i3~1" in str(hand.worker._play and hand.worker._play.player._playing)

    near.doomed = deadly
    there = await play(library("judge"), items(5), tmp_path / "r", settings(cluster=TWO))
    found = {row["item"]: row for row in results(tmp_path / "r")}
    assert there.failed >= 1
    assert "WorkerLost" in found["i3"]["error"]


async def test_a_run_begun_here_goes_on_there_and_back(tmp_path: Path, near: NearYard) -> None:
    plan, out = library("debate"), tmp_path / "r"
    await play(plan, items(9), tmp_path / "whole", settings())
    for cluster, calls in ((None, 20), (TWO, 45), (None, 70), (TWO, 10_000)):
        await broken_off(plan, out, calls, cluster)
    assert results_but_for_calls(out) == results_but_for_calls(tmp_path / "whole")


async def broken_off(plan: Plan, out: Path, calls: int, cluster: Cluster | None) -> None:
    """Play until so many calls were answered in all, or to the end."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:

            async def look() -> None:
                while True:
                    await anyio.sleep(0.001)
                    if (out / "run.db").exists():
                        with LogReader(out / "run.db") as log:
                            if sum(1 for _ in log.events(kinds=("model_called",))) >= calls:
                                scope.cancel()

            tasks.start_soon(look)
            await play(plan, items(9), out, settings(cluster=cluster, limits=Limits(concurrency=2)))
            tasks.cancel_scope.cancel()

"""Runs on a cluster at their worst moments, within one process: signals, deaths and errors that come together."""

import asyncio
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest
from clustering import NearHand, NearYard, near
from playing import at, items, library, results

from fellowship.protocols.errors import CassetteMiss, WorkerLost
from fellowship.runtime.log import LogReader, examine
from fellowship.runtime.recording import RecordedRun
from fellowship.runtime.testing import LoopbackEndpoint, ScriptedModel, as_reply
from fellowship.scenarios import Cluster, Progress, Settings, play, retry
from fellowship.scenarios.cluster.parcels import Answer, Order

__all__ = ["near"]

TWO = Cluster(workers=2)


def settings(**more: Any) -> Settings:
    return Settings(client=ScriptedModel(as_reply), **more)


async def test_workers_that_fail_at_once_for_different_reasons_end_the_run_in_one_sentence(
    tmp_path: Path, near: NearYard
) -> None:
    await play(library("judge"), items(8), tmp_path / "taped", settings())
    others = [item.model_copy(update={"prompt": f"Another than {item.id}?"}) for item in items(8)]
    with LogReader(tmp_path / "taped" / "run.db") as log, pytest.raises(CassetteMiss, match="differs"):
        await play(library("judge"), others, tmp_path / "r", Settings(cassette=RecordedRun(log), cluster=TWO))


async def test_an_answer_that_was_on_its_way_when_all_was_broken_off_costs_no_text(
    tmp_path: Path, near: NearYard, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, on_its_way = NearHand.exchange, anyio.Event()

    async def slow(hand: NearHand, order: Order) -> Answer:
        answer = await exchange(hand, order)
        if order.texts and answer.texts and not order.stop:
            on_its_way.set()
            await asyncio.Event().wait()
        return answer

    monkeypatch.setattr(NearHand, "exchange", slow)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(play, library("debate"), items(8), tmp_path / "r", settings(cluster=TWO))
        await on_its_way.wait()
        tasks.cancel_scope.cancel()
    with LogReader(tmp_path / "r" / "run.db") as log:
        calls = [orjson.loads(event.body) for event in log.events(kinds=("model_called",))]
        named = {digest for call in calls for _, digest in call["messages"]}
        assert named
        assert named <= {digest for digest, _ in log.texts(named)}
    assert examine(tmp_path / "r" / "run.db", thorough=True) == ()


async def test_a_worker_that_has_nothing_to_do_for_long_does_not_take_itself_for_deserted(
    tmp_path: Path, near: NearYard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fellowship.scenarios.cluster.worker.DESERTED_S", 0.3)
    monkeypatch.setattr("fellowship.scenarios.cluster.worker.BEAT_S", 0.05)
    monkeypatch.setattr("fellowship.scenarios.cluster.crew.WATCH_EVERY_S", 0.05)
    monkeypatch.setattr("fellowship.scenarios.cluster.crew.QUIET_S", 0.05)

    delays = chain([0.0, 1.0], repeat(0.0))
    async with LoopbackEndpoint(latency=lambda _: next(delays)) as server:
        terms = Settings(environ=at(server.base_url), cluster=TWO)
        there = await play(library("judge"), items(2), tmp_path / "r", terms)
    assert there.done == 2
    assert [hand.worker._failed for hand in near.hands] == [None, None]

"""Runs on a cluster at their worst moments, within one process: signals, deaths and errors that come together."""

import asyncio
from collections import Counter
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import anyio
import anyio.lowlevel
import orjson
import pytest
from clustering import NearHand, NearYard, near
from playing import at, content, items, library, results

from fellowship.protocols.errors import CassetteMiss, DeclarationError, Overloaded, Unauthorised, WorkerLost
from fellowship.protocols.models import Completion, ModelCall, ModelSettings
from fellowship.runtime.cluster import terms as bank_terms
from fellowship.runtime.cluster.bank import Bank
from fellowship.runtime.log import LogReader, examine
from fellowship.runtime.models.endpoints import Endpoint
from fellowship.runtime.recording import RecordedRun
from fellowship.runtime.session import Limits
from fellowship.runtime.testing import LoopbackEndpoint, ScriptedModel, as_reply
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import Cluster, Settings, play, retry
from fellowship.scenarios.cluster import rays
from fellowship.scenarios.cluster.parcels import Answer, Order, Place
from fellowship.scenarios.cluster.yard import Unreachable

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


async def test_a_worker_that_dies_while_it_opens_its_way_to_models_is_not_blamed_on_items(
    tmp_path: Path, near: NearYard, monkeypatch: pytest.MonkeyPatch
) -> None:
    hire = NearYard.hire

    async def sickly(yard: NearYard, name: str) -> NearHand:
        hand = await hire(yard, name)

        async def run(charter: object, welcome: object) -> None:
            hand.die()

        hand.run = run  # type: ignore[method-assign, assignment]
        return hand

    monkeypatch.setattr(NearYard, "hire", sickly)
    there = await play(library("judge"), items(3), tmp_path / "r", settings(cluster=TWO))
    assert (there.state, there.done, there.failed) == ("stopped", 0, 0)
    assert there.why is not None
    assert "workers die as soon as they are made" in there.why


async def test_a_failure_that_is_retried_gives_way_to_the_death_of_workers(tmp_path: Path, near: NearYard) -> None:
    def refuse(call: ModelCall) -> str:
        if "Question 1?" in str(call.messages):
            raise Overloaded("on fire")
        return as_reply(call)

    await play(library("debate"), items(3), tmp_path / "r", Settings(client=ScriptedModel(refuse)))
    assert [row["status"] for row in results(tmp_path / "r")].count("failed") == 1
    near.doomed = lambda hand: hand.answers > 1
    again = await retry(tmp_path / "r", settings(cluster=TWO))
    assert (again.done, again.failed) == (2, 1)
    with LogReader(tmp_path / "r" / "run.db") as log:
        kinds = [event.kind for event in log.events(kinds=("item_failed", "outcome_set_aside"))]
    assert kinds == ["item_failed", "outcome_set_aside", "item_failed"]
    assert {row["item"]: row.get("error") for row in results(tmp_path / "r")}[
        "i1"
    ] == "WorkerLost: 4 workers died while they played it"
    assert (await retry(tmp_path / "r", settings())).done == 3


async def test_a_node_has_one_engine_even_where_two_workers_come_to_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    class Engine:
        endpoint = Endpoint(name="local/smollm2-135m", model="m", base_url="http://127.0.0.1:1/v1")

        def __init__(self, name: str, weights: Path) -> None:
            made.append(name)

        async def __aenter__(self) -> Self:
            await anyio.lowlevel.checkpoint()
            return self

    monkeypatch.setattr(rays, "EmbeddedEngine", Engine)
    monkeypatch.setattr(rays.weights, "find", Path)
    actor = rays.EngineActor()
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(actor.serve, "local/smollm2-135m")
    assert made == ["local/smollm2-135m"]


async def test_what_only_a_worker_knows_to_be_secret_stays_with_it(
    tmp_path: Path, near: NearYard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_TOKEN", SECRET)
    there = await play(library("judge"), items(3), tmp_path / "r", Settings(client=Telltale(), cluster=TWO, environ={}))
    assert there.why is not None
    assert there.why.startswith("Unauthorised: who are you")
    assert SECRET not in there.why
    assert SECRET.encode() not in b"".join(content(tmp_path / "r").values())


SECRET = "tok-9f8e7d6c5b4a39281706f5e4d3c2b1a0"  # noqa: S105 - of nothing


class Telltale:
    """A client that says what it should not."""

    async def complete(self, call: ModelCall, **_: object) -> Completion:
        raise Unauthorised(f"who are you, {SECRET}?")


class Slow:
    """A client that lacks an answer, and takes its time to break off the others."""

    async def complete(self, call: ModelCall) -> Completion:
        if "Question 1?" in str(call.messages):
            raise CassetteMiss("there is no answer to that")
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(100):
                await asyncio.sleep(0)
        raise AssertionError


async def test_items_that_come_to_a_worker_while_it_fails_are_not_begun(tmp_path: Path, near: NearYard) -> None:
    terms = Settings(client=Slow(), cluster=Cluster(workers=1), limits=Limits(concurrency=2))
    with pytest.raises(CassetteMiss, match="there is no answer to that"):
        await play(library("judge"), items(20), tmp_path / "r", terms)


# what Ray says


class Told:
    """An actor of Ray's whose methods end in an error, as far as this module is concerned."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        async def remote(*arguments: object) -> None:
            raise self.error

        return SimpleNamespace(remote=remote)


class FakeRay:
    """So much of Ray as it takes to make an actor."""

    def __init__(self, *errors: Exception) -> None:
        self.made: list[Told] = []
        self.killed: list[object] = []
        self._errors = list(errors)

    def remote(self, *arguments: object) -> Any:
        if arguments:
            return SimpleNamespace(options=lambda **_: self)
        self.made.append(Told(self._errors.pop(0)))
        return self.made[-1]

    def kill(self, actor: object) -> None:
        self.killed.append(actor)


async def test_an_answer_that_is_lost_with_its_node_is_asked_for_again() -> None:
    exceptions = pytest.importorskip("ray.exceptions", reason="the extra `ray` is not installed")
    hand = rays.RayHand(Told(exceptions.ObjectLostError("00", None, "")), rays.RayBank(None))
    with pytest.raises(Unreachable, match="Failed to retrieve object"):
        await hand.exchange(Order(1))


async def test_a_worker_that_is_not_heard_as_it_is_made_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    exceptions = pytest.importorskip("ray.exceptions", reason="the extra `ray` is not installed")
    fake = FakeRay(exceptions.ActorUnavailableError("it is unavailable", None))
    monkeypatch.setattr(rays, "ray", lambda: fake)
    with pytest.raises(WorkerLost, match="unavailable"):
        await rays.RayYard(None, ()).hire("1.1")
    assert fake.killed == fake.made


async def test_an_engine_that_has_died_is_made_anew_for_the_next_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    exceptions = pytest.importorskip("ray.exceptions", reason="the extra `ray` is not installed")
    fake = FakeRay(exceptions.ActorDiedError(), exceptions.ActorDiedError())
    monkeypatch.setattr(rays, "ray", lambda: fake)
    monkeypatch.setattr(rays, "_on", str)
    yard = rays.RayYard(None, (ModelSettings(model="local/smollm2-135m"),))
    for _ in range(2):
        with pytest.raises(WorkerLost):
            await yard.engines(Place("node", "10.0.0.1", "here", 1, "1", 0.0))
    assert len(fake.made) == 2


# before anything is played


async def test_what_only_the_driver_knows_to_be_secret_does_not_enter_its_log(tmp_path: Path, near: NearYard) -> None:
    told = [item.model_copy(update={"prompt": f"{item.prompt} {SECRET}"}) for item in items(2)]
    terms = settings(cluster=TWO, environ={"DRIVER_TOKEN": SECRET})
    await play(library("judge"), told, tmp_path / "r", terms)
    assert SECRET.encode() not in b"".join(content(tmp_path / "r").values())
    assert examine(tmp_path / "r" / "run.db", thorough=True) == ()


async def test_what_cannot_be_sent_to_workers_is_told_before_a_cluster_is_opened(
    tmp_path: Path, near: NearYard
) -> None:
    def here(call: ModelCall) -> str:
        return as_reply(call)

    terms = Settings(client=ScriptedModel(here), cluster=TWO)
    with pytest.raises(DeclarationError, match="the client cannot be sent to the workers of a cluster"):
        await play(library("judge"), items(1), tmp_path / "r", terms)
    assert near.made is None


async def test_no_cluster_is_opened_where_nothing_is_left_to_be_played(tmp_path: Path, near: NearYard) -> None:
    await play(library("judge"), items(3), tmp_path / "r", settings())
    again = await play(library("judge"), items(3), tmp_path / "r", settings(cluster=TWO))
    assert (again.state, again.done) == ("done", 3)
    assert near.made is None


async def test_nobody_waits_for_an_engine_when_others_have_played_all(
    tmp_path: Path, near: NearYard, monkeypatch: pytest.MonkeyPatch
) -> None:
    come: list[Place] = []

    async def engines(place: Place) -> dict[str, Endpoint]:
        come.append(place)
        if len(come) > 1:
            await asyncio.Event().wait()
        return {}

    monkeypatch.setattr(near, "engines", engines)
    async with asyncio.timeout(10):
        there = await play(library("judge"), items(3), tmp_path / "r", settings(cluster=TWO))
    assert there.done == 3


async def test_what_a_worker_plays_that_loses_its_bank_others_go_on_with(
    tmp_path: Path, near: NearYard, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell, told = Bank.report, Counter[str]()

    async def report(self: Bank, worker: str, said: bank_terms.Report) -> bank_terms.Told:
        told[worker] += 1
        if worker == "1.1" and told[worker] > 2:
            raise WorkerLost("what leases limits cannot be reached")
        return await tell(self, worker, said)

    monkeypatch.setattr(Bank, "report", report)
    async with LoopbackEndpoint(Opinions(unreadable=0)) as server:
        terms = Settings(environ=at(server.base_url), cluster=TWO)
        there = await play(library("debate"), items(4), tmp_path / "r", terms)
    assert told["1.1"] > 2
    assert (there.state, there.done) == ("done", 4)

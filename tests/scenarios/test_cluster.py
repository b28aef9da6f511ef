"""Runs on a cluster, here within one process: where items are played changes nothing of what comes of them."""

from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest
from clustering import NearHand, NearYard, near
from playing import MODEL, at, fellowship, items, library, results, written

from fellowship.protocols.errors import BankLost, CassetteMiss
from fellowship.protocols.models import ModelCall
from fellowship.runtime.cluster.bank import BankState
from fellowship.runtime.log import LogReader, examine
from fellowship.runtime.models import Budget, PriceTable
from fellowship.runtime.recording import FileCassette, RecordedRun
from fellowship.runtime.recording.file import write
from fellowship.runtime.session import Access, Limits
from fellowship.runtime.testing import LoopbackEndpoint, ScriptedModel, as_reply
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import Cluster, Progress, Settings, load, play, retry
from fellowship.scenarios.spec import Sweep
from fellowship.scenarios.sweep import sweep

__all__ = ["near"]

TWO = Cluster(workers=2)
ACCOUNTS = ("calls", "tokens", "cost_usd")


def settings(**more: Any) -> Settings:
    return Settings(client=ScriptedModel(as_reply), **more)


def said(run: Path) -> dict[str, Counter[tuple[str, str, tuple[str, ...]]]]:
    """Return what was said in each conversation: who, what kind, and to whom."""
    found: dict[str, Counter[tuple[str, str, tuple[str, ...]]]] = {}
    with LogReader(run / "run.db") as log:
        for event in log.events():
            if event.conversation:
                found.setdefault(event.conversation, Counter())[event.sender, event.kind, event.recipients] += 1
    return found


def outcomes(run: Path) -> list[dict[str, object]]:
    """Return what came of a run, but for what it took."""
    return [{key: value for key, value in row.items() if key not in ACCOUNTS} for row in results(run)]


def calls(run: Path) -> int:
    with LogReader(run / "run.db") as log:
        return sum(1 for _ in log.events(kinds=("model_called",)))


def alike(one: Path, other: Path) -> None:
    assert results(one) == results(other)
    assert said(one) == said(other)
    assert fellowship("diff", one, other).exit_code == 0


# what comes of it


async def test_what_comes_of_a_run_is_the_same_wherever_it_is_played(tmp_path: Path, near: NearYard) -> None:
    await play(library("debate"), items(12), tmp_path / "here", settings())
    there = await play(library("debate"), items(12), tmp_path / "there", settings(cluster=Cluster(workers=3)))
    assert (there.done, there.state) == (12, "done")
    alike(tmp_path / "here", tmp_path / "there")
    assert examine(tmp_path / "there" / "run.db", thorough=True) == ()
    assert len({hand.name for hand in near.hands}) == 3


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


@pytest.mark.parametrize("form", ["file", "run"])
async def test_a_cassette_answers_the_same_there(tmp_path: Path, near: NearYard, form: str) -> None:
    taped = tmp_path / "taped"
    await play(library("debate"), items(5), taped, settings())
    with LogReader(taped / "run.db") as log:
        write(log, tmp_path / "c.jsonl")
        cassette = FileCassette.read(tmp_path / "c.jsonl") if form == "file" else RecordedRun(log)
        for name, cluster in (("here", None), ("there", TWO)):
            done = await play(
                library("debate"), items(5), tmp_path / name, Settings(cassette=cassette, cluster=cluster)
            )
            assert (done.done, done.calls) == (5, done.calls)
        with pytest.raises(CassetteMiss, match="no recording of item 'i5'"):
            await play(library("debate"), items(6), tmp_path / "more", Settings(cassette=cassette, cluster=TWO))
    alike(tmp_path / "here", tmp_path / "there")
    assert outcomes(taped) == outcomes(tmp_path / "there")


async def test_a_call_that_the_cassette_does_not_have_stops_the_run_with_the_same_words(
    tmp_path: Path, near: NearYard
) -> None:
    await play(library("judge"), items(2), tmp_path / "taped", settings())
    other = [item.model_copy(update={"prompt": "Another?"}) for item in items(2)]
    words: list[str] = []
    with LogReader(tmp_path / "taped" / "run.db") as log:
        for name, cluster in (("here", None), ("there", TWO)):
            with pytest.raises(CassetteMiss) as missed:
                await play(
                    library("judge"), other[:1], tmp_path / name, Settings(cassette=RecordedRun(log), cluster=cluster)
                )
            words.append(str(missed.value))
    assert words[0] == words[1]
    assert "differs" in words[0]


async def test_a_sweep_is_played_there(tmp_path: Path, near: NearYard) -> None:
    (tmp_path / "sweep.yaml").write_text(
        "scenario: ways\ntakes: comparison\nmodels: {m: acme/m}\n"
        "sweep:\n  - play: judge\n    over: {judging.strategy: [direct, combined]}\ngives: verdict\n"
    )
    scenario, source = load(str(tmp_path / "sweep.yaml"))
    assert isinstance(scenario, Sweep)
    swept = sweep(scenario, source=source)
    await play(swept, items(4), tmp_path / "here", settings())
    there = await play(swept, items(4), tmp_path / "there", settings(cluster=TWO))
    assert there.done == 8
    alike(tmp_path / "here", tmp_path / "there")


async def test_preference_pairs_are_made_there(tmp_path: Path, near: NearYard) -> None:
    instructions = [item.model_copy(update={"candidates": ()}) for item in items(3)]
    await play(library("feedback-loop"), instructions, tmp_path / "here", settings())
    there = await play(library("feedback-loop"), instructions, tmp_path / "there", settings(cluster=TWO))
    assert there.done == 3
    alike(tmp_path / "here", tmp_path / "there")


# workers that die


@pytest.mark.parametrize("after", [1, 2, 3, 5, 8])
async def test_what_a_dead_worker_played_others_go_on_with(tmp_path: Path, near: NearYard, after: int) -> None:
    await play(library("debate"), items(8), tmp_path / "here", settings())
    near.doomed = lambda hand: hand.name.endswith(".1") and hand.answers == after
    there = await play(library("debate"), items(8), tmp_path / "there", settings(cluster=TWO))
    assert there.done == 8
    assert outcomes(tmp_path / "here") == outcomes(tmp_path / "there")
    assert {"1.2", "2.2"} & {hand.name for hand in near.hands}
    assert examine(tmp_path / "there" / "run.db", thorough=True) == ()
    # What was durable is not asked again: only an answer whose way to the driver was cut off is.
    assert calls(tmp_path / "there") == calls(tmp_path / "here")


async def test_an_answer_that_is_lost_comes_again_and_counts_once(tmp_path: Path, near: NearYard) -> None:
    near.deaf = lambda hand: hand.answers % 3 == 0
    there = await play(library("debate"), items(6), tmp_path / "there", settings(cluster=TWO))
    await play(library("debate"), items(6), tmp_path / "here", settings())
    assert (there.done, there.calls) == (6, calls(tmp_path / "here"))
    alike(tmp_path / "here", tmp_path / "there")


async def test_a_worker_that_is_never_heard_again_is_taken_for_dead(
    tmp_path: Path, near: NearYard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fellowship.scenarios.cluster.crew.LONGEST_S", 0.0)
    near.deaf = lambda hand: hand.name == "1.1" and hand.answers > 2
    there = await play(library("judge"), items(6), tmp_path / "r", settings(cluster=TWO))
    assert there.done == 6
    assert "1.2" in {hand.name for hand in near.hands}


async def test_an_item_whose_workers_always_die_fails_and_says_so(tmp_path: Path, near: NearYard) -> None:
    def deadly(hand: NearHand) -> bool:
        return "i3~1" in str(hand.worker._play and hand.worker._play.player._playing)

    near.doomed = deadly
    there = await play(library("judge"), items(5), tmp_path / "r", settings(cluster=TWO))
    found = {row["item"]: row for row in results(tmp_path / "r")}
    assert found["i3"]["error"] == "WorkerLost: 4 workers died while they played it"
    assert there.done + there.failed == 5
    near.doomed = lambda _: False
    again = await retry(tmp_path / "r", settings(cluster=TWO))
    assert (again.done, again.failed) == (5, 0)


async def test_workers_that_die_before_they_are_given_anything_stop_the_run(tmp_path: Path, near: NearYard) -> None:
    async def stillborn(name: str) -> NearHand:
        hand = await NearYard.hire(near, name)
        hand.die()
        return hand

    near.hire = stillborn  # type: ignore[method-assign]
    there = await play(library("judge"), items(3), tmp_path / "r", settings(cluster=TWO))
    assert (there.state, there.done) == ("stopped", 0)
    assert there.why is not None
    assert "workers die as soon as they are made" in there.why


async def test_a_run_whose_bank_is_lost_stops_and_can_be_gone_on_with(tmp_path: Path, near: NearYard) -> None:
    async def lost() -> BankState:
        if sum(hand.answers for hand in near.hands) > 4:
            raise BankLost("what leases limits to all workers is no more")
        return BankState((), 0.0, 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "bank", lost)
        patch.setattr("fellowship.scenarios.cluster.crew.WATCH_EVERY_S", 0.0)
        there = await play(library("debate"), items(30), tmp_path / "r", settings(cluster=TWO))
    assert there.state == "stopped"
    assert there.why == "BankLost: what leases limits to all workers is no more"
    assert there.failed == 0
    again = await play(library("debate"), items(30), tmp_path / "r", settings(cluster=TWO))
    assert (again.done, again.state) == (30, "done")


# here, there and back


async def broken_off(out: Path, after: int, cluster: Cluster | None, server: LoopbackEndpoint) -> None:
    """Play until so many calls were begun by this start, or to the end."""
    seen: list[Progress] = []
    async with anyio.create_task_group() as tasks:

        async def cut() -> None:
            while not seen or seen[0].calls < after:
                await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

        tasks.start_soon(cut)
        limits, environ = Limits(concurrency=4), at(server.base_url)
        terms = Settings(environ=environ, limits=limits, cluster=cluster, watch=seen.append)
        await play(library("debate"), items(9), out, terms)
        tasks.cancel_scope.cancel()


async def test_a_run_begun_here_goes_on_there_and_back(tmp_path: Path, near: NearYard) -> None:
    async with LoopbackEndpoint(answer=Opinions(unreadable=0)) as server:
        await play(library("debate"), items(9), tmp_path / "whole", Settings(environ=at(server.base_url)))
        before = len(server.ledger)
        for cluster, after in ((None, 10), (TWO, 10), (None, 10), (TWO, 10_000)):
            await broken_off(tmp_path / "r", after, cluster, server)
        asked = len(server.ledger) - before
    assert outcomes(tmp_path / "r") == outcomes(tmp_path / "whole")
    at_once = 4
    assert before <= asked <= before + 3 * at_once  # what was in flight at each of three breaks


async def test_the_first_signal_ends_what_has_begun_and_the_rest_stays_open(tmp_path: Path, near: NearYard) -> None:
    seen: list[Progress] = []

    def answer(call: ModelCall) -> str:
        seen[0].draining = True
        return as_reply(call)

    async with LoopbackEndpoint(answer=answer) as server:
        terms = Settings(environ=at(server.base_url), cluster=TWO, limits=Limits(concurrency=2), watch=seen.append)
        there = await play(library("judge"), items(40), tmp_path / "r", terms)
    assert there.state == "stopped"
    assert 0 < there.done < 40
    with LogReader(tmp_path / "r" / "run.db") as log:
        opened = sum(1 for _ in log.events(kinds=("item_opened",)))
    assert opened == there.done


async def test_calls_that_are_broken_off_are_recorded_before_their_workers_go(tmp_path: Path, near: NearYard) -> None:
    asked = anyio.Event()

    def answer(call: ModelCall) -> str:
        asked.set()
        return as_reply(call)

    async with LoopbackEndpoint(answer=answer, latency_s=60.0) as server, anyio.create_task_group() as tasks:
        terms = Settings(environ=at(server.base_url), cluster=TWO)
        tasks.start_soon(play, library("judge"), items(2), tmp_path / "r", terms)
        await asked.wait()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    with LogReader(tmp_path / "r" / "run.db") as log:
        found = [event.body for event in log.events(kinds=("model_called",))]
    assert found
    assert all("CancelledError" in body for body in found)


# limits and money


async def test_calls_in_flight_are_limited_for_all_workers_together(tmp_path: Path, near: NearYard) -> None:
    async with LoopbackEndpoint(latency_s=0.002) as server:
        terms = Settings(environ=at(server.base_url), cluster=Cluster(workers=4), limits=Limits(concurrency=5))
        there = await play(library("judge"), items(60), tmp_path / "r", terms)
    assert there.done == 60
    assert server.most_in_flight <= 5


async def test_a_budget_holds_for_all_workers_together(tmp_path: Path, near: NearYard) -> None:
    prices = PriceTable({MODEL: {"input_cost_per_token": 1e-5, "output_cost_per_token": 1e-5}})
    async with LoopbackEndpoint() as server:
        terms = Settings(
            environ=at(server.base_url),
            cluster=Cluster(workers=3),
            limits=Limits(concurrency=6, budget=Budget(usd=0.4)),
            access=Access(prices=prices),
        )
        there = await play(
            library("judge", "models.judge={model: acme/m, max_tokens: 200}"), items(400), tmp_path / "r", terms
        )
        billed = sum(served.input_tokens + served.output_tokens for served in server.ledger) * 1e-5
    assert there.state == "stopped"
    assert there.why is not None
    assert there.why.startswith("BudgetExhausted")
    assert 0.38 < billed <= 0.4


async def test_a_key_that_is_not_accepted_stops_all_workers(tmp_path: Path, near: NearYard) -> None:
    async with LoopbackEndpoint(key="right") as server:
        there = await play(
            library("judge"), items(50), tmp_path / "r", Settings(environ=at(server.base_url), cluster=TWO)
        )
    assert there.state == "stopped"
    assert there.why is not None
    assert there.why.startswith("Unauthorised")
    assert there.failed == 0


# errors of declaration


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--address", "auto"), "--address belongs to --engine ray"),
        (("--workers", 2), "--workers belongs to --engine ray"),
        (("--ship", "x.whl"), "--ship belongs to --engine ray"),
        (("--engine", "ray", "--batch"), "--batch and --engine ray exclude each other"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path: Path, options: tuple[object, ...], words: str) -> None:
    data = written(tmp_path / "d.jsonl", 1)
    more = ("--data", data, "--out", tmp_path / "r", "--model", MODEL, "--base-url", "http://127.0.0.1:9/v1")
    found = fellowship("run", "judge", *more, *options)
    assert found.exit_code == 2
    assert words in found.stderr
    assert not (tmp_path / "r" / "run.db").exists()

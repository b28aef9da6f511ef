"""A run seen from elsewhere while it is going on, and when nobody is there any more."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import chain, repeat
from pathlib import Path

import anyio
import pytest
from playing import MODEL, at, beside, fellowship, items, library, status, written

from fellowship.protocols.models import ModelCall
from fellowship.runtime.log import LogReader
from fellowship.runtime.models import Budget, PriceTable
from fellowship.runtime.session import Access, Limits, Rate
from fellowship.runtime.testing import Enforced, Fault, LoopbackEndpoint, as_reply
from fellowship.scenarios import Settings, Status, play
from fellowship.scenarios.outcomes import status as fold

PRICES = PriceTable({MODEL: {"input_cost_per_token": 3e-6, "output_cost_per_token": 1e-5}})


@pytest.fixture(autouse=True)
def noted_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fellowship.scenarios.run.NOTED_EVERY_S", 0.01)


def seen(out: Path) -> Status:
    """Look as another process does: by the log alone."""
    with LogReader(out / "run.db") as log:
        return fold(log, str(out))


async def look(out: Path, until: Callable[[Status], bool]) -> Status:
    """Look until something is to be seen."""
    with anyio.fail_after(10):
        while not (out / "run.db").exists() or not until(found := seen(out)):
            await anyio.wait_all_tasks_blocked()
    return found


@asynccontextmanager
async def going(out: Path, server: LoopbackEndpoint, limits: Limits, count: int = 6) -> AsyncGenerator[None, None]:
    """Play beside the test until its block ends; then the run is broken off."""
    settings = Settings(environ=at(server.base_url), limits=limits, access=Access(prices=PRICES))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(play, library("judge"), items(count), out, settings)
        yield
        tasks.cancel_scope.cancel()


def stalling(after: int, **more: object) -> LoopbackEndpoint:
    return LoopbackEndpoint(faults=chain([None] * after, repeat(Fault("stall"))), **more)  # type: ignore[arg-type]


async def test_status_names_what_has_been_in_flight_longest_for_whom_and_since_when(tmp_path: Path) -> None:
    out = tmp_path / "run"
    async with stalling(2) as server, going(out, server, Limits(concurrency=2)):
        early = await look(out, lambda found: found.live is not None and len(found.live.stalls) == 2)
        assert early.live is not None
        longest = early.live.stalls[0].seconds
        later = await look(out, lambda it: it.live is not None and it.live.stalls[0].seconds > longest + 0.05)
        assert server.in_flight == 2
        assert (later.state, later.items, later.done, later.failed) == ("running", 6, 2, 0)
        assert later.live is not None
        assert (later.live.in_flight, later.live.calls, later.live.draining) == (2, 4, False)
        stalls = later.live.stalls
        assert {(stall.agent, stall.conversation) for stall in stalls} == {("judge", "i2~1"), ("judge", "i3~1")}
        assert {(stall.model, stall.stage, stall.attempts) for stall in stalls} == {(MODEL, "sent", 1)}
        assert stalls[0].seconds >= stalls[1].seconds > 0
        shown = fellowship("status", out).stdout
        assert "running" in shown
        assert "2 items in flight" in shown
        assert "s for judge of i2 at acme/m: sent, 1 request" in shown
        assert status(out)["live"]["stalls"][0]["conversation"] in ("i2~1", "i3~1")
    ended = seen(out)
    assert (ended.state, ended.live, ended.done) == ("stopped", None, 2)


async def test_status_shows_rates_limits_budget_and_what_was_spent_so_far(tmp_path: Path) -> None:
    out, budget = tmp_path / "run", Budget(usd=5.0)
    limits = Limits(concurrency=3, rates={"*": Rate(requests=60_000.0)}, budget=budget)
    limited = Enforced(requests_per_minute=90_000, tokens_per_minute=3_000_000)
    async with stalling(3, enforced=limited) as server, going(out, server, limits):
        found = await look(out, lambda it: it.live is not None and it.done == 3 and it.live.calls == 6)
        live, totals = found.live, server.totals
        assert live is not None
        usd = totals.cost_usd(3e-6, 1e-5)
        assert (live.tokens, live.cost_usd) == (totals.input_tokens + totals.output_tokens, pytest.approx(usd))
        assert (found.input_tokens, found.cost_usd) == (totals.input_tokens, pytest.approx(usd))
        (state,) = live.endpoints
        assert (state.endpoint, state.in_flight, state.waiting, state.most_in_flight) == (MODEL, 3, 0, 3)
        assert (state.requests_per_minute, state.requests_origin) == (60_000.0, "configured")
        assert (state.tokens_per_minute, state.tokens_origin) == (3_000_000.0, "announced")
        shown = fellowship("status", out).stdout
        assert "60,000 requests a minute (configured), 3,000,000 tokens a minute (announced)" in " ".join(shown.split())
        assert "3 of 3 in flight" in shown
        assert "5 usd" in shown
        assert f"{usd:.4f} usd" in shown


async def test_a_call_that_failed_and_was_not_billed_leaves_the_money_known(tmp_path: Path) -> None:
    out, faults = tmp_path / "run", [None, Fault(status=400, error={"message": "no"}), *[Fault("stall")] * 2]
    async with LoopbackEndpoint(faults=faults) as server, going(out, server, Limits(concurrency=1)):
        found = await look(out, lambda it: it.live is not None and it.live.calls == 3)
        assert found.failed == 1
        assert found.live is not None
        assert found.live.cost_usd == pytest.approx(server.totals.cost_usd(3e-6, 1e-5))


async def test_status_tells_an_endpoint_that_holds_everybody_and_how_often_it_refused(tmp_path: Path) -> None:
    words = {"message": "slow down, please", "code": "rate_limit_exceeded"}
    storm = Fault("storm", requests=10**6, headers={"retry-after": "60"}, error=words)
    out = tmp_path / "run"
    async with LoopbackEndpoint(faults=[storm]) as server, going(out, server, Limits(concurrency=2)):
        found = await look(out, lambda it: it.live is not None and it.live.endpoints[0].held_s > 0)
        assert found.live is not None
        (state,) = found.live.endpoints
        assert 50 < state.held_s <= 60
        assert state.refused >= 1
        assert "slow down, please" in state.why
        assert {stall.stage for stall in found.live.stalls} <= {"putting off", "waiting", "sent"}
        assert "held for " in fellowship("status", out).stdout


def test_a_run_that_was_killed_shows_as_broken_off_and_the_same_command_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled = threading.Event()
    calls: list[ModelCall] = []

    def answer(call: ModelCall) -> str:
        calls.append(call)
        if len(calls) == 3:
            stalled.set()
        return as_reply(call)

    monkeypatch.setenv("FELLOWSHIP_CACHE", str(tmp_path / "cache"))
    data, out = written(tmp_path / "data.jsonl", 4), tmp_path / "run"
    command = ("run", "judge", "--data", data, "--model", MODEL, "--out", out, "--concurrency", "1")
    with beside(LoopbackEndpoint(answer, faults=[None, None, Fault("stall")])) as server:
        line = [sys.executable, "-m", "fellowship", *map(str, command), "--base-url", server.base_url]
        with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ}) as run:
            assert stalled.wait(20)
            anyio.run(look, out, lambda found: found.done == 2)
            assert status(out)["state"] == "running"
            run.send_signal(signal.SIGKILL)
        found = status(out)
        assert (found["state"], found["why"], found["live"]) == ("broken off", None, None)
        assert (found["items"], found["done"], found["failed"]) == (4, 2, 0)
        assert "broken off" in fellowship("status", out).stdout
        finished = fellowship(*command, "--base-url", server.base_url)
    assert finished.exit_code == 0, finished.output
    assert (status(out)["state"], status(out)["done"]) == ("done", 4)
    assert (len(calls), server.totals.answered) == (5, 4)

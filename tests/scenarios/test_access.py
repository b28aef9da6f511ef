"""Whole runs against endpoints that refuse, fail, stall and bill: what becomes of the items, and of the money."""

import asyncio
import json
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import anyio
import pytest
from playing import MODEL, answered, at, beside, fellowship, items, library, results, status, written

from fellowship.protocols.models import Completion, ModelCall, Usage
from fellowship.runtime.log import LogReader
from fellowship.runtime.models import Budget, PriceTable, Retries, admission
from fellowship.runtime.models.cache import open_cache
from fellowship.runtime.models.transports import TRANSPORTS
from fellowship.runtime.session import Access, Limits, Rate
from fellowship.runtime.testing import (
    FAULTS,
    Enforced,
    Fault,
    LoopbackBatches,
    LoopbackEndpoint,
    ManualClock,
    Misbehaviour,
    as_reply,
)
from fellowship.runtime.testing.serve import Serving
from fellowship.scenarios import Progress, Settings, Status, play
from fellowship.scenarios.bench import impatient
from fellowship.scenarios.spend import Spend

PRICE = {"input_cost_per_token": 3e-6, "cache_read_input_token_cost": 1e-6, "output_cost_per_token": 1e-5}
BATCH_PRICE = {"input_cost_per_token_batches": 1.5e-6, "output_cost_per_token_batches": 5e-6}
PRICES = PriceTable({MODEL: {**PRICE, **BATCH_PRICE}})
SHORT_ANSWERS = "models.judge={model: acme/m, max_tokens: 40}"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FELLOWSHIP_CACHE", str(tmp_path / "cache"))


def settings(server: LoopbackEndpoint | LoopbackBatches, limits: Limits | None = None, **more: Any) -> Settings:
    access = more.pop("access", Access(prices=PRICES))
    return Settings(environ=at(server.base_url), limits=limits or Limits(), access=access, **more)


def price(server: LoopbackEndpoint) -> float:
    return server.totals.cost_usd(3e-6, 1e-5, 1e-6)


def summed(status: Status, key: str) -> Spend:
    """Return the sums of the accounts by one key."""
    total = Spend()
    for spend in status.spend[key].values():  # type: ignore[index]
        for field in fields(Spend):
            setattr(total, field.name, getattr(total, field.name) + getattr(spend, field.name))
    return total


# what stops a run


def closed() -> LoopbackEndpoint:
    """An endpoint that nobody has opened, at an address where nobody listens."""
    server = LoopbackEndpoint()
    with beside(server):
        pass
    return server


UNKNOWN_KEY = Fault(status=401, error={"message": "this key is not known here", "code": "invalid_api_key"})


@pytest.mark.parametrize(
    ("make", "first", "second", "error", "done"),
    [
        (lambda: LoopbackEndpoint(enforced=Enforced(quota_requests=5)), (), (), "QuotaExhausted", 5),
        (lambda: LoopbackEndpoint(faults=[*[None] * 5, *[UNKNOWN_KEY] * 20]), (), (), "Unauthorised", 5),
        (closed, (), (), "EndpointDown", 0),
        (LoopbackEndpoint, ("--budget", "18200tok"), ("--budget", "2Mtok"), "BudgetExhausted", None),
    ],
    ids=["quota", "key", "down", "budget"],
)
def test_a_run_that_cannot_go_on_stops_with_its_reason_and_the_same_command_finishes_it(
    make: Callable[[], LoopbackEndpoint],
    first: tuple[str, ...],
    second: tuple[str, ...],
    error: str,
    done: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admission, "NEVER_ANSWERED_S", 0.0)
    data, out, before, after = written(tmp_path / "data.jsonl", 12), tmp_path / "run", make(), LoopbackEndpoint()
    command = ("run", "judge", "--data", data, "--model", MODEL, "--out", out, "--concurrency", 12)
    with ExitStack() as stack:
        if not before.base_url:
            stack.enter_context(beside(before))
        stopped = fellowship(*command, "--base-url", before.base_url, *first)
        seen = status(out)
        kept = results(out)
        assert stopped.exit_code == 3, stopped.output
        assert "".join(stopped.stdout.split()).count("".join(seen["why"].split())) == 1
        assert seen["why"].startswith(f"{error}: ")
        assert f"The same command, with --out {out}, goes on where this left off" in stopped.stderr
        assert (seen["state"], seen["items"], seen["failed"], seen["failures"]) == ("stopped", 12, 0, {})
        assert seen["done"] == len(kept) == sum(answered(before.ledger).values())
        assert seen["done"] == done if done is not None else 0 < seen["done"] < 12

        stack.enter_context(beside(after))
        finished = fellowship(*command, "--base-url", after.base_url, *second)
        assert finished.exit_code == 0, finished.output
    assert (status(out)["state"], status(out)["why"], status(out)["done"]) == ("done", None, 12)
    assert answered(before.ledger, after.ledger) == dict.fromkeys(range(12), 1)
    assert [line["item"] for line in results(out)] == [f"i{number}" for number in range(12)]
    assert [line for line in results(out) if line in kept] == kept


async def test_an_endpoint_that_goes_down_for_good_stops_the_run_when_patience_is_over(tmp_path: Path) -> None:
    made, limits = library("judge"), Limits(retries=Retries(patience_s=20.0))
    async with LoopbackEndpoint(faults=chain([None] * 8, repeat(Fault(status=503)))) as server:
        stopped = await play(made, items(40), tmp_path / "run", settings(server, limits, clock=ManualClock()))
    assert (stopped.state, stopped.done, stopped.failed) == ("stopped", 8, 0)
    assert str(stopped.why).startswith("EndpointDown: acme/m has failed every call for ")
    async with LoopbackEndpoint() as again:
        finished = await play(made, items(40), tmp_path / "run", settings(again, limits))
    assert (finished.state, finished.done) == ("done", 40)
    assert answered(server.ledger, again.ledger) == dict.fromkeys(range(40), 1)


@pytest.mark.parametrize("then", ["fail", "recuse"])
async def test_what_stops_a_run_is_no_agents_failure_whatever_the_scenario_does_about_those(
    then: str, tmp_path: Path
) -> None:
    changes = [f"agents.{name}.failing={{retry: 1, then: {then}}}" for name in ("first", "second", "third")]
    made = library("jury", *changes)
    async with LoopbackEndpoint(enforced=Enforced(quota_requests=10)) as server:
        stopped = await play(made, items(6), tmp_path / "run", settings(server, Limits(concurrency=1)))
        assert (stopped.state, stopped.done, stopped.failed) == ("stopped", 3, 0)
        assert str(stopped.why).startswith("QuotaExhausted")
    async with LoopbackEndpoint() as again:
        finished = await play(made, items(6), tmp_path / "run", settings(again))
    assert (finished.done, finished.failed, finished.verdicts) == (6, 0, {"tie": 6})
    votes = answered(server.ledger, again.ledger)
    assert [votes[number] for number in (0, 1, 2, 4, 5)] == [3] * 5
    with LogReader(tmp_path / "run" / "run.db") as log:
        assert log.count("agent_recused") == {}


# budgets


@pytest.mark.parametrize("budget", [Budget(tokens=4_000), Budget(usd=0.012)], ids=str)
async def test_a_budget_is_never_overshot_and_counts_what_earlier_starts_spent(budget: Budget, tmp_path: Path) -> None:
    made, out = library("judge", SHORT_ANSWERS), tmp_path / "run"
    faults = [Fault("malformed"), None, Fault("refused"), None, Fault(status=500)] * 3
    async with LoopbackEndpoint(faults=faults) as server:

        def spent() -> tuple[int, float]:
            return server.totals.input_tokens + server.totals.output_tokens, price(server)

        async def played(budget: Budget) -> Status:
            limits = Limits(concurrency=8, budget=budget)
            return await play(made, items(40), out, settings(server, limits, clock=ManualClock()))

        first = await played(budget)
        assert first.state == "stopped"
        assert str(first.why).startswith(f"BudgetExhausted: the budget of {budget} does not reach")
        assert 0 < first.done < 40
        tokens, usd = spent()
        assert tokens <= (budget.tokens or math.inf)
        assert usd <= (budget.usd or math.inf)

        asked = len(server.ledger)
        second = await played(budget)
        assert (second.state, second.done, len(server.ledger)) == ("stopped", first.done, asked)

        more = Budget(tokens=budget.tokens and 40_000, usd=budget.usd and 0.5)
        third = await played(more)
        assert third.state == "done"
        assert third.done + third.failed == 40
        assert (third.input_tokens + third.output_tokens, third.cost_usd) == (spent()[0], pytest.approx(spent()[1]))
    assert max(answered(server.ledger).values()) == 1


# deadlines


def test_an_item_that_takes_too_long_has_failed_and_the_others_go_on(tmp_path: Path) -> None:
    data, out = written(tmp_path / "data.jsonl", 5), tmp_path / "run"
    with beside(LoopbackEndpoint(faults=[None, Fault("stall")])) as server:
        command = ("run", "judge", "--data", data, "--model", MODEL, "--base-url", server.base_url, "--out", out)
        done = fellowship(*command, "--item-deadline", "0.7")
    assert done.exit_code == 1, done.output
    assert (status(out)["state"], status(out)["done"], status(out)["failures"]) == ("done", 4, {"ItemTimedOut": 1})
    failed = [line["error"] for line in results(out) if line["status"] == "failed"]
    assert failed == ["ItemTimedOut: the item took longer than 0.7 s"]
    assert (server.in_flight, server.totals.abandoned) == (0, 1)


def test_a_run_whose_time_is_over_ends_what_it_has_begun_and_can_go_on(tmp_path: Path) -> None:
    data, out = written(tmp_path / "data.jsonl", 30), tmp_path / "run"
    with beside(LoopbackEndpoint(latency_s=0.05)) as server:
        command = ("run", "judge", "--data", data, "--model", MODEL, "--base-url", server.base_url, "--out", out)
        stopped = fellowship(*command, "--run-deadline", "0.2", "--concurrency", "1")
        assert stopped.exit_code == 3, stopped.output
        seen = status(out)
        assert (seen["state"], seen["why"]) == ("stopped", "TimeIsOver: the run's time of 0.2 s is over")
        assert seen["failed"] == 0
        assert 0 < seen["done"] < 30
        assert server.totals.abandoned == 0
        assert fellowship(*command).exit_code == 0
    assert answered(server.ledger) == dict.fromkeys(range(30), 1)


# accounts


async def test_accounts_by_model_agent_role_and_round_are_the_endpoints_own_to_the_token(tmp_path: Path) -> None:
    made, out, seen = library("feedback-loop"), tmp_path / "run", list[Progress]()
    faults = [None, Fault("malformed"), Fault(status=500), Fault("no-choices"), None, Fault("cut-off")]

    def stopping_after_a_while(call: ModelCall) -> str:
        seen[0].draining = len(server.ledger) > 4
        return as_reply(call)

    async with LoopbackEndpoint(stopping_after_a_while, faults=faults, cached_share=0.25, reasoning_tokens=7) as server:
        limits = Limits(concurrency=2)
        first = await play(made, items(6), out, settings(server, limits, clock=ManualClock(), watch=seen.append))
        assert first.state == "stopped"
        found = await play(made, items(6), out, settings(server, limits, clock=ManualClock()))
        totals, usd = server.totals, price(server)
    assert (found.state, found.done) == ("done", 6)
    assert totals.by_fault == {fault.sort: 1 for fault in faults if fault}
    assert set(found.spend["model"]) == {MODEL}
    assert set(found.spend["role"]) == {"generator", "reviewer"}
    assert set(found.spend["round"]) == {"1", "2"}
    whole = summed(found, "model")
    for key in ("agent", "role", "round"):
        parts = summed(found, key)
        assert {**vars_of(parts), "cost_usd": 0} == {**vars_of(whole), "cost_usd": 0}, key
        assert parts.cost_usd == pytest.approx(whole.cost_usd)
    assert (found.calls, found.input_tokens, found.output_tokens) == (
        whole.calls,
        totals.input_tokens,
        totals.output_tokens,
    )
    assert (whole.attempts, whole.cached_tokens) == (totals.requests, totals.cached_tokens)
    assert whole.reasoning_tokens == 7 * totals.billed_calls
    assert whole.cost_usd == found.cost_usd == pytest.approx(usd)
    assert sum(line["tokens"] for line in results(out)) == totals.input_tokens + totals.output_tokens
    shown = fellowship("status", out).stdout
    assert f"{totals.input_tokens:,} in ({totals.cached_tokens:,} cached)" in shown
    assert f"{totals.output_tokens:,} out ({whole.reasoning_tokens:,} reasoning)" in shown
    assert "3 further requests" in shown
    assert f"{usd:.4f} usd" in shown
    assert status(out)["spend"]["role"]["reviewer"]["calls"] == found.spend["role"]["reviewer"].calls


def vars_of(spend: Spend) -> dict[str, Any]:
    return {field.name: getattr(spend, field.name) for field in fields(Spend)}


async def test_what_was_billed_before_a_call_was_broken_off_is_counted(tmp_path: Path) -> None:
    async with LoopbackEndpoint(faults=[Fault("no-choices"), Fault("stall")]) as server:
        limits = Limits(item_deadline_s=1.5, budget=Budget(tokens=100_000))
        found = await play(library("judge"), items(1), tmp_path / "run", settings(server, limits))
    spend = summed(found, "model")
    assert found.failures == {"ItemTimedOut": 1}
    assert spend.input_tokens + spend.output_tokens == server.totals.input_tokens + server.totals.output_tokens > 0
    assert spend.cost_usd == pytest.approx(price(server))
    assert spend.attempts == server.totals.requests == 2


async def test_what_is_known_of_a_calls_money_is_counted_though_its_last_answer_came_without_usage(
    tmp_path: Path,
) -> None:
    async with LoopbackEndpoint(faults=[Fault("malformed"), Fault("no-usage")]) as server:
        found = await play(library("judge"), items(1), tmp_path / "run", settings(server, clock=ManualClock()))
    spend = summed(found, "model")
    assert (server.totals.billed_calls, server.totals.unmetered) == (1, 1)
    assert (spend.input_tokens, spend.unmetered, spend.unpriced) == (server.totals.input_tokens, 1, 1)
    assert spend.cost_usd == pytest.approx(price(server))
    assert found.cost_usd is None


async def test_an_answer_from_the_cache_costs_nothing_and_asks_nobody(tmp_path: Path) -> None:
    access = Access(prices=PRICES, cache=tmp_path / "answers.db", cache_here=True)
    async with LoopbackEndpoint() as server:
        paid = await play(library("judge"), items(5), tmp_path / "one", settings(server, access=access))
        served = len(server.ledger)
        free = await play(library("judge"), items(5), tmp_path / "two", settings(server, access=access))
        assert (served, len(server.ledger)) == (5, 5)
    assert (paid.cost_usd, summed(paid, "model").cached) == (pytest.approx(price(server)), 0)
    spend = summed(free, "role")
    assert (free.done, free.cost_usd, free.input_tokens, free.output_tokens) == (5, 0.0, 0, 0)
    assert (spend.calls, spend.cached, spend.attempts, spend.unpriced) == (5, 5, 0, 0)
    assert [line["verdict"] for line in results(tmp_path / "one")] == [
        line["verdict"] for line in results(tmp_path / "two")
    ]
    assert "5 from the cache" in fellowship("status", tmp_path / "two").stdout


async def test_an_answer_is_known_while_it_is_being_written(tmp_path: Path) -> None:
    looks: list[bool] = []
    async with open_cache(tmp_path / "answers.db") as cache:
        cache.put(b"where", Completion("so", "stop", "m", Usage()))
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(cache.flush())
            while not writing.done():
                looks.append(cache.get(b"where") is not None)
                await asyncio.sleep(0)
        looks.append(cache.get(b"where") is not None)
    assert len(looks) > 2
    assert all(looks)


# other ways to travel


async def test_a_run_through_batches_has_outcomes_at_batch_prices(tmp_path: Path) -> None:
    access = Access(batch=True, prices=PRICES)
    async with LoopbackBatches() as server:
        found = await play(
            library("judge"), items(9), tmp_path / "run", settings(server, access=access, clock=ManualClock())
        )
    assert (found.state, found.done, found.verdicts) == ("done", 9, {"tie": 9})
    assert len(server.billed) == 9
    assert (found.input_tokens, found.output_tokens) == (server.input_tokens, server.output_tokens)
    assert found.cost_usd == pytest.approx(server.input_tokens * 1.5e-6 + server.output_tokens * 5e-6)


@pytest.mark.parametrize("budget", [None, Budget(tokens=170_000)], ids=str)
async def test_a_run_that_goes_on_finds_the_batches_it_had_submitted_and_counts_them_once(
    budget: Budget | None, tmp_path: Path
) -> None:
    access, limits, out = Access(batch=True, prices=PRICES), Limits(budget=budget), tmp_path / "run"
    async with LoopbackBatches(polls=10**9) as server:

        async def played() -> Status:
            made = settings(server, limits, access=access, clock=ManualClock())
            return await play(library("judge"), items(9), out, made)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(played)
            with anyio.fail_after(10):
                while sum(len(batch.requests) for batch in server.batches) < 9:
                    server.looked_at.clear()
                    await server.looked_at.wait()
            tasks.cancel_scope.cancel()
        made = len(server.batches)
        assert (status(out)["state"], status(out)["done"]) == ("stopped", 0)
        server.polls = 0
        found = await played()
    assert (found.state, found.done) == ("done", 9)
    assert len(server.batches) == made
    assert len(server.billed) == len(set(server.billed)) == 9


def test_the_openai_client_brings_the_same_outcomes_as_the_lean_transport(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = written(tmp_path / "data.jsonl", 6)
    lines: dict[str, list[dict[str, Any]]] = {}
    totals: dict[str, tuple[int, int]] = {}
    for way, other in (("lean", "sdk"), ("sdk", "lean")):
        with (
            monkeypatch.context() as without,
            beside(LoopbackEndpoint(verdict_of_number, faults=[None, Fault("refused")])) as server,
        ):
            without.setitem(TRANSPORTS._things, other, None)
            out = tmp_path / way
            command = ("run", "judge", "--data", data, "--model", MODEL, "--base-url", server.base_url, "--out", out)
            done = fellowship(*command, "--transport", way, "--concurrency", 1)
        assert done.exit_code == 0, done.output
        lines[way] = results(out)
        totals[way] = server.totals.input_tokens, server.totals.output_tokens
    assert lines["sdk"] == lines["lean"]
    assert totals["sdk"] == totals["lean"]
    assert [line.get("verdict") for line in lines["lean"]] == ["b", "unread", "b", "a", "b", "a"]


def verdict_of_number(call: ModelCall) -> str:
    text = call.messages[-1].content
    number = int(text.split("Question ")[1].split("?")[0])
    return json.dumps({"reason": "so", "score_a": number % 2 * 9, "score_b": 5})


# rates


@pytest.mark.parametrize(
    ("rates", "requests", "tokens"),
    [
        (["600rpm,100ktpm"], (600.0, "configured"), (100_000.0, "configured")),
        (["acme/m=1200rpm", "2Mtpm"], (1200.0, "configured"), (None, "none")),
        (["acme=0.5krpm"], (500.0, "configured"), (None, "none")),
        ([], (None, "none"), (None, "none")),
    ],
)
def test_a_rate_reaches_the_endpoints_controller(
    rates: list[str], requests: tuple[float | None, str], tokens: tuple[float | None, str], tmp_path: Path
) -> None:
    data, out = written(tmp_path / "data.jsonl", 1), tmp_path / "run"
    with beside(LoopbackEndpoint()) as server:
        command = ("run", "judge", "--data", data, "--model", MODEL, "--base-url", server.base_url, "--out", out)
        done = fellowship(*command, *(part for rate in rates for part in ("--rate", rate)))
    assert done.exit_code == 0, done.output
    with LogReader(out / "run.db") as log:
        noted = json.loads(str(log.meta("live")))["endpoints"]
    assert [state["endpoint"] for state in noted] == [MODEL]
    assert (noted[0]["requests_per_minute"], noted[0]["requests_origin"]) == requests
    assert (noted[0]["tokens_per_minute"], noted[0]["tokens_origin"]) == tokens


@pytest.mark.parametrize(
    "option",
    [
        *(("--rate", rate) for rate in ("600", "0rpm", "-5rpm", "fast", "600rpm,700rpm", "acme/m=", "600rpm;1ktpm")),
        *(("--budget", budget) for budget in ("2", "0usd", "lots", "2Mtok,x")),
    ],
    ids=" ".join,
)
def test_a_rate_or_budget_of_another_form_is_wrong_use(option: tuple[str, str], tmp_path: Path) -> None:
    data, out = written(tmp_path / "data.jsonl", 1), tmp_path / "run"
    address = ("--model", MODEL, "--base-url", "http://127.0.0.1:9/v1")
    result = fellowship("run", "judge", "--data", data, *address, "--out", out, *option)
    assert result.exit_code == 2
    said = result.stderr.splitlines()
    assert len(said) == 1
    assert f"{option[1]!r} is no {option[0].removeprefix('--')}" in said[0]
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rate", "acme/n=600rpm"), "unknown model of --rate 'acme/n'; did you mean 'acme/m'?"),
        (("--rate", "600rpm", "--rate", "100ktpm"), "--rate stands twice for all models: write 600rpm,100ktpm"),
        (("--budget", "5usd,3usd"), "'5usd,3usd' is no budget: write 5usd, 500ktok or 2Mtok"),
    ],
)
def test_a_limit_that_would_not_count_is_wrong_use(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    data, out = written(tmp_path / "data.jsonl", 1), tmp_path / "run"
    address = ("--model", MODEL, "--base-url", "http://127.0.0.1:9/v1")
    result = fellowship("run", "judge", "--data", data, *address, "--out", out, *options)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [f"fellowship: {words}"]


async def test_under_a_budget_no_longer_answer_is_asked_for_than_the_model_gives(tmp_path: Path) -> None:
    access = Access(prices=PriceTable({MODEL: {**PRICE, "max_output_tokens": 4096}}))
    async with LoopbackEndpoint() as server:
        limits = Limits(budget=Budget(tokens=100_000))
        await play(library("judge"), items(1), tmp_path / "run", settings(server, limits, access=access))
    assert server.ledger[0].request["max_tokens"] == 4096


def test_a_budget_in_money_needs_a_price(tmp_path: Path) -> None:
    data, out = written(tmp_path / "data.jsonl", 1), tmp_path / "run"
    with beside(LoopbackEndpoint()) as server:
        command = ("run", "judge", "--data", data, "--model", MODEL, "--base-url", server.base_url, "--out", out)
        refused = fellowship(*command, "--budget", "5usd")
        assert refused.exit_code == 2
        assert "no price is known for acme/m" in refused.stderr
        assert server.ledger == []
        prices = tmp_path / "prices.json"
        prices.write_text(json.dumps({MODEL: PRICE}))
        assert fellowship(*command, "--budget", "5usd", "--prices", prices).exit_code == 0
    assert status(out)["cost_usd"] == pytest.approx(price(server))


# everything that can go wrong, by chance


async def weathered(faults: tuple[Misbehaviour, ...], out: Path, watch: list[Progress]) -> Status:
    """Play through one weather and compare what we say with what the endpoint says."""
    limits = impatient(60, 0.5)
    async with asyncio.timeout(20), Serving(faults=faults, share=0.2, seed=3, cached_share=0.5).endpoint() as server:
        found = await play(library("judge"), items(60), out, settings(server, limits, watch=watch.append))
        while server.in_flight:  # those whose client has left are told of it in their own time
            await anyio.lowlevel.checkpoint()
        assert server._server._runner is not None
        assert server._server._runner.server is not None
        while server._server._runner.server.connections:
            await anyio.lowlevel.checkpoint()
    totals, spend, lines = server.totals, summed(found, "role"), results(out)
    assert totals.by_fault.total() > 0
    assert found.state == "done"
    assert found.done + found.failed == len(lines) == 60
    assert all(line["error"].partition(": ")[2] for line in lines if line["status"] == "failed")
    assert (spend.attempts, spend.input_tokens, spend.output_tokens, spend.cached_tokens, spend.unmetered) == (
        totals.requests,
        totals.input_tokens,
        totals.output_tokens,
        totals.cached_tokens,
        totals.unmetered,
    )
    assert spend.cost_usd == pytest.approx(price(server))
    assert sum(line["tokens"] for line in lines) == totals.input_tokens + totals.output_tokens
    return found


@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_goes_wrong_every_item_ends_and_the_accounts_are_the_endpoints(
    fault: Misbehaviour, tmp_path: Path
) -> None:
    found = await weathered((fault,), tmp_path / "run", [])
    assert found.done + found.failed == 60


async def test_when_everything_goes_wrong_at_once_nothing_is_left_open(tmp_path: Path) -> None:
    before, watch = asyncio.all_tasks(), list[Progress]()
    await weathered(FAULTS, tmp_path / "run", watch)
    assert asyncio.all_tasks() == before
    assert [(state.in_flight, state.waiting) for state in watch[0].admissions()] == [(0, 0)]
    assert watch[0].stalls() == ()
    assert watch[0].in_flight == 0


async def test_requests_that_broke_off_and_may_have_been_billed_are_told(tmp_path: Path) -> None:
    async with LoopbackEndpoint(faults=[Fault("reset"), Fault(status=503)]) as server:
        found = await play(library("judge"), items(2), tmp_path / "run", settings(server, impatient(1, 5.0)))
    spend = found.spend["model"][MODEL]
    assert (found.done, spend.attempts, spend.maybe_billed) == (2, 4, 1)


async def test_prompts_that_an_endpoint_always_fails_on_fail_and_the_run_ends(tmp_path: Path) -> None:
    async with LoopbackEndpoint(faults=chain([None] * 6, repeat(Fault(status=500)))) as server:
        found = await play(library("judge"), items(8), tmp_path / "run", settings(server, impatient(2, 5.0)))
    assert (found.state, found.done, found.failures) == ("done", 6, {"ServerError": 2})


async def test_an_endpoint_without_a_batch_api_stops_the_run_and_fails_nothing(tmp_path: Path) -> None:
    async with LoopbackEndpoint() as server:
        how = settings(server, impatient(4, 5.0), access=Access(batch=True), clock=ManualClock())
        found = await play(library("judge"), items(3), tmp_path / "run", how)
        assert (found.state, found.done, found.failed) == ("stopped", 0, 0)
        assert f"{server.base_url} has no Batch API for {MODEL}: leave out --batch" in str(found.why)


async def test_a_refusal_of_the_account_is_not_asked_for_in_weaker_forms(tmp_path: Path) -> None:
    async with LoopbackEndpoint(faults=[Fault(status=403), Fault(status=403)]) as server:
        found = await play(library("judge"), items(2), tmp_path / "run", settings(server, impatient(1, 5.0)))
    assert (found.failures, len(server.ledger)) == ({"CallRefused": 2}, 2)


async def test_calls_that_were_never_sent_are_no_failed_calls(tmp_path: Path) -> None:
    async with LoopbackEndpoint() as server:
        limits = Limits(budget=Budget(tokens=100))
        found = await play(library("judge"), items(2), tmp_path / "run", settings(server, limits))
    assert (found.state, found.calls, found.calls_failed) == ("stopped", 0, 0)


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    data, out = written(tmp_path / "data.jsonl", 1), tmp_path / "run"
    words = {"message": "Incorrect API key provided: none", "type": "invalid_request_error"}
    with beside(LoopbackEndpoint(faults=[Fault(status=401, error=words)])) as server:
        result = fellowship(
            "run", "judge", "--data", data, "--model", MODEL, "--base-url", server.base_url, "--out", out
        )
    assert result.exit_code == 3
    assert "(no key was sent: set ACME_API_KEY in the environment or in .env)" in result.stderr


async def test_items_whose_calls_still_wait_for_a_limit_are_left_open_when_the_run_is_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fellowship.scenarios.run.NOTED_EVERY_S", 0.02)
    seen: list[Progress] = []

    def answer(call: ModelCall) -> str:
        seen[0].draining = True
        return as_reply(call)

    limits = Limits(concurrency=4, rates={"*": Rate(requests=1)})
    async with LoopbackEndpoint(answer) as server:
        how = settings(server, limits, watch=seen.append)
        with anyio.fail_after(20):  # the next request might leave in a minute
            stopped = await play(library("judge"), items(4), tmp_path / "run", how)
        assert (stopped.state, stopped.done, stopped.failed, stopped.calls) == ("stopped", 1, 0, 1)
        finished = await play(library("judge"), items(4), tmp_path / "run", settings(server))
    assert (finished.state, finished.done, len(server.ledger)) == ("done", 4, 4)

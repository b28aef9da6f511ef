"""Runs on a real Ray of two nodes: what is said, what is spent and what is kept is as in one process."""

import json
import os
import signal
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync
from playing import MODEL, answered, beside, content, fellowship, results, status
from raying import Episode, Nodes, Pace, gone, lines, logged, needs_ray, nodes_started, played, started

from fellowship.protocols.errors import DeclarationError
from fellowship.runtime.models import weights
from fellowship.runtime.models.budget import BYTES_A_REQUEST
from fellowship.runtime.testing import Enforced, LoopbackEndpoint
from fellowship.runtime.testing.killing import Case, write_data
from fellowship.runtime.testing.opinions import Opinions
from fellowship.runtime.testing.proofs import differing_outcomes, differing_talk, gaps
from fellowship.runtime.testing.trial import Moment, Start, Told, Trial, told

pytestmark = [pytest.mark.ray, needs_ray]
whole = pytest.mark.ray_whole
"""Of `make ray` alone: each starts a run or two on Ray, which takes ten seconds."""

KEY = "sk-Planted0nAllNodes42"
DEBATES = Case("debate", 24, kills=0, concurrency=8, together=3)
"""Two rounds of three debaters, who then vote at once."""
WRITE = """
scenario: write
takes: instruction
models: {small: {model: local/smollm2-135m, max_tokens: 8}}
agents: {writer: {role: generator, model: small}}
flow: [{ask: writer, for: draft}, {pick: last}]
gives: draft
"""
WORKERS = 4
BUDGET_USD, USD, LONGEST, AT_ONCE = 1.0, 1e-5, 50, 16
"""Of the run under a budget: the price of a token, the tokens of the longest answer, and calls in flight."""
SOON_S = 20.0


@dataclass(frozen=True, slots=True)
class Spent:
    """A run under a budget, what it said, and the endpoint that it asked."""

    run: Path
    told: Told
    endpoint: LoopbackEndpoint


@pytest.fixture(scope="module")
def ray() -> Generator[Nodes, None, None]:
    with nodes_started({"ACME_API_KEY": KEY}) as nodes:
        yield nodes


@pytest.fixture
def nodes(ray: Nodes) -> Generator[Nodes, None, None]:
    """Return a cluster of two nodes, whatever became of them in an earlier test; runs leave nothing behind on it."""
    ray.whole()
    yield ray
    until_s = time.monotonic() + SOON_S
    while living := ray.living():
        assert time.monotonic() < until_s, living


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "data.jsonl", DEBATES.items)


@pytest.fixture(scope="module")
def undisturbed(data: Path) -> Path:
    """Return a run of the debates that one process has played."""
    run = data.with_name("undisturbed")
    with beside(LoopbackEndpoint(Opinions())) as endpoint:
        done = fellowship(*DEBATES.command(data, run, endpoint.base_url))
    assert done.exit_code == 0, done.stderr
    return run


def compared(run: Path, other: Path) -> list[str]:
    """Return what is otherwise in two runs of the same, and what is not whole in the first."""
    return [*differing_outcomes(run, other), *differing_talk(run, other), *gaps(run)]


@whole
async def test_the_workers_of_a_node_share_one_embedded_model(tmp_path: Path, ray: Nodes) -> None:
    try:
        weights.find("smollm2-135m")
    except DeclarationError as error:
        pytest.skip(str(error))
    nodes, out = ray.count(), tmp_path / "run"  # one, as long as nobody needs more: an engine takes what it can get
    (tmp_path / "write.yaml").write_text(WRITE)
    data = write_data(tmp_path / "data.jsonl", 400)
    command = ["run", str(tmp_path / "write.yaml"), "--data", str(data), "--out", str(out), "--concurrency", "2"]
    async with started([*command, *ray.play(nodes + 1), "-v"], tmp_path / "said") as process:
        workers = await logged(tmp_path / "said", "worker_joined", nodes + 1)
        engines = [node for kind, node in await run_sync(ray.living) if kind == "EngineActor"]
        await logged(tmp_path / "said", "item_finished", 2)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 3, (tmp_path / "said").read_text()[-2000:]
    assert len(engines) == len(set(engines)) == len({worker["node"] for worker in workers}) == nodes
    assert len(results(out)) >= 2
    assert lines((tmp_path / "said").read_text(), "attempt_failed") == []


async def test_recorded_answers_are_played_event_for_event_as_in_one_process(
    tmp_path: Path, nodes: Nodes, data: Path, undisturbed: Path
) -> None:
    tape, here = tmp_path / "tape.jsonl", tmp_path / "here"
    assert fellowship("cassette", undisturbed, "--to", tape).exit_code == 0
    command = ("run", "debate", "--data", str(data), "--model", MODEL)
    assert (await told(*command, "--cassette", str(tape), "--out", str(here))).code == 0

    async def there(name: str, cassette: Path) -> None:
        run = tmp_path / name
        done = await told(*command, "--cassette", str(cassette), "--out", str(run), *nodes.play(workers=2))
        assert (done.code, done.document["done"]) == (0, DEBATES.items), done.words[-2000:]
        assert lines(done.words, "worker_joined")
        assert results(run) == results(here)
        assert compared(run, here) == []
        assert fellowship("diff", here, run).exit_code == 0

    async with anyio.create_task_group() as both:  # two runs on one cluster
        both.start_soon(there, "by-file", tape)
        both.start_soon(there, "by-run", undisturbed)


@whole
async def test_four_workers_together_keep_to_limits_and_use_them(tmp_path: Path, nodes: Nodes) -> None:
    minute_s, requests, tokens, count, arrivals = 4.0, 240, 45_000, 540, Episode(10**9, 0)
    enforced = Enforced(requests_per_minute=requests, tokens_per_minute=tokens, minute_s=minute_s, style="sliding")
    answers = Opinions(unreadable=0)
    async with LoopbackEndpoint(answers, faults=arrivals, enforced=enforced, latency_s=0.05) as endpoint:
        await played(
            out=str(tmp_path / "run"),
            items=count,
            base_url=endpoint.base_url,
            address=nodes.address,
            workers=WORKERS,
            concurrency=40,
            minute_s=minute_s,
        )
    begun, ended = arrivals.times[0] + minute_s, arrivals.times[-1] - 0.5
    used = [endpoint.enforcer.share_used(each, begun, ended) for each in ("requests", "tokens")]
    assert answered(endpoint.ledger) == dict.fromkeys(range(count), 1)
    assert endpoint.enforcer.refused.total() <= 0.02 * count  # of the last minute, whenever that began
    assert max(used) >= 0.5  # how much of a limit is used is measured in virtual time: here others want the processors
    assert ended - begun > minute_s


@whole
async def test_a_429_that_one_worker_meets_holds_all_of_them(tmp_path: Path, nodes: Nodes) -> None:
    latency_s, lasting_s, most = 0.3, 2.0, 16
    episode = Episode(150, lasting_s)
    async with LoopbackEndpoint(Opinions(unreadable=0), faults=episode, latency_s=latency_s) as endpoint:
        command = ["run", "judge", "--data", str(write_data(tmp_path / "d.jsonl", 220)), "--out", str(tmp_path / "run")]
        command += ["--model", MODEL, "--base-url", endpoint.base_url, "--concurrency", str(most)]
        done = await told(*command, *nodes.play(WORKERS))
    assert done.code == 0, done.words[-2000:]
    assert len(lines(done.words, "worker_joined")) == WORKERS
    assert [line for line in done.words.splitlines() if not line.startswith("{")] == []
    held = [asked_s for asked_s in episode.since() if asked_s > latency_s + 0.5]
    assert most - 2 <= endpoint.most_in_flight <= most
    assert held[0] >= lasting_s
    assert held[1] - held[0] >= latency_s  # one goes ahead, of all workers together
    assert answered(endpoint.ledger) == dict.fromkeys(range(220), 1)


@pytest.fixture(scope="module")
def spent(ray: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Spent:
    """Play until a budget is used up, at an endpoint that wants a key, which all nodes have in their environment."""
    ray.whole()
    folder = tmp_path_factory.mktemp("spent")
    prices = {"input_cost_per_token": USD, "output_cost_per_token": USD, "max_output_tokens": LONGEST}
    (folder / "prices.json").write_text(json.dumps({MODEL: prices}))
    data = write_data(folder / "data.jsonl", 600)
    with beside(LoopbackEndpoint(Opinions(unreadable=0), latency_s=0.02, key=KEY)) as endpoint:
        command = ["run", "judge", "--data", str(data), "--out", str(folder / "run"), "--model", MODEL]
        command += ["--base-url", endpoint.base_url, "--concurrency", str(AT_ONCE), "--budget", f"{BUDGET_USD}usd"]
        command += ["--prices", str(folder / "prices.json"), "-vv", *ray.play(WORKERS)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ACME_API_KEY", KEY)
            done = anyio.run(told, *command)
    return Spent(folder / "run", done, endpoint)


@whole
def test_four_workers_together_never_overshoot_a_budget_and_use_it(spent: Spent) -> None:
    assert spent.told.code == 3, spent.told.words[-2000:]
    assert len(lines(spent.told.words, "worker_joined")) == WORKERS
    usd = spent.endpoint.totals.cost_usd(USD, USD)
    requests = [json.dumps(served.request) for served in spent.endpoint.ledger]
    largest_usd = USD * (max(map(len, requests)) + 2 * BYTES_A_REQUEST + LONGEST)
    assert BUDGET_USD - largest_usd * AT_ONCE <= usd <= BUDGET_USD
    assert spent.told.document["cost_usd"] == pytest.approx(usd)


@whole
async def test_a_key_in_the_environment_reaches_the_endpoint_and_stands_nowhere(ray: Nodes, spent: Spent) -> None:
    assert {served.headers["Authorization"] for served in spent.endpoint.ledger} == {f"Bearer {KEY}"}
    assert KEY not in spent.told.words
    logs = content(ray.folder)
    for found in (content(spent.run), logs):
        assert [name for name, text in found.items() if KEY.encode() in text] == []
    assert ray.places_of(KEY) == []
    assert any("worker" in name for name in logs)
    assert ray.places_of("WorkerActor") != []


@pytest.mark.parametrize("dies", ["a worker", pytest.param("a node", marks=whole)])
async def test_what_was_played_where_something_dies_goes_on_elsewhere(
    tmp_path: Path, nodes: Nodes, data: Path, undisturbed: Path, dies: str
) -> None:
    opinions, pace, starts = Opinions(), Pace(), list[Start]()
    async with LoopbackEndpoint(opinions, faults=opinions, latency=pace) as endpoint:
        trial = Trial(tmp_path / "run", endpoint, opinions)
        command = DEBATES.command(data, trial.out, endpoint.base_url, *nodes.play(2))

        async def play() -> None:
            starts.append(await trial.start(command))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play)
            workers = await logged(trial.out.with_suffix(".txt"), "worker_joined", 2)
            pace.hurried = True
            await opinions.reach(30)
            if dies == "a worker":
                os.kill(workers[0]["pid"], signal.SIGKILL)
                lost = {workers[0]["worker"]}
            else:
                node = await run_sync(nodes.remove)
                lost = {worker["worker"] for worker in workers if worker["node"] == node}
    (start,) = starts
    told_lost = lines(trial.said, "worker_lost")
    assert "raylet" not in trial.said.lower()  # Ray tells nothing beside
    assert (start.code, start.again, trial.problems) == (0, (), []), trial.said[-2000:]
    assert {line["worker"] for line in told_lost} == lost
    assert sum(line["items"] for line in told_lost) > 0
    bound = DEBATES.bound // 2 * len(lost)
    assert trial.repeated == start.lost <= bound + DEBATES.together * len(lost)
    assert compared(trial.out, undisturbed) == []


@whole
async def test_a_run_whose_driver_is_killed_goes_on_here_and_there_and_its_workers_ask_nothing_more(
    tmp_path: Path, nodes: Nodes, data: Path, undisturbed: Path
) -> None:
    opinions = Opinions()
    async with LoopbackEndpoint(opinions, faults=opinions, latency=Pace(0.03)) as endpoint:
        trial = Trial(tmp_path / "run", endpoint, opinions)
        here = DEBATES.command(data, trial.out, endpoint.base_url)
        for command in ([*here, *nodes.play(2)], here):
            with anyio.fail_after(6 * SOON_S):
                start = await trial.start(command, Moment(requests=60))  # returns when nobody is connected any more
            assert (start.code, start.requests >= 60) == ("killed", True), trial.said[-2000:]
            workers = lines(trial.said, "worker_joined")
            assert bool(workers) == ("ray" in command)
            await gone((worker["pid"] for worker in workers), SOON_S)
        last = await trial.start([*here, *nodes.play(2)])
    assert last.code == 0, trial.said[-2000:]
    assert trial.accounts(DEBATES.bound + 2 * DEBATES.together) == []
    assert compared(trial.out, undisturbed) == []


@whole
async def test_one_signal_ends_what_was_begun_and_two_stop_at_once(
    tmp_path: Path, nodes: Nodes, data: Path, undisturbed: Path
) -> None:
    opinions, pace, out = Opinions(), Pace(), tmp_path / "run"
    async with LoopbackEndpoint(opinions, latency=pace) as endpoint:
        here = DEBATES.command(data, out, endpoint.base_url)
        command = [*here, *nodes.play(workers=2)]
        async with started(command, tmp_path / "first") as process:
            await logged(tmp_path / "first", "worker_joined", 2)
            found = await going(out)
            assert (found["state"], found["live"]["workers"]["wanted"]) == ("running", 2)
            assert [state["endpoint"] for state in found["live"]["endpoints"]] == [MODEL]
            assert found["live"]["calls"] >= found["live"]["in_flight"] > 0
            talk = fellowship("trace", out, "i0")
            assert (talk.exit_code, "public" in talk.stdout) == (0, True)
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 3
        assert endpoint.in_flight == 0
        left = status(out)
        assert (left["state"], left["done"], left["live"]) == ("stopped", len(results(out)), None)
        assert 0 < left["done"] < DEBATES.items
        assert answered(endpoint.ledger).keys() == {int(line["item"].removeprefix("i")) for line in results(out)}

        pace.slow_s = 3600.0
        async with started(command, tmp_path / "second") as process:
            workers = await logged(tmp_path / "second", "worker_joined", 2)
            await opinions.reach(1)
            process.send_signal(signal.SIGINT)
            with anyio.fail_after(SOON_S):
                while "once more" not in (tmp_path / "second").read_text():  # noqa: ASYNC110 - of another process
                    await anyio.sleep(0.02)
                process.send_signal(signal.SIGINT)
                assert await process.wait() == 3
        await gone((worker["pid"] for worker in workers), SOON_S)
        pace.hurried = True
        assert (await told(*here)).code == 0
    assert [*differing_outcomes(out, undisturbed), *gaps(out)] == []


async def going(out: Path) -> dict[str, Any]:
    """Wait until it is seen from outside how a run goes."""
    with anyio.fail_after(SOON_S):
        while not ((found := status(out))["live"] and found["live"]["in_flight"] and found["live"]["endpoints"]):  # noqa: ASYNC110 - of another process
            await anyio.sleep(0.1)
    return found


async def test_an_address_where_nothing_listens_is_told_at_once(tmp_path: Path) -> None:
    data, out = write_data(tmp_path / "data.jsonl", 1), tmp_path / "run"
    command = ("run", "judge", "--data", str(data), "--out", str(out), "--model", MODEL)
    address = ("--base-url", "http://127.0.0.1:9/v1", "--engine", "ray", "--address", "127.0.0.1:1")
    with anyio.fail_after(SOON_S):
        refused = await told(*command, *address)
    assert refused.code == 2
    assert refused.words.splitlines()[-1].startswith("fellowship: no Ray answers at '127.0.0.1:1': ")

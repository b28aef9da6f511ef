"""What the benchmarks of clusters share: the same items at the same endpoint, played here or on a Ray of this machine.

A child process starts Ray once and plays one case after another; beside it, the processor time of all its processes is
read. Figures are of the steady half of a case: from the end of the first quarter of the endpoint's answers to that of
the third, on the monotonic clock that all processes share. So no start and no end is in them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from common import Server, items, judging, run, settings
from processes import Watching

from fellowship.protocols.identity import WHOLE_RUN, ConversationId
from fellowship.protocols.messages import Message
from fellowship.runtime.clock import SystemClock
from fellowship.runtime.cluster.relay import FIRST, RelayLog
from fellowship.runtime.cluster.teller import BankLine
from fellowship.runtime.log import SqliteLog, open_log
from fellowship.scenarios import Plan, load, plan, play
from fellowship.scenarios.cluster import rays, worker
from fellowship.scenarios.cluster.cluster import Cluster
from fellowship.scenarios.cluster.parcels import Charter, Welcome

WAITS = "FELLOWSHIP_BENCH_WAITS"
"""Where workers write how long their calls waited to be durable."""
BOTH_CALLS = {"judge": 1, "debate": 12}


@dataclass(frozen=True)
class Case:
    """What is played, and where."""

    scenario: str
    latency_s: float
    in_flight: int
    count: int
    workers: int = 0
    """0: in the process of the run, without Ray."""
    durable: str = "driver"
    """Where a reply is durable before its conversation acts on it: `driver`, or `worker` for the prototype."""
    timed: bool = False
    """Whether each call's wait for that is noted."""

    @property
    def calls(self) -> int:
        return BOTH_CALLS[self.scenario]


@dataclass(frozen=True)
class Played:
    """What was found of a case."""

    start_s: float
    """From the start of the run to its first request's answer."""
    end_s: float
    """From the last answer to the end of the run."""
    calls_per_second: float
    cpu_us: dict[str, float]
    """A call, by role."""
    cpu_whole_us: float
    most_in_flight: int
    waits_ms: list[float]
    load: float


def made(scenario: str) -> Plan:
    """Return the plan: of a judge, or of a debate of three in three rounds of arguments and one of ballots."""
    if scenario == "judge":
        return judging()
    text = Path(__file__).with_name("debates.yaml").read_text().replace("repeat: 2", "repeat: 3")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "debate.yaml"
        path.write_text(text)
        loaded, source = load(str(path))
    return plan(loaded, source=source)


# a worker whose waits are noted, and one that is durable by itself


class TimedLog(RelayLog):
    """Notes how long is waited for an event to be durable."""

    waits_s: list[float]

    async def durable(self, sequence: int) -> None:
        begun_s = time.perf_counter()
        await super().durable(sequence)
        self.waits_s.append(time.perf_counter() - begun_s)


class OwnLog(RelayLog):
    """Is durable when the worker's own file has an event; the driver is told without being waited for."""

    waits_s: list[float]
    own: SqliteLog

    def append(
        self,
        message: Message,
        *,
        sender: str,
        conversation: ConversationId = WHOLE_RUN,
        cause: int | None = None,
        recipients: tuple[str, ...] = (),
    ) -> int:
        sequence = super().append(message, sender=sender, conversation=conversation, cause=cause, recipients=recipients)
        texts = self._scribe.texts()
        self._texts += texts
        for digest, text in texts:
            self.own.keep(digest, text)
        self.own.take(self._rows[-1])
        return sequence

    async def durable(self, sequence: int) -> None:
        begun_s = time.perf_counter()
        await self.own.durable(sequence - FIRST + 1)
        self.waits_s.append(time.perf_counter() - begun_s)


class TimedWorker(rays.WorkerActor):
    """A worker whose calls' waits are written down when it ends."""

    async def run(self, charter: Charter, welcome: Welcome, bank: BankLine) -> None:
        waits_s: list[float] = []
        folder = Path(os.environ[WAITS])
        await self._with(waits_s, folder, partial(super().run, charter, welcome, bank))
        (folder / f"waits-{os.getpid()}.json").write_text(json.dumps(waits_s))

    async def _with(self, waits_s: list[float], folder: Path, go_on: Any) -> None:  # noqa: ANN401 - a coroutine function
        del folder
        worker.RelayLog = type("Log", (TimedLog,), {"waits_s": waits_s})
        await go_on()


class TimedOwnWorker(TimedWorker):
    """The same, over a log of its own."""

    async def _with(self, waits_s: list[float], folder: Path, go_on: Any) -> None:  # noqa: ANN401 - a coroutine function
        async with open_log(folder / f"own-{os.getpid()}.db", clock=SystemClock()) as own:
            worker.RelayLog = type("Log", (OwnLog,), {"waits_s": waits_s, "own": own})
            await go_on()


ORDINARY = rays.WorkerActor


# the child


def start_ray() -> None:
    """Start Ray here, as a run does that is given no address; workers find this folder."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    options = {
        "configure_logging": False,
        "log_to_driver": False,
        "namespace": "fellowship",
        "include_dashboard": False,
    }
    rays.ray().init(address="local", num_cpus=4, object_store_memory=rays.LOCAL_STORE_BYTES, **options)


async def _play(case: Case, server: Server, folder: Path) -> dict[str, Any]:
    ways = {"driver": TimedWorker, "worker": TimedOwnWorker}
    rays.WorkerActor = ways[case.durable] if case.timed else ORDINARY
    how = settings(server, case.in_flight)
    if case.workers:
        how = replace(how, cluster=Cluster(workers=case.workers))
    server.stats()
    begun_s = time.monotonic()
    status = await play(made(case.scenario), items(case.count), folder / "run", how)
    ended_s = time.monotonic()
    assert status.done == case.count, status
    stats = server.stats()
    assert stats.served == case.calls * case.count, stats.served
    quarter = len(stats.answered_s) // 4
    times = [stats.answered_s[place] for place in (0, quarter, 3 * quarter, -1)]
    return {"begun_s": begun_s, "ended_s": ended_s, "times": times, "most": stats.most_in_flight, "steady": 2 * quarter}


def child() -> None:
    """Play cases that come as lines, and tell of each; Ray is started for the first that needs it."""
    waits = Path(os.environ[WAITS])
    for line in sys.stdin:
        told = json.loads(line)
        port, case = told.pop("port"), Case(**told)
        if case.workers and not rays.ray().is_initialized():
            begun_s = time.monotonic()
            start_ray()
            print(json.dumps({"ray_s": time.monotonic() - begun_s}), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            found = run(_play(case, Server(port), Path(folder)))
        found["waits_s"] = []
        for path in waits.iterdir():
            if path.suffix == ".json":
                found["waits_s"] += json.loads(path.read_text())
            with suppress(FileNotFoundError):
                path.unlink()
        print(json.dumps(found), flush=True)


# the parent


class Child:
    """A process that plays cases; its processors' time is watched."""

    def __init__(self, ports: Mapping[float, str]) -> None:
        """Start it; `ports` of endpoints, by latency in seconds."""
        self.ray_s = 0.0
        self._ports = ports
        self._waits = tempfile.TemporaryDirectory()
        here = str(Path(__file__).parent)
        path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-c", "import clustered; clustered.child()", "--uvloop"]  # importable by workers
        environ = {**os.environ, "PYTHONPATH": path, WAITS: self._waits.name, "RAY_AUTH_MODE": "disabled"}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
        self._watching = Watching(self._process.pid)
        self._watching.begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watching.end()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._waits.cleanup()

    def play(self, case: Case) -> Played:
        """Have a case played."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({**asdict(case), "port": self._ports[case.latency_s]}) + "\n")
        self._process.stdin.flush()
        found = self._told()
        if "ray_s" in found:
            self.ray_s = found["ray_s"]
            found = self._told()
        first_s, since_s, until_s, last_s = found["times"]
        time.sleep(0.1)
        spent = self._watching.spent(since_s, until_s)
        calls = found["steady"]
        return Played(
            start_s=first_s - found["begun_s"],
            end_s=found["ended_s"] - last_s,
            calls_per_second=calls / (until_s - since_s),
            cpu_us={role: 1e6 * cpu_s / calls for role, cpu_s in spent.items()},
            cpu_whole_us=1e6 * sum(spent.values()) / calls,
            most_in_flight=found["most"],
            waits_ms=sorted(1000 * wait_s for wait_s in found["waits_s"]),
            load=os.getloadavg()[0],
        )

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the child has ended"
        told: dict[str, Any] = json.loads(line)
        return told

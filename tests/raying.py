"""A real Ray for tests: nodes of this machine, in a process of their own that ends them when it is left alone.

python tests/raying.py nodes             does what is told by lines of JSON on stdin, and answers by lines of JSON
python tests/raying.py play TERMS        plays a run on a cluster as no option of the command line says
"""

import asyncio
import json
import math
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest
from anyio.abc import Process

from fellowship.runtime.testing import Fault

CPUS = 2
"""Of each node."""
STORE_BYTES = 80 * 2**20
PATIENCE_S = 120.0
"""The longest that anything may take here."""
LOOK_S = 0.02
SAID = "said.txt"

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: `make ray` does that")


class Nodes:
    """A cluster of nodes of this machine."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self._process = process
        self.folder = folder
        """Where Ray keeps its sessions, and their logs."""
        self.address = str(self._answer())

    def whole(self, count: int = 2) -> None:
        """Have at least so many nodes."""
        self.ask("whole", count)

    def count(self) -> int:
        """Return how many nodes there are."""
        return int(self.ask("count"))

    def remove(self) -> str:
        """End all processes of a node at once, and return which it was."""
        return str(self.ask("remove"))

    def living(self) -> list[tuple[str, str]]:
        """Return the class and the node of every actor that lives."""
        return [(kind, node) for kind, node in self.ask("living")]

    def places_of(self, text: str) -> list[str]:
        """Return where in what the cluster knows of itself a text stands."""
        return [str(place) for place in self.ask("find", text)]

    def ask(self, *words: object) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE_S)
        line = self._process.stdout.readline() if ready else b""
        assert line, f"Ray did not do what it was told: {(self.folder / SAID).read_text()}"
        return json.loads(line)

    def play(self, workers: int) -> list[str]:
        """Return the options by which a command plays here, and tells who does."""
        there = ["--engine", "ray", "--address", self.address, "--workers", str(workers)]
        return [*there, "--log-json", "-v"]


@contextmanager
def nodes_started(environ: dict[str, str]) -> Generator[Nodes, None, None]:
    """Start one node, which others join when they are asked for; all end with the block, and with this process."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    more = {
        "RAY_TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "RAY_health_check_period_ms": "1000",  # five in vain, and a node is taken for lost
        **environ,
    }
    with (folder / SAID).open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, __file__, "nodes"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env={**os.environ, **more},
        )
    try:
        yield Nodes(process, folder)
    finally:
        process.communicate(timeout=PATIENCE_S)


class Pace:
    """The latency of an endpoint: slow until it is told that all are there."""

    def __init__(self, slow_s: float = 0.3) -> None:
        self.slow_s = slow_s
        self.hurried = False

    def __call__(self, rng: Random) -> float:
        return rng.uniform(0.02, 0.05) if self.hurried else self.slow_s


class Episode:
    """Notes when an endpoint is asked; from some request on it refuses for a while, and says for how long still."""

    def __init__(self, after: int, lasting_s: float) -> None:
        self.times: list[float] = []
        self._after = after
        self._lasting_s = lasting_s
        self._until_s = math.inf

    def __iter__(self) -> Iterator[Fault | None]:
        return self

    def __next__(self) -> Fault | None:
        self.times.append(now_s := time.monotonic())
        if len(self.times) == self._after + 1:
            self._until_s = now_s + self._lasting_s
        if len(self.times) <= self._after or now_s >= self._until_s:
            return None
        wait_ms = str(math.ceil(1000 * (self._until_s - now_s)))
        words = {"message": "slow down", "code": "rate_limit_exceeded"}
        return Fault(status=429, headers={"retry-after-ms": wait_ms}, error=words)

    def since(self) -> list[float]:
        """Return when it was asked after the first that was refused, in seconds since that."""
        return [asked_s - self.times[self._after] for asked_s in self.times[self._after + 1 :]]


@asynccontextmanager
async def started(words: Sequence[str], said: Path) -> AsyncGenerator[Process, None]:
    """Start the command line; what it says goes to a file, and it does not outlive the block."""
    with said.open("wb") as to:
        line = [sys.executable, "-m", "fellowship", *words]
        process = await anyio.open_process(line, stdin=None, stdout=to, stderr=subprocess.STDOUT)
        async with process:
            try:
                with anyio.fail_after(PATIENCE_S):
                    yield process
            finally:
                if process.returncode is None:
                    process.kill()


def lines(said: str, event: str) -> list[dict[str, Any]]:
    """Return the lines of the logs that tell of an event."""
    found = [json.loads(line) for line in said.splitlines() if line.startswith("{") and line.endswith("}")]
    return [line for line in found if line.get("event") == event]


async def logged(said: Path, event: str, count: int) -> list[dict[str, Any]]:
    """Wait until the logs have told of an event so many times."""
    with anyio.fail_after(PATIENCE_S):
        while not said.exists() or len(found := lines(said.read_text(errors="replace"), event)) < count:  # noqa: ASYNC110 - of another process
            await anyio.sleep(LOOK_S)
    return found


async def gone(pids: Iterable[int], within_s: float) -> None:
    """Wait until processes are no more."""
    with anyio.fail_after(within_s):
        while any(_lives(pid) for pid in pids):  # noqa: ASYNC110 - as above
            await anyio.sleep(LOOK_S)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def played(**terms: object) -> None:
    """Play a run on a cluster in a process of its own; see `_play` for the terms."""
    with anyio.fail_after(PATIENCE_S):
        done = await anyio.run_process([sys.executable, __file__, "play", json.dumps(terms)], check=False)
    assert done.returncode == 0, done.stderr.decode()


async def _play(terms: dict[str, Any]) -> None:
    from playing import at, items, library

    from fellowship.runtime.session import Limits, Rate
    from fellowship.scenarios import Settings, play
    from fellowship.scenarios.cluster.cluster import Cluster

    rates = {"*": Rate(terms.get("requests"), terms.get("tokens"))}
    limits = Limits(concurrency=terms["concurrency"], minute_s=terms["minute_s"], rates=rates)
    cluster = Cluster(address=terms["address"], workers=terms["workers"])
    settings = Settings(environ={**os.environ, **at(terms["base_url"])}, limits=limits, cluster=cluster)
    await play(library("judge"), items(terms["items"]), Path(terms["out"]), settings)


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Ray says is no answer
    from ray.cluster_utils import Cluster

    node = {"num_cpus": CPUS, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})

    def carry_out(verb: str, *words: Any) -> object:
        match verb:
            case "whole":
                while len(cluster.worker_nodes) + 1 < words[0]:
                    cluster.add_node(**node)
            case "count":
                return len(cluster.worker_nodes) + 1
            case "remove":
                node_id = (found := next(iter(cluster.worker_nodes))).node_id
                cluster.remove_node(found, allow_graceful=False)
                return node_id
            case "living":
                actors = cluster.global_state.actor_table(None, None, "ALIVE").values()
                return [(actor["ActorClassName"], actor["Address"]["NodeID"]) for actor in actors]
            case _:
                return list(_places(cluster, words[0].encode()))
        return None

    def answer(told: object) -> None:
        print(json.dumps(told), file=answers, flush=True)

    try:
        answer(cluster.address)
        for line in sys.stdin:
            answer(carry_out(*json.loads(line)))
    finally:
        cluster.shutdown()
        shutil.rmtree(os.environ["RAY_TMPDIR"], ignore_errors=True)


def _places(cluster: Any, text: bytes) -> Generator[str, None, None]:
    """Return in which tables of the cluster's control service a text stands."""
    state = cluster.global_state._connect_and_get_accessor()
    tables = {
        "actors": state.get_actor_table(None, None),
        "jobs": state.get_job_table(),
        "workers": state.get_worker_table(),
        "nodes": state.get_node_table(),
        "tasks": [state.get_task_events()],
    }
    for name, rows in tables.items():
        if any(text in (row if isinstance(row, bytes) else repr(row).encode()) for row in rows):
            yield name
    from ray._raylet import GcsClient

    kept = GcsClient(address=cluster.address)
    for namespace in (None, b"cluster", b"job", b"fun", b"session", b"serve"):
        for key in kept.internal_kv_keys(b"", namespace):
            if text in key or text in (kept.internal_kv_get(key, namespace) or b""):
                yield f"{key!r} in {namespace!r}"


if __name__ == "__main__":
    if sys.argv[1] == "nodes":
        _serve()
    else:
        asyncio.run(_play(json.loads(sys.argv[2])))

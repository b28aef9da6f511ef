"""What the benchmarks share: an endpoint of few lines in a process of its own, items, both sides of a call, figures.

    python benchmarks/common.py [LATENCY_S]

serves that endpoint and prints its port. It answers every POST alike, LATENCY_S after it came; `GET /stats` returns the
most requests in flight, those served and when each was answered, and begins to count anew.
"""

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import uvloop
from openai.types.chat import ChatCompletion

from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Candidate, Item
from fellowship.protocols.models import ModelCall, Tier
from fellowship.runtime.models import Endpoint, lean
from fellowship.runtime.models.admission import Admissions
from fellowship.runtime.session import Access, Limits
from fellowship.scenarios import Plan, Settings, load, plan, play
from fellowship.scenarios.run import Items

MODEL = "bench/m"
TEXT = "The sky looks blue because short waves are scattered more than long ones. " * 8
ANSWER = json.dumps({"reason": "Because it answers the question. " * 6, "score_a": 7, "score_b": 4})
JSON_HEADERS = {"Content-Type": "application/json"}
MEBIBYTE = 1024.0  # getrusage counts KiB, on Linux

ResultT = TypeVar("ResultT")


# the endpoint, in few lines: its own cost must not be what is measured, nor starve the client of its core


def reply(content: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
    return head + content


def completion() -> bytes:
    message = {"role": "assistant", "content": ANSWER}
    whole = {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 60, "total_tokens": 360},
    }  # fmt: skip
    return json.dumps(whole).encode()


class Counts:
    def __init__(self) -> None:
        self.in_flight = 0
        self.begin()

    def begin(self) -> None:
        self.most_in_flight = self.in_flight
        self.answered_s: list[float] = []

    def taken(self) -> bytes:
        found = {"most_in_flight": self.most_in_flight, "served": len(self.answered_s), "answered_s": self.answered_s}
        self.begin()
        return json.dumps(found).encode()


class Answering(asyncio.Protocol):
    REPLY = reply(completion())

    def __init__(self, latency_s: float, counts: Counts) -> None:
        self.latency_s = latency_s
        self.counts = counts
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            if head.startswith(b"GET "):
                self.transport.write(reply(self.counts.taken()))
            else:
                self.serve()

    def serve(self) -> None:
        counts = self.counts
        counts.in_flight += 1
        counts.most_in_flight = max(counts.most_in_flight, counts.in_flight)
        if self.latency_s:
            self.loop.call_later(self.latency_s, self.answer)
        else:
            self.answer()

    def answer(self) -> None:
        self.counts.in_flight -= 1
        self.counts.answered_s.append(self.loop.time())
        self.transport.write(self.REPLY)


async def serve(latency_s: float) -> None:
    counts = Counts()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(latency_s, counts), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass(frozen=True)
class Stats:
    """What the endpoint saw since it was asked before."""

    most_in_flight: int
    served: int
    answered_s: list[float]
    """When each request was answered, on its own clock."""

    def steady_rate(self) -> float:
        """Return answers a second between the end of the first quarter of the answers and that of the third."""
        quarter = len(self.answered_s) // 4
        return 2 * quarter / (self.answered_s[3 * quarter] - self.answered_s[quarter])


class Server:
    def __init__(self, port: str) -> None:
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.url = f"{self.base_url}/chat/completions"

    def stats(self) -> Stats:
        """Return what was seen since the last time; blocks, so ask between measurements."""
        with urllib.request.urlopen(f"{self.base_url}/stats") as response:  # noqa: S310 - our own server
            return Stats(**json.loads(response.read()))


@contextmanager
def serving(latency_s: float = 0.0) -> Iterator[Server]:
    """Start the endpoint in a process of its own; kill it when the block ends, however it ends."""
    command = [sys.executable, __file__, str(latency_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Server(process.stdout.readline().strip())
        finally:
            process.kill()


# both sides


def item(number: int) -> Item:
    return Item(
        id=ItemId(str(number)),
        prompt=f"Why is the sky blue, in {number} words?",
        candidates=(Candidate(slot="a", text=f"{number} {TEXT}"), Candidate(slot="b", text=f"{TEXT} {number}")),
    )


def items(count: int) -> list[Item]:
    return [item(number) for number in range(count)]


@dataclass(frozen=True)
class Spent:
    """What a measurement took of this process."""

    wall_s: float
    cpu_s: float


class Watch:
    """Measures from its making on."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def spent(self) -> Spent:
        return Spent(time.perf_counter() - self._wall_s, time.process_time() - self._cpu_s)


def judging() -> Plan:
    """Return the plan of the scenario `judge`."""
    scenario, source = load("judge")
    return plan(scenario, source=source, models={"judge": MODEL})


async def fellowship(made: Plan, server: Server, todo: Items, folder: Path, in_flight: int) -> Spent:
    """Play, with everything on: bus, log, results; what was learned of the endpoint before is not known."""
    watch = Watch()
    status = await play(made, todo, folder, settings(server, in_flight))
    spent = watch.spent()
    assert status.done == len(todo), status
    return spent


def settings(server: Server, in_flight: int) -> Settings:
    """Return settings by which nothing is known of the endpoint from before."""
    return Settings(
        limits=Limits(concurrency=in_flight),
        environ={"BENCH_BASE_URL": server.base_url},
        access=Access(admissions=Admissions()),
    )


async def bare(server: Server, bodies: Sequence[bytes], in_flight: int) -> tuple[Spent, list[float]]:
    """Send bodies in a hand-written loop over aiohttp; also returns the seconds of each call."""
    todo = iter(bodies)
    latencies_s: list[float] = []
    watch = Watch()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for body in todo:
                begun_s = time.perf_counter()
                async with session.post(server.url, data=body, headers=JSON_HEADERS) as response:
                    raw = await response.read()
                latencies_s.append(time.perf_counter() - begun_s)
                ChatCompletion.model_validate_json(raw)

        async with asyncio.TaskGroup() as workers:
            for _ in range(in_flight):
                workers.create_task(work())
    return watch.spent(), latencies_s


@contextmanager
def capturing() -> Iterator[list[bytes]]:
    """Collect the very bodies that are sent while the block lasts."""
    bodies: list[bytes] = []
    build = lean.body

    def noting(endpoint: Endpoint, call: ModelCall, tier: Tier, *, stream: bool = False) -> bytes:
        bodies.append(build(endpoint, call, tier, stream=stream))
        return bodies[-1]

    lean.body = noting
    try:
        yield bodies
    finally:
        lean.body = build


# processes and figures


def arguments(*defaults: int) -> list[int]:
    """Return the numbers of the command line, and defaults for those that it leaves out."""
    given = [int(word) for word in sys.argv[1:] if not word.startswith("--")]
    return given + list(defaults[len(given) :])


def run(main: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a coroutine, with --uvloop on the command line under uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if "--uvloop" in sys.argv else None) as runner:
        return runner.run(main)


def loop_name() -> str:
    return "uvloop" if "--uvloop" in sys.argv else "asyncio"


def apart(*words: str) -> dict[str, Any]:
    """Run the script in a process of its own, with `--apart` and these words; returns what it reports."""
    flags = [word for word in sys.argv[1:] if word.startswith("--")]
    command = [sys.executable, sys.argv[0], "--apart", *words, *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def told_apart() -> list[str] | None:
    """Return the words that `apart` told this process; none where a user has started it."""
    words = sys.argv[1:]
    return [word for word in words[1:] if not word.startswith("--")] if words[:1] == ["--apart"] else None


def report(**facts: float) -> None:
    """Say what was found, to the process that started this one, and the peak of this process's resident memory.

    A child's peak is at least its parent's size at its start, on Linux; the parents here do nothing but start children.
    """
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEBIBYTE
    print(json.dumps({**facts, "peak_mib": peak_mib}))


def middle(values: Sequence[float], form: str = "6.0f", unit: str = "us") -> str:
    """Return median, min and max in words."""
    low, high = format(min(values), form).strip(), format(max(values), form).strip()
    return f"{statistics.median(values):{form}} {unit} ({low} to {high})"


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))

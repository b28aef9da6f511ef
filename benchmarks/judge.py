"""What a judge call costs: the CPU of `play` a call beside a hand-written aiohttp loop, in the same run.

Both send the same requests to the same zero-latency endpoint in another process and validate the same response model.
The endpoint's CPU is not counted. The two take turns; medians and the ratio of the medians are printed.

    python benchmarks/judge.py [ITEMS] [REPETITIONS]
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from openai.types.chat import ChatCompletion

from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Candidate, Item
from fellowship.protocols.models import ModelCall, Tier
from fellowship.runtime.models import Endpoint, lean
from fellowship.runtime.session import Limits
from fellowship.scenarios import Settings, load, plan, play

IN_FLIGHT = 256
ANSWER = json.dumps({"reason": "Because it answers the question. " * 6, "score_a": 7, "score_b": 4})
# A server of few lines: its own cost must not be what is measured, nor starve the client of its core.
SERVER = f"""
import asyncio, json
ANSWER = {ANSWER!r}
BODY = json.dumps({{
    "id": "x", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{{"index": 0, "finish_reason": "stop", "message": {{"role": "assistant", "content": ANSWER}}}}],
    "usage": {{"prompt_tokens": 300, "completion_tokens": 60, "total_tokens": 360}},
}}).encode()
REPLY = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(BODY) + BODY

class Endpoint(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""
    def data_received(self, data):
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\\r\\n\\r\\n")
            if not found:
                return
            length = int(head.lower().partition(b"content-length:")[2].split(b"\\r\\n")[0])
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            self.transport.write(REPLY)

async def main():
    server = await asyncio.get_running_loop().create_server(Endpoint, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def items(count: int) -> list[Item]:
    text = "The sky looks blue because short waves are scattered more than long ones. " * 8
    return [
        Item(
            id=ItemId(str(number)),
            prompt=f"Why is the sky blue, in {number} words?",
            candidates=(Candidate(slot="a", text=f"{number} {text}"), Candidate(slot="b", text=f"{text} {number}")),
        )
        for number in range(count)
    ]


async def bare(url: str, bodies: list[bytes]) -> float:
    """Return the CPU seconds of sending these bodies, IN_FLIGHT at once."""
    todo = iter(bodies)
    begun = time.process_time()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for body in todo:
                async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
                    ChatCompletion.model_validate_json(await response.read())

        async with asyncio.TaskGroup() as workers:
            for _ in range(IN_FLIGHT):
                workers.create_task(work())
    return time.process_time() - begun


async def whole(base_url: str, todo: list[Item], folder: Path) -> float:
    """Return the CPU seconds of a run, log and results and all."""
    scenario, source = load("judge")
    made = plan(scenario, source=source, models={"judge": "bench/m"})
    environ = {"BENCH_BASE_URL": base_url}
    begun = time.process_time()
    status = await play(made, todo, folder, Settings(environ=environ, limits=Limits(concurrency=IN_FLIGHT)))
    seconds = time.process_time() - begun
    assert status.done == len(todo), status
    return seconds


async def captured(base_url: str, todo: list[Item], folder: Path) -> list[bytes]:
    """Return the very bodies that a run sends."""
    bodies: list[bytes] = []
    build = lean.body

    def noting(endpoint: Endpoint, call: ModelCall, tier: Tier) -> bytes:
        bodies.append(build(endpoint, call, tier))
        return bodies[-1]

    lean.body = noting
    try:
        await whole(base_url, todo, folder)
    finally:
        lean.body = build
    return bodies


@contextmanager
def killing(server: "subprocess.Popen[str]") -> Iterator[None]:
    """Kill the server when the block ends, however it ends."""
    try:
        yield
    finally:
        server.kill()


async def main(count: int, repetitions: int) -> None:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server, killing(server):
        base_url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        todo = items(count)
        ours: list[float] = []
        theirs: list[float] = []
        with tempfile.TemporaryDirectory() as folder:  # this warms up, too
            bodies = await captured(base_url, todo, Path(folder) / "run")
        for _ in range(repetitions):
            with tempfile.TemporaryDirectory() as folder:
                ours.append(1e6 * await whole(base_url, todo, Path(folder) / "run") / count)
            theirs.append(1e6 * await bare(f"{base_url}/chat/completions", bodies) / count)
    print(f"{count} judge calls, {IN_FLIGHT} in flight, {repetitions} repetitions, CPU a call (median, min to max):")
    for name, values in (("fellowship, logged", ours), ("bare aiohttp loop", theirs)):
        print(f"  {name:20} {statistics.median(values):6.0f} us   ({min(values):.0f} to {max(values):.0f})")
    print(f"  ratio of medians     {statistics.median(ours) / statistics.median(theirs):6.2f}")


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    asyncio.run(main(*(arguments + [2000, 5][len(arguments) :])))

"""What a judge call costs: the CPU of `play` a call beside hand-written loops over aiohttp and the openai client.

All three send the same requests to the same zero-latency endpoint in another process and validate the same response
model. The endpoint's CPU is not counted. They take turns; medians and the ratios of the medians are printed.

    python benchmarks/judge.py [ITEMS] [REPETITIONS] [--uvloop]
"""

import asyncio
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import (
    Server,
    Watch,
    arguments,
    bare,
    capturing,
    fellowship,
    items,
    judging,
    loop_name,
    middle,
    run,
    serving,
)
from openai import AsyncOpenAI, DefaultAioHttpClient

from fellowship.protocols.items import Item

IN_FLIGHT = 256
GOALS = {"bare aiohttp loop": 1.75, "openai client": 0.25}


async def openai_client(server: Server, bodies: Sequence[bytes]) -> float:
    """Return the CPU seconds of sending these bodies through the openai client, IN_FLIGHT at once."""
    todo = iter([json.loads(body) for body in bodies])
    client = AsyncOpenAI(base_url=server.base_url, api_key="sk-none", max_retries=0, http_client=DefaultAioHttpClient())
    watch = Watch()
    async with client:

        async def work() -> None:
            body: dict[str, Any]
            for body in todo:
                await client.chat.completions.create(**body)

        async with asyncio.TaskGroup() as workers:
            for _ in range(IN_FLIGHT):
                workers.create_task(work())
    return watch.spent().cpu_s


async def whole(server: Server, todo: list[Item]) -> float:
    """Return the CPU seconds of a run, log and results and all."""
    with tempfile.TemporaryDirectory() as folder:
        return (await fellowship(judging(), server, todo, Path(folder) / "run", IN_FLIGHT)).cpu_s


async def main(count: int, repetitions: int) -> None:
    found: dict[str, list[float]] = {"fellowship, logged": [], **{name: [] for name in GOALS}}
    with serving() as server:
        todo = items(count)
        with capturing() as bodies:  # this warms up, too
            await whole(server, todo)
        await openai_client(server, bodies[:IN_FLIGHT])
        for _ in range(repetitions):
            found["fellowship, logged"].append(await whole(server, todo))
            found["bare aiohttp loop"].append((await bare(server, bodies, IN_FLIGHT))[0].cpu_s)
            found["openai client"].append(await openai_client(server, bodies))
    print(f"{count} judge calls, {IN_FLIGHT} in flight, {repetitions} repetitions, {loop_name()}; CPU a call:")
    for name, values in found.items():
        print(f"  {name:20} {middle([1e6 * seconds / count for seconds in values])}")
    ours = statistics.median(found["fellowship, logged"])
    for name, goal in GOALS.items():
        print(f"  over the {name:18} {ours / statistics.median(found[name]):5.2f}   goal: at most {goal}")


if __name__ == "__main__":
    run(main(*arguments(2000, 5)))

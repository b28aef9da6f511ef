"""What the SDK transport costs: the CPU of a call beside a bare loop over the openai client, in the same run.

Both ask the same zero-latency endpoint in another process, whose CPU is not counted, over the SDK's own aiohttp
transport; the lean transport goes beside them. They take turns; medians are printed, and each over the bare loop's.

    python benchmarks/sdk.py [CALLS] [REPETITIONS] [--uvloop]
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from common import ANSWER, TEXT, arguments, run, serving
from openai import AsyncOpenAI, DefaultAioHttpClient

from fellowship.protocols.models import ChatMessage, ModelCall, ModelSettings
from fellowship.runtime.models import Endpoint
from fellowship.runtime.models.lean import LeanTransport
from fellowship.runtime.models.sdk import SdkTransport
from fellowship.runtime.models.wire import Transport

IN_FLIGHT = 64
HISTORIES = (2, 32)
Asking = Callable[[], Awaitable[str]]


def dialogue(messages: int) -> ModelCall:
    said = (ChatMessage("assistant" if number % 2 else "user", f"{number} {TEXT}") for number in range(messages))
    return ModelCall(ModelSettings(model="bench/m", seed=1), tuple(said))


def bare(client: AsyncOpenAI, call: ModelCall) -> Asking:
    messages: Any = [{"role": message.role, "content": message.content} for message in call.messages]

    async def ask() -> str:
        reply = await client.chat.completions.create(model="m", messages=messages, temperature=0.0, seed=1)
        return reply.choices[0].message.content or ""

    return ask


def ours(transport: Transport, endpoint: Endpoint, call: ModelCall) -> Asking:
    async def ask() -> str:
        return (await transport.send(endpoint, call, "text")).completion.text

    return ask


async def cpu_us(ask: Asking, calls: int) -> float:
    """Return the CPU microseconds a call, IN_FLIGHT at once."""
    todo = iter(range(calls))

    async def work() -> None:
        for _ in todo:
            assert await ask() == ANSWER

    begun = time.process_time()
    async with asyncio.TaskGroup() as workers:
        for _ in range(IN_FLIGHT):
            workers.create_task(work())
    return 1e6 * (time.process_time() - begun) / calls


async def measure(base_url: str, calls: int, repetitions: int) -> None:
    endpoint = Endpoint("bench/m", "m", base_url, key="sk-none")
    async with (
        AsyncOpenAI(base_url=base_url, api_key="sk-none", max_retries=0, http_client=DefaultAioHttpClient()) as client,
        SdkTransport() as sdk,
        LeanTransport() as lean,
    ):
        print(f"CPU a call, {calls} calls, {IN_FLIGHT} in flight, {repetitions} repetitions (median, min to max):")
        for history in HISTORIES:
            call = dialogue(history)
            ways = {
                "bare openai loop": bare(client, call),
                "SDK transport": ours(sdk, endpoint, call),
                "lean transport": ours(lean, endpoint, call),
            }
            found: dict[str, list[float]] = {name: [] for name in ways}
            for ask in ways.values():
                await cpu_us(ask, IN_FLIGHT)  # connections, caches
            for _ in range(repetitions):
                for name, ask in ways.items():
                    found[name].append(await cpu_us(ask, calls))
            first = statistics.median(found["bare openai loop"])
            print(f"  {history} messages")
            for name, values in found.items():
                middle = statistics.median(values)
                print(
                    f"    {name:18} {middle:6.0f} us   ({min(values):.0f} to {max(values):.0f})   {middle / first:.2f}"
                )


async def main(calls: int, repetitions: int) -> None:
    with serving() as server:
        await measure(server.base_url, calls, repetitions)


if __name__ == "__main__":
    run(main(*arguments(500, 5)))

"""What history costs: the CPU of a call that carries 32 messages beside one that carries 2.

Each agent leads a dialogue of its own, as the roles of scenarios do: a system message and a request, then the answer
and a further request after all that was said, up to 32 messages. All agents go forward together, so that a stage is
CONVERSATIONS calls of one length. Of a stage, the CPU of this process is counted until its last answer is in the log:
bus, model access, transport and log, against the zero-latency endpoint in another process. Agents are made and
connections opened before.

The bare loop sends the same messages with orjson and aiohttp, holds all dialogues in lists, and takes turns with it.
Growth is taken within each repetition.

    python benchmarks/history.py [CONVERSATIONS] [REPETITIONS] [--uvloop]
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import aiohttp
import orjson
from common import JSON_HEADERS, MODEL, TEXT, Server, Watch, arguments, loop_name, middle, run, serving
from openai.types.chat import ChatCompletion

from fellowship.agents.dialogue import Dialogue
from fellowship.protocols.identity import ConversationId
from fellowship.protocols.messages import Command, Fact
from fellowship.protocols.models import ModelSettings
from fellowship.protocols.ports import Context
from fellowship.runtime.session import Limits, open_session

IN_FLIGHT = 256
LENGTHS = tuple(range(2, 33, 2))
SHOWN = (2, 8, 16, 32)
GOAL = 1.2
SETTINGS = ModelSettings(model=MODEL)
Asking = Callable[[int, int], Awaitable[object]]
"""Goes forward in a conversation, by number, to a length."""


class Said(Fact):
    kind: Literal["said"] = "said"


class GoOn(Command[Said]):
    wants: ClassVar[type[Fact]] = Said
    kind: Literal["go_on"] = "go_on"
    request: str
    """What to ask; nothing where the agent has only to be there."""


class Talker:
    def __init__(self, number: int) -> None:
        self._dialogue = Dialogue()
        self._dialogue.open(f"{number} {TEXT}")

    async def handle(self, message: GoOn, context: Context) -> None:
        if message.request:
            await self._dialogue.text(context.model, SETTINGS, message.request, str)
        await context.emit(Said())


def request(number: int, length: int) -> str:
    return f"{number} {length} {TEXT}"


async def stage(ask: Asking, length: int, numbers: Iterable[int]) -> float:
    """Return the CPU seconds in which these conversations go forward to a length, IN_FLIGHT at once."""
    todo = iter(numbers)

    async def work() -> None:
        for number in todo:
            await ask(number, length)

    watch = Watch()
    async with asyncio.TaskGroup() as workers:
        for _ in range(IN_FLIGHT):
            workers.create_task(work())
    return watch.spent().cpu_s


async def stages(ask: Asking, conversations: int) -> list[float]:
    await stage(ask, LENGTHS[0], range(conversations, conversations + IN_FLIGHT))  # opens connections
    return [await stage(ask, length, range(conversations)) for length in LENGTHS]


async def fellowship(server: Server, conversations: int) -> list[float]:
    environ = {"BENCH_BASE_URL": server.base_url}
    async with AsyncExitStack() as stack:
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run.db"
        opening = open_session(log, [SETTINGS], environ=environ, limits=Limits(concurrency=IN_FLIGHT), seed=0)
        session = await stack.enter_async_context(opening)
        talks = [
            await stack.enter_async_context(
                session.system.conversation(ConversationId(str(number)), {"talker": partial(Talker, number)})
            )
            for number in range(conversations + IN_FLIGHT)
        ]
        for talk in talks:
            await talk.ask("talker", GoOn(request=""))

        async def ask(number: int, length: int) -> None:
            await talks[number].ask("talker", GoOn(request=request(number, length)))

        return await stages(ask, conversations)


async def bare(server: Server, conversations: int) -> list[float]:
    dialogues = [[{"role": "system", "content": f"{number} {TEXT}"}] for number in range(conversations + IN_FLIGHT)]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(number: int, length: int) -> None:
            dialogue = dialogues[number]
            dialogue.append({"role": "user", "content": request(number, length)})
            body = orjson.dumps({"model": "m", "messages": dialogue, "temperature": 0.0})
            async with session.post(server.url, data=body, headers=JSON_HEADERS) as response:
                answer = ChatCompletion.model_validate_json(await response.read()).choices[0].message.content or ""
            dialogue.append({"role": "assistant", "content": answer})

        return await stages(ask, conversations)


async def main(conversations: int, repetitions: int) -> None:
    ways = {"fellowship, logged": fellowship, "bare aiohttp loop": bare}
    found: dict[str, list[list[float]]] = {name: [] for name in ways}
    with serving() as server:
        for way in ways.values():
            await way(server, IN_FLIGHT)  # connections, caches
        for _ in range(repetitions):
            for name, way in ways.items():
                found[name].append(await way(server, conversations))
    print(f"{conversations} dialogues, {IN_FLIGHT} in flight, {repetitions} repetitions, {loop_name()}; CPU a call:")
    for name, runs in found.items():
        print(f"  {name}")
        by_length = dict(zip(LENGTHS, zip(*runs, strict=True), strict=True))
        for length in SHOWN:
            print(
                f"    {length:2} messages  {middle([1e6 * seconds / conversations for seconds in by_length[length]])}"
            )
        growth = [run[-1] / run[0] for run in runs]
        goal = f"; goal: at most {GOAL}" if name.startswith("fellowship") else ""
        print(f"    growth       {middle(growth, '6.2f', 'fold')}{goal}")


if __name__ == "__main__":
    run(main(*arguments(1000, 5)))

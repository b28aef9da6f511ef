"""Messages through the bus: one core, many conversations, each asking its own agent in turn.

An ask is two messages, the command and the fact that answers it; both are logged where there is a log. The logged
figure counts until the last event is committed.

    python benchmarks/bus.py [CONVERSATIONS] [ASKS] [REPETITIONS]
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import ClassVar, Literal

from fellowship.protocols.identity import ConversationId
from fellowship.protocols.messages import Command, Fact
from fellowship.protocols.ports import Context, EventLog
from fellowship.runtime.log import NoLog, open_log
from fellowship.runtime.system import ActorSystem


class Answered(Fact):
    kind: Literal["answered"] = "answered"


class AskThing(Command[Answered]):
    wants: ClassVar[type[Fact]] = Answered
    kind: Literal["ask_thing"] = "ask_thing"


class Echo:
    async def handle(self, message: AskThing, context: Context) -> None:  # noqa: ARG002 - there is but one
        await context.emit(Answered())


async def talk(log: EventLog, conversations: int, asks: int) -> None:
    system = ActorSystem(log)

    async def one(number: int) -> None:
        async with system.conversation(ConversationId(str(number)), {"echo": Echo}) as conversation:
            for _ in range(asks):
                await conversation.ask("echo", AskThing())

    async with asyncio.TaskGroup() as all_at_once:
        for number in range(conversations):
            all_at_once.create_task(one(number))


async def main(conversations: int, asks: int, repetitions: int) -> None:
    messages = 2 * conversations * asks
    rates: dict[str, list[float]] = {"unlogged": [], "logged": []}
    for repetition in range(repetitions + 1):
        begun = time.perf_counter()
        await talk(NoLog(), conversations, asks)
        unlogged = time.perf_counter() - begun
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            async with open_log(Path(folder) / "run.db") as log:
                await talk(log, conversations, asks)
            logged = time.perf_counter() - begun
        if repetition:  # the first warms up
            rates["unlogged"].append(messages / unlogged)
            rates["logged"].append(messages / logged)
    print(f"{conversations} conversations of {asks} asks (2 messages each), {repetitions} repetitions, messages/s:")
    for name, values in rates.items():
        print(f"  {name:9} median {statistics.median(values):8,.0f}   ({min(values):,.0f} to {max(values):,.0f})")


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    asyncio.run(main(*(arguments + [1000, 30, 5][len(arguments) :])))

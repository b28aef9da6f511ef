"""Many debates at once: a scenario beside a hand-written aiohttp loop that leads the same debates, at 200 ms latency.

A debate has 3 debaters and 3 rounds, two of arguments and one of ballots (debates.yaml). In a round all three speak at
once; in the next each is told what the two others said, after all that was said to it and by it before: 2, 4, then 6
messages. So on both sides a debate takes three latencies, one after another, and at most 1,000 calls are in flight.

The loop has the same words (it is checked that it would send the very messages), carries each debater's history along,
sends with orjson and aiohttp and validates the same response model; it has no log, no results, no admission. Each side
runs in a process of its own that does nothing else; the peak is that of its resident memory.

    python benchmarks/debates.py [DEBATES] [REPETITIONS] [--uvloop]
"""

import asyncio
import re
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from common import (
    ANSWER,
    JSON_HEADERS,
    Server,
    Watch,
    apart,
    arguments,
    capturing,
    fellowship,
    items,
    loop_name,
    middle,
    report,
    run,
    serving,
    told_apart,
)
from openai.types.chat import ChatCompletion

from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Candidate, Item
from fellowship.scenarios import Plan, load, plan

LATENCY_S = 0.2
IN_FLIGHT = 1000
DEBATERS = ("one", "two", "three")
ROUNDS = 3
CALLS = len(DEBATERS) * ROUNDS
MARK = re.compile(r"(?<=request|.answer)-[0-9a-f]{6}")
PLACES = ("<request>", "<first>", "<second>")
SCENARIO = Path(__file__).with_name("debates.yaml")
Sending = Callable[[dict[str, Any]], Awaitable[str]]


def debating() -> Plan:
    scenario, source = load(str(SCENARIO))
    return plan(scenario, source=source)


@dataclass(frozen=True)
class Words:
    """What a debater is told: by the scenario's prompts, with places for what differs."""

    bodies: tuple[dict[str, Any], ...]
    """The request of each round, less its messages."""
    system: str
    opening: str
    endings: tuple[str, ...]
    """What follows on the turns of the others, in each round."""

    def open(self, item: Item) -> str:
        texts = (item.prompt, *(candidate.text for candidate in item.candidates))
        opening = self.opening
        for place, text in zip(PLACES, texts, strict=True):
            opening = opening.replace(place, text)
        return opening


async def words(server: Server) -> Words:
    """Return the words, as one debate about places for words says them."""
    request, first, second = PLACES
    candidates = (Candidate(slot="a", text=first), Candidate(slot="b", text=second))
    sample = Item(id=ItemId("sample"), prompt=request, candidates=candidates)
    sent = await sent_by_fellowship(server, sample)
    bodies = [orjson.loads(raw) for raw in sent[:: len(DEBATERS)]]
    messages = [body.pop("messages") for body in bodies]
    system, opening = (message["content"] for message in messages[0])
    endings = tuple(told[-1]["content"].rpartition("</turn>\n\n")[2] for told in messages)
    return Words(tuple(bodies), system, opening, endings)


async def sent_by_fellowship(server: Server, item: Item) -> list[bytes]:
    with capturing() as bodies, tempfile.TemporaryDirectory() as folder:
        await fellowship(debating(), server, [item], Path(folder) / "run", IN_FLIGHT)
    return bodies


async def debate(item: Item, said: Words, send: Sending) -> None:
    """Lead one debate by hand."""
    system = {"role": "system", "content": said.system}
    dialogues: dict[str, list[dict[str, str]]] = {name: [system] for name in DEBATERS}
    opening = said.open(item)
    turns: dict[str, str] = {}
    for number in range(ROUNDS):
        for name, dialogue in dialogues.items():
            heard = "".join(f'<turn by="{by}">\n{text}\n</turn>\n\n' for by, text in turns.items() if by != name)
            told = opening if number == 0 else f"{heard}{said.endings[number]}"
            dialogue.append({"role": "user", "content": told})
        async with asyncio.TaskGroup() as speaking:
            answers = {
                name: speaking.create_task(send({**said.bodies[number], "messages": dialogue}))
                for name, dialogue in dialogues.items()
            }
        for name, answer in answers.items():
            turns[name] = answer.result()
            dialogues[name].append({"role": "assistant", "content": turns[name]})


async def by_hand(server: Server, said: Words, todo: Iterable[Item]) -> None:
    """Lead all debates: as many begun at once as calls may be in flight, as in a run of the fellowship."""
    remaining = iter(todo)
    may_send = asyncio.Semaphore(IN_FLIGHT)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def send(body: dict[str, Any]) -> str:
            async with may_send, session.post(server.url, data=orjson.dumps(body), headers=JSON_HEADERS) as response:
                raw = await response.read()
            return ChatCompletion.model_validate_json(raw).choices[0].message.content or ""

        async def work() -> None:
            for item in remaining:
                await debate(item, said, send)

        async with asyncio.TaskGroup() as workers:
            for _ in range(IN_FLIGHT):
                workers.create_task(work())


async def prove_same(server: Server, said: Words) -> None:
    """Check that both sides send the very same bodies about an item, but for the mark around its texts."""
    [item] = items(1)
    theirs = await sent_by_fellowship(server, item)
    ours: list[bytes] = []

    async def send(body: dict[str, Any]) -> str:
        ours.append(orjson.dumps(body))
        return ANSWER

    await debate(item, said, send)
    plain = [[orjson.loads(MARK.sub("-mark", raw.decode())) for raw in bodies] for bodies in (ours, theirs)]
    assert plain[0] == plain[1], plain
    assert len(ours) == CALLS


async def side(name: str, port: str, count: str) -> None:
    """Be one side, in a process of its own."""
    server = Server(port)
    todo = items(int(count))
    if name == "by hand":
        said = await words(server)
        await prove_same(server, said)
        server.stats()
        watch = Watch()
        await by_hand(server, said, todo)
        spent = watch.spent()
    else:
        await sent_by_fellowship(server, todo[0])  # templates, schemas, connections: both sides are warm
        server.stats()
        with tempfile.TemporaryDirectory() as folder:
            spent = await fellowship(debating(), server, todo, Path(folder) / "run", IN_FLIGHT)
    stats = server.stats()
    assert stats.served == CALLS * len(todo), stats.served
    report(wall_s=spent.wall_s, cpu_s=spent.cpu_s, most_in_flight=stats.most_in_flight)


def main(count: int, repetitions: int) -> None:
    found: dict[str, list[dict[str, float]]] = {"fellowship": [], "by hand": []}
    with serving(LATENCY_S) as server:
        for _ in range(repetitions):
            for name, figures in found.items():
                figures.append(apart(name, server.port, str(count)))
    calls = CALLS * count
    least_s = max(ROUNDS * LATENCY_S, calls * LATENCY_S / IN_FLIGHT)
    print(f"{count} debates, {calls} calls of {1000 * LATENCY_S:.0f} ms, {IN_FLIGHT} in flight at most, {loop_name()}")
    print(f"{repetitions} repetitions; {least_s:.1f} s at the least")
    for name, figures in found.items():
        wall_s, cpu_s, peak_mib, most = (
            [figure[key] for figure in figures] for key in ("wall_s", "cpu_s", "peak_mib", "most_in_flight")
        )
        print(f"  {name}")
        print(f"    wall       {middle(wall_s, '6.2f', 's')}")
        print(f"    CPU a call {middle([1e6 * seconds / calls for seconds in cpu_s])}")
        print(f"    peak       {middle(peak_mib, '6.0f', 'MiB')}{'   goal: under 250' if name == 'fellowship' else ''}")
        print(f"    in flight  {middle(most, '6,.0f', 'at most')}")
    ratio, cpu_ratio = (
        statistics.median(figure[key] for figure in found["fellowship"])
        / statistics.median(figure[key] for figure in found["by hand"])
        for key in ("wall_s", "cpu_s")
    )
    print(f"  fellowship over by hand: wall {ratio:.2f} (goal: 1.5, aim: 1.1), CPU {cpu_ratio:.2f}")


if __name__ == "__main__":
    if (told := told_apart()) is not None:
        run(side(*told))
    else:
        main(*arguments(2000, 3))

"""What the driver of a cluster holds of every item, found by filling its structures; each in a process of its own."""

import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Awaitable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from cluster_costs import charter_of
from common import item

from fellowship.protocols.identity import ItemId
from fellowship.runtime.cluster.bank import BankState
from fellowship.runtime.cluster.relay import FIRST
from fellowship.runtime.log import open_log
from fellowship.runtime.models.budget import Reservation
from fellowship.runtime.models.endpoints import Endpoint
from fellowship.runtime.tracing import scope
from fellowship.scenarios import Progress
from fellowship.scenarios.cluster.crew import Crew
from fellowship.scenarios.cluster.parcels import Answer, Charter, Order, Place, Welcome
from fellowship.scenarios.cluster.workload import Workload
from fellowship.scenarios.cluster.yard import Hand
from fellowship.scenarios.directory import Earlier
from fellowship.scenarios.player import Tally
from fellowship.scenarios.stage import Todo

SIZES = {"ended": (100_000, 1_000_000), "checked": (100_000, 1_000_000), "played": (2_000, 12_000)}
"""Items, twice: growth from the one to the other is the figure."""
WORDS = {
    "ended": "going on: ids of items that have an outcome (`Earlier.ended`)",
    "checked": "at the start: ids, to find those that are there twice",
    "played": "playing: progress, crew, intake, log",
}
PAGE = os.sysconf("SC_PAGE_SIZE")


class Mute:
    """A worker in this process whose items end as soon as they are begun."""

    def __init__(self) -> None:
        self._next = FIRST

    async def place(self) -> Place:
        return Place("node", "127.0.0.1", "here", os.getpid(), version("llm-fellowship"), 0.0)

    def run(self, charter: Charter, welcome: Welcome) -> Awaitable[None]:
        del charter, welcome
        return asyncio.sleep(0)

    async def exchange(self, order: Order) -> Answer:
        rows = Answer().rows
        for work in order.works:
            name = f"{work.item.id}~1"
            for kind, body in (("item_opened", "{}"), ("item_finished", '{"verdict":"a"}')):
                rows.append((self._next, name, None, "conductor", "", kind, body, 0.0, 1, None))
                self._next += 1
        return Answer(rows=rows, room=100)

    async def dismiss(self) -> None:
        pass


class Yard:
    """Has one."""

    async def hire(self, name: str) -> Hand:
        del name
        return Mute()

    async def engines(self, place: Place) -> Mapping[str, Endpoint]:
        del place
        return {}

    async def bank(self) -> BankState:
        return BankState((), 0.0, 0)

    async def bury(self, name: str) -> Reservation:
        raise AssertionError(name)


def todo(count: int) -> Iterator[Todo]:
    return ((number, item(number), None) for number in range(count))


async def played(count: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        async with open_log(Path(folder) / "run.db") as log:
            progress = Progress(count)
            tally = Tally(progress, scope())
            workload = Workload(todo(count), log, progress, tally)
            await Crew(Yard(), charter_of(log), log, workload, progress, tally).play(1)
            assert progress.done == count
            gc.collect()
            return tracemalloc.get_traced_memory()[0]  # of resident memory most is SQLite's cache, which has a bound


def ended(count: int) -> int:
    earlier = Earlier()
    for number in range(count):
        earlier.ended[ItemId(f"item-{number}")] = number.to_bytes(8, "big")
    return resident()


def checked(count: int) -> int:
    ids = {f"item-{number}": number for number in range(count)}
    assert len(ids) == count
    return resident()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def child(what: str, count: int) -> None:
    if what == "played":
        asyncio.run(played(100))  # what is made once
        tracemalloc.start()
        print(asyncio.run(played(count)))
        return
    before = resident()
    print({"ended": ended, "checked": checked}[what](count) - before)


def held(what: str) -> float:
    """Return the bytes that an item takes."""
    few, many = SIZES[what]
    grown: list[int] = []
    for count in (few, many):
        code = f"import cluster_memory; cluster_memory.child({what!r}, {count})"
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, env=environ)
        grown.append(int(done.stdout.splitlines()[-1]))
    return (grown[1] - grown[0]) / (many - few)

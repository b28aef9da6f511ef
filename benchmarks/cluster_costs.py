"""What the driver, the log and the bank of a cluster spend: by how much is told at once, over Ray.

The driver is the real one (`Crew`) over workers that say prepared events as fast as they are asked, so that nothing but
its own work is in the figures. The bank is the real one in a process of its own; its requests are counted, not sent.
Costs are of the processor, in microseconds; they are fitted as so much a message and so much for each thing in it.
"""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from cluster_bank import LEAST, leased_us, report_us
from clustered import made, start_ray
from common import fellowship, item, items, run, serving

from fellowship.runtime.cluster.bank import BankState
from fellowship.runtime.cluster.relay import FIRST
from fellowship.runtime.log import SqliteLog, open_log
from fellowship.runtime.log.scribe import Row
from fellowship.runtime.models.budget import Reservation
from fellowship.runtime.models.endpoints import Endpoint
from fellowship.runtime.models.prices import PriceTable
from fellowship.runtime.session import Limits
from fellowship.runtime.tracing import scope
from fellowship.scenarios import Progress
from fellowship.scenarios.cluster import rays
from fellowship.scenarios.cluster.crew import Crew
from fellowship.scenarios.cluster.parcels import Answer, Charter, Order, Place, Welcome, Work
from fellowship.scenarios.cluster.workload import Workload
from fellowship.scenarios.cluster.yard import Hand
from fellowship.scenarios.player import Tally

EVENTS = (1, 16, 64, 256)
WANTS = (1, 16, 64)
TOLD = 2_000
"""Events that are told, in all, of each size; and no fewer than LEAST messages."""
GROUPED = 20_000
MANY = 100_000

SCENARIO = "debate"
CALLED = "model_called"
TEXTS = {"a": 1_000, "b": 2_000}
"""Characters that come with each call of the prepared debates, its answer and what is new in its prompt; none twice."""


@dataclass(frozen=True)
class Line:
    """A cost: so much a message, and so much for each thing in it."""

    fixed_us: float
    each_us: float

    def us(self, size: float) -> float:
        return self.fixed_us + self.each_us * size

    @classmethod
    def through(cls, sizes: Iterable[int], costs_us: Iterable[float]) -> "Line":
        """Fit relative errors: a message of one counts as much as one of hundreds."""
        x, y = np.array(list(sizes), float), np.array(list(costs_us), float)
        rows = np.stack([1 / y, x / y], axis=1)
        fixed, each = np.linalg.lstsq(rows, np.ones(len(y)), rcond=None)[0]
        return cls(max(0.0, float(fixed)), max(0.0, float(each)))


# the driver


def template(folder: Path) -> list[Row]:
    """Return the events of one debate; causes are places in this list."""
    with sqlite3.connect(folder / "run" / "run.db") as connection:
        found = list(connection.execute("SELECT * FROM events WHERE conversation = '0~1' ORDER BY sequence"))
    places = {row[0]: place for place, row in enumerate(found)}
    return [(place, row[1], places.get(row[2]), *row[3:]) for place, row in enumerate(found)]


async def recorded() -> tuple[list[Row], int]:
    """Play some debates; returns the events of one, and what one takes on disk in bytes."""
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        await fellowship(made(SCENARIO), server, items(100), Path(folder) / "run", 64)
        return template(Path(folder)), (Path(folder) / "run" / "run.db").stat().st_size // 100


def texts_of(row: Row) -> list[tuple[str, str]]:
    """Return the texts that came with an event: those of a call, each another one."""
    if row[5] != CALLED:
        return []
    return [(f"{kind}{row[0]:0>63x}", f"{row[0]} {kind} ".ljust(size, "x")) for kind, size in TEXTS.items()]


class Parrot:
    """A worker that says the same of every item, so many events at a time, as soon as it is asked."""

    def __init__(self, rows: list[Row], size: int) -> None:
        self._rows = rows
        self._size = size
        self._room = max(8, 4 * size // len(rows))
        self._said: list[Row] = []
        self._told = 0
        self._next = FIRST
        self._released = asyncio.Event()

    async def place(self) -> Place:
        return Place("node", "127.0.0.1", "here", os.getpid(), version("llm-fellowship"), time.time())

    async def run(self, charter: Charter, welcome: Welcome, bank: object) -> None:
        del charter, welcome, bank
        await self._released.wait()

    async def exchange(self, order: Order) -> Answer:
        if order.leave:
            self._released.set()
        del self._said[: self._told]
        for work in order.works:
            self._say(work)
        told = self._said[: self._size]
        self._told = len(told)
        texts = [text for row in told for text in texts_of(row)]
        return Answer(rows=told, texts=texts, room=max(0, self._room - len(self._said) // len(self._rows)), playing=1)

    def _say(self, work: Work) -> None:
        first, name = self._next, f"{work.item.id}~1"
        for place, _, cause, *rest in self._rows:
            self._said.append((first + place, name, cause if cause is None else first + cause, *rest))
        self._next += len(self._rows)


class ParrotYard:
    """Has parrots for workers."""

    def __init__(self, rows: list[Row], size: int) -> None:
        self._rows = rows
        self._size = size
        self.spent_s = self.main_s = self.wall_s = 0.0

    async def hire(self, name: str) -> Hand:
        del name
        actor = rays.ray().remote(Parrot).options(num_cpus=0, max_concurrency=8).remote(self._rows, self._size)
        await actor.place.remote()
        self._begin()
        return rays.RayHand(actor, rays.RayBank(None))

    def _begin(self) -> None:
        self.spent_s, self.main_s, self.wall_s = time.process_time(), time.thread_time(), time.perf_counter()

    def end(self) -> None:
        """Note what was spent since the last worker came."""
        self.spent_s = time.process_time() - self.spent_s
        self.main_s = time.thread_time() - self.main_s
        self.wall_s = time.perf_counter() - self.wall_s

    async def engines(self, place: Place) -> Mapping[str, Endpoint]:
        del place
        return {}

    async def bank(self) -> BankState:
        return BankState((), 0.0, 0)

    async def bury(self, name: str) -> Reservation:
        raise AssertionError(name)


def charter_of(log: SqliteLog) -> Charter:
    return Charter(
        run=log.run, directory="", record={}, plugins={}, files={}, seed=0, limits=Limits(), conversations=64,
        way="lean", stream=False, prices=PriceTable({}), cache=False, cache_here=False, addresses={}, salt=b"",
        fit="exact", recorded=False, client=None, least=50,
    )  # fmt: skip


async def exchange_us(rows: list[Row], size: int) -> tuple[float, float]:
    """Return what an exchange costs the driver, its log included: its loop's thread, and the whole process."""
    count = max(2, max(TOLD, LEAST * size) // len(rows))
    yard = await parroted(rows, size, count, 1)
    exchanges = count * len(rows) / size
    return 1e6 * yard.main_s / exchanges, 1e6 * yard.spent_s / exchanges


async def ceiling(rows: list[Row], workers: int) -> float:
    """Return how many events a second the driver takes, at the most."""
    count = MANY // len(rows)
    yard = await parroted(rows, EVENTS[-1], count, workers)
    return count * len(rows) / yard.wall_s


async def parroted(rows: list[Row], size: int, count: int, workers: int) -> "ParrotYard":
    """Have the driver take what is said of so many items; returns what that took."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_log(Path(folder) / "run.db") as log:
            progress = Progress(count)
            yard = ParrotYard(rows, size)
            tally = Tally(progress, scope())
            workload = Workload(((number, item(number), None) for number in range(count)), log, progress, tally)
            await Crew(yard, charter_of(log), log, workload, progress, tally).play(workers)
            assert progress.done == count
            yard.end()
    return yard


async def group_us(rows: list[Row], size: int) -> tuple[float, float, float]:
    """Return what a group of the log costs: the loop's thread, the whole process, and the wall in ms."""
    groups = max(20, min(LEAST, GROUPED // size))
    with tempfile.TemporaryDirectory() as folder:
        async with open_log(Path(folder) / "run.db") as log:
            begun_s, main_s, wall_s = time.process_time(), time.thread_time(), time.perf_counter()
            for group in range(groups):
                for place in range(group * size, group * size + size):
                    row = (FIRST + place, *rows[place % len(rows)][1:])
                    for digest, text in texts_of(row):
                        log.keep(digest, text)
                    last = log.take(row)
                await log.durable(last)
            found = time.process_time() - begun_s, time.thread_time() - main_s, time.perf_counter() - wall_s
    return 1e6 * found[1] / groups, 1e6 * found[0] / groups, 1e3 * found[2] / groups


# all of it


@dataclass(frozen=True)
class Costs:
    """Everything that was found."""

    exchange_main: Line
    """Of the driver's loop."""
    exchange: Line
    """Of the driver's process, its log included."""
    group_main: Line
    """Of the log, on its loop."""
    group: Line
    report: Line
    """Of the bank."""
    report_worker: Line
    events_a_debate: int
    bytes_a_debate: int
    """Of run.db."""


def medians(found: list[tuple[float, ...]]) -> list[float]:
    return [float(np.median(values)) for values in zip(*found, strict=True)]


async def measure(repetitions: int) -> dict[str, Any]:
    rows, size_bytes = await recorded()
    start_ray()
    exchanges: dict[int, list[float]] = {}
    groups: dict[int, list[float]] = {}
    reports: dict[int, list[float]] = {}
    for size in EVENTS:
        exchanges[size] = medians([await exchange_us(rows, size) for _ in range(repetitions)])
        groups[size] = medians([await group_us(rows, size) for _ in range(repetitions)])
    for size in WANTS:
        reports[size] = medians([await report_us(size) for _ in range(repetitions)])
    leased = {
        "256 calls, room for all": await leased_us(256, 512, None),
        "128 calls, 64 in flight": await leased_us(128, 64, None),
        "1,024 calls, 512 in flight": await leased_us(1024, 512, None),
        "1,024 calls, 1,500 requests a second": await leased_us(1024, 1024, 90_000, 8.0),
    }
    costs = Costs(
        exchange_main=Line.through(EVENTS, (exchanges[size][0] for size in EVENTS)),
        exchange=Line.through(EVENTS, (exchanges[size][1] for size in EVENTS)),
        group_main=Line.through(EVENTS, (groups[size][0] for size in EVENTS)),
        group=Line.through(EVENTS, (groups[size][1] for size in EVENTS)),
        report=Line.through(WANTS, (reports[size][0] for size in WANTS)),
        report_worker=Line.through(WANTS, (reports[size][1] for size in WANTS)),
        events_a_debate=len(rows),
        bytes_a_debate=size_bytes,
    )
    found: dict[str, Any] = {"exchanges": exchanges, "groups": groups, "reports": reports, "leased": leased}
    found["ceiling"] = {
        workers: medians([(await ceiling(rows, workers),) for _ in range(repetitions)])[0] for workers in (1, 3)
    }
    return {"costs": asdict(costs), **found, "load": os.getloadavg()[0]}


def child() -> None:
    print(json.dumps(run(measure(int(sys.argv[1])))))


def costs_of(found: dict[str, Any]) -> Costs:
    return Costs(
        **{name: Line(**value) if isinstance(value, dict) else value for name, value in found["costs"].items()}
    )


def measured(repetitions: int) -> dict[str, Any]:
    """Measure in a process of its own: what is sent to workers must be importable there."""
    here = str(Path(__file__).parent)
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-c", "import cluster_costs; cluster_costs.child()", str(repetitions), "--uvloop"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found

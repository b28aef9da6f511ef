"""Virtual time, the cores in it, and what is simulated of a cluster."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from fellowship.runtime.cluster.teller import GAP_S

TICK_S = 0.001
"""The least time from one look whether a limit lets a call leave to the next: what timers can tell apart."""
Then = Callable[[], None]


@dataclass(frozen=True)
class Setting:
    """What is simulated."""

    workers: int
    in_flight: int
    """Of all workers together."""
    requests_per_minute: float | None = None
    median_s: float = 2.0
    spread: float = 0.7
    """Of the logarithm of a call's time, which is normal."""
    together: int = 3
    """Calls of a conversation at once."""
    events_a_call: float = 3.5
    worker_us: float = 900.0
    """A call's, of its worker's core."""
    gather_s: float | None = None
    """In place of what the driver orders."""
    drivers: int = 1
    """Runs, each with a driver, a bank and a part of the workers, of the limit and of the calls in flight."""
    report_gap_s: float = GAP_S
    """From one report of a worker to the next."""
    kept: bool = False
    """Whether a worker is given its part of calls in flight and of the limit, and reports what came of them."""
    renewed: bool = False
    """Whether what a worker's calls leave free is its own again in the same report, where no rate is limited."""
    processors: int | None = None
    """That all processes share; none where each has its own."""
    lump: int = 1
    """Calls that are simulated as one, where they are so many that each message tells of hundreds."""


@dataclass
class Found:
    """What came of it, in the measured stretch."""

    calls_per_second: float
    loop: float
    """Part of the time that the driver's loop works."""
    writer: float
    """That its log's thread works."""
    process: float
    """Cores that its process takes, Ray's own threads included."""
    bank: float
    worker: float
    in_flight: float
    waits_s: list[float]
    """Of replies, to be durable; in order."""
    events_an_exchange: float
    exchanges: float
    """A second."""
    messages: float
    """To and from the bank, a second."""


class World:
    """Virtual time."""

    def __init__(self, processors: int | None = None) -> None:
        self.now_s = 0.0
        self.free_s = [0.0] * (processors or 0)
        """When each processor is free, where all processes share so many."""
        self._due: list[tuple[float, int, Then]] = []
        self._number = 0

    def after(self, delay_s: float, then: Then) -> None:
        self._number += 1
        heapq.heappush(self._due, (self.now_s + delay_s, self._number, then))

    def run(self, until_s: float) -> None:
        while self._due and self._due[0][0] <= until_s:
            self.now_s, _, then = heapq.heappop(self._due)
            then()
        self.now_s = until_s


class Core:
    """Does one thing after another."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._free_s = 0.0
        self.busy_s = 0.0

    def do(self, cost_us: float, then: Then) -> None:
        begin_s = max(self._free_s, self._world.now_s)
        if shared := self._world.free_s:
            begin_s = max(begin_s, shared[0])
            heapq.heapreplace(shared, begin_s + cost_us / 1e6)
        self._free_s = begin_s + cost_us / 1e6
        self.busy_s += cost_us / 1e6
        self._world.after(self._free_s - self._world.now_s, then)


def nothing() -> None:
    pass


class Gate:
    """Lets calls leave: so many in flight, so many a second, one after another."""

    def __init__(self, world: World, setting: Setting, parts: int, serve: Then) -> None:
        self._world = world
        self._cap = setting.in_flight / parts
        self._lump = setting.lump
        rate = setting.requests_per_minute
        self._gap_s = 60.0 * parts / rate * setting.lump if rate else 0.0
        self._next_s = 0.0
        self._serve = serve
        self._woken = False
        self.in_flight = 0

    def may(self) -> bool:
        if self.in_flight + self._lump > max(self._cap, self._lump) or self._next_s > self._world.now_s + 1e-9:
            return False
        self.in_flight += self._lump
        self._next_s = max(self._next_s, self._world.now_s - 10 * self._gap_s - TICK_S) + self._gap_s
        return True

    def ended(self, calls: int) -> None:
        self.in_flight -= calls * self._lump

    def wake(self) -> None:
        """Serve again when the next may leave, where it is the limit that holds."""
        if self._next_s > self._world.now_s and not self._woken:
            self._woken = True
            self._world.after(max(TICK_S, self._next_s - self._world.now_s), self._awake)

    def _awake(self) -> None:
        self._woken = False
        self._serve()

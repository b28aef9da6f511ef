"""A cluster in virtual time: 100 workers, a driver and a bank that take as long as they were measured to take.

Each process is a server of one core that does one thing after another; what is told is told as the real classes do: a
worker's events gather while one exchange with the driver is under way, and are durable when the log's group is
committed; its wants and ends gather while one report to the bank is under way; what the bank grants later is told by a
call that listens. Nothing of the package runs here, but its constants are used.
"""

import random
from collections import deque
from dataclasses import dataclass, field
from functools import partial

from cluster_costs import Costs
from cluster_world import Core, Found, Gate, Setting, Then, World, nothing

from fellowship.runtime.cluster.bank import LINGER_S
from fellowship.runtime.cluster.teller import LAZY_S
from fellowship.runtime.log import sqlite
from fellowship.scenarios.cluster.crew import GATHER_S, LONGEST_GATHER_S

ENDPOINT_US = 100.0
"""Of an endpoint that shares the processors, for a call."""
HOP_S = 0.0005
"""From one process to another, on the way."""


class Log:
    """Commits groups on a thread of its own."""

    def __init__(self, world: World, costs: Costs) -> None:
        self._world = world
        self.thread = Core(world)
        self._fixed = costs.group.fixed_us - costs.group_main.fixed_us
        self.each_us = costs.group.each_us - costs.group_main.each_us
        self._rows = 0
        self._waiting: list[Then] = []
        self._writing = self._busy = False

    def take(self, rows: int, durable: Then) -> None:
        self._rows += rows
        self._waiting.append(durable)
        if not self._writing:
            self._writing = True
            self._world.after(sqlite.GATHER_S if self._busy else 0.0, self._commit)

    def _commit(self) -> None:
        rows, waiting, self._rows, self._waiting = self._rows, self._waiting, 0, []
        self._busy = rows >= sqlite.MANY

        def done() -> None:
            for durable in waiting:
                durable()
            self._writing = bool(self._waiting)
            if self._writing:
                self._world.after(sqlite.GATHER_S if self._busy else 0.0, self._commit)

        self.thread.do(self._fixed + self.each_us * rows, done)


class Driver:
    """Takes events into the one log."""

    def __init__(self, world: World, costs: Costs) -> None:
        self._world, self._costs = world, costs
        self.loop = Core(world)
        self.log = Log(world, costs)
        self.process_us = 0.0
        self.exchanges = 0
        self.events = 0

    def exchange(self, rows: int, durable: Then) -> None:
        self.exchanges += 1
        self.events += rows
        whole_us = self._costs.exchange.us(rows)
        self.process_us += whole_us
        if self._world.free_s:
            rest_us = whole_us - self._costs.exchange_main.us(rows) - self.log.each_us * rows
            Core(self._world).do(max(0.0, rest_us), nothing)
        self.loop.do(self._costs.exchange_main.us(rows), lambda: self.log.take(rows, durable))


class Bank:
    """Grants requests, in order of their coming."""

    def __init__(self, world: World, setting: Setting, costs: Costs) -> None:
        self._world, self._costs = world, costs
        self._lump = setting.lump
        self._renewed = setting.renewed
        self.gate = Gate(world, setting, setting.drivers, self._serve)
        self._queue: deque[Worker] = deque()
        self.core = Core(world)
        self.messages = 0

    def report(self, worker: "Worker", ended: int, wants: int) -> None:
        self.messages += 1
        cost_us = self._costs.report.us(self._lump * (ended + wants) / 2)
        self.core.do(cost_us, lambda: self._reported(worker, ended, wants))

    def _reported(self, worker: "Worker", ended: int, wants: int) -> None:
        granted = min(ended, wants) if self._renewed else 0
        if worker.own is None:
            self.gate.ended(ended - granted)
        if not self._queue:
            while granted < wants and self.gate.may():
                granted += 1
        self._queue.extend([worker] * (wants - granted))
        self._world.after(HOP_S, lambda: worker.answered(granted))
        self._serve()

    def _serve(self) -> None:
        while self._queue and self.gate.may():
            self._queue.popleft().grant()
        if self._queue:
            self.gate.wake()

    def tell(self, granted: int, then: Then) -> None:
        self.messages += 1
        self.core.do(self._costs.report.us(self._lump * granted / 2), then)


@dataclass
class Conversation:
    """Calls together, then the next ones."""

    worker: "Worker"
    left: int = 0

    def begin(self) -> None:
        self.left = self.worker.setting.together
        for _ in range(self.left):
            self.worker.want(self)

    def durable(self) -> None:
        self.left -= 1
        if not self.left:
            self.begin()


@dataclass
class Worker:
    """Plays conversations."""

    world: World
    setting: Setting
    costs: Costs
    driver: Driver
    bank: Bank
    chance: random.Random
    gather_s: float
    waits: list[tuple[float, float]]
    calls: int = 0
    core: Core = field(init=False)
    own: Gate | None = field(init=False)
    _unsent: int = 0
    _ended: int = 0
    _waiting: deque[Conversation] = field(default_factory=deque[Conversation])
    _reporting: bool = False
    _sent_s: float = -1.0
    _granted: int = 0
    _telling: bool = False
    _rows: float = 0.0
    _replies: list[tuple[float, Conversation]] = field(default_factory=list[tuple[float, Conversation]])
    _exchanging: bool = False

    def __post_init__(self) -> None:
        self.core = Core(self.world)
        self.own = Gate(self.world, self.setting, self.setting.workers, self._serve) if self.setting.kept else None

    # requests

    def want(self, conversation: Conversation) -> None:
        self._waiting.append(conversation)
        if self.own is not None:
            self._serve()
            return
        self._unsent += 1
        self._soon()

    def _serve(self) -> None:
        """Let calls leave in the worker's own part."""
        assert self.own is not None
        while self._waiting and self.own.may():
            self._begin(1)
        if self._waiting:
            self.own.wake()

    def _soon(self) -> None:
        if not self._reporting:
            self._reporting = True
            gap_s = max(self.setting.report_gap_s, LAZY_S if self.setting.kept else 0.0)
            self.world.after(max(0.0, self._sent_s + gap_s - self.world.now_s), self._report)

    def _report(self) -> None:
        ended, wants, self._ended, self._unsent = self._ended, self._unsent, 0, 0
        self._sent_s = self.world.now_s
        cost_us = self.costs.report_worker.us(self.setting.lump * (ended + wants) / 2)
        self.core.do(cost_us, lambda: self.world.after(HOP_S, lambda: self.bank.report(self, ended, wants)))

    def answered(self, granted: int) -> None:
        self._reporting = False
        self._begin(granted)
        if self._ended or self._unsent:
            self._soon()

    def grant(self) -> None:
        """Be granted a request that has waited in the bank."""
        self._granted += 1
        if not self._telling:
            self._telling = True
            self.world.after(LINGER_S, self._tell)

    def _tell(self) -> None:
        granted, self._granted = self._granted, 0

        def heard() -> None:
            self._begin(granted)
            self.world.after(HOP_S, listen)

        def listen() -> None:
            self._telling = bool(self._granted)
            if self._telling:
                self.world.after(LINGER_S, self._tell)

        self.bank.tell(granted, lambda: self.world.after(HOP_S, heard))

    # calls

    def _begin(self, granted: int) -> None:
        for _ in range(granted):
            conversation = self._waiting.popleft()
            self.core.do(self.setting.lump * self.setting.worker_us / 2, partial(self._send, conversation))

    def _send(self, conversation: Conversation) -> None:
        setting = self.setting
        time_s = setting.median_s * (self.chance.lognormvariate(0.0, setting.spread) if setting.spread else 1.0)
        cost_us = setting.lump * setting.worker_us / 2
        if self.world.free_s:
            Core(self.world).do(ENDPOINT_US, nothing)
        self.world.after(time_s, lambda: self.core.do(cost_us, lambda: self._reply(conversation)))

    def _reply(self, conversation: Conversation) -> None:
        self.calls += self.setting.lump
        self._ended += 1
        if self.own is not None:
            self.own.ended(1)
            self._serve()
        self._soon()
        self._rows += self.setting.events_a_call * self.setting.lump
        self._replies.append((self.world.now_s, conversation))
        if not self._exchanging:
            self._exchanging = True
            self.world.after(self.gather_s, self._exchange)

    def _exchange(self) -> None:
        rows, replies = int(self._rows), self._replies
        self._rows, self._replies = self._rows - rows, []

        def durable() -> None:
            self.world.after(HOP_S, taken)

        def taken() -> None:
            for since_s, conversation in replies:
                self.waits.append((self.world.now_s, self.world.now_s - since_s))
                conversation.durable()
            self._exchanging = bool(self._replies)
            if self._exchanging:
                self.world.after(self.gather_s, self._exchange)

        self.world.after(HOP_S, lambda: self.driver.exchange(rows, durable))


def simulate(setting: Setting, costs: Costs, *, warm_s: float, measured_s: float) -> Found:
    """Play for a while, then measure; of several drivers one with its part is simulated, and multiplied."""
    world = World(setting.processors)
    driver, bank = Driver(world, costs), Bank(world, setting, costs)
    chance = random.Random(7)  # noqa: S311 - chance, not secrets
    count = setting.workers // setting.drivers
    gather_s = setting.gather_s if setting.gather_s is not None else min(LONGEST_GATHER_S, GATHER_S * count)
    waits: list[tuple[float, float]] = []
    workers = [Worker(world, setting, costs, driver, bank, chance, gather_s, waits) for _ in range(count)]
    conversations = int(1.25 * setting.in_flight / setting.workers / setting.lump)
    for worker in workers:
        for _ in range(conversations):
            world.after(chance.random() * 2 * setting.median_s, Conversation(worker).begin)
    world.run(warm_s)

    def counts() -> list[float]:
        done = [sum(worker.calls for worker in workers), driver.loop.busy_s, driver.log.thread.busy_s]
        others = [driver.process_us / 1e6, bank.core.busy_s, sum(worker.core.busy_s for worker in workers)]
        return [*done, *others, driver.events, driver.exchanges, bank.messages]

    def flying() -> int:
        return bank.gate.in_flight + sum(worker.own.in_flight for worker in workers if worker.own is not None)

    before, then_flying = counts(), flying()
    world.run(warm_s + measured_s)
    calls, loop, writer, process, bank_s, worker_s, events, exchanges, messages = (
        (now - then) / measured_s for now, then in zip(counts(), before, strict=True)
    )
    return Found(
        calls_per_second=calls * setting.drivers,
        loop=loop,
        writer=writer,
        process=process,
        bank=bank_s,
        worker=worker_s / count,
        in_flight=(then_flying + flying()) / 2 * setting.drivers,
        waits_s=sorted(wait for at, wait in waits if at >= warm_s),
        events_an_exchange=events / max(exchanges, 1e-9),
        exchanges=exchanges,
        messages=messages,
    )

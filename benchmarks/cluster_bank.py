"""What the bank of a cluster spends on a report, and on a call: the real one, in a process of its own."""

import asyncio
import time
from typing import Any

from fellowship.protocols.models import Usage
from fellowship.runtime.cluster.leasing import LeasedAdmission
from fellowship.runtime.cluster.teller import Teller
from fellowship.runtime.cluster.terms import Desk, Ended, Report, Told, Want
from fellowship.runtime.models.leases import Lane
from fellowship.scenarios.cluster import rays

LEAST = 200
"""Messages, at the least."""
DESK = "desk"
LATENCY_S = 0.2


class WatchedBank(rays.BankActor):
    """Says what it has spent."""

    async def spent_s(self) -> float:
        return time.process_time()


async def _bank() -> Any:  # noqa: ANN401 - a handle of Ray's
    actor = rays.ray().remote(WatchedBank).options(num_cpus=0, max_concurrency=100).remote()
    await actor.open.remote()
    return actor


class Heard:
    """The bank, as a teller reaches it; messages are counted."""

    def __init__(self, actor: Any) -> None:  # noqa: ANN401 - a handle of Ray's
        self._line = rays.RayBank(actor)
        self.messages = 0

    async def report(self, worker: str, report: Report) -> Told:
        self.messages += 1
        return await self._line.report(worker, report)

    async def listen(self, worker: str) -> Told:
        told = await self._line.listen(worker)
        self.messages += 1
        return told


async def report_us(size: int) -> tuple[float, float]:
    """Return what a report costs the bank, and the worker: so many requests ended and as many wanted."""
    actor = await _bank()
    line = rays.RayBank(actor)
    await line.report("one", Report(desks=(Desk(DESK, DESK, 100_000),)))
    held: tuple[int, ...] = ()
    number = 0
    before_s = begun_s = 0.0
    for turn in range(-LEAST // 4, LEAST):
        if turn == 0:
            before_s, begun_s = await actor.spent_s.remote(), time.process_time()
        wants = tuple(Want(number + place, DESK, 0.0) for place in range(size))
        number += size
        ended = tuple(Ended(lease, "answered", 360.0) for lease in held)
        told = await line.report("one", Report(ended=ended, wants=wants))
        held = tuple(granted.lease for granted in told.granted)
        assert len(held) == size
    own_s = time.process_time() - begun_s
    spent_s = await actor.spent_s.remote() - before_s
    rays.ray().kill(actor)
    return 1e6 * spent_s / LEAST, 1e6 * own_s / LEAST


async def leased_us(
    asking: int, in_flight: int, requests_per_minute: float | None, seconds: float = 5.0
) -> dict[str, float]:
    """Return what a call of 200 ms costs the bank by the real teller, and its messages, with so many that ask."""
    actor = await _bank()
    heard = Heard(actor)
    calls = 0
    async with Teller(heard, "one") as teller:
        share = LeasedAdmission(teller, DESK, DESK)
        share.join(Lane(), in_flight, requests_per_minute=requests_per_minute)
        until_s = time.monotonic() + seconds

        async def work() -> None:
            nonlocal calls
            while time.monotonic() < until_s:
                lease = await share.lease(Lane(), 360.0)
                await asyncio.sleep(LATENCY_S)
                lease.served(float(Usage().input_tokens), {})
                calls += 1

        async with asyncio.TaskGroup() as tasks:
            for _ in range(asking):
                tasks.create_task(work())
            await asyncio.sleep(seconds / 2)
            before_s, before, messages = await actor.spent_s.remote(), calls, heard.messages
            begun_s = time.monotonic()
            await asyncio.sleep(seconds / 2 - LATENCY_S)
            spent_s, calls_then = await actor.spent_s.remote() - before_s, calls - before
            wall_s, messages = time.monotonic() - begun_s, heard.messages - messages
    rays.ray().kill(actor)
    return {
        "bank_us": 1e6 * spent_s / calls_then,
        "messages": messages / calls_then,
        "calls_per_second": calls_then / wall_s,
    }

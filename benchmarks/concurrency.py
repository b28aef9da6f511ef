"""How well many calls in flight are used: `play` of `judge` beside a hand-written aiohttp loop, at 200 ms latency.

1,000 in flight is more than one core can feed, so the loop of few lines is what is compared with; 256 in flight are
bound by the latency alone, so 256 calls every 200 ms are. Both send the same bodies to the same endpoint in another
process, and take turns.

The ramp: admission begins with 64 in flight and doubles with every clean round, every 200 ms; the bare loop begins with
all at once. Whole is calls over the whole run, opening and results included. Steady is the middle half of the answers,
by the endpoint's own time line: no ramp, no end. Added latency is what the log notes of each attempt, less the
endpoint's; for the bare loop, what it sees itself.

    python benchmarks/concurrency.py [ITEMS] [REPETITIONS] [--uvloop]
"""

import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common import Spent, Stats, arguments, bare, capturing, fellowship, items, judging, loop_name, middle, run, serving

from fellowship.protocols.lifecycle import ModelCalled
from fellowship.runtime.log import LogReader
from fellowship.scenarios.directory import LOG

LATENCY_S = 0.2
MANY, SOME = 1000, 256
MANY_GOALS = "goals: 65 % of the bare loop, 99 % of the cap in flight"
SOME_GOALS = "goals: 85 % of the bound, p99 added under 150 ms"


@dataclass
class Found:
    """Figures of one side, one a repetition."""

    whole: list[float] = field(default_factory=list)
    """Calls a second."""
    steady: list[float] = field(default_factory=list)
    most_in_flight: list[float] = field(default_factory=list)
    added_ms: list[float] = field(default_factory=list)
    """The 99th percentile."""


def percentile_99(latencies_s: Sequence[float]) -> float:
    """Return the 99th percentile of what is added to the endpoint's latency, in milliseconds."""
    return 1000 * (statistics.quantiles(latencies_s, n=100)[98] - LATENCY_S)


def logged(log: Path) -> list[float]:
    """Return the latency of every attempt."""
    with LogReader(log) as reader:
        called = (event.message() for event in reader.events(kinds=("model_called",)))
        return [attempt.latency_s for fact in called if isinstance(fact, ModelCalled) for attempt in fact.attempts]


def show(in_flight: int, ours: Found, theirs: Found, goals: str) -> None:
    bound = in_flight / LATENCY_S
    print(f"{in_flight} in flight: {bound:,.0f} calls/s at most; {goals}")
    for name, found in (("fellowship", ours), ("bare loop", theirs)):
        whole, steady = (100 * statistics.median(rates) / bound for rates in (found.whole, found.steady))
        most = 100 * min(found.most_in_flight) / in_flight
        print(f"  {name}")
        print(f"    whole      {middle(found.whole, '6,.0f', 'calls/s')}, {whole:.1f} % of the bound")
        print(f"    steady     {middle(found.steady, '6,.0f', 'calls/s')}, {steady:.1f} % of the bound")
        print(f"    in flight  {middle(found.most_in_flight, '6,.0f', 'at most')}, {most:.1f} % of the cap")
        print(f"    p99 added  {middle(found.added_ms, '6,.0f', 'ms')}")
    whole = 100 * statistics.median(ours.whole) / statistics.median(theirs.whole)
    steady = 100 * statistics.median(ours.steady) / statistics.median(theirs.steady)
    print(f"  of the bare loop: whole {whole:.1f} %, steady {steady:.1f} %")


def note(found: Found, calls: int, spent: Spent, stats: Stats, latencies_s: Sequence[float]) -> None:
    assert stats.served == calls, stats.served
    found.whole.append(calls / spent.wall_s)
    found.steady.append(stats.steady_rate())
    found.most_in_flight.append(stats.most_in_flight)
    found.added_ms.append(percentile_99(latencies_s))


async def main(count: int, repetitions: int) -> None:
    todo = items(count)
    with serving(LATENCY_S) as server, tempfile.TemporaryDirectory() as folder:
        with capturing() as bodies:  # this warms up, too
            await fellowship(judging(), server, todo, Path(folder) / "first", MANY)
        print(f"{count} judge calls of {1000 * LATENCY_S:.0f} ms, {repetitions} repetitions, {loop_name()}")
        for in_flight, goals in ((MANY, MANY_GOALS), (SOME, SOME_GOALS)):
            ours, theirs = Found(), Found()
            server.stats()
            for repetition in range(repetitions):
                out = Path(folder) / f"{in_flight}-{repetition}"
                spent = await fellowship(judging(), server, todo, out, in_flight)
                note(ours, count, spent, server.stats(), logged(out / LOG))
                spent, latencies_s = await bare(server, bodies, in_flight)
                note(theirs, count, spent, server.stats(), latencies_s)
            show(in_flight, ours, theirs, goals)


if __name__ == "__main__":
    run(main(*arguments(8000, 5)))

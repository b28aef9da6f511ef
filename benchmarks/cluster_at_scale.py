"""100 workers and 10 million debates of 12 calls, in virtual time: what saturates first, and what would help.

The costs are those that `cluster.py --messages` measured (MEASURED; with --measure they are measured anew, which takes
minutes). A call takes 2 s in the median, 10 s in one of a hundred. Each case is a short stretch of steady running.

    python benchmarks/cluster_at_scale.py [--measure] [--prove]
"""

import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from math import exp

from cluster_costs import Costs, Line, costs_of, measured
from cluster_memory import SIZES, WORDS, held
from cluster_model import simulate
from cluster_world import Found, Setting
from clustered import BOTH_CALLS

ITEMS = 10_000_000
CALLS = BOTH_CALLS["debate"]
DAY_S = 86_400.0
COLUMNS = (
    "",
    "calls/s",
    "of the ideal",
    "days for all",
    "driver: loop + writer",
    "its process, cores",
    "bank",
    "a worker",
    "durable after, ms: median, p99",
    "exchanges/s x events",
    "bank's messages/s",
    "held by",
)
MEASURED = Costs(
    exchange_main=Line(578, 10.8),
    exchange=Line(1305, 26.4),
    group_main=Line(61, 5.1),
    group=Line(140, 15.3),
    report=Line(1114, 19.4),
    report_worker=Line(861, 15.8),
    events_a_debate=42,
    bytes_a_debate=18_350,
)
"""Microseconds: medians of three readings on two processors that had much else to do (a load of 10 to 14)."""


@dataclass(frozen=True)
class Case:
    name: str
    setting: Setting
    warm_s: float = 40.0
    measured_s: float = 10.0


AS_BUILT = (
    Case("10,000 requests a minute", Setting(100, 1_000, 10_000), 20),
    Case("100,000 requests a minute", Setting(100, 10_000, 100_000), 15, 5),
    Case("1,000,000 requests a minute", Setting(100, 100_000, 1_000_000, lump=20), 60, 10),
    Case("10,000 in flight", Setting(100, 10_000, lump=2)),
    Case("30,000 in flight", Setting(100, 30_000, lump=10)),
    Case("100,000 in flight", Setting(100, 100_000, lump=25)),
)
ANSWERS = (
    Case("10,000 in flight, 25 workers", Setting(25, 10_000, lump=4)),
    Case("30,000 in flight, 25 workers", Setting(25, 30_000, lump=10)),
    Case("30,000 in flight, 4 runs of 25 workers", Setting(100, 30_000, lump=10, drivers=4)),
    Case("100,000 a minute, reports every 0.25 s", Setting(100, 10_000, 100_000, report_gap_s=0.25), 20, 8),
    Case("30,000 in flight, the same, renewed", Setting(100, 30_000, lump=10, report_gap_s=0.25, renewed=True)),
    Case("30,000 in flight, shares kept by workers", Setting(100, 30_000, lump=10, kept=True)),
    Case("1,000,000 a minute, shares kept", Setting(100, 100_000, 1_000_000, lump=25, kept=True), 60),
    Case("100,000 in flight, shares kept", Setting(100, 100_000, lump=25, kept=True)),
    Case("100,000 in flight, 4 runs", Setting(100, 100_000, lump=25, drivers=4)),
    Case("10,000 in flight, events gather for 1 s", Setting(100, 10_000, lump=2, gather_s=1.0)),
)


def ideal(setting: Setting) -> float:
    """Return calls a second, were there nothing but the limit and the calls."""
    mean_s = setting.median_s * exp(setting.spread**2 / 2)
    flying = setting.in_flight / mean_s
    rate = setting.requests_per_minute
    return min(flying, rate / 60) if rate else flying


def first(found: Found, setting: Setting) -> str:
    """Say what is busiest; the limit, where it is what holds."""
    busy = {
        "bank": found.bank,
        "driver's loop": found.loop,
        "log's writer": found.writer,
        "a worker's core": found.worker,
    }
    name, part = max(busy.items(), key=lambda each: each[1])
    held_by = "the limit" if found.calls_per_second > 0.97 * ideal(setting) else name
    return f"{held_by}; busiest: {name}, {100 * part:.0f} %"


def show(cases: Iterable[Case], costs: Costs) -> None:
    for case in cases:
        found = simulate(case.setting, costs, warm_s=case.warm_s, measured_s=case.measured_s)
        rate, waits = found.calls_per_second, found.waits_s
        facts = (
            case.name,
            f"{rate:,.0f}",
            f"{100 * rate / ideal(case.setting):.0f} %",
            f"{ITEMS * CALLS / rate / DAY_S:.2f}",
            f"{100 * found.loop:.0f} + {100 * found.writer:.0f} %",
            f"{found.process:.2f}",
            f"{100 * found.bank:.0f} %",
            f"{100 * found.worker:.0f} %",
            f"{1000 * statistics.median(waits):.0f}, {1000 * waits[int(0.99 * len(waits))]:.0f}",
            f"{found.exchanges:.0f} x {found.events_an_exchange:.0f}",
            f"{found.messages:.0f}",
            first(found, case.setting),
        )
        print(f"| {' | '.join(facts)} |", flush=True)


def prove(costs: Costs) -> None:
    """Foretell what was measured on this machine: judges at 200 ms, of which each is six events."""
    print("| judges of 200 ms | calls/s | wait to be durable, median and p99, ms |")
    for workers, in_flight in ((1, 64), (1, 256), (2, 128)):
        setting = Setting(
            workers,
            in_flight,
            median_s=0.2,
            spread=0.0,
            together=1,
            events_a_call=6.0,
            processors=2,
        )
        found = simulate(setting, costs, warm_s=5, measured_s=10)
        waits = found.waits_s
        half, most = 1000 * statistics.median(waits), 1000 * waits[int(0.99 * len(waits))]
        print(f"| {workers} workers, {in_flight} in flight | {found.calls_per_second:.0f} | {half:.1f}, {most:.0f} |")


def chart(costs: Costs) -> None:
    """Draw how busy the driver and the bank are, by calls a second that are asked for."""
    print("calls/s asked for     reached   busy, # or = for each 5 %: driver's loop and writer #, bank =")
    for in_flight in (1_000, 3_000, 10_000, 20_000, 40_000, 70_000, 100_000):
        setting = Setting(100, in_flight, lump=max(1, in_flight // 5000))
        found = simulate(setting, costs, warm_s=30, measured_s=5)
        driver, bank = "#" * round(20 * (found.loop + found.writer)), "=" * round(20 * found.bank)
        print(f"{ideal(setting):>17,.0f} {found.calls_per_second:>11,.0f}   {driver:<40} {bank}")


def memory(costs: Costs) -> None:
    print(f"| held of an item | bytes | of {ITEMS:,} items |")
    for what in SIZES:
        size = max(0.0, held(what))
        print(f"| {WORDS[what]} | {size:.0f} | {size * ITEMS / 2**30:.2f} GiB |")
    print(f"run.db, answers of 250 characters that are all the same: {costs.bytes_a_debate:,} bytes a debate")


def main() -> None:
    begun_s = time.perf_counter()
    costs = costs_of(measured(3)) if "--measure" in sys.argv else MEASURED
    print(costs)
    prove(costs)
    if "--prove" not in sys.argv:
        print(f"| {' | '.join(COLUMNS)} |")
        show(AS_BUILT, costs)
        show(ANSWERS, costs)
        chart(costs)
        memory(costs)
    print(f"{time.perf_counter() - begun_s:.0f} s")


if __name__ == "__main__":
    main()

"""What a cluster costs beside the local engine, on one machine: an item, a message, and the two ways to be durable.

The same items go to the same endpoint, which is a process of its own on the same processors. Figures are of the steady
half of a run; what it takes to start is told apart.

    python benchmarks/cluster.py [REPETITIONS] [--items] [--messages] [--durability]
"""

import json
import os
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from cluster_costs import EVENTS, WANTS, measured
from clustered import Case, Child, Played
from common import arguments, middle, serving

LATENCY_S = 0.2
AT_ONCE = 256
"""Calls in flight where they take no time."""
A_WORKER = 64
"""Calls in flight for each worker where they take 200 ms."""
ENGINES = {0: "local", 1: "1 worker", 2: "2 workers"}


def items_cases() -> list[Case]:
    """Return an item played here, by one worker and by two; short and long, without and with latency."""
    cases: list[Case] = []
    for scenario, quick, slow in (("judge", 3000, 1200), ("debate", 250, 100)):
        for workers in ENGINES:
            share = max(1, workers)
            cases.append(Case(scenario, 0.0, AT_ONCE, quick, workers))
            cases.append(Case(scenario, LATENCY_S, A_WORKER * share, slow * share, workers))
    return cases


def durability_cases() -> list[Case]:
    """Return calls that wait until the driver has them, and until their own worker has them."""
    return [
        Case("judge", LATENCY_S, in_flight, 16 * in_flight, workers, durable, timed=True)
        for workers, in_flight in ((1, 64), (1, 256), (2, 128))
        for durable in ("driver", "worker")
    ]


def played(cases: Sequence[Case], repetitions: int) -> tuple[dict[Case, list[Played]], float]:
    """Have all cases played in turns; also returns what Ray took to start."""
    found: dict[Case, list[Played]] = {case: [] for case in cases}
    with serving() as quick, serving(LATENCY_S) as slow, Child({0.0: quick.port, LATENCY_S: slow.port}) as child:
        for _ in range(repetitions):
            for case, figures in found.items():
                figures.append(child.play(case))
                print(".", end="", file=sys.stderr, flush=True)
        return found, child.ray_s


def of(figures: Iterable[Played], role: str) -> float:
    return statistics.median(figure.cpu_us[role] for figure in figures)


def show_items(repetitions: int) -> None:
    found, ray_s = played(items_cases(), repetitions)
    print(f"Ray itself starts in {ray_s:.1f} s, once; the rest is medians of {repetitions}")
    print(
        "| an item, CPU in ms | driver | workers | bank | Ray | all | of local | calls/s | of 1 worker | start | end |"
    )
    for case, figures in found.items():
        beside = [of(found[other], "driver") for other in found if like(other, case, 0)]
        one = [statistics.median(p.calls_per_second for p in found[other]) for other in found if like(other, case, 1)]
        whole = statistics.median(figure.cpu_whole_us for figure in figures)
        rates = [figure.calls_per_second for figure in figures]
        roles = " | ".join(
            f"{of(figures, role) * case.calls / 1000:.2f}" for role in ("driver", "workers", "bank", "ray")
        )
        name = f"{case.scenario}, {1000 * case.latency_s:.0f} ms, {case.in_flight} in flight, {ENGINES[case.workers]}"
        start, end = (statistics.median(getattr(p, key) for p in figures) for key in ("start_s", "end_s"))
        print(
            f"| {name} | {roles} | {whole * case.calls / 1000:.2f} | {whole / beside[0]:.2f} | "
            f"{middle(rates, '.0f', '')} | {statistics.median(rates) / one[0]:.2f} | {start:.1f} | {end:.1f} |"
        )
    keep("items", [{"case": str(case), "played": [str(p) for p in figures]} for case, figures in found.items()])


def like(other: Case, case: Case, workers: int) -> bool:
    """Return whether a case is another on so many workers."""
    return (other.scenario, other.latency_s, other.workers) == (case.scenario, case.latency_s, workers)


def show_durability(repetitions: int) -> None:
    found, _ = played(durability_cases(), repetitions)
    print("| durable with | wait, median, ms | p99, ms | CPU a call, us | of it workers | driver | calls/s |")
    for case, figures in found.items():
        waits = [figure.waits_ms for figure in figures]
        half, most = ([wait[int(share * len(wait))] for wait in waits] for share in (0.5, 0.99))
        wholes = [figure.cpu_whole_us for figure in figures]
        rates = [figure.calls_per_second for figure in figures]
        print(
            f"| {case.durable}, {case.in_flight} in flight, {ENGINES[case.workers]} | {middle(half, '.1f', '')} | "
            f"{middle(most, '.0f', '')} | {middle(wholes, '.0f', '')} | {of(figures, 'workers'):.0f} | "
            f"{of(figures, 'driver'):.0f} | {middle(rates, '.0f', '')} |"
        )


def show_messages(repetitions: int) -> None:
    found = measured(repetitions)
    print(
        "| things in it | exchange: driver's loop, us | whole driver | group of the log: loop | whole | a group, ms |"
    )
    for size in map(str, EVENTS):
        exchange, group = found["exchanges"][size], found["groups"][size]
        print(f"| {size} | {exchange[0]:.0f} | {exchange[1]:.0f} | {group[0]:.0f} | {group[1]:.0f} | {group[2]:.1f} |")
    print("| wants in it, and as many that ended | report: bank, us | worker, us |")
    for size in map(str, WANTS):
        bank, own = found["reports"][size]
        print(f"| {size} | {bank:.0f} | {own:.0f} |")
    for name, facts in found["leased"].items():
        print(
            f"leases, {name}: bank {facts['bank_us']:.0f} us a call, {facts['messages']:.3f} messages a call, "
            f"{facts['calls_per_second']:.0f} calls/s"
        )
    for workers, rate in found["ceiling"].items():
        print(f"the driver takes at most {rate:,.0f} events/s of {workers} workers")
    print(found["costs"])
    keep("messages", found)


def keep(name: str, found: object) -> None:
    """Keep all figures, where FELLOWSHIP_BENCH_KEEP names a folder."""
    if folder := os.environ.get("FELLOWSHIP_BENCH_KEEP"):
        (Path(folder) / f"cluster-{name}.json").write_text(json.dumps(found, indent=1))


def main(repetitions: int) -> None:
    parts = {"--items": show_items, "--messages": show_messages, "--durability": show_durability}
    chosen = [show for flag, show in parts.items() if flag in sys.argv] or list(parts.values())
    print(f"{os.cpu_count()} processors, which the endpoint shares; load {os.getloadavg()[0]:.1f}")
    for show in chosen:
        show(repetitions)
        print(f"load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main(*arguments(3))

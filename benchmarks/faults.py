"""What becomes of items when an endpoint misbehaves: one line for each fault, and one for all mixed.

The project's own load test (`fellowship bench`): `judge` over made-up items, and every fault at 20 % of the requests of
the loopback endpoint in another process. Our accounts of tokens and money stand beside what the endpoint billed. Ends
with 1 where they differ, or where an item has no outcome.

    python benchmarks/faults.py [ITEMS]
"""

import logging
import sys

from common import arguments

from fellowship.runtime.testing import FAULTS, Misbehaviour
from fellowship.runtime.testing.serve import Serving
from fellowship.runtime.tracing import configure
from fellowship.scenarios.bench import Load, Measured, bench, impatient

SHARE = 0.2
IN_FLIGHT = 128
DEADLINE_S = 1.5  # a reply that drips is there in a second


def wrong(measured: Measured) -> list[str]:
    """Return what must not be."""
    missing = measured.items - measured.done - measured.failed
    return [
        *(["the ledgers differ"] if not measured.equal else []),
        *([f"{missing} items are missing"] if missing else []),
        *(["not every request is in our accounts"] if measured.requests < measured.requests_served else []),
    ]


def line(name: str, measured: Measured) -> str:
    failures = ", ".join(f"{count} {error}" for error, count in measured.failures.items())
    return (
        f"{name:20} {measured.done:6} {measured.failed:6} {measured.unread:6} {measured.requests:7}"
        f" {measured.tokens:9} {measured.tokens_billed:9}"
        f" {measured.cost_usd:9.4f} {measured.cost_billed_usd:9.4f}"
        f" {measured.unmetered:5} {measured.unmetered_served:5} {measured.seconds:6.1f}"
        f"  {'; '.join(filter(None, (failures, *wrong(measured))))}"
    )


def main(count: int) -> int:
    configure(level=logging.ERROR)  # an item that fails has its place in the table
    print(f"{count} items, {100 * SHARE:.0f} % of the requests meet a fault, {IN_FLIGHT} in flight")
    print(f"{'':48} {'tokens':>19} {'US dollars':>19} {'unmetered':>11}")
    print(
        f"{'fault':20} {'done':>6} {'failed':>6} {'unread':>6} {'sent':>7} {'ours':>9} {'theirs':>9}"
        f" {'ours':>9} {'theirs':>9} {'ours':>5} {'their':>5} {'s':>6}  failures"
    )
    cases: dict[str, tuple[Misbehaviour, ...]] = {**{fault: (fault,) for fault in FAULTS}, "all of them": FAULTS}
    bad: list[str] = []
    for name, faults in cases.items():
        measured = bench(Load(count, Serving(faults=faults, share=SHARE), impatient(IN_FLIGHT, DEADLINE_S)))
        print(line(name, measured), flush=True)
        if wrong(measured):
            bad.append(name)
    if bad:
        print(f"wrong: {', '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*arguments(2000)))

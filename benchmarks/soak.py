"""A hundred times SIGKILL: outcomes are those of an undisturbed run, and no answer that was recorded is paid for twice.

python benchmarks/soak.py [--seed N] [--only WORDS]
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio

from fellowship.runtime.testing.killing import Case, Report, killed

BOTH = ("--set", "judging.orders=both")
APART = ("--set", "review=both", "--set", "follow=best")
FULL = ("--durability", "full")
CASES = (
    Case("judge", 800, kills=13, concurrency=256),
    Case("jury", 250, kills=10, concurrency=64, together=3),
    Case("debate", 60, kills=12, concurrency=32, together=3),
    Case("debate", 40, kills=6, concurrency=16, together=3, options=FULL),
    Case("feedback-loop", 80, kills=10, concurrency=16),
    Case("judge", 100, kills=8, concurrency=8, options=BOTH),
    Case("jury", 12, kills=8, concurrency=8, together=3, options=FULL),
    Case("jury", 120, kills=3, concurrency=32, together=3, refused=0.1, retry_kills=5),
    Case("debate", 40, kills=2, concurrency=64, together=3, refused=0.03, retry_kills=4),
    Case("debate", 40, kills=2, concurrency=32, together=3, change="judging.scale=5", change_kills=5),
    Case("jury-sequential", 100, kills=6, concurrency=32),
    Case("jury-escalating", 50, kills=6, concurrency=32, together=3),
    Case("feedback-panel", 40, kills=8, concurrency=16, together=2),
    Case("feedback-gated", 60, kills=6, concurrency=32),
    Case("preference-pairs", 40, kills=8, concurrency=16, together=2, options=APART),
    Case("feedback-loop", 60, kills=2, concurrency=32, change="agents.reviewer.instructions=Be brief.", change_kills=5),
)


def line(report: Report) -> str:
    lost = [start.lost for start in report.kills] or [0]
    flying = [start.in_flight for start in report.kills] or [0]
    questions = report.answers - report.repeated
    return (
        f"{report.case.name}: {len(report.kills)} kills; {questions} questions, {report.repeated} answered again; "
        f"a kill lost {statistics.median(lost):g} answers, at most {max(lost)}, beside {statistics.median(flying):g} "
        f"in flight, at most {max(flying)} (bound {report.case.bound}); {report.seconds:.0f} s"
    )


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--only", default="", help="words in the name of the cases that are wanted")
    parser.add_argument("--verbose", action="store_true", help="show every start")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    reports: list[Report] = []
    for case in CASES:
        if given.only not in case.name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            report = await killed(case, Path(folder), given.seed)
        reports.append(report)
        print(line(report), flush=True)
        for start in report.starts if given.verbose else ():
            print(f"    {start}", flush=True)
        for problem in report.problems:
            print(f"    {problem[:600]}", flush=True)
    kills = [start for report in reports for start in report.kills]
    lost = [start.lost for start in kills]
    print(
        f"{len(kills)} kills, {sum(len(report.starts) for report in reports)} starts, "
        f"{sum(report.requests for report in reports)} requests; again: {sum(report.repeated for report in reports)}, "
        f"a kill {statistics.median(lost):g} (at most {max(lost)})"
    )
    sys.exit(any(report.problems for report in reports))


if __name__ == "__main__":
    anyio.run(main)

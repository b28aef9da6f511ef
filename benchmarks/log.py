"""What keeping everything costs: the CPU of `play` a judge call with its log, beside the same with the log off.

Off means that events get their numbers and nothing more: nothing is made JSON, nothing is written, nobody waits
for a commit, and there is nothing to fold into results. No user can have it so. Both take turns in one process; the
endpoint's CPU is not counted.

    python benchmarks/log.py [ITEMS] [REPETITIONS] [--uvloop]
"""

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from common import Server, Watch, arguments, fellowship, items, judging, loop_name, middle, run, serving, settings

from fellowship.protocols.items import Item
from fellowship.runtime.log import NoLog, SqliteLog
from fellowship.scenarios import play
from fellowship.scenarios import run as runs

IN_FLIGHT = 256
GOAL = 1.15


@contextmanager
def switched_off() -> Iterator[None]:
    """Let logs keep nothing but count."""
    nothing = NoLog()
    with mock.patch.multiple(
        SqliteLog, append=lambda _, *args, **more: nothing.append(*args, **more), keep=nothing_kept, durable=at_once
    ):
        yield


def nothing_kept(_: SqliteLog, digest: str, text: str) -> None:
    del digest, text


async def at_once(_: SqliteLog, sequence: int) -> None:
    del sequence


async def whole(server: Server, todo: list[Item]) -> float:
    """Return the CPU seconds of a run, log and results and all."""
    with tempfile.TemporaryDirectory() as folder:
        return (await fellowship(judging(), server, todo, Path(folder) / "run", IN_FLIGHT)).cpu_s


async def without_results(server: Server, todo: list[Item]) -> float:
    """Return the CPU seconds of a run whose log is not folded."""
    nothing = mock.patch.object(runs, "write_results", return_value=None)
    unfolded = mock.patch.object(runs, "status", return_value=None)
    with tempfile.TemporaryDirectory() as folder, nothing, unfolded:
        watch = Watch()
        await play(judging(), todo, Path(folder) / "run", settings(server, IN_FLIGHT))
        return watch.spent().cpu_s


async def main(count: int, repetitions: int) -> None:
    found: dict[str, list[float]] = {"with log and results": [], "with log": [], "log switched off": []}
    with serving() as server:
        todo = items(count)
        await whole(server, todo)  # this warms up
        for _ in range(repetitions):
            found["with log and results"].append(await whole(server, todo))
            found["with log"].append(await without_results(server, todo))
            with switched_off():
                found["log switched off"].append(await without_results(server, todo))
    print(f"{count} judge calls, {IN_FLIGHT} in flight, {repetitions} repetitions, {loop_name()}; CPU a call:")
    for name, values in found.items():
        print(f"  {name:20} {middle([1e6 * seconds / count for seconds in values])}")
    off = statistics.median(found["log switched off"])
    for name in ("with log", "with log and results"):
        print(f"  {name:20} over switched off {statistics.median(found[name]) / off:5.2f}   goal: at most {GOAL}")


if __name__ == "__main__":
    run(main(*arguments(2000, 5)))

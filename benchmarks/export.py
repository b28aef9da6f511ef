"""Writing preference data: pairs a second, and how much memory it takes, by how many there are.

Every count is exported in a process of its own, pairs of two answers of about TEXT characters made on the way (which is
part of the time). Growth is the peak of the process beyond what it took before the first pair came, file pages that it
has mapped included; beside it what of that is anonymous memory, looked up every twentieth of a second (Linux).

    python benchmarks/export.py [TEXT] [COUNT...]
"""

import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from fellowship.protocols.pairing import Data, Filters
from fellowship.scenarios.preferences.export import export
from fellowship.scenarios.preferences.pair import Ballot, Pair, Side, Turn
from fellowship.scenarios.preferences.writers import Files

COUNTS = (10_000, 100_000, 1_000_000)
TEXT = 1_000


class Many:
    """Candidates that are made as they are asked for: two pairs an item, from the last item to the first."""

    run = "benchmark"
    data: tuple[Data, ...] = ("generation",)
    failed = 0
    open = 0
    without: Mapping[Data, int] = {}

    def __init__(self, count: int, text: int) -> None:
        self.count, self.text = count, text
        self.items = count // 2

    def __iter__(self) -> Iterator[Pair]:
        for number in reversed(range(self.items)):
            words = f"{number} " * (self.text // (len(str(number)) + 1))
            for place in range(2):
                yield self.pair(number, place, words)

    def asked(self, pair: Pair) -> Filters:
        del pair
        return Filters()

    def pair(self, number: int, place: int, words: str) -> Pair:
        better, worse = 8.0 - place, 6.0 - place
        return Pair(
            number=number,
            item=f"item-{number}",
            variant=None,
            data="generation",
            of="answer",
            prompt=(Turn("user", f"{number}: {words[:200]}"),),
            chosen=Side("writer/3", "writer", "acme/w", f"{place} good {words}", 3, better, prompt_digest="p"),
            rejected=Side("writer/1", "writer", "acme/w", f"{place} bad {words}", 1, worse, prompt_digest="p"),
            margin=2.0,
            scale=10,
            votes=(1, 0, 0, 0),
            ballots=(
                Ballot("judge", "acme/j", "chosen-first", "chosen", better, worse),
                Ballot("judge", "acme/j", "rejected-first", "chosen", better, worse),
            ),
        )


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB, on Linux


def anonymous() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return float("nan")


class Watched:
    """The most anonymous memory that the process has while it is entered."""

    def __init__(self) -> None:
        self.before = self.most = anonymous()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            self.most = max(self.most, anonymous())


def one(files: Files, count: int, text: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        export(Many(100, text), Path(folder) / "warm", ["dpo", "kto"], files=files)
        before, begun, busy = peak(), time.perf_counter(), time.process_time()
        with Watched() as watched:
            found = export(Many(count, text), Path(folder) / "d", ["dpo", "kto"], files=files)
        seconds, busy = time.perf_counter() - begun, time.process_time() - busy
        size = sum(path.stat().st_size for path in Path(folder, "d").rglob("*.*")) / 1e6
    rows = sum(sum(written.rows.values()) for written in found.written)
    print(
        f"{files:8} {count:10,} pairs {rows:10,} rows {size:9,.0f} MB {seconds:8.1f} s {rows / seconds:9,.0f} rows/s "
        f"{rows / busy:9,.0f} rows/s of CPU "
        f"{peak() - before:7.1f} MiB growth, {watched.most - watched.before:.1f} anonymous",
        flush=True,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))  # type: ignore[arg-type]
    else:
        numbers = [int(argument) for argument in sys.argv[1:]]
        for kind in ("jsonl", "parquet"):
            for number in numbers[1:] or COUNTS:
                text = numbers[0] if numbers else TEXT
                subprocess.run([sys.executable, __file__, "--one", kind, str(number), str(text)], check=True)

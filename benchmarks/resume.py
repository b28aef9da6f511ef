"""How long it takes to go on with a long run, from the command to the first call, when nearly all items are done.

A run of judge calls is played against a model in this process until all but a hundredth of its items have an outcome;
then the command is started again, in a process of its own, and the endpoint says when the first request came. Once as
it is, once with a row more in the data, so that every row is looked at again.

    python benchmarks/resume.py [ITEMS] [REPETITIONS]
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import MEBIBYTE, Server, arguments, item, judging, middle, run, serving

from fellowship.protocols.models import Completion, ModelCall
from fellowship.runtime.testing import ScriptedModel
from fellowship.scenarios import Progress, Settings, open_dataset, play

GOAL_S = 5.0
LOOK_EVERY_S = 0.02


class Stopping(ScriptedModel):
    """A model that lets its run stop after so many calls."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self._left = calls
        self.progress: Progress | None = None

    def watch(self, progress: Progress) -> None:
        self.progress = progress

    async def complete(self, call: ModelCall) -> Completion:
        self._left -= 1
        if self._left <= 0 and self.progress is not None:
            self.progress.draining = True
        self.calls.clear()
        return await super().complete(call)


def written(path: Path, count: int) -> Path:
    with path.open("w") as file:
        for number in range(count):
            about = item(number)
            a, b = (candidate.text for candidate in about.candidates)
            file.write(json.dumps({"id": about.id, "prompt": about.prompt, "a": a, "b": b}) + "\n")
    return path


def first_call_s(server: Server, data: Path, out: Path) -> float:
    """Start the command; returns the seconds until the endpoint was asked. The command goes on to its end."""
    server.stats()
    command = [sys.executable, "-m", "fellowship", "run", "judge", "--data", data, "--out", out, "--model", "bench/m"]
    begun_s = time.perf_counter()
    with subprocess.Popen(
        [*map(str, command), "--no-cache"],
        env={**os.environ, "BENCH_BASE_URL": server.base_url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while not server.stats().answered_s:
            time.sleep(LOOK_EVERY_S)
            assert process.poll() in (None, 0), "the run did not go on"
        return time.perf_counter() - begun_s


async def main(count: int, repetitions: int) -> None:
    found: dict[str, list[float]] = {"as it was": [], "with a row more": []}
    with tempfile.TemporaryDirectory() as place, serving() as server:
        folder = Path(place)
        data, more = written(folder / "data.jsonl", count), written(folder / "more.jsonl", count + 1)
        model = Stopping(count - count // 100)
        left = await play(
            judging(), open_dataset(data, takes="comparison"), folder / "run", Settings(client=model, watch=model.watch)
        )
        for _ in range(repetitions):
            for name, rows in zip(found, (data, more), strict=True):
                shutil.copytree(folder / "run", folder / "again")
                found[name].append(first_call_s(server, rows, folder / "again"))
                shutil.rmtree(folder / "again")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / MEBIBYTE
    print(f"{count} items, {left.done} with an outcome, {repetitions} repetitions; from the command to its first call:")
    for name, seconds in found.items():
        print(f"  {name:16} {middle(seconds, '5.2f', 's')}   goal: at most {GOAL_S:g} s")
    print(f"  memory at its highest: {peak:.0f} MiB")


if __name__ == "__main__":
    run(main(*arguments(100_000, 3)))

"""What a run holds: the peak of its resident memory over few and over many items.

`play` of `judge` over a JSONL file that is read as the run goes, against the zero-latency endpoint, each run in a
process of its own; log and results are written, and folded at the end. The two sizes take turns.

    python benchmarks/memory.py [FEW] [MANY] [REPETITIONS] [--uvloop]
"""

import statistics
import tempfile
from pathlib import Path

import orjson
from common import Server, apart, arguments, fellowship, item, judging, middle, report, run, serving, told_apart

from fellowship.scenarios import open_dataset

IN_FLIGHT = 256


def write(path: Path, count: int) -> None:
    with path.open("wb") as file:
        for number in range(count):
            made = item(number)
            row = {"id": made.id, "prompt": made.prompt, "a": made.candidate("a").text, "b": made.candidate("b").text}
            file.write(orjson.dumps(row) + b"\n")


async def one(port: str, data: str) -> None:
    """Be one run, in a process of its own."""
    todo = open_dataset(Path(data), takes="comparison")
    with tempfile.TemporaryDirectory() as folder:
        spent = await fellowship(judging(), Server(port), todo, Path(folder) / "run", IN_FLIGHT)
    report(wall_s=spent.wall_s, cpu_s=spent.cpu_s)


def main(few: int, many: int, repetitions: int) -> None:
    found: dict[int, list[dict[str, float]]] = {few: [], many: []}
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        for count in found:
            write(Path(folder) / f"{count}.jsonl", count)
        for _ in range(repetitions):
            for count, figures in found.items():
                figures.append(apart(server.port, str(Path(folder) / f"{count}.jsonl")))
                server.stats()  # it keeps the time of every answer until it is asked
    print(f"judge over a JSONL file, {IN_FLIGHT} in flight, {repetitions} repetitions:")
    for count, figures in found.items():
        peak = middle([figure["peak_mib"] for figure in figures], "6.1f", "MiB")
        cpu = middle([1e6 * figure["cpu_s"] / count for figure in figures])
        print(f"  {count:7,} items  peak {peak}, CPU a call {cpu}")
    low, high = (statistics.median(figure["peak_mib"] for figure in figures) for figures in found.values())
    print(f"  growth {100 * (high / low - 1):.1f} %   goal: at most 10 %")


if __name__ == "__main__":
    if (told := told_apart()) is not None:
        run(one(*told))
    else:
        main(*arguments(10_000, 100_000, 1))

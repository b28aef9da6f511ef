"""What the processes of a cluster spend: their processor time, read from /proc as they go, by what they do."""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

EVERY_S = 0.05
LOOK_EVERY = 20
"""Readings from one look for new processes to the next."""
TICKS = os.sysconf("SC_CLK_TCK")
ROLES = {"ray::Worker": "workers", "ray::Timed": "workers", "ray::Bank": "bank"}
"""By the beginning of a process's title, which Ray writes; whatever else is Ray's is `ray`."""


@dataclass(slots=True)
class Watching:
    """Reads, in a thread, what a process and all below it have spent."""

    root: int
    _found: dict[int, str] = field(default_factory=dict[int, str])
    _read: list[tuple[float, dict[int, float]]] = field(default_factory=list[tuple[float, dict[int, float]]])
    _over: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        threading.Thread(target=self._watch, daemon=True).start()

    def end(self) -> None:
        self._over.set()

    def spent(self, since_s: float, until_s: float) -> dict[str, float]:
        """Return the seconds of processor time by role, between two times of the monotonic clock."""
        found = dict.fromkeys(("driver", "workers", "bank", "ray"), 0.0)
        within = [reading for reading in self._read if since_s <= reading[0] <= until_s]
        (first_s, before), (last_s, after) = within[0], within[-1]
        for pid, cpu_s in after.items():
            found[self._found[pid]] += cpu_s - before.get(pid, cpu_s)
        return {role: cpu_s * (until_s - since_s) / (last_s - first_s) for role, cpu_s in found.items()}

    def _watch(self) -> None:
        number = 0
        while not self._over.wait(EVERY_S):
            if number % LOOK_EVERY == 0:
                self._found.update(_below(self.root))
            number += 1
            now_s = time.monotonic()
            self._read.append((now_s, {pid: cpu_s for pid in self._found if (cpu_s := cpu(pid)) is not None}))


def cpu(pid: int) -> float | None:
    """Return the seconds that a process has spent; none where it is no more."""
    words = _words(pid)
    return (int(words[11]) + int(words[12])) / TICKS if words else None


def _words(pid: int) -> list[str]:
    """Return what the kernel says of a process, from its state on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _below(root: int) -> Iterator[tuple[int, str]]:
    """Return the processes below one, with their roles."""
    parents = {
        int(path.name): int(words[1])
        for path in Path("/proc").iterdir()
        if path.name.isdecimal() and (words := _words(int(path.name)))
    }
    yield root, "driver"
    family = {root}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        family |= more
        grown = bool(more)
    for pid in family - {root}:
        yield pid, _role(pid)


def _role(pid: int) -> str:
    try:
        title = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        title = ""
    return next((role for start, role in ROLES.items() if title.startswith(start)), "ray")

"""One run's directory through all its starts: the real command as a process, and SIGKILL at a chosen moment."""

import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from subprocess import STDOUT
from typing import IO, Any, Literal

import anyio
from anyio.abc import Process

from ...protocols.errors import LogError
from ..log import begun
from .endpoint import LoopbackEndpoint
from .opinions import Opinions, asked
from .proofs import Recorded, recorded

LOG = "run.db"
BESIDE = (LOG, f"{LOG}-wal", f"{LOG}-journal")
"""A log, and what SQLite may have left beside it."""
LOOK_S = 0.0003
SETTLE_S = 0.01
LAST = 2
"""Kills of a case that may come at its very end."""
STARTUP_S = 1.0
"""About what a start takes until its first request."""
AT_FIRST = ("run.db-wal", "run.yaml")
"""Files that come to be, or change, as a run begins."""
AT_LAST = ("run.db", "run.db-journal", "results.part", "results.jsonl")
"""Files that come to be, or change, as a run ends."""
PATIENCE_S = 120.0
"""The longest that one start may take: nothing here waits for ever."""

Code = int | Literal["killed"]


@dataclass(frozen=True, slots=True)
class Moment:
    """When a process is killed: after all of these."""

    requests: int = 0
    """The endpoint has seen so many since the start."""
    touched: str | None = None
    """This file of the run's directory has been made, or changed."""
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a command."""

    code: Code
    moment: Moment | None
    seconds: float
    requests: int
    """Made at the endpoint."""
    in_flight: int
    """Requests at the endpoint when it was killed."""
    lost: int
    """Requests that were answered, and are not in the log."""
    again: tuple[str, ...]
    """Requests that were made although an earlier start had their answers in the log: there must be none."""
    excused: int
    """Attempts that were given up at their deadline: an answer may have come just then."""


class Trial:
    """One run's directory, the endpoint that it asks, and all starts of it."""

    def __init__(self, out: Path, endpoint: LoopbackEndpoint, opinions: Opinions) -> None:
        self.out = out
        self.starts: list[Start] = []
        self.problems: list[str] = []
        """What must not be, in sentences."""
        self.answers: Counter[str] = Counter()
        """How often each question was answered."""
        self._endpoint = endpoint
        self._opinions = opinions
        self._told = 0
        self._known = Recorded()

    @property
    def kills(self) -> list[Start]:
        """The starts that were killed."""
        return [start for start in self.starts if start.code == "killed"]

    @property
    def repeated(self) -> int:
        """Answers that were not the first to their question."""
        return sum(count - 1 for count in self.answers.values())

    @property
    def said(self) -> str:
        """What the newest start wrote to stdout and stderr."""
        path = self.out.with_suffix(".txt")
        return path.read_text(errors="replace") if path.exists() else ""

    async def start(self, words: Sequence[str], moment: Moment | None = None) -> Start:
        """Start a command; kill it at a moment, or let it end."""
        begun_s, seen, in_flight = time.monotonic(), self._opinions.seen, [0]
        with self.out.with_suffix(".txt").open("wb") as said:
            process = await _spawned(words, said, self.out)
            async with process, anyio.create_task_group() as tasks:
                if moment is not None:
                    tasks.start_soon(self._kill, process, moment, in_flight)
                await _ended(process)
                tasks.cancel_scope.cancel()
        await self._settled()
        ended = process.returncode or 0
        code: Code = "killed" if ended == -signal.SIGKILL else ended
        if ended < 0 and code != "killed":
            self.problems.append(f"start {len(self.starts) + 1} died of signal {-ended}: {self.said}")
        start = self._account(code, moment, time.monotonic() - begun_s, self._opinions.seen - seen, in_flight[0])
        self.starts.append(start)
        if start.again:
            number = len(self.starts)
            self.problems.append(f"start {number} made {len(start.again)} requests again that were in the log")
        return start

    async def killed(self, words: Sequence[str], kills: int, calls: int, rng: Random, *, ends: bool = True) -> Start:
        """Start a command again and again, killing it so many times at moments left to chance; then let it end.

        Args:
            words: The command.
            kills: How often.
            calls: Answers that it needs in all.
            rng: The chance.
            ends: Whether it is let end.
        """
        aim, tries = len(self.kills) + kills, 0
        while len(self.kills) < aim and tries < 3 * kills:
            tries += 1
            left = max(0, calls - len(self._known.calls))
            start = await self.start(words, drawn(rng, left, aim - len(self.kills)))
            if start.code not in ("killed", 0, 1):
                return start
        return await self.start(words) if ends else self.starts[-1]

    async def _kill(self, process: Process, moment: Moment, in_flight: list[int]) -> None:
        before = self._state_of(moment.touched)
        await self._opinions.reach(moment.requests)
        while moment.touched is not None and self._state_of(moment.touched) in (None, before):  # noqa: ASYNC110 - of another process
            await anyio.sleep(LOOK_S)
        await anyio.sleep(moment.after_s)
        in_flight[0] = self._endpoint.in_flight
        with suppress(ProcessLookupError, ChildProcessError):
            process.kill()
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - the dying are sent no answers

    def _state_of(self, name: str | None) -> tuple[int, ...] | None:
        """Return what tells a file from what it was; None where it is not there."""
        try:
            stat = (self.out / (name or "")).stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    async def _settled(self) -> None:
        """Wait until the endpoint has noticed that nobody is there any more."""
        calm = 0
        while calm < 2:
            await anyio.sleep(SETTLE_S)
            calm = 0 if self._endpoint.in_flight or self._endpoint.connections else calm + 1

    def _account(self, code: Code, moment: Moment | None, seconds: float, requests: int, in_flight: int) -> Start:
        """Compare what the endpoint has told since the last start with the log."""
        ledger = self._endpoint.ledger[self._told :]
        self._told = len(self._endpoint.ledger)
        made = {asked(served.request) for served in ledger}
        answers = Counter(asked(served.request) for served in ledger if served.answered)
        self.answers += answers
        before, self._known = self._known, self._look()
        gone = before.calls - self._known.calls
        if gone:
            self.problems.append(f"{gone.total()} answers that were in the log are not there any more")
        lost = answers - (self._known.calls - before.calls)
        excused = self._known.timed_out - before.timed_out
        again = tuple(made.intersection(before.calls))
        return Start(code, moment, seconds, requests, in_flight, lost.total(), again, excused)

    def _look(self) -> Recorded:
        """Return what is in the log, of a copy: the next start is to find everything as the kill has left it."""
        copy = self.out.with_name(f"{self.out.name}-copy")
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for name in BESIDE:
            if (self.out / name).exists():
                shutil.copyfile(self.out / name, copy / name)
        try:
            return recorded(copy / LOG) if (copy / LOG).exists() and begun(copy / LOG) else Recorded()
        except LogError as error:
            self.problems.append(f"after start {len(self.starts) + 1}: {error}")
            return self._known

    def accounts(self, bound: int) -> list[str]:
        """Return what is wrong with what was asked twice."""
        problems = [
            f"kill {number} lost {start.lost} answers, and at most {bound + start.excused} can have been under way"
            for number, start in enumerate(self.kills, 1)
            if start.lost > bound + start.excused
        ]
        most = sum(start.lost for start in self.starts)
        if self.repeated > most:
            problems.append(f"{self.repeated} answers were asked for again, and only {most} were lost")
        ended = [start.lost for start in self.starts if start.code != "killed" and start.lost > start.excused]
        if ended:
            problems.append(f"starts that ended by themselves lost {ended} answers")
        return [*self.problems, *problems]


def drawn(rng: Random, left: int, kills: int) -> Moment:
    """Return a moment left to chance: after some requests, as a start begins, or at its very end.

    Args:
        rng: The chance.
        left: Answers that are still needed.
        kills: Kills that are still to come, this one included.
    """
    sorts = ("requests", "begins", "files", "ends")
    sort = rng.choices(sorts, (16 if left else 0, 2, 2, 6 if kills <= LAST else 0))[0]
    after_s = rng.random() * 0.004
    match sort:
        case "begins":
            return Moment(after_s=STARTUP_S * (0.4 + rng.random()))
        case "files":
            return Moment(touched=rng.choice(AT_FIRST), after_s=after_s)
        case "ends":
            return Moment(requests=left, touched=rng.choice(AT_LAST), after_s=after_s)
        case _:
            return Moment(requests=1 + int(rng.random() * 2 * left / (kills + 1)), after_s=after_s)


async def _spawned(words: Sequence[str], said: IO[bytes], out: Path) -> Process:
    line = [sys.executable, "-m", "fellowship", *words]
    environ: Mapping[str, str] = {**os.environ, "FELLOWSHIP_CACHE": str(out.parent / "cache"), "NO_COLOR": "1"}
    return await anyio.open_process(line, stdin=None, stdout=said, stderr=STDOUT, env=environ)


async def _ended(process: Process) -> None:
    try:
        with anyio.fail_after(PATIENCE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        raise


@dataclass(slots=True)
class Told:
    """What a command said that ends by itself."""

    code: int
    document: dict[str, Any]
    """What it printed; empty where that was none."""
    words: str
    """What it wrote to stderr."""


async def told(*words: str) -> Told:
    """Return what a command says with --json."""
    line = [sys.executable, "-m", "fellowship", *words, "--json"]
    with anyio.fail_after(PATIENCE_S):
        done = await anyio.run_process(line, check=False, env={**os.environ, "NO_COLOR": "1"})
    return Told(done.returncode, json.loads(done.stdout or "{}"), done.stderr.decode(errors="replace"))

"""Killing runs again and again, and what must hold of them in the end.

"Nothing lost, nothing paid for twice" is shown by three witnesses that know nothing of one another: an undisturbed run,
the endpoint's ledger, and the log as it lies there after each kill.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import anyio

from .endpoint import LoopbackEndpoint
from .faults import Fault, Misbehaviour, Mishaps
from .latency import uniform
from .opinions import Opinions
from .proofs import differing_outcomes, differing_talk, gaps
from .trial import Start, Told, Trial, told

DEADLINE_S = 2.0
"""Of a request: what stalls is given up soon."""
_JURORS = ("first=acme/one", "second=acme/two", "third=acme/three")
DISTINCT = {
    "jury": _JURORS,
    "jury-sequential": _JURORS,
    "jury-escalating": _JURORS,
    "feedback-panel": ("writer=acme/m", "first=acme/one", "second=acme/two"),
    "preference-pairs": ("writer=acme/one", "reviewer=acme/two", "single=acme/three", "judge=acme/four"),
}
"""Models of scenarios in which several are asked the same."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is played, and how often it is killed."""

    scenario: str
    items: int
    kills: int
    concurrency: int = 32
    together: int = 1
    """Agents of one conversation that are asked at once, at the most."""
    options: tuple[str, ...] = ()
    mishaps: float = 0.05
    """Share of the requests that something goes wrong with, to be tried again."""
    refused: float = 0.0
    """Share of the questions that are too long: their items fail, and are retried when they are not any more."""
    retry_kills: int = 0
    """Kills of `retry`, where items were refused."""
    change: str = ""
    """What is set otherwise after so many kills: the run goes on with --accept-changes."""
    change_kills: int = 0
    """Kills after that."""
    latency_s: tuple[float, float] = (0.002, 0.03)

    @property
    def name(self) -> str:
        """Return it in a few words."""
        words = [self.scenario, f"{self.concurrency} in flight", *self.options]
        words += ["then retry"] * bool(self.refused) + [f"then {self.change}"] * bool(self.change)
        return " ".join(words)

    @property
    def distinct(self) -> tuple[str, ...]:
        """Return the options by which no two questions of a run are the same."""
        models = DISTINCT.get(self.scenario, ("acme/m",))
        return tuple(word for model in models for word in ("--model", model))

    @property
    def bound(self) -> int:
        """Calls that can be under way, or answered and not yet in the log."""
        return (self.concurrency + self.concurrency // 4) * self.together

    def command(self, data: Path, out: Path, base_url: str, *more: str) -> list[str]:
        """Return the words of `run`."""
        words = ["run", self.scenario, "--data", str(data), "--out", str(out), "--concurrency", str(self.concurrency)]
        words += ["--base-url", base_url, "--deadline", str(DEADLINE_S)]
        return [*words, *self.distinct, *self.options, *more]


def write_data(path: Path, count: int) -> Path:
    """Write so many items as a data file."""
    lines = [
        {"id": f"i{number}", "prompt": f"Question {number}?", "a": f"Answer a{number}", "b": f"Answer b{number}"}
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@dataclass(frozen=True, slots=True)
class Report:
    """What a case came to."""

    case: Case
    problems: tuple[str, ...]
    starts: tuple[Start, ...]
    requests: int
    answers: int
    repeated: int
    seconds: float

    @property
    def kills(self) -> list[Start]:
        """The starts that were killed."""
        return [start for start in self.starts if start.code == "killed"]


MISHAPS: tuple[Misbehaviour | Fault, ...] = (
    Fault(status=500),
    Fault(status=503),
    Fault(status=429, headers={"retry-after-ms": "20"}),
    "reset",
    "truncated",
    "truncated-json",
    "malformed",
    "not-json",
    "no-choices",
    "drip",
    "stall",
    "stall-after-headers",
)
"""What is tried again and ends well."""


async def killed(case: Case, folder: Path, seed: int) -> Report:
    """Play a case undisturbed, then with its kills, and return what was found."""
    begun_s, rng = time.monotonic(), Random(f"{seed}/{case.name}")  # noqa: S311 - chance, not secrets
    data = write_data(folder / "data.jsonl", case.items)
    change = ("--set", case.change) if case.change else ()
    unreadable = 0.0 if case.refused else 0.1
    calm = Opinions(unreadable=unreadable)
    async with LoopbackEndpoint(calm, faults=calm) as endpoint:
        undisturbed = Trial(folder / "undisturbed", endpoint, calm)
        expected = await undisturbed.start(case.command(data, undisturbed.out, endpoint.base_url, *change))
        problems = [*undisturbed.accounts(0), *(["undisturbed: a question stands twice"] * bool(undisturbed.repeated))]
    stormy = Opinions(Mishaps(case.mishaps, MISHAPS, seed), unreadable=unreadable, refused=case.refused)
    async with LoopbackEndpoint(stormy, faults=stormy, latency=uniform(*case.latency_s), seed=seed) as endpoint:
        trial = Trial(folder / "run", endpoint, stormy)
        command = case.command(data, trial.out, endpoint.base_url)
        calls = expected.requests
        last = await trial.killed(command, case.kills, calls, rng, ends=not case.change)
        if case.refused and last.code == 1:
            stormy.refused = 0.0
            retry = ["retry", *_without(command[command.index("--out") + 1 :], "--model")]
            last = await trial.killed(retry, case.retry_kills, calls, rng)
        if case.change:
            last = await trial.killed([*command, "--accept-changes", *change], case.change_kills, calls, rng)
        if last.code != expected.code:
            problems.append(f"the last start ended with {last.code}, undisturbed {expected.code}: {trial.said}")
        else:
            problems += await _compared(trial.out, undisturbed.out, talk=not (case.change or case.refused))
            again = await trial.start([*command, *change])
            if again.requests or again.code != expected.code:
                problems.append(f"once more, it made {again.requests} requests, and ended with {again.code}")
            problems += differing_outcomes(trial.out, undisturbed.out)
    seconds, requests = time.monotonic() - begun_s, sum(start.requests for start in trial.starts)
    problems += trial.accounts(case.bound)
    answers, repeated = trial.answers.total(), trial.repeated
    return Report(case, tuple(problems), tuple(trial.starts), requests, answers, repeated, seconds)


def _without(words: Sequence[str], option: str) -> list[str]:
    """Return words without an option and its values."""
    return [word for word, before in zip(words, ("", *words), strict=False) if option not in (word, before)]


async def _compared(out: Path, undisturbed: Path, *, talk: bool) -> list[str]:
    problems = [*differing_outcomes(out, undisturbed), *gaps(out)]
    if talk:
        problems += differing_talk(out, undisturbed)
    said: dict[str, Told] = {}

    async def ask(command: str) -> None:
        said[command] = await told(command, str(out))

    async with anyio.create_task_group() as both:
        both.start_soon(ask, "status")
        both.start_soon(ask, "replay")
    if said["status"].document.get("state") != "done" or said["replay"].document.get("same") is not True:
        problems += [f"{command}: {what.words}{what.document}" for command, what in said.items()]
    return problems

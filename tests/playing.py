"""What tests of whole runs share: items, plans, the command line, and an endpoint beside it."""

import json
import re
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal
from typer import main, testing
from typer.testing import CliRunner, Result

from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Candidate, Item
from fellowship.runtime.testing import LoopbackEndpoint, Served
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import Plan, load, plan
from fellowship.scenarios.cli import app

MODEL = "acme/m"
testing._get_command = cache(main.get_command)  # type: ignore[attr-defined]  # built anew for each call otherwise
QUESTION = re.compile(r"Question (\d+)\?")


def items(count: int) -> list[Item]:
    return [
        Item(
            id=ItemId(f"i{number}"),
            prompt=f"Question {number}?",
            candidates=(Candidate(slot="a", text=f"Answer a{number}"), Candidate(slot="b", text=f"Answer b{number}")),
        )
        for number in range(count)
    ]


def library(name: str, *changes: str, model: str = MODEL) -> Plan:
    scenario, source = load(name, changes=changes)
    return plan(scenario, source=source, models={"*": model})


def at(base_url: str, **more: str) -> dict[str, str]:
    """Return an environment in which every acme/ model is at an address."""
    return {"ACME_BASE_URL": base_url, **more}


def results(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def answered(*ledgers: Iterable[Served]) -> Counter[int]:
    """Return how often each item's question was answered."""
    numbers: Counter[int] = Counter()
    for ledger in ledgers:
        for served in ledger:
            if served.answered:
                found = QUESTION.search(json.dumps(served.request))
                assert found is not None
                numbers[int(found[1])] += 1
    return numbers


def fellowship(*arguments: object, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)


def status(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fellowship("status", run, "--json").stdout)
    return found


def content(folder: Path) -> dict[str, bytes]:
    """Return what every file of a folder holds, by its place in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written(path: Path, count: int) -> Path:
    """Write items as a data file."""
    lines = [
        {"id": item.id, "prompt": item.prompt, "a": item.candidates[0].text, "b": item.candidates[1].text}
        for item in items(count)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@contextmanager
def beside(endpoint: LoopbackEndpoint) -> Generator[LoopbackEndpoint, None, None]:
    """Serve on a thread, so that the command line has the main one and its signals."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(endpoint) as server:
        yield server


def judged(folder: Path, count: int) -> Path:
    """Play some items before a judge who can always be read; returns the run."""
    data, run = written(folder / "d.jsonl", count), folder / "r"
    with beside(LoopbackEndpoint(answer=Opinions(unreadable=0))) as endpoint:
        options = ("--model", MODEL, "--base-url", endpoint.base_url)
        played = fellowship("run", "judge", "--data", data, "--out", run, *options)
    assert played.exit_code == 0, played.stderr
    return run

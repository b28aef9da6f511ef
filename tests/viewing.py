"""Runs to look at: as different as runs are, played once for all tests of a process, on a real endpoint."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import aiohttp
from playing import at, items, library

from fellowship.protocols.items import HumanVote, Item
from fellowship.runtime.models import PriceTable
from fellowship.runtime.session import Access
from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import Settings, load, plan, play

PRICES = PriceTable({"acme/m": {"input_cost_per_token": 3e-6, "output_cost_per_token": 1e-5}})
DEBATE = """
scenario: two-rounds
about: Three discuss two answers in two rounds, vote after each, and are counted.
takes: comparison
models: {judge: acme/m}
agents:
  public: {role: debater, persona: general-public, model: judge}
  scholar: {role: debater, persona: scientist, model: judge}
  critic: {role: debater, persona: critic, model: judge}
flow:
  - repeat: 2
    do:
      - {ask: [public, scholar, critic], for: argument, order: in-turn, hears: everyone}
      - {ask: [public, scholar, critic], for: ballot, order: together}
  - decide: majority
gives: verdict
"""


def judged(count: int) -> list[Item]:
    """Return items that two people have judged, too."""
    return [
        item.model_copy(
            update={"human": (HumanVote(rater="ann", verdict="a"), HumanVote(rater="bob", verdict="ab"[number % 2]))}  # type: ignore[arg-type]
        )
        for number, item in enumerate(items(count))
    ]


async def _played(folder: Path) -> dict[str, Path]:
    spec, source = load(_written(folder / "two-rounds.yaml", DEBATE))
    debate = plan(spec, source=source)
    runs = {
        "debate": (debate, 24, Opinions(unreadable=0.2)),
        "again": (debate, 24, Opinions(unreadable=0.5)),
        "judge": (library("judge-swapped"), 60, Opinions(refused=0.2)),
        "loop": (library("feedback-loop"), 4, Opinions()),
    }
    found: dict[str, Path] = {}
    for name, (made, count, opinions) in runs.items():
        found[name] = folder / name
        async with LoopbackEndpoint(opinions, faults=opinions) as server:
            settings = Settings(environ=at(server.base_url), access=Access(prices=PRICES))
            given = judged(count) if made.scenario.takes == "comparison" else _prompts(count)
            await play(made, given, found[name], settings)
    return found


def _prompts(count: int) -> list[Item]:
    return [item.model_copy(update={"candidates": ()}) for item in items(count)]


def _written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@cache
def gallery() -> dict[str, Path]:
    """Return the directories of runs, by name: debate, again (the same with more that cannot be read), judge, loop.

    In `judge` some items fail. They are only to be read.
    """
    with ThreadPoolExecutor(1) as thread:  # whoever asks may be in a loop of its own
        return thread.submit(asyncio.run, _played(Path(mkdtemp(prefix="fellowship-gallery-")))).result()


async def read_whole(url: str, *names: str) -> None:
    """Wait until the viewer at an address has taken in all that there is of its runs."""
    async with aiohttp.ClientSession() as session:
        for name in names:
            async with session.get(f"{url}r/{name}/events") as stream:
                async for line in stream.content:
                    if line.startswith(b"data:"):
                        async with session.get(f"{url}r/{name}/") as answer:
                            if "Reading the log" not in await answer.text():
                                break

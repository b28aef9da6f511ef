"""The rehearsal room: what a test has in hand to play scenarios, files beside it first."""

import asyncio
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Unpack, overload

import anyio

from ..spec import Scenario
from ..steps import Plan
from .rehearsal import Rehearsal
from .staging import How, Row, rehearse, rehearse_all

Playbook = str | Path | Scenario | Plan
"""A library scenario's name, a file, the YAML text itself, a Scenario, or a plan."""


class RehearsalRoom:
    """Plays scenarios for a test: awaited, or with `play` where the test is not async.

    Scenarios, data and cassettes are looked for beside the test first, then where pytest was started.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @overload
    async def __call__(
        self, scenario: Playbook, *, item: Row | None = None, number: int = 0, **how: Unpack[How]
    ) -> Rehearsal: ...
    @overload
    async def __call__(self, scenario: Playbook, *, items: Iterable[Row], **how: Unpack[How]) -> list[Rehearsal]: ...
    @overload
    async def __call__(
        self, scenario: Playbook, *, data: str | Path, limit: int | None = None, **how: Unpack[How]
    ) -> list[Rehearsal]: ...
    async def __call__(self, scenario: Playbook, **how: Any) -> Rehearsal | list[Rehearsal]:
        """Play a scenario for one item (`item`), or for each of several (`items`, or a file of `data`).

        See `rehearse` and `rehearse_all` for all that can be said, and what is raised.
        """
        scenario = self._beside(scenario)
        for name in ("data", "cassette"):
            if name in how:
                how[name] = self._beside(how[name])
        if "plugins" in how:
            how["plugins"] = [self._beside(file) for file in how["plugins"]]
        if "items" in how or "data" in how:
            return await rehearse_all(scenario, **how)
        return await rehearse(scenario, **how)

    @overload
    def play(
        self, scenario: Playbook, *, item: Row | None = None, number: int = 0, **how: Unpack[How]
    ) -> Rehearsal: ...
    @overload
    def play(self, scenario: Playbook, *, items: Iterable[Row], **how: Unpack[How]) -> list[Rehearsal]: ...
    @overload
    def play(
        self, scenario: Playbook, *, data: str | Path, limit: int | None = None, **how: Unpack[How]
    ) -> list[Rehearsal]: ...
    def play(self, scenario: Playbook, **how: Any) -> Rehearsal | list[Rehearsal]:
        """Play as an awaited call does, in a test that is not async; raises RuntimeError in one that is."""
        if _is_running():
            raise RuntimeError("an async test awaits: `await fellowship_scenario(...)`; .play is for the others")
        return anyio.run(partial(self, scenario, **how))

    def _beside(self, place: Any) -> Any:  # noqa: ANN401 - only a name or a path is another one afterwards
        """Return a file beside the test, where there is one of that name."""
        if not isinstance(place, (str, Path)) or "\n" in str(place):
            return place
        beside = self._folder / place
        return beside if beside.is_file() else place


def _is_running() -> bool:
    """Whether this thread is within an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

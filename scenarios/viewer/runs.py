"""The runs that are looked at, each with its index, kept up with the log."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import anyio
import anyio.to_thread
from aiohttp import web

from ...protocols.errors import DeclarationError, FellowshipError, LogError, UnknownName
from ...runtime.tracing import logger
from ..outcomes import state_of
from ..traces.index import Index

Parameters = ParamSpec("Parameters")
ReturnT = TypeVar("ReturnT")
SLICE = 5_000
"""Events taken in at once; between slices, pages are answered."""
LOOKS_EVERY_S = 0.5
"""How often the log is asked whether there is more."""


class Viewed:
    """One run that is looked at."""

    def __init__(self, name: str, index: Index) -> None:
        self.name = name
        """What it is called in addresses: the directory's name."""
        self.index = index
        self.ready = anyio.Event()
        """Set once all is taken in that was there at the start."""
        self.trouble: str | None = None
        """Why it cannot be kept up with, where it cannot."""
        self.changes = 0
        """How often more was taken in, or the state of the run was another one."""
        self.alone = True
        """Whether no other run is looked at."""
        self.closed = False
        """Whether the server is being left."""
        self._changed = anyio.Event()
        self._turn = anyio.Lock()
        self._birth = token_hex(4)

    async def ask(
        self,
        function: Callable[Concatenate[Index, Parameters], ReturnT],
        *args: Parameters.args,
        **more: Parameters.kwargs,
    ) -> ReturnT:
        """Call a function with the index in a thread, one at a time."""
        async with self._turn:
            return await anyio.to_thread.run_sync(lambda: function(self.index, *args, **more))

    @property
    def mark(self) -> str:
        """What is another one after every change, and with every server.

        A page that asks once shows the run as it was at this mark: nothing is taken in between the answer and the page.
        """
        return f"{self._birth}-{self.changes}"

    async def changed(self, since: str | None) -> None:
        """Wait until there is a further change, or the server is left."""
        while self.mark == since and not self.closed:
            await self._changed.wait()

    def leave(self) -> None:
        """Let all go who wait for changes."""
        self.closed = True
        self._changed.set()

    def _tell(self) -> None:
        self.changes += 1
        self._changed.set()
        self._changed = anyio.Event()

    async def keep_up(self) -> None:
        """Take in what is written to the log, until cancelled."""
        noted: object = None
        while True:
            taken, now = 0, noted
            try:
                taken = await self.ask(Index.refresh, SLICE)
                now = await self.ask(_standing)
            except FellowshipError as error:  # the pages say so, and show what was taken in before
                now = str(error)
            except Exception:  # noqa: BLE001 - whatever it is, the other runs are kept up with
                logger().exception("run_not_kept_up", path=str(self.index.run))
                now = "what is written to the log is not taken in any more: the terminal says why"
            self.trouble = now if isinstance(now, str) else None
            if taken or now != noted:
                noted = now
                self._tell()
            if taken < SLICE:
                self.ready.set()
                await anyio.sleep(LOOKS_EVERY_S)


def _standing(index: Index) -> tuple[object, ...]:
    """Return what may change though nothing is written to the log's events; raises LogError where it has gone."""
    if not index.log.path.exists():
        raise LogError(f"{index.log.path} has gone: what is shown was read before")
    return state_of(index.log)[0], index.log.meta("live")


class Runs:
    """The runs by name."""

    def __init__(self, paths: Sequence[Path], folder: Path | None = None) -> None:
        """Open runs.

        Args:
            paths: Their directories.
            folder: Where their indexes lie; none: the user's cache.

        Raises:
            LogError: one of them has no log that can be read.
        """
        self._runs: dict[str, Viewed] = {}
        try:
            for path in dict.fromkeys(path.resolve() for path in paths):
                name = self._name(path)
                self._runs[name] = Viewed(name, Index(path, folder))
            for viewed in self:
                viewed.alone = len(self) == 1
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Viewed]:
        return iter(self._runs.values())

    def __len__(self) -> int:
        return len(self._runs)

    def __getitem__(self, name: str) -> Viewed:
        """Return a run; raises UnknownName where there is none of that name."""
        if name not in self._runs:
            raise UnknownName("run", name, self._runs)
        return self._runs[name]

    def close(self) -> None:
        """Close all."""
        for viewed in self._runs.values():
            viewed.index.close()

    def _name(self, path: Path) -> str:
        """Return a name that no other run has: the directory's, with a number where that is taken."""
        called = path.name.encode(errors="replace").decode() or "run"  # names that are no text have no address
        name, number = called, 1
        while name in self._runs:
            number += 1
            name = f"{called}-{number}"
        return name


RUNS = web.AppKey("RUNS", Runs)


def marks(runs: Iterable[Viewed]) -> str:
    """Return what is another one after every change of any of some runs."""
    return " ".join(run.mark for run in runs)


def viewed(request: web.Request) -> Viewed:
    """Return the run that a request is about; raises UnknownName."""
    return request.app[RUNS][request.match_info["run"]]


def number_in(request: web.Request, name: str, default: int, *, least: int = 0, most: int = 2**62) -> int:
    """Return a whole number out of the address; raises DeclarationError where it is none, or not between the bounds."""
    text = request.query.get(name)
    if text is None or not text:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 19 or not least <= int(text) <= most:
        raise DeclarationError(f"{name}={text!r:.40} is no whole number from {least} to {most}")
    return int(text)

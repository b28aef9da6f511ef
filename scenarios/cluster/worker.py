"""A worker: plays the items that it is given as the ordinary runtime does, and tells the driver all that is said."""

import asyncio
import os
import platform
import socket
import tempfile
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path

from ...protocols.errors import DeclarationError, FellowshipError, WorkerLost, first_of
from ...protocols.lifecycle import Failure
from ...protocols.ports import ModelClient
from ...runtime.clock import SystemClock
from ...runtime.cluster.leasing import BankLine, LeasedAdmissions, LeasedPurse, Teller
from ...runtime.cluster.relay import RelayLog
from ...runtime.collecting import collector_at_rest
from ...runtime.models import weights
from ...runtime.models.access import ModelAccess
from ...runtime.models.budget import Reservation
from ...runtime.secrecy import Secrets, hiding, secrets_of
from ...runtime.session import Access, open_access
from ...runtime.system import ActorSystem, NoModels
from ...runtime.tracing import hand_over, within
from ..again import remade
from ..directory import LOG
from ..live import Stall
from ..player import Player
from ..plugins.loading import loaded
from ..run import COLLECT_EVERY
from ..settings import Counting, Progress
from ..steps import Playable
from .parcels import Answer, Charter, Line, Order, Place, Welcome
from .playing import Playing, Untold

BEAT_S = 1.0
"""How often a worker speaks that has nothing to tell."""
DESERTED_S = 180.0
"""How long it goes on without a word from the driver."""
LONE = 4
"""Items that are being played from which on events gather before they are sent."""


class Worker:
    """One process of a cluster that plays items of a run."""

    def __init__(self) -> None:
        self._ready = asyncio.Event()
        self._news = asyncio.Event()
        self._called = asyncio.Event()
        self._released = False
        self._ending = False
        """Whether nothing can be begun any more."""
        self._over = False
        """Whether all that was begun has ended, too."""
        self._failed: Failure | None = None
        self._progress = Progress(0)
        self._secrets = Secrets()
        self._lines: list[Line] = []
        self._off = Reservation(0.0, 0)
        self._done = 0
        self._told_s = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._log: RelayLog | None = None
        self._play: Playing | None = None

    def place(self) -> Place:
        """Return where this worker is; the node is for whoever placed it there to say."""
        now_s = time.time()
        return Place("", "", socket.gethostname(), os.getpid(), version("llm-fellowship"), now_s)

    def listen(self, least: int) -> None:
        """Have all that this process logs told to the driver."""
        hand_over(lambda level, event, facts: self._lines.append((level, event, facts)), least=least)

    async def run(self, charter: Charter, welcome: Welcome, bank: BankLine) -> None:
        """Play what comes by `exchange`, until released; whatever ends it is told there."""
        try:
            await self._run(charter, welcome, bank)
        except Exception as error:  # noqa: BLE001 - told to the driver, which stops
            self._failed = _failure(first_of(error))
        finally:
            self._over = True
            self._ready.set()
            self._news.set()
        while not self._released and self._log is not None:  # what is left is fetched by exchange
            await self._called_in_time()

    async def _run(self, charter: Charter, welcome: Welcome, bank: BankLine) -> None:
        self.listen(charter.least)
        environ = {**os.environ, **charter.addresses}
        self._secrets = secrets = secrets_of(environ)
        with (
            hiding(secrets),
            within(run=charter.run),
            _plugins(charter.files),
            collector_at_rest(COLLECT_EVERY),
        ):
            plan = _plan_of(charter)
            self._log = RelayLog(Path(charter.directory) / LOG, SystemClock(), secrets.hide_json)
            self._log.grown = self._news.set
            async with self._client(charter, welcome, bank, plan, environ, secrets) as (client, access):
                system = ActorSystem(self._log, models=Counting(client, self._progress), seed=charter.seed)
                player = Player(system, access, self._progress, Untold(self._progress))
                async with asyncio.TaskGroup() as group:
                    self._play = Playing(charter, plan, system, access, player, group)
                    self._ready.set()
                    try:
                        while not self._released:
                            await self._called_in_time()
                    finally:
                        self._ending = True

    async def _called_in_time(self) -> None:
        """Wait for a word from the driver; raises WorkerLost where none comes: then nobody waits for this worker."""
        try:
            async with asyncio.timeout(DESERTED_S):
                await self._called.wait()
        except TimeoutError as error:
            reason = f"its run has said nothing for {DESERTED_S:g} s"
            if self._log is not None:
                self._log.end(reason)
            self._released = True
            raise WorkerLost(reason) from error
        self._called.clear()

    @asynccontextmanager
    async def _client(
        self,
        charter: Charter,
        welcome: Welcome,
        bank: BankLine,
        plan: Playable,
        environ: dict[str, str],
        secrets: Secrets,
    ) -> AsyncGenerator[tuple[ModelClient, ModelAccess | None], None]:
        """Open the way to models: limits are leased, and a node's embedded engines are shared."""
        if charter.client is not None or charter.recorded:
            yield charter.client or NoModels(), None
            return
        async with Teller(bank, welcome.name, minute_s=charter.limits.minute_s) as teller:
            budget = charter.limits.budget
            access = Access(
                way=charter.way,
                stream=charter.stream,
                prices=charter.prices,
                cache=weights.cache() / "answers.db" if charter.cache else None,
                cache_here=charter.cache_here,
                admissions=LeasedAdmissions(teller, salt=charter.salt, node=welcome.address),
                engines=welcome.engines,
            )
            async with open_access(
                plan.models,
                environ=environ,
                limits=charter.limits,
                seed=charter.seed,
                clock=SystemClock(),
                access=access,
                secrets=secrets,
                purse=LeasedPurse(teller, budget, write_off=self._write_off) if budget is not None else None,
            ) as reached:
                yield reached, reached

    def _write_off(self, most: Reservation) -> None:
        self._off = Reservation(self._off.usd + most.usd, self._off.tokens + most.tokens)

    # what the driver asks

    async def exchange(self, order: Order) -> Answer:
        """Carry out an order, and return what has happened as soon as anything has."""
        await self._ready.wait()
        self._called.set()
        if order.number > self._done:
            self._done = order.number
            self._carry_out(order)
        if not order.leave:
            await self._news_for(order)
        return self._answer()

    def _carry_out(self, order: Order) -> None:
        if self._log is not None:
            self._log.taken(order.taken, order.texts)
        if order.leave:
            self._released = True
            return
        if order.draining:
            self._progress.draining = True
            if self._play is not None:
                self._play.player.drop()
        if self._play is None or self._ending:
            return
        for work in order.works:
            task = self._play.begin(work)
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        if order.stop:
            for task in self._tasks:
                task.cancel()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._ending |= not task.cancelled() and task.exception() is not None
        self._news.set()

    async def _news_for(self, order: Order) -> None:
        until_s = time.monotonic() + BEAT_S
        while not self._worth_telling(order):
            self._news.clear()
            try:
                async with asyncio.timeout(until_s - time.monotonic()):
                    await self._news.wait()
            except TimeoutError:
                return
        if self._log is not None and len(self._log) and len(self._tasks) >= LONE and order.gather_s:
            await asyncio.sleep(order.gather_s)

    def _worth_telling(self, order: Order) -> bool:
        if self._over or self._log is None or len(self._log):
            return True
        if not self._tasks and not order.more:
            return True
        return order.more and not self._progress.draining and self._room() > 0

    def _room(self) -> int:
        return 0 if self._play is None else self._play.charter.conversations - len(self._tasks)

    def _answer(self) -> Answer:
        rows, texts = self._log.batch() if self._log is not None else ([], [])
        lines, self._lines = self._lines, []
        progress = self._progress
        return Answer(
            rows=rows,
            texts=texts,
            lines=lines,
            room=max(0, self._room()),
            playing=len(self._tasks),
            calls=progress.calls,
            tokens=progress.tokens,
            cost_usd=progress.cost_usd,
            unpriced=progress.unpriced,
            off_usd=self._off.usd,
            off_tokens=self._off.tokens,
            stalls=self._stalls_of_late(),
            left_open=tuple(self._play.left_open) if self._play is not None else (),
            stopped_by=self._told(progress.stopped_by),
            failed=self._told(self._failed),
        )

    def _stalls_of_late(self) -> tuple[Stall, ...] | None:
        """Return the calls that have been on their way for longest, once a beat."""
        now_s = time.monotonic()
        if self._play is None or now_s < self._told_s + BEAT_S:
            return None
        self._told_s = now_s
        with hiding(self._secrets):
            return self._play.stalls()

    def _told(self, failure: Failure | None) -> Failure | None:
        """Return a failure without what is secret here: the driver may not know it."""
        return failure and failure.model_copy(update={"reason": self._secrets.hide(failure.reason)})


@contextmanager
def _plugins(files: dict[str, bytes]) -> Generator[None, None, None]:
    """Load the plugins of installed packages, and those that came as files."""
    with tempfile.TemporaryDirectory(prefix="fellowship-") as folder:
        paths = [Path(folder) / name for name in files]
        for path, source in zip(paths, files.values(), strict=True):
            path.write_bytes(source)
        with loaded(*paths, packaged=True):
            yield


def _plan_of(charter: Charter) -> Playable:
    """Return the plan; raises DeclarationError where this process makes another one of it than the driver."""
    plan = remade(charter.record, charter.plugins, charter.directory)
    if plan.record() != charter.record:
        here = (
            f"llm-fellowship {version('llm-fellowship')}, Python {platform.python_version()} on {socket.gethostname()}"
        )
        raise DeclarationError(f"{here} would play another scenario than the driver: install the same version there")
    return plan


def _failure(error: BaseException) -> Failure:
    told = str(error) if isinstance(error, FellowshipError) else f"{error} ({type(error).__name__})"
    return Failure(error=type(error).__name__, reason=told)

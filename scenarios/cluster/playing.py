"""What a worker does with an item that it is given."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path

from ...protocols.identity import ConversationId, ItemId
from ...protocols.lifecycle import Failure
from ...runtime.log import LogReader
from ...runtime.models.access import ModelAccess
from ...runtime.recording import Cassette, RecordedRun
from ...runtime.system import ActorSystem
from ..directory import LOG
from ..live import Stall, stalls
from ..player import Player
from ..settings import Progress
from ..stage import End, Stage
from ..steps import Playable
from .parcels import Charter, Work


class Untold:
    """An Ear that tells nobody: the driver sees by the events how items end."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def end(self, item: ItemId, conversation: ConversationId, end: End) -> None:
        """Do nothing."""

    def stop(self, cause: Failure) -> None:
        """Begin no further item."""
        self._progress.stop_for(cause)


class Playing:
    """What a worker needs to play items, once it is open."""

    def __init__(
        self,
        charter: Charter,
        plan: Playable,
        system: ActorSystem,
        access: ModelAccess | None,
        player: Player,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.charter = charter
        self.player = player
        self.left_open: list[str] = []
        """Items that were given up without an outcome."""
        self._plan = plan
        self._system = system
        self._access = access
        self._tasks = tasks
        self._context = copy_context()  # of the run: its secrets, and what lines of the logs belong to
        self._stage = self._stage_of()

    def begin(self, work: Work) -> "asyncio.Task[None]":
        """Begin to play an item."""
        return self._tasks.create_task(self._play(work), context=self._context.copy())

    def stalls(self) -> tuple[Stall, ...]:
        """Return the calls that have been on their way for longest."""
        return stalls(self._system, self._access)

    async def _play(self, work: Work) -> None:
        with _past(work, self.charter) as own:
            cassette = work.recording.cassette() if work.recording is not None else None
            stage = self._stage if own is None and cassette is None else self._stage_of(own, cassette)
            if not await self.player.play(stage, stage.due(work.number, work.item, work.left)):
                self.left_open.append(
                    work.item.id
                )  # what fails or is broken off is not: the driver hears why, and waits

    def _stage_of(self, own: RecordedRun | None = None, cassette: Cassette | None = None) -> Stage:
        return Stage(
            self._plan,
            self._system,
            self.charter.seed,
            deadline_s=self.charter.limits.item_deadline_s,
            own=own,
            cassette=cassette,
            fit=self.charter.fit,
        )


@contextmanager
def _past(work: Work, charter: Charter) -> Generator[RecordedRun | None, None, None]:
    """Open what was said of an item before."""
    if work.past is None:
        yield None
        return
    with LogReader.of(work.past, Path(charter.directory) / LOG) as reader:
        yield RecordedRun(reader)

"""What is left to be played on a cluster, leased out in small numbers, and taken back from workers that die."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from math import ceil

import anyio.to_thread

from ...protocols.errors import WorkerLost
from ...protocols.identity import CONDUCTOR, ConversationId, ItemId
from ...protocols.lifecycle import Failure, ItemFailed, ItemOpened, OutcomeSetAside
from ...runtime.log import LogReader, SqliteLog
from ...runtime.recording import Cassette, Parcel, RecordedRun
from ..player import Tally
from ..settings import Progress
from ..stage import Todo
from .parcels import Work

MOST_DEATHS = 4
"""Workers that may die while they play an item, until the item is held to be why."""


class Workload:
    """The items of a run that have no outcome and are with no worker."""

    def __init__(
        self,
        todo: Iterable[Todo],
        log: SqliteLog,
        progress: Progress,
        tally: Tally,
        *,
        own: RecordedRun | None = None,
        cassette: Cassette | None = None,
    ) -> None:
        """Make a workload.

        Args:
            todo: All that is to be played.
            log: The one log.
            progress: Of the run.
            tally: Counts the ends of items.
            own: What this run has recorded before.
            cassette: What another run has recorded.
        """
        self._todo = iter(todo)
        self._log = log
        self._progress = progress
        self._tally = tally
        self._own = own
        self._cassette = cassette
        self._exhausted = False
        self._again: deque[Work] = deque()
        """Items that were being played by workers that are no more."""
        self._deaths: Counter[str] = Counter()

    @property
    def more(self) -> bool:
        """Whether there may be more to play."""
        return not self._progress.draining and (bool(self._again) or not self._exhausted)

    def lease(self, room: int, workers: int) -> Iterator[Work]:
        """Return items for one worker: as many as it has room for, and no more than its share in half of what is left.

        The fewer are left, the fewer go out at once, so that all workers end together: guided self-scheduling
        (Polychronopoulos and Kuck 1987), in halves.
        """
        progress = self._progress
        left = progress.items - progress.done - progress.failed - progress.in_flight
        for _ in range(min(room, max(1, ceil(left / (2 * max(1, workers)))))):
            if progress.draining:
                return
            work = self._again.popleft() if self._again else self._next()
            if work is None:
                return
            progress.in_flight += 1
            yield work

    def _next(self) -> Work | None:
        todo: Todo | None = next(self._todo, None)
        if todo is None:
            self._exhausted = True
            return None
        number, item, left = todo
        past = self._own.excerpt(left.conversations()) if left is not None and self._own is not None else None
        return Work(number, item, left, past, self._recording(item.id))

    def _recording(self, item: ItemId) -> Parcel | None:
        return None if self._cassette is None else self._cassette.only(item)

    async def take_back(self, held: dict[str, Todo]) -> None:
        """Have what a dead worker played gone on with by others, at the message where it was.

        Args:
            held: What it had; it is empty at the end.
        """
        await self._log.flush()
        found = await anyio.to_thread.run_sync(self._pasts, list(held.values()))
        self._progress.in_flight -= len(held)
        for todo in held.values():
            number, item, left = todo
            self._deaths[item.id] += 1
            if self._deaths[item.id] >= MOST_DEATHS:
                self._give_up(todo)
            else:
                self._again.append(Work(number, item, left, found.get(item.id), self._recording(item.id)))
        held.clear()

    def _pasts(self, todos: list[Todo]) -> dict[ItemId, bytes]:
        """Return what was said in the conversations of some items, as the log has it by now."""
        begun = [(item.id, left) for _, item, left in todos if left is not None]
        if not begun:
            return {}
        names = [name for _, left in begun for name in left.conversations()]
        begun_anew = len(names) > len(begun)
        with LogReader(self._log.path) as reader:
            recorded = RecordedRun(reader, names, 0 if begun_anew else min(left.opened for _, left in begun))
            return {item: recorded.excerpt(left.conversations()) for item, left in begun}

    def _give_up(self, todo: Todo) -> None:
        """Let an item fail whose workers have died again and again."""
        number, item, left = todo
        name = left.conversation if left is not None else ConversationId(f"{item.id}~1")
        opened = left.opened if left is not None else None
        if opened is None:
            opened = self._log.append(ItemOpened(number=number, item=item), sender=CONDUCTOR, conversation=name)
        reason = f"{MOST_DEATHS} workers died while they played it"
        if left is not None and left.outcome is not None:
            aside = OutcomeSetAside(outcome=left.outcome, reason="retried")
            self._log.append(aside, sender=CONDUCTOR, conversation=name, cause=opened)
        failed = ItemFailed(number=number, cause=Failure(error=WorkerLost.__name__, reason=reason))
        self._log.append(failed, sender=CONDUCTOR, conversation=name, cause=opened)
        self._tally.failed(item.id, name, failed.cause)

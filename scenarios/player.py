"""Playing items one by one, with all that a run has to know of them while they go."""

import asyncio
from typing import Protocol

from ..protocols.errors import RunStopping
from ..protocols.identity import ConversationId, ItemId
from ..protocols.lifecycle import Failure, ItemFailed
from ..runtime.models.access import ModelAccess
from ..runtime.system import ActorSystem
from ..runtime.tracing import Scope
from .settings import Progress
from .stage import Due, End, Stage

MOST_WARNINGS = 5
"""Failures of one sort that are told of as they happen."""


class Ear(Protocol):
    """Is told what comes of items."""

    def end(self, item: ItemId, conversation: ConversationId, end: End) -> None:
        """Take in how an item has ended, and in which conversation."""
        ...

    def stop(self, cause: Failure) -> None:
        """Take in why no further item is to be begun."""
        ...


class Player:
    """Plays items in one system of actors."""

    def __init__(self, system: ActorSystem, access: ModelAccess | None, progress: Progress, ear: Ear) -> None:
        self._system = system
        self._access = access
        self.progress = progress
        self._ear = ear
        self._playing: dict[ConversationId, asyncio.Task[None]] = {}
        self._dropped: set[ConversationId] = set()
        """Conversations that had not come to anything when no further item was to be begun."""

    async def play(self, stage: Stage, due: Due) -> bool:
        """Play an item, in a task that may be cancelled for its sake; returns whether another may be begun.

        Raises:
            LogError: nothing can be recorded any more.
            CassetteMiss: the cassette has no answer.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks
        progress = self.progress
        progress.in_flight += 1
        self._playing[due.conversation] = task
        try:
            end, conversation = await stage.play(due)
        except RunStopping as error:  # no item's failure: it stays open, to be played when the cause is gone
            self._ear.stop(Failure(error=type(error).__name__, reason=str(error)))
            return False
        except asyncio.CancelledError:
            if due.conversation not in self._dropped or task.uncancel():
                raise
            return False  # it stays open
        finally:
            progress.in_flight -= 1
            del self._playing[due.conversation]
        self._ear.end(due.item.id, conversation, end)
        return True

    def drop(self) -> None:
        """Leave the items open whose first calls still wait for a limit: they may wait for hours, and cost nothing."""
        if self._access is None:
            return
        sent: set[ConversationId] = set()
        unsent: set[ConversationId] = set()
        for pending in self._access.pending():
            asked = self._system.asking.get(id(pending.call))
            if asked is not None:
                (sent if pending.attempts else unsent).add(asked[0].conversation)
        for conversation in unsent.intersection(self._system.idle()) - sent - self._dropped:
            self._dropped.add(conversation)
            self._playing[conversation].cancel()


class Tally:
    """Counts the ends of items, and tells of them: of the many failures that are alike, of the first few."""

    def __init__(self, progress: Progress, log: Scope) -> None:
        self._progress = progress
        self._log = log

    def end(self, item: ItemId, conversation: ConversationId, end: End) -> None:
        """Take in how an item has ended."""
        if isinstance(end, ItemFailed):
            self.failed(item, conversation, end.cause)
        else:
            self.finished(item, conversation, end.verdict)

    def finished(self, item: ItemId, conversation: ConversationId, verdict: str | None) -> None:
        """Take in that an item has its outcome."""
        self._progress.done += 1
        self._log.info("item_finished", item=item, conversation=conversation, verdict=verdict)

    def failed(self, item: ItemId, conversation: ConversationId, cause: Failure) -> None:
        """Take in that an item has failed."""
        self._progress.failed += 1
        failures = self._progress.failures
        failures[cause.error] += 1
        number = failures[cause.error]
        log = self._log.within(item=item, conversation=conversation)
        tell = log.warning if number <= MOST_WARNINGS else log.info
        more = {"more": "further ones of this sort are only in the log"} if number == MOST_WARNINGS else {}
        tell("item_failed", error=cause.error, reason=cause.reason, **more)

    def stop(self, cause: Failure) -> None:
        """Begin no further item; the first cause is the one that is told."""
        if self._progress.stopped_by is None:
            self._log.warning("run_stopping", error=cause.error, reason=cause.reason)
        self._progress.stop_for(cause)

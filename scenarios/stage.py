"""One item on the stage: where its conversation begins, what it recalls, and how it ends."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..protocols.errors import CassetteMiss, Diverged, ItemTimedOut, LogError, RecordingEnded, RunStopping
from ..protocols.identity import CONDUCTOR, ConversationId
from ..protocols.items import Item
from ..protocols.lifecycle import (
    Failure,
    ItemFailed,
    ItemFinished,
    ItemOpened,
    ItemResumed,
    ModelCalled,
    OutcomeSetAside,
)
from ..runtime.recording import Cassette, Fit, Recall, Recollection, RecordedRun, Sifted, Tape
from ..runtime.system import ActorSystem
from ..runtime.tracing import enter, scope
from .conductor import Conductor
from .directory import Left
from .steps import Playable, Swept

End = ItemFinished | ItemFailed
Todo = tuple[int, Item, Left | None]
"""An item's place in the data set, the item, and what an earlier start has left of it."""


@dataclass(frozen=True, slots=True)
class Due:
    """An item that is to be played."""

    number: int
    """Place in the data set, from 0."""
    item: Item
    left: Left | None = None
    """What an earlier start has left of it."""
    sifted: Sifted | None = None
    """The events of the conversation that was left, where they are of use."""
    recorded: Tape | None = None
    """Its recording, where it is played from one."""

    @property
    def conversation(self) -> ConversationId:
        """The name of its conversation."""
        if self.left is not None:
            return self.left.next() if self.left.anew else self.left.conversation
        return ConversationId(self.recorded.name if self.recorded is not None else f"{self.item.id}~1")


@dataclass(frozen=True, slots=True)
class _Begun:
    """A conversation at its beginning, or where it goes on."""

    number: int
    opened: int
    """Sequence of its first event."""
    recall: Recall | None
    tape: Tape | None = None


class Stage:
    """Plays the items of one run."""

    def __init__(
        self,
        plan: Playable,
        system: ActorSystem,
        seed: int,
        *,
        deadline_s: float | None = None,
        own: RecordedRun | None = None,
        cassette: Cassette | None = None,
        fit: Fit = "exact",
    ) -> None:
        """Make a stage.

        Args:
            plan: What is played.
            system: Where conversations are held.
            seed: For everything that is left to chance.
            deadline_s: The longest an item may take.
            own: What this run has recorded before.
            cassette: What another run has recorded: its answers come first.
            fit: How the calls of the cassette have to fit.
        """
        self._plan = plan
        self._system = system
        self._seed = seed
        self._deadline_s = deadline_s
        self._own = own
        self._cassette = cassette
        self._fit: Fit = fit

    def due(self, number: int, item: Item, left: Left | None) -> Due:
        """Return what is to be played of an item; raises CassetteMiss where the cassette has nothing of it."""
        sifted = None
        if left is not None and self._own is not None:
            sifted = self._own.sifted(left.conversation)
            if _in_vain(sifted) and (not left.anew or left.outcome is not None):
                left, sifted = replace(left, anew=True), None  # no message failed that could be said again
        return Due(number, item, left, sifted, self._recorded(item))

    def _recorded(self, item: Item) -> Tape | None:
        if self._cassette is None:
            return None
        return self._cassette.tape(item.id, fit=self._fit, keep=self._system.log.keep)

    async def play(self, due: Due) -> tuple[End, ConversationId]:
        """Play one item; whatever goes wrong with it is a fact, and no other item's business.

        Returns:
            How it ended, and the conversation in which it did.

        Raises:
            RunStopping: no other item can succeed either.
            LogError: nothing can be recorded any more.
            CassetteMiss: the cassette has no answer.
        """
        while True:
            around = scope()
            enter(around.within(item=due.item.id))
            try:
                begun = self._begin(due)
                end, whole = await self._walk(due, begun)
            except (CassetteMiss, RunStopping, LogError):
                raise
            except Diverged:  # what is in the log cannot be gone on with: its answers are used as far as they fit
                assert due.left is not None  # noqa: S101 - only what was held before can differ from it
                left = replace(due.left, anew=True, conversation=due.conversation)
                due = replace(due, left=left, recorded=self._recorded(due.item))
                continue
            finally:
                enter(around)
            log, conversation = self._system.log, due.conversation
            if begun.tape is not None:
                begun.tape.rest(partial(self._append, conversation, begun.opened), whole=whole)
            if due.left is not None and due.left.outcome is not None:
                aside = OutcomeSetAside(outcome=due.left.outcome, reason="retried")
                log.append(aside, sender=CONDUCTOR, conversation=conversation, cause=begun.opened)
            log.append(end, sender=CONDUCTOR, conversation=conversation, cause=begun.opened)
            await log.drain()
            return end, conversation

    async def _walk(self, due: Due, begun: _Begun) -> tuple[End, bool]:
        """Return an item's end, and whether its recording breaks off there."""
        conductor: Conductor | None = None
        try:
            plan = self._plan.of(due.item)
            cast, policies = plan.cast(due.item), plan.policies
            async with self._system.conversation(due.conversation, cast, policies, begun.recall) as talk:
                conductor = Conductor(plan, due.item, begun.number, talk, self._seed, self._turn(begun.number))
                return await _in_time(conductor.play(begun.opened), self._deadline_s), False
        except RecordingEnded:
            assert begun.tape is not None and begun.tape.failed is not None  # noqa: S101, PT018 - it says so
            return ItemFailed(number=begun.number, cause=begun.tape.failed), True
        except (LogError, RunStopping, Diverged):
            raise
        except Exception as error:  # noqa: BLE001 - recorded as the item's end
            culprit = conductor.culprit if conductor else None
            cause = Failure(error=type(error).__name__, reason=str(error), agent=culprit)
            return ItemFailed(number=begun.number, cause=cause), False

    def _turn(self, number: int) -> int:
        """Return an item's place among those of its variant: all variants of an item lie side by side."""
        return number // len(self._plan.variants) if isinstance(self._plan, Swept) else number

    # how it begins

    def _begin(self, due: Due) -> _Begun:
        log, left, tape = self._system.log, due.left, due.recorded
        if left is not None and not left.anew and due.sifted is not None:
            return self._go_on(left, due.sifted, tape)
        if tape is not None and self._cassette is not None:
            for conversation, agent, called in self._cassette.earlier(due.item.id):
                source = "earlier" if called.source == "earlier" else "recording"  # an answer is counted once
                recorded = called.model_copy(update={"source": source})
                log.append(recorded, sender=agent, conversation=conversation)
        over = left.conversation if tape is None and left is not None and due.sifted is not None else None
        opening = ItemOpened(number=due.number, item=due.item, over=over)
        opened = log.append(opening, sender=CONDUCTOR, conversation=due.conversation)
        scope().info("item_opened", conversation=due.conversation, sequence=opened, **({"over": over} if over else {}))
        retried = left is not None and left.outcome is not None
        recall = tape if over is None else self._earlier(over, retried=retried)
        return _Begun(due.number, opened, recall, tape)

    def _earlier(self, over: ConversationId, *, retried: bool) -> Tape | None:
        """Return the answers of a conversation that another is held over, and of those that it was itself held over.

        A failure that is being retried is no answer.
        """
        if self._own is None:
            return None
        held: list[tuple[ConversationId, Sifted]] = []
        before: ConversationId | None = over
        while before is not None:
            sifted = self._own.sifted(before)
            if retried:
                sifted.set_aside(sifted.failed)
            held.append((before, sifted))
            before = _opening(sifted).over if sifted.events else None
        tape: Tape | None = None
        for name, sifted in reversed(held):
            keep = self._system.log.keep
            tape = self._own.tape_of(name, sifted, fit="while exact", keep=keep, paid_here=True, then=tape)
        return tape

    def _go_on(self, left: Left, sifted: Sifted, tape: Tape | None) -> _Begun:
        """Go on with a conversation in its own place."""
        again = sifted.failed if _end_of(sifted) is not None else ()
        sifted.set_aside(again)
        resumed = ItemResumed(set_aside=again)
        sequence = self._system.log.append(resumed, sender=CONDUCTOR, conversation=left.conversation, cause=left.opened)
        scope().info("item_resumed", conversation=left.conversation, sequence=sequence, set_aside=len(again))
        opened, retried = _opening(sifted), left.outcome is not None
        held_over = self._earlier(opened.over, retried=retried) if opened.over is not None else None
        text = self._own.text if self._own is not None else None
        return _Begun(opened.number, left.opened, Recollection(sifted, tape or held_over, text), tape)

    def _append(self, conversation: ConversationId, cause: int, agent: str, called: ModelCalled) -> None:
        self._system.log.append(called, sender=agent, conversation=conversation, cause=cause)


def _opening(sifted: Sifted) -> ItemOpened:
    opened = next(event for event in sifted.events if event.kind == "item_opened").message()
    assert isinstance(opened, ItemOpened)  # noqa: S101 - of that kind
    return opened


def _end_of(sifted: Sifted) -> Failure | None:
    """Return why a conversation has failed, where that is the last thing that happened to its item."""
    bounds = ("item_opened", "item_resumed", "item_failed")
    last = next((event for event in reversed(sifted.events) if event.kind in bounds), None)
    end = last.message() if last is not None else None
    return end.cause if isinstance(end, ItemFailed) else None


def _in_vain(sifted: Sifted) -> bool:
    """Whether a conversation has failed in such a way that its answers would lead to the same failure again."""
    failure = _end_of(sifted)
    return failure is not None and not sifted.failed and failure.error != ItemTimedOut.__name__


async def _in_time(playing: Coroutine[Any, Any, ItemFinished], seconds: float | None) -> ItemFinished:
    """Return an item's end; raises ItemTimedOut when it is not there in time."""
    if seconds is None:
        return await playing
    timeout = asyncio.timeout(seconds)
    try:
        async with timeout:
            return await playing
    except TimeoutError as error:
        if timeout.expired():
            raise ItemTimedOut(seconds) from error
        raise

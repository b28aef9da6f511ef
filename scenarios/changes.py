"""A run that goes on with something else than before: which outcomes the changes affect."""

import asyncio
from dataclasses import replace

from ..protocols.errors import Diverged
from ..protocols.events import Event
from ..protocols.identity import CONDUCTOR, ItemId
from ..protocols.lifecycle import ItemOpened, OutcomeSetAside, RunChanged
from ..protocols.ports import EventLog
from ..runtime.log import LogReader, NoLog
from ..runtime.recording import RecordedRun, Sifted
from ..runtime.system import ActorSystem
from ..runtime.tracing import scope, unheard
from .directory import Earlier, Left
from .stage import Due, Stage
from .steps import Playable


async def take_in_changes(plan: Playable, reader: LogReader, log: EventLog, earlier: Earlier, seed: int) -> None:
    """Set aside the outcomes that the changes affect, and note the changes; `earlier` is brought up to date.

    An outcome is affected where its item is not what it was, or where the plan, played over the recorded answers, asks
    anything else or comes to anything else. The recorded answers are used again as far as they fit.
    """
    gone, changed = frozenset(earlier.gone), frozenset(earlier.changed)
    suspects = list(earlier.ended) if earlier.replanned else [*earlier.changed, *earlier.gone]
    recorded = RecordedRun(reader) if suspects else None
    before = len(earlier.ended)
    for item in suspects:
        assert recorded is not None  # noqa: S101 - there are suspects
        await asyncio.sleep(0)  # playing over a recording waits for nothing, and others want to be heard: signals
        conversation, sifted = recorded.counts(item)
        outcome = _outcome_of(sifted)
        if item not in gone and item not in changed and await _comes_to_the_same(plan, recorded, item, sifted, seed):
            continue
        end = OutcomeSetAside(
            outcome=outcome.sequence, reason="not in the data" if item in gone else "affected by changes"
        )
        log.append(end, sender=CONDUCTOR, conversation=conversation)
        digest = earlier.ended[item]
        earlier.forget(item)
        earlier.left[item] = Left(conversation, sifted.events[0].sequence, digest)
        await log.drain()
    earlier.left = {item: replace(left, anew=True) for item, left in earlier.left.items()}
    log.append(RunChanged(changes=earlier.changes), sender=CONDUCTOR)
    kept = len(earlier.ended)
    scope().warning("changes_accepted", changes=len(earlier.changes), kept=kept, set_aside=before - kept)


def _outcome_of(sifted: Sifted) -> Event:
    """Return the last outcome of a conversation that has ended."""
    return [event for event in sifted.events if event.kind in ("item_finished", "item_failed")][-1]


async def _comes_to_the_same(plan: Playable, recorded: RecordedRun, item: ItemId, sifted: Sifted, seed: int) -> bool:
    """Whether a plan, played over the recorded answers, comes to the recorded outcome."""
    opened = sifted.events[0].message()
    if not isinstance(opened, ItemOpened):  # a damaged log has lost its beginning: nobody can say
        return False
    system = ActorSystem(NoLog(), seed=seed)
    tape = recorded.tape(item, fit="exact", keep=system.log.keep)
    try:
        with unheard():
            end, _ = await Stage(plan, system, seed).play(Due(opened.number, opened.item, recorded=tape))
    except Diverged:
        return False
    return end == _outcome_of(sifted).message()

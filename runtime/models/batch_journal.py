"""What a run writes down about its batches, and what it finds there when it goes on.

Three facts a batch. `BatchPrepared` is durable before the provider is asked to make it: between the moment in which a
batch is made and the one in which its id can be written down a process may end, and only a fact from before can say
that there may be one, and by which nonce to find it. `BatchSubmitted` is durable before anybody waits for answers.
`BatchEnded` spares those who come later the asking.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ...protocols.events import Event
from ...protocols.identity import ConversationId
from ...protocols.lifecycle import BatchEnded, BatchPrepared, BatchSubmitted
from ...protocols.ports import EventLog
from ..tracing import scope

BATCHES = "batches"
"""The name under which these facts are recorded."""


class Journal(Protocol):
    """Where batches are written down. Each method returns when its fact would survive the end of the process."""

    async def prepared(self, batch: BatchPrepared) -> None:
        """Write down what is about to be asked for."""
        ...

    async def submitted(self, batch: BatchSubmitted) -> None:
        """Write down that the provider has it."""
        ...

    async def ended(self, batch: BatchEnded) -> None:
        """Write down that the provider is done with it."""
        ...


class EventsIn(Protocol):
    """Something to read events from: LogReader, or any EventLog."""

    def events(self, conversation: ConversationId | None = None, kinds: tuple[str, ...] = ()) -> Iterator[Event]:
        """Return events in order of sequence."""
        ...


@dataclass(frozen=True, slots=True)
class EarlierBatch:
    """A batch that an earlier start of the run has left."""

    prepared: BatchPrepared
    prepared_s: float
    """When, in seconds since the epoch."""
    batch_id: str | None = None
    """None where it is not known whether the provider was reached."""
    ended: BatchEnded | None = None
    """None where it was not over when it was last looked at."""


class LogJournal:
    """A Journal in a run's event log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._around = scope()

    async def prepared(self, batch: BatchPrepared) -> None:
        """Write down what is about to be asked for; raises LogError."""
        await self._write(batch)

    async def submitted(self, batch: BatchSubmitted) -> None:
        """Write down that the provider has it; raises LogError."""
        await self._write(batch)

    async def ended(self, batch: BatchEnded) -> None:
        """Write down that the provider is done with it; raises LogError."""
        await self._write(batch)

    async def _write(self, fact: BatchPrepared | BatchSubmitted | BatchEnded) -> None:
        await self._log.durable(self._log.append(fact, sender=BATCHES))
        self._around.info(fact.kind, **fact.model_dump(exclude={"kind", "nonce", "input_file_id", "custom_ids"}))


def submitted(log: EventsIn) -> tuple[EarlierBatch, ...]:
    """Return the batches that a log knows of and that may hold answers, in the order in which they were prepared."""
    prepared: dict[str, tuple[BatchPrepared, float]] = {}
    ids: dict[str, str] = {}
    ended: dict[str, BatchEnded] = {}
    for event in log.events(kinds=("batch_prepared", "batch_submitted", "batch_ended")):
        match event.message():
            case BatchPrepared() as fact:
                prepared[fact.nonce] = fact, event.time_s
            case BatchSubmitted() as fact:
                ids[fact.nonce] = fact.batch_id
            case BatchEnded() as fact:
                ended[fact.nonce] = fact
            case _:
                pass
    return tuple(
        EarlierBatch(fact, time_s, ids.get(nonce), ended.get(nonce))
        for nonce, (fact, time_s) in prepared.items()
        if nonce not in ended or ended[nonce].status != "absent"
    )

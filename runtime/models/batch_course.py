"""The course of one batch: it is made, looked at until it is over, and read."""

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Literal, cast

import anyio.lowlevel

from ...protocols.errors import ModelError, ModelNotFound, Overloaded, RateLimited
from ...protocols.lifecycle import BatchEnded, BatchPrepared, BatchSubmitted
from ...protocols.ports import Clock
from . import batch_lines
from .batch_account import BatchAccount, BatchState
from .batch_journal import EarlierBatch, Journal
from .batch_tickets import Batch, Ticket, own

POLL_S = 15.0
LONGEST_POLL_S = 60.0
GROWTH = 1.25
"""By how much the wait between two looks at a batch grows, from POLL_S to LONGEST_POLL_S."""
SETTLE_S = 60.0
"""How long after an intent a batch may still turn up in the provider's list."""
TRIES = 4
"""How often a file is uploaded, or a batch made that is proved not to be there, before its calls fail."""
STRANGE = 5
"""Looks at a batch or a file of which the provider says that there is none, before it is believed."""
AT_A_STRETCH = 256
"""Lines read before others get their turn."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the batches of a run share."""

    journal: Journal
    clock: Clock
    poll_s: float
    """The wait between two looks at anything, at first."""
    batches: dict[str, Batch]
    """The batch of every name that is in one."""
    counts: Counter[str]

    def release(self, batch: Batch) -> None:
        """Let the names of a batch that does not exist be used for another."""
        for custom_id in batch.numbers:
            if self.batches.get(custom_id) is batch:
                del self.batches[custom_id]

    def waits(self) -> Iterator[float]:
        """Return how long to wait between looks at one thing."""
        wait_s = self.poll_s
        longest_s = max(LONGEST_POLL_S, self.poll_s)
        while True:
            yield wait_s
            wait_s = min(longest_s, wait_s * GROWTH)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self.clock.sleep(seconds)
        await anyio.lowlevel.checkpoint()  # a clock may jump, and others must still get their turn


class Course:
    """One batch, on its way."""

    def __init__(self, batch: Batch, account: BatchAccount, around: Surroundings) -> None:
        self._batch = batch
        self._account = account
        self._around = around
        self._journal = around.journal

    async def begin(self, content: BytesIO, base_url: str, model: str) -> None:
        """Make the batch, and see it through; what goes wrong is told to those who wait for it.

        Raises:
            LogError: it cannot be written down.
        """
        batch = self._batch
        try:
            input_file_id = await self._uploaded(content)
        except ModelError as error:
            self._around.release(batch)
            batch.close(partial(_same, error))
            return
        content.close()
        prepared = BatchPrepared(
            nonce=secrets.token_hex(16),
            base_url=base_url,
            model=model,
            input_file_id=input_file_id,
            custom_ids=tuple(batch.numbers),
        )
        await self._journal.prepared(prepared)
        try:
            state = await self._made(prepared)
        except ModelError as error:
            batch.close(partial(_same, error))
            return
        self._around.counts["batches"] += 1
        self._around.counts["calls"] += len(batch.numbers)
        await self._journal.submitted(_submission(prepared, state.id))
        await self._follow(prepared.nonce, state.id)

    async def go_on(self, earlier: EarlierBatch) -> None:
        """See a batch of an earlier start through; raises LogError."""
        prepared, batch_id = earlier.prepared, earlier.batch_id
        if batch_id is None:
            try:
                found = await self._found(prepared, earlier.prepared_s + SETTLE_S)
            except ModelError as error:
                self._batch.block(error)
                return
            if found is None:
                await self._gone(prepared.nonce, None)
                return
            batch_id = found.id
            await self._journal.submitted(_submission(prepared, batch_id))
        await self._follow(prepared.nonce, batch_id, ended=earlier.ended is not None)

    async def _uploaded(self, content: BytesIO) -> str:
        """Upload a file. That it may lie there twice costs nothing."""
        waits = self._around.waits()
        for _ in range(TRIES - 1):
            try:
                return await self._account.upload(content)
            except ModelError as error:
                if not error.retryable:
                    raise
            await self._around.sleep(next(waits))
        return await self._account.upload(content)

    async def _made(self, prepared: BatchPrepared) -> BatchState:
        """Make a batch, once: where the reply does not come, look whether it is there before it is made again.

        Raises:
            ModelError: it was not made, which is written down; or nobody can say whether it was, and then its names
                stay taken.
        """
        tries = 0
        while True:
            tries += 1
            try:
                return await self._account.create(prepared.input_file_id, prepared.nonce)
            except ModelError as error:
                refused = not error.retryable or isinstance(error, RateLimited)
                if not refused:
                    found = await self._found(prepared, self._around.clock.now_s() + SETTLE_S)
                    if found is not None:
                        return found
                if refused or tries == TRIES:
                    await self._journal.ended(BatchEnded(nonce=prepared.nonce, status="absent"))
                    self._around.release(self._batch)
                    raise

    async def _found(self, prepared: BatchPrepared, until_s: float) -> BatchState | None:
        """Look for a batch that may have been made, until it would have turned up; raises ModelError."""
        waits = self._around.waits()
        while True:
            try:
                found = await self._account.find(prepared.nonce, prepared.input_file_id)
            except ModelError as error:
                if not error.retryable:
                    raise
            else:
                if found is not None or self._around.clock.now_s() >= until_s:
                    return found
            await self._around.sleep(next(waits))

    async def _follow(self, nonce: str, batch_id: str, *, ended: bool = False) -> None:
        """Wait until a batch is over, and read it once somebody wants to know."""
        batch = self._batch
        try:
            state = await self._over(batch_id, at_once=batch.earlier)
            if state is None:
                await self._gone(nonce, batch_id)
                return
            if not ended:
                await self._journal.ended(_end(nonce, state))
            await batch.asked.wait()
            files = [file_id for file_id in (state.output_file_id, state.error_file_id) if file_id]
            if files and not any([await self._read(file_id) for file_id in files]):
                await self._gone(nonce, batch_id)  # its files are no longer kept
                return
        except ModelError as error:
            batch.block(error)
        else:
            batch.close(partial(_left, batch, state))

    async def _over(self, batch_id: str, *, at_once: bool) -> BatchState | None:
        """Look at a batch until nothing more is done about it; None where the provider insists that there is none.

        Raises:
            ModelError: it may not be looked at.
        """
        strange = 0
        waits = self._around.waits()
        while True:
            if not at_once:
                await self._around.sleep(next(waits))
            at_once = False
            try:
                state = await self._account.state(batch_id)
            except ModelNotFound:
                strange += 1
                if strange == STRANGE:
                    return None
            except ModelError as error:
                if not error.retryable:
                    raise
            else:
                strange = 0
                if state.over:
                    return state

    async def _read(self, file_id: str) -> bool:
        """Read a file to its end, from its beginning as often as it breaks off; return whether there is such a file.

        Raises:
            ModelError: it may not be had.
        """
        strange = 0
        waits = self._around.waits()
        while True:
            try:
                self._around.counts["strange_lines"] += await self._read_once(file_id)
            except ModelNotFound:
                strange += 1
                if strange == STRANGE:
                    return False
            except ModelError as error:
                if not error.retryable:
                    raise
            else:
                return True
            await self._around.sleep(next(waits))

    async def _read_once(self, file_id: str) -> int:
        """Read a file and return how many of its lines name no call of the batch."""
        strange = number = 0
        async with aclosing(self._account.lines(file_id)) as lines:
            async for raw in lines:
                strange += not self._batch.read(raw)
                number += 1
                if number % AT_A_STRETCH == 0:
                    await anyio.lowlevel.checkpoint()
        return strange

    async def _gone(self, nonce: str, batch_id: str | None) -> None:
        """End a batch that the provider does not have: what was in it is asked anew."""
        if batch_id is None:  # else it was there once, and may be seen again with the right key: it stays on record
            await self._journal.ended(BatchEnded(nonce=nonce, status="absent"))
        self._around.release(self._batch)
        self._batch.close(_vanished)


def _left(batch: Batch, state: BatchState, ticket: Ticket) -> ModelError:
    """Return what becomes of a call that has no line in a batch that is over."""
    if state.status == "failed":
        return batch_lines.not_taken(batch.numbers[ticket.custom_id], state.problems, ticket.endpoint)
    if ticket.custom_id in batch.illegible:
        return batch_lines.illegible(ticket.endpoint)
    return batch_lines.not_run(state.status, ticket.endpoint)


def _vanished(ticket: Ticket) -> ModelError:
    return Overloaded(f"{ticket.endpoint.name} has no such batch, or none any more")


def _same(error: ModelError, _: Ticket) -> ModelError:
    return own(error)


def _submission(prepared: BatchPrepared, batch_id: str) -> BatchSubmitted:
    return BatchSubmitted(
        nonce=prepared.nonce,
        batch_id=batch_id,
        base_url=prepared.base_url,
        model=prepared.model,
        input_file_id=prepared.input_file_id,
        calls=len(prepared.custom_ids),
        custom_ids=prepared.custom_ids,
    )


def _end(nonce: str, state: BatchState) -> BatchEnded:
    completed, failed = state.counts
    status = cast("Literal['completed', 'failed', 'expired', 'cancelled']", state.status)
    return BatchEnded(nonce=nonce, batch_id=state.id, status=status, completed=completed, failed=failed)

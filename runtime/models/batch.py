"""The batch transport: calls gather, are asked together through a provider's Batch API, and cost half.

What is promised is that no answer is paid for twice, whenever the process ends.

- A call's name in a batch comes from what it says, with a number for identical ones. Names whose batch is known, in
  this start of the run or an earlier one, are taken before new ones are made: so a call that is made again, because its
  caller lost patience or the process ended, finds the line that was already submitted for it.
- A batch is made in five steps: upload the file; write `BatchPrepared`, durably; make the batch, with the nonce in its
  metadata; write `BatchSubmitted`, durably; wait. If the process ends before the batch is made, nothing was bought. If
  it ends between making and writing, the log has an intent without an id: whoever goes on looks through the provider's
  list for the nonce. As a list may lag behind, and a request may still have been on its way, "there is none" is
  believed only SETTLE_S after the intent. The same search is made where the reply to making a batch is lost.
- What was never answered (an expired batch, a line that failed and may do better, a batch that vanished) was not billed
  and is asked anew.

Identical calls are alike to this file: after a new start, one may be handed the answer that its twin had before.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from io import BytesIO
from types import TracebackType
from typing import Any, Self, cast

import anyio
import anyio.abc
from openai import DefaultAioHttpClient

from ...protocols.errors import CallRefused, ModelError, RunStopping
from ...protocols.models import ModelCall, Tier
from ...protocols.ports import Clock
from . import batch_lines
from .batch_account import BatchAccount
from .batch_course import POLL_S, Course, Surroundings
from .batch_journal import EarlierBatch, Journal
from .batch_tickets import Batch, Numbers, Ticket, Wave
from .endpoints import Endpoint
from .wire import Hear, Reply

MOST_CALLS = 50_000
"""Lines of a batch: the limit that OpenAI publishes."""
LARGEST_FILE = 190 * 10**6
"""Bytes of a batch's file: OpenAI's limit is 200 MB."""
GATHER_S = 2.0
"""How long no further call must have come before those that have are submitted."""


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """What a transport has done so far."""

    batches: int
    """Batches that were made."""
    calls: int
    """Calls in them."""
    found: int
    """Calls that were answered from a batch in which they already were."""
    strange_lines: int
    """Lines that came back and name no call of their batch."""


class BatchTransport:
    """A Transport over a provider's Batch API; an async context manager.

    It waits as long as a batch takes, up to a day: the deadline of whoever calls must be longer. Leaving it leaves
    submitted batches running; `submitted(log)` finds them for the next one.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        clock: Clock,
        earlier: Sequence[EarlierBatch] = (),
        endpoints: Iterable[Endpoint] = (),
        gather_s: float = GATHER_S,
        poll_s: float = POLL_S,
        most_calls: int = MOST_CALLS,
        largest_file: int = LARGEST_FILE,
        proxied: bool = False,
    ) -> None:
        """Make a transport.

        Args:
            journal: Where batches are written down before they are waited for.
            clock: Time.
            earlier: What `submitted` finds in the log.
            endpoints: Who will be asked: earlier batches are looked at from the start where their account is among
                these, else from the first call on that they hold an answer for.
            gather_s: How long no further call to a model must have come before those that have are submitted.
            poll_s: The wait between two looks at a batch, at first.
            most_calls: The most calls in a batch.
            largest_file: The most bytes in a batch.
            proxied: Whether to go through the proxies that the environment names.
        """
        self._clock = clock
        self._earlier = earlier
        self._endpoints = {(_place(endpoint.base_url), endpoint.model): endpoint for endpoint in endpoints}
        self._gather_s = gather_s
        self._most_calls = most_calls
        self._largest_file = largest_file
        self._proxied = proxied
        self._numbers = Numbers()
        self._batches: dict[str, Batch] = {}
        """The batch of every name that is in one."""
        self._counts = Counter[str]()
        self._around = Surroundings(journal, clock, poll_s, self._batches, self._counts)
        self._waves: dict[tuple[str, str | None, str], Wave] = {}
        self._accounts: dict[tuple[str, str | None], BatchAccount] = {}
        self._waiting: set[Ticket] = set()
        self._stack: AsyncExitStack | None = None
        self._tasks: anyio.abc.TaskGroup
        self._http: Any = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._http = await stack.enter_async_context(DefaultAioHttpClient(trust_env=self._proxied))
            self._tasks = await stack.enter_async_context(anyio.create_task_group())
            for earlier in self._earlier:
                self._resume(earlier)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        stack, self._stack = self._stack, None
        if stack is None:
            return None
        for ticket in tuple(self._waiting):
            ticket.answer.cancel()
        self._tasks.cancel_scope.cancel()
        return await stack.__aexit__(kind, error, trace)

    def statistics(self) -> BatchStatistics:
        """Return what has been done so far."""
        counts = self._counts
        return BatchStatistics(counts["batches"], counts["calls"], counts["found"], counts["strange_lines"])

    async def send(self, endpoint: Endpoint, call: ModelCall, tier: Tier, hear: Hear | None = None) -> Reply:
        """Ask once, together with others; see Transport. A batch is answered as a whole: nothing is heard before."""
        del hear
        if self._stack is None:
            raise RuntimeError("the transport is not open: use it with `async with`")
        if endpoint.dialect != "openai":
            raise CallRefused(f"{endpoint.name}: batches are made at endpoints that are addressed as OpenAI's")
        asked = batch_lines.asked(endpoint, call, tier)
        while True:
            custom_id = self._numbers.take(asked.digest)
            line = batch_lines.line(custom_id, asked.body)
            answer: asyncio.Future[Reply | ModelError] = asyncio.get_running_loop().create_future()
            ticket = Ticket(custom_id, endpoint, tier if call.answer else None, line, answer)
            batch = self._batches.get(custom_id)
            if batch is None:
                self._gather(ticket)
            else:
                ticket.line = b""
                batch.ask(ticket)
            outcome = await self._outcome(ticket)
            if isinstance(outcome, Reply):
                self._counts["found"] += batch is not None
                return outcome
            if custom_id not in self._batches:
                self._numbers.give_back(custom_id)  # it came into no batch that there is
            if batch is None or not _asked_anew(outcome, batch):
                raise outcome

    async def _outcome(self, ticket: Ticket) -> Reply | ModelError:
        self._waiting.add(ticket)
        try:
            return await ticket.answer
        except asyncio.CancelledError:
            self._forget(ticket)
            raise
        finally:
            self._waiting.discard(ticket)

    def _forget(self, ticket: Ticket) -> None:
        """Give a name back whose caller has gone, with the answer that came or will come."""
        batch = self._batches.get(ticket.custom_id)
        if ticket.wave is not None:
            ticket.wave.remove(ticket)
        elif batch is not None:
            batch.forget(ticket)
        self._numbers.give_back(ticket.custom_id)

    def _gather(self, ticket: Ticket) -> None:
        key = ticket.endpoint.identity
        size = len(ticket.line)
        if size > self._largest_file:
            self._numbers.give_back(ticket.custom_id)
            raise CallRefused(f"a call of {size / 10**6:.1f} MB is larger than a batch may be")
        wave = self._waves.get(key)
        if wave is not None and (len(wave.tickets) >= self._most_calls or wave.size + size > self._largest_file):
            self._tasks.start_soon(self._submit, self._waves.pop(key))
            wave = None
        if wave is None:
            wave = self._waves[key] = Wave(ticket.endpoint, self._clock.monotonic_s())
            self._tasks.start_soon(self._wait_for_quiet, wave)
        wave.add(ticket, self._clock.monotonic_s())

    async def _wait_for_quiet(self, wave: Wave) -> None:
        key = wave.endpoint.identity
        while self._waves.get(key) is wave:  # else it was full, and went
            left_s = wave.last_s + self._gather_s - self._clock.monotonic_s()
            if left_s > 0:
                await self._around.sleep(left_s)
            else:
                del self._waves[key]
                await self._submit(wave)

    async def _submit(self, wave: Wave) -> None:
        """Make a batch of a wave, and see it through."""
        if not wave.tickets:
            return
        batch = Batch(wave.endpoint, tuple(wave.tickets))
        content = BytesIO()
        for custom_id, ticket in wave.tickets.items():
            content.write(ticket.line)
            ticket.line, ticket.wave = b"", None  # it is in the file now
            self._batches[custom_id] = batch
            batch.ask(ticket)
        course = Course(batch, self._account(wave.endpoint), self._around)
        await course.begin(content, _place(wave.endpoint.base_url), wave.endpoint.model)

    async def _go_on(self, batch: Batch, earlier: EarlierBatch) -> None:
        """See a batch of an earlier start through, once it is known with which key, and lazily where it is over."""
        if batch.endpoint is None or earlier.ended is not None:
            await batch.asked.wait()
        endpoint = cast("Endpoint", batch.endpoint)  # whoever asks brings it
        await Course(batch, self._account(endpoint), self._around).go_on(earlier)

    def _resume(self, earlier: EarlierBatch) -> None:
        prepared = earlier.prepared
        endpoint = self._endpoints.get((_place(prepared.base_url), prepared.model))
        batch = Batch(endpoint, prepared.custom_ids, earlier=True)
        for custom_id in prepared.custom_ids:
            if custom_id not in self._batches:
                self._numbers.give_back(custom_id)
            self._batches[custom_id] = batch
        self._tasks.start_soon(self._go_on, batch, earlier)

    def _account(self, endpoint: Endpoint) -> BatchAccount:
        key = (_place(endpoint.base_url), endpoint.key)
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = BatchAccount(endpoint, self._http)
        return account


def _asked_anew(error: ModelError, batch: Batch) -> bool:
    """Return whether a call that was found in a batch was not answered there, and may be asked again at no price."""
    return batch.earlier and not batch.blocked and (error.retryable or isinstance(error, RunStopping))


def _place(base_url: str) -> str:
    return base_url.rstrip("/")

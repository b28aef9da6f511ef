"""An OpenAI-compatible endpoint on loopback that keeps limits and a ledger, and misbehaves on purpose."""

import asyncio
import re
import time
from collections.abc import Callable, Collection, Iterable
from itertools import chain, cycle
from random import Random
from types import TracebackType
from typing import Self

from aiohttp import web

from ...protocols.models import ModelCall, Tier
from .completions import IMPOSSIBLE
from .delivery import send
from .enforcement import Enforced, Enforcer
from .faults import Fault, Mishaps, Storm
from .latency import Latency, constant
from .ledger import Served, Totals
from .questions import FORMS, Question, understood
from .replies import Metering, Reply, error, reply, served, stormy
from .scripted import as_reply
from .server import LoopbackServer

ADDRESS = re.compile(r"/v1(/openai/deployments/[^/]+)?/chat/completions(\?.*)?")
"""Where questions are asked, in OpenAI's way and in Azure's."""


class LoopbackEndpoint:
    """A real HTTP server; an async context manager.

    A request is read, let in or refused, and answered after the latency. Faults are taken one a request that is let
    in, then all is well; a storm refuses before the limits do.
    """

    def __init__(
        self,
        answer: Callable[[ModelCall], str] = as_reply,
        *,
        faults: Iterable[Fault | None] = (),
        mishaps: Mishaps | None = None,
        latency: Latency | None = None,
        latency_s: float = 0.0,
        enforced: Enforced | None = None,
        tiers: Collection[Tier] = tuple(FORMS),
        ignores: Collection[Tier] = (),
        cached_share: float = 0.0,
        reasoning_tokens: int = 0,
        key: str | None = None,
        keep_requests: bool = True,
        clock: Callable[[], float] = time.monotonic,
        seed: int = 0,
    ) -> None:
        """Make an endpoint.

        Args:
            answer: Gives the text of an answer; called once a request that could be answered, also where a limit or a
                fault then keeps it back. The form is known for a JSON schema and a forced tool.
            faults: What goes wrong, in order; None for nothing.
            mishaps: What goes wrong by chance, after that.
            latency: Draws the seconds before a reply.
            latency_s: The same seconds for all, where no latency is given.
            enforced: Limits; none without.
            tiers: Ways to hold an answer to a form that it has; another is refused with status 400.
            ignores: Ways that it accepts and passes over: `answer` is asked for free text, which is sent as such.
            cached_share: Of the input, said to come from a cache.
            reasoning_tokens: Added to the output of every answer, with as many words of thought.
            key: The only key that is let in; none for any.
            keep_requests: Whether the ledger keeps what was asked, and its headers.
            clock: Seconds that never go back, for limits and storms.
            seed: Of the latencies.
        """
        self._answer = answer
        self._faults = chain(faults, mishaps or ())
        self._latency = latency or constant(latency_s)
        self._tiers = frozenset(tiers)
        self._ignores = frozenset(ignores)
        self._metering = Metering(cached_share, reasoning_tokens)
        self._key = key
        self._keep_requests = keep_requests
        self._clock = clock
        self._rng = Random(seed)  # noqa: S311 - chance, not secrets
        self._impossible = cycle(IMPOSSIBLE)
        self._storm: Storm | None = None
        self._server = LoopbackServer(self._received)
        self.enforcer = Enforcer(enforced or Enforced(), clock)
        """Keeps the limits, and counts who was let in."""
        self.ledger: list[Served] = []
        """Every request, in the order in which they ended."""
        self.totals = Totals()
        """The sums of the ledger."""
        self.base_url = ""

    @property
    def in_flight(self) -> int:
        """Requests that are not yet answered."""
        return self._server.in_flight

    @property
    def most_in_flight(self) -> int:
        """The most there were at once."""
        return self._server.most_in_flight

    @property
    def connections(self) -> int:
        """Connections that are open, by which a request may still come."""
        return self._server.connections

    async def __aenter__(self) -> Self:
        self.base_url = f"{await self._server.open()}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.close()

    async def _received(self, request: web.BaseRequest) -> web.StreamResponse:
        denial = self._denial(request)
        if denial is not None:
            return await self._finish(request, None, denial)
        try:
            question = understood(await request.read(), self._ignores)
        except ValueError as problem:
            return await self._finish(request, None, error(400, {"message": str(problem)}))
        refusal = self._unsupported(question) or self._weather()
        if refusal is not None:
            return await self._finish(request, question, refusal)
        return await self._asked(request, question)

    async def _asked(self, request: web.BaseRequest, question: Question) -> web.StreamResponse:
        """Answer a question where the limits allow it."""
        text = self._answer(question.call)
        tokens = self._metering.tokens(question, text).total
        refusal = self.enforcer.enter(tokens, question.model)
        if refusal is not None:
            refused = error(429, refusal.error, refusal.headers, refused=refusal.limit)
            return await self._finish(request, question, refused)
        try:
            return await self._finish(request, question, self._reply(question, text), self._latency(self._rng))
        finally:
            self.enforcer.leave()

    def _denial(self, request: web.BaseRequest) -> Reply | None:
        """Return what is said to somebody unknown, and at an address where nothing is."""
        sent = request.headers
        if self._key is not None and self._key not in (
            sent.get("Authorization", "").removeprefix("Bearer "),
            sent.get("api-key"),
        ):
            return error(401, {"message": "this key is not known here", "code": "invalid_api_key"})
        if request.method != "POST" or not ADDRESS.fullmatch(request.raw_path):
            return error(404, {"message": "there is nothing at this address"})
        return None

    def _unsupported(self, question: Question) -> Reply | None:
        missing: list[Tier] = [tier for tier in question.demanded if tier not in self._tiers]
        return error(400, {"message": f"{FORMS[missing[0]]} not supported by this model"}) if missing else None

    def _weather(self) -> Reply | None:
        """Return what a storm says, where there is one."""
        if self._storm is None or not self._storm.hits():
            self._storm = None
            return None
        return stormy(self._storm.fault)

    def _reply(self, question: Question, text: str) -> Reply:
        fault = next(self._faults, None)
        headers = self.enforcer.headers()
        if fault is None:
            return reply(question, text, self._metering, headers)
        match fault.sort:
            case "storm":
                self._storm = Storm(fault, self._clock)
                self._storm.hits()
                return stormy(fault)
            case "status":
                return error(fault.status, fault.error, {**headers, **fault.headers}, fault=fault)
            case "wrong-usage":
                return reply(question, text, self._metering, headers, fault, next(self._impossible))
            case _:
                return reply(question, text, self._metering, headers, fault)

    async def _finish(
        self, request: web.BaseRequest, question: Question | None, reply: Reply, delay_s: float = 0.0
    ) -> web.StreamResponse:
        """Send a reply and write down how that went."""
        try:
            if delay_s > 0:
                await asyncio.sleep(delay_s)
            response = await send(request, reply)
        except asyncio.CancelledError:
            self._record(request, question, reply, abandoned=True)
            raise
        except ConnectionError:
            self._record(request, question, reply, abandoned=True)
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        self._record(request, question, reply, abandoned=False)
        return response

    def _record(self, request: web.BaseRequest, question: Question | None, reply: Reply, *, abandoned: bool) -> None:
        kept = self._keep_requests
        body = question.body if question is not None and kept else {}
        entry = served(reply, body, request.headers if kept else {}, abandoned=abandoned)
        self.ledger.append(entry)
        self.totals.add(entry)

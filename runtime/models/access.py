"""The ModelClient that agents are given: cache, budget, admission, retries and accounts around a transport."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from ...protocols.errors import (
    BudgetExhausted,
    CallRefused,
    CallTimedOut,
    ModelError,
    Overloaded,
    RateLimited,
    ServerError,
)
from ...protocols.models import Attempt, Completion, ModelCall, ModelSettings, Tier, Usage
from ...protocols.ports import Clock
from ..secrecy import hide
from ..tracing import scope
from .budget import Funds, Reservation, most_of
from .cache import AnswerCache, address, repeatable
from .deadlines import Deadlines
from .endpoints import Endpoint
from .leases import AdmissionState, Gate, Lane
from .prices import Price
from .retries import Retries
from .structure import Structure
from .wire import Reply, Transport

LONGEST_WORD = 200
"""Characters of an error that are kept with its attempt."""
LETTERS_A_TOKEN = 4.0
"""To begin with; what an endpoint counts corrects it."""
LONGEST_TAIL = 200
"""Characters of an answer on its way that are kept, the last ones."""
MEMORY = 0.05
"""Weight of the newest answer in what the next is expected to use."""

Stage = Literal["waiting", "sent", "putting off"]


@dataclass(slots=True)
class Pending:
    """A call that is not answered yet."""

    call: ModelCall
    since_s: float
    """On the clock's monotonic time."""
    stage: Stage = "waiting"
    """waiting: for its turn; sent: for the endpoint; putting off: for another try."""
    attempts: int = 0
    words: str = ""
    """The last words so far of an answer that streams in."""
    first_word_s: float | None = None
    """When its first words came, on the clock's monotonic time."""
    last_word_s: float | None = None
    """When these last words came."""


class Route:
    """The way to one endpoint, and what was learned on it."""

    def __init__(
        self,
        endpoint: Endpoint,
        transport: Transport,
        admission: Gate,
        price: Price | None,
        *,
        batch: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.batch = batch
        """Whether batch prices count."""
        self.transport = transport
        self.admission = admission
        self.price = price
        self.structure = Structure(endpoint)
        self.lane = Lane()
        self._letters_a_token = LETTERS_A_TOKEN
        self._answer_tokens: float | None = None

    def expected_tokens(self, call: ModelCall) -> float:
        """Return the tokens that a call is expected to use; 0 where nobody counts them."""
        if not self.admission.counts_tokens:
            return 0.0
        answer = self._answer_tokens if self._answer_tokens is not None else float(call.settings.max_tokens or 0)
        return letters(call) / self._letters_a_token + answer

    def learn(self, call: ModelCall, usage: Usage) -> None:
        """Take in what a call has used."""
        if not self.admission.counts_tokens or not usage.reported or not usage.input_tokens:
            return
        self._letters_a_token += MEMORY * (letters(call) / usage.input_tokens - self._letters_a_token)
        before = self._answer_tokens if self._answer_tokens is not None else usage.output_tokens
        self._answer_tokens = before + MEMORY * (usage.output_tokens - before)


def letters(call: ModelCall) -> int:
    """Return the characters of all messages."""
    return sum(len(message.content) for message in call.messages)


@dataclass(slots=True)
class Course:
    """One call on its way through attempts."""

    call: ModelCall
    route: Route
    pending: Pending
    tier: Tier
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    tries: dict[type[ModelError], int] = field(default_factory=dict[type[ModelError], int])
    refused: CallRefused | None = None
    """The first refusal of a form of answer; it is the one that counts where every form is refused."""
    billed: Usage | None = None
    """What attempts that went wrong have cost."""
    ready_s: float = 0.0


class ModelAccess:
    """Answers calls: from the cache, or from their endpoint as soon as it may be asked."""

    def __init__(
        self,
        routes: Mapping[ModelSettings, Route],
        *,
        clock: Clock,
        deadline_s: float,
        retries: Retries | None = None,
        purse: Funds | None = None,
        cache: AnswerCache | None = None,
        cache_here: bool = False,
        stream: bool = False,
        seed: int = 0,
    ) -> None:
        """Make an access.

        Args:
            routes: The way to every model that may be asked.
            clock: For everything that takes time.
            deadline_s: The longest a single request may take.
            retries: What is tried again.
            purse: What may be spent.
            cache: Answers that were paid for.
            cache_here: Whether answers of endpoints on this machine are kept, too.
            stream: Whether to listen to answers as they come, over transports that stream.
            seed: For the chance in waits.
        """
        self._clock = clock
        self._deadline_s = deadline_s
        self._deadlines = Deadlines(deadline_s)
        self._retries = retries or Retries()
        self._purse = purse
        self._cache = cache
        self._cache_here = cache_here
        self._stream = stream
        self._rng = random.Random(f"{seed}/retries")  # noqa: S311 - not a secret
        self._routes = {_address(settings): route for settings, route in routes.items()}
        self._pending: dict[int, Pending] = {}

    def pending(self) -> tuple[Pending, ...]:
        """Return the calls that are not answered yet, the oldest first."""
        return tuple(self._pending.values())

    def admissions(self) -> tuple[AdmissionState, ...]:
        """Return every endpoint's controller as it is now."""
        return tuple({id(route.admission): route.admission.state() for route in self._routes.values()}.values())

    async def complete(self, call: ModelCall) -> Completion:
        """Answer a call.

        Raises:
            ModelError: no try brought an answer; `attempts` on it says what each one met.
            CancelledError: the call was broken off; its cause is a ModelError that says as much.
        """
        route = self._routes.get(_address(call.settings))
        if route is None:
            raise ModelError(f"{call.settings.model} is not among the models that this run was opened with")
        where = self._where(route, call)
        if where is not None and self._cache is not None and (known := self._cache.get(where)) is not None:
            scope().debug("cache_hit", model=call.settings.model)
            return known
        pending = Pending(call, self._clock.monotonic_s())
        self._pending[id(pending)] = pending
        course = Course(call, route, pending, route.structure.tier)
        try:
            completion = await self._ask(course)
        except asyncio.CancelledError as error:  # what was paid for until then has to be told to somebody
            raise error from self._given_up(course, ModelError("the call was broken off"))
        finally:
            del self._pending[id(pending)]
        if where is not None and self._cache is not None:
            self._cache.put(where, completion)
        return completion

    def _where(self, route: Route, call: ModelCall) -> bytes | None:
        if self._cache is None or not repeatable(call.settings):
            return None
        # A port of this machine is no identity: another model may stand behind it tomorrow, and it costs nothing.
        if route.endpoint.here and not self._cache_here:
            return None
        return address(route.endpoint, call)

    async def _ask(self, course: Course) -> Completion:
        while True:
            course.ready_s = self._clock.monotonic_s()
            try:
                return await self._attempt(course)
            except ModelError as error:
                wait_s = self._after(course, error)
                if wait_s is None:
                    raise self._given_up(course, error) from error.__cause__
            if wait_s > 0:
                course.pending.stage = "putting off"
                scope().debug("call_put_off", for_s=round(wait_s, 4))
                await self._clock.sleep(wait_s)
            course.pending.stage = "waiting"

    async def _attempt(self, course: Course) -> Completion:
        if self._purse is None:
            return await self._sent(course)
        call, route = course.call, course.route
        most = most_of(call, route.price, call.settings.max_tokens or route.endpoint.longest_answer or 0)
        try:
            await self._purse.reserve(most)
        except BudgetExhausted as error:
            scope().info("budget_refused", usd=most.usd, tokens=most.tokens, reason=str(error))
            raise
        if (where := scope()).shows_all:
            where.debug("budget_reserved", usd=most.usd, tokens=most.tokens)
        spent: Usage | None = None  # broken off, or failed without a word on it: it may have been billed in full
        try:
            completion = await self._sent(course)
            spent = completion.usage if course.billed is None else completion.attempts[-1].usage
        except ModelError as error:
            spent = error.usage if error.usage is not None else None if error.maybe_billed else Usage()
            raise
        except BaseException:
            if course.pending.stage != "sent":  # broken off while it waited for its turn
                spent = Usage()
            raise
        finally:
            self._settle(most, route, spent)
        return completion

    def _settle(self, most: Reservation, route: Route, spent: Usage | None) -> None:
        assert self._purse is not None  # noqa: S101 - reserved from it
        if spent is None or not spent.reported:
            # What was asked in a batch is found again by the next start, and is counted there.
            self._purse.write_off(most, for_good=not route.batch)
        else:
            usd = route.price.cost_usd(spent, batch=route.batch) if route.price is not None else 0.0
            self._purse.settle(most, usd, spent.input_tokens + spent.output_tokens)

    async def _sent(self, course: Course) -> Completion:
        """Send a request once, when it may be sent."""
        route, call, pending = course.route, course.call, course.pending
        tokens = route.expected_tokens(call)
        lease = await route.admission.lease(route.lane, tokens, again=pending.attempts > 0)
        pending.stage = "sent"
        pending.attempts += 1
        begun_s = self._clock.monotonic_s()
        if (where := scope()).shows_all:
            waited_s = round(begun_s - course.ready_s, 4)
            form = {"tier": course.tier} if call.answer is not None else {}
            where.debug("call_sent", endpoint=route.endpoint.name, attempt=pending.attempts, waited_s=waited_s, **form)
        try:
            reply = await self._once(course)
        except ModelError as error:
            lease.failed(error)
            self._failed(course, begun_s, error, error.usage)
            raise
        except BaseException as error:
            lease.end()
            self._failed(course, begun_s, error, None)
            raise
        lease.answered(reply.headers, reply.completion.usage)
        return self._finished(course, reply, begun_s)

    def _failed(self, course: Course, begun_s: float, error: BaseException, usage: Usage | None) -> None:
        """Take down an attempt that brought no answer."""
        pending = course.pending
        attempt = Attempt(
            latency_s=self._clock.monotonic_s() - begun_s,
            waited_s=begun_s - course.ready_s,
            first_token_s=None if pending.first_word_s is None else pending.first_word_s - begun_s,
            error=_in_short(error),
            usage=usage,
            maybe_billed=_maybe_billed(error) if usage is None else None,
        )
        course.attempts.append(attempt)
        facts: dict[str, object] = {
            "attempt": pending.attempts,
            "seconds": round(attempt.latency_s, 4),
            "reason": attempt.error,
        }
        if isinstance(error, ModelError) and error.status is not None:
            facts["status"] = error.status
        if isinstance(error, RateLimited | Overloaded):
            facts["retry_after_s"] = error.retry_after_s
        if isinstance(error, RateLimited):
            facts["limit"] = error.limit
        scope().debug("attempt_failed", **facts)
        pending.words, pending.first_word_s, pending.last_word_s = "", None, None

    async def _once(self, course: Course) -> Reply:
        route, call = course.route, course.call
        deadline = self._deadlines.begin()
        try:
            if self._stream:
                return await route.transport.send(
                    route.endpoint, call, course.tier, partial(self._hear, course.pending)
                )
            return await route.transport.send(route.endpoint, call, course.tier)
        except asyncio.CancelledError as error:
            if deadline.passed():
                raise CallTimedOut(f"{route.endpoint.name} gave no answer within {self._deadline_s:g} s") from error
            raise
        finally:
            self._deadlines.end(deadline)

    def _hear(self, pending: Pending, words: str) -> None:
        pending.last_word_s = self._clock.monotonic_s()
        if pending.first_word_s is None:
            pending.first_word_s = pending.last_word_s
        pending.words = (pending.words + words)[-LONGEST_TAIL:]

    def _finished(self, course: Course, reply: Reply, begun_s: float) -> Completion:
        completion, route = reply.completion, course.route
        attempt = Attempt(latency_s=self._clock.monotonic_s() - begun_s, waited_s=begun_s - course.ready_s)
        if course.pending.first_word_s is not None:
            attempt = attempt.model_copy(update={"first_token_s": course.pending.first_word_s - begun_s})
        route.learn(course.call, completion.usage)
        if course.call.answer is not None:
            route.structure.answered(course.tier, completion)
        usage = completion.usage
        if course.billed is not None:
            attempt = attempt.model_copy(update={"usage": usage})
            usage += course.billed
        completion.usage = usage
        completion.attempts = (*course.attempts, attempt) if course.attempts else (attempt,)
        completion.cost_usd = _cost(route.price, usage, batch=route.batch)
        return completion

    def _after(self, course: Course, error: ModelError) -> float | None:
        """Return how long to wait before the next try; None where there is to be none."""
        if error.usage is not None:
            course.billed = error.usage if course.billed is None else course.billed + error.usage
        if isinstance(error, CallRefused) and course.call.answer is not None:
            weaker = course.route.structure.refused(course.tier, error)
            if weaker is not None:
                course.tier, course.refused = weaker, course.refused or error
                return 0.0
        # A try at an endpoint that fails everybody is no fault of this call's, but one that it fails on might be.
        if isinstance(error, ServerError) or not course.route.admission.broken:
            course.tries[type(error)] = course.tries.get(type(error), 0) + 1
        return self._retries.wait_s(error, course.tries.get(type(error), 1), self._rng)

    def _given_up(self, course: Course, error: ModelError) -> ModelError:
        if course.refused is not None and isinstance(error, CallRefused):
            error = course.refused
        error.attempts = tuple(course.attempts)
        error.usage = course.billed
        if course.billed is not None:
            error.cost_usd = _cost(course.route.price, course.billed, batch=course.route.batch)
        return error


def _cost(price: Price | None, usage: Usage, *, batch: bool = False) -> float | None:
    """Return what is known of the money: of attempts that were billed also where the last one told no usage."""
    known = usage.reported or usage.input_tokens > 0
    return price.cost_usd(usage, batch=batch) if price is not None and known else None


def _address(settings: ModelSettings) -> tuple[str | None, ...]:
    """Return what leads to an endpoint; settings that differ in anything else share it."""
    return settings.model, settings.base_url, settings.key_env, settings.tier


def _maybe_billed(error: BaseException) -> Literal[True] | None:
    return True if not isinstance(error, ModelError) or error.maybe_billed else None


def _in_short(error: BaseException) -> str:
    return hide(f"{type(error).__name__}: {error}".removesuffix(": "))[:LONGEST_WORD]

"""Who may call an endpoint now: one controller an endpoint, shared by all that speak to it.

Four things are kept at once. *Paces*: requests and tokens a minute, configured, announced by the endpoint's headers, or
learned by meeting them. *Calls in flight*: they start low, grow with every answer, and are cut once for one episode of
refusals. *Holds*: after a refusal nobody is sent until the endpoint's wait is over, then one call goes ahead alone.
*The breaker*: an endpoint that fails everybody is held in the same way, longer each time, and given up in the end.

Whoever is not admitted waits; waiting is never a failure.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from statistics import fmean
from weakref import WeakKeyDictionary

from ...protocols.errors import (
    CallTimedOut,
    ConnectionFailed,
    EndpointDown,
    ModelError,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    ServerError,
    Unauthorised,
)
from ...protocols.ports import Clock
from ..tracing import scope
from .endpoints import Endpoint
from .leases import AdmissionState, Gate, Lane, Lease
from .pace import LIMIT_HEADERS, MINUTE_S, Pace, requests_news, tokens_news

START = 64
"""Calls in flight to begin with; from there they double with every clean round."""
CUT = 0.7
"""What is left of the calls in flight after an episode."""
LITTLE_CUT = 0.9
"""What is left of a learned limit that was met again at once."""
SHORT_HOLD_S = 0.1
"""Wait after too many calls at once: some of them will have ended."""
FIRST_HOLD_S, LONGEST_HOLD_S = 0.5, 5.0
"""Waits after refusals without a word on how long; they double. Long ones would leave a new minute unused."""
SPARE, ROOMY = 0.75, 0.9
"""Parts of the calls that may be in flight: up to the one there may be leases that nobody has asked for, from the other
on there are too few to leave any unused."""
FAILURES = 5
"""Failures in a row after which an endpoint is taken to fail everybody: fewer than one call's own tries."""
LONGEST_BREAK_S, LONGEST_DOUBT_S = 30.0, 5.0
"""Waits of an endpoint that fails everybody; the shorter where it may be the last few requests that it fails on."""
NAP_S = 0.5
"""How long the first in the queue sleeps before it looks again."""
SETTLING_S = 15.0
"""After the first episode a learned limit is still a guess, and grows quickly."""
GROWTH_EVERY_S = 10.0
GROWTH = 1.02
QUICK_GROWTH_EVERY_S = 2.0
QUICK_GROWTH = 1.5
FORGOTTEN = 10_000
"""Answers after which counting begins anew, while no limit is known."""
ENOUGH = 20
"""Answers from which on a learned limit is trusted."""
SOON = 100
"""Requests within which an episode follows soon on another: no limit that is kept to is met as often."""
SLOWER, FEWER, VAIN = 0.7, 2.0, 5
"""A pace slower by so much should bring so many times the answers between two episodes; after so many episodes at which
it did not, pacing is given up."""
DOUBTS = 5
"""Episodes in a row that look like chance, after which they are taken for it."""
IN_A_ROW = 5
"""Refusals without an answer between them that chance does not explain."""
NEVER_ANSWERED_S = 30.0
"""How long an endpoint that has never answered is believed in."""


class Admission:
    """The controller of one endpoint."""

    def __init__(
        self,
        name: str,
        most: int,
        *,
        clock: Clock,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        minute_s: float = MINUTE_S,
        patience_s: float = 600.0,
        start: int = START,
    ) -> None:
        """Make a controller.

        Args:
            name: The endpoint's, for errors and reports.
            most: Calls in flight at the most.
            clock: For everything that takes time.
            requests_per_minute: A limit that is known.
            tokens_per_minute: A limit that is known, input and output together.
            minute_s: Length of the minute that limits are of, in seconds.
            patience_s: How long an endpoint may fail everybody before it is given up.
            start: Calls in flight to begin with.
        """
        self.name = name
        self.most = most
        self.requests = Pace(requests_per_minute, minute_s=minute_s)
        self.tokens = Pace(tokens_per_minute, minute_s=minute_s)
        self.in_flight = 0
        self.refused = 0
        self._clock = clock
        self._patience_s = patience_s
        self._scale = minute_s / MINUTE_S
        """In scaled time every wait of our own is scaled, too."""
        self._allowed = float(min(most, start))
        self._slow_start = True
        self._lanes: deque[Lane] = deque()
        self._queued = 0
        self._head = False
        """Whether somebody stands first in the queue, and is looking."""
        self._room: asyncio.Future[None] | None = None
        self._epoch = 0
        """Number of the last cut: what was sent before it says nothing new."""
        self._sent_since = 0
        """Of the calls in flight, those that were sent after the last cut."""
        self._held_until_s = -math.inf
        self._probing = False
        self._holds = 0
        self._meeting_limit = False
        self._refused_number = self._later_answered = self._later_refused = 0
        self._allowed_before = self._allowed
        self._given = self._resumed_at = 0
        self._at_random = False
        self._refused_in_a_row = self._doubts = 0
        self._refusing_since_s: float | None = None
        self._failures = self._breaks = 0
        self._failing_since_s: float | None = None
        self._answered_once = False
        self._users: dict[Lane, tuple[int, float | None, float | None]] = {}
        self._fatal: ModelError | None = None
        self._why = ""
        self._first_episode_s: float | None = None
        self._since_s: float | None = None
        self._accepted = self._between = 0
        self._fastest = 0.0
        """A learned pace at which a limit was met."""
        self._at_pace: deque[int] = deque(maxlen=VAIN)
        """Answers from one episode to the next at that pace."""
        self._slower: deque[int] = deque(maxlen=VAIN)
        """The same at slower paces."""
        self._unpaced = False
        """Whether refusals come however slowly requests leave."""
        self._grown_s = 0.0

    def join(
        self, lane: Lane, most: int, *, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        """Take a run on; what all that use the endpoint know of its limits is kept together, until they leave."""
        self._users[lane] = (most, requests_per_minute, tokens_per_minute)
        self._agree()

    def leave(self, lane: Lane) -> None:
        """Let a run go; the last one leaves things as they are."""
        self._users.pop(lane, None)
        if self._users:
            self._agree()

    def _agree(self) -> None:
        users = self._users.values()
        self.most = max(most for most, _, _ in users)
        self.requests.configure(min((rate for _, rate, _ in users if rate is not None), default=None))
        self.tokens.configure(min((rate for _, _, rate in users if rate is not None), default=None))

    @property
    def counts_tokens(self) -> bool:
        """Whether there is a limit of tokens, as far as is known."""
        return self.tokens.limit is not None

    @property
    def paced(self) -> bool:
        """Whether anything is counted by the minute."""
        return self.requests.limit is not None or self.tokens.limit is not None

    @property
    def broken(self) -> bool:
        """Whether the endpoint is taken to fail everybody."""
        return self._failures >= FAILURES

    @property
    def given_up(self) -> bool:
        """Whether no request can succeed any more."""
        return self._fatal is not None

    @property
    def last_word(self) -> ModelError | None:
        """The endpoint's, where it has been given up; an error of its own for everybody who asks."""
        return type(self._fatal)(str(self._fatal)) if self._fatal is not None else None

    def state(self) -> AdmissionState:
        """Return the controller as it is now."""
        return AdmissionState(
            endpoint=self.name,
            in_flight=self.in_flight,
            waiting=self._queued + self._head,
            most_in_flight=self._cap,
            requests_per_minute=self.requests.limit,
            requests_origin=self.requests.origin,
            tokens_per_minute=self.tokens.limit,
            tokens_origin=self.tokens.origin,
            held_s=max(0.0, self._held_until_s - self._clock.monotonic_s()),
            refused=self.refused,
            broken=self.broken,
            why=self._why,
        )

    async def lease(self, lane: Lane, tokens: float, *, again: bool = False) -> Lease:
        """Wait until a request may be sent.

        Args:
            lane: The run that asks.
            tokens: What the request is expected to use, input and output.
            again: Whether it was sent before: it has waited already, and goes first.

        Raises:
            ModelError: no request can succeed any more: the endpoint's last word.
        """
        lease = self.try_lease(tokens)
        if lease is None:
            await self._queue(lane, tokens, again=again)
            lease = self._give(tokens)
        return lease

    def try_lease(self, tokens: float) -> Lease | None:
        """Return the right to send a request now; None where it has to wait.

        Raises:
            ModelError: as `lease`.
        """
        if (word := self.last_word) is not None:
            raise word
        if self._head or self._queued or self._delay_s(tokens) > 0:
            return None
        return self._give(tokens)

    def spare(self, tokens: float) -> Lease | None:
        """Return the right to send a request that is only foreseen; None where there is not plenty of everything."""
        if not self.roomy or self.in_flight + 1 > SPARE * self._cap:
            return None
        now_s = self._clock.monotonic_s()
        plenty = self.requests.ample(1.0, now_s) and self.tokens.ample(tokens, now_s)
        return self._give(tokens, spare=True) if plenty else None

    @property
    def roomy(self) -> bool:
        """Whether nothing is wrong, nobody waits, and calls in flight are well below what they may be."""
        if self._fatal is not None or self._head or self._queued or self._probing or self.broken:
            return False
        return self.in_flight <= ROOMY * self._cap and self._held_until_s <= self._clock.monotonic_s()

    def _give(self, tokens: float, *, spare: bool = False) -> Lease:
        if self._since_s is None:
            self._since_s = self._clock.monotonic_s()
        self.in_flight += 1
        self.requests.take(1.0)
        self.tokens.take(tokens)
        self._given += 1
        self._sent_since += 1
        return Lease(self, tokens, self._given, self._epoch, self.in_flight, spare=spare)

    # what becomes of leases

    def answered(self, lease: Lease, used: float, headers: Mapping[str, str]) -> None:
        """Take in an answer: the limits it announces, and that all is well."""
        self._left(lease, used)
        if self._announces(headers):
            self._read(headers)
        self._well(lease)
        self._wake()

    def failed(self, lease: Lease, error: ModelError) -> None:
        """Take in an error: a limit that was met, a failure, or nothing that concerns others."""
        self._left(lease, float(error.usage.input_tokens + error.usage.output_tokens) if error.usage else 0.0)
        if error.headers is not None and self._announces(error.headers):
            self._read(error.headers)
        match error:
            case QuotaExhausted() | Unauthorised():
                self._give_up(error)
            case RateLimited():
                self._limited(error, lease)
            case Overloaded() | ConnectionFailed() | CallTimedOut():
                self._failed(error, lease)
            case _:
                self._well(lease)
        self._wake()

    def broken_off(self, lease: Lease) -> None:
        """Take in that a request was broken off; it may have been served."""
        self._left(lease, lease.tokens)
        self._wake()

    def unused(self, lease: Lease) -> None:
        """Take in that no request was sent: there is room for another, and nothing is learned of the endpoint."""
        self._left(lease, 0.0, requests=0.0)
        self._wake()

    # the queue

    async def _queue(self, lane: Lane, tokens: float, *, again: bool) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not lane:
            self._lanes.append(lane)
        (lane.again if again else lane.fresh).append(turn)
        self._queued += 1
        if not self._head:
            self._call_next()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._queued -= 1  # it is passed over when it would be next
            else:
                self._call_next()
            raise
        try:
            await self._stand_first(tokens)
        finally:
            self._call_next()

    async def _stand_first(self, tokens: float) -> None:
        while True:
            if (word := self.last_word) is not None:
                raise word
            delay_s = self._delay_s(tokens)
            if delay_s <= 0:
                return
            if delay_s < math.inf:
                await self._clock.sleep(min(delay_s, NAP_S * self._scale))
                continue
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None

    def _call_next(self) -> None:
        """Let the next in the queue stand first: the runs take turns."""
        self._head = False
        while self._lanes:
            lane = self._lanes.popleft()
            turn = lane.take()
            if lane:
                self._lanes.append(lane)
            if turn is not None:
                self._queued -= 1
                self._head = True
                turn.set_result(None)
                return

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # who may go

    @property
    def _cap(self) -> int:
        return 1 if self._probing else min(self.most, max(1, int(self._allowed)))

    @property
    def _full(self) -> bool:
        """Whether a call has to end first. One that goes ahead waits for none that were sent before: they may stall."""
        if self._probing:
            return self._sent_since > 0 or self.in_flight >= self.most
        return self.in_flight >= self._cap

    def _delay_s(self, tokens: float) -> float:
        """Return how long the next request has to wait: infinity where it waits for another to end."""
        if self._full:
            return math.inf
        if self._held_until_s == -math.inf and not self.paced:
            return 0.0
        now_s = self._clock.monotonic_s()
        delay_s = self._held_until_s - now_s
        if self.requests.limit is not None:
            delay_s = max(delay_s, self.requests.delay_s(1.0, now_s))
        if self.tokens.limit is not None:
            delay_s = max(delay_s, self.tokens.delay_s(tokens, now_s))
        return delay_s

    def _left(self, lease: Lease, used: float, *, requests: float = 1.0) -> None:
        self.in_flight -= 1
        if lease.epoch == self._epoch:
            self._sent_since -= 1
        self.requests.settle(1.0, requests)
        self.tokens.settle(lease.tokens, used)

    def _read(self, headers: Mapping[str, str]) -> None:
        now_s = self._clock.monotonic_s()
        for pace, news in ((self.requests, requests_news(headers)), (self.tokens, tokens_news(headers))):
            if news is not None:
                pace.announced(news, now_s)

    @staticmethod
    def _announces(headers: Mapping[str, str]) -> bool:
        return any(name in headers for name in LIMIT_HEADERS)

    # growth and cuts

    def _well(self, lease: Lease) -> None:
        """Take in that the endpoint works."""
        self._answered_once = True
        self._refused_in_a_row, self._refusing_since_s = 0, None
        self._accepted += 1
        self._between += 1
        if self._accepted >= FORGOTTEN and self.requests.origin == "none":
            self._unpaced = False
            self._since_s, self._accepted = None, 0  # what is measured, once a limit is met, must be of late
        self._failures, self._breaks, self._failing_since_s = 0, 0, None
        if lease.epoch == self._epoch:
            if self._probing:
                self._resume()
            if self._allowed < self.most:
                self._grow(lease.in_flight)
        elif self._meeting_limit and lease.number > self._refused_number:
            self._later_answered += 1
            if self._later_answered > self._later_refused + 1:
                self._lift()
        if self.requests.origin == "learned":
            self._grow_limit()

    def _grow(self, in_flight: int) -> None:
        """Let more be in flight, where those that are were needed."""
        if in_flight >= self._allowed * 0.5:
            self._allowed = min(self.most, self._allowed + (1.0 if self._slow_start else 1.0 / self._allowed))

    def _limited(self, error: RateLimited, lease: Lease) -> None:
        """A limit was met. What was sent before the last cut belongs to the same episode: it is not cut for again."""
        self.refused += 1
        self._refused_in_a_row += 1
        self._why = str(error)
        now_s = self._clock.monotonic_s()
        if self._refusing_since_s is None:
            self._refusing_since_s = now_s
        refusing_s = now_s - self._refusing_since_s
        if refusing_s >= self._patience_s:
            self._give_up(
                EndpointDown(f"{self.name} has refused every call for {refusing_s:.0f} s; the last one: {error}")
            )
            return
        if self._asks_too_much(error):
            return
        if self._at_random and self._refused_in_a_row < IN_A_ROW:
            return
        if lease.epoch != self._epoch:
            if self._meeting_limit:
                self._later_refused += lease.spare or lease.number > self._refused_number
                self._hold(now_s, error.retry_after_s or 0.0)
        elif error.limit == "concurrency":
            self._begin_epoch()
            self._cut(lease.in_flight)
            self._hold(now_s, error.retry_after_s or SHORT_HOLD_S * self._scale)
        else:
            self._begin_epoch()
            self._begin_episode(error, lease, now_s)

    def _asks_too_much(self, error: RateLimited | Overloaded) -> bool:
        """Give the endpoint up where it asks for more patience than there is; returns whether it does."""
        if error.retry_after_s is None or error.retry_after_s <= self._patience_s:
            return False
        self._give_up(EndpointDown(f"{error} (it asks for {error.retry_after_s:.0f} s of patience)"))
        return True

    def _begin_episode(self, error: RateLimited, lease: Lease, now_s: float) -> None:
        """Hold everybody until the limit has room again; one goes ahead then."""
        self._at_random = False
        pace = self.tokens if error.limit == "tokens" else self.requests
        pace.refused()
        if not self._meeting_limit:
            # Nobody knows which requests left after one that did not leave when it was let in.
            self._refused_number = self._given if lease.spare else lease.number
            self._later_answered = self._later_refused = 0
            self._allowed_before = self._allowed
        told = pace.limit is not None and pace.origin in ("configured", "announced")
        if self._unpaced or (error.limit == "unknown" and not told and self._first_episode_s is None):
            self._cut(lease.in_flight)
        if self._first_episode_s is None:
            self._first_episode_s = now_s
        backoff_s = self._scale * min(LONGEST_HOLD_S, FIRST_HOLD_S * 2.0 ** min(self._holds, 10))
        self._holds += 1
        self._probing = self._meeting_limit = True
        self._hold(now_s, error.retry_after_s if error.retry_after_s is not None else backoff_s)

    def _lift(self) -> None:
        """Others that were sent later were let in: it was no limit, and concerns nobody but the one refused."""
        self._released()
        self._probing = self._meeting_limit = False
        self._holds = 0
        self._held_until_s = -math.inf
        self._allowed = max(self._allowed, self._allowed_before)
        self._doubt(at_once=True)
        self._resumed_at = self._given

    def _failed(self, error: ModelError, lease: Lease) -> None:
        """The endpoint failed. When it fails everybody, one call at a time finds out when it has recovered."""
        now_s = self._clock.monotonic_s()
        self._failures += 1
        self._why = str(error)
        if isinstance(error, Overloaded) and self._asks_too_much(error):
            return
        if self._failing_since_s is None:
            self._failing_since_s = now_s
        if self._failures < FAILURES or lease.epoch != self._epoch:
            return
        there = self._answered_once or isinstance(error, ServerError)
        patience_s = self._patience_s if there else min(NEVER_ANSWERED_S, self._patience_s)
        failing_s = now_s - self._failing_since_s
        if failing_s >= patience_s:
            down = EndpointDown(f"{self.name} has failed every call for {failing_s:.0f} s; the last one: {error}")
            down.__cause__ = error
            self._give_up(down)
            return
        if not self._breaks:
            scope().info("endpoint_broken", endpoint=self.name, failures=self._failures, reason=self._why)
        self._begin_epoch()
        self._probing = True
        asked_for_s = error.retry_after_s if isinstance(error, Overloaded) else None
        longest_s = LONGEST_DOUBT_S if isinstance(error, ServerError) else LONGEST_BREAK_S
        backoff_s = self._scale * min(longest_s, 2.0 ** min(self._breaks, 10))
        self._hold(now_s, max(asked_for_s or 0.0, backoff_s))
        self._breaks += 1

    def _begin_epoch(self) -> None:
        self._epoch += 1
        self._sent_since = 0

    def _cut(self, in_flight: int) -> None:
        self._slow_start = False
        self._allowed = max(1.0, min(self._allowed, in_flight) * CUT)

    def _hold(self, now_s: float, wait_s: float) -> None:
        if self._held_until_s <= now_s < now_s + wait_s:
            scope().info("endpoint_held", endpoint=self.name, for_s=wait_s, reason=self._why)
        self._held_until_s = max(self._held_until_s, now_s + wait_s)

    def _give_up(self, error: ModelError) -> None:
        """Let nobody ask any more."""
        self._fatal = error
        scope().info("endpoint_given_up", endpoint=self.name, error=type(error).__name__, reason=str(error))

    def _released(self) -> None:
        if self._held_until_s > -math.inf:
            scope().info("endpoint_released", endpoint=self.name)

    def _resume(self) -> None:
        """All is well again: one that went ahead was let in."""
        self._released()
        now_s = self._clock.monotonic_s()
        if self._meeting_limit and self.requests.origin in ("none", "learned"):
            self._learn(now_s)
        elif not self._meeting_limit:
            self._since_s, self._accepted = now_s, 0
        self._probing = self._meeting_limit = False
        self._holds = 0
        self._resumed_at = self._given

    def _doubt(self, *, at_once: bool) -> None:
        """Count an episode that looks like chance: soon after the last, and over at once."""
        soon = self._given - self._resumed_at < SOON
        self._doubts = self._doubts + 1 if at_once and soon else 0
        if self._doubts >= DOUBTS:
            self._doubts, self._at_random = 0, True
            self.requests.forget()
            self._slow_start = True
            self._allowed = max(self._allowed, self._allowed_before)

    def _learn(self, now_s: float) -> None:
        """Find out the limit that was met: answers, over the time they took, are what the endpoint allows.

        An endpoint that refuses soon again and again, and yet lets in whoever tries first after a wait, may be counting
        nothing at all: then the calls that it refuses wait, and no others.
        """
        at_once = self._holds == 1
        self._doubt(at_once=at_once)
        between, self._between = self._between, 0
        if self._unpaced or (not self._settling(now_s) and self._in_vain(between)):
            return
        passed_s = now_s - (self._since_s if self._since_s is not None else now_s)
        if self._at_random:
            return  # should it be a limit after all, what was counted is of use
        if passed_s > 0 and (self._accepted >= ENOUGH or self.requests.limit is None):
            self.requests.learned(self.requests.minute_s * self._accepted / passed_s)
        elif self.requests.limit is not None and not at_once:
            self.requests.learned(self.requests.limit * LITTLE_CUT)
        else:
            return  # too little to go by: counting goes on
        self._since_s, self._accepted, self._grown_s = now_s, 0, now_s

    def _in_vain(self, between: int) -> bool:
        """Whether a slower pace has brought no fewer refusals: then no limit a minute is behind them.

        Storms come as often a request, however slowly these leave, and learning from them would make the pace slower
        and slower. Calls in flight are cut for them instead.
        """
        pace = self.requests.limit
        if pace is None:
            return False
        if pace >= SLOWER * self._fastest:
            self._fastest = max(self._fastest, pace)
            self._at_pace.append(between)
            return False
        self._slower.append(between)
        if len(self._slower) < VAIN:
            return False
        self._unpaced = fmean(self._slower) < FEWER * fmean(self._at_pace)
        if self._unpaced:
            self.requests.forget()
            self._since_s, self._accepted = None, 0
        self._fastest = 0.0
        self._at_pace.clear()
        self._slower.clear()
        return self._unpaced

    def _grow_limit(self) -> None:
        """Try a little more of a limit that was only learned, quickly while it is still a guess."""
        now_s = self._clock.monotonic_s()
        settling = self._settling(now_s)
        every_s, growth = (QUICK_GROWTH_EVERY_S, QUICK_GROWTH) if settling else (GROWTH_EVERY_S, GROWTH)
        if now_s - self._grown_s >= every_s * self._scale and self.requests.limit is not None:
            self._grown_s = now_s
            self.requests.learned(self.requests.limit * growth)

    def _settling(self, now_s: float) -> bool:
        return self._first_episode_s is not None and now_s - self._first_episode_s < SETTLING_S * self._scale


class Admissions:
    """The controllers of a process: one an endpoint identity, whoever asks for it."""

    def __init__(self) -> None:
        self._by_identity: dict[tuple[str, str | None, str], Gate] = {}

    def of(self, endpoint: Endpoint, make: Callable[[], Gate]) -> Gate:
        """Return an endpoint's controller; the first who asks makes it."""
        admission = self._by_identity.get(endpoint.identity)
        if admission is None or admission.given_up:
            admission = self._by_identity[endpoint.identity] = make()
        return admission


_everybody: WeakKeyDictionary[asyncio.AbstractEventLoop, Admissions] = WeakKeyDictionary()


def everybody() -> Admissions:
    """Return the controllers that all runs of this event loop share: an account has one limit, however many use it."""
    return _everybody.setdefault(asyncio.get_running_loop(), Admissions())

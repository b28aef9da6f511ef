"""Limits that are kept, as an endpoint keeps them: who may enter, who is refused with which words and headers."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from .gauges import Gauge, Style, gauge
from .timeline import Enforceable, Tally, Timeline


@dataclass(frozen=True, slots=True)
class Enforced:
    """The limits of an endpoint."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    quota_requests: int | None = None
    """Requests that are let in before the account is empty."""
    minute_s: float = 60.0
    """How long a minute takes: a shorter one tests the same in less time."""
    style: Style = "window"
    announced: bool = True
    """Whether headers and words tell the limits; else a refusal says `slow down` and no more."""
    retry_after: bool = True
    """Whether a refusal says how long to wait, where that is known."""

    def __post_init__(self) -> None:
        limits = (self.requests_per_minute, self.tokens_per_minute, self.concurrency)
        if any(limit is not None and limit < 1 for limit in limits) or self.minute_s <= 0:
            raise ValueError(f"a limit is at least 1 and a minute longer than nothing: {self}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request may not enter; the status is 429."""

    limit: Enforceable
    error: Mapping[str, str]
    """Message, and where limits are announced type and code."""
    headers: Mapping[str, str]
    retry_after_s: float | None = None
    """When it would be let in if nobody else were; none where time does not help, or nobody knows."""


class Enforcer:
    """Keeps limits. Refused requests do not count against them."""

    def __init__(self, settings: Enforced, clock: Callable[[], float]) -> None:
        """Keep limits.

        Args:
            settings: Which.
            clock: Seconds that never go back.
        """
        self.settings = settings
        self._clock = clock
        self._start_s = clock()
        self._requests = self._gauge(settings.requests_per_minute)
        self._tokens = self._gauge(settings.tokens_per_minute)
        self._timeline = Timeline()
        self.inside = 0
        """Requests that are let in and have not left."""

    @property
    def admitted(self) -> int:
        """How many were let in."""
        return self._timeline.total.admitted

    @property
    def refused(self) -> Counter[Enforceable]:
        """How many were refused, by limit."""
        return self._timeline.total.refused

    def enter(self, tokens: int, model: str = "this model") -> Refusal | None:
        """Let a request in, or say why not; who is let in leaves later.

        Args:
            tokens: Of prompt and answer.
            model: Named in a refusal.
        """
        now_s = self._clock()
        refusal = self._refusal(tokens, model, now_s)
        if refusal is not None:
            self._timeline.refuse(refusal.limit, now_s)
            return refusal
        self.inside += 1
        for counted, amount in ((self._requests, 1), (self._tokens, tokens)):
            if counted is not None:
                counted.take(amount, now_s)
        self._timeline.admit(tokens, now_s)
        return None

    def leave(self) -> None:
        """End a request that was let in."""
        self.inside -= 1

    def headers(self) -> dict[str, str]:
        """Return the limits as OpenAI's headers; empty where they are not announced."""
        if not self.settings.announced or (self._requests is None and self._tokens is None):
            return {}
        now_s = self._clock()
        headers: dict[str, str] = {}
        for name, counted in (("requests", self._requests), ("tokens", self._tokens)):
            if counted is not None:
                headers[f"x-ratelimit-limit-{name}"] = str(counted.limit)
                headers[f"x-ratelimit-remaining-{name}"] = str(int(counted.room(now_s)))
                headers[f"x-ratelimit-reset-{name}"] = spoken(counted.reset_s(now_s))
        return headers

    def between(self, start_s: float, end_s: float) -> Tally:
        """Return what happened in a time of the clock, in whole seconds: those that begin in it."""
        return self._timeline.between(start_s, end_s)

    def share_used(self, limit: Literal["requests", "tokens"], start_s: float, end_s: float) -> float:
        """Return how much of what a limit allows in a time was let in; more than 1 where a burst came on top.

        Raises:
            ValueError: there is no such limit.
        """
        counted = self._requests if limit == "requests" else self._tokens
        if counted is None:
            raise ValueError(f"there is no limit of {limit}")
        tally = self.between(start_s, end_s)
        used = tally.admitted if limit == "requests" else tally.tokens
        return used / (counted.limit * (end_s - start_s) / self.settings.minute_s)

    def _gauge(self, limit: int | None) -> Gauge | None:
        return gauge(self.settings.style, limit, self.settings.minute_s, self._start_s)

    def _refusal(self, tokens: int, model: str, now_s: float) -> Refusal | None:
        limits = self.settings
        if self._tokens is not None and tokens > self._tokens.limit:
            return _too_large(tokens, model, self._tokens.limit)
        if limits.quota_requests is not None and self.admitted >= limits.quota_requests:
            return self._refused("quota", "You exceeded your current quota: the account is empty.", None)
        if limits.concurrency is not None and self.inside >= limits.concurrency:
            words = f"There are too many concurrent requests for {model}: at most {limits.concurrency} may run."
            return self._refused("concurrency", words, None)
        if self._requests is not None and self._requests.room(now_s) < 1:
            words = _words(self._requests, 1, "requests per min (RPM)", model, now_s)
            return self._refused("requests", words, self._requests.wait_s(1, now_s))
        if self._tokens is not None and self._tokens.room(now_s) < tokens:
            words = _words(self._tokens, tokens, "tokens per min (TPM)", model, now_s)
            return self._refused("tokens", words, self._tokens.wait_s(tokens, now_s))
        return None

    def _refused(self, limit: Enforceable, words: str, wait_s: float | None) -> Refusal:
        headers = self.headers()
        if self.settings.retry_after and wait_s is not None:
            # Rounded up: who waits so long is let in.
            headers["retry-after"] = str(math.ceil(wait_s))
            headers["retry-after-ms"] = str(math.ceil(wait_s * 1000))
        if limit == "quota":
            error = {"message": words, "type": "insufficient_quota", "code": "insufficient_quota"}
        elif self.settings.announced:
            error = {"message": words, "type": limit, "code": "rate_limit_exceeded"}
        else:
            error = {"message": "slow down"}
        return Refusal(limit, error, headers, wait_s)


def _too_large(tokens: int, model: str, limit: int) -> Refusal:
    """Return what is said to a request that no waiting helps, and that is told so however little else is told."""
    words = f"Request too large for {model} on tokens per min (TPM): Limit {limit}, Requested {tokens}."
    return Refusal("size", {"message": words, "type": "tokens", "code": "rate_limit_exceeded"}, {})


def _words(counted: Gauge, amount: int, unit: str, model: str, now_s: float) -> str:
    used = counted.limit - int(counted.room(now_s))
    return f"Rate limit reached for {model} on {unit}: Limit {counted.limit}, Used {used}, Requested {amount}."


def spoken(seconds: float) -> str:
    """Return a time as OpenAI's headers write it: 120ms, 7.66s, 6m0s; rounded up to a millisecond."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes}m{rest / 1000:g}s" if minutes else f"{rest / 1000:g}s"

"""Limits a minute, kept by pacing: what an endpoint allows is spread evenly, so that it fits every way of counting.

An endpoint may count in fixed windows, in the minute that has just passed, or by a bucket that refills. Requests that
leave evenly, a little slower than allowed, break none of the three; bursts would have to know which it is.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MINUTE_S = 60.0
SHARE = 0.98
"""The part of a limit that is used: clocks and networks are not exact."""
BURST_S = 0.5
"""Seconds' worth of the limit that may leave at once."""
NOTHING = 1e-9
"""Less than that is missing only by rounding."""
LIMIT_HEADERS = (
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-tokens-limit",
)
"""Where one of them is, an answer says something of limits."""
ABOUT_LIMITS = (
    *(f"x-ratelimit-{what}-{unit}" for unit in ("requests", "tokens") for what in ("limit", "remaining", "reset")),
    *(f"anthropic-ratelimit-{unit}-{what}" for unit in ("requests", "tokens") for what in ("limit", "remaining")),
)
"""All that it says of them."""
Origin = Literal["none", "configured", "announced", "learned"]
SPAN = re.compile(
    r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?(\d+(?:\.\d+)?)?",
    re.ASCII,
)
UNITS_S = (3600.0, 60.0, 1.0, 0.001, 1.0)
"""Of the groups of SPAN."""


class Pace:
    """One limit: units that refill with time, and those that are on their way.

    A need larger than all that may leave at once is met when that much is there, and paid back afterwards: it is
    granted alone, never left waiting.
    """

    __slots__ = ("_at_s", "_configured", "_level", "_remaining", "limit", "minute_s", "on_the_way", "origin")

    def __init__(self, limit: float | None, *, minute_s: float = MINUTE_S) -> None:
        self.minute_s = minute_s
        self.limit = limit
        self._configured = math.inf if limit is None else limit
        self.origin: Origin = "none" if limit is None else "configured"
        self.on_the_way = 0.0
        """Units of requests that were sent and not answered."""
        self._level = self._burst
        self._at_s = -math.inf
        self._remaining: float | None = None

    @property
    def _rate(self) -> float:
        """Return units a second."""
        return SHARE * (self.limit or math.inf) / self.minute_s

    @property
    def _burst(self) -> float:
        return max(1.0, BURST_S * self._rate) if self.limit is not None else math.inf

    def delay_s(self, need: float, now_s: float) -> float:
        """Return how long a request of so many units has to wait, as far as is known now."""
        if self.limit is None:
            return 0.0
        self._refill(self.limit, now_s)
        rate, burst = self._rate, self._burst
        short = min(need, burst) - self._level
        if self._remaining is not None:
            short = max(short, min(need, self.limit) + self.on_the_way - self._remaining)
        return max(0.0, short / rate) if short > NOTHING else 0.0

    def ample(self, need: float, now_s: float) -> bool:
        """Return whether a need leaves half of what may leave at once, and of what the endpoint says remains."""
        if self.limit is None:
            return True
        self._refill(self.limit, now_s)
        if self._remaining is not None and need + self.on_the_way > self._remaining / 2:
            return False
        return self._level - need >= self._burst / 2

    def _refill(self, limit: float, now_s: float) -> None:
        rate, burst = self._rate, self._burst
        self._level = min(burst, self._level + (now_s - self._at_s) * rate) if self._level < burst else burst
        if self._remaining is not None:
            self._remaining = min(limit, self._remaining + (now_s - self._at_s) * rate)
        self._at_s = now_s

    def take(self, need: float) -> None:
        """Count a request that is being sent."""
        self._level -= need
        self.on_the_way += need

    def settle(self, need: float, used: float) -> None:
        """Count what a request has really used."""
        self.on_the_way = max(0.0, self.on_the_way - need)
        self._level += need - used

    def refused(self) -> None:
        """Note that the endpoint says nothing is left."""
        self._level = min(self._level, 0.0)

    def learned(self, limit: float) -> None:
        """Take a limit that was found out by meeting it; one that was told is better."""
        if self.origin in ("none", "learned"):
            if self.limit is None:
                self._level = 0.0
            self.limit, self.origin = max(1.0, limit), "learned"

    def forget(self) -> None:
        """Take a learned limit for a mistake."""
        if self.origin == "learned":
            self.limit, self.origin, self._level = None, "none", math.inf

    def configure(self, limit: float | None) -> None:
        """Take a limit that the user knows, or that nobody knows one any more; the endpoint's own word stays."""
        self._configured = math.inf if limit is None else limit
        if limit is not None and (self.limit is None or self.origin != "announced" or limit < self.limit):
            self._level = min(self._level, max(1.0, BURST_S * SHARE * limit / self.minute_s))
            self.limit, self.origin = limit, "configured"
        elif limit is None and self.origin == "configured":
            self.limit, self.origin, self._level = None, "none", math.inf

    def announced(self, news: "News", now_s: float) -> None:
        """Take what the endpoint says of the limit. A configured one is kept where it is the lower."""
        if news.reset_s is not None and news.reset_s > 1.5 * self.minute_s:
            return  # counted over hours or days: nothing to pace a minute by
        if self.limit is not None:
            self._refill(self.limit, now_s)  # what remains is what remains now
        if self.limit is None:
            self._level = 1.0
            self._at_s = now_s
        told = news.limit < self._configured
        self.limit, self.origin = (news.limit, "announced") if told else (self._configured, "configured")
        if news.remaining is not None:
            self._remaining = news.remaining


@dataclass(frozen=True, slots=True)
class News:
    """What an answer's headers say of one limit."""

    limit: float
    remaining: float | None
    reset_s: float | None
    """Until the limit is whole again."""


def about_limits(headers: Mapping[str, str]) -> dict[str, str]:
    """Return those headers that say something of limits."""
    found = {name: headers.get(name) for name in ABOUT_LIMITS}
    return {name: value for name, value in found.items() if value is not None}


def requests_news(headers: Mapping[str, str]) -> News | None:
    """Return what headers say of requests a minute; None where they say nothing."""
    return _news(headers, "requests")


def tokens_news(headers: Mapping[str, str]) -> News | None:
    """Return what headers say of tokens a minute; None where they say nothing."""
    return _news(headers, "tokens")


def seconds(text: str) -> float | None:
    """Return a span such as `1s`, `6m0s`, `120ms`, `1h2m3.5s` or `17` in seconds; None for anything else."""
    found = SPAN.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    return sum(float(number) * unit for number, unit in zip(found.groups(), UNITS_S, strict=True) if number)


def _news(headers: Mapping[str, str], unit: str) -> News | None:
    limit = headers.get(f"x-ratelimit-limit-{unit}")
    if limit is not None:
        remaining = headers.get(f"x-ratelimit-remaining-{unit}")
        reset = seconds(headers.get(f"x-ratelimit-reset-{unit}", ""))
    else:
        limit = headers.get(f"anthropic-ratelimit-{unit}-limit")
        if limit is None:
            return None
        remaining = headers.get(f"anthropic-ratelimit-{unit}-remaining")
        reset = None  # a moment, not a span; the limit is of a minute
    allowed = _number(limit)
    return News(allowed, _number(remaining), reset) if allowed else None


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None

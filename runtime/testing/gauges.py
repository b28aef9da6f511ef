"""Three ways to count what may pass in a minute. Times are seconds of a clock that never goes back."""

from collections import deque
from typing import Literal, Protocol

Style = Literal["window", "sliding", "bucket"]
"""Fixed windows; what passed within the last minute; a bucket of one minute's worth that is refilled all the time."""
ROUNDING = 1e-9
"""What a bucket may lack because seconds are floats."""


class Gauge(Protocol):
    """Counts one thing, requests or tokens."""

    limit: int

    def room(self, now_s: float) -> float:
        """Return how much may pass now."""
        ...

    def wait_s(self, amount: int, now_s: float) -> float:
        """Return how long it takes until an amount, no more than the limit, may pass if nothing else does."""
        ...

    def reset_s(self, now_s: float) -> float:
        """Return how long it takes until the whole limit may pass if nothing else does."""
        ...

    def take(self, amount: int, now_s: float) -> None:
        """Let an amount pass."""
        ...


class Window:
    """Fixed windows, the first from when the gauge is made: what is not used by their end is lost."""

    def __init__(self, limit: int, minute_s: float, now_s: float) -> None:
        self.limit = limit
        self._minute_s = minute_s
        self._start_s = now_s
        self._number = 0
        self._used = 0

    def room(self, now_s: float) -> int:
        """See Gauge."""
        number = int((now_s - self._start_s) / self._minute_s)
        if number != self._number:
            self._number, self._used = number, 0
        return self.limit - self._used

    def wait_s(self, amount: int, now_s: float) -> float:
        """See Gauge."""
        return 0.0 if self.room(now_s) >= amount else self._left_s(now_s)

    def reset_s(self, now_s: float) -> float:
        """See Gauge."""
        return 0.0 if self.room(now_s) == self.limit else self._left_s(now_s)

    def take(self, amount: int, now_s: float) -> None:
        """See Gauge."""
        self.room(now_s)
        self._used += amount

    def _left_s(self, now_s: float) -> float:
        return max(0.0, self._start_s + (self._number + 1) * self._minute_s - now_s)


class Sliding:
    """The last minute: what passed counts until it is a minute old."""

    def __init__(self, limit: int, minute_s: float) -> None:
        self.limit = limit
        self._minute_s = minute_s
        self._passed: deque[tuple[float, int]] = deque()
        self._used = 0

    def room(self, now_s: float) -> int:
        """See Gauge."""
        while self._passed and now_s - self._passed[0][0] >= self._minute_s:
            self._used -= self._passed.popleft()[1]
        return self.limit - self._used

    def wait_s(self, amount: int, now_s: float) -> float:
        """See Gauge."""
        room = self.room(now_s)
        if room >= amount:
            return 0.0
        for time_s, passed in self._passed:
            room += passed
            if room >= amount:
                return max(0.0, time_s + self._minute_s - now_s)
        return self._minute_s

    def reset_s(self, now_s: float) -> float:
        """See Gauge."""
        self.room(now_s)
        return max(0.0, self._passed[-1][0] + self._minute_s - now_s) if self._passed else 0.0

    def take(self, amount: int, now_s: float) -> None:
        """See Gauge."""
        self._passed.append((now_s, amount))
        self._used += amount


class Bucket:
    """A token bucket: full when made, refilled continuously."""

    def __init__(self, limit: int, minute_s: float, now_s: float) -> None:
        self.limit = limit
        self._rate = limit / minute_s
        self._level = float(limit)
        self._seen_s = now_s

    def room(self, now_s: float) -> float:
        """See Gauge."""
        self._level = min(self.limit, self._level + (now_s - self._seen_s) * self._rate)
        self._seen_s = now_s
        return self._level + ROUNDING

    def wait_s(self, amount: int, now_s: float) -> float:
        """See Gauge."""
        return max(0.0, amount - self.room(now_s)) / self._rate

    def reset_s(self, now_s: float) -> float:
        """See Gauge."""
        return self.wait_s(self.limit, now_s)

    def take(self, amount: int, now_s: float) -> None:
        """See Gauge."""
        self.room(now_s)
        self._level -= amount


def gauge(style: Style, limit: int | None, minute_s: float, now_s: float) -> Gauge | None:
    """Return what counts in a style; none where there is no limit."""
    if limit is None:
        return None
    match style:
        case "window":
            return Window(limit, minute_s, now_s)
        case "sliding":
            return Sliding(limit, minute_s)
        case "bucket":
            return Bucket(limit, minute_s, now_s)

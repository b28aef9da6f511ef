"""Time that passes only when somebody waits for it."""


class ManualClock:
    """A Clock that never makes anybody wait: to sleep is to move it on."""

    def __init__(self, start_s: float = 1_700_000_000.0) -> None:
        self._start_s = start_s
        self._passed_s = 0.0
        self.slept: list[float] = []
        """Every wait, in order."""

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        return self._start_s + self._passed_s

    def monotonic_s(self) -> float:
        """Return seconds since the clock was made."""
        return self._passed_s

    async def sleep(self, seconds: float) -> None:
        """Move the clock on."""
        self.slept.append(seconds)
        self._passed_s += seconds

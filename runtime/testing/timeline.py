"""Who was let in and who was refused, second by second."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Enforceable = Literal["requests", "tokens", "concurrency", "size", "quota"]
"""What a request is refused for; `size` is more tokens than the limit ever lets pass."""
REMEMBERED = 7200
"""Seconds whose counts are kept: two hours of a busy endpoint."""


@dataclass(slots=True)
class Tally:
    """What happened in a time."""

    admitted: int = 0
    tokens: int = 0
    """Of the requests that were let in, as far as was known then."""
    refused: Counter[Enforceable] = field(default_factory=Counter[Enforceable])

    def add(self, other: "Tally") -> None:
        """Count what happened in another time, too."""
        self.admitted += other.admitted
        self.tokens += other.tokens
        self.refused.update(other.refused)


class Timeline:
    """Tallies of seconds; the oldest are forgotten, their total is not."""

    def __init__(self) -> None:
        self.total = Tally()
        self._seconds: dict[int, Tally] = {}

    def admit(self, tokens: int, now_s: float) -> None:
        """Count a request that is let in."""
        for tally in (self.total, self._second(now_s)):
            tally.admitted += 1
            tally.tokens += tokens

    def refuse(self, limit: Enforceable, now_s: float) -> None:
        """Count a request that is not."""
        for tally in (self.total, self._second(now_s)):
            tally.refused[limit] += 1

    def between(self, start_s: float, end_s: float) -> Tally:
        """Return what happened in the seconds that begin in a time; its end is not part of it."""
        found = Tally()
        for second, tally in self._seconds.items():
            if start_s <= second < end_s:
                found.add(tally)
        return found

    def _second(self, now_s: float) -> Tally:
        second = math.floor(now_s)
        tally = self._seconds.get(second)
        if tally is None:
            tally = self._seconds[second] = Tally()
            if len(self._seconds) > REMEMBERED:
                del self._seconds[next(iter(self._seconds))]
        return tally

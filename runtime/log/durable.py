"""How far a log is durable, and who waits for more of it to be."""

import asyncio
from collections import deque

from ...protocols.errors import LogError


class Durable:
    """The newest event that is durable; those who wait for later ones are answered in order."""

    def __init__(self, sequence: int) -> None:
        """Begin with what is durable already."""
        self.sequence = sequence
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._broken: LogError | None = None

    async def until(self, sequence: int) -> None:
        """Wait until an event is durable; raises LogError where it will not be."""
        if sequence <= self.sequence:
            return
        if self._broken is not None:
            raise self._broken
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((sequence, reached))
        await reached

    def reached(self, sequence: int) -> None:
        """Take in that all up to an event is durable."""
        self.sequence = sequence
        while self._waiting and self._waiting[0][0] <= sequence:
            waiter = self._waiting.popleft()[1]
            if not waiter.done():
                waiter.set_result(None)

    def end(self, error: LogError) -> None:
        """Take in that nothing more will be durable."""
        self._broken = error
        while self._waiting:
            waiter = self._waiting.popleft()[1]
            if not waiter.done():
                waiter.set_exception(error)

"""Who may call an endpoint now: one controller an endpoint, shared by all that speak to it.

Today a fixed cap on calls in flight; limits a minute, and caps that adapt, belong here.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Admission:
    """Leases for calls to one endpoint; those who wait are served in turn."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self._free = asyncio.Semaphore(cap)

    @asynccontextmanager
    async def lease(self) -> AsyncGenerator[None, None]:
        """Wait for a place, and hold it until the block ends, however it ends."""
        async with self._free:
            yield

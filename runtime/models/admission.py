"""Who may call an endpoint now: one controller an endpoint, shared by all that speak to it.

Today a fixed cap on calls in flight; limits a minute, and caps that adapt, belong here.
"""

import asyncio
from contextlib import AbstractAsyncContextManager


class Admission:
    """Leases for calls to one endpoint; those who wait are served in turn."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self._free = asyncio.Semaphore(cap)

    def lease(self) -> AbstractAsyncContextManager[None]:
        """Return a context to enter: it waits for a place, and holds it until it is left, however it is left."""
        return self._free

"""Where the workers of a run come from, and how they are spoken to: the ports of whatever carries a cluster."""

from collections.abc import Awaitable, Mapping
from typing import Protocol

from ...runtime.cluster.bank import BankState
from ...runtime.models.budget import Reservation
from ...runtime.models.endpoints import Endpoint
from .parcels import Answer, Charter, Order, Place, Welcome


class Unreachable(Exception):
    """A worker did not answer; it may live."""


class Hand(Protocol):
    """A worker, as the driver reaches it. Its methods raise WorkerLost where there is none any more."""

    async def place(self) -> Place:
        """Return where it is."""
        ...

    def run(self, charter: Charter, welcome: Welcome) -> Awaitable[None]:
        """Let it begin, and return what ends when it does."""
        ...

    async def exchange(self, order: Order) -> Answer:
        """Tell it what to do, and return what has happened; raises Unreachable where it is not known."""
        ...

    async def dismiss(self) -> None:
        """End its process, whatever it does."""
        ...


class Yard(Protocol):
    """Where workers come from, and what they share."""

    async def hire(self, name: str) -> Hand:
        """Return a new worker; waits until there is room for one.

        Raises:
            DeclarationError: no worker can be had there.
        """
        ...

    async def engines(self, place: Place) -> Mapping[str, Endpoint]:
        """Return the embedded models' engines on a worker's node."""
        ...

    async def bank(self) -> BankState:
        """Return how the bank stands."""
        ...

    async def bury(self, name: str) -> Reservation:
        """Tell the bank that a worker is no more; returns what may have been spent without a word."""
        ...

"""The right to send a request: what it is, who gives it and takes it back, and the order of those who wait."""

from asyncio import Future
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ...protocols.errors import ModelError
from ...protocols.models import Usage
from .endpoints import Endpoint
from .pace import Origin


@dataclass(frozen=True, slots=True)
class AdmissionState:
    """A controller at one moment."""

    endpoint: str
    in_flight: int
    waiting: int
    most_in_flight: int
    """Calls that may be in flight now."""
    requests_per_minute: float | None
    requests_origin: Origin
    tokens_per_minute: float | None
    tokens_origin: Origin
    held_s: float
    """Until anybody is sent again; 0 when nothing holds."""
    refused: int
    """429s so far."""
    broken: bool
    """Whether the endpoint is taken to fail everybody."""
    why: str
    """The endpoint's last words on it."""


class Lessor(Protocol):
    """Whoever gives leases, and is told what becomes of them."""

    def answered(self, lease: "Lease", used: float, headers: Mapping[str, str]) -> None:
        """Take in an answer, and the tokens that it used."""
        ...

    def failed(self, lease: "Lease", error: ModelError) -> None:
        """Take in an error."""
        ...

    def broken_off(self, lease: "Lease") -> None:
        """Take in that a request was broken off; it may have been served."""
        ...

    def unused(self, lease: "Lease") -> None:
        """Take in that no request was sent."""
        ...


class Lease:
    """The right to have one request in flight. It must be ended, however the request ends; `end` may come twice."""

    __slots__ = ("_lessor", "epoch", "in_flight", "number", "spare", "tokens")

    def __init__(
        self, lessor: "Lessor", tokens: float, number: int, epoch: int, in_flight: int, *, spare: bool = False
    ) -> None:
        self._lessor: Lessor | None = lessor
        self.tokens = tokens
        """Expected to be used."""
        self.number = number
        """How many were given before it."""
        self.epoch = epoch
        """The episode of refusals after which it was given."""
        self.in_flight = in_flight
        """Leases when it was given, itself included."""
        self.spare = spare
        """Whether nobody had asked for it: then its request leaves some time after it was given."""

    def answered(self, headers: Mapping[str, str], usage: Usage) -> None:
        """End it with an answer."""
        self.served(float(usage.input_tokens + usage.output_tokens) if usage.reported else self.tokens, headers)

    def served(self, used: float, headers: Mapping[str, str]) -> None:
        """End it with an answer that used so many tokens."""
        lessor, self._lessor = self._lessor, None
        if lessor is not None:
            lessor.answered(self, used, headers)

    def failed(self, error: ModelError) -> None:
        """End it with an error."""
        lessor, self._lessor = self._lessor, None
        if lessor is not None:
            lessor.failed(self, error)

    def end(self) -> None:
        """End it without either: the call was broken off."""
        lessor, self._lessor = self._lessor, None
        if lessor is not None:
            lessor.broken_off(self)

    def unused(self) -> None:
        """End it without a request: none was sent."""
        lessor, self._lessor = self._lessor, None
        if lessor is not None:
            lessor.unused(self)


class Lane:
    """Those of one run who wait for an endpoint. Runs take turns; within one, first come, first served.

    Whoever was sent before has waited already, and goes before those who were not.
    """

    __slots__ = ("again", "fresh")

    def __init__(self) -> None:
        self.fresh = deque[Future[None]]()
        self.again = deque[Future[None]]()

    def __bool__(self) -> bool:
        return bool(self.fresh or self.again)

    def take(self) -> "Future[None] | None":
        """Return who is next, of those who have not left; None where all have."""
        while self:
            turn = (self.again or self.fresh).popleft()
            if not turn.done():
                return turn
        return None


class Gate(Protocol):
    """What stands before an endpoint: a controller of its own, or in a cluster a share in the one of all workers."""

    @property
    def counts_tokens(self) -> bool:
        """Whether there is a limit of tokens, as far as is known."""
        ...

    @property
    def broken(self) -> bool:
        """Whether the endpoint is taken to fail everybody."""
        ...

    @property
    def given_up(self) -> bool:
        """Whether no request can succeed any more."""
        ...

    def state(self) -> AdmissionState:
        """Return it as it is now."""
        ...

    def join(
        self, lane: Lane, most: int, *, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        """Take a run on, and what it knows of the endpoint's limits."""
        ...

    def leave(self, lane: Lane) -> None:
        """Let a run go."""
        ...

    async def lease(self, lane: Lane, tokens: float, *, again: bool = False) -> Lease:
        """Wait until a request may be sent.

        Raises:
            ModelError: no request can succeed any more: the endpoint's last word.
        """
        ...


class Gates(Protocol):
    """The gates of a process: one an endpoint identity, whoever asks for it."""

    def of(self, endpoint: Endpoint, make: Callable[[], Gate]) -> Gate:
        """Return an endpoint's gate; the first who asks makes it."""
        ...

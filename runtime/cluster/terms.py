"""What a worker and the bank tell one another: plain data that crosses processes, many requests in one message."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ...protocols.errors import ModelError
from ..models.budget import Reservation
from ..models.leases import AdmissionState

VALID_S = 0.25
"""How long a lease that nobody has asked for may be used, of a minute of 60 s: what leaves later than it was counted
stays within the part of a limit that pacing leaves unused."""

End = Literal["answered", "failed", "broken off", "unused"]


@dataclass(frozen=True, slots=True)
class Desk:
    """An endpoint at which a worker asks, and what is known of it."""

    identity: str
    """A digest of address, account and model; the same in all workers."""
    name: str
    most: int
    """Calls in flight, of all workers together."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class Want:
    """A request that waits for its turn."""

    number: int
    """The worker's own; needs are counted with wants."""
    identity: str
    tokens: float
    """Expected to be used."""
    again: bool = False
    """Whether it was sent before."""


@dataclass(frozen=True, slots=True)
class Need:
    """A request that waits for money."""

    number: int
    most: Reservation


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Requests that are likely to come within the next moment."""

    identity: str
    requests: int
    tokens: float
    """Each is expected to use."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a lease."""

    lease: int
    how: End
    used: float = 0.0
    """Tokens, of an answer."""
    headers: Mapping[str, str] | None = None
    """Of an answer, those about limits, where no later answer says more."""
    error: ModelError | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Money that a worker does not hold any more: spent, or given back."""

    released: Reservation
    """What was set aside, the part that was spent included."""
    usd: float
    """Spent."""
    tokens: int
    """Spent."""


@dataclass(frozen=True, slots=True)
class Report:
    """What has happened in a worker since the last report."""

    desks: tuple[Desk, ...] = ()
    ended: tuple[Ended, ...] = ()
    settled: Settled | None = None
    withdrawn: tuple[int, ...] = ()
    """Wants and needs, by number."""
    wants: tuple[Want, ...] = ()
    needs: tuple[Need, ...] = ()
    foreseen: tuple[Foreseen, ...] = ()
    last: bool = False
    """Whether the worker leaves, in good order: nothing it was given is in use."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A request may be sent."""

    want: int
    lease: int
    """The bank's number."""


@dataclass(frozen=True, slots=True)
class Spares:
    """Leases that nobody has asked for."""

    identity: str
    leases: tuple[int, ...]
    tokens: float
    """The most that the request of one may be expected to use."""


@dataclass(frozen=True, slots=True)
class Paid:
    """Money was set aside, for a need or for more than that."""

    need: int
    amount: Reservation


@dataclass(frozen=True, slots=True)
class Refused:
    """A want or a need will never be met."""

    number: int
    error: ModelError


@dataclass(frozen=True, slots=True)
class Condition:
    """How an endpoint is."""

    identity: str
    roomy: bool
    """Whether leases that nobody has asked for may be used."""
    state: AdmissionState
    fatal: ModelError | None
    """Its last word."""


@dataclass(frozen=True, slots=True)
class Money:
    """How the budget stands."""

    plenty: bool
    """Whether workers may hold what no request needs."""
    spent_usd: float
    spent_tokens: int


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to tell a worker."""

    number: int = 0
    """They may cross: a lower one knows less."""
    granted: tuple[Granted, ...] = ()
    spares: tuple[Spares, ...] = ()
    paid: tuple[Paid, ...] = ()
    refused: tuple[Refused, ...] = ()
    conditions: tuple[Condition, ...] = ()
    money: Money | None = None

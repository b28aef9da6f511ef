"""What an endpoint served, and what it billed for it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .faults import Misbehaviour
from .timeline import Enforceable


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a reply costs."""

    input: int = 0
    """Cached input included."""
    output: int = 0
    """Reasoning included."""
    cached: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """What counts against a limit of tokens."""
        return self.input + self.output


@dataclass(frozen=True, slots=True)
class Served:
    """A request as it came in, and how it was answered. Tokens are those that were billed."""

    request: Mapping[str, Any]
    """Empty where the endpoint does not keep requests, or could not read this one."""
    headers: Mapping[str, str]
    """As `request`."""
    status: int
    """What the client was sent; 0 where that was nothing, or where the client left before the end."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    billed: bool = False
    """Whether a whole reply told the client a usage that can be."""
    unmetered: bool = False
    """Whether a whole reply should have told the usage and did not, or told what cannot be."""
    answered: bool = False
    """Whether the client has words of the model's."""
    abandoned: bool = False
    """Whether the connection ended before the reply was written whole, and no fault ended it."""
    fault: Misbehaviour | None = None
    """What went wrong on purpose."""
    refused: Enforceable | None = None
    """Which limit it ran into."""


@dataclass(slots=True)
class Totals:
    """The sums of a ledger."""

    requests: int = 0
    answered: int = 0
    billed_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    unmetered: int = 0
    abandoned: int = 0
    by_status: Counter[int] = field(default_factory=Counter[int])
    by_fault: Counter[Misbehaviour] = field(default_factory=Counter[Misbehaviour])
    by_refusal: Counter[Enforceable] = field(default_factory=Counter[Enforceable])

    def add(self, served: Served) -> None:
        """Count one request."""
        self.requests += 1
        self.answered += served.answered
        self.billed_calls += served.billed
        self.input_tokens += served.input_tokens
        self.output_tokens += served.output_tokens
        self.cached_tokens += served.cached_tokens
        self.unmetered += served.unmetered
        self.abandoned += served.abandoned
        self.by_status[served.status] += 1
        if served.fault is not None:
            self.by_fault[served.fault] += 1
        if served.refused is not None:
            self.by_refusal[served.refused] += 1

    def cost_usd(self, input_price: float, output_price: float, cached_price: float | None = None) -> float:
        """Return what was billed, by prices a token; cached input costs as any other where it has no price."""
        cached = input_price if cached_price is None else cached_price
        fresh_tokens = self.input_tokens - self.cached_tokens
        return fresh_tokens * input_price + self.cached_tokens * cached + self.output_tokens * output_price

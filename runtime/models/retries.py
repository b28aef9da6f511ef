"""What another try can help, how often, and after what wait: one table."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...protocols.errors import (
    CallTimedOut,
    ConnectionFailed,
    MalformedReply,
    ModelError,
    Overloaded,
    RateLimited,
    TruncatedReply,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """How one class of error is met."""

    times: int | None
    """Tries after the first that this class may cost; None for as many as it takes: the call is put off, not failed."""
    first_s: float = 0.5
    """Wait before the second try; it doubles with each, and half of it is chance."""
    longest_s: float = 30.0
    """Bound on that wait; what an endpoint asks for is waited out in full."""


NEVER = Rule(times=0)
TABLE: dict[type[ModelError], Rule] = {
    RateLimited: Rule(times=None, longest_s=5.0),  # admission holds the others, too
    Overloaded: Rule(times=6),
    CallTimedOut: Rule(times=2),
    ConnectionFailed: Rule(times=6),
    TruncatedReply: Rule(times=4),
    MalformedReply: Rule(times=3),
}
"""Every other class is never tried again: PromptTooLong, ModelRefused, ContentFiltered, ModelNotFound, CallRefused (but
for a weaker form of answer), Unauthorised, QuotaExhausted, BudgetExhausted, EndpointDown."""


@dataclass(frozen=True, slots=True)
class Retries:
    """The table, and how much patience there is."""

    table: Mapping[type[ModelError], Rule] = field(default_factory=lambda: TABLE)
    patience_s: float = 600.0
    """The longest wait that an endpoint may ask for, and the longest it may fail everybody."""

    def rule(self, error: ModelError) -> Rule:
        """Return the rule for an error: that of its class, or of the nearest class it extends."""
        for kind in type(error).__mro__:
            if kind in self.table:
                return self.table[kind]
        return NEVER

    def wait_s(self, error: ModelError, tries: int, rng: random.Random) -> float | None:
        """Return how long to wait after the `tries`-th error of a class; None where another try is not worth it."""
        rule = self.rule(error)
        if rule.times is not None and tries > rule.times:
            return None
        asked_for_s = error.retry_after_s if isinstance(error, (Overloaded, RateLimited)) else None
        if asked_for_s is not None and asked_for_s > self.patience_s:
            return 0.0  # admission's business: it says what becomes of all who ask
        backoff_s = min(rule.longest_s, rule.first_s * 2.0 ** min(tries - 1, 30)) * (0.5 + rng.random() / 2)
        return max(asked_for_s or 0.0, backoff_s)

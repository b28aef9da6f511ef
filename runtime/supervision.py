"""What becomes of an agent whose handler raised: a table, read from the top."""

from dataclasses import dataclass
from typing import Literal

Then = Literal["recuse", "fail"]


@dataclass(frozen=True, slots=True)
class Rule:
    """For errors of one class: try the letter again some times, then recuse the agent or fail the item."""

    error: type[Exception]
    retries: int
    then: Then


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules in order; the first whose class fits decides, and an error that none fits fails the item."""

    rules: tuple[Rule, ...] = ()

    def decide(self, error: Exception, attempt: int) -> Literal["retry", "recuse", "fail"]:
        """Return what to do about an error.

        Args:
            error: What the handler raised.
            attempt: How often the letter has been tried, from 1.
        """
        for rule in self.rules:
            if isinstance(error, rule.error):
                return "retry" if attempt <= rule.retries else rule.then
        return "fail"


FAIL = Policy()
"""Every error fails the item."""

"""A run's budget: money and tokens are reserved before a request and settled after it, so that nothing overshoots."""

import asyncio
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

from ...protocols.errors import BudgetExhausted, DeclarationError
from ...protocols.models import ModelCall, Usage
from .prices import Price

AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(usd|\$|tok|ktok|mtok)", re.IGNORECASE)
TOKENS = {"tok": 1, "ktok": 1_000, "mtok": 1_000_000}
BYTES_A_MESSAGE = 32
"""Bound on the tokens that a chat template puts around a message."""
BYTES_A_REQUEST = 256
"""Bound on what it puts around all of them."""
LONGEST_ANSWER = 16_384
"""Tokens of an answer that are asked for under a budget where the scenario sets no limit, and the price table knows of
none that is lower: without one no request would have a bound."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a run may spend, earlier starts included."""

    usd: float | None = None
    tokens: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `5usd`, `$5`, `500ktok`, `2Mtok`, or money and tokens with a comma between them.

        Raises:
            DeclarationError: it is none of these.
        """
        found: dict[str, float] = {}
        for part in text.split(","):
            unit, number = _amount(part.strip())
            if unit in found or not 0 < number < math.inf or (unit == "tok" and number < 1):
                raise DeclarationError(f"{text!r} is no budget: write 5usd, 500ktok or 2Mtok")
            found[unit] = number
        return cls(found.get("usd"), round(found["tok"]) if "tok" in found else None)

    def __str__(self) -> str:
        parts = [f"{self.usd:g} usd"] if self.usd is not None else []
        parts += [f"{self.tokens:,} tokens"] if self.tokens is not None else []
        return " and ".join(parts)


def _amount(text: str) -> tuple[str, float]:
    """Return `usd` or `tok`, and how much of it; 0 where it is nothing of the kind."""
    found = AMOUNT.fullmatch(f"{text[1:]}usd" if text.startswith("$") else text)
    if found is None:
        return "", 0.0
    factor = TOKENS.get(found[2].lower())
    return ("usd", float(found[1])) if factor is None else ("tok", float(found[1]) * factor)


@dataclass(frozen=True, slots=True)
class Reservation:
    """The most that one request can cost."""

    usd: float
    tokens: int
    """At least 1: no request is without."""


class Funds(Protocol):
    """What requests are paid from: a purse, or in a cluster a share in the one that all workers use."""

    @property
    def budget(self) -> Budget:
        """The most that may be spent."""
        ...

    async def reserve(self, most: Reservation) -> None:
        """Set aside the most that a request can cost.

        Raises:
            BudgetExhausted: it does not fit, and nothing will come back.
        """
        ...

    def settle(self, most: Reservation, usd: float, tokens: int) -> None:
        """Put back what a request has not cost."""
        ...

    def write_off(self, most: Reservation, *, for_good: bool = True) -> None:
        """Count a request in full; `for_good` if later starts of the run are to count it, too."""
        ...


class Purse:
    """What is left of a budget."""

    def __init__(
        self,
        budget: Budget,
        *,
        spent_usd: float = 0.0,
        spent_tokens: int = 0,
        write_off: Callable[[Reservation], None] | None = None,
    ) -> None:
        """Make a purse.

        Args:
            budget: What may be spent.
            spent_usd: What earlier starts have spent.
            spent_tokens: The same.
            write_off: Is told of every request that counts for good as its reservation because nobody knows its cost.
        """
        self.budget = budget
        self._write_off = write_off
        self.spent_usd = spent_usd
        self.spent_tokens = spent_tokens
        self._held_usd = 0.0
        self._held_tokens = 0
        self._waiting = 0
        self._first = asyncio.Lock()
        self._returned = asyncio.Event()

    async def reserve(self, most: Reservation) -> None:
        """Set aside the most that a request can cost; waits, first come, first served, while something may come back.

        Raises:
            BudgetExhausted: it does not fit, and nothing will come back.
        """
        if self._waiting or not self._fits(most):
            self._waiting += 1
            try:
                async with self._first:
                    await self._until_it_fits(most)
            finally:
                self._waiting -= 1
        self._hold(most)

    def try_reserve(self, most: Reservation) -> bool:
        """Set aside as much where that can be done now, and nobody waits; returns whether it was."""
        if not self.leaves(most):
            return False
        self._hold(most)
        return True

    def leaves(self, most: Reservation) -> bool:
        """Return whether so much is left that nobody has set aside, and nobody waits."""
        return not self._waiting and self._fits(most)

    def _hold(self, most: Reservation) -> None:
        self._held_usd += most.usd
        self._held_tokens += most.tokens

    async def _until_it_fits(self, most: Reservation) -> None:
        while not self._fits(most):
            if self._held_tokens <= 0 or not self._fits(most, held=False):
                raise BudgetExhausted(
                    f"the budget of {self.budget} does not reach for the next request, which can cost "
                    f"{self._said(most.usd, most.tokens)}: {self._said(self.spent_usd, self.spent_tokens)} are spent"
                    " (max_tokens on a model bounds what its requests can cost)"
                )
            self._returned.clear()
            await self._returned.wait()

    def settle(self, most: Reservation, usd: float, tokens: int) -> None:
        """Put back what a request has not cost.

        What was set aside at once may come back in other parts, as long as the last part has tokens, too: it is by them
        that one knows whether anything is out.
        """
        self._held_tokens -= most.tokens
        self._held_usd = self._held_usd - most.usd if self._held_tokens > 0 else 0.0
        self.spent_usd += usd
        self.spent_tokens += tokens
        self._returned.set()

    def write_off(self, most: Reservation, *, for_good: bool = True) -> None:
        """Count a request in full: it may have been billed, and nobody says how much.

        Args:
            most: What was set aside for it.
            for_good: Whether later starts of the run count it, too.
        """
        self.settle(most, most.usd, most.tokens)
        if for_good and self._write_off is not None:
            self._write_off(most)

    def _said(self, usd: float, tokens: int) -> str:
        """Return an amount in the terms of the budget."""
        parts = [f"{usd:.4f} usd"] if self.budget.usd is not None else []
        parts += [f"{tokens:,} tokens"] if self.budget.tokens is not None else []
        return " and ".join(parts)

    def _fits(self, most: Reservation, *, held: bool = True) -> bool:
        """Whether a request fits beside what is spent, and beside what is held unless all of that came back."""
        usd, tokens = self.budget.usd, self.budget.tokens
        held_usd, held_tokens = (self._held_usd, self._held_tokens) if held else (0.0, 0)
        return (usd is None or self.spent_usd + held_usd + most.usd <= usd + 1e-12) and (
            tokens is None or self.spent_tokens + held_tokens + most.tokens <= tokens
        )


def most_of(call: ModelCall, price: Price | None, longest_answer: int) -> Reservation:
    """Return the most that one request can cost: a token is at least one byte of what is sent."""
    sent = BYTES_A_REQUEST
    for message in call.messages:
        sent += BYTES_A_MESSAGE + len(message.content.encode("utf-8", "surrogatepass"))
    if call.answer is not None:
        sent += len(str(call.answer.schema).encode("utf-8", "surrogatepass"))
    usage = Usage(input_tokens=sent, output_tokens=longest_answer)
    dearest = price.cost_usd(usage) if price else 0.0
    if price is not None and price.output_cost_per_reasoning_token is not None:
        dearest = max(dearest, price.cost_usd(usage.model_copy(update={"reasoning_tokens": longest_answer})))
    return Reservation(dearest, sent + longest_answer)

"""What a run will take: calls, tokens, money and time, as a document."""

from pydantic import BaseModel, ConfigDict

Interval = tuple[float, float]
Number = int | float


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Figures(_Closed):
    """One quantity."""

    least: Number
    expected: float
    """The mean over plays before a simulated model."""
    expected_ci: Interval | None = None
    """95 %, for all items by those that were played: two-stage sampling (Cochran 1977, 10.3), Student's t. None where
    one play says nothing of its spread."""
    greatest: Number


class Calls(Figures):
    """Calls of models."""

    with_further_requests: int
    """The absolute ceiling: every answer is unreadable at first, and every agent tries as often as it may."""


class Tokens(_Closed):
    """As endpoints count them, about."""

    input: Figures
    output: Figures


class AgentForecast(_Closed):
    """What one agent takes, for all items."""

    model: str
    rounds: dict[str, Figures]
    """Calls, by round, from 1."""
    calls: Figures
    tokens: Tokens
    cost_usd: Figures | None
    """None where the price of its model is not known."""


class Totals(_Closed):
    """What all agents take."""

    items: int
    calls: Calls
    per_item: Calls
    """Of one item: the least of any, the mean, the greatest of any."""
    tokens: Tokens
    cost_usd: Figures | None
    """Of models whose price is known; None where none is."""
    unpriced: tuple[str, ...]
    """Models whose price is not known: what they cost comes on top."""
    time_s: Figures
    """At the present limits."""
    agents: dict[str, AgentForecast]
    """By name; of a sweep they stand under its variants."""


class Forecast(Totals):
    """Of a scenario or a sweep."""

    scenario: str
    variants: dict[str, Totals] = {}
    """Of a sweep."""
    assumptions: tuple[str, ...]
    """What the figures rest on, a sentence each."""

    def document(self) -> dict[str, object]:
        """Return it as JSON has it: the scenario first; `variants` of a sweep only."""
        whole = self.model_dump(mode="json", exclude={"variants"} if not self.variants else None)
        return {"scenario": whole.pop("scenario"), **whole}

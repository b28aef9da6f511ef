"""How long calls take at the present limits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean
from typing import Literal

from ...protocols.models import ModelSettings
from ...runtime.models.endpoints import PROVIDERS, Provider, split
from ...runtime.session import Limits
from .forecast import AgentForecast, Figures

MINUTE_S = 60.0
End = Literal["least", "expected", "greatest"]
ENDS: tuple[End, ...] = ("least", "expected", "greatest")
Endpoint = tuple[str, str | None]
"""Model and address."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of one endpoint."""

    calls: float = 0.0
    tokens: float = 0.0

    def __add__(self, other: "Load") -> "Load":
        return Load(self.calls + other.calls, self.tokens + other.tokens)


Loads = Mapping[End, Mapping[Endpoint, Load]]


def loads(agents: Iterable[tuple[ModelSettings, AgentForecast]], most: float) -> Loads:
    """Return what agents of one plan ask of each endpoint: all of them together no more than so many calls."""
    found: dict[End, dict[Endpoint, Load]] = {end: {} for end in ENDS}
    for settings, agent in agents:
        for end, by_endpoint in found.items():
            key = settings.model, settings.base_url
            tokens = _at(agent.tokens.input, end) + _at(agent.tokens.output, end)
            by_endpoint[key] = by_endpoint.get(key, Load()) + Load(_at(agent.calls, end), tokens)
    bounded = {key: Load(min(load.calls, most), load.tokens) for key, load in found["greatest"].items()}
    return {**found, "greatest": bounded}


def together(those: Sequence[Loads]) -> Loads:
    """Return the loads of several plans that are played side by side."""
    found: dict[End, dict[Endpoint, Load]] = {end: {} for end in ENDS}
    for each in those:
        for end, by_endpoint in each.items():
            for key, load in by_endpoint.items():
                found[end][key] = found[end].get(key, Load()) + load
    return found


def time_s(asked: Loads, rows: Sequence[int], limits: Limits, latency_s: float) -> Figures:
    """Return how long it takes: as the slowest endpoint does, and no less than the calls of one item in a row.

    Args:
        asked: Of each endpoint.
        rows: Calls in a row, of plays.
        limits: Calls at once, and what endpoints allow a minute.
        latency_s: What a call takes.
    """
    in_a_row: dict[End, float] = {"least": min(rows), "expected": fmean(rows), "greatest": max(rows)}
    found: dict[End, float] = {}
    for end in ENDS:
        each = (_durations(model, load, limits, latency_s) for (model, _), load in asked[end].items())
        found[end] = max([latency_s * in_a_row[end], *chain.from_iterable(each)])
    return Figures(least=found["least"], expected=found["expected"], greatest=found["greatest"])


def _durations(model: str, load: Load, limits: Limits, latency_s: float) -> Iterable[float]:
    """Return how long an endpoint takes at least, by each of its limits."""
    most = PROVIDERS.get(split(model)[0], Provider()).concurrency
    at_once = limits.concurrency if most is None else min(limits.concurrency, most)
    yield load.calls * latency_s / at_once
    rate = limits.rate(model)
    if rate.requests is not None:
        yield MINUTE_S * load.calls / rate.requests
    if rate.tokens is not None:
        yield MINUTE_S * load.tokens / rate.tokens


def _at(figures: Figures, end: End) -> float:
    match end:
        case "least":
            return figures.least
        case "expected":
            return figures.expected
        case "greatest":
            return figures.greatest

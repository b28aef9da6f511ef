"""What a run will take, as tables: calls by agent and round, totals, and what the figures rest on."""

from collections.abc import Sequence

from ..forecasting.forecast import AgentForecast, Calls, Figures, Forecast, Totals
from .table import NONE, Cell, Table

COLUMNS = ("least", "expected", "95 %", "greatest")
MOST_VARIANTS = 60
"""Variants of a sweep that are told one by one."""


def plan_tables(found: Forecast) -> tuple[Table, ...]:
    """Return all that a terminal shows of a forecast."""
    what = f"{found.scenario}: {_count(found.items)} {'item' if found.items == 1 else 'items'}"
    parts = [_variants(found)] if found.variants else [_rounds(found.agents)]
    return (*parts, _totals(what, found))


def _rounds(agents: dict[str, AgentForecast]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, agent in agents.items():
        rounds = list(agent.rounds.items())
        for number, figures in rounds:
            rows.append((name, agent.model, number, *_figures(figures)))
        if len(rounds) > 1:
            rows.append((name, agent.model, "all", *_figures(agent.calls)))
        elif not rounds:
            rows.append((name, agent.model, NONE, *_figures(agent.calls)))
    return Table("Calls by agent and round", ("agent", "model", "round", *COLUMNS), tuple(rows), words=3)


def _variants(found: Forecast) -> Table:
    told = list(found.variants.items())[:MOST_VARIANTS]
    rows = tuple((name, *_figures(each.calls), _money(each.cost_usd)) for name, each in told)
    left = len(found.variants) - len(told)
    notes = (f"{left} further variants are in --json",) if left else ()
    return Table("Calls by variant", ("variant", *COLUMNS, "usd, expected"), rows, notes=notes)


def _totals(what: str, found: Forecast) -> Table:
    rows: list[tuple[Cell, ...]] = [
        ("calls", *_figures(found.calls)),
        ("  an item", *_figures(found.per_item, 1)),
        ("tokens in", *_figures(found.tokens.input)),
        ("tokens out", *_figures(found.tokens.output)),
        ("usd", *_cost(found)),
        ("time", *(_duration(value) for value in _ends(found.time_s)[:2]), NONE, _duration(found.time_s.greatest)),
    ]
    notes = (
        f"{_count(found.calls.with_further_requests)} requests at the very most, where no answer can be read at first",
        *found.assumptions,
    )
    return Table(what, ("", *COLUMNS), tuple(rows), notes=notes)


def _cost(found: Totals) -> Sequence[Cell]:
    if found.cost_usd is None:
        return (NONE,) * len(COLUMNS)
    interval = found.cost_usd.expected_ci
    shown = NONE if interval is None else f"[{interval[0]:.4f}, {interval[1]:.4f}]"
    least, expected, greatest = (f"{end:.4f}" for end in _ends(found.cost_usd))
    return least, expected, shown, greatest


def _money(figures: Figures | None) -> Cell:
    return NONE if figures is None else f"{figures.expected:.4f}"


def _ends(figures: Figures) -> tuple[float, float, float]:
    return figures.least, figures.expected, figures.greatest


def _figures(figures: Figures | Calls, places: int | None = None) -> Sequence[Cell]:
    least, expected, most = _ends(figures)
    # What is known is said as it is; a mean of few has a place after the point.
    decimals = (1 if most < 100 and expected != round(expected) else 0) if places is None else places
    interval = figures.expected_ci
    shown = NONE if interval is None else f"[{interval[0]:,.{decimals}f}, {interval[1]:,.{decimals}f}]"
    return f"{least:,.0f}", f"{expected:,.{decimals}f}", shown, f"{most:,.0f}"


def _count(number: float) -> Cell:
    return f"{number:,.0f}"


def _duration(seconds: float) -> Cell:
    """Return a time in the unit that suits it."""
    for unit, length in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:,.1f} s"

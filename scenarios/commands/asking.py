"""Before a run begins on a terminal: what it may take, and whether it is wanted, where that is much."""

# ruff: noqa: PLC0415 - heavy modules are loaded where something is to be asked
import functools
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..console import STOPPED

if TYPE_CHECKING:
    from ..forecasting.forecast import Forecast
    from ..forecasting.sample import Items
    from ..settings import Settings
    from ..steps import Playable

MOST_CALLS = 2_000
"""Simulated calls: an answer in a second or so is enough here."""
AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(usd|\$|calls?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Threshold:
    """Above which it is asked."""

    usd: float = 5.0
    calls: float = 10_000
    """Where a model's price is not known."""

    @classmethod
    def from_str(cls, text: str | None) -> "Threshold":
        """Read `5usd`, `10000calls`, or both with a comma; what is not said stays as it is.

        Raises:
            DeclarationError: it is none of these.
        """
        from ...protocols.errors import DeclarationError

        found: dict[str, float] = {}
        for part in text.split(",") if text is not None else ():
            amount = AMOUNT.fullmatch(part.strip())
            unit = "" if amount is None else "calls" if amount[2].lower().startswith("call") else "usd"
            if amount is None or unit in found:
                raise DeclarationError(f"--ask-above {text!r}: write 5usd, 10000calls, or 5usd,10000calls")
            found[unit] = float(amount[1])
        return cls(**found)

    def exceeded(self, found: "Forecast") -> bool:
        """Whether a run may take more."""
        dear = found.cost_usd is not None and found.cost_usd.greatest > self.usd
        return dear or (bool(found.unpriced) and found.calls.greatest > self.calls)


def ask_first(plan: "Playable", items: "Items", settings: "Settings", out: Path, above: str | None) -> None:
    """Ask whether to begin, where the run may take more than that; leaves the command where the answer is no.

    It is asked on a terminal only, and never of a run that goes on, has a budget, or has embedded models only.

    Raises:
        DeclarationError: `above` cannot be read.
    """
    threshold = Threshold.from_str(above)
    if not _asked_for(plan, settings, out) or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    import anyio

    from ...runtime.loop import BACKEND
    from ...runtime.printable import plain
    from ..forecasting.ahead import forecast
    from ..forecasting.reckoning import Circumstances

    at = Circumstances(settings.access.prices, settings.limits)
    play = functools.partial(forecast, plan, items, at, seed=settings.seed, most_calls=MOST_CALLS)
    found = anyio.run(play, backend_options=BACKEND)
    if not threshold.exceeded(found):
        return
    typer.echo(plain(f"fellowship: {told(found)}"), err=True)
    if not typer.confirm("Begin?", err=True):
        raise typer.Exit(STOPPED)


def _asked_for(plan: "Playable", settings: "Settings", out: Path) -> bool:
    from ...protocols.models import EMBEDDED
    from ...runtime.models.endpoints import split
    from ..directory import LOG

    embedded = all(split(each.model)[0] == EMBEDDED for each in plan.models)
    goes_on = (out / LOG).exists()
    return not (embedded or goes_on or plan.unasked or settings.recorded or settings.limits.budget is not None)


def told(found: "Forecast") -> str:
    """Return in one sentence what a run may take."""
    calls = f"{found.calls.expected:,.0f} calls expected, {found.calls.greatest:,.0f} at the most"
    if found.cost_usd is None:
        return f"{calls}; no price is known for {', '.join(found.unpriced)} (--budget bounds tokens)"
    money = f"{found.cost_usd.expected:.2f} usd expected, {found.cost_usd.greatest:.2f} at the most"
    more = f", and more for {', '.join(found.unpriced)}, whose price is not known" if found.unpriced else ""
    return f"{money}{more}; {calls} (`fellowship plan` says what that rests on, --budget bounds it)"

"""Which conversations somebody wants to see, in words of the command line; what no run can have is told."""

import json
from collections.abc import Collection, Sequence
from typing import cast, get_args

from ...protocols import errors
from ...protocols.errors import DeclarationError, ExecutionError, UnknownName
from ...protocols.judging import Verdict
from .index import Index
from .listing import SORTS, State, Wanted


def states(names: Sequence[str]) -> tuple[State, ...]:
    """Return states by name; raises UnknownName."""
    return tuple(cast("State", known("state", name, get_args(State))) for name in names)


def verdicts(names: Sequence[str]) -> tuple[Verdict, ...]:
    """Return verdicts by name; raises UnknownName."""
    return tuple(cast("Verdict", known("verdict", name, get_args(Verdict))) for name in names)


def sorting(words: str) -> tuple[str, bool]:
    """Read `COLUMN` or `-COLUMN`: what to sort by, and whether the greatest comes first; raises UnknownName."""
    name = words.removeprefix("-")
    return known("column to sort by", name, SORTS), words.startswith("-")


def known(sort: str, name: str, names: Collection[str]) -> str:
    """Return a name; raises UnknownName where it is none of these."""
    if name not in names:
        raise UnknownName(sort, name, names)
    return name


def prove(wanted: Wanted, index: Index) -> None:
    """Raise UnknownName where something is wanted that the run does not have at all; and where no cost is known."""
    run = index.overview()
    if wanted.agent is not None:
        known("agent", wanted.agent, run.agents)
    if wanted.model is not None:
        known("model", wanted.model, run.models)
    if wanted.variant is not None:
        record = json.loads(index.log.meta("played") or "{}")
        known("variant", wanted.variant, record.get("variants", {}))
    if wanted.failure is not None and wanted.failure not in CLASSES:
        known("class of error", wanted.failure, {*run.failures, *CLASSES} if not run.failures else run.failures)
    if wanted.cost is not None and run.unpriced and not run.cost_usd:
        raise DeclarationError("--cost: the cost of no call of this run is known (--prices FILE)")


CLASSES = frozenset(
    name for name, found in vars(errors).items() if isinstance(found, type) and issubclass(found, ExecutionError)
)
"""Errors that an item can fail by."""


def told(wanted: Wanted) -> str:
    """Return what is wanted, in words; empty where everything is."""
    facts = [" or ".join(wanted.states), " or ".join(f"verdict {name}" for name in wanted.verdicts)]
    facts += [f"failed by {wanted.failure}"] if wanted.failure is not None else []
    facts += [{True: "right", False: "wrong"}[wanted.correct]] if wanted.correct is not None else []
    for name in ("variant", "model", "agent"):
        facts += [f"{name} {value}"] if (value := getattr(wanted, name)) is not None else []
    facts += [f"disagreement from {wanted.disagreement:g}"] if wanted.disagreement is not None else []
    facts += [f"cost from {wanted.cost:g} usd"] if wanted.cost is not None else []
    facts += [f"with {wanted.text!r}"] if wanted.text is not None else []
    return ", ".join(filter(None, facts))

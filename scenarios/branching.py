"""Whom steps listen to that come before branches: of an agent that branches have in several, to all of these."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from . import spec
from .steps import AskStep, EachStep, RepeatStep, Step, WhenStep

Branches = Mapping[str, tuple[str, ...]]
"""The agents that branches have in place of one, by its name."""


def heard(steps: Sequence[Step], branches: Branches, around: tuple[EachStep, ...] = ()) -> tuple[Step, ...]:
    """Return steps in which everyone who is listened to is there when it is played.

    Args:
        steps: As they are planned, one after another: names stand for whom they stood for then.
        branches: Of the whole flow.
        around: The branches that the steps are of, the outermost first.
    """
    return tuple(_heard(step, branches, around) for step in steps)


def _heard(step: Step, branches: Branches, around: tuple[EachStep, ...]) -> Step:
    match step:
        case AskStep() if not isinstance(step.hears, spec.Graph):
            hears = {name: tuple(_several(speakers, branches, around)) for name, speakers in step.hears.items()}
            return replace(step, hears=hears)
        case RepeatStep():
            return replace(step, steps=heard(step.steps, branches, around))
        case WhenStep():
            otherwise = heard(step.otherwise, branches, around)
            return replace(step, steps=heard(step.steps, branches, around), otherwise=otherwise)
        case EachStep():
            inside = (*around, step) if step.together else around
            return replace(step, steps=heard(step.steps, branches, inside))
        case _:
            return step


def _several(speakers: Sequence[str], branches: Branches, around: tuple[EachStep, ...]) -> Iterator[str]:
    for name in speakers:
        own = next((step for step in reversed(around) if name in step.own), None)
        if own is not None:  # a branch knows its own by this name, and those of the branches within it by tails
            yield from (f"{name}{tail}" for tail in own.tails.get(name, ("",)))
        else:
            yield from branches.get(name, (name,))

"""Knock-outs as they were published: what is set in every step of a scenario that picks so."""

from collections.abc import Sequence
from typing import Any, cast

from ..protocols.errors import DeclarationError
from .parameters import KEY
from .source import Source
from .spec import Document, Each, Pick, Repeat, Scenario, Step, When, within

WAY = "knock-out"


def as_published(scenario: Document, source: Source) -> Scenario:
    """Return a scenario in which every knock-out is played as published, in loops and branches, too.

    Args:
        scenario: What was declared.
        source: Its document, as it was before its parameters were filled in.

    Raises:
        DeclarationError: no step of it picks by knock-out, or it is a sweep.
    """
    if not isinstance(scenario, Scenario):
        raise DeclarationError(
            f"--as-published is for one scenario, and {scenario.scenario} is a sweep: "
            "the scenarios it plays say as_published: true beside pick: knock-out"
        )
    if not any(isinstance(step, Pick) and step.pick == WAY for step in within(scenario.flow)):
        hint = _choice(source)
        first = f": --set {hint} first" if hint else f": it is for pick: {WAY}"
        raise DeclarationError(f"--as-published: no step of {scenario.scenario} picks by knock-out{first}")
    return scenario.model_copy(update={"flow": _marked(scenario.flow)})


def _marked(steps: Sequence[Step]) -> tuple[Step, ...]:
    return tuple(_marked_one(step) for step in steps)


def _marked_one(step: Step) -> Step:
    match step:
        case Pick() if step.pick == WAY:
            return step.model_copy(update={"as_published": True})
        case Repeat() | Each():
            return step.model_copy(update={"do": _marked(step.do)})
        case When():
            return step.model_copy(update={"do": _marked(step.do), "else_": _marked(step.else_)})
        case _:
            return step


def _choice(source: Source) -> str | None:
    """Return the parameter and the choice of it that would have a step pick so; None where there is none."""
    parameters = source.document.get(KEY)
    for name, said in cast("dict[str, Any]", parameters).items() if isinstance(parameters, dict) else ():
        choices: object = cast("dict[str, Any]", said).get("choices") if isinstance(said, dict) else None
        for choice, value in cast("dict[str, object]", choices).items() if isinstance(choices, dict) else ():
            if isinstance(value, dict) and cast("dict[str, object]", value).get("pick") == WAY:
                return f"{name}={choice}"
    return None

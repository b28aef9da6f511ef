"""Which decision a vote is for: what follows a step in the flow, on every way."""

from collections.abc import Iterable

from ..protocols.aggregation import RULES
from ..protocols.errors import DeclarationError
from ..protocols.sparing import FORESEEABLE, WORD
from ..protocols.stopping import Condition
from . import spec
from .source import Path

Rest = tuple[tuple[spec.Step, Path], ...]
"""The steps that follow a step, each with its place: those beside it, a repeat that it is in once more, those beside
that, and so on."""


def decision_after(rest: Rest, at: Path) -> spec.Decide | str:
    """Return the one decision that the votes of a step at this place enter, or why it cannot be foreseen."""
    found: tuple[spec.Decide, Path] | None = None
    for step, path in rest:
        around = at[: len(path)] == path
        if found is None and isinstance(step, spec.Decide):
            found = (step, path)
        elif found is None and (problem := _in_between(step, path, around=around)):
            return problem
        elif found is not None and around and any(map(_looks_at_votes, spec.within([step]))):
            return f"{_dotted(path)} goes on or not by the votes, those that are spared among them"
        elif found is not None and not around and _decides([step]):
            return f"its votes also enter another decision, at {_dotted(path)}"
    if found is None:
        return "no `decide` follows"
    return _unforeseen(found[0]) or found[0]


def _unforeseen(step: spec.Decide) -> str | None:
    """Return why it is not known before the last vote what a decision comes to; None where it can be."""
    if step.among is not None or step.ties != "tie":
        return "the `decide` that follows says whose votes count, or what a split comes to"
    if step.decide in RULES and step.decide not in FORESEEABLE:
        known = ", ".join(FORESEEABLE)
        return f"what {step.decide} comes to is known after the last vote only; {known} can be foreseen"
    return None


def _in_between(step: spec.Step, path: Path, *, around: bool) -> str | None:
    """Return why a step must not stand between votes and their decision; None where it may."""
    if around:
        return f"{_dotted(path)} may ask for these ballots again before the `decide` that follows"
    inside = list(spec.within([step]))
    if any(isinstance(each, spec.Use) for each in inside):
        return f"{_dotted(path)} plays another scenario before the `decide` that follows"
    if any(isinstance(each, spec.Ask) and each.for_ == "ballot" for each in inside):
        return f"{_dotted(path)} may ask for more ballots before the `decide` that follows"
    return f"whether {_dotted(path)} decides is not known beforehand" if _decides(inside) else None


def _decides(steps: Iterable[spec.Step]) -> bool:
    return any(isinstance(step, spec.Decide) for step in spec.within(steps))


def _looks_at_votes(step: spec.Step) -> bool:
    match step:
        case spec.Repeat():
            return any(map(_is_of_votes, step.conditions))
        case spec.Ask():
            return step.until is not None and _is_of_votes(step.until)
        case spec.When():
            return _is_of_votes(step.when)
        case _:
            return False


def _is_of_votes(condition: str) -> bool:
    if condition.strip() == WORD:
        return False
    try:
        return "ballot" in Condition.from_str(condition).fed_by
    except DeclarationError:  # which is told where it stands
        return False


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))

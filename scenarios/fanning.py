"""What an `each` goes through: resolved and proven."""

from dataclasses import dataclass
from typing import Literal

from ..protocols.errors import nearest
from . import spec
from .ground import Ground
from .source import Path

SORTS = ("criteria", "drafts", "candidates", "data.COLUMN")
"""What there is beside a list of texts."""
MOST = 10
"""Criteria, or texts of a column, where the step does not say how many there may be."""
COLUMN = "data."
UNKNOWN = "?"
"""What a name stands for that goes through nobody knows what."""


@dataclass(frozen=True, slots=True)
class Fan:
    """What is gone through."""

    of: tuple[str, ...] | Literal["criteria", "drafts", "candidates", "data"]
    column: str | None
    """Of data."""
    most: int
    """How many there are at the most."""


def fanned(ground: Ground, step: spec.Each, at: Path) -> Fan | None:
    """Return what a step goes through; None where that is not known, which is noted."""
    fan = _of_list(ground, step, at) if not isinstance(step.of, str) else _of_word(ground, step, step.of, at)
    if fan is None or step.sample is None:
        return fan
    if step.sample > fan.most:
        ground.wrong(f"sample is {step.sample}, and there are {fan.most} at the most", (*at, "sample"))
    return Fan(fan.of, fan.column, min(fan.most, step.sample))


def _of_list(ground: Ground, step: spec.Each, at: Path) -> Fan | None:
    if step.most is not None:
        ground.wrong("most means nothing for a list: it is as long as it is; sample takes some of it", (*at, "most"))
    if isinstance(step.of, str) or not step.of:
        ground.wrong("of must not be empty", (*at, "of"))
        return None
    return Fan(step.of, None, len(step.of))


def _of_word(ground: Ground, step: spec.Each, word: str, at: Path) -> Fan | None:
    where: Path = (*at, "of")
    match word:
        case "candidates":
            if ground.scenario.takes != "comparison":
                ground.wrong("of: candidates: there are none, takes must be comparison", where)
            return Fan("candidates", None, 2)
        case "drafts":
            if not ground.seen.facts & {"draft", "answer"}:
                ground.wrong(f"of: drafts: {ground.missing('draft')}", where)
            return Fan("drafts", None, max(1, len(ground.writers())))
        case "criteria":
            if "criteria" not in ground.seen.facts:
                ground.wrong(f"of: criteria: {ground.missing('criteria')}", where)
            return Fan("criteria", None, min(step.most or MOST, ground.criteria or MOST))
        case _ if word.startswith(COLUMN) and word != COLUMN:
            return Fan("data", word.removeprefix(COLUMN), step.most or MOST)
        case _:
            hint = nearest(word, SORTS)
            hint = hint if "did you mean" in hint else ""
            ground.wrong(f"of is a list of texts, or one of {', '.join(SORTS)}, not {word!r}{hint}", where)
            return None

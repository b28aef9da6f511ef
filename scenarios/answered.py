"""How the questions of a run were answered: right, wrong, or not at all."""

from collections.abc import Mapping
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict

from ..runtime.log import LogReader
from .measures.exact import wilson

Answer = Literal["right", "wrong", "unknown", "split", "unread"]


class Answered(BaseModel):
    """How the questions of a run were answered; those that have an outcome."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    known: int
    """Questions whose answer is known, and that were answered, or could not be."""
    unknown: int
    """Questions whose answer is not known: they are in no share."""
    correct: int
    """Of the known; what is split or unread is not correct."""
    accuracy: float | None
    """Correct of the known; None where none is known."""
    accuracy_ci: tuple[float, float] | None
    """95 %, Wilson's score interval; None where none is known."""
    split: int
    """Questions that came to no answer, because those who answered were of several minds."""
    unread: int
    """Questions that came to no answer, because none could be read."""


def answered(log: LogReader, counts: Mapping[Answer, int]) -> Answered | None:
    """Return how questions were answered; None of a run that gives no answers.

    Args:
        log: The run's.
        counts: Outcomes that are right, wrong and unknown; of these, those that are split and unread.
    """
    played: dict[str, Any] = orjson.loads(log.meta("played") or "{}")
    if played.get("scenario", {}).get("gives") != "answer":
        return None
    right = counts["right"]
    known = right + counts["wrong"]
    return Answered(
        known=known,
        unknown=counts["unknown"],
        correct=right,
        accuracy=right / known if known else None,
        accuracy_ci=wilson(right, known),
        split=counts["split"],
        unread=counts["unread"],
    )

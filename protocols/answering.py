"""Answers to questions with a known answer: when two are the same, and when one is right."""

from collections.abc import Sequence
from typing import Literal

Answers = Literal["exact", "numeric", "choice"]
"""How answers are compared: by their words, as numbers, or as one of the question's choices."""


def key(answer: str, how: Answers, choices: Sequence[str] = ()) -> str | None:
    """Return what tells an answer from others: the same for two that are the same; None where it is none of its kind.

    Args:
        answer: As it was given.
        how: How answers are compared.
        choices: Of the question; the first is A.
    """
    raise NotImplementedError


def right(answer: str, known: str, how: Answers, choices: Sequence[str] = ()) -> bool:
    """Return whether an answer is the known one.

    Raises:
        ValueError: the known answer is none of its kind.
    """
    raise NotImplementedError

"""What looks for prompts that an export has already, or that are in an evaluation set."""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ...protocols.errors import DeclarationError
from ..hub import PREFIX
from .candidates import DUPLICATE, OVERLAP, Repeats


def named(data: str) -> str:
    """Return what an evaluation set is called in a data set that is published: a hub's name, or a file's alone."""
    return data if data.startswith(PREFIX) else Path(data).name


def repeats_by(threshold: float | None, not_in: Sequence[str]) -> Repeats:
    """Return what looks for repeated prompts.

    Args:
        threshold: Likeness from which a prompt repeats an earlier one; None: only where their texts are the same.
        not_in: Evaluation sets: files, or hub:NAME.

    Raises:
        DeclarationError: two evaluation sets have the same name.
    """
    names = [named(data) for data in not_in]
    for name in names:
        if names.count(name) > 1:
            raise DeclarationError(f"--not-in names {name} twice")

    def look(prompts: Iterable[str]) -> Callable[[int], str | None]:
        duplicates: Any = import_module("..duplicates", __name__)
        evaluation = {name: duplicates.evaluation_prompts(data) for name, data in zip(names, not_in, strict=True)}
        found = duplicates.find(prompts, evaluation, threshold=threshold)

        def why(place: int) -> str | None:
            overlap = found.overlap_of(place)
            if overlap is not None:
                return f"{OVERLAP}{overlap}"
            return None if found.duplicate_of(place) is None else DUPLICATE

        return why

    return look

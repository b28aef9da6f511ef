"""Which of several drafts is the outcome."""

from collections.abc import Callable, Sequence

from .generation import DraftWritten
from .registry import Registry

Pick = Callable[[Sequence[DraftWritten]], int]
"""Takes the drafts in the order they were written, at least one; returns the place of the one picked."""


def last(drafts: Sequence[DraftWritten]) -> int:
    """The one written last."""
    return len(drafts) - 1


def first(drafts: Sequence[DraftWritten]) -> int:
    """The one written first."""
    del drafts
    return 0


PICKS: Registry[Pick] = Registry("way to pick", {"last": last, "first": first})

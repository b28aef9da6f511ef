"""How often two said what of the same items: a small table, the fuller the darker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

HEATS = 10
"""Shades, from 0 for nothing to 9 for all of a row."""
ORDER = ("a", "b", "tie", "unread")


@dataclass(frozen=True, slots=True)
class Cell:
    """How many items."""

    n: int
    heat: int
    """From 0 to 9, by the share of its row."""
    same: bool
    """Whether both said the same."""
    link: str | None
    """Where these items are listed."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows for what the one said, columns for what the other did."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...], int], ...]
    """Verdict, cells, and their sum."""
    sums: tuple[int, ...]
    """Of each column."""
    n: int


def matrix(counts: Mapping[tuple[str, str], int], link: Callable[[str, str], str | None]) -> Matrix:
    """Return the table of some counts, with the verdicts that occur; `unread` comes last.

    Args:
        counts: By verdict of the one and verdict of the other.
        link: Where the items of a cell are listed; None where nowhere.
    """
    met = [verdict for verdict in ORDER if any(counts.get(pair, 0) for pair in _with(verdict))]
    rows = tuple(_row(row, met, counts, link) for row in met)
    sums = tuple(sum(counts.get((row, column), 0) for row in met) for column in met)
    return Matrix(tuple(met), rows, sums, sum(sums))


def heat(part: float, whole: float) -> int:
    """Return the shade for a part of a whole: 0 for nothing, else from 1 to 9."""
    return min(HEATS - 1, 1 + int((HEATS - 1) * part / whole)) if whole and part else 0


def _with(verdict: str) -> Sequence[tuple[str, str]]:
    return [pair for each in ORDER for pair in ((verdict, each), (each, verdict))]


def _row(
    row: str,
    columns: Sequence[str],
    counts: Mapping[tuple[str, str], int],
    link: Callable[[str, str], str | None],
) -> tuple[str, tuple[Cell, ...], int]:
    whole = sum(counts.get((row, column), 0) for column in columns)
    cells = [
        Cell(n, heat(n, whole), row == column, link(row, column) if n else None)
        for column in columns
        for n in (counts.get((row, column), 0),)
    ]
    return row, tuple(cells), whole

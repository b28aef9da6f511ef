"""What measures of plugins came to, as tables."""

from collections.abc import Sequence

from ..measures.plugged import Figure, Measured
from .table import Table, count, figure, interval


def measured_tables(found: Sequence[Measured]) -> tuple[Table, ...]:
    """Return a table for each measure; one that broke says so below it."""
    return tuple(_table(each) for each in found)


def _table(found: Measured) -> Table:
    rows = tuple((name or found.measure, *_cells(value)) for name, value in found.figures.items())
    methods = dict.fromkeys(value.method for value in found.figures.values())
    broke = (found.failed,) if found.failed is not None else ()
    of = f", version {found.version}, of {found.plugin}" if found.plugin is not None else ""
    title = f"{found.measure}{of}{': ' if found.about else ''}{found.about}"
    nothing = ("It has nothing to say of these.",) if not rows and not broke else ()
    return Table(title, ("", "n", "value", "95 %"), rows, notes=(*nothing, *broke, *methods))


def _cells(found: Figure) -> tuple[str, str, str]:
    return count(found.n), figure(found.value), interval(found.ci)

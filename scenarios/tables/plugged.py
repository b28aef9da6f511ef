"""What measures and exporters of plugins came to, as tables."""

from collections.abc import Sequence

from ..measures.plugged import Figure, Measured
from ..plugins.plugin import Plugin
from ..preferences.exporters import PluggedExport
from .table import NONE, Table, count, figure, interval


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


def export_tables(found: PluggedExport, to: str) -> tuple[Table, ...]:
    """Return how many candidates became pairs, and the files that were written of them."""
    left = found.candidates
    rows = [("candidates", NONE, count(left))]
    for reason, lost in found.dropped.items():
        left -= lost
        rows.append((reason, count(lost), count(left)))
    rows.append(("kept", NONE, count(found.pairs)))
    written = f"{count(found.rows)} rows, " if found.rows is not None else ""
    unread = f"{count(found.unread)} pairs the exporter did not look at." if found.unread else ""
    notes = (f"{written}{', '.join(found.files) or 'no file'} in {to}", *filter(None, [unread]))
    return (Table(f"From candidates to {found.format}", ("step", "lost", "left"), tuple(rows), notes=notes),)


def plugin_tables(found: Sequence[Plugin]) -> tuple[Table, ...]:
    """Return what each plugin brings."""
    return tuple(
        Table(
            f"{plugin.name}, {'package' if plugin.packaged else 'file'} {plugin.origin}",
            ("sort", "name", "what it is"),
            tuple((each.sort, each.name, each.about) for each in plugin.brings),
            words=3,
        )
        for plugin in found
    )

"""What an export has written, and what was lost on the way, as tables."""

from ..preferences.exported import Exported, Funnel, Margins, Written
from .table import NONE, Table, count, figure, interval


def exported_tables(exported: Exported) -> tuple[Table, ...]:
    """Return a funnel a data set, and the files."""
    apart = {margins.data: margins for margins in exported.margins}
    funnels = (funnel_table(funnel, apart.get(funnel.data)) for funnel in exported.funnels)
    return (*funnels, files_table(exported.written))


def funnel_table(funnel: Funnel, margins: Margins | None = None) -> Table:
    """Return the steps from items to rows; those at which nothing was lost are left out."""
    without = funnel.items_failed + funnel.items_open + funnel.items_without
    rows = [
        ("items", NONE, count(funnel.items), ""),
        ("failed", count(funnel.items_failed), count(funnel.items - funnel.items_failed), ""),
        ("open", count(funnel.items_open), count(funnel.items - funnel.items_failed - funnel.items_open), ""),
        ("without a candidate", count(funnel.items_without), count(funnel.items - without), ""),
        ("candidates", NONE, count(funnel.candidates + funnel.labels), _sorts(funnel)),
        *((step.step, count(step.lost), count(step.left), step.why) for step in funnel.steps),
        ("kept", NONE, count(funnel.kept), ""),
    ]
    shown = tuple((name, why, lost, left) for name, lost, left, why in rows if lost != "0")
    notes = tuple(f"{step.step}: {step.why}" for step in funnel.steps if step.why and not step.lost)
    title = f"From items to {funnel.data} pairs"
    columns = ("step", "which", "lost", "left")
    return Table(title, columns, shown, words=2, notes=(*notes, *_apart(margins)))


def _sorts(funnel: Funnel) -> str:
    return f"{count(funnel.candidates)} pairs, {count(funnel.labels)} single labels" if funnel.labels else ""


def _apart(margins: Margins | None) -> tuple[str, ...]:
    if margins is None or not margins.n:
        return ()
    scale = f" of {margins.scale}" if margins.scale else ""
    quantiles = f"{figure(margins.min, 1)} to {figure(margins.max, 1)}, median {figure(margins.median, 1)}"
    mean = f"mean {figure(margins.mean, 2)} {interval(margins.mean_ci, 2)}"
    return (f"margin in points{scale}: {quantiles}, {mean} (95 %; {margins.mean_method}), n {count(margins.n)}",)


def files_table(written: tuple[Written, ...]) -> Table:
    """Return a row a file, and what is to be said of the configurations."""
    rows = tuple(
        (each.config, split, file, count(each.rows[split]), count(each.prompts[split]))
        for each in written
        for split, file in each.files.items()
    )
    notes = tuple(f"{each.config}: {note}" for each in written for note in _notes(each))
    return Table("Files", ("data set", "split", "file", "rows", "prompts"), rows, words=3, notes=notes)


def _notes(written: Written) -> tuple[str, ...]:
    notes = [f"{why}, left out: {count(number)}" for why, number in written.left_out.items()]
    weights = written.balance
    if weights is not None:
        notes.append(
            f"{count(weights.desirable)} desirable, {count(weights.undesirable)} undesirable; suggested "
            f"desirable_weight {weights.desirable_weight:g}, undesirable_weight {weights.undesirable_weight:g}"
        )
    return (*notes, *written.notes)

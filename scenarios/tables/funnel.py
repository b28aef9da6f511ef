"""What an export has written, and what was lost on the way, as tables."""

from ..preferences.exported import Exported, Funnel, Margins, Written
from ..preferences.judges import JudgeKappa
from .table import NONE, Table, count, figure, interval


def exported_tables(exported: Exported) -> tuple[Table, ...]:
    """Return a funnel a data set, the files, and how well the judges judge, where that was measured."""
    apart = {margins.data: margins for margins in exported.margins}
    funnels = (funnel_table(funnel, apart.get(funnel.data)) for funnel in exported.funnels)
    judges = (judges_table(exported.about.measured),) if exported.about.measured else ()
    return (*funnels, files_table(exported.written), *judges)


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


def judges_table(measured: tuple[JudgeKappa, ...]) -> Table:
    """Return a row a judge and benchmark: how far it agrees with people there."""
    columns = ("judge", "benchmark", "rater there", "kappa", "95 %", "n", "unread")
    rows = tuple(
        (
            each.judge,
            each.benchmark,
            each.rater or "nobody has its model",
            figure(each.kappa),
            interval(each.kappa_ci),
            count(each.n),
            count(each.unread),
        )
        for each in measured
    )
    methods = dict.fromkeys(each.kappa_method for each in measured if each.kappa_method)
    notes = tuple(f"Cohen's kappa with the majority of people; its interval: {method}" for method in methods)
    return Table("How well the judges judge", columns, rows, words=3, notes=notes)


def _notes(written: Written) -> tuple[str, ...]:
    notes = [f"{why}, left out: {count(number)}" for why, number in written.left_out.items()]
    weights = written.balance
    if weights is not None:
        notes.append(
            f"{count(weights.desirable)} desirable, {count(weights.undesirable)} undesirable; suggested "
            f"desirable_weight {weights.desirable_weight:g}, undesirable_weight {weights.undesirable_weight:g}"
        )
    return (*notes, *written.notes)

"""What a report says of the run, or of the file, before any figure."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..report.report import Report
from .table import NONE, Cell, Table, count

if TYPE_CHECKING:
    from datetime import datetime

    from ..report.facts import RunFacts

BAD = 10
"""Rows that are no votes, told one by one."""


def title(report: Report) -> str:
    """Return what a report is of."""
    return report.source if report.run is None else f"{report.run.status.scenario or 'a run'}, {report.source}"


def facts(report: Report) -> Table:
    """Return the facts of a run, or of a file."""
    rows = [*(_run(report.run, _played(report)) if report.run is not None else ()), *_votes(report)]
    notes = [f"line {bad.line}: {bad.what}" for bad in report.bad_rows[:BAD]]
    if len(report.bad_rows) > BAD:
        notes.append(f"and {count(len(report.bad_rows) - BAD)} more rows that are no votes (--json has all)")
    return Table("What this is of", ("", ""), tuple(rows), words=2, notes=tuple(notes))


def _played(report: Report) -> int:
    """Return in how many ways items were played."""
    return len(report.played) if report.answers is None else len(report.answers.ways)


def warnings(report: Report) -> tuple[str, ...]:
    """Return what a reader must know before any figure: that something is open, failed or left out."""
    told: list[str] = []
    run = report.run
    if run is not None:
        if run.still_open:
            told.append(
                f"No outcome yet, and in no figure: {count(run.still_open)} of {count(run.status.items)} items; "
                f"the run is {run.status.state}."
            )
        if run.status.failed:
            causes = ", ".join(f"{count(number)} by {error}" for error, number in run.status.failures.items())
            where = "in no figure" if report.answers is not None else "counted as unread and in no kappa"
            told.append(f"Failed, {where}: {count(run.status.failed)} items ({causes}).")
        if run.status.state == "failed" and run.status.why:
            told.append(f"The run was stopped: {run.status.why}.")
    if report.bad_rows:
        told.append(f"Rows that are no votes, left out: {count(len(report.bad_rows))}.")
    return (*told, *report.missing)


def _votes(report: Report) -> Iterator[tuple[Cell, Cell]]:
    if report.agreement is not None:
        unread = f", {count(report.agreement.unread)} of them could not be read" if report.agreement.unread else ""
        yield "votes", f"{count(report.votes)} about {count(report.items)} items{unread}"
        yield (
            "reference",
            "none"
            if report.reference is None
            else f"{report.reference}, on {count(report.agreement.reference_items)} items",
        )


def _run(run: "RunFacts", ways: int) -> Iterator[tuple[Cell, Cell]]:
    status = run.status
    yield "scenario", f"{status.scenario}: {run.about}" if run.about else status.scenario
    yield "state", status.state + (f": {status.why}" if status.why else "")
    still_open = f", {count(run.still_open)} open" if run.still_open else ""
    each = f" ({count(status.items // ways)} in {ways} ways)" if ways > 1 else ""
    yield "items", f"{count(status.items)}{each}: {count(status.done)} done, {count(status.failed)} failed{still_open}"
    if run.data is not None:
        yield "data", run.data
    if run.command is not None:
        yield "command", run.command
    yield "models", ", ".join(status.models) or NONE
    yield "calls", f"{count(status.calls)}, {count(status.calls_failed)} of them failed"
    yield "tokens", f"{count(status.input_tokens)} in, {count(status.output_tokens)} out"
    yield "cost", _money(run)
    if status.votes_wanted:
        yield (
            "votes spared",
            f"{count(status.votes_spared)} of {count(status.votes_wanted)}, {count(status.calls_spared)} calls",
        )
    if run.seed is not None:
        yield "seed", str(run.seed)
    times = f"{_moment(run.begun)} to {_moment(run.last)}"
    yield "played", times + (f", in {count(run.starts)} starts" if run.starts > 1 else "")


def _money(run: "RunFacts") -> Cell:
    if run.status.cost_usd is not None:
        return f"{run.status.cost_usd:.4f} usd"
    spends = run.status.spend["model"].values()
    known, unpriced = sum(spend.cost_usd for spend in spends), sum(spend.unpriced for spend in spends)
    return f"not known: {count(unpriced)} calls have no price" + (f"; the others {known:.4f} usd" if known else "")


def _moment(moment: "datetime | None") -> Cell:
    return NONE if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def spend(run: "RunFacts") -> Table:
    """Return what each model took."""
    rows = tuple(
        (
            model,
            count(spend.calls),
            count(spend.failed),
            count(spend.cached + spend.recorded),
            count(spend.input_tokens),
            count(spend.output_tokens),
            NONE if spend.unpriced else f"{spend.cost_usd:.4f}",
        )
        for model, spend in run.status.spend["model"].items()
    )
    columns = ("model", "calls", "failed", "not asked anew", "tokens in", "tokens out", "usd")
    notes = ("Not asked anew: answered by the cache, or recorded before.",)
    return Table("What each model took", columns, rows, notes=notes)

"""The plots of a report, by the section that they stand in."""

from collections.abc import Iterator, Sequence

from ...measures.agreed import RaterAgreement
from ...measures.estimate import Estimate
from ..report import Report
from .canvas import Plot
from .confusions import confusions
from .forest import Line, forest
from .frontier import frontiers
from .histograms import histograms
from .prices import prices
from .waves import waves

MOST = 24
"""Raters in a plot; the tables have all."""
MOST_GROUPS = 6


def plots(report: Report) -> dict[str, tuple[Plot, ...]]:
    """Return plots by the name of their section; none without figures to show."""
    return {
        "answers": tuple(_prices(report)),
        "agreement": (*_kappas(report), *_confusions(report)),
        "juries": tuple(_frontiers(report)),
        "debates": tuple(_waves(report)),
        "bias": tuple(_flips(report)),
        "scores": tuple(_histograms(report)),
    }


def _prices(report: Report) -> Iterator[Plot]:
    ways = [way for way in report.answers.ways if way.decision.n and way.calls] if report.answers is not None else []
    if len(ways) < 2:
        return
    shown = sorted(ways, key=lambda way: (not way.frontier, -(way.decision.accuracy or 0.0)))[:MOST]
    about = (
        "The share of questions that are answered rightly, with its 95 % interval, against model calls an item. The "
        f"line joins those that no other beats: {', '.join(way.name for way in shown if way.frontier)}."
        f"{_cut(len(ways), len(shown))}"
    )
    yield prices("prices", "Accuracy against calls", about, shown)


def _kappas(report: Report) -> Iterator[Plot]:
    raters = report.agreement.raters if report.agreement is not None else {}
    known = [name for name in report.raters if name in raters]
    lines = [line for name in known if (line := _kappa(name, raters[name])) is not None]
    total, lines = len(lines), sorted(lines, key=lambda line: -line.values[0])[:MOST]
    if not lines:
        return
    beside = list(_published(report))
    about = (
        f"Kappa with {report.reference} and its 95 % interval, the highest first: {lines[0].name} "
        f"{lines[0].values[0]:.3f}, down to {lines[-1].name} {lines[-1].values[0]:.3f}.{_cut(total, len(lines))}"
    )
    if beside and report.paper is not None:
        about += f" Hollow: what the paper published on {report.paper.dataset}, of its own models, one dot a model."
    title = f"Kappa with {report.reference}, and its 95 % interval"
    yield forest("kappas", title, about, [*lines, *beside], scale="kappa")


def _kappa(name: str, rater: RaterAgreement) -> Line | None:
    """Return a rater's kappa; that of a person with the others, where it is part of the reference itself."""
    if not rater.in_reference:
        return None if rater.kappa is None else Line(name, (rater.kappa,), rater.kappa_ci)
    if rater.kappa_others is None:
        return None
    return Line(f"{name}, with the other people", (rater.kappa_others,), rater.kappa_others_ci)


def _published(report: Report) -> Iterator[Line]:
    for place, way in enumerate(report.paper.ways if report.paper is not None else ()):
        rows = report.paper.rows if report.paper is not None else ()
        values = tuple(value for row in rows if (value := row.kappas[place]) is not None)
        yield Line(f"the paper's {len(values)} models: {way}", values, beside=True)


def _confusions(report: Report) -> Iterator[Plot]:
    raters = report.agreement.raters if report.agreement is not None else {}
    known = [name for name in report.raters if name in raters and raters[name].n]
    if known and report.reference is not None:
        chosen = _first(known)
        about = (
            f"A square for each rater: rows are what {report.reference} says, columns what the rater says, shades the "
            f"share of the row. What agrees lies on the diagonal.{_cut(len(known), len(chosen))}"
        )
        title = "Who says what where the reference says a, b or tie"
        yield confusions(
            "confusions", title, about, [(name, raters[name].confusion) for name in chosen], report.reference
        )


def _frontiers(report: Report) -> Iterator[Plot]:
    groups = [(group.name, group.juries) for group in report.groups if group.juries is not None]
    groups = [(name, found) for name, found in groups if found.frontier]
    if groups:
        shown = groups[:MOST_GROUPS]
        about = (
            "Every judge and jury a dot, the larger the more jurors. The dashed line joins those that no other beats "
            "in both cost and kappa, with 95 % intervals; numbers are jurors, as in the tables."
            f"{_cut(len(groups), len(shown))}"
        )
        yield frontiers("frontier", "Cost and kappa of juries", about, shown)


def _waves(report: Report) -> Iterator[Plot]:
    ways = () if report.debates is None else report.debates.ways
    known = [each for each in ways if each.waves > 1]
    if known:
        shown = known[:MOST_GROUPS]
        about = (
            "How many pairs of agents hold the same, and on how many items what most of them hold is right, each time "
            f"they are asked, with 95 % intervals.{_cut(len(known), len(shown))}"
        )
        panels = [(each.variant or f"{len(each.agents)} agents", each) for each in shown]
        yield waves("waves", "Agreement and accuracy, wave by wave", about, panels)


def _flips(report: Report) -> Iterator[Plot]:
    raters = report.bias.raters if report.bias is not None else {}
    positions = {name: raters[name].position for name in report.raters if name in raters}
    lines = _shares({name: each.flip_rate for name, each in positions.items()})
    if lines:
        about = "Of items judged in both orders, the share whose verdict changes with the order; 0 % is no bias."
        about += _cut(len(lines), MOST)
        yield forest("flips", "Verdicts that flip with the order", about, lines[:MOST], percent=True)
    lines = _shares({name: each.first.share for name, each in positions.items()})
    if lines:
        about = (
            "Of decided votes, the share that goes to the answer shown first. 50 % is no bias where every item was "
            f"shown both ways.{_cut(len(lines), MOST)}"
        )
        yield forest("first", "What is shown first wins", about, lines[:MOST], null=0.5, percent=True)


def _shares(estimates: dict[str, Estimate | None]) -> list[Line]:
    return [Line(name, (each.value,), each.ci) for name, each in estimates.items() if each is not None]


def _histograms(report: Report) -> Iterator[Plot]:
    scored = [name for name in report.raters if report.distributions[name].bars]
    if scored:
        chosen = _first(scored)
        about = f"How often each rater gave each score, as a share of its own.{_cut(len(scored), len(chosen))}"
        yield histograms(
            "histograms", "Scores in use", about, [(name, report.distributions[name].bars) for name in chosen]
        )


def _first(names: Sequence[str]) -> list[str]:
    return list(names[:MOST])


def _cut(total: int, shown: int) -> str:
    return f" Shown are {shown} of {total}; the tables have all." if shown < total else ""

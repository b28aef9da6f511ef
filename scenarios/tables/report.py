"""A report in sections: what a terminal shows of each, and what Markdown and a page do."""

from collections.abc import Iterator

from ..measures.agreed import Agreement
from ..measures.bias import Bias
from ..measures.distribution import Bar
from ..measures.estimate import Estimate
from ..report.report import Report
from . import contest, debating
from .accuracy import answer_tables
from .agreement import agreement_tables
from .bias import bias as bias_tables
from .jury import jury_tables
from .plugged import measured_tables
from .rank import rank_tables
from .run_facts import facts, spend
from .section import Section
from .table import NONE, Cell, Table, count, figure, interval, share, shares
from .winrate import win_rate_tables

CLASSES = ("a", "b", "tie")
SHOWN = 20
"""Raters that a terminal shows."""


def sections(report: Report) -> tuple[Section, ...]:
    """Return all that there is to show, in the order in which it is read; sections that would be empty are left out."""
    about = facts(report)
    found = [
        Section("facts", "What this is of", brief=(about,), tables=(about,)),
        *_answers(report),
        *_strategies(report),
        *_contest(report),
        *_paper(report),
        *_agreement(report),
        *_juries(report),
        *_debates(report),
        *_bias(report),
        *_models(report),
        *_scores(report),
        *_spend(report),
        *_plugins(report),
    ]
    return tuple(found)


def _plugins(report: Report) -> Iterator[Section]:
    tables = measured_tables(report.plugins)
    if tables:
        lead = ("Measures that plugins have brought; what they say is theirs.",)
        yield Section("plugins", "Measures of plugins", lead, tables, tables)


def _answers(report: Report) -> Iterator[Section]:
    if report.answers is not None and any(way.items for way in report.answers.ways):
        tables = answer_tables(report.answers)
        lead = (
            "How often the decision is the known answer, and what talking has changed in that.",
            "Intervals that overlap widely tell no two ways apart.",
        )
        yield Section("answers", "Questions answered", lead, tables, tables)


def _strategies(report: Report) -> Iterator[Section]:
    tables = contest.strategies(report)
    if tables:
        lead = (
            "Every model by every way of judging that was played, against the same reference.",
            "Intervals that overlap widely tell no two ways apart.",
        )
        counted = contest.counted(report)
        yield Section("strategies", "Ways of judging", lead, tables, (*tables, counted))


def _contest(report: Report) -> Iterator[Section]:
    tables = contest.contest(report)
    if tables:
        lead = (
            "The same model as a judge alone, in a jury, and as several agents.",
            "A difference whose interval has 0 in it is inside the noise.",
        )
        yield Section("contest", "Judge, jury, debate", lead, tables, tables)


def _paper(report: Report) -> Iterator[Section]:
    if report.paper is not None:
        table = contest.paper(report.paper)
        yield Section("paper", "What the paper found", (), (table,), (table,))


def _agreement(report: Report) -> Iterator[Section]:
    found = report.agreement
    if found is None:
        return
    tables = agreement_tables(found)
    held = bool(found.raters)
    confusion = (_confusion(found, report),) if held else ()
    lead = (
        "Kappa is agreement beyond chance: 0 is none, 1 is all.",
        "An interval says how far other items of the same sort could have moved it.",
    )
    brief = (_in_short(found, report),) if held else tables[:1]
    yield Section(
        "agreement",
        f"Agreement with {found.reference}" if held else "Agreement among raters",
        lead,
        brief,
        (tables[0], *confusion),
        tables[1:],
    )


def _in_short(found: Agreement, report: Report) -> Table:
    """Return raters against the reference in the few columns that a terminal has; those of verdicts first."""
    verdicts = {each.rater for each in report.played}
    ranked = sorted(
        found.raters.items(),
        key=lambda pair: (
            pair[1].in_reference,
            bool(verdicts) and pair[1].kind == "model" and pair[0] not in verdicts,
            2.0 if pair[1].kappa is None else -pair[1].kappa,
        ),
    )
    rows = tuple(
        (
            name,
            count(rater.n),
            count(rater.unread),
            figure(rater.kappa),
            interval(rater.kappa_ci),
            share(rater.accuracy),
            shares(rater.accuracy_ci),
        )
        for name, rater in ranked[:SHOWN]
    )
    more = (f"{count(len(ranked) - SHOWN)} raters more are in --json.",) if len(ranked) > SHOWN else ()
    inside = (
        ("People are part of the majority they are held against (`fellowship agreement` has them against the others).",)
        if any(rater.in_reference for _, rater in ranked[:SHOWN])
        else ()
    )
    return Table(
        f"Agreement with {found.reference}, {count(found.reference_items)} items",
        ("rater", "n", "unread", "kappa", "95 %", "agree", "95 %"),
        rows,
        notes=(*inside, *more),
    )


def _confusion(found: Agreement, report: Report) -> Table:
    rows = tuple(
        (name, *(count(cell) for cells in found.raters[name].confusion for cell in cells))
        for name in report.raters
        if name in found.raters
    )
    return Table(
        "What raters say where the reference says a, b or tie",
        ("rater", *(f"{said}: {rated}" for said in CLASSES for rated in CLASSES)),
        rows,
        notes=(f"a: b, for instance: {found.reference} says a and the rater b. Items on which both could be read.",),
    )


def _juries(report: Report) -> Iterator[Section]:
    reckoned = [group.juries for group in report.groups if group.juries is not None]
    if not reckoned:
        return
    summary = contest.groups(report)
    details = tuple(
        Table(
            f"{table.title} ({group.name})" if len(reckoned) > 1 else table.title,
            table.columns,
            table.rows,
            table.words,
            table.notes,
        )
        for group in report.groups
        if group.juries is not None
        for table in jury_tables(group.juries)
    )
    lead = (
        "Every jury that the stored votes allow, at no call.",
        "The best of many on the same items looks better than it is; out of bag is what to expect of new items.",
    )
    yield Section("juries", "Juries", lead, summary, summary, details)


def _debates(report: Report) -> Iterator[Section]:
    if report.debates is not None:
        lead = (
            "What agents hold when they are asked, and asked again after they have heard one another.",
            "Moves to what somebody said are moves after it: no figure here tells cause.",
        )
        tables = debating.in_short(report.debates)
        yield Section("debates", "Debates", lead, tables, tables, debating.further_tables(report.debates))


def _bias(report: Report) -> Iterator[Section]:
    if report.bias is None:
        return
    tables = bias_tables(report.bias)
    lead = (
        "What sways a rater beside the answers.",
        "An interval that leaves no bias out is marked; one in twenty is by chance.",
    )
    short = _swayed(report.bias, report)
    yield Section("bias", "Bias", lead, (short,) if short.rows else (), tables[:1], tables[1:])


def _swayed(found: Bias, report: Report) -> Table:
    """Return the three figures of bias that matter most, in the few columns that a terminal has."""
    rows = tuple(
        (
            name,
            _estimated(rater.position.flip_rate),
            _estimated(rater.position.first.share),
            _estimated(rater.length.more.share),
        )
        for name in report.raters
        if (rater := found.raters[name]).kind == "model"
        and any((rater.position.flip_rate, rater.position.first.share, rater.length.more.share))
    )
    return Table(
        "Place and length",
        ("rater", "flips", "first shown wins", "longer wins"),
        rows[:SHOWN],
        notes=(
            "Flips: of items judged in both orders; 0 % is no bias. First shown, longer: of decided votes.",
            "The longer answer may be the better one; `fellowship bias` has what goes beyond the reference.",
            *((f"{count(len(rows) - SHOWN)} raters more are in --json.",) if len(rows) > SHOWN else ()),
        ),
    )


def _estimated(estimate: Estimate | None) -> Cell:
    return NONE if estimate is None else f"{share(estimate.value)} {shares(estimate.ci)}"


def _models(report: Report) -> Iterator[Section]:
    """Return how the models that wrote the answers compare."""
    if not report.win_rates:
        return
    first, *others = (win_rate_tables(found) for found in report.win_rates)
    ranked = () if report.ranking is None else rank_tables(report.ranking)
    folded = (*first[1:], *(table for tables in others for table in tables), *ranked[1:])
    lead = (
        "Of the models that wrote the answers, by the votes that are named; a tie is no win.",
        "What sways raters, sways these figures.",
    )
    yield Section("models", "Models compared", lead, (first[0], *ranked[:1]), (first[0], *ranked[:1]), folded)


def _scores(report: Report) -> Iterator[Section]:
    rows = tuple(
        (
            name,
            *(count(told.verdicts[verdict]) for verdict in (*CLASSES, "unread")),
            count(told.scores),
            ", ".join(f"{_named(bar)}: {count(bar.count)}" for bar in told.bars if bar.count) or NONE,
        )
        for name in report.raters
        if (told := report.distributions[name])
    )
    if rows:
        table = Table(
            "What raters say, and how often",
            ("rater", "a", "b", "tie", "unread", "scores", "score: how often"),
            rows,
            notes=("Votes, both orders counted; two scores a vote.",),
        )
        yield Section("scores", "Verdicts and scores", (), (), (table,))


def _named(bar: Bar) -> Cell:
    return f"{bar.low:g}" if bar.low == bar.high else f"{bar.low:g} to {bar.high:g}"


def _spend(report: Report) -> Iterator[Section]:
    if report.run is not None and report.run.status.spend["model"]:
        table = spend(report.run)
        yield Section("spend", "What it took", (), (), (table,))

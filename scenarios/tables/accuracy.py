"""Questions with a known answer as tables: ways to answer them side by side, agents, and before against after."""

from ..measures.accuracy import Accuracy, Answering, Solving
from ..measures.estimate import Estimate
from .table import NONE, Cell, Table, count, figure, share, shares


def answer_tables(found: Answering) -> tuple[Table, ...]:
    """Return all tables: ways first, then what talking has changed, then agents; none that would be empty."""
    return tuple(table for table in (_ways(found), _changes(found), _agents(found)) if table.rows)


def _accuracy(found: Accuracy) -> tuple[Cell, Cell]:
    return share(found.accuracy), shares(found.accuracy_ci)


def _mean(found: Estimate | None) -> Cell:
    if found is None:
        return NONE
    places = 1 if found.value < 1000 else 0
    value = f"{found.value:,.{places}f}"
    if found.ci is None or found.ci[0] == found.ci[1]:
        return value
    return f"{value} [{found.ci[0]:,.{places}f}, {found.ci[1]:,.{places}f}]"


def _ways(found: Answering) -> Table:
    several = len(found.ways) > 1
    rows = tuple(
        (
            way.name,
            count(way.decision.n),
            count(way.decision.correct),
            *_accuracy(way.decision),
            count(way.split),
            count(way.unread),
            _mean(way.calls),
            _mean(way.tokens),
            *(("*" if way.frontier else "",) if several else ()),
        )
        for way in found.ways
    )
    notes = [f"right: {found.methods['accuracy']}.", f"calls, tokens: {found.methods['calls']}."]
    if several:
        notes.append(f"best *: {found.methods['frontier']}.")
    notes += [
        f"{way.name}: without a known answer, in no share: {count(way.unknown)}." for way in found.ways if way.unknown
    ]
    notes += [f"{way.name}: failed, in no figure: {count(way.failed)}." for way in found.ways if way.failed]
    columns = ("way", "n", "right", "share", "95 %", "split", "unread", "calls an item", "tokens an item")
    return Table("Answers", (*columns, *(("best",) if several else ())), rows, notes=tuple(notes))


def _changes(found: Answering) -> Table:
    rows = tuple(_change(way) for way in found.ways if way.change is not None)
    notes = (
        f"before: {found.methods['before']}.",
        "after: the decision. rescued: wrong before, right after. lost: right before, wrong after.",
        f"difference: {found.methods['difference_ci']}. p: {found.methods['p']}"
        + ("; adjusted for all ways (Holm)." if len(rows) > 1 else "."),
    )
    columns = ("way", "n", "before", "95 %", "after", "95 %", "rescued", "lost", "difference", "95 %", "p")
    return Table("Before and after", columns, rows, notes=notes)


def _change(way: Solving) -> tuple[Cell, ...]:
    change = way.change
    if change is None:
        return ()
    test = change.test
    return (
        way.name,
        count(test.n),
        *_accuracy(change.before),
        *_accuracy(change.after),
        count(change.rescued),
        count(change.lost),
        share(test.difference),
        shares(test.difference_ci),
        figure(test.p_holm),
    )


def _agents(found: Answering) -> Table:
    rows = tuple(
        (
            *((way.name,) if len(found.ways) > 1 else ()),
            agent,
            count(each.first.n),
            *_accuracy(each.first),
            *_accuracy(each.last),
            f"{count(each.first_unread)}, {count(each.last_unread)}",
        )
        for way in found.ways
        for agent, each in way.agents.items()
    )
    words = ("way", "agent") if len(found.ways) > 1 else ("agent",)
    notes = (
        "Of questions whose answer is known; an answer that could not be read is not right (unread: first, last).",
    )
    columns = (*words, "n", "first answer right", "95 %", "last answer right", "95 %", "unread")
    return Table("Agents: first answers and last", columns, rows, words=len(words), notes=notes)

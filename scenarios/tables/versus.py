"""Pipelines against their opponents as a table, like the paper's of its feedback loops."""

from collections.abc import Sequence

from ..measures.confusion import Interval
from ..measures.versus import Match, PublishedRate, Versus
from ..reproduction.published import PAPER
from .table import NONE, Cell, Table, count
from .winrate import rivals

HALF = "tie as half"


def versus_tables(found: Versus) -> tuple[Table, ...]:
    """Return the win rates, what each rests on, the tests between pipelines and, where wanted, the published table."""
    tables = [_rates(found), _votes(found)]
    if found.rivals:
        tables.append(rivals(found.rivals))
    if found.published:
        tables.append(_published(found.published))
    return tuple(tables)


def _percent(rate: float | None, bounds: Interval | None) -> Cell:
    """Return a rate in percent with its interval, as in `47.8 [43.4, 52.2]`."""
    if rate is None:
        return NONE
    return f"{100 * rate:.1f}" + ("" if bounds is None else f" [{100 * bounds[0]:.1f}, {100 * bounds[1]:.1f}]")


def _rates(found: Versus) -> Table:
    matches = {(match.model, match.opponent): match for match in found.matches}
    rows: list[tuple[Cell, ...]] = []
    for model in found.pipelines:
        cells: list[Cell] = [model]
        for opponent in found.opponents:
            match = matches.get((model, opponent))
            cells += ("", "") if match is None else _cells(match)
        rows.append(tuple(cells))
    columns = ("", *(title for opponent in found.opponents for title in (f"against {opponent}", HALF)))
    return Table(_title(found), columns, tuple(rows), notes=_notes(found))


def _title(found: Versus) -> str:
    who = found.rater or ", ".join(found.raters)
    return f"Win rates, in percent, with 95 % intervals: judged by {who} ({', '.join(found.models)})"


def _cells(match: Match) -> tuple[Cell, Cell]:
    return (
        _percent(match.win_rate, match.win_rate_ci),
        _percent(match.win_rate_ties_half, match.win_rate_ties_half_ci),
    )


def _notes(found: Versus) -> tuple[str, ...]:
    orders: dict[tuple[str, ...], str] = {
        ("ab", "ba"): "every pair was shown both ways round; where the two verdicts differ, it is a tie",
        ("ab",): "the row's answer was always shown first: what a judge leans to by place is in the figures",
        ("ba",): "the row's answer was always shown second: what a judge leans to by place is in the figures",
    }
    told = [f"win rate = {found.methods['win_rate']}", orders.get(found.orders, "")]
    rated = ("win_rate", "win_rate_ties_half", "p", "p_holm", "difference_ci", "rivals")
    told += [f"{name}: {words}" for name, words in found.methods.items() if name not in rated]
    if any(match.n and match.win_rate_ties_half_ci is None for match in found.matches):
        told.append("no interval where every verdict is a tie: that says nothing of how sure it is")
    return (*filter(None, told), *found.notes, *found.problems)


def _votes(found: Versus) -> Table:
    rows = tuple(
        (
            match.model,
            match.opponent,
            f"{count(match.wins)}/{count(match.ties)}/{count(match.losses)}",
            count(match.n),
            count(match.unread),
            count(match.open),
            count(match.orders_differ),
            count(match.identical),
            count(sum(left.items for left in match.left_out)),
        )
        for match in found.matches
    )
    columns = ("", "against", "win/tie/loss", "n", "unread", "open", "orders differ", "identical", "left out")
    notes = [
        "orders differ: a judge who was shown a pair both ways round said something else the second time",
        "identical: two answers that are the same, word for word; they are judged like others",
    ]
    notes += [f"left out: {line}" for line in found.left_out]
    return Table("What they rest on", columns, rows, words=2, notes=tuple(notes))


def _published(published: Sequence[PublishedRate]) -> Table:
    rates = {(each.model, each.opponent): each for each in published}
    opponents = tuple(dict.fromkeys(each.opponent for each in published))
    rows: list[tuple[Cell, ...]] = []
    for model in dict.fromkeys(each.model for each in published):
        cells = [rates.get((model, opponent)) for opponent in opponents]
        rows.append((model, *("" if each is None else _percent(each.win_rate, each.win_rate_ci) for each in cells)))
    told = (
        f"{PAPER}; {published[0].n} prompts, judged by GPT-4o with the row's answer always first, a loop's answer "
        "being the pick of a knock-out whose second step is inverted; a tie is no win; 95 % intervals are Wilson's"
    )
    columns = ("", *(f"against {opponent}" for opponent in opponents))
    return Table("As published, with other models: table 7", columns, tuple(rows), notes=(told,))

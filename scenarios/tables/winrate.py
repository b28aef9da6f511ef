"""Win rates as tables."""

from collections.abc import Mapping, Sequence

from ..measures.judges import Judges
from ..measures.paired import Paired
from ..measures.rivals import Rivals
from ..measures.winrate import RATES, Pair, Rate, Standing, WinRates
from .table import NONE, Cell, Table, count, figure, share, shares

FEW = 12
"""Pairs that are shown one by one, both directions counted; more are shown as a matrix."""
LONGEST = 20
"""Rows of a list of comparisons or raters."""
RATE_COLUMNS = ("win/tie/loss", "n", "unread", "win rate", "95 %", "tie as half", "95 %")
ALL_SHOWN = "the rest is in --json"


def win_rate_tables(found: WinRates) -> tuple[Table, ...]:
    """Return all that a terminal shows of win rates."""
    few = len(found.pairs) <= FEW
    tables = [_pairs(found)] if few else [_models(found), _matrix(found)]
    tables += _controlled(found, few=few)
    if found.raters:
        tables.append(_raters_by_pair(found) if len(found.pairs) == 2 else _raters_by_model(found))
    if found.rivals:
        tables.append(rivals(found.rivals))
    if found.reference is not None:
        tables.append(_judges(found.reference, found.judges))
    last = tables[-1]
    tables[-1] = Table(last.title, last.columns, last.rows, last.words, (*last.notes, *found.notes, *found.problems))
    return tuple(tables)


def _whose(found: WinRates) -> str:
    if found.rater is not None:
        return f"votes of {found.rater}"
    return f"votes of {len(found.raters)} raters together" if found.raters else "all votes"


def _rate(rate: Rate) -> tuple[Cell, ...]:
    return (
        f"{count(rate.wins)}/{count(rate.ties)}/{count(rate.losses)}",
        count(rate.n),
        count(rate.unread),
        share(rate.win_rate),
        shares(rate.win_rate_ci),
        share(rate.win_rate_ties_half),
        shares(rate.win_rate_ties_half_ci),
    )


def _methods(found: WinRates, rates: Sequence[Rate]) -> tuple[str, ...]:
    """Return how the rates and their intervals were found, each method once."""
    names = [name for rate in rates for name in (rate.win_rate_method, rate.win_rate_ties_half_method) if name]
    told = [f"{name}: {found.methods[name]}" for name in dict.fromkeys(names)]
    return (f"win rate = {RATES[found.tie_policy]}", *told)


def _pairs(found: WinRates) -> Table:
    rows = tuple((pair.model, pair.opponent, *_rate(pair)) for pair in found.pairs)
    columns = ("model", "against", *RATE_COLUMNS)
    return Table(f"Win rates: {_whose(found)}", columns, rows, words=2, notes=_methods(found, found.pairs))


def _models(found: WinRates) -> Table:
    rows = tuple((rate.model, *_rate(rate)) for rate in _strongest_first(found))
    title = f"Win rates against all opponents met: {_whose(found)}"
    notes = (
        *_methods(found, found.models),
        "who met stronger opponents has a lower one: `fellowship rank` allows for it",
    )
    return Table(title, ("model", *RATE_COLUMNS), rows, notes=notes)


def _strongest_first(found: WinRates) -> list[Rate]:
    return sorted(found.models, key=lambda rate: -(rate.win_rate_ties_half or 0.0))


def _percent(rate: float | None) -> Cell:
    return NONE if rate is None else f"{100 * rate:.0f}"


def _matrix(found: WinRates) -> Table:
    names = [rate.model for rate in _strongest_first(found)]
    rates = {(pair.model, pair.opponent): pair.win_rate for pair in found.pairs}
    rows = tuple(
        (f"{number}", name, *(_percent(rates.get((name, opponent))) for opponent in names))
        for number, name in enumerate(names, 1)
    )
    columns = ("", "model", *(f"{number}" for number in range(1, len(names) + 1)))
    notes = ("row against column; votes and intervals of each pair are in --json",)
    return Table("Win rate of every pair, in percent", columns, rows, words=2, notes=notes)


def _controlled(found: WinRates, *, few: bool) -> list[Table]:
    """Return the length-controlled win rates: of every two models once."""
    order = {rate.model: place for place, rate in enumerate(_strongest_first(found))}
    pairs = [pair for pair in found.pairs if order[pair.model] < order[pair.opponent]]
    if all(pair.length_controlled is None or not pair.length_controlled.n for pair in pairs):
        return []
    pairs.sort(key=lambda pair: (order[pair.model], order[pair.opponent]))
    shown = pairs if few else pairs[:LONGEST]
    columns = ("model", "against", "n", "length", "its length", "tie as half", "at equal length", "95 %", "pull")
    notes = ["length: mean characters; pull: of length, above 0 where the longer answer is preferred"]
    controlled = [(pair, pair.length_controlled) for pair in shown if pair.length_controlled is not None]
    notes += [
        f"{pair.model} against {pair.opponent}: {lengths.reason}" for pair, lengths in controlled if lengths.reason
    ]
    if len(shown) < len(pairs):
        notes.append(f"{len(shown)} of {len(pairs)} pairs; {ALL_SHOWN}")
    notes.append(found.methods["length_controlled"])
    rows = tuple((pair.model, pair.opponent, *_at_equal_length(pair)) for pair in shown)
    return [Table("Length-controlled win rates", columns, rows, words=2, notes=tuple(notes))]


def _at_equal_length(pair: Pair) -> tuple[Cell, ...]:
    lengths = pair.length_controlled
    if lengths is None:
        return (NONE,) * 7
    return (
        count(lengths.n),
        figure(lengths.length, 0),
        figure(lengths.length_opponent, 0),
        share(lengths.raw),
        share(lengths.win_rate),
        shares(lengths.win_rate_ci),
        figure(lengths.weight, 2),
    )


def _most_votes_first(raters: Mapping[str, Standing]) -> list[tuple[str, Standing]]:
    return sorted(raters.items(), key=lambda entry: -sum(pair.n for pair in entry[1].pairs))


def _cut(shown: int, of: int) -> tuple[str, ...]:
    return (f"{shown} of {of} raters, those with most votes; {ALL_SHOWN}",) if shown < of else ()


def _raters_by_pair(found: WinRates) -> Table:
    """Return each rater's figures of the one pair of models there is."""
    model, opponent = found.pairs[0].model, found.pairs[0].opponent
    raters = _most_votes_first(found.raters)[:LONGEST]
    rows = tuple(
        (name, *_rate(pair)) for name, standing in raters for pair in standing.pairs if pair.model == model
    )  # fmt: skip
    shown = [pair for _, standing in raters for pair in standing.pairs if pair.model == model]
    notes = (*_methods(found, shown)[1:], *_cut(len(raters), len(found.raters)))
    return Table(f"{model} against {opponent}, by rater", ("rater", *RATE_COLUMNS), rows, notes=notes)


def _raters_by_model(found: WinRates) -> Table:
    names = [rate.model for rate in _strongest_first(found)]
    raters = _most_votes_first(found.raters)[:LONGEST]
    rows: list[tuple[Cell, ...]] = []
    for name, standing in raters:
        rates = {rate.model: rate.win_rate for rate in standing.models}
        votes = sum(rate.n for rate in standing.models) // 2
        rows.append((name, count(votes), *(_percent(rates.get(model)) for model in names)))
    numbers = tuple(f"{number}" for number in range(1, len(names) + 1))
    legend = ", ".join(f"{number} {name}" for number, name in zip(numbers, names, strict=True))
    notes = (legend, "intervals are in --json", *_cut(len(raters), len(found.raters)))
    title = "Win rates against all opponents, by rater, in percent"
    return Table(title, ("rater", "n", *numbers), tuple(rows), notes=notes)


PAIRED_COLUMNS = ("n", "both/1st/2nd/none", "difference", "95 %", "p", "p (Holm)")


def _paired(pair: Paired) -> tuple[Cell, ...]:
    low, high = pair.difference_ci
    return (
        count(pair.n),
        f"{pair.both}/{pair.only_first}/{pair.only_second}/{pair.neither}",
        f"{100 * pair.difference:+.1f}",
        f"[{100 * low:+.1f}, {100 * high:+.1f}]",
        _p(pair.p),
        _p(pair.p_holm),
    )


def _p(value: float) -> Cell:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004 - the least that is shown


def _paired_notes(shown: int, of: int, what: str) -> tuple[str, ...]:
    told = (
        "both/1st/2nd/none: for both, for the first alone, for the second alone, for neither; difference: first minus "
        "second, in points of percent, 95 % by Agresti and Min 2005; p: McNemar, exact"
    )
    notes = (told,)
    return (*notes, f"the {shown} of {of} {what} with the lowest p; {ALL_SHOWN}") if shown < of else notes


def rivals(found: Sequence[Rivals]) -> Table:
    """Return two models against the same opponent, those with the lowest p first."""
    shown = sorted(found, key=lambda pair: pair.p)[:LONGEST]
    rows = tuple((pair.first, pair.second, pair.opponent, *_paired(pair)) for pair in shown)
    columns = ("first", "second", "against", *PAIRED_COLUMNS)
    notes = _paired_notes(len(shown), len(found), "comparisons")
    title = "Two models against the same opponent: prompts that each wins (a tie is no win)"
    return Table(title, columns, rows, words=3, notes=notes)


def _judges(reference: str, found: Sequence[Judges]) -> Table:
    shown = sorted(found, key=lambda pair: pair.p)[:LONGEST]
    rows = tuple((pair.first, pair.second, *_paired(pair), count(pair.left_out)) for pair in shown)
    columns = ("first", "second", *PAIRED_COLUMNS, "left out")
    notes = _paired_notes(len(shown), len(found), "pairs of raters")
    notes += ("left out: items with a reference that either has not read or not voted on",)
    return Table(f"Two raters against {reference}: items on which each is right", columns, rows, words=2, notes=notes)

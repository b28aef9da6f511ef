"""What debates come to, as people read it."""

from collections.abc import Iterator, Mapping

from ..measures.converging import Converged, Diversity
from ..measures.debating import ONE_WAVE, Debates, Debating
from ..measures.estimate import Estimate
from ..measures.recovering import BeforeAfter, Recovered
from ..measures.swaying import Changed, Moved, Swayed
from .table import NONE, Cell, Table, count, figure, interval, share, shares

MATRIX = 6
"""Agents of whom a matrix can be read."""
PAIRS = 20
"""Rows of who moved whom."""
NAMED = 8
"""Items that are named."""
CONFORMITY = {
    "capitulated": "in the minority, heard the majority: took up its opinion",
    "unprompted": "in the minority, heard nobody of the majority: took it up",
    "converted": "in the majority, heard the minority: took up an opinion of it",
    "right_to_wrong": "of the minority that was right: took up the majority's",
    "wrong_to_right": "of the minority that was wrong, the majority right: took it up",
}


def in_short(found: Debates) -> tuple[Table, ...]:
    """Return what a terminal shows: wave by wave, or, of several ways, a row each."""
    if len(found.ways) > 1:
        return (_ways(found),)
    way = next(iter(found.ways))
    tables = [_waves(way, "")]
    if way.recovered is not None and way.waves > 1:
        tables.append(_before_after(way.recovered, ""))
    if way.swayed is not None:
        tables.append(_conformity(way.swayed, ""))
    return tuple(tables)


def further_tables(found: Debates) -> tuple[Table, ...]:
    """Return all else, way by way."""
    shown = {table.title for table in in_short(found)}
    every = (table for way in found.ways for table in _tables(way, _of(way) if len(found.ways) > 1 else ""))
    return tuple(table for table in every if table.title not in shown)


def _of(way: Debating) -> str:
    """Return what is said of a way in the titles of its tables."""
    return f" - {_name(way)}"


def _name(way: Debating) -> str:
    return f"{way.variant} ({way.sort}s)" if way.variant else f"{way.sort}s"


def _tables(way: Debating, of: str) -> Iterator[Table]:
    yield _waves(way, of)
    yield _diversity(way, of)
    if way.recovered is not None and way.waves > 1:
        yield _before_after(way.recovered, of)
    if way.swayed is not None:
        yield _conformity(way.swayed, of)
        yield from _moved(way.swayed, way.agents, of)
        yield _by_agent(way.swayed.by_agent, of)
    if way.waves > 1:
        yield _consensus(way, of)
    if way.converged.wording:
        yield _wording(way.converged, of)


def _estimate(found: Estimate | None) -> tuple[Cell, Cell]:
    return (NONE, NONE) if found is None else (share(found.value), shares(found.ci))


def _ways(found: Debates) -> Table:
    rows = tuple(
        (
            _name(way),
            count(way.items),
            count(way.waves),
            _between(way.converged.waves),
            *_estimate(way.swayed.changed.share if way.swayed else None),
            *_helped(way.recovered.plurality if way.recovered else None),
        )
        for way in found.ways
    )
    notes = [
        (
            "agreement: of pairs of agents, in the first wave and in the last. changed: of opinions. "
            "right: what most agents hold, in an item's first wave and its last. p: McNemar's, adjusted by Holm."
        ),
    ]
    if any(way.waves == 1 for way in found.ways):
        notes.append(f"Of ways with one wave: {ONE_WAVE}")
    columns = ("way", "items", "waves", "agreement", "changed", "95 %", "right", "after less before", "p")
    return Table("Debates", columns, rows, notes=tuple(notes))


def _between(waves: Mapping[int, Diversity]) -> Cell:
    known = [each.agreement.value for each in waves.values() if each.agreement is not None]
    if not known:
        return NONE
    return share(known[0]) if len(known) == 1 else f"{share(known[0])} → {share(known[-1])}"


def _helped(found: BeforeAfter | None) -> tuple[Cell, Cell, Cell]:
    if found is None or found.before is None or found.after is None:
        return NONE, NONE, NONE
    right = f"{share(found.before.value)} → {share(found.after.value)}"
    return right, f"{share(found.difference)} {shares(found.difference_ci)}", figure(found.p_holm)


def _waves(way: Debating, of: str) -> Table:
    right = {} if way.recovered is None else way.recovered.waves
    changed = {} if way.swayed is None else way.swayed.by_wave
    rows = tuple(
        (
            f"{way.sort} {number}",
            count(each.items),
            count(each.unread),
            *_estimate(each.agreement),
            *_estimate(changed[number].share if number in changed else None),
            *_estimate(right[number].plurality if number in right else None),
        )
        for number, each in way.converged.waves.items()
    )
    notes = (
        (
            f"agree: mean share of pairs of agents who hold the same. changed: of opinions, from the same agent's "
            f"{way.sort} before. right: what most agents hold, of items whose truth is known."
        ),
        way.why or "Later waves may be of fewer items, and of harder ones, where debates end early.",
        *_left_out(way),
    )
    columns = ("wave", "items", "unread", "agree", "95 %", "changed", "95 %", "right", "95 %")
    return Table(f"Wave by wave{of}", columns, rows, notes=notes)


def _left_out(way: Debating) -> Iterator[str]:
    if way.failed:
        yield f"Failed, and in no figure: {count(way.failed)} items."
    if way.beside:
        yield (
            f"In no wave: {count(way.beside)} opinions of agents who were asked once, over what two or more others had "
            "come to."
        )
    if way.of_parts:
        yield f"In no wave: {count(way.of_parts)} opinions asked for inside an `each`: they are of different things."


def _diversity(way: Debating, of: str) -> Table:
    rows = tuple(
        (
            f"{way.sort} {number}",
            figure(None if each.entropy is None else each.entropy.value),
            interval(None if each.entropy is None else each.entropy.ci),
            figure(None if each.distinct is None else each.distinct.value, 2),
            interval(None if each.distinct is None else each.distinct.ci, 2),
            *_estimate(each.unanimous),
            figure(None if each.among is None else each.among.alpha),
            interval(None if each.among is None else each.among.alpha_ci),
            figure(None if each.among is None else each.among.fleiss),
            figure(None if each.confidence is None else each.confidence.value, 2),
        )
        for number, each in way.converged.waves.items()
    )
    columns = (
        *("wave", "entropy", "95 %", "different", "95 %", "unanimous", "95 %", "alpha", "95 %", "Fleiss", "confidence"),
    )
    note = (
        "entropy: of opinions on an item, as a share of the greatest possible; different: how many opinions there are; "
        "both are means over items. alpha: Krippendorff's, nominal."
    )
    return Table(f"Diversity of opinions{of}", columns, rows, notes=(note,))


def _before_after(found: Recovered, of: str) -> Table:
    rows = (
        ("what most hold", *_compared(found.plurality)),
        *((agent, *_compared(each)) for agent, each in found.agents.items()),
    )
    notes = [
        (
            "Of items whose truth is known and that have two waves or more: what people's majority says, or the known "
            "answer. rescued: wrong in the first wave, right in the last. lost: the other way round. p: McNemar's "
            "exact test; of agents adjusted by Holm."
        ),
    ]
    for word, items in (("Rescued", found.rescued), ("Lost", found.lost)):
        if items:
            more = f" and {count(len(items) - NAMED)} more (--json)" if len(items) > NAMED else ""
            notes.append(f"{word}: {', '.join(items[:NAMED])}{more}.")
    columns = ("right", "n", "before", "after", "difference", "95 %", "rescued", "lost", "p")
    return Table(f"Right before and after{of}", columns, rows, notes=tuple(notes))


def _compared(found: BeforeAfter) -> tuple[Cell, ...]:
    return (
        count(found.n),
        share(None if found.before is None else found.before.value),
        share(None if found.after is None else found.after.value),
        share(found.difference),
        shares(found.difference_ci),
        count(found.rescued),
        count(found.lost),
        figure(found.p_holm),
    )


def _conformity(found: Swayed, of: str) -> Table:
    shares_of: dict[str, Estimate | None] = {
        words: getattr(found.conformity, name) for name, words in CONFORMITY.items()
    }
    shares_of["was right, is wrong the next time"] = found.harmed
    shares_of["was wrong, is right the next time"] = found.helped
    rows = tuple((words, count(0 if each is None else each.n), *_estimate(each)) for words, each in shares_of.items())
    note = (
        "A majority is more than half of the opinions of a wave that could be read; having heard is having been told "
        "something said by one of them since one's own opinion before."
    )
    return Table(f"To the majority, and away from the truth{of}", ("", "n", "share", "95 %"), rows, notes=(note,))


def _moved(found: Swayed, agents: tuple[str, ...], of: str) -> Iterator[Table]:
    if not found.moved:
        return
    note = (
        "Of times at which the two differed and the listener then heard the speaker: how often the listener came to "
        "hold what the speaker held. Others whom it heard may have said the same: no figure here tells cause."
    )
    names = [agent for agent in agents if any(agent in (each.speaker, each.listener) for each in found.moved)]
    if 1 < len(names) <= MATRIX:
        cells = {(each.speaker, each.listener): f"{each.toward} of {each.differed}" for each in found.moved}
        rows = tuple((name, *(cells.get((name, other), NONE) for other in names)) for name in names)
        yield Table(f"Who moved whom{of}", ("speaker, then listeners", *names), rows, notes=(note,))
    rows = tuple(_pair(each) for each in found.moved[:PAIRS])
    more = len(found.moved) - PAIRS
    notes = (
        (
            "toward, elsewhere: where the two had differed. away: where they had agreed. net: toward less away. "
            "followed: toward, of differed."
        ),
        *((f"{count(more)} pairs more are in --json.",) if more > 0 else ()),
    )
    columns = ("speaker", "listener", "differed", "toward", "elsewhere", "agreed", "away", "net", "followed", "95 %")
    yield Table(f"Who moved whom, pair by pair{of}", columns, rows, words=2, notes=notes)


def _pair(each: Moved) -> tuple[Cell, ...]:
    numbers = (each.differed, each.toward, each.elsewhere, each.agreed, each.away)
    return each.speaker, each.listener, *map(count, numbers), f"{each.net:+d}", *_estimate(each.followed)


def _by_agent(found: Mapping[str, Changed], of: str) -> Table:
    rows = tuple(
        (
            agent,
            count(0 if each.share is None else each.share.n),
            count(each.unread),
            *_estimate(each.share),
            figure(None if each.swing is None else each.swing.value, 2),
            interval(None if each.swing is None else each.swing.ci, 2),
        )
        for agent, each in found.items()
    )
    note = "swing: mean of how far the difference of the two scores moved, in points."
    columns = ("agent", "n", "unread", "changed", "95 %", "swing", "95 %")
    return Table(f"Opinions changed, by agent{of}", columns, rows, notes=(note,))


def _consensus(way: Debating, of: str) -> Table:
    found = way.converged.consensus
    items = max(found.items, 1)
    rows = (
        *((f"in wave {wave}", count(number), share(number / items), NONE) for wave, number in found.reached.items()),
        ("never", count(found.items - sum(found.reached.values())), *_estimate(found.never)),
        ("given up again", count(0 if found.broken is None else found.broken.n), *_estimate(found.broken)),
    )
    mean = found.waves
    notes = (
        (
            "All whose opinion could be read, two or more, hold the same for the first time. given up again: of "
            "items with a wave after it."
        ),
        *(() if mean is None else (f"Mean, where it came about: {mean.value:.2f} waves {interval(mean.ci, 2)}.",)),
    )
    return Table(f"Waves until consensus{of}", ("consensus", "items", "share", "95 %"), rows, notes=notes)


def _wording(found: Converged, of: str) -> Table:
    rows = tuple(
        (
            str(number),
            count(each.texts),
            figure(None if each.distance is None else each.distance.value),
            interval(None if each.distance is None else each.distance.ci),
        )
        for number, each in found.wording.items()
    )
    note = "1 less the share of runs of five words that two texts of a round have in common: 0 is the same text."
    return Table(
        f"How different the words of a round are{of}", ("round", "texts", "distance", "95 %"), rows, notes=(note,)
    )

"""How those who judge have judged: what they chose, how far they agree, how they score."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from aiohttp import web

from ...traces.index import Index
from ...traces.judged import Compared, Judged, Pair, Scores, Voter
from ..matrices import Matrix, matrix
from ..rendering import address, page
from ..runs import Viewed, viewed

MOST = 60
"""Voters, and scorers, that are shown one by one; of pairs, as many again."""
LIVE = 5_000
"""Votes up to which the page keeps up with a run that goes on by itself."""
VERDICTS = ("a", "b", "tie")
WIDTH, HEIGHT = 220, 56
"""Of a histogram's bars, in its own units."""


@dataclass(frozen=True, slots=True)
class Rect:
    """A bar of a histogram, in its own units, from the upper left."""

    x: float
    y: float
    width: float
    height: float
    told: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """A distribution of scores, drawn."""

    of: str
    """`a`, `b` or `drafts`."""
    told: str
    bars: tuple[Rect, ...]
    scale: int
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class Agreeing:
    """A row of the table of agreement."""

    one: str
    other: str
    compared: Compared


@dataclass(frozen=True, slots=True)
class Shown:
    """A voter, with what is drawn of it."""

    voter: Voter
    name: str
    matrices: tuple[tuple[str, Matrix], ...]
    """Each with whom it is compared with."""
    histograms: tuple[Histogram, ...]


_FOUND: WeakKeyDictionary[Viewed, tuple[int, Judged]] = WeakKeyDictionary()


async def judges(request: web.Request) -> web.Response:
    """Return how the judges of a run have judged."""
    run = viewed(request)
    found = await _judged(run)
    parts = [
        ("items", "On the candidates", found.voters, [*_with(found.voters), *_pairs(found.pairs)]),
        ("drafts", "On drafts", found.on_drafts, [*_with(found.on_drafts), *_pairs(found.draft_pairs)]),
    ]
    return page(
        "judges.html",
        run=run,
        here="Judges",
        parts=[
            (name, title, voters, rows, tuple(_shown(run, voters[:MOST])))
            for name, title, voters, rows in parts
            if voters
        ],
        scorers=[
            (each, named(each.judge, each.variant), _histogram("drafts", each.scores)) for each in found.scorers[:MOST]
        ],
        more_scorers=max(0, len(found.scorers) - MOST),
        named=named,
        most=MOST,
        live=sum(voter.votes for voter in (*found.voters, *found.on_drafts)) <= LIVE,
    )


def named(voter: str, variant: str) -> str:
    """Return what a voter is called: of a sweep, with the variant."""
    return f"{variant}: {voter}" if variant else voter


async def _judged(run: Viewed) -> Judged:
    """Return what was found; found anew where more was taken in."""
    taken_in = await run.ask(lambda index: index.taken_in)
    kept = _FOUND.get(run)
    if kept is None or kept[0] != taken_in:
        kept = _FOUND[run] = (taken_in, await run.ask(Index.judges))
    return kept[1]


def _with(voters: Sequence[Voter]) -> Iterator[Agreeing]:
    """Return how far voters agree with people, and with what was decided, where others have a part in it."""
    for voter in voters:
        if voter.human is not None:
            yield Agreeing(named(voter.voter, voter.variant), "people", voter.human)
    for voter in voters:
        if voter.decision is not None and not _alone(voter, voters):
            yield Agreeing(named(voter.voter, voter.variant), "the decision", voter.decision)


def _pairs(pairs: Iterable[Pair]) -> Iterator[Agreeing]:
    for pair in pairs:
        yield Agreeing(named(pair.a, pair.variant), named(pair.b, pair.variant), pair.compared)


def _alone(voter: Voter, voters: Sequence[Voter]) -> bool:
    """Whether nobody else votes, so that the decision is this one's vote."""
    others = [each for each in voters if each.variant == voter.variant and each is not voter]
    return not others and voter.decision is not None and voter.decision.agreed.hits == voter.decision.n


def _shown(run: Viewed, voters: Sequence[Voter]) -> Iterator[Shown]:
    for voter in voters:
        alone = _alone(voter, voters)
        matrices: list[tuple[str, Matrix]] = []
        if voter.human is not None and voter.human.n:
            matrices.append(("people", _matrix(voter.human)))
        if voter.decision is not None and voter.decision.n and not alone:
            matrices.append(("decision", _matrix(voter.decision)))
        elif voter.decision is not None and voter.decision.n and not matrices:
            matrices.append(("decision", _matrix(voter.decision, run, voter.variant)))
        drawn = (_histogram("a", voter.scores_a), _histogram("b", voter.scores_b))
        histograms = tuple(each for each in drawn if each is not None)
        yield Shown(voter, named(voter.voter, voter.variant), tuple(matrices), histograms)


def _matrix(compared: Compared, run: Viewed | None = None, variant: str = "") -> Matrix:
    """Return a confusion matrix; its diagonal leads to the items where all items with that verdict are meant."""
    counts = {
        (row, column): compared.confusion[at][beside]
        for at, row in enumerate(VERDICTS)
        for beside, column in enumerate(VERDICTS)
    }

    def link(row: str, column: str) -> str | None:
        if run is None or row != column:
            return None
        return address(run.name, "items", verdict=row, variant=variant)

    return matrix(counts, link)


def _histogram(of: str, scores: Scores | None) -> Histogram | None:
    if scores is None:
        return None
    most = max(bar.count for bar in scores.bars)
    wide = WIDTH / len(scores.bars)
    bars = [
        Rect(
            x=round(at * wide + 0.5, 2),
            y=round(HEIGHT * (1 - bar.count / most), 2),
            width=round(wide - 1, 2),
            height=round(HEIGHT * bar.count / most, 2),
            told=f"{bar.low:g}{f' to {bar.high:g}' if bar.high != bar.low else ''}: {bar.count:,}",
        )
        for at, bar in enumerate(scores.bars)
        if bar.count
    ]
    of_what = f"Scores of {of}" if of != "drafts" else "Scores"
    return Histogram(
        of, f"{of_what}: {scores.n:,}, mean {scores.mean:.2f} of {scores.scale}", tuple(bars), scores.scale
    )


ROUTES = (web.get("/r/{run}/judges", judges),)

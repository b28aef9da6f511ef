"""Two of the runs that are open, side by side: as a whole, the items that differ, and one item message by message."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from aiohttp import web
from anyio import to_thread

from ....protocols.errors import DeclarationError, UnknownName
from ....protocols.identity import CONDUCTOR, ConversationId
from ....protocols.judging import Verdict
from ....protocols.lifecycle import ItemFinished
from ....runtime.secrecy import hide
from ...compared import ROWS, cells
from ...comparison import Comparison, ItemLine, Survey
from ...remarks import remark
from ...traces.aligned import Part, aligned, shown, worded
from ...traces.index import Index
from ...traces.talk import Talk, Turn, fold
from ..comparisons import COMPARISONS
from ..matrices import Matrix, matrix
from ..rendering import page
from ..runs import RUNS, Runs, Viewed, number_in

HERE = "Compare"
"""What the page is called in the navigation."""
A_PAGE = 50
"""Items shown at once."""
COMMON = 0.25
"""Of the shorter of two texts, the part that has to be in both for the words that differ to be marked."""
VERDICTS: tuple[Verdict, ...] = ("a", "b", "tie", "unread")
SHOWS = {
    "": "all that differ",
    "verdict": "another verdict",
    "state": "another state",
    "said": "only what was said",
}
"""Which items are shown, by the word in the address."""
Parts = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A row of one item: what was said at the same place of two conversations."""

    speaker: str
    where: str
    """Step and round, where it has them."""
    same: bool
    sides: tuple["Said | None", "Said | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a conversation came to, and what it took."""

    conversation: ConversationId
    state: str
    verdict: Verdict | None
    scores: str
    words: str
    calls: int
    tokens: int
    cost_usd: float | None
    seconds: float
    """From its beginning to its last event."""


@dataclass(frozen=True, slots=True)
class Said:
    """One side of it."""

    sequence: int
    did: Parts
    """What was done, in words that both have and those of this side alone."""
    words: Parts


async def compare(request: web.Request) -> web.Response:
    """Return two runs, or one item of theirs, side by side."""
    runs = request.app[RUNS]
    one, other = _chosen(runs, request.query.get("a"), request.query.get("b"))
    if one is None or other is None:
        return page("compare.html", here=HERE, run=one, runs=list(runs), one=one, other=None, made=None)
    item = request.query.get("item")
    return await (_item(one, other, item) if item else _whole(request, one, other))


async def _whole(request: web.Request, one: Viewed, other: Viewed) -> web.Response:
    """Return two runs, and the items that differ."""
    opened = request.app[RUNS]
    runs = list(opened)
    wanted, offset = _wanted(request), number_in(request, "offset", 0)
    made = await request.app[COMPARISONS].of(one, other)
    if made is None or made.survey is None:
        return page("compare.html", here=HERE, run=one, runs=runs, one=one, other=other, made=made)
    survey, at = made.survey, partial(_at, one, other)
    lines = [line for line in survey.lines if _fits(line, *wanted)]
    return page(
        "compare.html",
        here=HERE,
        run=one,
        runs=runs,
        one=one,
        other=other,
        made=made,
        at=at,
        last=tuple([await run.ask(lambda index: index.log.last()) for run in (one, other)]),
        sums=_sums(survey.comparison),
        matrix=_matrix(survey, at),
        lines=lines[offset : offset + A_PAGE],
        total=len(lines),
        offset=offset,
        size=A_PAGE,
        shows=SHOWS,
        wanted=dict(zip(("show", "first", "second"), wanted, strict=True)),
    )


async def _item(one: Viewed, other: Viewed, item: str) -> web.Response:
    """Return an item of two runs; raises DeclarationError where neither has it."""
    talks = [await run.ask(_talk, item) for run in (one, other)]
    if talks[0] is None and talks[1] is None:
        raise DeclarationError(f"neither run has an item {item!r}")
    return page(
        "compared_item.html",
        here=HERE,
        run=one,
        one=one,
        other=other,
        at=partial(_at, one, other),
        item=item,
        talks=talks,
        lines=await to_thread.run_sync(_lines, talks[0], talks[1]),
        outcomes=[_outcome(talk) if talk is not None else None for talk in talks],
        asked=_asked(talks),
    )


def _chosen(runs: Runs, first: str | None, second: str | None) -> tuple[Viewed | None, Viewed | None]:
    """Return the runs of these names; where they are not given, the first ones that are open and not the other."""
    one = runs[first] if first else None
    other = runs[second] if second else None
    for run in runs:
        if one is None and run is not other:
            one = run
        elif other is None and run is not one:
            other = run
    return one, other


def _at(one: Viewed, other: Viewed, **query: object) -> str:
    given = {name: str(value) for name, value in query.items() if value not in (None, "", 0)}
    return f"/compare?{urlencode({'a': one.name, 'b': other.name, **given})}"


def _wanted(request: web.Request) -> tuple[str, str, str]:
    show = request.query.get("show", "")
    if show not in SHOWS:
        raise UnknownName("sort of items", show, [name for name in SHOWS if name])
    verdicts = [request.query.get(name, "") for name in ("first", "second")]
    for verdict in verdicts:
        if verdict and verdict not in VERDICTS:
            raise UnknownName("verdict", verdict, VERDICTS)
    return show, verdicts[0], verdicts[1]


def _fits(line: ItemLine, show: str, first: str, second: str) -> bool:
    moved = line.verdicts[0] != line.verdicts[1]
    restated = line.states[0] != line.states[1]
    sorts = {"": True, "verdict": moved and not restated, "state": restated, "said": not moved and not restated}
    return sorts[show] and (not first or line.verdicts[0] == first) and (not second or line.verdicts[1] == second)


def _sums(found: Comparison) -> list[tuple[str, str, str]]:
    """Return what both runs came to: a name, and the words of each; what neither has is left out."""
    rows = zip(ROWS, cells(found.first), cells(found.second), strict=True)
    return [(name, left or "-", right or "-") for name, left, right in rows if left or right]


def _outcome(talk: Talk) -> Outcome:
    end, effort = talk.outcome, talk.effort
    finished = end if isinstance(end, ItemFinished) else None
    scored = finished is not None and finished.score_a is not None and finished.score_b is not None
    return Outcome(
        conversation=talk.conversation,
        state=talk.state,
        verdict=finished.verdict if finished else None,
        scores=f"{finished.score_a:.3g} : {finished.score_b:.3g}" if finished and scored else "",
        words=remark(CONDUCTOR, end) if end is not None else "",
        calls=effort.calls,
        tokens=effort.usage.input_tokens + effort.usage.output_tokens,
        cost_usd=effort.cost_usd,
        seconds=talk.seconds,
    )


def _matrix(survey: Survey, at: "partial[str]") -> Matrix | None:
    counts: dict[tuple[str, str], int] = {(left, right): n for left, right, n in survey.verdicts}
    if not counts:
        return None
    return matrix(counts, lambda left, right: at(first=left, second=right) if left != right else None)


def _talk(index: Index, item: str) -> Talk | None:
    """Return the newest conversation about an item that has an outcome, or else the newest."""
    talks = (fold(index.log, name) for name in reversed(index.conversations(item)))
    newest = next(talks, None)
    if newest is None or newest.state != "open":
        return newest
    return next((talk for talk in talks if talk.state != "open"), newest)


def _lines(one: Talk | None, other: Talk | None) -> tuple[Line, ...]:
    """Return what was said in both; where texts are long, to find the words that differ takes a while."""
    if one is None or other is None:
        return ()
    found: list[Line] = []
    for row in aligned(one, other):
        turn = row.first or row.second
        assert turn is not None, "a row has a side at least"  # noqa: S101 - by its making
        step, number = turn.step, turn.round
        where = ", ".join([f"step {step}"] * bool(step) + [f"round {number}"] * (number is not None))
        found.append(Line(turn.speaker, where, row.same, _sides(row.first, row.second)))
    return tuple(found)


def _sides(first: Turn | None, second: Turn | None) -> tuple[Said | None, Said | None]:
    if first is None or second is None:
        return _alone(first), _alone(second)
    (one_did, one_said), (other_did, other_said) = shown(first), shown(second)
    did, said = _marked(one_did, other_did), _marked(one_said, other_said)
    return Said(first.sequence, did[0], said[0]), Said(second.sequence, did[1], said[1])


def _alone(turn: Turn | None) -> Said | None:
    return None if turn is None else Said(turn.sequence, *(_unmarked(text) for text in shown(turn)))


def _marked(first: str, second: str) -> tuple[Parts, Parts]:
    """Return two texts with the words that differ; as they are where that would mark nearly all."""
    first, second = hide(first), hide(second)  # a secret in two parts would stand in neither
    parts = worded(first, second)
    shared = sum(len(part.text) for part in parts if part.kept == "same")
    if shared < COMMON * min(len(first), len(second)):
        return _unmarked(first), _unmarked(second)
    return tuple(part for part in parts if part.kept != "new"), tuple(part for part in parts if part.kept != "gone")


def _unmarked(text: str) -> Parts:
    return (Part("same", text),) if text else ()


def _asked(talks: Sequence[Talk | None]) -> tuple[tuple[str, Parts], ...]:
    """Return what the item asks and offers, where it is not the same in both runs."""
    texts: list[dict[str, str]] = []
    for talk in talks:
        if talk is None:
            return ()
        offered = {f"answer {each.slot}": each.text for each in talk.item.candidates}
        texts.append({"request": talk.item.prompt, **offered})
    names = dict.fromkeys([*texts[0], *texts[1]])
    return tuple(
        (name, worded(hide(texts[0].get(name, "")), hide(texts[1].get(name, ""))))
        for name in names
        if texts[0].get(name) != texts[1].get(name)
    )


ROUTES = (web.get("/compare", compare),)

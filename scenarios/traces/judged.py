"""How those who judged in a run have judged: what they chose, how sure that is, and how far they agree.

Of conversations that count and have an outcome; a voter's last vote in each. Whatever was unread is counted, and is in
no share. A draft's judges have no reference: nobody knows which of two drafts people would have chosen.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

from ...protocols.judging import MIRRORED, Ballot, Order, Verdict, reconciled
from ..measures.exact import kappa, wilson
from .listing import Cast, Vote

VERDICTS: tuple[Verdict, ...] = ("a", "b", "tie")
FINEST = 20
"""The highest scale on which every whole score has a bar of its own."""
BARS = 10
"""Bars on a higher one."""
METHODS = {
    "interval": "95 %, Wilson score interval",
    "kappa_interval": "95 %, large-sample standard error of Fleiss, Cohen and Everitt 1969",
}
"""How intervals are found."""
Interval = tuple[float, float]
Choice = tuple[str, str]
"""Two verdicts on the same."""
Key = tuple[str, str]
"""Variant and voter."""


@dataclass(frozen=True, slots=True)
class Share:
    """Some of how many."""

    hits: int
    n: int
    share: float | None
    """None of nothing."""
    interval: Interval | None
    """95 %, Wilson."""

    @classmethod
    def of(cls, hits: int, n: int) -> Self:
        """Return a share with its interval."""
        return cls(hits, n, hits / n if n else None, wilson(hits, n))


@dataclass(frozen=True, slots=True)
class Bar:
    """How many scores lie between two."""

    low: float
    high: float
    """The same as `low` where the bar is of one whole score; what lies between two is of the nearer, a half of the
    higher. Else not itself in the bar, but in the last one."""
    count: int


@dataclass(frozen=True, slots=True)
class Scores:
    """How scores are distributed."""

    scale: int
    """The best score possible; of several, the highest, and the others are stretched to it."""
    n: int
    mean: float
    bars: tuple[Bar, ...]

    @classmethod
    def of(cls, given: Iterable[tuple[float, int]]) -> Self | None:
        """Return how scores are distributed, each given with its scale; none of nothing."""
        known = Counter(given)
        if not known:
            return None
        scale, n = max(scale for _, scale in known), known.total()
        values = {each: each[0] * scale / each[1] for each in known}
        bars = Counter[int]()
        for each, count in known.items():
            bars[_bar(values[each], scale)] += count
        if scale <= FINEST:
            shown = tuple(Bar(place, place, bars[place]) for place in range(scale + 1))
        else:
            shown = tuple(Bar(scale * at / BARS, scale * (at + 1) / BARS, bars[at]) for at in range(BARS))
        return cls(scale, n, sum(values[each] * count for each, count in known.items()) / n, shown)


def _bar(value: float, scale: int) -> int:
    if scale <= FINEST:
        return min(scale, max(0, int(value + 0.5)))
    return min(BARS - 1, max(0, int(value * BARS / scale)))


@dataclass(frozen=True, slots=True)
class Compared:
    """Two who judged the same, or one and a reference."""

    n: int
    """Where both could be read."""
    unread: int
    """Where one of them could not be."""
    confusion: tuple[tuple[int, int, int], ...]
    """How often the first, or the reference, said a, b and tie, a row each, and the other, a column each."""
    agreed: Share
    kappa: float | None
    """Cohen's, unweighted; None where it is undefined."""
    kappa_interval: Interval | None
    """95 %, analytic; None where there is none, as with those who agree throughout."""

    @classmethod
    def of(cls, counts: Mapping[Choice, int]) -> Self:
        """Return what pairs of verdicts come to."""
        read = {pair: count for pair, count in counts.items() if "unread" not in pair}
        n, same = sum(read.values()), sum(count for (one, other), count in read.items() if one == other)
        found = kappa(read)
        rows = tuple((read.get((row, "a"), 0), read.get((row, "b"), 0), read.get((row, "tie"), 0)) for row in VERDICTS)
        return cls(
            n=n,
            unread=sum(counts.values()) - n,
            confusion=rows,
            agreed=Share.of(same, n),
            kappa=found.value if found else None,
            kappa_interval=found.interval if found else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Voter:
    """One who votes."""

    voter: str
    variant: str
    """Of a sweep; else empty."""
    model: str | None
    votes: int
    """Last votes, unread ones included."""
    unread: int
    verdicts: dict[str, int]
    """Of those that could be read, in terms of the item's own a and b, or of the first and second draft."""
    flips: Share
    """Votes cast in both orders whose two verdicts differ, of those of which both could be read."""
    half_unread: int
    """Votes cast in both orders of which one verdict, or both, could not be read."""
    first_won: Share
    """Ballots for the candidate that was shown first, of those for either; ties are not among them."""
    ballots_tied: int
    scores_a: Scores | None
    scores_b: Scores | None
    changed: Share
    """Votes before which the voter had thought otherwise in the same conversation."""
    changes: int
    """Changes of mind in all."""
    human: Compared | None
    """Against the majority of people, a split being a tie; None where nobody voted."""
    decision: Compared | None
    """Against what was decided, in which its own vote may count."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two voters on the same items, or on the same two drafts."""

    a: str
    b: str
    variant: str
    compared: Compared


@dataclass(frozen=True, slots=True)
class Scorer:
    """One who scores drafts by themselves."""

    judge: str
    variant: str
    model: str | None
    kind: Literal["draft_scored", "feedback_given"]
    n: int
    unread: int
    scores: Scores | None


@dataclass(frozen=True, slots=True)
class Judged:
    """How those who judged have judged."""

    voters: tuple[Voter, ...]
    """On the items' candidates."""
    pairs: tuple[Pair, ...]
    on_drafts: tuple[Voter, ...]
    """On two drafts of a conversation; a is the draft that the judge was asked about as the first."""
    draft_pairs: tuple[Pair, ...]
    """a is the draft whose name stands first in the alphabet, whoever was asked about which as the first."""
    scorers: tuple[Scorer, ...]
    methods: dict[str, str]


Scored = tuple[str, str, str, float | None, int]
"""Variant, judge, kind, score and scale."""
Models = Mapping[Key, str]


def judged(votes: Iterable[Vote], scored: Iterable[Scored], models: Models) -> Judged:
    """Return how those who judged have judged; what belongs to an open conversation is left out."""
    on_items, on_drafts = _Side(), _Side()
    for vote in votes:
        if vote.state != "open":
            (on_items if vote.first is None else on_drafts).add(vote)
    scorers: dict[tuple[str, str, str], list[tuple[float | None, int]]] = defaultdict(list)
    for variant, judge, kind, score, scale in scored:
        scorers[variant, judge, kind].append((score, scale))
    return Judged(
        voters=tuple(on_items.voters(models)),
        pairs=tuple(on_items.pairs()),
        on_drafts=tuple(on_drafts.voters(models)),
        draft_pairs=tuple(on_drafts.pairs()),
        scorers=tuple(_scorers(scorers, models)),
        methods=METHODS,
    )


def _scorers(given: Mapping[tuple[str, str, str], list[tuple[float | None, int]]], models: Models) -> Iterator[Scorer]:
    for (variant, judge, kind), scores in sorted(given.items()):
        read = [(score, scale) for score, scale in scores if score is not None]
        yield Scorer(
            judge=judge,
            variant=variant,
            model=models.get((variant, judge)),
            kind="draft_scored" if kind == "draft_scored" else "feedback_given",
            n=len(read),
            unread=len(scores) - len(read),
            scores=Scores.of(read),
        )


@dataclass(slots=True)
class _Counts:
    """What a voter's votes come to."""

    votes: int = 0
    verdicts: Counter[str] = field(default_factory=Counter[str])
    twice: int = 0
    flipped: int = 0
    half_unread: int = 0
    first: Counter[str] = field(default_factory=Counter[str])
    """Ballots by who won: the candidate shown first, the second, or neither."""
    scores: tuple[list[tuple[float, int]], list[tuple[float, int]]] = field(default_factory=lambda: ([], []))
    changed: int = 0
    changes: int = 0
    human: Counter[Choice] = field(default_factory=Counter[Choice])
    decision: Counter[Choice] = field(default_factory=Counter[Choice])

    def add(self, vote: Vote) -> None:
        self.votes += 1
        self.verdicts[vote.verdict] += 1
        self.changed += vote.changes > 0
        self.changes += vote.changes
        for known, counts in ((vote.human, self.human), (vote.decision, self.decision)):
            if known is not None:
                counts[known, vote.verdict] += 1
        self._add_ballots(vote)

    def _add_ballots(self, vote: Vote) -> None:
        orders: dict[Order, list[Cast]] = {}
        for ballot in vote.ballots:
            orders.setdefault(ballot.order, []).append(ballot)
            if ballot.verdict in ("a", "b"):
                self.first["first" if ballot.verdict == ballot.order[0] else "second"] += 1
            elif ballot.verdict == "tie":
                self.first["tie"] += 1
            for score, given in zip((ballot.score_a, ballot.score_b), self.scores, strict=True):
                if score is not None and vote.scale is not None:
                    given.append((score, vote.scale))
        if len(orders) > 1:
            one, other = (_of_order(cast) for cast in orders.values())
            if "unread" in (one, other):
                self.half_unread += 1
            else:
                self.twice += 1
                self.flipped += one != other


def _of_order(cast: list[Cast]) -> Verdict:
    """Return the verdict of the ballots in one order."""
    if len(cast) == 1:
        return cast[0].verdict
    return reconciled([Ballot(order=each.order, verdict=each.verdict) for each in cast], "tie")[0]


class _Side:
    """All votes of one sort: on items, or on drafts."""

    def __init__(self) -> None:
        self._counts: dict[Key, _Counts] = {}
        self._met: dict[tuple[str, str, str], Counter[Choice]] = defaultdict(Counter)
        """By variant and two voters."""
        self._conversation = ""
        self._of_conversation: dict[tuple[str, str], dict[str, Verdict]] = {}
        """Votes of the conversation that is being gone through, by what they are on."""

    def add(self, vote: Vote) -> None:
        """Count a vote; those of one conversation come one after another."""
        key = (vote.variant, vote.voter)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = _Counts()
        counts.add(vote)
        if vote.conversation != self._conversation:
            self._conversation = vote.conversation
            self._of_conversation = {}
        first, second = vote.first or "", vote.second or ""
        turned = first > second
        verdict = MIRRORED[vote.verdict] if turned else vote.verdict
        others = self._of_conversation.setdefault((second, first) if turned else (first, second), {})
        for other, said in others.items():
            one, two = ((vote.voter, verdict), (other, said))
            (a, of_a), (b, of_b) = (one, two) if one[0] < two[0] else (two, one)
            self._met[vote.variant, a, b][of_a, of_b] += 1
        others[vote.voter] = verdict

    def voters(self, models: Models) -> Iterator[Voter]:
        for (variant, name), counts in sorted(self._counts.items()):
            first = counts.first
            yield Voter(
                voter=name,
                variant=variant,
                model=models.get((variant, name)),
                votes=counts.votes,
                unread=counts.verdicts["unread"],
                verdicts={verdict: counts.verdicts[verdict] for verdict in VERDICTS},
                flips=Share.of(counts.flipped, counts.twice),
                half_unread=counts.half_unread,
                first_won=Share.of(first["first"], first["first"] + first["second"]),
                ballots_tied=first["tie"],
                scores_a=Scores.of(counts.scores[0]),
                scores_b=Scores.of(counts.scores[1]),
                changed=Share.of(counts.changed, counts.votes),
                changes=counts.changes,
                human=Compared.of(counts.human) if counts.human else None,
                decision=Compared.of(counts.decision) if counts.decision else None,
            )

    def pairs(self) -> Iterator[Pair]:
        for (variant, a, b), counts in sorted(self._met.items()):
            yield Pair(a, b, variant, Compared.of(counts))

"""How pipelines fare against opponents, by the verdicts of one judge."""

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ..ratings.table import UNREAD, Ratings
from ..reproduction.published import FIGURES, TABLE_7
from .confusion import Interval
from .estimate import holm
from .exact import wilson
from .rivals import Rivals
from .winrate import Pair, WinRates, win_rates


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LeftOut(_Fact):
    """Items that two pipelines cannot be compared on, and why."""

    why: str
    """failed, open, not there, no reference; or prompts differ."""
    pipeline: str | None
    """Who has no answer; None where both have one."""
    items: int
    first: tuple[str, ...]
    """Up to five of them."""

    def __str__(self) -> str:
        whose = f" with {self.pipeline}" if self.pipeline else ""
        more = f" and {self.items - len(self.first):,} more" if self.items > len(self.first) else ""
        return f"{self.why}{whose}: {self.items:,} ({', '.join(self.first)}{more})"


class Contest(_Fact):
    """Two pipelines that are compared, before anybody has judged them."""

    model: str
    """Who is measured: its answers are a."""
    opponent: str
    pairs: int
    """Comparisons."""
    identical: int
    """Of them: those of two answers that are the same word for word. They are judged like others."""
    left_out: tuple[LeftOut, ...]

    @property
    def told(self) -> tuple[str, ...]:
        """Return what was left out, in words."""
        return tuple(f"{self.model} against {self.opponent}: {left}" for left in self.left_out)


class Match(_Fact):
    """Two pipelines that were compared. Figures are None where no vote could be read."""

    model: str
    opponent: str
    pairs: int
    identical: int
    left_out: tuple[LeftOut, ...]
    wins: int = 0
    ties: int = 0
    losses: int = 0
    n: int = 0
    """Verdicts that could be read."""
    unread: int = 0
    """Verdicts that could not, those of failed items included: in no figure."""
    win_rate: float | None = None
    """wins / n: a tie is no win."""
    win_rate_ci: Interval | None = None
    win_rate_method: str | None = None
    win_rate_ties_half: float | None = None
    win_rate_ties_half_ci: Interval | None = None
    """None also where every verdict is a tie, which says nothing of how sure that is."""
    win_rate_ties_half_method: str | None = None
    orders_differ: int = 0
    """How often somebody who was shown a pair both ways round said something else the second time."""

    @property
    def open(self) -> int:
        """Return how many comparisons have no verdict yet."""
        return self.pairs - self.n - self.unread


class PublishedRate(_Fact):
    """A win rate that was published, of other models."""

    model: str
    opponent: str
    win_rate: float
    win_rate_ci: Interval | None
    """Wilson 1927, 95 %."""
    n: int


class Versus(_Fact):
    """Every pipeline against its opponents."""

    source: str
    pipelines: tuple[str, ...]
    opponents: tuple[str, ...]
    rater: str | None
    """Whose verdicts these are, where several voted."""
    raters: tuple[str, ...]
    """Who voted."""
    models: tuple[str, ...]
    """Their models."""
    orders: tuple[str, ...]
    """In which orders answers were shown: ab, ba; those of both bring a tie where they disagree."""
    matches: tuple[Match, ...]
    rivals: tuple[Rivals, ...]
    """Two pipelines against the same opponent, on the prompts on which both met it; p is adjusted over this list."""
    methods: dict[str, str]
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    published: tuple[PublishedRate, ...] = ()
    """The paper's table of the same form."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Return what was left out of every match, in words."""
        return tuple(f"{each.model} against {each.opponent}: {left}" for each in self.matches for left in each.left_out)


def versus(ratings: Ratings, contests: Sequence[Contest]) -> Versus:
    """Return the win rates of pipelines, and McNemar's test of each two against the same opponent.

    Where several judges voted, the verdict that was made of their votes is what counts; see `win_rates` for the rest.

    Raises:
        DeclarationError: there is no vote about two pipelines.
    """
    rater = ratings.collective[0] if ratings.collective else None
    found = win_rates(ratings, rater=rater)
    met = [(contest.model, contest.opponent) for contest in contests]
    differing = _differing(ratings)
    return Versus(
        source=ratings.source,
        pipelines=tuple(dict.fromkeys(model for model, _ in met)),
        opponents=tuple(dict.fromkeys(opponent for _, opponent in met)),
        rater=rater,
        raters=tuple(name for name in ratings.raters if name not in ratings.collective),
        models=tuple(
            dict.fromkeys(
                model
                for name, model in zip(ratings.raters, ratings.rater_models, strict=True)
                if name not in ratings.collective
            )
        ),
        orders=tuple(name for code, name in enumerate(("ab", "ba")) if (ratings.order == code).any()),
        matches=tuple(_match(contest, found, differing) for contest in contests),
        rivals=_rivals(found, met),
        methods={
            name: found.methods[name]
            for name in ("win_rate", "win_rate_ties_half", *_used(found), "p", "p_holm", "difference_ci", "rivals")
        },
        notes=found.notes,
        problems=found.problems,
    )


def _used(found: WinRates) -> list[str]:
    names = (name for pair in found.pairs for name in (pair.win_rate_method, pair.win_rate_ties_half_method))
    return list(dict.fromkeys(name for name in names if name))


def _differing(ratings: Ratings) -> Counter[tuple[str, str]]:
    """Return how often somebody said of a pair of models, shown both ways round, something else the second time."""
    said: dict[tuple[int, int], set[int]] = {}
    written: dict[int, tuple[int, int]] = {}
    columns = (ratings.item, ratings.rater, ratings.order, ratings.verdict, ratings.written)
    for item, rater, order, verdict, (a, b) in zip(*(column.tolist() for column in columns), strict=True):
        if order >= 0 and verdict != UNREAD:
            said.setdefault((item, rater), set()).add(verdict)
            written[item] = a, b
    pairs = (written[item] for (item, _), verdicts in said.items() if len(verdicts) > 1)
    return Counter((ratings.models[a], ratings.models[b]) for a, b in pairs)


def _match(contest: Contest, found: WinRates, differing: Counter[tuple[str, str]]) -> Match:
    pair: Pair | None = next(
        (each for each in found.pairs if (each.model, each.opponent) == (contest.model, contest.opponent)), None
    )
    figures = {} if pair is None else pair.model_dump(include=set(Match.model_fields) - set(Contest.model_fields))
    return Match(**contest.model_dump(), **figures, orders_differ=differing[contest.model, contest.opponent])


def _rivals(found: WinRates, met: Sequence[tuple[str, str]]) -> tuple[Rivals, ...]:
    """Return the comparisons of those that are measured against the same opponent, p adjusted for their number."""
    wanted = [
        pair for pair in found.rivals if (pair.first, pair.opponent) in met and (pair.second, pair.opponent) in met
    ]
    adjusted = holm([pair.p for pair in wanted])
    return tuple(pair.model_copy(update={"p_holm": p}) for pair, p in zip(wanted, adjusted, strict=True))


def published() -> tuple[PublishedRate, ...]:
    """Return the paper's win rates of single models and feedback loops (Arif et al. 2025, table 7)."""
    rates: list[PublishedRate] = []
    for figure in FIGURES:
        if figure.table == TABLE_7 and figure.n is not None:
            model, _, opponent = figure.cell.partition(" · against ")
            bounds = wilson(figure.value * figure.n, figure.n)
            rates.append(
                PublishedRate(model=model, opponent=opponent, win_rate=figure.value, win_rate_ci=bounds, n=figure.n)
            )
    return tuple(rates)

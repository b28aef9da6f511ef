"""All that a run, or a file of ratings, comes to: one document, whatever it is shown as."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson

from ...protocols.errors import DeclarationError
from ...runtime.log import LogReader
from ..debates import debates_of
from ..directory import LOG, runs_in
from ..measures.accuracy import Answering
from ..measures.agreed import Agreement, Settings
from ..measures.agreement import agreement
from ..measures.bias import Bias, bias
from ..measures.debating import Debates
from ..measures.distribution import Distribution, distributions
from ..measures.encounters import encounters, readable
from ..measures.plugged import Measured, all_measured
from ..measures.rank import Ranking, rank
from ..measures.reference import reference_of
from ..measures.winrate import WinRates, win_rates
from ..ratings import Ratings, read_ratings, run_ratings
from ..ratings.table import HUMAN
from ..solutions import answers_of
from .contest import Contest, Group, contests, group_of, groups_of
from .facts import RunFacts, facts_of
from .paper import Paper, paper_on
from .played import Frozen, Played, played_of
from .strategies import ByStrategy, by_strategy

PAIR = 2
ONE = "all models"
"""The name of the jurors of ratings that no sweep has made."""


class BadRow(Frozen):
    """A row that is no vote, and is left out."""

    line: int | None
    what: str


class Report(Frozen):
    """What there is to say."""

    source: str
    items: int
    votes: int
    bad_rows: tuple[BadRow, ...]
    reference: str | None
    """Whom raters are held against; None where there is nobody."""
    run: RunFacts | None
    """None for a file of ratings."""
    played: tuple[Played, ...]
    """The ways in which a run has played every item; empty for a file of ratings."""
    strategies: tuple[ByStrategy, ...]
    """Of a sweep: models by ways of judging, for every setting of orders."""
    contests: tuple[Contest, ...]
    """Of a sweep: judge, jury and debate by model."""
    groups: tuple[Group, ...]
    """Juries that stored votes allow."""
    answers: Answering | None
    """How questions were answered; None of a run that gives no answers."""
    debates: Debates | None
    """Of a run in which agents hear one another before they give an opinion; else None."""
    paper: Paper | None
    """What the paper found on the same data; None where the data are not known to be its own."""
    agreement: Agreement | None
    """None where there is no vote yet."""
    bias: Bias | None
    win_rates: tuple[WinRates, ...]
    """Of the models that wrote the answers, by whose votes they are; empty where the models are not known."""
    ranking: Ranking | None
    """Of the same models, where there are three or more, by the first of these votes."""
    distributions: dict[str, Distribution]
    """Scores and verdicts, by rater."""
    missing: tuple[str, ...]
    """What is not in this report, and why."""
    plugins: tuple[Measured, ...] = ()
    """What measures of plugins say."""

    @property
    def raters(self) -> tuple[str, ...]:
        """Return all raters: those first whose votes are a run's verdicts, then other models, then people.

        Among people, whoever voted most comes first.
        """
        verdicts = {each.rater for each in self.played}
        held = {} if self.bias is None else self.bias.raters

        def place(rater: str) -> tuple[bool, bool, int]:
            person = held[rater].kind == "human"
            return rater not in verdicts, person, -held[rater].n if person else 0

        return tuple(sorted(self.distributions, key=place))


def report_of(path: Path, reference: str | None = None) -> Report:
    """Return the report of a run's directory, or of a file of ratings.

    Args:
        path: The directory or the file.
        reference: Whom raters are held against: one of them, or human for the majority of all people; that by default,
            where a person voted.

    Raises:
        DeclarationError: it is neither, it cannot be read, or the reference is `human` and no person voted.
        UnknownName: the reference is no rater.
        LogError: the log is damaged.
    """
    if not path.is_dir():
        read = read_ratings(path)
        return _with_plugins(report(read, reference, data=str(path)), ratings=read)
    if not (path / LOG).is_file():
        raise DeclarationError(f"{path} is not a run: it has no {LOG}{runs_in(path)}")
    with LogReader(path / LOG) as log:
        facts = facts_of(log, str(path))
        record: dict[str, Any] = orjson.loads(log.meta("played") or "{}")
        if record.get("scenario", {}).get("gives") != "verdict":
            gives = record.get("scenario", {}).get("gives", "").removesuffix("s")
            why = f"it gives {gives}s, and not verdicts" if gives else "its log does not say what was played"
            found = _without_votes(facts, (), f"No figures of raters: {why}.", debates_of(log))
            return _with_plugins(_with_answers(found, answers_of(log)), run=log)
        played, debates = played_of(record), debates_of(log)
        ratings = Ratings.of(run_ratings(log), str(path))
        if not len(ratings):
            why = "No figures of raters: no item has an outcome yet."
            return _with_plugins(_without_votes(facts, played, why, debates), run=log)
        found = report(ratings, reference, played=played, facts=facts, data=facts.data, debates=debates)
        return _with_plugins(found, ratings=ratings, run=log)


def _with_answers(found: Report, answers: Answering | None) -> Report:
    """Return a report with how questions were answered, of a run that gives answers."""
    if answers is None:
        return found
    why: tuple[str, ...] = ()
    if not any(way.items for way in answers.ways):
        why = ("No accuracy: no item has an outcome yet.",)
    elif not any(way.decision.n for way in answers.ways):
        why = ("No accuracy: no question has a known answer.",)
    return found.model_copy(
        update={"answers": answers, "items": sum(way.items for way in answers.ways), "missing": why}
    )


def _with_plugins(found: Report, *, ratings: Ratings | None = None, run: LogReader | None = None) -> Report:
    """Return a report with what measures of plugins say of the ratings and of the run, where there are any."""
    sources: dict[Literal["ratings", "run"], object] = {}
    if ratings is not None:
        sources["ratings"] = ratings
    if run is not None:
        sources["run"] = run
    said = all_measured(sources)
    return found.model_copy(update={"plugins": said}) if said else found


def report(
    ratings: Ratings,
    reference: str | None = None,
    *,
    played: tuple[Played, ...] = (),
    facts: RunFacts | None = None,
    data: str | None = None,
    debates: Debates | None = None,
) -> Report:
    """Return the report of ratings; see `report_of`.

    Args:
        ratings: The votes.
        reference: Whom raters are held against.
        played: The ways in which a run has played every item.
        facts: What is known of that run.
        data: The path of the data set, which may say that it is one of the paper's.
        debates: What the run's debates come to.
    """
    held = reference_of(ratings, reference)
    name = None if held is None else held.name
    found = agreement(ratings, Settings(reference=reference))
    groups = () if name is None else _groups(played, ratings, name)
    swept = name is not None and len(played) > 1
    voices = _voices(ratings, name, played)
    return Report(
        source=ratings.source,
        items=len(ratings.items),
        votes=len(ratings),
        bad_rows=tuple(BadRow(line=problem.line, what=problem.what) for problem in ratings.bad),
        reference=name,
        run=facts,
        played=played,
        strategies=by_strategy(played, ratings, found.raters) if swept else (),
        contests=contests(played, ratings, name, found.raters, groups) if swept and name is not None else (),
        groups=groups,
        answers=None,
        debates=debates,
        paper=paper_on(data),
        agreement=found,
        bias=bias(ratings, name),
        win_rates=tuple(win_rates(ratings, rater=voice) for voice in voices),
        ranking=rank(ratings, rater=voices[0]) if voices and len(ratings.models) > PAIR else None,
        distributions=distributions(ratings),
        missing=tuple(_missing(ratings, name, played, groups)),
    )


def _without_votes(facts: RunFacts, played: tuple[Played, ...], why: str, debates: Debates | None) -> Report:
    return Report(
        source=facts.status.run,
        items=0,
        votes=0,
        bad_rows=(),
        reference=None,
        run=facts,
        played=played,
        strategies=(),
        contests=(),
        groups=(),
        answers=None,
        debates=debates,
        paper=None,
        agreement=None,
        bias=None,
        win_rates=(),
        ranking=None,
        distributions={},
        missing=(why,),
    )


def _groups(played: Sequence[Played], ratings: Ratings, reference: str) -> tuple[Group, ...]:
    """Return juries: of each way of judging of a sweep; else of all models whose votes are not others' verdict."""
    if len(played) > 1:
        return groups_of(played, ratings, reference)
    verdicts = {each.rater for each in played if not each.alone} | {reference}
    kinds = zip(ratings.raters, ratings.kinds, strict=True)
    jurors = [rater for rater, kind in kinds if kind == "model" and rater not in verdicts]
    return (group_of(ONE, ratings, reference, jurors),) if len(jurors) > 1 else ()


def _voices(ratings: Ratings, reference: str | None, played: Sequence[Played]) -> tuple[str | None, ...]:
    """Return whose votes say which model's answers are better, None for everybody's; nobody's where nothing tells.

    A run's own verdict, or everybody's in a file; and people's. In a sweep, which has many verdicts on each item,
    people's alone, where there are some.
    """
    if not ratings.models:
        return ()
    people = (HUMAN,) if reference == HUMAN else ()
    one = (played[0].rater if played else None,) if len(played) < PAIR or not people else ()
    return tuple(voice for voice in (*one, *people) if _compares(ratings, voice))


def _compares(ratings: Ratings, voice: str | None) -> bool:
    """Return whether votes are about two models, and some of them can be read."""
    try:
        return len(readable(encounters(ratings, voice))) > 0
    except DeclarationError:
        return False


def _missing(
    ratings: Ratings, reference: str | None, played: Sequence[Played], groups: Sequence[Group]
) -> Iterator[str]:
    if reference is None:
        yield (
            "No person voted and no --reference is named: no kappa with a reference and no juries; agreement among "
            "raters, place, length and scores need none."
        )
    elif not any(group.juries for group in groups):
        reasons = dict.fromkeys(group.why for group in groups if group.why)
        yield "No juries: " + ("; ".join(filter(None, reasons)) or "there are no two models to make one") + "."
    for group in groups:
        if group.why and group.juries:
            yield f"Juries of {group.name}: {group.why}."
    if any(each.orders.endswith("mean") for each in played):
        yield (
            "Two orders that disagree are a tie in every figure here, also where the scenario decides by the mean of "
            "scores."
        )
    if not ratings.models:
        yield "No win rates: no vote says which models wrote the answers."
    if ratings.ignored:
        yield f"Columns that no rating has, not used: {', '.join(ratings.ignored)}."

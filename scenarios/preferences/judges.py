"""How well the judges of a data set judge, as measured on a benchmark that people have labelled."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..measures.confusion import Interval, confusion
from ..measures.families import own_name
from ..measures.figures import figures
from ..ratings.source import open_ratings
from ..ratings.table import HUMAN, UNREAD, Codes, Ratings


class JudgeKappa(BaseModel):
    """A judge's agreement with people on a benchmark."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    judge: str
    """As in the run; of a jury the names of all, joined by +."""
    model: str
    """Of the run; of a jury those of all, joined by +."""
    benchmark: str
    rater: str | None
    """Who it is in the benchmark; None where nobody there has this model: the judge was not measured."""
    rater_model: str | None = None
    """The model as the benchmark has it: the provider may be another one."""
    n: int = 0
    """Items on which both it and people could be read."""
    unread: int = 0
    """Items on which its vote could not be read; in no figure."""
    kappa: float | None = None
    """Cohen's, unweighted, over a, b and tie, with the majority of people. None where it is undefined, or was not
    measured."""
    kappa_ci: Interval | None = None
    """95 %."""
    kappa_method: str | None = None
    accuracy: float | None = None
    """Share of the same items on which it says what most people say."""
    accuracy_ci: Interval | None = None
    """95 %: Wilson's score interval."""


def measured(benchmark: Path, judges: Mapping[str, str], *, name: str | None = None) -> tuple[JudgeKappa, ...]:
    """Return how far the judges of a run agree with people on a benchmark: once for every rater of the same model.

    A jury's own verdict is a rater, too, where the benchmark has one of the very same models.

    Args:
        benchmark: A file of ratings, or a run's directory; people are among its raters.
        judges: The model, provider/model, of each judge of the run.
        name: What the benchmark is called; by default as its file or directory, without the folder it lies in.

    Raises:
        DeclarationError: it cannot be read, or has no vote of a person.
    """
    ratings = open_ratings(benchmark)
    right = ratings.reference(HUMAN)
    called = name or benchmark.resolve().stem
    found: list[JudgeKappa] = []
    for judge, model in judges.items():
        raters = _raters(ratings, model)
        found += [_kappa(ratings, right, rater, judge, model, called) for rater in raters]
        if not raters:
            found.append(JudgeKappa(judge=judge, model=model, benchmark=called, rater=None))
    if len(judges) > 1:
        names, models = "+".join(judges), "+".join(judges.values())
        found += [_kappa(ratings, right, jury, names, models, called) for jury in _juries(ratings, judges)]
    return tuple(found)


def _raters(ratings: Ratings, model: str) -> list[str]:
    """Return the raters of a model, whoever serves it."""
    return [
        rater
        for rater, kind, known in zip(ratings.raters, ratings.kinds, ratings.rater_models, strict=True)
        if kind == "model" and rater not in ratings.collective and own_name(known) == own_name(model)
    ]


def _juries(ratings: Ratings, judges: Mapping[str, str]) -> Iterator[str]:
    """Return the raters whose votes were made of others', where those are of the same models as the judges."""
    wanted = Counter(own_name(model) for model in judges.values())
    for jury in ratings.collective:
        members = [
            own_name(known)
            for rater, known in zip(ratings.raters, ratings.rater_models, strict=True)
            if rater.startswith(f"{jury}:")
        ]
        if Counter(members) == wanted:
            yield jury


def _kappa(ratings: Ratings, right: Codes, rater: str, judge: str, model: str, benchmark: str) -> JudgeKappa:
    votes = ratings.panel([rater]).votes[:, 0]
    found = figures(confusion(right, votes))
    return JudgeKappa(
        judge=judge,
        model=model,
        benchmark=benchmark,
        rater=rater,
        rater_model=ratings.rater_models[ratings.rater_code(rater)] if rater not in ratings.collective else None,
        n=found.n,
        unread=int((votes == UNREAD).sum()),
        kappa=found.kappa,
        kappa_ci=found.kappa_ci,
        kappa_method=found.kappa_method,
        accuracy=found.accuracy,
        accuracy_ci=found.accuracy_ci,
    )

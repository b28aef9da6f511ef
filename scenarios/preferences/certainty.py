"""How sure the labels of a data set are: the part of its card that says how its judges judge."""

from collections.abc import Iterable, Iterator, Sequence

from ..measures.estimate import SHARE
from ..tables.shown import text
from ..tables.table import NONE, count, figure, interval, share, shares
from .exported import Exported, Margins
from .facts import Facts, Judge
from .judges import JudgeKappa
from .markup import code, fenced, table


def certainty(exported: Exported, facts: Facts, measured: Sequence[JudgeKappa]) -> Iterator[str]:
    """Return the paragraphs of the part."""
    yield "## How sure the labels are"
    if not facts.judges:
        yield "No judge voted in this run, so that there is nothing to say of one."
    else:
        yield from _agreement(facts, measured)
        yield from _votes(facts.judges)
        yield from _families(facts.judges)
    yield from _margins(exported.margins)


def _agreement(facts: Facts, measured: Sequence[JudgeKappa]) -> Iterator[str]:
    yield "### Agreement with people"
    found = [kappa for kappa in measured if kappa.rater is not None]
    missing = [(kappa.judge, kappa.benchmark) for kappa in measured if kappa.rater is None]
    if found:
        yield table(
            ("judge", "model there", "benchmark", "rater there", "kappa", "95 %", "accuracy", "95 %", "n", "unread"),
            (_kappa(kappa) for kappa in found),
            words=4,
        )
        methods = dict.fromkeys(kappa.kappa_method for kappa in found if kappa.kappa_method)
        yield (
            "Cohen's kappa with the majority of people over a, b and tie, on the items that both could be read on. Its "
            f"interval: {text('; '.join(methods))}. That of the accuracy: Wilson score interval. The rater there "
            "has the judge's model; it may have been asked in another way."
        )
    for judge, benchmark in missing:
        yield f"{code(judge)} was not measured: nobody in {code(benchmark)} has its model."
    known = {kappa.judge for kappa in measured}
    alone = {name: model for name, model in facts.models_of_judges.items() if name not in known}
    if alone:
        names = " and ".join(map(code, alone))
        yield f"How far {names} agree{'s' if len(alone) == 1 else ''} with people was not measured. This would tell:"
        yield fenced("\n".join(_measuring(alone.values())), "sh")


def _measuring(models: Iterable[str]) -> Iterator[str]:
    for place, model in enumerate(dict.fromkeys(models)):
        run = f"runs/benchmark{f'-{place + 1}' if place else ''}"
        yield f"fellowship run judge --data hub:mt-bench --model {model} --out {run}"
        yield f"fellowship export RUN … --benchmark mt-bench={run}"


def _kappa(found: JudgeKappa) -> tuple[str, ...]:
    return (
        code(found.judge),
        code(found.rater_model) if found.rater_model else NONE,
        code(found.benchmark),
        code(found.rater or ""),
        figure(found.kappa),
        interval(found.kappa_ci),
        share(found.accuracy),
        shares(found.accuracy_ci),
        count(found.n),
        count(found.unread),
    )


def _votes(judges: Sequence[Judge]) -> Iterator[str]:
    yield "### Votes, and the order of the answers"
    yield table(
        ("judge", "model", "votes", "unread", "flip rate", "95 %", "judged in both orders", "one of both unread"),
        (
            (
                code(judge.agent),
                code(judge.model),
                count(judge.votes),
                count(judge.unread),
                share(judge.flip_rate.value if judge.flip_rate else None),
                shares(judge.flip_rate.ci if judge.flip_rate else None),
                count(judge.flip_rate.n if judge.flip_rate else 0),
                count(judge.half_unread),
            )
            for judge in judges
        ),
        words=2,
    )
    yield (
        "Votes of the conversations that have an outcome. An unread vote is one whose answer could not be read, also "
        "when asked again: it is no vote for anybody. The flip rate is the share of what was judged in both orders on "
        f"which the two verdicts differ. Its interval: {SHARE}."
    )
    alone = [judge for judge in judges if judge.scores_alone]
    if alone:
        names = ", ".join(f"{code(judge.agent)} {count(judge.scores_alone)}" for judge in alone)
        yield f"Among these votes are scores of one draft, which was shown alone: {names}. They have no order."
    once = [judge.agent for judge in judges if judge.flip_rate is None and judge.votes > judge.scores_alone]
    if once:
        yield (
            f"{' and '.join(map(code, dict.fromkeys(once)))} judged in one order only: how much the place of an answer "
            "swayed the verdict is not known. `orders: both` would tell."
        )


def _families(judges: Sequence[Judge]) -> Iterator[str]:
    yield "### Judges and their own family"
    own = [judge for judge in judges if judge.kin]
    for judge in own:
        itself = f"its own texts and those of its family ({', '.join(map(code, judge.kin))})"
        kin = "its own texts" if judge.kin == (judge.model,) else itself if judge.model in judge.kin else (
            f"texts of its own family ({', '.join(map(code, judge.kin))})"
        )  # fmt: skip
        yield f"**{code(judge.agent)} ({code(judge.model)}) judged {kin}.** A judge may favour its kin."
    if not own:
        yield "No judge is of the family of a model whose texts it judged, as far as names tell."


def _margins(margins: Iterable[Margins]) -> Iterator[str]:
    found = [each for each in margins if each.n]
    yield "### Margins"
    if not found:
        yield "The pairs have no scores, so that there are no margins."
        return
    yield table(
        ("data", "pairs", "scale", "min", "lower quartile", "median", "upper quartile", "max", "mean", "95 %"),
        (
            (
                each.data,
                count(each.n),
                NONE if each.scale is None else f"0 to {each.scale}",
                *(
                    figure(value, 2)
                    for value in (
                        each.min,
                        each.lower_quartile,
                        each.median,
                        each.upper_quartile,
                        each.max,
                        each.mean,
                    )
                ),
                interval(each.mean_ci, 2),
            )
            for each in found
        ),
    )
    methods = "; ".join(dict.fromkeys(each.mean_method for each in found))
    yield f"How far the scores of kept pairs lie apart. The interval of the mean: {text(methods)}."

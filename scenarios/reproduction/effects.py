"""What each fault changes: the figures with it and without it."""

from collections.abc import Iterator
from pathlib import Path

from ..ratings.table import TIE
from .faults import ALL, CORRELATED, FAULTS, FIRST_TURN, INVERTED, NO_SWAP, PLAIN_MODE, UNREAD
from .figure import Cell, Cells, Effect, Key, moved
from .generation import THIRD
from .published import COMBINED, DATASETS, FIGURES, LOOPS, MODELS, OPPONENTS, STRATEGIES, loop_name
from .recorded import Recorded

PROMPTS = "prompts whose pick changes"
FILES = 6
"""Files named of those that have unread answers."""
REASONS = {fault.name: fault.reason for fault in FAULTS}


def effects(outputs: Recorded, then: Cells, single: dict[str, Cells]) -> tuple[Effect, ...]:
    """Return what every fault changes by itself.

    Args:
        outputs: What was recorded.
        then: Every figure with all faults.
        single: By fault, every figure with all but this one.
    """
    return (
        *_knockouts(outputs, then, single[INVERTED]),
        *_unread(outputs, then, single[UNREAD]),
        *_juries(outputs, then, single[PLAIN_MODE]),
        *_order(),
        Effect(
            fault=FIRST_TURN,
            figure="MT-Bench, Combined /10, second turns",
            published=None,
            corrected=None,
            n_affected=None,
            of=None,
            recomputable=False,
            reason=REASONS[FIRST_TURN],
        ),
        *_errors(then, single[CORRELATED]),
    )


def all_at_once(then: Cells, now: Cells) -> Effect:
    """Return how many figures change where all faults are corrected at once."""
    changed = sum(_moved(cell, now.get(key)) for key, cell in then.items())
    return Effect(
        fault="all together",
        figure="recomputed figures that change",
        published=None,
        corrected=None,
        n_affected=changed,
        of=len(then),
        what="figures",
    )


def _effect(fault: str, figure: str, then: Cell, now: Cell | None, affected: int, of: int, what: str) -> Effect:
    corrected = None if now is None else now.value
    difference = None if corrected is None or then.value is None else corrected - then.value
    return Effect(
        fault=fault,
        figure=figure,
        published=then.value,
        corrected=corrected,
        difference=difference,
        n_affected=affected,
        of=of,
        what=what,
    )


def _knockouts(outputs: Recorded, then: Cells, now: Cells) -> Iterator[Effect]:
    if not outputs.picks:
        yield _absent(INVERTED, "picks of three", "needs outputs/generators/…/GENERATOR_REVIEWER_picks.json")
    for name, picks in outputs.picks.items():
        pairs = zip(picks.responses(ALL), picks.responses(ALL - {INVERTED}), strict=True)
        changed, n = sum(one != other for one, other in pairs), len(picks.prompts)
        tied = sum(each.kept_by_earlier for each in picks.prompts)
        title = loop_name(name)
        key = ("picks", name, THIRD)
        effect = _effect(INVERTED, f"{title}: response 3 picked", then[key], now.get(key), changed, n, PROMPTS)
        yield effect.model_copy(
            update={
                "reason": f"{tied} second steps are ties, of which response 3 is taken either way; were the earlier "
                f"one kept, {changed + tied} picks would change"
            }
        )
        yield Effect(
            fault=INVERTED,
            figure=f"{title}: win rate",
            published=next((cell.value for key, cell in then.items() if key[:3] == ("win rate", name, "gpt")), None),
            corrected=None,
            n_affected=changed,
            of=n,
            what=PROMPTS,
            recomputable=False,
            reason="the answers that should have been picked were never held against the other model's",
        )


def _unread(outputs: Recorded, then: Cells, now: Cells) -> Iterator[Effect]:
    tallies = outputs.tallies()
    lost, answers = sum(each.unread for each in tallies), sum(each.answers for each in tallies)
    where = [f"{'/'.join(Path(each.file).parts[-3:])}: {each.unread:,}" for each in tallies if each.unread]
    if len(where) > FILES:
        where[FILES:] = [f"and {len(where) - FILES} files more (all are in --json)"]
    yield Effect(
        fault=UNREAD,
        figure=f"all recorded answers ({len(tallies)} files)",
        published=None,
        corrected=None,
        n_affected=lost,
        of=answers,
        what="answers unread",
        reason=f"unread, by file: {', '.join(where)}" if where else "no recorded answer is unread",
    )
    for key, cell in then.items():
        alone = key[0] != "kappa" or "+" not in key[3]
        if cell.unread and alone and key[0] not in ("errors", "noise") and _moved(cell, now.get(key)):
            figure = _name(key)
            yield _effect(UNREAD, figure, cell, now.get(key), cell.unread, cell.n, "answers unread")


def _name(key: Key) -> str:
    match key:
        case ("kappa", dataset, strategy, model):
            return f"{DATASETS.get(dataset, dataset)} · {STRATEGIES[strategy]} · {MODELS.get(model, model)}"
        case ("win rate" | "picks", name, what):
            title = loop_name(name)
            return f"{title} · {OPPONENTS.get(what, what).replace('_', ' ')}"
        case _:
            return " · ".join(key[1:])


def _juries(outputs: Recorded, then: Cells, now: Cells) -> Iterator[Effect]:
    found = False
    for data in outputs.judged:
        juries = [
            key
            for key in then
            if key[:3] == ("kappa", data.name, COMBINED) and "+" in key[3] and then[key].value is not None
        ]
        if not juries:
            continue
        found = True
        changed = [key for key in juries if _moved(then[key], now.get(key))]
        name = DATASETS.get(data.name, data.name)
        printed = next((each.key for each in FIGURES if each.key in juries), None)
        best = max(juries, key=lambda key: then[key].value or -1.0)
        shown = [("best jury as published" if printed else "best jury", printed or best)]
        if changed:
            shown.append(("jury that moves most", _most(changed, then, now)))
        ties = sum(int((votes.under(ALL) == TIE).sum()) for votes in data.votes[COMBINED].values())
        for title, key in shown:
            figure = f"{name}: {title} ({key[3].count('+') + 1} jurors)"
            effect = _effect(PLAIN_MODE, figure, then[key], now[key], len(changed), len(juries), "juries")
            yield effect.model_copy(update={"reason": "" if ties else f"no judge ever says tie on {name}"})
    if not found:
        yield _absent(
            PLAIN_MODE, "juries", "needs outputs/evaluators/…/multi-rater10/ of two judges or more, and labels"
        )


def _moved(then: Cell, now: Cell | None) -> bool:
    return moved(then.value, None if now is None else now.value)


def _most(juries: list[Key], then: Cells, now: Cells) -> Key:
    return max(juries, key=lambda key: abs((now[key].value or 0.0) - (then[key].value or 0.0)))


def _order() -> Iterator[Effect]:
    """Give what the win rates say that can be held against one another: both single models against each other."""
    values = {each.key: each for each in FIGURES if each.key[0] == "win rate"}
    llama, gemma = LOOPS["Llama"][0], LOOPS["Gemma"][0]
    for title, key in (
        ("Gemma (as A) against Llama (as B)", ("win rate", gemma, "llama")),
        ("Gemma (as A) against GPT-4o (as B)", ("win rate", gemma, "gpt")),
        ("Llama (as A) against GPT-4o (as B)", ("win rate", llama, "gpt")),
    ):
        yield Effect(
            fault=NO_SWAP,
            figure=f"Table 7: {title}",
            published=values[key].value,
            corrected=None,
            n_affected=values[key].n,
            of=values[key].n,
            what="prompts",
            recomputable=False,
            reason=REASONS[NO_SWAP],
        )


def _errors(then: Cells, now: Cells) -> Iterator[Effect]:
    keys = [key for key in then if key[0] == "errors" and key[2] == "votes"]
    if not keys:
        yield _absent(
            CORRELATED, "votes of the judges", "needs outputs/evaluators/…/multi-rater10/ of two judges or more"
        )
    for key in keys:
        name = DATASETS.get(key[1], key[1])
        figure = f"{name}: independent votes of {then[key].note.removeprefix('of ')}"
        yield _effect(CORRELATED, figure, then[key], now.get(key), then[key].n, then[key].n, "items")


def _absent(fault: str, figure: str, reason: str) -> Effect:
    return Effect(
        fault=fault,
        figure=figure,
        published=None,
        corrected=None,
        n_affected=None,
        of=None,
        recomputable=False,
        reason=reason,
    )

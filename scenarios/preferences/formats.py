"""Rows as trl takes them, and what each says of where it comes from.

A row's `metadata` is one struct with the same fields in every row. What is not known is null; types are in `features`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from ...protocols.items import Turn
from .exported import Format
from .pair import Pair, Side
from .prompts import prompt_id, request_of, text_of

Row = dict[str, Any]


def metadata(pair: Pair, run: str) -> Row:
    """Return where a pair comes from: nothing that differs between two runs that said the same."""
    return {
        "run": run,
        "number": pair.number,
        "item": pair.item,
        "variant": pair.variant,
        "data": pair.data,
        "of": pair.of,
        "prompt_id": prompt_id(text_of(request_of(pair))),
        "events": _both(pair, "event"),
        "agents": _both(pair, "agent"),
        "models": {**_both(pair, "model"), "judges": list(dict.fromkeys(ballot.model for ballot in pair.ballots))},
        "rounds": _both(pair, "round"),
        "cut_off": _both(pair, "cut_off"),
        "prompt_digests": {side: digest or None for side, digest in _both(pair, "prompt_digest").items()},
        "scores": {
            "chosen": _number(pair.chosen.score if pair.chosen else None),
            "rejected": _number(pair.rejected.score if pair.rejected else None),
            "scale": pair.scale,
        },
        "margin": _number(pair.margin),
        "votes": dict(zip(("chosen", "tie", "rejected", "unread"), pair.votes, strict=True)),
        "ballots": [
            {
                "judge": ballot.judge,
                "model": ballot.model,
                "order": ballot.order,
                "verdict": ballot.verdict,
                "score_chosen": _number(ballot.score_chosen),
                "score_rejected": _number(ballot.score_rejected),
            }
            for ballot in pair.ballots
        ],
    }


def _both(pair: Pair, name: str) -> Row:
    return {"chosen": getattr(pair.chosen, name, None), "rejected": getattr(pair.rejected, name, None)}


def _number(value: float | None) -> float | None:
    """Return a number that is written with a point in every row, so that it is one type for all who read JSON."""
    return None if value is None else float(value)


def messages(turns: Iterable[Turn]) -> list[Row]:
    """Return messages as trl has them."""
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _said(side: Side | None) -> list[Row]:
    return [{"role": "assistant", "content": side.text if side else ""}]


def rows(target: Format, pair: Pair, known: Row, *, implicit: bool, good: bool, bad: bool) -> Iterator[Row]:
    """Return a pair's rows in a format.

    Args:
        target: The format.
        pair: The pair.
        known: Its metadata.
        implicit: Of DPO: whether the prompt stands within both answers.
        good: Whether its chosen side is wanted, or the pair itself.
        bad: Whether its rejected side is wanted.
    """
    prompt = messages(pair.prompt)
    if target == "kto":
        for wanted, side in ((good, pair.chosen), (bad, pair.rejected)):
            if wanted:
                yield {"prompt": prompt, "completion": _said(side), "label": side is pair.chosen, "metadata": known}
    elif target == "sft":
        yield {"prompt": prompt, "completion": _said(pair.chosen), "metadata": known}
    elif target == "reward":
        both = {"chosen": prompt + _said(pair.chosen), "rejected": prompt + _said(pair.rejected)}
        yield {**both, "margin": _number(pair.margin), "metadata": known}
    elif implicit:
        yield {"chosen": prompt + _said(pair.chosen), "rejected": prompt + _said(pair.rejected), "metadata": known}
    else:
        both = {"chosen": _said(pair.chosen), "rejected": _said(pair.rejected)}
        yield {"prompt": prompt, **both, "metadata": known}

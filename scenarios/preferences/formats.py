"""Rows as trl takes them, and what each says of where it comes from.

A row's `metadata` is one struct whose fields have one type in every row: `datasets` finds the types of a JSONL file in
its first ten megabytes, and a field that is null there can be nothing else later. So nothing in it is null: a text that
is not known is empty, and a number is -1, which no judge gives.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from ...protocols.items import Turn
from .exported import Format
from .pair import Pair, Side
from .prompts import prompt_id, request_of, text_of

Row = dict[str, Any]
UNKNOWN = -1
"""A number that is not known."""


def metadata(pair: Pair, run: str) -> Row:
    """Return where a pair comes from: nothing that differs between two runs that said the same."""
    chosen, rejected = pair.chosen, pair.rejected
    return {
        "run": run,
        "number": pair.number,
        "item": pair.item,
        "variant": pair.variant or "",
        "data": pair.data,
        "of": pair.of,
        "prompt_id": prompt_id(text_of(request_of(pair))),
        "events": _both(pair, "event", ""),
        "agents": _both(pair, "agent", ""),
        "models": {
            **_both(pair, "model", ""),
            "judges": list(dict.fromkeys(ballot.model or "" for ballot in pair.ballots)),
        },
        "rounds": _both(pair, "round", UNKNOWN),
        "cut_off": {"chosen": bool(chosen and chosen.cut_off), "rejected": bool(rejected and rejected.cut_off)},
        "prompt_digests": _both(pair, "prompt_digest", ""),
        "scores": {
            "chosen": _number(chosen.score if chosen else None),
            "rejected": _number(rejected.score if rejected else None),
            "scale": UNKNOWN if pair.scale is None else pair.scale,
        },
        "margin": _number(pair.margin),
        "votes": dict(zip(("chosen", "tie", "rejected", "unread"), pair.votes, strict=True)),
        "ballots": [
            {
                "judge": ballot.judge,
                "model": ballot.model or "",
                "order": ballot.order,
                "verdict": ballot.verdict,
                "score_chosen": _number(ballot.score_chosen),
                "score_rejected": _number(ballot.score_rejected),
            }
            for ballot in pair.ballots
        ],
    }


def _both(pair: Pair, name: str, unknown: object) -> Row:
    def of(side: Side | None) -> object:
        found = getattr(side, name, None)
        return unknown if found is None else found

    return {"chosen": of(pair.chosen), "rejected": of(pair.rejected)}


def _number(value: float | None) -> float:
    return float(UNKNOWN if value is None else value)


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


def schema(arrow: Any, target: Format, *, implicit: bool) -> Any:  # noqa: ANN401 - pyarrow ships no types
    """Return the Arrow schema of a format's rows."""
    text, number, whole = arrow.string(), arrow.float64(), arrow.int64()

    def both(kind: Any, **more: Any) -> Any:  # noqa: ANN401 - see above
        return arrow.struct({"chosen": kind, "rejected": kind, **more}.items())

    ballot = dict.fromkeys(("judge", "model", "order", "verdict"), text)
    known = {
        "run": text,
        "number": whole,
        **dict.fromkeys(("item", "variant", "data", "of", "prompt_id"), text),
        "events": both(text),
        "agents": both(text),
        "models": both(text, judges=arrow.list_(text)),
        "rounds": both(whole),
        "cut_off": both(arrow.bool_()),
        "prompt_digests": both(text),
        "scores": both(number, scale=whole),
        "margin": number,
        "votes": arrow.struct(dict.fromkeys(("chosen", "tie", "rejected", "unread"), whole).items()),
        "ballots": arrow.list_(arrow.struct({**ballot, "score_chosen": number, "score_rejected": number}.items())),
    }
    said = arrow.list_(arrow.struct([("role", text), ("content", text)]))
    both_sides: dict[str, Any] = {"chosen": said, "rejected": said}
    columns: dict[str, Any] = {
        "dpo": both_sides if implicit else {"prompt": said, **both_sides},
        "kto": {"prompt": said, "completion": said, "label": arrow.bool_()},
        "reward": {**both_sides, "margin": number},
        "sft": {"prompt": said, "completion": said},
    }[target]
    return arrow.schema({**columns, "metadata": arrow.struct(known.items())}.items())

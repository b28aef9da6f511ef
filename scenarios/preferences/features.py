"""The types of a format's columns: as Arrow has them, and as the front matter of a card says them to `datasets`.

`datasets` finds the types of a JSONL file in its first ten megabytes, and what is null there can be nothing else later,
unless the card says the types. So it does, and what is not known is null.
"""

from typing import Any, TypeAlias

from .exported import Format

Type: TypeAlias = "str | list[Type] | dict[str, Type]"
"""A name that Arrow and `datasets` share, a list of one type, or a struct."""
Feature: TypeAlias = dict[str, Any]
TEXT, NUMBER, WHOLE, TRUTH = "string", "float64", "int64", "bool"
_MESSAGES: Type = [{"role": TEXT, "content": TEXT}]


def columns(target: Format, *, implicit: bool) -> dict[str, Type]:
    """Return the columns of a format's rows; `implicit`, of DPO: whether the prompt stands within both answers."""
    both_sides = {"chosen": _MESSAGES, "rejected": _MESSAGES}
    found: dict[Format, dict[str, Type]] = {
        "dpo": {**both_sides} if implicit else {"prompt": _MESSAGES, **both_sides},
        "kto": {"prompt": _MESSAGES, "completion": _MESSAGES, "label": TRUTH},
        "reward": {**both_sides, "margin": NUMBER},
        "sft": {"prompt": _MESSAGES, "completion": _MESSAGES},
    }
    return {**found[target], "metadata": _metadata()}


def _metadata() -> Type:
    ballot: dict[str, Type] = dict.fromkeys(("judge", "model", "order", "verdict"), TEXT)
    return {
        "run": TEXT,
        "number": WHOLE,
        **dict.fromkeys(("item", "variant", "data", "of", "prompt_id"), TEXT),
        "events": _both(TEXT),
        "agents": _both(TEXT),
        "models": {**_both(TEXT), "judges": [TEXT]},
        "rounds": _both(WHOLE),
        "cut_off": _both(TRUTH),
        "prompt_digests": _both(TEXT),
        "scores": {**_both(NUMBER), "scale": WHOLE},
        "margin": NUMBER,
        "votes": dict.fromkeys(("chosen", "tie", "rejected", "unread"), WHOLE),
        "ballots": [{**ballot, "score_chosen": NUMBER, "score_rejected": NUMBER}],
    }


def _both(kind: Type) -> dict[str, Type]:
    return {"chosen": kind, "rejected": kind}


def schema(arrow: Any, target: Format, *, implicit: bool) -> Any:  # noqa: ANN401 - pyarrow ships no types
    """Return the Arrow schema of a format's rows."""

    def of(kind: Type) -> Any:  # noqa: ANN401 - see above
        if isinstance(kind, str):
            return arrow.type_for_alias(kind)
        if isinstance(kind, list):
            return arrow.list_(of(kind[0]))
        return arrow.struct([(name, of(part)) for name, part in kind.items()])

    return arrow.schema([(name, of(kind)) for name, kind in columns(target, implicit=implicit).items()])


def features(target: Format, *, implicit: bool) -> list[Feature]:
    """Return the types of a format's columns as `dataset_info` of a card has them."""
    return _named(columns(target, implicit=implicit))


def _named(parts: dict[str, Type]) -> list[Feature]:
    return [{"name": name, **_feature(kind)} for name, kind in parts.items()]


def _feature(kind: Type) -> Feature:
    if isinstance(kind, str):
        return {"dtype": kind}
    if isinstance(kind, dict):
        return {"struct": _named(kind)}
    of = kind[0]
    return {"list": of if isinstance(of, str) else _named(of) if isinstance(of, dict) else _feature(of)}

"""Which conversations a page is about, in its address: the same words for the table, its links and its neighbours."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, get_args

from ...protocols.errors import DeclarationError, UnknownName
from ...protocols.judging import Verdict
from ..traces.listing import SORTS, State, Wanted

STATES: tuple[State, ...] = get_args(State)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
TEXTS = ("failure", "variant", "model", "agent", "text", "item")
NUMBERS = ("disagreement", "cost")
YES_NO = {"yes": True, "no": False}
NOTHING = Wanted()


def wanted_of(query: Mapping[str, str]) -> Wanted:
    """Return what an address wants; empty fields of a form want nothing.

    Raises:
        DeclarationError: one of its values has no meaning.
    """
    given: dict[str, Any] = {name: query[name] for name in TEXTS if query.get(name)}
    for name in NUMBERS:
        if query.get(name):
            given[name] = _number(name, query[name])
    for name, plural, known in (("state", "states", STATES), ("verdict", "verdicts", VERDICTS)):
        if query.get(name):
            given[plural] = (_one_of(name, query[name], known),)
    if query.get("correct"):
        given["correct"] = YES_NO[_one_of("correct", query["correct"], tuple(YES_NO))]
    if query.get("sort"):
        name = query["sort"].removeprefix("-")
        given |= {"sort": _one_of("sort", name, SORTS), "descending": query["sort"].startswith("-")}
    given["all_conversations"] = query.get("all") == "yes"
    return replace(NOTHING, **given)


def query_of(wanted: Wanted) -> dict[str, str]:
    """Return what an address says that wants this; nothing where it is what is wanted anyhow."""
    said: dict[str, str] = {}
    for field in fields(wanted):
        value = getattr(wanted, field.name)
        if value == getattr(NOTHING, field.name):
            continue
        if field.name in ("states", "verdicts"):
            said[field.name.removesuffix("s")] = value[0]
        elif field.name == "correct":
            said["correct"] = "yes" if value else "no"
        elif field.name in (*TEXTS, *NUMBERS):
            said[field.name] = str(value)
    if wanted.all_conversations:
        said["all"] = "yes"
    if (wanted.sort, wanted.descending) != (NOTHING.sort, NOTHING.descending):
        said["sort"] = f"{'-' if wanted.descending else ''}{wanted.sort}"
    return said


def _one_of(name: str, value: str, known: tuple[str, ...]) -> Any:  # noqa: ANN401 - one of a Literal's
    if value not in known:
        raise UnknownName(name, value, known)
    return value


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise DeclarationError(f"{name}={text!r:.40} is no number from 0")
    return value

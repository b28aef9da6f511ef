"""Pipelines: whatever gives an answer to each prompt, read out of finished or unfinished runs."""

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import orjson

from ..protocols.errors import DeclarationError, UnknownName
from ..runtime.log import LogReader
from ..runtime.log.faults import damaged
from .directory import LOG, runs_in
from .outcomes import Fold

REFERENCE = "reference"
"""The argument that stands for the answers that came with the items."""
ANSWER = "answer"
"""The scenario of single answers."""

Why = Literal["failed", "open", "no reference", "not there"]


@dataclass(frozen=True, slots=True)
class Draft:
    """What a pipeline says to a prompt."""

    prompt: str
    history: tuple[Mapping[str, Any], ...]
    """What was said before the prompt."""
    reference: str | None
    """The answer that came with the item."""
    text: str | None = None
    """The pipeline's answer; None where there is none."""
    why: Why | None = None
    """Why there is none."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Something that answers prompts, under the name it has in tables."""

    name: str
    source: str
    """The argument it came from."""
    place: int
    """The argument's place, from 0."""
    scenario: str | None
    """Which scenario it plays; None of the reference."""
    sweep: str | None
    """The name of the sweep it is a variant of."""
    drafts: Mapping[str, Draft]
    """By the item's own id, in the order of the data set."""

    def count(self, why: Why | None) -> int:
        """Return how many answers are missing for a reason; for None, how many are there."""
        return sum(draft.why == why for draft in self.drafts.values())


def open_pipelines(arguments: Sequence[str]) -> tuple[Pipeline, ...]:
    """Return the pipelines that arguments name: RUN, RUN:VARIANT, NAME=either, or `reference`.

    A run has its directory's name, a variant its own, so that `NAME=RUN` is needed where two would be called the same.
    The run of a sweep stands for all its variants, and so do those that a pattern such as `RUN:answer/*` fits; with
    `NAME=` before it each is `NAME/VARIANT`.

    Raises:
        DeclarationError: a directory is no run or gives no drafts, no item has a reference, or two pipelines have one
            name.
        UnknownName: a run has no such variant.
        LogError: a log cannot be read.
    """
    found: list[list[Pipeline]] = [[] for _ in arguments]
    for place, argument in enumerate(arguments):
        if _named(argument)[1] != REFERENCE:
            found[place] = list(_of_run(argument, place))
    for place, argument in enumerate(arguments):
        name, rest = _named(argument)
        if rest == REFERENCE:
            others = [pipeline for pipelines in found for pipeline in pipelines if pipeline.scenario is not None]
            found[place] = [_reference(name or REFERENCE, argument, place, others)]
    pipelines = tuple(pipeline for several in found for pipeline in several)
    names = [pipeline.name for pipeline in pipelines]
    for name in names:
        if names.count(name) > 1:
            raise DeclarationError(f"two pipelines are called {name!r}: NAME=RUN gives one of them another name")
    return pipelines


def _named(argument: str) -> tuple[str | None, str]:
    """Return the name that an argument gives, and what is named; a directory with = in its name is no name."""
    name, equals, rest = argument.partition("=")
    if not equals or not name or _divided(argument) is not None:
        return None, argument
    return name, rest


def _divided(text: str) -> tuple[Path, str | None] | None:
    """Return the directory and the variant of `RUN` or `RUN:VARIANT`; None where there is no such directory."""
    if Path(text).is_dir():
        return Path(text), None
    for place, letter in enumerate(text):
        if letter == ":" and place and Path(text[:place]).is_dir():
            return Path(text[:place]), text[place + 1 :]
    return None


def _of_run(argument: str, place: int) -> Iterator[Pipeline]:
    name, rest = _named(argument)
    divided = _divided(rest)
    if divided is None:
        raise DeclarationError(
            f"{rest}: there is no such directory; a pipeline is RUN, RUN:VARIANT, NAME=RUN or {REFERENCE}"
        )
    run, wanted = divided
    played = _played(run)
    variants: Mapping[str, Any] | None = played.get("variants")
    if variants is None and wanted is not None:
        raise DeclarationError(f"{run} is no sweep: it has no variant {wanted!r}")
    drafts = _drafts(run, variants or {"": None})
    if variants is None:
        called = name or run.resolve().name
        yield Pipeline(called, argument, place, played["scenario"]["scenario"], None, drafts[""])
        return
    chosen = [each for each in variants if wanted is None or fnmatch.fnmatchcase(each, wanted)]
    if not chosen:
        raise UnknownName(f"variant of {run}", wanted or "", variants)
    sweep = str(played["scenario"]["scenario"])
    for variant in chosen:
        own = name if name is not None and variant == wanted else f"{name}/{variant}" if name else variant
        scenario = variants[variant]["scenario"]["scenario"]
        yield Pipeline(own, argument, place, scenario, sweep, drafts[variant])


def _played(run: Path) -> dict[str, Any]:
    """Return what a run played; raises DeclarationError where it is none, or gives no drafts."""
    if not (run / LOG).is_file():
        raise DeclarationError(f"{run} is not a run: it has no {LOG}{runs_in(run)}")
    with LogReader(run / LOG) as log:
        text = log.meta("played")
    if text is None:
        raise DeclarationError(f"{run} does not say what was played: its first start broke off too early")
    played: dict[str, Any] = orjson.loads(text)
    gives = played["scenario"]["gives"]
    if gives != "draft":
        raise DeclarationError(f"{run} gives {gives}: a pipeline gives draft, an answer to the prompt")
    return played


def _drafts(run: Path, variants: Mapping[str, Any]) -> dict[str, dict[str, Draft]]:
    """Return what each variant of a run said to each of its items; a run of one scenario has the variant ''."""
    found: dict[str, dict[str, tuple[int, Draft]]] = {variant: {} for variant in variants}
    places: dict[str, tuple[str, str]] = {}
    with LogReader(run / LOG) as log:
        for sequence, _, _, _, body, _ in log.bodies(("item_opened",)):
            try:
                content = orjson.loads(body)
                item: dict[str, Any] = content["item"]
                variant: str = item.get("variant") or ""
                if variant not in found:
                    continue  # the run has gone on without it
                own = item["id"].removeprefix(f"{variant}/" if variant else "")
                draft = Draft(item["prompt"], tuple(item.get("history", ())), item.get("reference"), why="open")
                found[variant][own] = content["number"], draft
                places[item["id"]] = variant, own
            except (ValueError, KeyError, TypeError) as error:
                raise damaged(log.path, f"event {sequence} is not what it was") from error
        for _, outcome in Fold(log).outcomes():
            if outcome.item in places:  # else a damaged log has lost its beginning
                variant, own = places[outcome.item]
                number, draft = found[variant][own]
                said = replace(draft, text=outcome.text, why="failed" if outcome.text is None else None)
                found[variant][own] = number, said
    return {variant: _in_order(some) for variant, some in found.items()}


def _in_order(some: Mapping[str, tuple[int, Draft]]) -> dict[str, Draft]:
    return {own: draft for own, (_, draft) in sorted(some.items(), key=lambda entry: entry[1][0])}


def _reference(name: str, argument: str, place: int, others: Sequence[Pipeline]) -> Pipeline:
    """Return the answers that came with the items of other pipelines; raises DeclarationError where none did."""
    drafts: dict[str, Draft] = {}
    for pipeline in others:
        for item, draft in pipeline.drafts.items():
            why: Why | None = None if draft.reference is not None else "no reference"
            drafts.setdefault(item, replace(draft, text=draft.reference, why=why))
    if all(draft.text is None for draft in drafts.values()):
        raise DeclarationError(f"{argument}: no item of the others has a reference, an answer that came with the data")
    return Pipeline(name, argument, place, None, None, drafts)

"""Any two pipelines against each other: who meets whom, and the comparisons that a judge is shown."""

import fnmatch
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import orjson

from ..protocols.errors import DeclarationError, LogError, UnknownName
from ..protocols.identity import ItemId
from ..protocols.items import Candidate, Item
from ..runtime.secrecy import hiding, secrets_of
from .directory import PAIRS, prepare
from .measures.versus import Contest, LeftOut
from .outcomes import Status
from .pipelines import ANSWER, Draft, Pipeline
from .run import carry_on
from .settings import Settings
from .steps import Plan

Meeting = tuple[Pipeline, Pipeline]
"""Who is measured, and the opponent."""
DIFFERS = "prompts differ"
"""Why an item is left out that is called the same in both runs and is not."""


@dataclass(frozen=True, slots=True)
class Comparisons:
    """What a judge is shown: every item once for each two pipelines that meet."""

    items: tuple[Item, ...]
    prompts: int
    """Items of the runs that were looked at."""
    contests: tuple[Contest, ...]


@dataclass(slots=True)
class _Tally:
    """What came of the items of one meeting."""

    pairs: int = 0
    identical: int = 0
    left: dict[tuple[str, str], list[str]] = field(default_factory=dict[tuple[str, str], list[str]])
    """Items by why and whose."""


def meetings(pipelines: Sequence[Pipeline], against: Sequence[str] = ()) -> tuple[Meeting, ...]:
    """Return who meets whom: everybody every opponent, in the order of pipelines, and then of opponents.

    Opponents are those whose names the patterns of `against` fit. Without any: of one argument alone, the run of a
    sweep, its single answers (scenario `answer`); of several, the pipelines of all but the first. Those that were
    named, and single answers, meet one another, too, each two once, the later one measured.

    Raises:
        UnknownName: a pattern fits nobody.
        DeclarationError: nobody meets anybody.
    """
    names = [pipeline.name for pipeline in pipelines]
    if len(pipelines) < 2:
        raise DeclarationError(f"it takes two to compare, and there is only {', '.join(names) or 'nobody'}")
    for pattern in against:
        if not fnmatch.filter(names, pattern):
            raise UnknownName("pipeline of --against", pattern, names)
    by_place = not against and len({pipeline.place for pipeline in pipelines}) > 1
    if against:
        opponents = [each for each in pipelines if any(fnmatch.fnmatchcase(each.name, one) for one in against)]
    elif by_place:
        opponents = [each for each in pipelines if each.place > 0]
    else:
        opponents = [each for each in pipelines if each.scenario == ANSWER]
    if not opponents:
        shown = ", ".join(names)
        raise DeclarationError(
            f"none of {shown} is a single answer (scenario {ANSWER}): --against says who opponents are"
        )
    met = (
        {(one.name, other.name) for other, one in combinations(opponents, 2)}
        if not by_place
        else set[tuple[str, str]]()
    )
    chosen = {each.name for each in opponents}
    return tuple(
        (one, other)
        for one in pipelines
        for other in opponents
        if one.name not in chosen or (one.name, other.name) in met
    )


def comparisons(meeting: Sequence[Meeting], *, limit: int | None = None) -> Comparisons:
    """Return what a judge is shown: by item, in the order of the first run that has it, then by meeting.

    An item that one of two has no answer to, or that has another prompt with the other, is left out of their meeting,
    and counted. Two answers that are the same, word for word, are judged like others.

    Args:
        meeting: Who meets whom.
        limit: The most items, from the top.

    Raises:
        DeclarationError: there is nothing to compare.
    """
    ids = dict.fromkeys(item for two in meeting for pipeline in two for item in pipeline.drafts)
    chosen = tuple(islice(ids, limit))
    tallies = [_Tally() for _ in meeting]
    items = tuple(
        pair
        for item in chosen
        for (one, other), tally in zip(meeting, tallies, strict=True)
        for pair in _pair(item, one, other, tally)
    )
    contests = tuple(
        Contest(
            model=one.name,
            opponent=other.name,
            pairs=tally.pairs,
            identical=tally.identical,
            left_out=tuple(
                LeftOut(why=why, pipeline=whose or None, items=len(left), first=tuple(left[:5]))
                for (why, whose), left in tally.left.items()
            ),
        )
        for (one, other), tally in zip(meeting, tallies, strict=True)
    )
    if not items:
        told = "; ".join(line for contest in contests for line in contest.told)
        raise DeclarationError(f"there is nothing to compare: {told or 'no run has begun an item'}")
    return Comparisons(items, len(chosen), contests)


def _pair(item: str, one: Pipeline, other: Pipeline, tally: _Tally) -> Iterator[Item]:
    """Give the comparison of two answers, or note why there is none."""
    drafts: list[tuple[Draft, str]] = []
    for pipeline in (one, other):
        draft = pipeline.drafts.get(item)
        if draft is None or draft.text is None:
            why = "not there" if draft is None else draft.why or "open"
            tally.left.setdefault((why, pipeline.name), []).append(item)
        else:
            drafts.append((draft, draft.text))
    if len(drafts) < 2:
        return
    (first, a), (second, b) = drafts
    if (first.prompt, first.history) != (second.prompt, second.history):
        tally.left.setdefault((DIFFERS, ""), []).append(item)
        return
    tally.pairs += 1
    tally.identical += a == b
    before: dict[str, Any] = {"history": first.history} if first.history else {}
    yield Item(
        id=ItemId(f"{item}/{one.name}-vs-{other.name}"),
        prompt=first.prompt,
        candidates=(Candidate(slot="a", text=a, model=one.name), Candidate(slot="b", text=b, model=other.name)),
        metadata={"item": item},
        **before,
    )


async def play_comparisons(plan: Plan, items: Sequence[Item], out: Path, settings: Settings) -> Status:
    """Write the comparisons as a data set beside the run, and play them; played into again, the run goes on.

    Raises:
        DeclarationError: the directory holds something else, or is being played.
        LogError: it cannot be written.
    """
    with hiding(secrets_of(settings.environ)):
        earlier = prepare(plan, items, out, settings.seed, accept_changes=settings.accept_changes)
    _write(items, out / PAIRS)
    return await carry_on(plan, enumerate(items), out, settings, earlier, len(items), "")


def _write(items: Sequence[Item], path: Path) -> None:
    """Write comparisons as rows that `fellowship run --data` takes, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            for item in items:
                file.write(orjson.dumps(_row(item), option=orjson.OPT_APPEND_NEWLINE))
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise LogError(f"{path} cannot be written: {error.strerror or error}") from error


def _row(item: Item) -> dict[str, Any]:
    written = item.model_dump(mode="json", exclude_defaults=True)
    row: dict[str, Any] = {"id": item.id, "prompt": item.prompt}
    if "history" in written:
        row["history"] = written["history"]
    for candidate in item.candidates:
        row |= {candidate.slot: candidate.text, f"model_{candidate.slot}": candidate.model}
    return {**row, **item.metadata}

"""Forecasts: what playing a scenario, or a sweep, for a data set will take."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from ...protocols.items import Item
from ...runtime.models.endpoints import split
from ..steps import Plan, Playable, Swept
from .bounds import bounds, signature
from .durations import time_s, together
from .forecast import Calls, Figures, Forecast, Tokens, Totals
from .reckoning import Circumstances, Counted, Reckoning, Seen
from .rehearsal import Play, rehearsed
from .sample import Items, Numbered, Sample, sampled
from .typical import CHARACTERS_A_TOKEN, TOKENS_A_MESSAGE, Lengths, Temper

PLAYS = 5
"""Of each item that is played."""
MOST_PLAYS = 400
"""Of all variants of a sweep together, as far as each can still be played four times."""
MOST_CALLS = 20_000
"""Simulated calls after which no further play begins."""
TEMPERS: tuple[Temper, ...] = ("random", "least", "most")


@dataclass(frozen=True, slots=True)
class Rehearsing:
    """How much is played, and how."""

    lengths: Lengths
    seed: int
    items: int
    plays: int
    tempers: tuple[Temper, ...]
    """Of the longest and the shortest item."""
    calls: int
    """Simulated calls after which no further play begins."""


async def forecast(
    plan: Playable,
    items: Items,
    at: Circumstances,
    *,
    lengths: Lengths | None = None,
    seed: int = 0,
    most_calls: int = MOST_CALLS,
) -> Forecast:
    """Return what playing a plan for all items will take; no model is asked, and nothing is written.

    Args:
        plan: A scenario, or a sweep.
        items: The data, gone through once.
        at: Prices, limits, and what a call takes.
        lengths: How long answers are taken to be; none for what is typical.
        seed: For everything that is left to chance, as of a run.
        most_calls: Simulated calls after which no further play begins.
    """
    lengths = lengths or Lengths()
    plans = {name: variant.plan for name, variant in plan.variants.items()} if isinstance(plan, Swept) else {"": plan}
    sample = sampled(items, _together([signature(each) for each in plans.values()]))
    whole = PLAYS * len(sample.spread)
    plays = whole if len(plans) == 1 else max(4, min(whole, MOST_PLAYS // len(plans)))
    rehearsing = Rehearsing(
        lengths,
        seed,
        items=min(len(sample.spread), plays),
        plays=max(1, plays // max(1, min(len(sample.spread), plays))),
        tempers=TEMPERS if len(plans) == 1 else TEMPERS[:1],
        calls=max(1, most_calls // len(plans)),
    )
    found: dict[str, Totals] = {}
    seen: dict[str, Seen] = {}
    reckonings: list[Reckoning] = []
    for place, (name, each) in enumerate(plans.items()):
        seen[name] = await _seen(each, sample, rehearsing, name, place, len(plans))
        counted = [
            Counted(bounds(each, item, number), sample.sorts[sort]) for sort, (number, item) in sample.one_of.items()
        ]
        reckonings.append(Reckoning(each, counted, seen[name], at))
        found[name] = reckonings[-1].totals()
    totals = _summed(found, sample.size, reckonings, at) if isinstance(plan, Swept) else found[""]
    return Forecast(
        **dict(totals),
        scenario=plan.scenario.scenario,
        variants=found if isinstance(plan, Swept) else {},
        assumptions=tuple(_assumptions(plan, totals, rehearsing, at, list(seen.values()))),
    )


def _together(signatures: Sequence[Callable[[int, Item], Hashable]]) -> Callable[[int, Item], Hashable]:
    return lambda number, item: tuple(of(number, item) for of in signatures)


async def _seen(plan: Plan, sample: Sample, how: Rehearsing, variant: str, place: int, variants: int) -> Seen:
    """Play the longest item and the shortest, then some from all over the data, again and again."""

    async def play(numbered: Numbered, time: int, temper: Temper = "random") -> Play:
        number, item = numbered
        if variant:
            item = item.model_copy(update={"id": f"{variant}/{item.id}", "variant": variant})
        number = number * variants + place
        return await rehearsed(plan, item, number, how.lengths, seed=how.seed + time, temper=temper)

    extremes: list[Play] = []
    calls = 0
    for numbered in (sample.longest, sample.shortest):
        for temper in how.tempers if numbered is not None else ():
            if calls < how.calls and numbered is not None:
                extremes.append(await play(numbered, 0, temper))
                calls += len(extremes[-1].calls)
    step = len(sample.spread) / max(1, how.items)
    chosen = [sample.spread[int(number * step)] for number in range(how.items)]
    by_item: list[list[Play]] = [[] for _ in chosen]
    for time in range(how.plays):
        for plays, numbered in zip(by_item, chosen, strict=True):
            if calls >= how.calls and any(by_item):
                break
            plays.append(await play(numbered, time))
            calls += len(plays[-1].calls)
    return Seen([plays for plays in by_item if plays], extremes)


# sums


def _summed(found: dict[str, Totals], items: int, reckonings: Sequence[Reckoning], at: Circumstances) -> Totals:
    """Return what all variants take together, for so many items each."""
    those = list(found.values())
    costs = [each.cost_usd for each in those if each.cost_usd is not None]
    return Totals(
        items=items,
        calls=_calls([each.calls for each in those]),
        per_item=_calls([each.per_item for each in those]),
        tokens=Tokens(
            input=_sum([each.tokens.input for each in those]), output=_sum([each.tokens.output for each in those])
        ),
        cost_usd=_sum(costs) if costs else None,
        unpriced=tuple(dict.fromkeys(model for each in those for model in each.unpriced)),
        time_s=time_s(
            together([each.asked for each in reckonings]),
            [row for each in reckonings for row in each.rows],
            at.limits,
            at.latency_s,
        ),
        agents={},
    )


def _calls(those: Sequence[Calls]) -> Calls:
    return Calls(**dict(_sum(those)), with_further_requests=sum(each.with_further_requests for each in those))


def _sum(those: Sequence[Figures]) -> Figures:
    """Return the sum of figures that are independent of one another."""
    least, expected, most = (sum(getattr(each, end) for each in those) for end in ("least", "expected", "greatest"))
    intervals = [(each.expected, each.expected_ci) for each in those]
    if not all(interval for _, interval in intervals):
        return Figures(least=least, expected=expected, greatest=most)
    low = sqrt(sum((middle - interval[0]) ** 2 for middle, interval in intervals if interval))
    high = sqrt(sum((interval[1] - middle) ** 2 for middle, interval in intervals if interval))
    return Figures(least=least, expected=expected, expected_ci=(expected - low, expected + high), greatest=most)


# what it rests on


def _assumptions(
    plan: Playable, totals: Totals, how: Rehearsing, at: Circumstances, seen: Sequence[Seen]
) -> Iterator[str]:
    yield (
        "calls, least and greatest: over all ways through the flow, where every answer can be read at once and nobody "
        "fails; drafts that are word for word the same are not compared; with_further_requests: every answer is asked "
        "for again, and agents try as often as `failing` lets them"
    )
    played = [len(each.by_item) for each in seen]
    plays = sum(len(plays) for each in seen for plays in each.by_item)
    yield (
        f"expected: the mean of {plays:,} plays of {max(played, default=0)} items from all over the data before a "
        f"simulated model, whose verdicts and scores are chance (seed {how.seed}); real judges agree more, or less"
    )
    words = ", ".join(f"{kind} {count}" for kind, count in how.lengths.words.items())
    yield (
        f"tokens: {CHARACTERS_A_TOKEN} characters a token and {TOKENS_A_MESSAGE} tokens around a message; words of an "
        f"answer: {words} (--words), never more than max_tokens"
    )
    open_ended = [settings.model for settings in plan.models if settings.max_tokens is None]
    more = f"; {_listed(open_ended)} without max_tokens may write longer answers" if open_ended else ""
    yield (
        "greatest tokens: the greatest number of calls, each with the largest input seen of its agent, and an answer "
        f"of max_tokens, or the longest seen{more}"
    )
    yield f"money: prices as of {at.prices.as_of}, or of --prices; nothing comes from the cache, none goes in batches"
    if totals.unpriced:
        yield f"no price is known for {_listed(totals.unpriced)}: what they cost comes on top (--prices FILE)"
    yield from _of_time(plan, at)
    failures = [play.failed for each in seen for play in each.all if play.failed is not None]
    if failures:
        yield f"{len(failures)} plays came to no end, and count as far as they got: {failures[0]}"


def _of_time(plan: Playable, at: Circumstances) -> Iterator[str]:
    rates = {settings.model: at.limits.rate(settings.model) for settings in plan.models}
    limited = [name for name, rate in rates.items() if rate.requests is not None or rate.tokens is not None]
    free = [name for name in rates if name not in limited and split(name)[0] != "local"]
    unlimited = f"; no limit a minute is known for {_listed(free)} (--rate)" if free else ""
    yield (
        f"time: {at.latency_s:g} s a call (--latency), {at.limits.concurrency} at once at an endpoint (--concurrency), "
        f"never less than the calls of one item in a row{unlimited}"
    )


def _listed(names: Sequence[str]) -> str:
    names = tuple(dict.fromkeys(names))
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

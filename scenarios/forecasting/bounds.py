"""The least and the greatest number of calls for an item: a walk over all ways through the compiled flow.

Where every answer can be read at once, and nobody fails, no item takes fewer calls or more.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from ...agents.dialogue import FURTHER_REQUESTS
from ...protocols.items import Item
from ...protocols.judging import Ballot, Verdict
from ...protocols.jury import VoteCast
from ...protocols.sparing import Decided
from ...protocols.stopping import OF_SEVERAL, Condition, Standing
from ..kin import excluded
from ..steps import AskStep, DecideStep, EachStep, PairStep, PickStep, Plan, RepeatStep, Step, WhenStep
from . import contests
from .place import Place
from .ways import ALL, ANY, NO_ONE, NOBODY, Span, Way, gathered

if TYPE_CHECKING:
    from ...protocols.messages import Fact


@dataclass(frozen=True, slots=True)
class Bounds:
    """Calls for one item."""

    spans: Mapping[tuple[str, int], Span]
    """By agent and round, from 1, of all agents (ALL) and of all rounds (ANY)."""
    with_further_requests: int
    """The most requests where answers cannot be read, and agents try again."""

    @property
    def least(self) -> int:
        """Return the least number of calls."""
        return self.spans.get((ALL, ANY), (0, 0))[0]

    @property
    def greatest(self) -> int:
        """Return the greatest number of calls."""
        return self.spans.get((ALL, ANY), (0, 0))[1]


def bounds(plan: Plan, item: Item, turn: int | None = None) -> Bounds:
    """Return the bounds for an item; they depend on nothing of it but what `signature` tells.

    Args:
        plan: What is played.
        item: For which item.
        turn: Its place in the data, from 0: whose turn it is where agents take turns; none where that is not known.
    """
    ways = _Walk(plan, item, turn).steps([Way()], plan.flow, Place())
    whole = ways[0]
    for way in ways[1:]:
        whole = whole.joined(way)
    requests = {name: (1 + FURTHER_REQUESTS) * (1 + _retries(plan, name)) for name in plan.profiles}
    by_agent = sum(
        most * requests.get(name, 1) for (name, number), (_, most) in whole.calls.items() if number == ANY and name
    )
    greatest = whole.calls.get((ALL, ANY), (0, 0))[1] * max(requests.values(), default=1)
    return Bounds(whole.calls, min(by_agent, greatest))


def signature(plan: Plan) -> Callable[[int, Item], Hashable]:
    """Return what tells, by its place in the data and itself, all of an item that its bounds depend on."""
    steps = tuple(_within(plan.flow))
    asks = [step for step in steps if isinstance(step, AskStep)]
    columns = {step.column for step in steps if isinstance(step, EachStep) and step.column is not None}
    kin = any(step.exclude in ("model", "family") for step in asks)
    turns = math.lcm(*(len(step.agents) for step in asks if step.assign == "round-robin"))

    def of(turn: int, item: Item) -> Hashable:
        lengths = tuple(_length(item, column) for column in columns)
        models = tuple(candidate.model for candidate in item.candidates) if kin else ()
        return lengths, models, turn % turns

    return of


def _within(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if isinstance(step, (RepeatStep, EachStep)):
            yield from _within(step.steps)
        elif isinstance(step, WhenStep):
            yield from _within((*step.steps, *step.otherwise))


def _length(item: Item, column: str | None) -> int | None:
    found = item.metadata.get(column) if column is not None else None
    return len(found) if isinstance(found, list) else None


def _retries(plan: Plan, name: str) -> int:
    policy = plan.policies.get(name)
    return max((rule.retries for rule in policy.rules), default=0) if policy else 0


class _Walk:
    def __init__(self, plan: Plan, item: Item, turn: int | None) -> None:
        self._plan = plan
        self._item = item
        self._turn = turn

    def steps(self, ways: list[Way], steps: Sequence[Step], place: Place) -> list[Way]:
        """Return the ways after steps."""
        for step in steps:
            match step:
                case RepeatStep():
                    ways = self._repeat(ways, step, place)
                case WhenStep():
                    ways = self._when(ways, step, place)
                case EachStep():
                    ways = gathered([after for way in ways for after in self._each(way, step, place)])
                case _:
                    for way in ways:
                        self._go(way, step, place)
        return ways

    def _go(self, way: Way, step: AskStep | DecideStep | PickStep | PairStep, place: Place) -> None:
        match step:
            case AskStep():
                self._ask(way, step, place)
            case PickStep():
                contests.pick(step, way, place)
            case PairStep():
                contests.pair(step, way, place)
            case DecideStep():  # asks nobody
                pass
            case _:
                assert_never(step)

    def _repeat(self, ways: list[Way], step: RepeatStep, place: Place) -> list[Way]:
        left: list[Way] = []
        for number in range(1, step.times + 1):
            here = replace(place, round=number)
            ways = self.steps(ways, step.steps, here)
            if not step.until or number == step.times:
                continue
            going: list[Way] = []
            for way in ways:
                foregone = [_foregone(condition, way, here) for condition in step.until]
                if True in foregone:
                    left.append(way)
                    continue
                if None in foregone:
                    left.append(way.copy())
                going.append(way)
            ways, left = going, gathered(left)
            if not ways:
                break
        return gathered([*left, *ways])

    def _when(self, ways: list[Way], step: WhenStep, place: Place) -> list[Way]:
        foregone = [_foregone(step.condition, way, place) for way in ways]
        other = [way.copy() for way, holds in zip(ways, foregone, strict=True) if not holds]
        taken = [way for way, holds in zip(ways, foregone, strict=True) if holds is not False]
        return gathered([*self.steps(taken, step.steps, place), *self.steps(other, step.otherwise, place)])

    def _each(self, way: Way, step: EachStep, place: Place) -> list[Way]:
        writers = [
            name for name, (_, most) in way.drafts.items() if most and name not in place.lane.foreign
        ] if step.of == "drafts" else []  # fmt: skip
        least, most = self._branches(way, step, writers)
        known = least == most == len(writers) and all(way.drafts[name][0] for name in writers)
        ways, left = [way], list[Way]()
        for number, branch in enumerate(place.branches(step, most, writers if known else [None] * most)):
            if number >= least:
                left = gathered([*left, *(each.copy() for each in ways)])
            ways = self.steps(ways, step.steps, branch)
        return [*left, *ways]

    def _branches(self, way: Way, step: EachStep, writers: Sequence[str]) -> Span:
        """Return how many branches there are."""
        match step.of:
            case "candidates":
                least = most = 2
            case "drafts":
                least, most = sum(way.drafts[name][0] > 0 for name in writers), len(writers)
            case "criteria":
                least, most = 1, step.most  # there is at least one, or the item fails
            case "data":
                length = _length(self._item, step.column)
                least, most = (0, 0) if length is None else (length, length)
            case texts:
                least = most = len(texts)
        end = min(step.most, most if step.sample is None else step.sample)
        return min(least, end), min(most, end)

    # asking

    def _ask(self, way: Way, step: AskStep, place: Place) -> None:
        names = self._assigned(step, place)
        self._listen(way, step, names, place)
        asked = {name: self._included(name, step, place) for name in names}
        asked = {name: span for name, span in asked.items() if span[1]}
        spans = {name: _times(way, name, step, span) for name, span in asked.items()}
        total: Span | None = None
        if step.assign is not None and spans:
            someone = any(least for least, _ in asked.values())
            total = min(least for least, _ in spans.values()) if someone else 0, max(most for _, most in spans.values())
            spans = {name: (span[0] if len(spans) == 1 else 0, span[1]) for name, span in spans.items()}
        elif step.until is not None and len(spans) > 1:
            sure = [name for name, (least, _) in spans.items() if least]
            enough = _enough(way.voted - place.lane.foreign, step, sure)
            first = sorted(spans[name][0] for name in sure) if step.shuffled else [spans[name][0] for name in sure]
            total = sum(first[:enough]), sum(most for _, most in spans.values())
            sure_of = () if step.shuffled and enough < len(sure) else sure[:enough]
            spans = {name: (span[0] if name in sure_of else 0, span[1]) for name, span in spans.items()}
        way.count(place.round, spans, total)
        self._spoken(way, step, spans)

    def _assigned(self, step: AskStep, place: Place) -> tuple[str, ...]:
        """Return who may be asked, as far as it is known whose turn it is."""
        names = place.names(step.agents)
        if step.assign != "round-robin" or self._turn is None:
            return names
        return (names[self._turn % len(names)],)

    def _listen(self, way: Way, step: AskStep, names: Sequence[str], place: Place) -> None:
        if isinstance(step.hears, Mapping):
            for listener, speakers in step.hears.items():
                way.hears[place.names([listener])[0]] = frozenset(place.names(speakers))
        else:
            way.hears.update(dict.fromkeys(names))

    def _included(self, name: str, step: AskStep, place: Place) -> Span:
        """Return whether an agent is asked: (1, 1), (0, 1) where that is not known, (0, 0)."""
        if step.exclude is None:
            return 1, 1
        writer = None
        if step.on is not None:
            writer = place.about.get(step.on)
            if writer is None:
                return 0, 1
        return (0, 0) if excluded(step.exclude, name, writer, self._plan, self._item) else (1, 1)

    def _spoken(self, way: Way, step: AskStep, spans: Mapping[str, Span]) -> None:
        """Keep in mind what was said, as far as the calls of further steps depend on it."""
        if step.wanted in ("draft", "answer"):
            for name, (least, most) in spans.items():
                before = way.drafts.get(name, (0, 0))
                way.drafts[name] = before[0] + least, before[1] + most
                if step.apart:
                    way.alternatives[name] = way.alternatives.get(name, 0) + math.comb(most, 2)
                if least:
                    way.fresh.pop(name, None)
                elif name in way.fresh:
                    way.fresh[name] = NO_ONE, way.fresh[name][1]
        if step.wanted in ("ballot", "answer"):
            way.voted |= frozenset(spans)
        elif step.wanted == "feedback":
            for name, (least, _) in spans.items():
                self._reviewed(way, name, sure=least > 0)

    def _reviewed(self, way: Way, reviewer: str, *, sure: bool) -> None:
        heard = way.hears.get(reviewer, NO_ONE)
        writers = [name for name in way.drafts if heard is None or name in heard]
        # Of several writers, one of whose drafts was picked, it is not known which drafts are told.
        sure = sure and heard is not None and not (way.picked and len(writers) > 1)
        for writer in writers:
            surely, perhaps = way.fresh.get(writer, NOBODY)
            if sure and way.drafts[writer][0] and reviewer not in perhaps:
                surely |= {reviewer}
            way.fresh[writer] = surely, perhaps | {reviewer}


def _times(way: Way, name: str, step: AskStep, asked: Span) -> Span:
    """Return the calls of an agent that is asked, or may be."""
    if step.wanted == "ballot":
        least = most = step.judging.calls
    elif step.wanted in ("draft", "answer") and step.apart:
        surely, perhaps = way.fresh.get(name, NOBODY)
        heard = way.hears.get(name, NO_ONE)
        least = max(1, len(surely & heard)) if heard is not None else 1
        most = max(1, len(perhaps if heard is None else perhaps & heard))
    else:
        least = most = 1
    return asked[0] * least, asked[1] * most


def _foregone(condition: Condition, way: Way, place: Place) -> bool | None:
    """Return whether a condition holds, where that is known whatever is said."""
    if condition.name == "round":
        return condition.met((), Standing(round=place.round))
    if condition.name == "calls" and place.lane.label is None:
        least, most = way.calls.get((ALL, ANY), (0, 0))
        ends = {condition.met((), Standing(calls=calls)) for calls in (least, most)}
        if len(ends) == 1 and (least == most or condition.comparison != "=="):
            return ends.pop()
    return None


def _enough(voted: frozenset[str], step: AskStep, names: Sequence[str]) -> int:
    """Return the least number of agents after whom it can be enough.

    Args:
        voted: Who may have voted before.
        step: What they are asked.
        names: All who are asked, in turn.
    """
    if not isinstance(step.until, Decided):
        several = step.until is not None and step.until.name in OF_SEVERAL and not voted
        return 2 if several else 1
    for asked in range(1, len(names)):
        voters = [*(name for name in sorted(voted) if name not in names), *names[:asked]]
        waiting = names[asked:]
        for verdict in ("a", "b", "tie"):
            said: list[tuple[str, Fact]] = [(name, _vote(step, verdict)) for name in voters]
            if step.until.enough(said, waiting):
                return asked
    return len(names)


def _vote(step: AskStep, verdict: Verdict) -> VoteCast:
    """Return the clearest vote there is."""
    best = float(step.judging.scale)
    scores = {"a": (best, 0.0), "b": (0.0, best)}.get(verdict, (best, best))
    ballot = Ballot(order="ab", verdict=verdict, score_a=scores[0], score_b=scores[1])
    return VoteCast(
        round=1, judging=step.judging, ballots=(ballot,), verdict=verdict, score_a=scores[0], score_b=scores[1]
    )

"""From bounds and plays to figures: calls, tokens, money and time of one plan."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import sqrt
from statistics import fmean, variance

from ...protocols.models import Usage
from ...runtime.models.prices import Price, PriceTable
from ...runtime.session import Limits
from ..steps import Plan
from .bounds import Bounds
from .durations import Loads, loads, time_s
from .forecast import AgentForecast, Calls, Figures, Interval, Tokens, Totals
from .rehearsal import Called, Play
from .ways import ALL, ANY

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365)
"""The 97.5 % quantiles of Student's t with 1 to 7 degrees of freedom: no more items are played than 8."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """By which prices and limits it is reckoned."""

    prices: PriceTable
    limits: Limits
    latency_s: float = 2.0
    """What a call takes."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The plays of one plan."""

    by_item: Sequence[Sequence[Play]]
    """Of items from all over the data, some of each."""
    extremes: Sequence[Play]
    """Of the longest and the shortest item: they widen the bounds, and are in no mean."""

    @property
    def all(self) -> list[Play]:
        """Return all of them."""
        return [*chain.from_iterable(self.by_item), *self.extremes]


@dataclass(frozen=True, slots=True)
class Counted:
    """How often there is an item with such bounds."""

    bounds: Bounds
    items: int


class Reckoning:
    """Of one plan."""

    def __init__(self, plan: Plan, counted: Sequence[Counted], seen: Seen, circumstances: Circumstances) -> None:
        self._plan = plan
        self._counted = counted
        self._seen = seen
        self._at = circumstances
        self._items = sum(each.items for each in counted)
        self._calls: dict[str, list[Called]] = {}
        """All that were seen, by agent."""
        for play in seen.all:
            for called in play.calls:
                self._calls.setdefault(called.agent, []).append(called)

        self.rows = [play.in_a_row for play in seen.all] or [0]
        """Calls of an item that waited for one another."""
        self.asked: Loads = {}
        """Of each endpoint; known once there are totals."""

    def totals(self) -> Totals:
        """Return all figures."""
        agents = {name: self._agent(name) for name in self._plan.profiles}
        calls = self._calls_of(ALL, ANY)
        settings = [profile.settings for profile in self._plan.profiles.values()]
        asked = self.asked = loads(zip(settings, agents.values(), strict=True), calls.greatest)
        single = [each.bounds for each in self._counted]
        requests = [each.with_further_requests for each in single]
        mean = [bound / max(1, self._items) for bound in calls.expected_ci] if calls.expected_ci else None
        per_item = Calls(
            least=min((each.least for each in single), default=0),
            expected=calls.expected / max(1, self._items),
            expected_ci=(mean[0], mean[1]) if mean else None,
            greatest=max((each.greatest for each in single), default=0),
            with_further_requests=max(requests, default=0),
        )
        more = sum(each.items * each.bounds.with_further_requests for each in self._counted)
        tokens = self._tokens(agents)
        unpriced = [each.model for each in agents.values() if each.cost_usd is None]
        return Totals(
            items=self._items,
            calls=Calls(**calls.model_dump(), with_further_requests=more),
            per_item=per_item,
            tokens=tokens,
            cost_usd=self._cost(agents, calls.greatest),
            unpriced=tuple(dict.fromkeys(unpriced)),
            time_s=time_s(asked, self.rows, self._at.limits, self._at.latency_s),
            agents=agents,
        )

    # calls

    def _span(self, agent: str, number: int) -> tuple[int, int]:
        spans = [(each.items, each.bounds.spans.get((agent, number), (0, 0))) for each in self._counted]
        return sum(n * least for n, (least, _) in spans), sum(n * most for n, (_, most) in spans)

    def _calls_of(self, agent: str, number: int) -> Figures:
        def count(play: Play) -> float:
            return sum(
                (not agent or called.agent == agent) and (not number or called.round == number) for called in play.calls
            )

        return self._figures(count, *self._span(agent, number))

    def _figures(self, of: Callable[[Play], float], least: float, most: float) -> Figures:
        """Return a quantity over all items, between bounds that are known."""
        values = [[of(play) for play in plays] for plays in self._seen.by_item if plays]
        if not values:
            return Figures(least=least, expected=least, greatest=most)
        expected = self._items * fmean(fmean(each) for each in values)
        half = _half_width(values, self._items)
        interval: Interval | None = None
        if half is not None:
            low, high = expected - self._items * half, expected + self._items * half
            interval = _between(least, low, most), _between(least, high, most)
        return Figures(least=least, expected=_between(least, expected, most), expected_ci=interval, greatest=most)

    # agents

    def _agent(self, name: str) -> AgentForecast:
        numbers = {number for each in self._counted for agent, number in each.bounds.spans if agent == name and number}
        settings, calls = self._plan.profiles[name].settings, self._calls_of(name, ANY)
        seen = self._calls.get(name) or [called for each in self._calls.values() for called in each]
        inputs = [called.input_tokens for called in seen] or [0]
        outputs = [called.output_tokens for called in seen] or [0]
        longest = max(outputs) if settings.max_tokens is None else settings.max_tokens
        tokens = Tokens(
            input=self._tokens_of(name, _input, calls.least * min(inputs), calls.greatest * max(inputs)),
            output=self._tokens_of(name, _output, calls.least * min(outputs), calls.greatest * longest),
        )
        price = self._at.prices.of(settings.model)
        return AgentForecast(
            model=settings.model,
            rounds={str(number): self._calls_of(name, number) for number in sorted(numbers)},
            calls=calls,
            tokens=tokens,
            cost_usd=None if price is None else _priced(tokens, price),
        )

    def _tokens_of(self, name: str, of: Callable[[Called], int], least: float, most: float) -> Figures:
        return self._figures(
            lambda play: sum(of(called) for called in play.calls if not name or called.agent == name), least, most
        )

    # sums

    def _tokens(self, agents: Mapping[str, AgentForecast]) -> Tokens:
        greatest = self._span(ALL, ANY)[1]
        found: dict[str, Figures] = {}
        for side, of in (("input", _input), ("output", _output)):
            each: list[Figures] = [getattr(agent.tokens, side) for agent in agents.values()]
            dearest = [
                figures.greatest / agent.calls.greatest
                for agent, figures in zip(agents.values(), each, strict=True)
                if agent.calls.greatest
            ]
            most = min(sum(figures.greatest for figures in each), greatest * max(dearest, default=0))
            found[side] = self._tokens_of(ALL, of, sum(figures.least for figures in each), most)
        return Tokens(input=found["input"], output=found["output"])

    def _cost(self, agents: Mapping[str, AgentForecast], greatest: float) -> Figures | None:
        """Return the money; not more than if all calls were the dearest agent's."""
        known = [(agent.cost_usd, agent.calls.greatest) for agent in agents.values() if agent.cost_usd is not None]
        if not known:
            return None
        dearest = max((cost.greatest / calls for cost, calls in known if calls), default=0.0)
        most = min(sum(cost.greatest for cost, _ in known), greatest * dearest)
        prices = {name: self._at.prices.of(agent.model) for name, agent in agents.items()}

        def of(play: Play) -> float:
            return sum(
                price.cost_usd(Usage(input_tokens=called.input_tokens, output_tokens=called.output_tokens))
                for called in play.calls
                if (price := prices.get(called.agent)) is not None
            )

        return self._figures(of, sum(cost.least for cost, _ in known), most)


def _input(called: Called) -> int:
    return called.input_tokens


def _output(called: Called) -> int:
    return called.output_tokens


def _between(least: float, value: float, most: float) -> float:
    return min(max(least, value), most)


def _half_width(values: Sequence[Sequence[float]], items: int) -> float | None:
    """Return half the 95 % interval of the mean of all items, by several values of each of some (Cochran 1977, 10.3).

    None where there is one value only, or one item of several.
    """
    means, count = [fmean(each) for each in values], len(values)
    share = count / max(items, count)
    inner = [variance(each) for each in values if len(each) > 1]
    degrees = count - 1 if count > 1 else len(values[0]) - 1
    if degrees < 1 or (count == 1 and items > 1):
        return None
    between = (1 - share) * variance(means) / count if count > 1 else 0.0
    within = share * fmean(inner) / (count * len(values[0])) if inner else 0.0
    return STUDENT[min(degrees, len(STUDENT)) - 1] * sqrt(between + within)


def _priced(tokens: Tokens, price: Price) -> Figures:
    def cost(read: float, written: float) -> float:
        return price.cost_usd(Usage(input_tokens=round(read), output_tokens=round(written)))

    read, written = tokens.input, tokens.output
    return Figures(
        least=cost(read.least, written.least),
        expected=cost(read.expected, written.expected),
        greatest=cost(read.greatest, written.greatest),
    )

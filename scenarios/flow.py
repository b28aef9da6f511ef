"""The steps of a scenario, resolved and proven: what each needs must have been asked for on every way to it."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from ..agents import Agent
from ..protocols.aggregation import RULES
from ..protocols.debate import ArgumentMade
from ..protocols.errors import DeclarationError, nearest
from ..protocols.generation import DraftWritten
from ..protocols.judging import Judging
from ..protocols.jury import VoteCast
from ..protocols.messages import Fact
from ..protocols.review import FeedbackGiven
from ..protocols.sparing import WORD, Decided
from ..protocols.stopping import Condition
from ..protocols.topology import EVERYONE, NOBODY, WORDS, speakers
from . import spec
from .contest import Contest
from .foresight import Rest, decision_after
from .problems import Problems
from .source import Path
from .steps import AskStep, DecideStep, PairStep, PickStep, RepeatStep, Step, WhenStep

FACTS: dict[spec.Wanted, type[Fact]] = {
    "draft": DraftWritten,
    "feedback": FeedbackGiven,
    "argument": ArgumentMade,
    "ballot": VoteCast,
}
"""The fact that each word of `for` asks for."""


@dataclass
class _Seen:
    """What the steps so far have brought about."""

    facts: set[str] = field(default_factory=set[str])
    """On every way."""
    verbs: set[str] = field(default_factory=set[str])
    """On every way."""
    maybe: set[str] = field(default_factory=set[str])
    """Facts on some way."""
    strategies: set[str] = field(default_factory=set[str])
    """On some way."""
    spoke: set[str] = field(default_factory=set[str])
    """Who has been shown the candidates in the conversation's one order, on some way."""
    writers: set[str] = field(default_factory=set[str])
    """Who has written drafts, on some way."""
    judges: set[str] = field(default_factory=set[str])
    """Who has compared drafts, on some way."""
    hears: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Where ways differ in whether someone hears anybody: nobody."""

    def copy(self) -> "_Seen":
        return deepcopy(self)

    def merged(self, other: "_Seen") -> "_Seen":
        """Return what has been brought about by one way or another."""
        deaf = (NOBODY,)
        names = {**self.hears, **other.hears}
        hears = {name: self.hears.get(name, deaf) for name in names if other.hears.get(name, deaf) != deaf}
        return _Seen(
            self.facts & other.facts,
            self.verbs & other.verbs,
            self.maybe | other.maybe,
            self.strategies | other.strategies,
            self.spoke | other.spoke,
            self.writers | other.writers,
            self.judges | other.judges,
            hears,
        )


class Flow:
    """The steps of one scenario, in the making."""

    def __init__(
        self,
        scenario: spec.Scenario,
        roles: Mapping[str, type[Agent] | None],
        families: Mapping[str, str],
        problems: Problems,
    ) -> None:
        """Begin with no step.

        Args:
            scenario: Whose steps.
            roles: The class of each agent by its name; None where it could not be found.
            families: Of what family each agent's model is, where that is known.
            problems: Where to note what is wrong.
        """
        self._scenario = scenario
        self._cast = tuple(scenario.agents)
        self._roles = roles
        self._problems = problems
        self._contest = Contest(scenario, roles, families, problems)
        self._seen = _Seen()
        self._around: list[set[str]] = []
        """For each repeat that the step is in: what is asked for in it, before or in the round before."""

    def planned(self) -> tuple[Step, ...]:
        """Return all steps; some are missing where something is wrong with them."""
        return tuple(self._steps(self._scenario.flow, ("flow",), "", ()))

    @property
    def verbs(self) -> frozenset[str]:
        """Verbs that are on every way through the flow."""
        return frozenset(self._seen.verbs)

    def _wrong(self, what: str, path: Path) -> None:
        self._problems.add(what, path)

    def _steps(self, steps: Sequence[spec.Step], path: Path, outer: str, then: Rest) -> Iterator[Step]:
        """Plan steps that are followed by others, in the list around them."""
        placed = tuple((step, (*path, index)) for index, step in enumerate(steps))
        for index, (step, at) in enumerate(placed):
            place = f"{outer}.{index}" if outer else str(index)
            rest = (*placed[index + 1 :], *then)
            match step:
                case spec.Ask():
                    yield self._ask(step, at, place, rest)
                case spec.Repeat():
                    yield self._repeat(step, at, place, rest)
                case spec.When():
                    yield from self._when(step, at, place, rest)
                case spec.Decide():
                    yield from self._decide(step, at, place)
                case spec.Pick():
                    yield from self._pick(step, at, place)
                case spec.Pair():
                    yield from self._pair(step, at, place)

    # asking

    def _ask(self, step: spec.Ask, at: Path, place: str, rest: Rest) -> AskStep:
        for number, name in enumerate(step.ask):
            where: Path = (*at, "ask", number)
            if name not in self._cast:
                self._wrong(f"unknown agent {name!r}{nearest(name, self._cast)}", where)
                continue
            if name in step.ask[:number]:
                self._wrong(f"agent {name!r} is asked twice in one step", where)
            role = self._roles[name]
            if role is not None and FACTS[step.for_] not in role.gives:
                able = [other for other, kind in self._roles.items() if kind and FACTS[step.for_] in kind.gives]
                hint = f"; {', '.join(able)} can" if able else ""
                sort = self._scenario.agents[name].role
                self._wrong(f"{name!r} is a {sort} and gives no {step.for_}{hint}", where)
        hears = self._hears(step, at)
        self._prove_options(step, at)
        if step.for_ == "draft":
            self._seen.writers.update(step.ask)
        judging = step.judging(self._scenario.judging)
        self._prove_ballots(step, at, judging)
        self._seen.facts.add(step.for_)
        self._seen.maybe.add(step.for_)
        return AskStep(
            place=place,
            agents=step.ask,
            wanted=step.for_,
            in_turn=step.order != "together",
            shuffled=step.order == "random",
            blind=len(step.ask) > 1 and (step.blind or step.order == "together"),
            apart=step.apart,
            hears=hears,
            judging=judging,
            until=None if step.until is None else self._enough(step, step.until, at, rest),
        )

    def _hears(self, step: spec.Ask, at: Path) -> dict[str, tuple[str, ...]]:
        if step.hears is None:
            return {}
        rule: str | tuple[str, ...] = step.hears
        if len(step.hears) == 1 and step.hears[0] in WORDS:
            rule = step.hears[0]
        else:
            for number, name in enumerate(step.hears):
                if name in WORDS:
                    self._wrong(f"{name!r} stands alone, not among names", (*at, "hears", number))
                    return {}
                if name not in self._cast:
                    hint = nearest(name, (*self._cast, EVERYONE, NOBODY))
                    self._wrong(f"unknown agent {name!r}{hint}", (*at, "hears", number))
                    return {}
        return {name: speakers(rule, name, self._cast) for name in step.ask}

    def _prove_options(self, step: spec.Ask, at: Path) -> None:
        """Check that a step says nothing that means nothing for it, and that reviewers have something to review."""
        known = {"ballot": spec.JUDGING_OPTIONS, "feedback": ("scale",)}.get(step.for_, ())
        for option in spec.JUDGING_OPTIONS:
            if getattr(step, option) is not None and option not in known:
                self._wrong(f"{option} means nothing for a step that asks for {step.for_}", (*at, option))
        if step.apart and step.for_ != "draft":
            self._wrong(f"apart means nothing for a step that asks for {step.for_}", (*at, "apart"))
        for name in step.ask:
            if step.hears is not None:
                self._seen.hears[name] = step.hears
            if step.apart and self._seen.hears.get(name, (NOBODY,)) == (NOBODY,):
                self._wrong(f"{name!r} hears nobody, so that there is no feedback to follow apart: say `hears`", at)
            if step.for_ == "feedback" and self._seen.hears.get(name, (NOBODY,)) == (NOBODY,):
                self._wrong(f"{name!r} hears nobody, so that there is nothing to review: say `hears`", at)

    def _prove_ballots(self, step: spec.Ask, at: Path, judging: Judging) -> None:
        """Check what only ballots and arguments need: candidates, and orders that can still be changed."""
        if step.for_ not in ("ballot", "argument"):
            return
        if self._scenario.takes != "comparison":
            self._wrong(f"{step.for_}: there are no two answers to compare: takes must be comparison", (*at, "for"))
        if step.for_ == "argument":
            self._seen.spoke.update(step.ask)
            return
        self._seen.strategies.add(judging.strategy)
        argued = [name for name in step.ask if name in self._seen.spoke]
        if judging.orders == "both" and argued:
            who = ", ".join(argued)
            self._wrong(f"orders: both is for fresh jurors; {who} took part in a discussion in one order", at)
        own = step.orders is not None and step.orders != self._scenario.judging.orders
        if argued and own:
            self._wrong("who has argued votes in the order of the discussion: set orders under judging", at)

    def _enough(self, step: spec.Ask, until: str, at: Path, rest: Rest) -> Condition | Decided | None:
        where: Path = (*at, "until")
        if step.order == "together":
            self._wrong("until is for agents that are asked one after another: say order: in-turn or random", where)
        elif len(step.ask) == 1:
            self._wrong(f"until means nothing here: nobody is asked after {step.ask[0]!r}", where)
        if until.strip() != WORD:
            return self._condition(until, "until", where, WORD)
        if step.for_ != "ballot":
            self._wrong(f"until: {WORD} is about votes, and this step asks for {step.for_}", where)
            return None
        decision = decision_after(rest, at)
        if isinstance(decision, str):
            self._wrong(f"until: {WORD}: {decision}", where)
            return None
        if decision.decide not in RULES:  # which is told where it stands
            return None
        scale = step.judging(self._scenario.judging).scale
        return Decided(decision.decide, RULES[decision.decide], scale)

    # ways

    def _repeat(self, step: spec.Repeat, at: Path, place: str, rest: Rest) -> RepeatStep:
        again: Rest = ((step, at),) if step.repeat > 1 else ()
        asked: set[str] = {each.for_ for each in spec.within(step.do) if isinstance(each, spec.Ask)}
        self._around.append(asked if again else set())
        steps = tuple(self._steps(step.do, (*at, "do"), place, (*again, *rest)))
        self._around.pop()
        several = not isinstance(step.until, str)
        conditions = [
            self._condition(text, "until", (*at, "until", number) if several else (*at, "until"))
            for number, text in enumerate(step.conditions)
        ]
        return RepeatStep(place, step.repeat, steps, tuple(each for each in conditions if each is not None))

    def _when(self, step: spec.When, at: Path, place: str, rest: Rest) -> Iterator[WhenStep]:
        condition = self._condition(step.when, "when", (*at, "when"))
        before = self._seen.copy()
        steps = tuple(self._steps(step.do, (*at, "do"), f"{place}.do", rest))
        one, self._seen = self._seen, before
        otherwise = tuple(self._steps(step.else_, (*at, "else"), f"{place}.else", rest))
        self._seen = one.merged(self._seen)
        if condition is not None:
            yield WhenStep(place, condition, steps, otherwise)

    def _condition(self, text: str, key: str, where: Path, *more: str) -> Condition | None:
        """Return a condition, where it is one and something before it feeds it; `more` may stand in its place."""
        if text.strip() == WORD:
            self._wrong(f"{key}: {WORD} is for a step that asks for ballots in turn", where)
            return None
        try:
            condition = Condition.from_str(text, *more)
        except DeclarationError as error:
            self._wrong(str(error), where)
            return None
        if condition.fed_by and not condition.fed_by & self._seen.maybe.union(*self._around):
            needed = " or ".join(sorted(condition.fed_by, reverse=True))
            self._wrong(f"{key}: {condition.name} needs {needed}, and none is asked for", where)
        return condition

    # ends

    def _decide(self, step: spec.Decide, at: Path, place: str) -> Iterator[DecideStep]:
        self._seen.verbs.add("decide")
        rule = self._problems.resolved(RULES, step.decide, (*at, "decide"))
        if "ballot" not in self._seen.facts:
            self._wrong(f"nothing to decide: {self._missing('ballot')}", at)
        elif rule is not None and rule.needs_scores and "direct" in self._seen.strategies:
            self._wrong(f"{step.decide} needs scores, and strategy: direct gives none", (*at, "decide"))
        if rule is not None:
            yield DecideStep(place, step.decide, rule)

    def _pick(self, step: spec.Pick, at: Path, place: str) -> Iterator[PickStep]:
        self._seen.verbs.add("pick")
        if "draft" not in self._seen.facts:
            self._wrong(f"nothing to pick from: {self._missing('draft')}", at)
        scored = None if "feedback" in self._seen.facts else self._missing("feedback")
        yield from self._contest.pick(step, at, place, self._written(), scored)
        self._seen.judges.update(step.by or ())

    def _pair(self, step: spec.Pair, at: Path, place: str) -> Iterator[PairStep]:
        self._seen.verbs.add("pair")
        for needed in ("draft", *(("feedback",) if step.pair == "workflow" else ())):
            if needed not in self._seen.facts:
                self._wrong(f"nothing to make pairs of: {self._missing(needed)}", at)
        self._seen.judges.update(step.by or ())
        judges = step.by or tuple(name for name in self._cast if name in self._seen.judges)
        yield self._contest.pair(step, at, place, self._written(), judges)

    def _written(self) -> tuple[str, ...]:
        """Return who has written drafts, on some way."""
        return tuple(name for name in self._cast if name in self._seen.writers)

    def _missing(self, wanted: str) -> str:
        if wanted in self._seen.maybe:
            return f"where a `when` goes the other way, no {wanted} is asked for before this step"
        return f"no {wanted} is asked for before this step"

"""From a scenario to a plan: every name resolved and every step proven before anything is spent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ..agents import PERSONAS, ROLES, Agent, Profile
from ..protocols.aggregation import RULES
from ..protocols.debate import ArgumentMade
from ..protocols.errors import DeclarationError, ExecutionError, Problem, RunStopping, nearest
from ..protocols.generation import DraftWritten
from ..protocols.identity import CONDUCTOR
from ..protocols.judging import Judging
from ..protocols.jury import VoteCast
from ..protocols.messages import Fact
from ..protocols.models import ModelSettings
from ..protocols.registry import Registry
from ..protocols.review import FeedbackGiven
from ..protocols.selection import PICKS
from ..protocols.stopping import FED_BY, Condition
from ..protocols.topology import EVERYONE, NOBODY, WORDS, speakers
from ..runtime.models.endpoints import with_defaults
from ..runtime.supervision import Policy
from ..runtime.supervision import Rule as PolicyRule
from . import spec
from .source import Path, Source
from .steps import AskStep, DecideStep, PickStep, Plan, RepeatStep, Step

FACTS: dict[spec.Wanted, type[Fact]] = {
    "draft": DraftWritten,
    "feedback": FeedbackGiven,
    "argument": ArgumentMade,
    "ballot": VoteCast,
}
"""The fact that each word of `for` asks for."""
NEEDED_BY: dict[spec.Gives, str] = {"verdict": "decide", "draft": "pick"}

RESERVED = (*WORDS, CONDUCTOR)
"""Names that an agent cannot have."""

ThingT = TypeVar("ThingT")


def plan(
    scenario: spec.Scenario,
    *,
    source: Source | None = None,
    models: Mapping[str, str] | None = None,
    roles: Registry[type[Agent]] = ROLES,
) -> Plan:
    """Resolve every name of a scenario.

    Args:
        scenario: What to play.
        source: The document it came from, for the places of problems.
        models: Models that replace the scenario's own: alias to provider/model; the alias `*` stands for all.
        roles: What agents can be.

    Raises:
        DeclarationError: all that is wrong, each at its place.
    """
    return _Planner(scenario, source or Source(scenario.scenario, {}), roles).plan(models or {})


@dataclass
class _Seen:
    """What the steps so far have brought about."""

    facts: set[str] = field(default_factory=set[str])
    strategies: set[str] = field(default_factory=set[str])
    spoke: set[str] = field(default_factory=set[str])
    """Who has been shown the candidates in the conversation's one order."""
    verbs: set[str] = field(default_factory=set[str])
    hears: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


class _Planner:
    def __init__(self, scenario: spec.Scenario, source: Source, roles: Registry[type[Agent]]) -> None:
        self._scenario = scenario
        self._source = source
        self._roles = roles
        self._problems: list[Problem] = []
        self._seen = _Seen()

    def plan(self, models: Mapping[str, str]) -> Plan:
        scenario = self._scenario
        aliases = self._aliases(models)
        cast = tuple(scenario.agents)
        for name in cast:
            if name in RESERVED:
                self._wrong(f"{name!r} is a word of the language, not a name for an agent", ("agents", name))
        made = {name: self._role(name, agent.role) for name, agent in scenario.agents.items()}
        profiles = {name: self._profile(name, agent, aliases, models) for name, agent in scenario.agents.items()}
        flow = tuple(self._steps(scenario.flow, ("flow",), "", cast, made))
        needed = NEEDED_BY[scenario.gives]
        if needed not in self._seen.verbs:
            self._wrong(f"gives {scenario.gives}, and no step of the flow has `{needed}`", ("gives",))
        asked = self._asked()
        for name in cast:
            if name not in asked and asked <= set(cast):  # an unknown name is the likelier mistake
                self._wrong(f"agent {name!r} is never asked for anything", ("agents", name))
        if self._problems:
            raise DeclarationError(self._problems)
        return Plan(
            scenario=scenario,
            profiles={name: profile for name, profile in profiles.items() if profile is not None},
            roles={name: role for name, role in made.items() if role is not None},
            policies={name: _policy(agent.failing) for name, agent in scenario.agents.items()},
            flow=flow,
        )

    def _wrong(self, what: str, path: Path) -> None:
        self._problems.append(self._source.problem(what, path))

    def _found(self, registry: Registry[ThingT], name: str, path: Path) -> ThingT | None:
        try:
            return registry[name]
        except DeclarationError as error:
            self._wrong(str(error), path)
            return None

    # models

    def _aliases(self, models: Mapping[str, str]) -> dict[str, ModelSettings | None]:
        """Return the settings of each alias; None where they could not be found, which is reported."""
        declared = dict(self._scenario.models)
        for alias, name in models.items():
            if alias == "*":
                declared = {known: _renamed(model, name) for known, model in declared.items()}
        for alias, name in models.items():
            if name not in declared and "/" not in name:
                what = f"--model {name!r} is no provider/model, as in openai/gpt-4o-mini, and no alias"
                raise DeclarationError(f"{what}{nearest(name, declared)}")
            if alias == "*":
                continue
            if alias not in declared:
                raise DeclarationError(f"unknown model alias {alias!r} in --model{nearest(alias, declared)}")
            declared[alias] = _renamed(declared[alias], name)
        return {alias: self._settings(alias, declared) for alias in declared}

    def _settings(self, alias: str, declared: Mapping[str, spec.Model]) -> ModelSettings | None:
        ring: list[str] = []
        name: str = alias
        while True:
            ring.append(name)
            model = declared[name]
            if isinstance(model, ModelSettings):
                return self._proven(model, ("models", name))
            if model in ring:
                if alias == min(ring[ring.index(model) :]):  # each ring once
                    self._wrong(f"aliases in a cycle: {' -> '.join([*ring, model])}", ("models", alias))
                return None
            if model not in declared:
                if "/" not in model:
                    hint = nearest(model, declared)
                    self._wrong(f"{model!r} is no alias, and no provider/model{hint}", ("models", name))
                    return None
                return self._proven(ModelSettings(model=model), ("models", name))
            name = model

    def _proven(self, settings: ModelSettings, path: Path) -> ModelSettings | None:
        try:
            return with_defaults(settings)
        except DeclarationError as error:
            self._wrong(str(error), path)
            return None

    def _model_of(
        self,
        name: str,
        agent: spec.Agent,
        aliases: Mapping[str, ModelSettings | None],
        models: Mapping[str, str],
    ) -> ModelSettings | None:
        if agent.model is None:
            if len(aliases) == 1:
                return next(iter(aliases.values()))
            if not aliases and "*" in models:
                return self._proven(ModelSettings(model=models["*"]), ("agents", name))
            which = "there are no aliases" if not aliases else f"there are several aliases: {', '.join(aliases)}"
            self._wrong(f"agent {name!r} has no model, and {which}", ("agents", name))
            return None
        if agent.model in aliases:
            return aliases[agent.model]
        if "/" not in agent.model:
            self._wrong(f"unknown model {agent.model!r}{nearest(agent.model, aliases)}", ("agents", name, "model"))
            return None
        return self._proven(ModelSettings(model=models.get("*", agent.model)), ("agents", name, "model"))

    # agents

    def _role(self, name: str, role: str) -> type[Agent] | None:
        return self._found(self._roles, role, ("agents", name, "role"))

    def _profile(
        self,
        name: str,
        agent: spec.Agent,
        aliases: Mapping[str, ModelSettings | None],
        models: Mapping[str, str],
    ) -> Profile | None:
        settings = self._model_of(name, agent, aliases, models)
        persona = None
        if agent.persona is not None:
            persona = self._found(PERSONAS, agent.persona, ("agents", name, "persona"))
        if settings is None:
            return None
        return Profile(name, agent.role, settings, persona, agent.instructions)

    # steps

    def _asked(self) -> set[str]:
        def within(steps: tuple[spec.Step, ...]) -> Iterator[str]:
            for step in steps:
                if isinstance(step, spec.Ask):
                    yield from step.ask
                elif isinstance(step, spec.Repeat):
                    yield from within(step.do)

        return set(within(self._scenario.flow))

    def _steps(
        self,
        steps: tuple[spec.Step, ...],
        path: Path,
        outer: str,
        cast: tuple[str, ...],
        made: Mapping[str, type[Agent] | None],
    ) -> Iterator[Step]:
        for index, step in enumerate(steps):
            at: Path = (*path, index)
            place = f"{outer}.{index}" if outer else str(index)
            if isinstance(step, spec.Ask):
                self._seen.verbs.add("ask")
                yield self._ask(step, at, place, cast, made)
            elif isinstance(step, spec.Repeat):
                yield self._repeat(step, at, place, cast, made)
            elif isinstance(step, spec.Decide):
                yield from self._decide(step, at, place)
            else:
                yield from self._pick(step, at, place)

    def _ask(
        self,
        step: spec.Ask,
        at: Path,
        place: str,
        cast: tuple[str, ...],
        made: Mapping[str, type[Agent] | None],
    ) -> AskStep:
        for number, name in enumerate(step.ask):
            where: Path = (*at, "ask", number)
            if name not in cast:
                self._wrong(f"unknown agent {name!r}{nearest(name, cast)}", where)
                continue
            if name in step.ask[:number]:
                self._wrong(f"agent {name!r} is asked twice in one step", where)
            role = made[name]
            if role is not None and FACTS[step.for_] not in role.gives:
                able = [other for other, kind in made.items() if kind and FACTS[step.for_] in kind.gives]
                hint = f"; {', '.join(able)} can" if able else ""
                sort = self._scenario.agents[name].role
                self._wrong(f"{name!r} is a {sort} and gives no {step.for_}{hint}", where)
        hears = self._hears(step, at, cast)
        self._prove_options(step, at)
        judging = step.judging(self._scenario.judging)
        self._prove_ballots(step, at, judging)
        self._seen.facts.add(step.for_)
        return AskStep(
            place=place,
            agents=step.ask,
            wanted=step.for_,
            in_turn=step.order == "in-turn",
            blind=len(step.ask) > 1 and (step.blind or step.order == "together"),
            hears=hears,
            judging=judging,
        )

    def _hears(self, step: spec.Ask, at: Path, cast: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
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
                if name not in cast:
                    hint = nearest(name, (*cast, EVERYONE, NOBODY))
                    self._wrong(f"unknown agent {name!r}{hint}", (*at, "hears", number))
                    return {}
        return {name: speakers(rule, name, cast) for name in step.ask}

    def _prove_options(self, step: spec.Ask, at: Path) -> None:
        """Check that a step says nothing that means nothing for it, and that reviewers have something to review."""
        known = {"ballot": spec.JUDGING_OPTIONS, "feedback": ("scale",)}.get(step.for_, ())
        for option in spec.JUDGING_OPTIONS:
            if getattr(step, option) is not None and option not in known:
                self._wrong(f"{option} means nothing for a step that asks for {step.for_}", (*at, option))
        for name in step.ask:
            if step.hears is not None:
                self._seen.hears[name] = step.hears
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

    def _repeat(
        self,
        step: spec.Repeat,
        at: Path,
        place: str,
        cast: tuple[str, ...],
        made: Mapping[str, type[Agent] | None],
    ) -> RepeatStep:
        steps = tuple(self._steps(step.do, (*at, "do"), place, cast, made))
        until = None
        if step.until is not None:
            try:
                until = Condition.from_str(step.until)
            except DeclarationError as error:
                self._wrong(str(error), (*at, "until"))
            if until is not None and FED_BY[until.name] not in self._seen.facts:
                self._wrong(
                    f"until: {until.name} needs {FED_BY[until.name]}, and none is asked for",
                    (*at, "until"),
                )
        return RepeatStep(place, step.repeat, steps, until)

    def _decide(self, step: spec.Decide, at: Path, place: str) -> Iterator[DecideStep]:
        self._seen.verbs.add("decide")
        rule = self._found(RULES, step.decide, (*at, "decide"))
        if "ballot" not in self._seen.facts:
            self._wrong("nothing to decide: no ballot is asked for before this step", at)
        elif rule is not None and rule.needs_scores and "direct" in self._seen.strategies:
            self._wrong(f"{step.decide} needs scores, and strategy: direct gives none", (*at, "decide"))
        if rule is not None:
            yield DecideStep(place, step.decide, rule)

    def _pick(self, step: spec.Pick, at: Path, place: str) -> Iterator[PickStep]:
        self._seen.verbs.add("pick")
        pick = self._found(PICKS, step.pick, (*at, "pick"))
        if "draft" not in self._seen.facts:
            self._wrong("nothing to pick from: no draft is asked for before this step", at)
        if pick is not None:
            yield PickStep(place, step.pick, pick)


def _renamed(model: spec.Model, name: str) -> spec.Model:
    if not isinstance(model, ModelSettings):
        return name
    changed: dict[str, object] = {"model": name}
    if name.split("/", maxsplit=1)[0] != model.model.split("/")[0]:
        changed |= {
            "base_url": None,
            "key_env": None,
            "tier": None,
        }  # these were the old one's
    return model.model_copy(update=changed)


def _policy(failing: spec.Failing) -> Policy:
    """Return the table for an agent: only what the world does is tried again or excused, a bug never is.

    What stops the run is no failure of an agent's: nobody is recused for it, and the item stays open.
    """
    return Policy((PolicyRule(RunStopping, 0, "fail"), PolicyRule(ExecutionError, failing.retry, failing.then)))

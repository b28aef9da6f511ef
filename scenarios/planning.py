"""From a scenario to a plan: every name resolved and every step proven before anything is spent."""

from collections.abc import Mapping

from ..agents import PERSONAS, ROLES, Agent, Profile
from ..protocols.errors import DeclarationError, ExecutionError, RunStopping, nearest
from ..protocols.identity import CONDUCTOR
from ..protocols.models import ModelSettings
from ..protocols.registry import Registry
from ..protocols.topology import WORDS
from ..runtime.models.endpoints import with_defaults
from ..runtime.supervision import Policy
from ..runtime.supervision import Rule as PolicyRule
from . import spec
from .flow import Flow
from .measures.families import kin_of
from .problems import Problems
from .source import Path, Source
from .steps import Plan

NEEDED_BY: dict[spec.Gives, str] = {"verdict": "decide", "draft": "pick", "pairs": "pair"}

RESERVED = (*WORDS, CONDUCTOR)
"""Names that an agent cannot have."""


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


class _Planner:
    def __init__(self, scenario: spec.Scenario, source: Source, roles: Registry[type[Agent]]) -> None:
        self._scenario = scenario
        self._roles = roles
        self._problems = Problems(source)

    def plan(self, models: Mapping[str, str]) -> Plan:
        scenario = self._scenario
        aliases = self._aliases(models)
        cast = tuple(scenario.agents)
        for name in cast:
            if name in RESERVED:
                self._problems.add(f"{name!r} is a word of the language, not a name for an agent", ("agents", name))
        made = {name: self._role(name, agent.role) for name, agent in scenario.agents.items()}
        profiles = {name: self._profile(name, agent, aliases, models) for name, agent in scenario.agents.items()}
        flow = Flow(scenario, made, self._families(profiles), self._problems)
        steps = flow.planned()
        needed = NEEDED_BY[scenario.gives]
        if needed not in flow.verbs:
            somewhere = any(spec.verb_of(step) == f"<{needed}>" for step in spec.within(scenario.flow))
            what = (
                f"`{needed}` is not on every way through the flow"
                if somewhere
                else f"no step of the flow has `{needed}`"
            )
            self._problems.add(f"gives {scenario.gives}, and {what}", ("gives",))
        asked = {name for step in spec.within(scenario.flow) for name in _asked(step)}
        for name in cast:
            if name not in asked and asked <= set(cast):  # an unknown name is the likelier mistake
                self._problems.add(f"agent {name!r} is never asked for anything", ("agents", name))
        self._problems.tell()
        return Plan(
            scenario=scenario,
            profiles={name: profile for name, profile in profiles.items() if profile is not None},
            roles={name: role for name, role in made.items() if role is not None},
            policies={name: _policy(agent.failing) for name, agent in scenario.agents.items()},
            flow=steps,
            unasked=tuple(self._problems.unasked),
        )

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
                    self._problems.add(f"aliases in a cycle: {' -> '.join([*ring, model])}", ("models", alias))
                return None
            if model not in declared:
                if "/" not in model:
                    hint = nearest(model, declared)
                    self._problems.add(f"{model!r} is no alias, and no provider/model{hint}", ("models", name))
                    return None
                return self._proven(ModelSettings(model=model), ("models", name))
            name = model

    def _proven(self, settings: ModelSettings, path: Path) -> ModelSettings | None:
        try:
            return with_defaults(settings)
        except DeclarationError as error:
            self._problems.add(str(error), path)
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
            self._problems.add(f"agent {name!r} has no model, and {which}", ("agents", name))
            return None
        if agent.model in aliases:
            return aliases[agent.model]
        if "/" not in agent.model:
            self._problems.add(
                f"unknown model {agent.model!r}{nearest(agent.model, aliases)}", ("agents", name, "model")
            )
            return None
        return self._proven(ModelSettings(model=models.get("*", agent.model)), ("agents", name, "model"))

    # agents

    def _families(self, profiles: Mapping[str, Profile | None]) -> dict[str, str]:
        """Return of what family each agent's model is."""
        return {
            name: kin_of(profile.settings.model, self._scenario.agents[name].family)
            for name, profile in profiles.items()
            if profile is not None
        }

    def _role(self, name: str, role: str) -> type[Agent] | None:
        return self._problems.resolved(self._roles, role, ("agents", name, "role"))

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
            persona = self._problems.resolved(PERSONAS, agent.persona, ("agents", name, "persona"))
        if settings is None:
            return None
        return Profile(name, agent.role, settings, persona, agent.instructions)


def _asked(step: spec.Step) -> tuple[str, ...]:
    match step:
        case spec.Ask():
            return step.ask
        case spec.Pick() | spec.Pair():
            return step.by or ()
        case _:
            return ()


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

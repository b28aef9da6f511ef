"""From a scenario to a plan: every name resolved and every step proven before anything is spent."""

from collections.abc import Iterator, Mapping, Sequence

from ..agents import PERSONAS, ROLES, Agent, Persona, Profile, Prompt
from ..agents.prompt import blocks_of, variables
from ..protocols.debate import ArgumentMade
from ..protocols.errors import DeclarationError, ExecutionError, RunStopping, nearest
from ..protocols.identity import CONDUCTOR
from ..protocols.models import ModelSettings
from ..protocols.registry import Registry
from ..protocols.topology import WORDS
from ..runtime.models.endpoints import with_defaults
from ..runtime.supervision import Policy
from ..runtime.supervision import Rule as PolicyRule
from . import spec
from .cast import Cast
from .declared import Declared, places
from .flow import Flow
from .measures.families import kin_of, own_name
from .problems import Problems
from .source import Path, Source
from .steps import Plan

NEEDED_BY: dict[spec.Gives, str] = {"verdict": "decide", "draft": "pick", "answer": "decide", "pairs": "pair"}

TAKEN_FOR: dict[spec.Gives, spec.Takes] = {"verdict": "comparison", "answer": "question"}
"""What a scenario takes that gives such a thing."""
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
        self._modelless = False
        """Whether no model is named anywhere, which is told once."""

    def plan(self, models: Mapping[str, str]) -> Plan:
        scenario = self._scenario
        self._prove_declared()
        cast = Cast(scenario, self._problems)
        if not cast.declared:
            self._problems.add(
                "there is no agent: say who takes part, as in `agents: {judge: {role: judge}}`", ("agents",)
            )
        aliases = self._aliases(models)
        made = {name: self._role(cast, name) for name in cast.declared}
        self._prove_models(cast, aliases, models)
        profiles = {name: self._profile(cast, name, aliases, models, made[name]) for name in cast.declared}
        known = {name: profile for name, profile in profiles.items() if profile is not None}
        families = {name: kin_of(profile.settings.model, cast.declared[name].family) for name, profile in known.items()}
        own = {name: own_name(profile.settings.model) for name, profile in known.items()}
        flow = Flow(cast, made, families, own, self._problems)
        steps = flow.planned()
        self._prove_gives(flow)
        self._prove_asked(cast, flow)
        self._problems.tell()
        agents = {name: flow.branches.get(name, (name,)) for name in cast.declared}
        held = places(scenario)
        declared = {name: Declared(cast.bare[name], held[id(cast.home[name])]) for name in agents}
        return Plan(
            scenario=scenario,
            profiles={
                each: known[name].called(each, n) for name, names in agents.items() for n, each in _numbered(names)
            },
            roles={each: role for name, names in agents.items() for each in names if (role := made[name]) is not None},
            policies={each: _policy(cast.declared[name].failing) for name, names in agents.items() for each in names},
            flow=steps,
            unasked=tuple(self._problems.unasked),
            warnings=tuple(self._problems.warnings),
            families={each: families[name] for name, names in agents.items() for each in names},
            declared={each: declared[name] for name, names in agents.items() for each in names},
        )

    def _prove_declared(self) -> None:
        """Check what can be seen of the declarations alone."""
        scenario = self._scenario
        for key, names in (("agents", scenario.agents), ("groups", scenario.groups)):
            for name in names:
                if name in RESERVED:
                    self._problems.add(f"{name!r} is a word of the language, not a name of yours", (key, name))
        for name, agent in scenario.agents.items():
            if agent.side is not None and scenario.takes != "comparison":
                what = "side: there are no two answers to argue for: takes must be comparison"
                self._problems.add(what, ("agents", name, "side"))
        if scenario.gives == "answer" and scenario.takes != "question":
            self._problems.add("gives answer, and only a question has one: takes must be question", ("gives",))
        if scenario.gives == "verdict" and scenario.takes != "comparison":
            self._problems.add("gives verdict, and there are no two answers: takes must be comparison", ("gives",))
        if "answers" in scenario.model_fields_set and scenario.takes != "question":
            self._problems.add(
                "answers says how answers to questions are compared: takes must be question", ("answers",)
            )

    def _prove_gives(self, flow: Flow) -> None:
        scenario = self._scenario
        needed, takes = NEEDED_BY[scenario.gives], TAKEN_FOR.get(scenario.gives, scenario.takes)
        if needed in flow.verbs or takes != scenario.takes:  # which is told already
            return
        somewhere = any(spec.verb_of(step) == f"<{needed}>" for step in spec.within(scenario.flow))
        nowhere = f"no step of the flow has `{needed}`"
        what = f"`{needed}` is not on every way through the flow" if somewhere else nowhere
        self._problems.add(f"gives {scenario.gives}, and {what}", ("gives",))

    def _prove_asked(self, cast: Cast, flow: Flow) -> None:
        """Check that nobody is there for nothing; a wrong name is the likelier mistake."""
        if self._problems.misnamed:
            return
        asked: dict[Path, list[tuple[str, bool]]] = {}
        for name, path in cast.paths.items():
            if cast.home[name] is self._scenario:
                asked.setdefault(path, []).append((name, name in flow.involved))
        for path, several in asked.items():
            never = [name for name, is_asked in several if not is_asked]
            if never:
                who = f"{path[1]!r}" if len(never) == len(several) else f"{path[1]!r} ({', '.join(never)})"
                self._problems.add(f"agent {who} is never asked for anything", path)

    # models

    def _prove_models(self, cast: Cast, aliases: Mapping[str, ModelSettings | None], models: Mapping[str, str]) -> None:
        """Check that there is any model at all."""
        self._modelless = not aliases and "*" not in models and not any(each.model for each in cast.declared.values())
        if self._modelless and cast.declared:
            self._problems.add("there is no model: say `models: {NAME: PROVIDER/MODEL}`, or --model PROVIDER/MODEL", ())

    def _aliases(self, models: Mapping[str, str]) -> dict[str, ModelSettings | None]:
        """Return the settings of each alias; None where they could not be found, which is reported."""
        declared = _with_used(self._scenario)
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
        home: spec.Scenario,
        at: Path,
        aliases: Mapping[str, ModelSettings | None],
        models: Mapping[str, str],
    ) -> ModelSettings | None:
        if agent.model is None:
            own = [*(home.models or aliases)]
            if len(own) == 1:
                return aliases[own[0]]
            if not aliases and "*" in models:
                return self._proven(ModelSettings(model=models["*"]), at)
            if own:
                what = f"agent {name!r} has no model, and there are several aliases: {', '.join(own)}"
                self._problems.add(what, at)
            elif not self._modelless:
                self._problems.add(f"agent {name!r} has no model, and there are no aliases", at)
            return None
        if agent.model in aliases:
            return aliases[agent.model]
        if "/" not in agent.model:
            self._problems.add(f"unknown model {agent.model!r}{nearest(agent.model, aliases)}", (*at, "model"))
            return None
        return self._proven(ModelSettings(model=models.get("*", agent.model)), (*at, "model"))

    # agents

    def _role(self, cast: Cast, name: str) -> type[Agent] | None:
        return self._problems.resolved(self._roles, cast.declared[name].role, (*cast.paths[name], "role"))

    def _profile(
        self,
        cast: Cast,
        name: str,
        aliases: Mapping[str, ModelSettings | None],
        models: Mapping[str, str],
        role: type[Agent] | None,
    ) -> Profile | None:
        agent, home, at = cast.declared[name], cast.home[name], cast.paths[name]
        settings = self._model_of(name, agent, home, at, aliases, models)
        persona = None
        if agent.persona is not None:
            persona = self._persona(agent.persona, home, at)
        if (
            agent.side is not None
            and home.takes == "comparison"
            and role is not None
            and ArgumentMade not in role.gives
        ):
            what = f"side is for those who argue, and a {agent.role} gives no argument"
            self._problems.add(what, (*at, "side"))
        prompt = self._prompt(agent, role, at)
        if settings is None:
            return None
        number = cast.number.get(name)
        if number is not None and settings.sample is None:
            settings = settings.model_copy(update={"sample": number})
        return Profile(name, agent.role, settings, persona, agent.instructions, prompt, agent.side, home.answers)

    def _persona(self, name: str, home: spec.Scenario, at: Path) -> Persona | None:
        if name in home.personas:
            own = home.personas[name]
            return Persona(own.title, own.text)
        if name in PERSONAS:
            return PERSONAS[name]
        hint = nearest(name, (*home.personas, *PERSONAS))
        several = next((each.personas for each in home.agents.values() if name in (each.personas or ())), None)
        where = at + (("persona",) if several is None else ("personas", several.index(name)))
        self._problems.add(f"unknown persona {name!r}{hint}", where)
        return None

    def _prompt(self, agent: spec.Agent, role: type[Agent] | None, at: Path) -> Prompt | None:
        """Return an agent's own wordings, proven: no block that its role has not, no variable that nobody fills."""
        if not agent.prompt or role is None:
            return None
        blocks = blocks_of(role)
        for block in agent.prompt:
            if block not in blocks:
                what = f"a {agent.role} has no block {block!r} of a prompt{nearest(block, blocks)}"
                self._problems.add(what, (*at, "prompt", block))
        try:
            prompt = Prompt.of(agent.prompt)
        except DeclarationError as error:
            self._problems.add(str(error), (*at, "prompt"))
            return None
        for block in agent.prompt:
            known = variables(role, block) if block in blocks else frozenset[str]()
            for name in prompt.unknown(block, known) if block in blocks else ():
                what = f"template variable {name!r} is filled by nobody{nearest(name, known)}"
                self._problems.add(what, (*at, "prompt", block))
        return prompt


def _with_used(scenario: spec.Scenario) -> dict[str, spec.Model]:
    """Return the models of a scenario and of those that it uses; what it says itself counts."""
    found = dict(scenario.models)
    for used in scenario.used.values():
        found = {**_with_used(used), **found}
    return found


def _numbered(names: Sequence[str]) -> Iterator[tuple[int | None, str]]:
    """Return agents that are made of one, each with its number; none where there is one only."""
    if len(names) == 1:
        yield None, names[0]
    else:
        yield from enumerate(names, start=1)


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

"""A scenario that can be played: steps and agents with every name resolved."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

from ..agents import Agent, Persona, Profile, wording
from ..protocols.aggregation import Rule
from ..protocols.answering import Answers
from ..protocols.errors import Problem
from ..protocols.items import Item
from ..protocols.judging import Judging
from ..protocols.material import Selection
from ..protocols.models import ModelSettings
from ..protocols.pairing import Data, Filters
from ..protocols.selection import Pick
from ..protocols.sparing import Decided
from ..protocols.stopping import Condition
from ..runtime.supervision import Policy
from . import spec
from .declared import Declared, noted
from .parameter import Scalar


@dataclass(frozen=True, slots=True)
class AskStep:
    """Ask agents for a kind of fact."""

    place: str
    """Where it stands in the flow: `1.0` is the first step of the second."""
    agents: tuple[str, ...]
    wanted: spec.Wanted
    in_turn: bool
    """One after another, as far as `until` lets it come."""
    shuffled: bool
    """In an order of each item's own."""
    blind: bool
    """Whether what is said is delivered only when the step is over."""
    apart: bool
    """A draft for each feedback."""
    hears: Mapping[str, tuple[str, ...]] | spec.Graph
    """For each agent asked, whom it listens to from now on; empty where that stays as it is. A graph is worked out for
    each item."""
    judging: Judging
    until: Condition | Decided | None
    """Whether it is enough is looked at after each answer."""
    anonymous: bool = False
    assign: Literal["round-robin", "random", "picked"] | None = None
    """Only one of the agents is asked."""
    exclude: spec.Exclusion | None = None
    instructions: str | None = None
    """With `$NAME` for what an `each` around it goes through."""
    side: str | None = None
    """a, b, or such a `$NAME`; none: that of each agent."""
    on: str | None = None
    """Such a `$NAME`: a draft; or `picked`."""
    secret: bool = False
    """Whether nobody is ever told what is said."""
    replaces: bool = False
    most: int = 5
    """Criteria."""


@dataclass(frozen=True, slots=True)
class RepeatStep:
    """Play steps several times."""

    place: str
    times: int
    steps: "tuple[Step, ...]"
    until: tuple[Condition, ...]
    """One that holds is enough."""


@dataclass(frozen=True, slots=True)
class WhenStep:
    """Play steps where a condition holds, and others where it does not."""

    place: str
    """Those of its steps are `2.do.0` and `2.else.0`."""
    condition: Condition
    steps: "tuple[Step, ...]"
    otherwise: "tuple[Step, ...]"


@dataclass(frozen=True, slots=True)
class EachStep:
    """Play steps for every one of several things."""

    place: str
    name: str
    """`$NAME` stands for it in the steps."""
    of: tuple[str, ...] | Literal["criteria", "drafts", "candidates", "data"]
    """Texts, or what is known as it is played."""
    column: str | None
    """Of data."""
    most: int
    """How many branches there are at the most: no more agents of their own are made."""
    sample: int | None
    together: bool
    steps: "tuple[Step, ...]"
    """They name agents as they are declared; together, `own` says who speaks in each branch in their place."""
    own: Mapping[str, tuple[str, ...]]
    """For branches that are played together, the agents of each branch by the declared name: first branch first."""
    among: tuple[str, ...] | None = None
    """Whose drafts or criteria it goes through, theirs in branches among them; none: everyone's."""
    tails: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """By the declared name of an agent that branches within these have several of: what those are called after it."""


@dataclass(frozen=True, slots=True)
class DecideStep:
    """Bring the votes to a verdict, or the answers to one answer."""

    place: str
    name: str
    rule: Rule
    among: tuple[str, ...] | None = None
    """Whose votes count; none: everyone's."""
    ties: Literal["tie", "first", "random"] = "tie"
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    of: Literal["ballot", "answer"] = "ballot"
    """What is counted."""


@dataclass(frozen=True, slots=True)
class Jury:
    """Judges of drafts."""

    judges: tuple[str, ...]
    """None of them where nobody is to be asked."""
    judging: Judging
    rule_name: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class PickStep:
    """Choose a draft."""

    place: str
    name: str
    pick: Pick
    writers: tuple[str, ...]
    """Whose drafts count."""
    jury: Jury
    eligible: Mapping[frozenset[str], tuple[str, ...]]
    """The judges who are asked, by the one or two writers of the drafts that are compared."""


@dataclass(frozen=True, slots=True)
class PairStep:
    """Make preference pairs."""

    place: str
    data: Data
    selection: Selection
    filters: Filters
    writers: tuple[str, ...]
    """Whose drafts count."""
    jury: Jury
    eligible: Mapping[frozenset[str], tuple[str, ...]]
    """The judges whose votes count, by the one or two writers of the drafts that are compared."""


Step = AskStep | RepeatStep | WhenStep | EachStep | DecideStep | PickStep | PairStep


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario that can be played: nothing in it is a name that could fail to resolve."""

    scenario: spec.Scenario
    profiles: Mapping[str, Profile]
    """Every agent: those that `count`, `personas`, `use` and branches of an `each` make, too."""
    roles: Mapping[str, type[Agent]]
    """The class of each agent, by the agent's name."""
    policies: Mapping[str, Policy]
    flow: tuple[Step, ...]
    unasked: tuple[Problem, ...] = ()
    """Why it is not played, though nothing in it is wrong: judges would label what their own family wrote."""
    warnings: tuple[Problem, ...] = ()
    """What is right and played, and yet better known: judges would judge what their own family wrote, among others."""
    families: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of what family each agent's model is."""
    declared: Mapping[str, Declared] = field(default_factory=dict[str, Declared])
    """Where each agent is declared."""

    @property
    def models(self) -> tuple[ModelSettings, ...]:
        """Return the models it needs, each once."""
        return tuple(dict.fromkeys(profile.settings for profile in self.profiles.values()))

    @property
    def answers(self) -> frozenset[Answers]:
        """Return in which ways answers to questions are compared."""
        return frozenset({self.scenario.answers})

    @property
    def lists(self) -> frozenset[str]:
        """Return the columns of the data that hold lists which an `each` goes through."""
        return frozenset(_columns(self.flow))

    def of(self, item: Item) -> "Plan":
        """Return the plan that an item is played by: this one."""
        del item
        return self

    def record(self) -> dict[str, Any]:
        """Return all that decides what is said, seed apart, for comparison with a later start."""
        return {
            "scenario": self.scenario.document(),
            "models": {
                name: profile.settings.model_dump(mode="json", exclude_defaults=True)
                for name, profile in self.profiles.items()
            },
            "prompts": self.prompt_digests(),
            **noted(self.declared),
        }

    def cast(self, item: Item) -> dict[str, Callable[[], Agent]]:
        """Return a maker for each agent of a conversation about an item."""
        return {name: _maker(self.roles[name], profile, item) for name, profile in self.profiles.items()}

    def prompt_digests(self) -> dict[str, str]:
        """Return for each agent the digest of its role's wording and, where it has them, of its own and its persona."""
        return {name: _digest(role, self.profiles[name]) for name, role in sorted(self.roles.items())}


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the ways in which a sweep plays every item."""

    plan: Plan
    over: Mapping[str, Scalar]
    """What tells it from the others: the scenario under `play`, and each value that is varied, by its path."""


@dataclass(frozen=True, slots=True)
class Swept:
    """A sweep that can be played: every item by every variant."""

    scenario: spec.Sweep
    variants: Mapping[str, Variant]

    @property
    def unasked(self) -> tuple[Problem, ...]:
        """Return why it is not played, though nothing in it is wrong."""
        return tuple(dict.fromkeys(each for variant in self.variants.values() for each in variant.plan.unasked))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Return what is right and played, and yet better known."""
        return tuple(dict.fromkeys(each for variant in self.variants.values() for each in variant.plan.warnings))

    @property
    def models(self) -> tuple[ModelSettings, ...]:
        """Return the models it needs, each once."""
        return tuple(dict.fromkeys(model for variant in self.variants.values() for model in variant.plan.models))

    @property
    def answers(self) -> frozenset[Answers]:
        """Return in which ways answers to questions are compared."""
        return frozenset(variant.plan.scenario.answers for variant in self.variants.values())

    @property
    def lists(self) -> frozenset[str]:
        """Return the columns of the data that hold lists which an `each` goes through, in any variant."""
        return frozenset(column for variant in self.variants.values() for column in variant.plan.lists)

    def of(self, item: Item) -> Plan:
        """Return the plan that an item is played by."""
        return self.variants[item.variant or ""].plan

    def record(self) -> dict[str, Any]:
        """Return all that decides what is said, seed apart, for comparison with a later start."""
        variants = {
            name: {**variant.plan.record(), "over": dict(variant.over)} for name, variant in self.variants.items()
        }
        return {"scenario": self.scenario.document(), "variants": variants}


def _columns(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        match step:
            case EachStep():
                yield from (step.column,) if step.column is not None else ()
                yield from _columns(step.steps)
            case RepeatStep():
                yield from _columns(step.steps)
            case WhenStep():
                yield from _columns((*step.steps, *step.otherwise))
            case _:
                pass


Playable = Plan | Swept
"""What a run is of."""


def _digest(role: type[Agent], profile: Profile) -> str:
    own = profile.prompt.digest if profile.prompt is not None else ""
    return "+".join(filter(None, (wording(role), own, _persona_digest(profile.persona))))


def _persona_digest(persona: Persona | None) -> str:
    return "" if persona is None else blake2b(f"{persona.title}\0{persona.text}".encode(), digest_size=8).hexdigest()


def _maker(role: type[Agent], profile: Profile, item: Item) -> Callable[[], Agent]:
    return lambda: role(profile, item)

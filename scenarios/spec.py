"""The scenario language: what a file says, and the Python API, are these models."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)

from ..protocols.answering import Answers
from ..protocols.items import Slot
from ..protocols.judging import Judging, Orders, Reconcile, StrategyName
from ..protocols.models import ModelSettings
from ..protocols.pairing import Data
from .parameter import Declared, Name, Parameter, Scalar

Takes = Literal["instruction", "comparison", "question"]
Gives = Literal["verdict", "draft", "pairs", "answer"]
Wanted = Literal["draft", "answer", "feedback", "argument", "ballot", "summary", "approval", "criteria", "question"]


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_one_or_more),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


Exclusion = Literal["own", "model", "family"]

JUDGING_OPTIONS = ("strategy", "scale", "orders", "reconcile", "samples", "confidence")
"""What a step that asks for ballots may say of them."""


class Failing(Declared):
    """What becomes of an agent whose model cannot be asked or understood."""

    retry: int = Field(default=0, ge=0, le=10, strict=True)
    """How often the agent tries the same command again, beyond the retries of each call."""
    then: Literal["fail", "recuse"] = "fail"
    """fail: the item fails. recuse: the item goes on without this agent."""


class Persona(Declared):
    """A point of view of your own."""

    title: str
    """Who it is, as in `a patent lawyer`: its agent is told `You are a patent lawyer`."""
    text: str = ""
    """What it cares about, in words addressed to it."""


class Agent(Declared):
    """Someone who takes part."""

    role: str
    """What it can do: generator, solver, reviewer, peer, debater, judge, juror, moderator, or a role of your own."""
    model: str | None = None
    """An alias of `models`, or provider/model; may be left out where there is one alias only."""
    persona: str | None = None
    """The point of view it takes, such as critic: of those that come along, or of the scenario's `personas`."""
    personas: Names | None = None
    """Several points of view: one agent for each, called NAME-PERSONA; NAME stands for all of them."""
    count: int = Field(default=1, ge=1, le=100, strict=True)
    """How many there are: NAME-1, NAME-2, …; NAME stands for all of them."""
    side: Slot | None = None
    """Of a debater: the candidate it argues for, where a step does not say otherwise."""
    instructions: str = ""
    """Your own words to it, added to its system message."""
    prompt: dict[str, str] = Field(default_factory=dict[str, str])
    """Wordings of your own, in place of its role's: templates by block, as in `argument`."""
    failing: Failing = Failing()
    """What to do when it fails."""
    family: str | None = None
    """Whose model it is, where its name does not tell: judges make no pairs of their own family's answers."""


class Graph(Declared):
    """A graph over those who are asked: each hears its neighbours."""

    graph: Literal["complete", "ring", "relay", "star", "tree", "small-world", "random"]
    """complete: everyone hears everyone. ring: each its two neighbours. relay: each the one before it, the first the
    last. star: the centre hears all, and all the centre. tree: parents and children hear one another. small-world: a
    ring of `k` neighbours, some of them exchanged by chance. random: each hears `k` others, drawn by seed and item."""
    k: int | None = Field(default=None, ge=1, strict=True)
    """Of a random graph: whom each hears (2). Of a small world: neighbours of each, an even number (2). Of a tree: the
    children of each (2)."""
    centre: str | None = None
    """Of a star: who is in the middle; else the first one."""
    rewired: float = Field(default=0.1, ge=0, le=1)
    """Of a small world: the share of neighbours exchanged by chance."""


def _sort_of_hearing(value: object) -> str:
    return "<graph>" if isinstance(value, (dict, Graph)) else "<names>"


Hears = Annotated[Annotated[Names, Tag("<names>")] | Annotated[Graph, Tag("<graph>")], Discriminator(_sort_of_hearing)]


class Ask(Declared):
    """Ask agents for something, and wait until all have answered."""

    ask: Names
    """The agents, or groups of them, in this order."""
    for_: Wanted = Field(validation_alias="for", serialization_alias="for")
    """The kind of fact wanted."""
    order: Literal["together", "in-turn", "alternating", "random"] = "together"
    """together: all at once, hearing one another only when the step is over. in-turn: one after another. alternating:
    one after another, the groups in turns: the first of each, then the second of each. random: one after another, in
    an order by seed and item."""
    instructions: str | None = None
    """Your own words to them for this step, added to the request; `$name` is that of an `each` around it, and
    `$decision` what was decided last."""
    until: str | None = None
    """For agents asked one after another: nobody else is asked after an answer with which it holds. decided (no vote
    still to come could change the verdict of the decide that follows), or a condition as of repeat."""
    hears: Hears | None = None
    """Whom those asked listen to from now on: everyone, nobody, names, or a graph as in `{graph: ring}`. Left out: as
    before, at first nobody. Whoever begins to listen is told all that was said so far."""
    blind: bool = False
    """Whether those who speak in turn hear one another only when the step is over."""
    anonymous: bool = False
    """Whether those who hear it are not told who says it: they know speakers as `Speaker 1`, `Speaker 2`, …"""
    assign: Literal["round-robin", "random", "picked"] | None = None
    """Only one of them, of those whom `exclude` leaves, is asked: the one whose turn it is by the item's place in the
    data, one by seed and item, or, of writers, the one whose draft was picked last."""
    exclude: Exclusion | None = None
    """Who is not asked, of those who would judge: own (a peer, of its own draft), model or family (whose own wrote one
    of the candidates, or the draft in `on`)."""
    side: str | None = None
    """For arguments: the candidate to argue for, a or b, or the `$name` of an `each` of candidates."""
    on: str | None = None
    """The draft it is about: the `$name` of an `each` of drafts, or picked."""
    secret: bool = False
    """Whether nobody is ever told what is said in this step, whoever listens then or later."""
    replaces: bool = False
    """For a summary: whether those who hear it forget what they heard, and said, before it."""
    most: int | None = Field(default=None, ge=1, le=50, strict=True)
    """For criteria: how many at the most (5)."""
    apart: bool = False
    """For drafts: whether a writer revises once for each of those who gave it feedback, by that one's alone."""
    strategy: StrategyName | None = None
    """For ballots: overrides the scenario's judging."""
    scale: int | None = Field(default=None, ge=1, le=1000, strict=True)
    """For ballots and feedback: overrides the scenario's judging."""
    orders: Orders | None = None
    """For ballots: overrides the scenario's judging."""
    reconcile: Reconcile | None = None
    """For ballots: overrides the scenario's judging."""
    samples: int | None = Field(default=None, ge=1, le=100, strict=True)
    """For ballots: overrides the scenario's judging."""
    confidence: bool | None = None
    """For ballots and answers: overrides the scenario's judging."""

    def judging(self, default: Judging) -> Judging:
        """Return how ballots of this step are cast."""
        own = {name: getattr(self, name) for name in JUDGING_OPTIONS}
        return default.model_copy(update={name: value for name, value in own.items() if value is not None})


def _one_or_several(value: object) -> str:
    return "<several>" if isinstance(value, (list, tuple)) else "<one>"


Conditions = Annotated[
    Annotated[str, Tag("<one>")] | Annotated[tuple[str, ...], Field(min_length=1), Tag("<several>")],
    Discriminator(_one_or_several),
]
"""A condition, or several of which one is enough."""


class Repeat(Declared):
    """Do steps several times, or until a condition holds."""

    repeat: int = Field(ge=1, le=1000, strict=True)
    """The number of rounds, at most."""
    do: "tuple[Step, ...]" = Field(min_length=1)
    """The steps of a round."""
    until: Conditions | None = None
    """Ends the repeat after a round in which it, or one of several, holds: consensus, settled, unchanged, or a
    comparison such as `score >= 9.5` or `without-gain >= 2`."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """Return the conditions of `until`."""
        return (self.until,) if isinstance(self.until, str) else self.until or ()


class Decide(Declared):
    """Bring the last vote of everyone to one verdict, or the last answer of everyone to one answer."""

    decide: str
    """The aggregation rule: unique-mode, majority, mean-score, median-score, weighted, confidence-weighted, borda or
    meta-judge."""
    among: Names | None = None
    """Whose votes or answers count; left out: everyone's."""
    ties: Literal["tie", "first", "random"] = "tie"
    """What a split comes to: a tie (of answers: none), what the first of those who are level said, or one of them by
    seed and item."""
    weights: dict[str, float] = Field(default_factory=dict[str, float])
    """For weighted: what each agent's vote counts, at least 0; who is not named counts 1."""
    by: str | None = None
    """For meta-judge: who hears the votes, casts one more, and whose vote is the verdict."""


class _Judged(Declared):
    """A step in which judges compare drafts."""

    by: Names | None = None
    """Who judges."""
    among: Names | None = None
    """The writers whose drafts count; left out: all."""
    strategy: StrategyName | None = None
    """Overrides the scenario's judging."""
    scale: int | None = Field(default=None, ge=1, le=1000, strict=True)
    """Overrides the scenario's judging."""
    orders: Orders | None = None
    """Overrides the scenario's judging. Left out in both: both, so that neither draft gains by its place."""
    reconcile: Reconcile | None = None
    """Overrides the scenario's judging."""
    samples: int | None = Field(default=None, ge=1, le=100, strict=True)
    """Overrides the scenario's judging."""
    confidence: bool | None = None
    """Overrides the scenario's judging."""
    rule: str = "unique-mode"
    """How several judges' votes become one verdict: as of decide."""

    def judging(self, default: Judging) -> Judging:
        """Return how drafts are compared in this step."""
        own = {name: value for name in JUDGING_OPTIONS if (value := getattr(self, name)) is not None}
        orders = {} if "orders" in default.model_fields_set else {"orders": "both"}
        return default.model_copy(update={**orders, **own})


class Pick(_Judged):
    """Choose one of the drafts written so far; where more are written, that one is revised next."""

    pick: str
    """The way to pick: last, first, best (by the scores of reviewers, or of the judges in `by`), knock-out or
    round-robin (by judges)."""
    exclude: Exclusion | None = None
    """Who does not judge a draft: own (a peer, its own), model or family (what their own wrote)."""
    as_published: bool = False
    """Whether a knock-out is played as the paper's own code did it: each match in one order, and from the third draft
    on inverted, so that what scores lower is taken."""


class Pair(_Judged):
    """Make preference pairs of what was said; what is not yet compared is compared by the judges in `by`."""

    pair: Data
    """generation: of answers to the item's prompt. workflow: of feedback and revisions."""
    select: Literal["best-worst", "best-all", "consecutive", "all", "consensus"] | None = None
    """For generation: the best draft and the worst; the best and each other one (the default); each draft and the one
    that revises it; every two; or, of answers, each that is what was decided on against each that is not, which asks
    no judge."""
    versions: tuple[int, int] | None = None
    """For generation, in place of select: two versions of each writer, as in [3, 1]."""
    margin: float = Field(default=0.0, ge=0)
    """The least difference of mean scores; 0 asks for none."""
    quorum: int = Field(default=1, ge=1, strict=True)
    """The least number of judges whose vote could be read."""
    agreement: float = Field(default=0.0, ge=0, le=1)
    """The least share of the votes that could be read which must be for the better one."""
    own_family: bool = False
    """Whether judges are asked about drafts that a model of their own family wrote."""


class When(Declared):
    """Do steps where a condition holds, and others, or none, where it does not."""

    when: str
    """consensus, disagreement, settled, unchanged, or a comparison such as `agreement < 0.8`."""
    do: "tuple[Step, ...]" = Field(min_length=1)
    """The steps where it holds."""
    else_: "tuple[Step, ...]" = Field(
        default_factory=tuple, min_length=1, validation_alias="else", serialization_alias="else"
    )
    """The steps where it does not."""


class Each(Declared):
    """Do steps for every one of several things."""

    each: Name
    """A name for it: `$NAME` stands for it in instructions, `on` and `side` of the steps."""
    of: "str | tuple[str, ...]"
    """What: a list of texts; criteria (as last proposed), drafts (the last of each writer), candidates (a and b), or
    data.COLUMN, a list in a column of the data that is kept as metadata."""
    do: "tuple[Step, ...]" = Field(min_length=1)
    """The steps."""
    order: Literal["in-turn", "together"] = "in-turn"
    """in-turn: one after another, by the same agents. together: all at once, each by agents of its own, who hear
    nothing of the other branches: agent NAME is NAME-1 in the first, and NAME stands for all of them afterwards."""
    most: int | None = Field(default=None, ge=1, le=100, strict=True)
    """How many at the most, of criteria and of data (10)."""
    sample: int | None = Field(default=None, ge=1, strict=True)
    """Take so many of them only, drawn by seed and item."""


class Use(Declared):
    """Play another scenario's steps here."""

    use: str
    """A scenario of the library, or a file beside this one."""
    set: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Its parameters, by name, and other parts of it, by their paths, as in `judging.scale: 5`."""
    as_: dict[str, Name] = Field(default_factory=dict[str, str], validation_alias="as", serialization_alias="as")
    """Which of its agents are which of ours: theirs: ours. The others come along, as USED-NAME."""


VERBS = ("ask", "repeat", "when", "each", "decide", "pick", "use", "pair")


def verb_of(step: object) -> str | None:
    """Return the tag of a step: the one verb it has."""
    found = [verb for verb in VERBS if (verb in step if isinstance(step, dict) else hasattr(step, verb))]
    return f"<{found[0]}>" if len(found) == 1 else None


Step = Annotated[
    Annotated[Ask, Tag("<ask>")]
    | Annotated[Repeat, Tag("<repeat>")]
    | Annotated[When, Tag("<when>")]
    | Annotated[Each, Tag("<each>")]
    | Annotated[Decide, Tag("<decide>")]
    | Annotated[Pick, Tag("<pick>")]
    | Annotated[Use, Tag("<use>")]
    | Annotated[Pair, Tag("<pair>")],
    Discriminator(
        verb_of,
        custom_error_type="verb",
        custom_error_message=f"a step has exactly one verb of {', '.join(VERBS)}",
    ),
]


def within(steps: Iterable[Step]) -> Iterator[Step]:
    """Return steps, each followed by those inside it."""
    for step in steps:
        yield step
        if isinstance(step, (Repeat, Each)):
            yield from within(step.do)
        elif isinstance(step, When):
            yield from within((*step.do, *step.else_))


def _sort_of_model(value: object) -> str:
    return "<name>" if isinstance(value, str) else "<settings>"


Model = Annotated[
    Annotated[str, Tag("<name>")] | Annotated[ModelSettings, Tag("<settings>")], Discriminator(_sort_of_model)
]


class Scenario(Declared):
    """Who takes part, and how the talk goes."""

    scenario: Name
    """Its name."""
    about: str = ""
    """What it does, in a sentence or two; sources go here."""
    takes: Takes
    """What an item offers: an instruction to answer, a comparison of two answers a and b, or a question with a known
    answer."""
    parameters: dict[Name, Scalar | Parameter] = Field(default_factory=dict[str, Scalar | Parameter])
    """What may be chosen for each run, by name: a default, or a default with its choices or bounds."""
    judging: Judging = Judging()
    """How ballots are cast, where a step does not say otherwise."""
    answers: Answers = "exact"
    """How answers to questions are compared: exact (the same words), numeric (the same number) or choice (the same one
    of the item's choices)."""
    models: dict[str, Model] = Field(default_factory=dict[str, Model])
    """Aliases: a provider/model, another alias, or a model with its settings."""
    agents: dict[Name, Agent] = Field(default_factory=dict[str, Agent])
    """Who takes part, by name."""
    groups: dict[Name, Names] = Field(default_factory=dict[str, tuple[str, ...]])
    """Names for several agents: wherever agents are named, a group stands for its members."""
    personas: dict[Name, Persona] = Field(default_factory=dict[str, Persona])
    """Points of view of your own, by name; in a file of their own: its name."""
    flow: tuple[Step, ...] = Field(min_length=1)
    """The steps, in order."""
    gives: Gives
    """What comes out: a verdict, a draft, an answer, or preference pairs."""
    chosen: dict[Name, Any] = Field(default_factory=dict[str, Any])
    """What its parameters were, where it was played with any; written by runs."""
    used: "dict[str, Scenario]" = Field(default_factory=dict[str, "Scenario"])
    """The scenarios that it plays steps of, by their names; filled in as it is loaded."""

    def document(self) -> dict[str, Any]:
        """Return the scenario as a file would say it, defaults left out."""
        found = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        if "orders" in self.judging.model_fields_set and any(map(_compares, within(self.flow))):
            found.setdefault("judging", {})["orders"] = self.judging.orders  # left out, it is both there
        return found


def _compares(step: Step) -> bool:
    return isinstance(step, (Pick, Pair)) and step.by is not None


def _sort_of_values(value: object) -> str:
    return "<every>" if isinstance(value, str) else "<values>"


Values = Annotated[
    Annotated[Literal["every"], Tag("<every>")] | Annotated[tuple[Scalar, ...], Tag("<values>")],
    Discriminator(_sort_of_values),
]


class Leg(Declared):
    """A scenario that a sweep plays, and what of it is varied."""

    play: str
    """A scenario of the library, or a file: beside the sweep's own."""
    set: dict[str, Scalar] = Field(default_factory=dict[str, Scalar])
    """Parts of the scenario that are replaced, by their paths, as in `judging.orders: both`."""
    over: dict[str, Values] = Field(default_factory=dict[str, Values])
    """Parts that take each of several values, by their paths. Every combination is a variant. `every`, for a model:
    each of the sweep's models."""
    distinct: tuple[str, ...] = ()
    """Paths under `over` of which no two have the same value: other combinations are no variants."""


class Sweep(Declared):
    """Several scenarios, or one in several ways, each played for every item: the ways are compared."""

    scenario: Name
    """Its name."""
    about: str = ""
    """What it does, in a sentence or two; sources go here."""
    takes: Takes
    """What an item offers, as of the scenarios it plays."""
    parameters: dict[Name, Scalar | Parameter] = Field(default_factory=dict[str, Scalar | Parameter])
    """What may be chosen for each run, by name: a default, or a default with its choices or bounds."""
    judging: dict[str, Scalar] = Field(default_factory=dict[str, Scalar])
    """How ballots are cast in all of them, where a leg does not say otherwise."""
    models: dict[str, Model] = Field(min_length=1)
    """The models that are compared, by the names they have in tables: each a provider/model, or one with settings."""
    sweep: tuple[Leg, ...] = Field(min_length=1)
    """What is played."""
    gives: Gives
    """What comes out, as of the scenarios it plays."""
    chosen: dict[Name, Any] = Field(default_factory=dict[str, Any])
    """What its parameters were, where it was played with any; written by runs."""

    def document(self) -> dict[str, Any]:
        """Return the sweep as a file would say it, defaults left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


Document = Scenario | Sweep
"""What a file declares."""

TAGS = frozenset(
    {
        *(f"<{verb}>" for verb in VERBS),
        *("<name>", "<settings>", "<every>", "<values>", "<one>", "<several>", "<names>", "<graph>"),
    }
)
"""What pydantic adds to a place to say which variant it took."""


def known_fields(*path: str | int, sort: type[Document] = Scenario) -> tuple[str, ...]:
    """Return the keys that may stand at a path of a document, such as ('flow', 0, '<ask>'); for hints."""
    models: dict[str, type[BaseModel]] = {
        "<ask>": Ask, "<repeat>": Repeat, "<when>": When, "<each>": Each, "<decide>": Decide, "<pick>": Pick,
        "<use>": Use, "<pair>": Pair, "<graph>": Graph, "<settings>": ModelSettings, "failing": Failing,
        "judging": Judging,
    }  # fmt: skip
    model = models.get(str(path[-1])) if path else sort
    if len(path) == 2 and path[0] == "sweep":
        model = Leg
    if len(path) == 2 and path[0] in ("agents", "personas"):
        model = Agent if path[0] == "agents" else Persona
    if model is None:
        return ()
    return tuple(_key(name, field.validation_alias) for name, field in model.model_fields.items())


def _key(name: str, alias: object) -> str:
    """Return what a file calls a field: a word of Python's own has another name in Python."""
    return alias if isinstance(alias, str) else name

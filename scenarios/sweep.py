"""A sweep: several scenarios, or one in several ways, played for every item of a data set in one run.

What is compared is played side by side: all variants of an item before the next item's, so that a run that is stopped
has compared them on the same items. Requests that two variants share word for word are the cache's business.
"""

import itertools
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any, Protocol, cast

from ..agents import ROLES, Agent
from ..protocols.errors import DeclarationError, Problem, nearest
from ..protocols.identity import ItemId
from ..protocols.items import Item
from ..protocols.models import ModelSettings
from ..protocols.registry import Registry
from . import spec
from .loading import library, prove_meant, set_value, source_of, validate
from .parameter import Scalar
from .planning import plan
from .source import Path, Source
from .steps import Swept, Variant

EVERY = "every"
MOST_VARIANTS = 500
"""Ways in which one run plays an item."""


def sweep(
    declared: spec.Sweep,
    *,
    source: Source | None = None,
    models: Sequence[tuple[str | None, str]] = (),
    roles: Registry[type[Agent]] = ROLES,
) -> Swept:
    """Resolve a sweep: every variant is a scenario that is proven.

    Args:
        declared: What to play.
        source: The document it came from, for the places of problems.
        models: Models that are compared in place of the sweep's own: name and provider/model; without a name it has
            the model's. Where all names are the sweep's own, they replace those, and the others stay.
        roles: What agents can be.

    Raises:
        DeclarationError: all that is wrong, each at its place.
    """
    source = source or Source(declared.scenario, {})
    compared = _compared(declared, models)
    variants: dict[str, Variant] = {}
    seen: set[str] = set()
    """What is played already: legs may have variants in common."""
    problems: list[Problem] = []
    for number, leg in enumerate(declared.sweep):
        try:
            for name, variant in _variants(declared, leg, number, compared, source, roles):
                if name in variants and variants[name].plan != variant.plan:
                    problems.append(source.problem(f"two variants are called {name!r}", ("sweep", number)))
                record = json.dumps(variant.plan.record(), sort_keys=True)
                if record not in seen:
                    seen.add(record)
                    variants[name] = variant
        except DeclarationError as error:
            problems.extend(problem for problem in error.problems if problem not in problems)
    if not variants and not problems:
        what = "no combination is left to play: every one has values alike that distinct asks to differ"
        problems.append(source.problem(what, ("sweep",)))
    if len(variants) > MOST_VARIANTS:
        problems.append(source.problem(f"{len(variants):,} variants: {MOST_VARIANTS} is the most", ("sweep",)))
    if problems:
        raise DeclarationError(problems)
    return Swept(declared, variants)


def _compared(declared: spec.Sweep, models: Sequence[tuple[str | None, str]]) -> dict[str, spec.Model]:
    """Return the models that are compared, by name."""
    for _, model in models:
        if "/" not in model:
            raise DeclarationError(f"--model {model!r} is no provider/model, as in openai/gpt-4o-mini")
    named = [(name or model.rpartition("/")[2], model) for name, model in models]
    chosen: dict[str, spec.Model] = dict(named)
    if len(chosen) < len(named):
        twice = next(name for name in chosen if [each for each, _ in named].count(name) > 1)
        raise DeclarationError(f"--model names {twice!r} twice: NAME=PROVIDER/MODEL tells them apart")
    own = declared.models
    if not chosen:
        return own
    return {**own, **chosen} if chosen.keys() <= own.keys() else chosen


def _variants(
    declared: spec.Sweep,
    leg: spec.Leg,
    number: int,
    compared: Mapping[str, spec.Model],
    source: Source,
    roles: Registry[type[Agent]],
) -> Iterator[tuple[str, Variant]]:
    at: Path = ("sweep", number)
    base = _played(leg, at, source)
    for path in leg.over.keys() & leg.set.keys():
        raise DeclarationError([source.problem(f"{path} stands under set and under over", (*at, "over", path))])
    _prove_distinct(leg, at, source)
    fixed = {**{f"judging.{name}": value for name, value in declared.judging.items()}, **leg.set}
    lists = [_values(path, values, compared, (*at, "over", path), source) for path, values in leg.over.items()]
    for combination in itertools.product(*lists):
        over = dict(zip(leg.over, combination, strict=True))
        if len({over[path] for path in leg.distinct}) < len(leg.distinct):
            continue
        yield _variant(base, fixed, over, compared, at, source, declared, roles)


def _prove_distinct(leg: spec.Leg, at: Path, source: Source) -> None:
    """Raise DeclarationError where `distinct` names what is not varied, or too little to differ."""
    for place, path in enumerate(leg.distinct):
        if path not in leg.over:
            what = f"distinct: {path} does not stand under over{nearest(path, leg.over)}"
            raise DeclarationError([source.problem(what, (*at, "distinct", place))])
    if leg.distinct and len(set(leg.distinct)) < max(len(leg.distinct), 2):
        what = "distinct takes two different paths or more, as in [models.writer, models.other]"
        raise DeclarationError([source.problem(what, (*at, "distinct"))])


def _variant(
    base: Source,
    fixed: Mapping[str, Scalar],
    over: dict[str, Scalar],
    compared: Mapping[str, spec.Model],
    at: Path,
    source: Source,
    declared: spec.Sweep,
    roles: Registry[type[Agent]],
) -> tuple[str, Variant]:
    document: dict[str, Any] = json.loads(json.dumps(base.document))
    try:
        for path, value in {**fixed, **over}.items():
            model = compared.get(str(value)) if path.startswith("models.") else None
            made = model.model_dump(mode="json", exclude_defaults=True) if isinstance(model, ModelSettings) else model
            set_value(document, path, value if made is None else made, f"{path}: {value}")
    except DeclarationError as error:
        raise DeclarationError([source.problem(str(error), at)]) from error
    if document.get("judging", {}).get("strategy") == "direct":
        document["judging"].pop("scale", None)  # it has none, so that it is played once, whatever the scales
        over = {path: value for path, value in over.items() if path != "judging.scale"}
    changed = replace(base, document=document, name=f"{base.name}, as {source.name} plays it", file=base.lies)
    scenario = validate(changed)
    if not isinstance(scenario, spec.Scenario):
        raise DeclarationError([source.problem("a sweep cannot play a sweep", (*at, "play"))])
    if (scenario.takes, scenario.gives) != (declared.takes, declared.gives):
        what = f"{scenario.scenario} takes {scenario.takes} and gives {scenario.gives}, and the sweep "
        what += f"takes {declared.takes} and gives {declared.gives}"
        raise DeclarationError([source.problem(what, (*at, "play"))])
    for path, value in {**fixed, **over}.items():
        try:
            prove_meant(document, path, f"{path}: {value}")
        except DeclarationError as error:
            raise DeclarationError([source.problem(str(error), at)]) from error
    made_plan = plan(scenario, source=changed, roles=roles)
    facts = {"play": scenario.scenario, **over}
    return "/".join(str(value) for value in facts.values()), Variant(made_plan, facts)


def _played(leg: spec.Leg, at: Path, source: Source) -> Source:
    """Return the document of the scenario that a leg plays: a name of the library, or a file beside the sweep's."""
    if leg.play in library():
        return source_of(leg.play)
    file = FilePath(source.lies).parent / leg.play
    if file.is_file():
        return source_of(str(file))
    hint = "" if leg.play.endswith((".yaml", ".yml")) else nearest(leg.play, library())
    what = f"there is no scenario {leg.play!r}, neither in the library nor beside this file{hint}"
    raise DeclarationError([source.problem(what, (*at, "play"))])


def _values(
    path: str, values: tuple[Scalar, ...] | str, compared: Mapping[str, spec.Model], at: Path, source: Source
) -> tuple[Scalar, ...]:
    is_model = path.startswith("models.")
    if values == EVERY:
        if not is_model:
            what = f"{EVERY} is for models, as in models.judge: {EVERY}"
            raise DeclarationError([source.problem(what, at)])
        return tuple(compared)
    given = cast("tuple[Scalar, ...]", values)
    if not given:
        raise DeclarationError([source.problem(f"{path} has no values", at)])
    if is_model:
        for value in given:
            if value not in compared and "/" not in str(value):
                what = f"unknown model {value!r}{nearest(str(value), compared)}"
                raise DeclarationError([source.problem(what, at)])
    return given


class _Items(Protocol):
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Item]: ...


@dataclass(frozen=True)
class SweptItems:
    """The items of a data set, each once for every variant; iterated as often as the data set can be."""

    items: _Items
    variants: tuple[str, ...]

    @property
    def mark(self) -> str:
        """All that decides what the items are; empty where the data set has no mark.

        It is the mark of the data set with the variants in it, so that the data set still knows its own.
        """
        mark = getattr(self.items, "mark", "")
        return json.dumps({**json.loads(mark), "variants": self.variants}) if mark else ""

    def __len__(self) -> int:
        return len(self.items) * len(self.variants)

    def __iter__(self) -> Iterator[Item]:
        return (item for _, item in self.numbered())

    def numbered(self, but: Container[str] = ()) -> Iterator[tuple[int, Item]]:
        """Return items with their place among all, from 0, but those of some ids."""
        numbered: Callable[..., Iterable[tuple[int, Item]]] | None = getattr(self.items, "numbered", None)
        ended = _Ended(but, self.variants)
        for number, item in enumerate(self.items) if numbered is None else numbered(but=ended):
            for place, variant in enumerate(self.variants):
                name = ItemId(f"{variant}/{item.id}")
                if name not in but:
                    yield number * len(self.variants) + place, item.model_copy(update={"id": name, "variant": variant})


@dataclass(frozen=True, slots=True)
class _Ended:
    """The items that are played by no variant any more."""

    but: Container[str]
    variants: tuple[str, ...]

    def __contains__(self, item: object) -> bool:
        return all(f"{variant}/{item}" in self.but for variant in self.variants)

    def __bool__(self) -> bool:
        return bool(self.but)

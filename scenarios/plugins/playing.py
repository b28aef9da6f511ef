"""Which plugins a plan needs, and whether those that a run was played with are there."""

from collections.abc import Iterable, Iterator, Mapping
from shlex import quote
from typing import Any

from ...protocols.errors import DeclarationError
from ...protocols.sparing import Decided
from ...protocols.stopping import Condition
from ..steps import AskStep, DecideStep, PairStep, PickStep, Plan, Playable, RepeatStep, Step, Swept, WhenStep
from .loading import plugin_of, plugins, why_broken
from .plugin import Plugin, Sort
from .sorts import owner_of


def needed(plan: Playable) -> tuple[Plugin, ...]:
    """Return the plugins that have brought anything that a plan names, by name."""
    if not plugins():
        return ()
    parts = [variant.plan for variant in plan.variants.values()] if isinstance(plan, Swept) else [plan]
    owners = {owner_of(sort, name) for part in parts for sort, name in _names(part)}
    found = (plugin_of(name) for name in sorted(filter(None, owners)))
    return tuple(plugin for plugin in found if plugin is not None)


def _names(plan: Plan) -> Iterator[tuple[Sort, str]]:
    from ...runtime.models.endpoints import split  # noqa: PLC0415 - brings the clients of models with it

    for profile in plan.profiles.values():
        yield "role", profile.role
    for settings in plan.models:
        yield "provider", split(settings.model)[0]
    for step in _steps(plan.flow):
        yield from _of_step(step)


def _steps(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _steps(getattr(step, "steps", ()))
        yield from _steps(getattr(step, "otherwise", ()))


def _of_step(step: Step) -> Iterator[tuple[Sort, str]]:
    match step:
        case DecideStep():
            yield "rule", step.name
        case AskStep():
            yield from _of_condition(step.until)
        case RepeatStep():
            for condition in step.until:
                yield from _of_condition(condition)
        case WhenStep():
            yield from _of_condition(step.condition)
        case PairStep():
            yield "rule", step.jury.rule_name
        case PickStep():
            yield "pick", step.name
            yield "rule", step.jury.rule_name
        case _:
            pass


def _of_condition(condition: Condition | Decided | None) -> Iterator[tuple[Sort, str]]:
    if isinstance(condition, Decided):
        yield "rule", condition.name
    elif condition is not None:
        yield ("predicate" if condition.comparison is None else "quantity"), condition.name


def digests(plan: Playable) -> dict[str, str]:
    """Return the plugins that a plan needs, each with its digest, for comparison with a later start."""
    return {plugin.name: plugin.digest for plugin in needed(plan)}


def described(plan: Playable) -> dict[str, dict[str, Any]]:
    """Return the plugins that a plan needs, by name, as a run records them."""
    found = (plugin.document() for plugin in needed(plan))
    return {each["name"]: {key: value for key, value in each.items() if key != "name"} for each in found}


def prove_there(recorded: Iterable[str], noted: Mapping[str, Mapping[str, Any]], run: str) -> None:
    """Check that the plugins that a run was played with are loaded.

    Args:
        recorded: Their names.
        noted: What the run has noted of them.
        run: Its directory.

    Raises:
        DeclarationError: some are not; how they can be is told.
    """
    if words := missing({name: noted.get(name, {}) for name in recorded}):
        raise DeclarationError(f"{run} was played with {words}")


def missing(noted: Mapping[str, Mapping[str, Any]]) -> str:
    """Return which of some plugins are not loaded, and what is to be done for them to be; empty where all are."""
    names = [name for name in noted if plugin_of(name) is None]
    files = [name for name in names if not noted[name].get("packaged")]
    told = [f"the plugin {name}: {_how(name, noted[name])}" for name in names if name not in files]
    if files:
        options = " ".join(f"--plugin {quote(str(noted[name].get('from', name)))}" for name in files)
        told.append(f"the plugin{'s' if len(files) > 1 else ''} {', '.join(files)}: give {options}")
    return "; and ".join(told)


def _how(name: str, noted: Mapping[str, Any]) -> str:
    return why_broken(name) or f"install the package {noted.get('from')}, which brings it"

"""The places of a recorded scenario at which somebody is asked, with what is said there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Placed:
    """One `ask`."""

    place: str
    """As commands have it in `step`."""
    said: Mapping[str, Any]
    """The step, as it was recorded."""
    used: tuple[str, ...] = ()
    """The scenarios whose step it is, where it is another's, the outermost first."""


def placed(scenario: Mapping[str, Any]) -> Iterator[Placed]:
    """Return every `ask` of a scenario as a run has recorded it, those of scenarios that it uses among them."""
    return _placed(scenario["flow"], "", scenario.get("used", {}), ())


def _placed(
    flow: Sequence[Mapping[str, Any]], before: str, scenarios: Mapping[str, Any], within: tuple[str, ...]
) -> Iterator[Placed]:
    for number, step in enumerate(flow):
        place = f"{before}{number}"
        if "ask" in step:
            yield Placed(place, step, within)
        yield from _placed(step.get("do", ()), f"{place}.do." if "when" in step else f"{place}.", scenarios, within)
        yield from _placed(step.get("else", ()), f"{place}.else.", scenarios, within)
        if "use" in step:
            held: Mapping[str, Any] = scenarios.get(_key(step), {})
            inner = {**scenarios, **held.get("used", {})}
            yield from _placed(held.get("flow", ()), f"{place}.", inner, (*within, str(step["use"])))


def _key(step: Mapping[str, Any]) -> str:
    """Return the name under which a scenario holds what a step uses; see `cast.used_name`."""
    said = ", ".join(f"{path}={value}" for path, value in sorted(step.get("set", {}).items()))
    return f"{step['use']} with {said}" if said else str(step["use"])

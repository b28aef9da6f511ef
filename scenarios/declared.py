"""Where the agents of a run are declared: several may be made of one declaration, and some come from what is used."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..runtime.log import LogReader

if TYPE_CHECKING:
    from . import spec

CAST = "cast"
"""Key of a run's record; where every agent is called as it is declared, it is not there."""


@dataclass(frozen=True, slots=True)
class Declared:
    """Where an agent is declared."""

    agent: str
    """Its name there."""
    used: tuple[str, ...] = ()
    """The names under which a scenario holds another that holds it, the outermost first."""

    def document(self) -> dict[str, Any]:
        """Return it for the record."""
        return {"agent": self.agent, **({"used": list(self.used)} if self.used else {})}


def places(scenario: "spec.Scenario", used: tuple[str, ...] = ()) -> dict[int, tuple[str, ...]]:
    """Return under which names a scenario, and every one that it uses, is held, by identity."""
    found = {id(scenario): used}
    for name, inner in scenario.used.items():
        found |= places(inner, (*used, name))
    return found


def noted(declared: Mapping[str, Declared]) -> dict[str, Any]:
    """Return the part of a record that says where agents are declared which are called otherwise there."""
    said = {name: each.document() for name, each in declared.items() if each != Declared(name)}
    return {CAST: said} if said else {}


def unplaced(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without that part: it follows from the rest, and older ones have none."""
    kept = {key: value for key, value in record.items() if key != CAST}
    if "variants" in kept:
        kept["variants"] = {name: unplaced(each) for name, each in kept["variants"].items()}
    return kept


def scope_of(document: Mapping[str, Any], record: Mapping[str, Any], agent: str) -> tuple[dict[str, Any], str]:
    """Return the scenario that declares an agent of a run, and its name there.

    Args:
        document: The run's scenario, or a copy of it.
        record: What the run has noted.
        agent: What it is called in the run.
    """
    place: dict[str, Any] = record.get(CAST, {}).get(agent, {})
    names: Sequence[str] = place.get("used", ())
    scope: Any = document
    for name in names:
        scope = scope["used"][name]
    return scope, str(place.get("agent", agent))


def declaration(record: Mapping[str, Any], agent: str) -> dict[str, Any]:
    """Return how an agent of a run is declared; empty where the record does not say."""
    scope, name = scope_of(record["scenario"], record, agent)
    found: dict[str, Any] = scope.get("agents", {}).get(name, {})
    return found


def roles_of(log: LogReader) -> dict[str, str]:
    """Return the role of each agent of a run."""
    played = log.meta("played")
    record: dict[str, Any] = json.loads(played) if played is not None else {"variants": {}}
    records: list[dict[str, Any]] = list(record["variants"].values()) if "variants" in record else [record]
    return {name: declaration(each, name).get("role", name) for each in records for name in each["models"]}


def scopes(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return a scenario, and all that it uses: where two have a name for a model, that of the first stands."""
    yield document
    for used in document.get("used", {}).values():
        yield from scopes(used)


def models_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return what each name for a model stands for in a scenario and all that it uses."""
    found: dict[str, Any] = {}
    for scope in scopes(document):
        found = {**scope.get("models", {}), **found}
    return found


def alias_of(aliases: Mapping[str, Any], declared: Mapping[str, Any]) -> str | None:
    """Return the name of a model that an agent has, where it has one: an alias, or the model's own."""
    alias: str | None = declared.get("model", next(iter(aliases)) if len(aliases) == 1 else None)
    return alias

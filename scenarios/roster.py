"""Who the agents of a run are declared as, by what was noted of it: several may be made of one declaration."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Declared:
    """What an agent is declared as."""

    agent: dict[str, Any]
    """Its declaration: a part of the document."""
    home: dict[str, Any]
    """The document that declares it: the scenario's own, or that of one whose steps it plays."""
    alone: bool
    """Whether it is the only one of this declaration, so that they have one name."""

    @property
    def alias(self) -> str | None:
        """Return the alias of its model, or the model; none where it has none and there are several."""
        aliases: dict[str, Any] = self.home.get("models", {})
        alias: str | None = self.agent.get("model")
        return alias or (next(iter(aliases)) if len(aliases) == 1 else None)


def roster(scenario: dict[str, Any], agents: Mapping[str, Any]) -> dict[str, Declared]:
    """Return what each agent is declared as; who is declared nowhere is left out.

    Args:
        scenario: Its document, as a run has noted it.
        agents: By the names they had as it was played.
    """
    known = dict(_declared(scenario, ""))
    found: dict[str, Declared] = {}
    for name in agents:
        bases = [base for base in known if name == base or name.startswith(f"{base}-")]
        if bases:
            base = max(bases, key=len)
            agent, home = known[base]
            found[name] = Declared(agent, home, alone=name == base)
    return found


def documents(scenario: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return a scenario's document, and those of all whose steps it plays."""
    yield scenario
    for used in scenario.get("used", {}).values():
        yield from documents(used)


def _declared(scenario: dict[str, Any], prefix: str) -> Iterator[tuple[str, tuple[dict[str, Any], dict[str, Any]]]]:
    for name, agent in scenario.get("agents", {}).items():
        yield f"{prefix}{name}", (agent, scenario)
    for used in scenario.get("used", {}).values():
        yield from _declared(used, f"{prefix}{used['scenario']}-")

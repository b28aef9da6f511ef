"""Who takes part in a run's conversations, in what role and through which model, as the run has noted it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...protocols.identity import places
from ...runtime.log import LogReader
from ..declared import declaration


@dataclass(frozen=True, slots=True)
class Member:
    """One of the cast."""

    name: str
    role: str
    """As in `debater`; its name where nobody knows."""
    model: str | None = None
    """`provider/model`."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of the model, `model` itself left out."""


Cast = Mapping[str, Member]
"""By name, in the order of the scenario."""


def casts(log: LogReader) -> dict[str | None, Cast]:
    """Return the cast of each variant; of a run that is no sweep one alone, under None. None of a run without a record.

    Raises:
        LogError: the log cannot be read.
    """
    noted = log.meta("played")
    if noted is None:
        return {}
    record: dict[str, Any] = json.loads(noted)
    if "variants" in record:
        return {name: _cast(each) for name, each in record["variants"].items()}
    return {None: _cast(record)}


def member(cast: Cast, name: str) -> Member:
    """Return one of a cast, or of a branch in the place of one."""
    for place in places(name):
        if place in cast:
            return cast[place]
    return Member(name, name)


def _cast(record: Mapping[str, Any]) -> Cast:
    found: dict[str, Member] = {}
    for name, settings in record["models"].items():
        rest = {key: value for key, value in settings.items() if key != "model"}
        role = str(declaration(record, name).get("role", name))
        found[name] = Member(name, role, settings.get("model"), rest)
    return found

"""Where each sort of thing is registered. Modules are loaded by the plugin that brings something to them."""

# ruff: noqa: PLC0415 - see above
from importlib import import_module
from typing import Any

from ...protocols.errors import NameTaken
from ...protocols.registry import OWN, Registry
from .plugin import Brought, Sort

_PLACES: dict[Sort, tuple[str, str]] = {
    "exporter": ("scenarios.preferences.exporters", "EXPORTERS"),
    "fact": ("protocols.events", "KINDS"),
    "measure": ("scenarios.measures.plugged", "MEASURES"),
    "pick": ("protocols.selection", "PICKS"),
    "predicate": ("protocols.stopping", "PREDICATES"),
    "quantity": ("protocols.stopping", "QUANTITIES"),
    "role": ("agents", "ROLES"),
    "rule": ("protocols.aggregation", "RULES"),
    "transport": ("runtime.models.transports", "TRANSPORTS"),
}
"""Module and name of each registry; a provider comes with its transport, and has none."""
_ROOT = __name__.removesuffix(".scenarios.plugins.sorts")


def registry_of(sort: Sort) -> Registry[Any]:
    """Return the registry of a sort, provider apart."""
    module, name = _PLACES[sort]
    found: Registry[Any] = getattr(import_module(f"{_ROOT}.{module}"), name)
    return found


def register(brought: Brought, owner: str) -> None:
    """Register what a plugin brings; raises NameTaken, which says whose the name is already."""
    if brought.sort == "provider":
        from ...runtime.models import transports

        try:
            transports.serve(brought.name, brought.thing)
        except KeyError:
            raise NameTaken("provider", brought.name, transports.SERVED.get(brought.name, OWN)) from None
        return
    for other in _shares_names_with(brought.sort):
        found = registry_of(other)
        if brought.name in found:
            raise NameTaken(found.sort, brought.name, found.owner(brought.name) or OWN)
    registry_of(brought.sort).add(brought.name, brought.thing, owner)


def _shares_names_with(sort: Sort) -> tuple[Sort, ...]:
    """Return sorts that stand in the same places: a name of theirs would be read as one of these."""
    return {"predicate": ("quantity",), "quantity": ("predicate",)}.get(sort, ())  # type: ignore[return-value] # sorts


def take_back(brought: Brought) -> None:
    """Forget what a plugin has brought."""
    if brought.sort == "provider":
        from ...runtime.models import transports

        transports.serve_no_more(brought.name)
    else:
        registry_of(brought.sort).take_back(brought.name)


def owner_of(sort: Sort, name: str) -> str | None:
    """Return the plugin that has brought a name; None where it is nobody's, or the package's own."""
    if sort == "provider":
        from ...runtime.models import transports

        transport = transports.SERVED.get(name)
        return None if transport is None else transports.TRANSPORTS.owner(transport)
    return registry_of(sort).owner(name)

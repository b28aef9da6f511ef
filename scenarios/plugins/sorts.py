"""Where each sort of thing is registered. Modules are loaded by the plugin that brings something to them."""

# ruff: noqa: PLC0415 - see above
from typing import Any

from ...protocols.errors import DeclarationError, NameTaken
from ...protocols.registry import OWN, Registry
from .plugin import Brought, Sort


def registry_of(sort: Sort) -> Registry[Any]:  # noqa: PLR0911 - a table whose modules are loaded one by one
    """Return the registry of a sort; a provider has none."""
    match sort:
        case "role":
            from ...agents import ROLES

            return ROLES
        case "fact":
            from ...protocols.events import KINDS

            return KINDS
        case "predicate":
            from ...protocols.stopping import PREDICATES

            return PREDICATES
        case "quantity":
            from ...protocols.stopping import QUANTITIES

            return QUANTITIES
        case "rule":
            from ...protocols.aggregation import RULES

            return RULES
        case "pick":
            from ...protocols.selection import PICKS

            return PICKS
        case "measure":
            from ..measures.plugged import MEASURES

            return MEASURES
        case "exporter":
            from ..preferences.exporters import EXPORTERS

            return EXPORTERS
        case "transport":
            from ...runtime.models.transports import TRANSPORTS

            return TRANSPORTS
        case "provider":
            raise DeclarationError("a provider comes with its transport")


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

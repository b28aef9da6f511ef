"""How to extend it without touching it: decorators for a file that `--plugin` names, or for an installed package."""

from .scenarios.measures.plugged import Figure
from .scenarios.plugins import (
    Plugin,
    exporter,
    fact,
    loaded,
    measure,
    pick,
    plugins,
    predicate,
    quantity,
    role,
    rule,
    transport,
)

__all__ = [
    "Figure",
    "Plugin",
    "exporter",
    "fact",
    "loaded",
    "measure",
    "pick",
    "plugins",
    "predicate",
    "quantity",
    "role",
    "rule",
    "transport",
]

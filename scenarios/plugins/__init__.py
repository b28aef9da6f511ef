"""Extension from outside: what a file named by `--plugin`, or an installed package, brings to the language."""

from .decorators import exporter, fact, measure, pick, predicate, quantity, role, rule, transport
from .loading import loaded, plugins
from .plugin import Plugin

__all__ = [
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

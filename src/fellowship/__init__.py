"""The fellowship of the language models: they generate, review, judge and debate as actors on one bus.

Importing this package loads nothing heavy; a name is looked up in its own module when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import plugins
    from .scenarios import Agent, Ask, Decide, Pick, Repeat, Scenario, load, open_dataset, plan, play

__version__ = "0.1.0"
__all__ = [
    "Agent",
    "Ask",
    "Decide",
    "Pick",
    "Repeat",
    "Scenario",
    "__version__",
    "load",
    "open_dataset",
    "plan",
    "play",
    "plugins",
]


def __getattr__(name: str) -> object:
    if name == "plugins":
        return import_module(".plugins", __name__)
    if name in __all__:
        return getattr(import_module(".scenarios", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

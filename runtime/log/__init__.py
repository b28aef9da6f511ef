"""The event log: one SQLite file a run, one writer, any number of readers.

What writes is loaded when it is first used: who only reads is not to wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .examine import examine
from .lock import being_written
from .opening import begun
from .reader import LogReader
from .salvage import Salvaged, salvage

if TYPE_CHECKING:
    from .memory import MemoryLog, NoLog
    from .sqlite import Durability, SqliteLog, open_log

_PLACES = {
    "Durability": "sqlite",
    "MemoryLog": "memory",
    "NoLog": "memory",
    "SqliteLog": "sqlite",
    "open_log": "sqlite",
}
__all__ = [
    "Durability",
    "LogReader",
    "MemoryLog",
    "NoLog",
    "Salvaged",
    "SqliteLog",
    "begun",
    "being_written",
    "examine",
    "open_log",
    "salvage",
]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)

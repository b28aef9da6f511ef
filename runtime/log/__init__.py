"""The event log: one SQLite file a run, one writer, any number of readers."""

from .examine import examine
from .memory import MemoryLog, NoLog
from .reader import LogReader, begun
from .salvage import Salvaged, salvage
from .sqlite import Durability, SqliteLog, being_written, open_log

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

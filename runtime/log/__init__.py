"""The event log: one SQLite file a run, one writer, any number of readers."""

from .memory import MemoryLog
from .reader import LogReader
from .sqlite import SqliteLog, open_log

__all__ = ["LogReader", "MemoryLog", "SqliteLog", "open_log"]

"""The event log: one SQLite file a run, one writer, any number of readers."""

from .memory import MemoryLog, NoLog
from .reader import LogReader
from .sqlite import SqliteLog, open_log

__all__ = ["LogReader", "MemoryLog", "NoLog", "SqliteLog", "open_log"]

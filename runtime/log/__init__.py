"""The event log: one SQLite file a run, one writer, any number of readers."""

from .memory import MemoryLog, NoLog
from .reader import LogReader
from .sqlite import SqliteLog, being_written, open_log

__all__ = ["LogReader", "MemoryLog", "NoLog", "SqliteLog", "being_written", "open_log"]

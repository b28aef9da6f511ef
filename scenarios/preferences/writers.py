"""Files of rows, written as they come: JSONL and Parquet."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson

from ..rows import arrow_for
from .exported import Format
from .features import schema
from .formats import Row

Files = Literal["jsonl", "parquet"]
AT_ONCE = 500
"""Rows that become an Arrow table at once: as objects of Python they take ten times the memory."""
GROUP = 16 << 20
"""Bytes of Arrow tables from which a row group of a Parquet file is written. What is known of a group is some 35 KB, in
memory until the file is whole, and there twice while that is written. So groups are large."""


class Writer(Protocol):
    """A file that is being written."""

    def write(self, row: Row) -> None:
        """Write a row."""
        ...

    def close(self) -> None:
        """Write what is left; only then is the file whole."""
        ...


class JsonLines:
    """A JSONL file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, row: Row) -> None:
        """Write a row."""
        self._file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Write what is left."""
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


class Parquet:
    """A Parquet file, in row groups of about GROUP bytes; what waits for its group is in an Arrow file beside it."""

    def __init__(self, path: Path, target: Format, *, implicit: bool) -> None:
        self._arrow, parquet = arrow_for(path)
        self._ipc: Any = import_module("pyarrow.ipc")
        self._schema: Any = schema(self._arrow, target, implicit=implicit)
        # without statistics: they are the least and greatest text of every group, kept until the end, and of no use
        self._file: Any = parquet.ParquetWriter(path, self._schema, write_statistics=False)
        self._rows: list[Row] = []
        self._path = path.with_suffix(".arrow")
        self._waiting: Any = None
        self._size = 0

    def write(self, row: Row) -> None:
        """Write a row, with those before it once there are enough."""
        self._rows.append(row)
        if len(self._rows) == AT_ONCE:
            self._convert()
            if self._size >= GROUP:
                self._flush()

    def close(self) -> None:
        """Write what is left."""
        if self._file.is_open:
            self._convert()
            self._flush()
            self._file.close()

    def _convert(self) -> None:
        if not self._rows:
            return
        if self._waiting is None:
            self._waiting = self._ipc.new_file(self._path, self._schema)
        columns = self._arrow.array(self._rows, self._arrow.struct(self._schema))
        self._waiting.write_batch(self._arrow.RecordBatch.from_struct_array(columns))
        self._size += columns.nbytes
        self._rows = []

    def _flush(self) -> None:
        if self._waiting is None:
            return
        self._waiting.close()
        with self._arrow.memory_map(str(self._path)) as waiting:
            self._file.write_table(
                self._ipc.open_file(waiting, options=self._ipc.IpcReadOptions(use_threads=False)).read_all()
            )
        self._path.unlink()
        self._waiting, self._size = None, 0
        self._arrow.default_memory_pool().release_unused()


def writer(path: Path, files: Files, target: Format, *, implicit: bool) -> Writer:
    """Return a writer of one split; raises DeclarationError where Parquet needs what is not installed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return JsonLines(path) if files == "jsonl" else Parquet(path, target, implicit=implicit)

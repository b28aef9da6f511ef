"""Files of rows, written as they come: JSONL and Parquet."""

import os
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson

from ..rows import arrow_for
from .exported import Format
from .features import schema
from .formats import Row

Files = Literal["jsonl", "parquet"]
GROUP = 1_000
"""Rows of a Parquet file that are written at once."""


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
    """A Parquet file, in row groups of GROUP rows."""

    def __init__(self, path: Path, target: Format, *, implicit: bool) -> None:
        arrow, parquet = arrow_for(path)
        self._table: Any = arrow.Table
        self._schema: Any = schema(arrow, target, implicit=implicit)
        self._file: Any = parquet.ParquetWriter(path, self._schema)
        self._rows: list[Row] = []

    def write(self, row: Row) -> None:
        """Write a row, with those before it once there are enough."""
        self._rows.append(row)
        if len(self._rows) == GROUP:
            self._flush()

    def close(self) -> None:
        """Write what is left."""
        if self._file.is_open:
            self._flush()
            self._file.close()

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(self._table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


def writer(path: Path, files: Files, target: Format, *, implicit: bool) -> Writer:
    """Return a writer of one split; raises DeclarationError where Parquet needs what is not installed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return JsonLines(path) if files == "jsonl" else Parquet(path, target, implicit=implicit)

"""Files of rows: JSONL, JSON, CSV and Parquet, each row with its place."""

import csv
import json
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import orjson

from ..protocols.errors import DeclarationError, Problem

POOL = "ARROW_DEFAULT_MEMORY_POOL"
Row = dict[str, Any]


Wrong = Callable[[DeclarationError], None]
"""What becomes of a line that is no row."""


def refuse(error: DeclarationError) -> None:
    """Refuse a file for one line that is no row: a data set with a hole in it is another data set."""
    raise error


def rows(path: Path, wrong: Wrong = refuse) -> Generator[tuple[int, Row], None, None]:
    """Return the rows of a file, each with its place: the line, or for JSON and Parquet the row, from 1.

    Args:
        path: The file.
        wrong: Is told of lines that are no rows; unless it raises, the lines after them are read. A file that cannot
            be told into lines, such as CSV with an open quotation mark, is refused in any case.

    Raises:
        DeclarationError: there is no such file, its format is not known, or it cannot be read.
    """
    try:
        found = path.exists()
    except OSError:  # a name that no file can have
        found = False
    if not found:
        raise DeclarationError(f"there is no file {path}")
    if path.is_dir():
        raise DeclarationError(f"{path} is a directory: --data takes a file")
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise DeclarationError(f"{path}: the ending must be one of {', '.join(READERS)}")
    try:
        yield from read(path, wrong)
    except OSError as error:
        raise DeclarationError(f"{path} cannot be read: {error.strerror or error}") from error


def _wrong(what: str, path: Path, line: int | None = None, column: int | None = None) -> DeclarationError:
    return DeclarationError([Problem(what, str(path), line, column)])


def _decoded(raw: bytes, path: Path, line: int | None) -> str:
    try:
        return raw.decode("utf-8-sig" if line in (None, 1) else "utf-8")
    except UnicodeDecodeError as error:
        raise _wrong(f"not UTF-8: byte {raw[error.start]:#04x}", path, line, error.start + 1) from error


def _row(value: object, path: Path, place: int) -> Row:
    if not isinstance(value, dict):
        raise _wrong(f"a row is an object with named columns, not {type(value).__name__}", path, place)
    return cast("Row", value)


def _jsonl(path: Path, wrong: Wrong) -> Iterator[tuple[int, Row]]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                row = _line(raw, path, number)
            except DeclarationError as error:
                wrong(error)
                continue
            if row is not None:
                yield number, row


def _line(raw: bytes, path: Path, number: int) -> Row | None:
    """Return a line's row; None where the line is empty."""
    text = _decoded(raw, path, number)
    if not text.strip():
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _wrong(f"not JSON: {error.msg}", path, number, error.colno) from error
    return _row(value, path, number)


def json_value(path: Path) -> object:
    """Return what a JSON file holds, whatever it is; an empty list where the file is empty.

    Raises:
        DeclarationError: it cannot be read, or is not JSON.
    """
    try:
        text = _decoded(path.read_bytes(), path, None)
    except OSError as error:
        raise DeclarationError(f"{path} cannot be read: {error.strerror or error}") from error
    if not text.strip():
        return []
    try:
        return cast("object", orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise _wrong(f"not JSON: {error.msg}", path, error.lineno, error.colno) from error


def _json(path: Path, wrong: Wrong) -> Iterator[tuple[int, Row]]:
    values = json_value(path)
    if not isinstance(values, list):
        raise _wrong(
            f"a JSON data set is a list of rows, not {type(values).__name__} (JSONL files end in .jsonl)",
            path,
        )
    for number, value in enumerate(cast("list[object]", values), 1):
        try:
            row = _row(value, path, number)
        except DeclarationError as error:
            wrong(error)
            continue
        yield number, row


def _csv(path: Path, wrong: Wrong) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(2**31 - 1)
    with path.open("rb") as file:
        lines = (_decoded(raw, path, number) for number, raw in enumerate(file, 1))
        yield from _table(csv.DictReader(lines, strict=True), path, wrong)


def _table(reader: "csv.DictReader[str]", path: Path, wrong: Wrong) -> Iterator[tuple[int, Row]]:
    try:
        if reader.fieldnames is None:
            return
        twice = {name for name in reader.fieldnames if reader.fieldnames.count(name) > 1}
        if twice:
            raise _wrong(f"columns stand here twice: {', '.join(sorted(twice))}", path, 1)
        for row in reader:
            if None in row or None in row.values():
                have = len(reader.fieldnames)
                wrong(_wrong(f"the row does not have the {have} columns of the header", path, reader.line_num))
                continue
            yield reader.line_num, dict(row)
    except csv.Error as error:
        raise _wrong(f"not CSV: {error}", path, reader.line_num) from error


@contextmanager
def _modest() -> Generator[None, None, None]:
    """Have Arrow take memory from the system, where it is first imported here.

    Its own pool keeps tens of MiB of what is freed. It can be told so by the environment alone, and a user who has said
    something else there is obeyed.
    """
    if POOL in os.environ:
        yield
        return
    os.environ[POOL] = "system"
    try:
        yield
    finally:
        del os.environ[POOL]


def arrow_for(path: Path) -> tuple[Any, Any]:
    """Return the modules that read and write a Parquet file; raises DeclarationError where they are not installed."""
    try:
        with _modest():
            return import_module("pyarrow"), import_module("pyarrow.parquet")  # an extra, and heavy; it ships no types
    except ImportError as error:
        raise DeclarationError(
            f"{path}: Parquet files need the extra `data`: pip install 'llm-fellowship[data]'"
        ) from error


def _parquet(path: Path, wrong: Wrong) -> Iterator[tuple[int, Row]]:
    del wrong  # every row of a table is one
    arrow, parquet = arrow_for(path)
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1000):
                for row in batch.to_pylist():
                    number += 1
                    yield number, json.loads(json.dumps(row, default=_as_json), parse_constant=_constant)
    except arrow.ArrowException as error:
        raise _wrong(f"not Parquet: {' '.join(str(error).split())}", path) from error


def _constant(name: str) -> float | None:
    """Return what a number that JSON does not know stands for: NaN is how tables of numbers say that there is none."""
    return None if name == "NaN" else float(name)


def _as_json(value: object) -> object:
    """Return what stands for a value that JSON does not know: bytes are never taken for text."""
    return {"bytes": len(value)} if isinstance(value, bytes) else str(value)


READERS: dict[str, Callable[[Path, Wrong], Iterator[tuple[int, Row]]]] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
}

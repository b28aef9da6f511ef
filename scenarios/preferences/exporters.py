"""Formats that plugins bring: the pairs of a run that are kept, as rows or files of theirs."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import orjson
from pydantic import BaseModel, ConfigDict

from ...protocols.errors import DeclarationError, FellowshipError, PluginFailed
from ...protocols.pairing import Data
from ...protocols.registry import Registry
from ..sharing.formats import FORMS
from .candidates import Candidates, why_dropped
from .exported import FORMATS, Options
from .pair import Pair
from .splits import Splits
from .spool import Spool

LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY
RESERVED = (*FORMATS, "ratings", *FORMS)
"""Names of the package's own formats."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """A format as it is registered."""

    function: Callable[..., Any]
    """Takes the pairs and yields rows; or takes them and a folder, and returns nothing."""
    into_folder: bool
    failed: Callable[[Exception], PluginFailed]
    """What is raised where it breaks."""
    wrong: Callable[[object, str], PluginFailed]
    """What is raised where it yields something else than rows."""


EXPORTERS: Registry[Exporter] = Registry("format", {})
"""What plugins bring."""


class PluggedExport(BaseModel):
    """What an export by a plugin came to."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: str
    plugin: str | None
    """Who has brought it."""
    run: str
    """Digest of what was played and of its data."""
    items: int
    items_failed: int
    items_open: int
    """That have no outcome yet."""
    candidates: int
    dropped: dict[str, int]
    """Those that are no pairs, by why."""
    pairs: int
    """Those that are kept, and were handed over."""
    unread: int
    """Of these, those that the exporter did not look at."""
    rows: int | None
    """Written; None where it writes files of its own."""
    files: tuple[str, ...]
    """Relative to the folder."""


@dataclass(slots=True)
class _Handed:
    """Pairs in the order of the data, counted as they are taken."""

    pairs: int = 0
    taken: int = 0
    candidates: int = 0
    dropped: Counter[str] = field(default_factory=Counter[str])


def export_by(
    name: str, candidates: Candidates, to: Path, *, data: Data | None = None, options: Options | None = None
) -> PluggedExport:
    """Write the pairs of a run that are kept by a plugin's exporter.

    Args:
        name: Of the exporter.
        candidates: Pairs of a run.
        to: A folder; it is made where there is none. Files of other names stay in it.
        data: The data set that is wanted; None for all that the scenario makes.
        options: Filters in the place of the scenario's.

    Raises:
        UnknownName: there is no such exporter.
        DeclarationError: the scenario does not make that data, or the folder cannot be written.
        PluginFailed: the exporter broke; no file of rows is written then.
    """
    exporter = EXPORTERS[name]
    if not candidates.data or (data is not None and data not in candidates.data):
        made = " and ".join(candidates.data) or "none"
        raise DeclarationError(f"the run has no {data or ''} data: its scenario makes {made}".replace("  ", " "))
    handed, options = _Handed(), options or Options()
    with _writable(to), TemporaryDirectory(dir=to, prefix=".") as stage, Spool(Path(stage), Splits({}, 0)) as spool:
        _collect(candidates, options, data, spool, handed)
        pairs = _in_order(spool, handed)
        rows = None if exporter.into_folder else _rows(exporter, pairs, Path(stage) / "rows", to / f"{name}.jsonl")
        files = _own_files(exporter, pairs, Path(stage) / "own", to) if exporter.into_folder else (f"{name}.jsonl",)
    return PluggedExport(
        format=name,
        plugin=EXPORTERS.owner(name),
        run=candidates.run,
        items=candidates.items,
        items_failed=candidates.failed,
        items_open=candidates.open,
        candidates=handed.candidates,
        dropped=dict(sorted(handed.dropped.items())),
        pairs=handed.pairs,
        unread=handed.pairs - handed.taken,
        rows=rows,
        files=files,
    )


@contextmanager
def _writable(to: Path) -> Generator[None, None, None]:
    try:
        to.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DeclarationError(f"{to} cannot be written: {error.strerror or error}") from error


def _collect(candidates: Candidates, options: Options, data: Data | None, spool: Spool, handed: _Handed) -> None:
    override = options.model_dump(include={"margin", "quorum", "agreement"}, exclude_none=True)
    for pair in candidates:
        if pair.data != (data or pair.data):
            continue
        handed.candidates += 1
        reason = why_dropped(pair, candidates.asked(pair).model_copy(update=override)) if override else pair.dropped
        if reason is None:
            spool.add(pair)
            handed.pairs += 1
        else:
            handed.dropped[reason] += 1


def _in_order(spool: Spool, handed: _Handed) -> Iterator[Pair]:
    for rows in spool.columns().blocks():
        for start, size in zip(rows.start.tolist(), rows.size.tolist(), strict=True):
            handed.taken += 1
            yield spool.pair(start, size)


def _rows(exporter: Exporter, pairs: Iterable[Pair], part: Path, to: Path) -> int:
    written = 0
    with part.open("wb") as file:
        for row in _said(exporter, pairs):
            if not isinstance(row, dict):
                raise exporter.wrong(row, "a row, which is a dict")
            try:
                file.write(orjson.dumps(cast("object", row), option=LINE))
            except orjson.JSONEncodeError as error:
                raise exporter.wrong(cast("object", row), f"a row that JSON can say: {error}") from error
            written += 1
    part.replace(to)
    return written


def _said(exporter: Exporter, pairs: Iterable[Pair]) -> Iterator[object]:
    """Return what an exporter yields; an error of its own says whose it is."""
    try:
        found: object = exporter.function(pairs)
        yield from _iterable(exporter, found)
    except (FellowshipError, OSError):
        raise
    except Exception as error:
        raise exporter.failed(error) from error


def _iterable(exporter: Exporter, found: object) -> Iterable[object]:
    if not isinstance(found, Iterable):
        raise exporter.wrong(found, "rows: it yields a dict for each")
    return cast("Iterable[object]", found)


def _own_files(exporter: Exporter, pairs: Iterable[Pair], folder: Path, to: Path) -> tuple[str, ...]:
    """Let an exporter write into a folder of its own, and move what it has written to its place."""
    folder.mkdir()
    try:
        exporter.function(pairs, folder)
    except FellowshipError:
        raise
    except Exception as error:
        raise exporter.failed(error) from error
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        place = to / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
    return tuple(path.relative_to(folder).as_posix() for path in files)

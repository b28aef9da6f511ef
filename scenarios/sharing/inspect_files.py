"""The two files of an Inspect log, written a sample at a time: a ZIP archive (.eval), or one JSON document (.json)."""

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Protocol
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from pydantic_core import to_json

from ...runtime.secrecy import hidden
from .inspect_terms import Json
from .shared import written


class Writer(Protocol):
    """A log that is being written."""

    def add(self, sample: Json, summary: Json) -> None:
        """Write a sample, and note what is listed of it."""
        ...

    def end(self, header: Json, reductions: list[Json]) -> None:
        """Write all that is known only when every sample was seen."""
        ...


def json(value: object) -> bytes:
    """Return a document without secrets as JSON; a number that is none is null."""
    return to_json(hidden(value), inf_nan_mode="null")


class Archive:
    """A .eval: each sample is a member of its own."""

    def __init__(self, file: IO[bytes], spool: IO[bytes]) -> None:
        self._archive = ZipFile(file, "w", ZIP_DEFLATED)
        self._summaries = spool

    def add(self, sample: Json, summary: Json) -> None:
        """Write a sample, and note what is listed of it."""
        self._archive.writestr(_member(f"samples/{sample['id']}_epoch_{sample['epoch']}.json"), json(sample))
        self._summaries.write((b"," if self._summaries.tell() else b"[") + json(summary))

    def end(self, header: Json, reductions: list[Json]) -> None:
        """Write all that is known only when every sample was seen."""
        self._summaries.write(b"]" if self._summaries.tell() else b"[]")
        self._summaries.seek(0)
        with self._archive.open(_member("summaries.json"), "w", force_zip64=True) as member:
            shutil.copyfileobj(self._summaries, member)
        self._archive.writestr(_member("reductions.json"), json(reductions))
        self._archive.writestr(_member("header.json"), json(header))
        self._archive.close()


class Document:
    """A .json: the samples come after the header, in the order that Inspect reads them in."""

    def __init__(self, file: IO[bytes], spool: IO[bytes]) -> None:
        self._file, self._samples = file, spool

    def add(self, sample: Json, summary: Json) -> None:
        """Write a sample; what is listed of it, Inspect makes of the whole here."""
        del summary
        self._samples.write((b"," if self._samples.tell() else b"") + json(sample))

    def end(self, header: Json, reductions: list[Json]) -> None:
        """Write all that is known only when every sample was seen."""
        self._file.write(json(header)[:-1] + b',"samples":[')
        self._samples.seek(0)
        shutil.copyfileobj(self._samples, self._file)
        self._file.write(b'],"reductions":' + json(reductions) + b"}")


ENDINGS: dict[str, Callable[[IO[bytes], IO[bytes]], Writer]] = {".eval": Archive, ".json": Document}
"""What a file's name says of its form."""


@contextmanager
def writer(to: Path) -> Generator[Writer, None, None]:
    """Open a log, which stands in its place when all is written.

    Raises:
        DeclarationError: it cannot be written.
        KeyError: its name ends otherwise than `ENDINGS` says.
    """
    form = ENDINGS[to.suffix.lower()]
    with written(to) as file, TemporaryFile(dir=to.parent) as spool:
        yield form(file, spool)


def _member(name: str) -> ZipInfo:
    """Return a member as of no time: the same run is written as the same bytes."""
    member = ZipInfo(name)
    member.compress_type = ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    return member

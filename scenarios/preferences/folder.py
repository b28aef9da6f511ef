"""The folder of an export: written whole or not at all, and never over what is not an export's."""

import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from ...protocols.errors import DeclarationError
from .exported import Exported

RESULT = "export.json"
CARD = "README.md"
STAGE = ".part"
"""Folder in which files are written, before they take their places."""
LOCK = ".part.lock"
FILE = re.compile(r"[a-z]+-[a-z]+/\w+\.(jsonl|parquet)", re.ASCII)
"""A data file, relative to the folder."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that nobody else exports into meanwhile."""

    path: Path
    stage: Path
    before: Exported | None
    """What an earlier export has left in it."""

    def staged(self, name: str) -> Path:
        """Return where a file of the folder is written first."""
        return self.stage / name

    def commit(self, exported: Exported, card: str) -> None:
        """Let all that was written take its place, and what is no longer part of the export go. Raises OSError."""
        self.staged(CARD).write_text(card, encoding="utf-8")
        part = self.stage / f"{RESULT}.part"
        part.write_text(exported.model_dump_json(indent=2) + "\n", encoding="utf-8")
        part.replace(self.staged(RESULT))  # from here on, whoever comes next goes on with it
        _take_places(self.path)


@contextmanager
def opened(to: Path) -> Generator[Folder, None, None]:
    """Have a folder to export into; what an earlier export could not finish is finished first.

    Raises:
        DeclarationError: it is not empty and not of an export, another export is writing into it, or it cannot be
            written.
    """
    new = False
    try:
        new = not to.exists()
        _refuse_others(to)
        to.mkdir(parents=True, exist_ok=True)
        with FileLock(to / LOCK, timeout=0):
            if (to / STAGE / RESULT).is_file():
                _take_places(to)
            shutil.rmtree(to / STAGE, ignore_errors=True)
            (to / STAGE).mkdir()
            try:
                yield Folder(to, to / STAGE, before(to))
            finally:
                shutil.rmtree(to / STAGE, ignore_errors=True)
                (to / LOCK).unlink(missing_ok=True)
    except Timeout as error:
        raise DeclarationError(f"another export is writing into {to}") from error
    except OSError as error:
        raise DeclarationError(f"{to} cannot be written: {error.strerror or error}") from error
    finally:
        if new:
            with suppress(OSError):  # it is there to stay where there is something in it
                to.rmdir()


def before(to: Path) -> Exported | None:
    """Return what an export has left in a folder, None where none has; raises DeclarationError where it is not that."""
    path = to / RESULT
    if not path.is_file():
        return None
    return _read(path)


def _read(path: Path) -> Exported:
    try:
        exported = Exported.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DeclarationError(f"{path} is not what an export writes: name another folder") from error
    for name in files_of(exported):
        if not FILE.fullmatch(name):  # what it names may be replaced: nothing outside the folder, nor of others
            raise DeclarationError(f"{path} is not what an export writes: it names {name}; name another folder")
    return exported


def files_of(exported: Exported | None) -> set[str]:
    """Return the data files of an export, relative to its folder."""
    return {file for written in exported.written for file in written.files.values()} if exported else set()


def _refuse_others(to: Path) -> None:
    if not to.exists():
        return
    if not to.is_dir():
        raise DeclarationError(f"{to} is a file: --to takes a folder")
    known = {LOCK}
    staged = to / STAGE / RESULT
    if staged.is_file():
        known |= {CARD, RESULT, *files_of(_read(staged))}
    if (to / RESULT).is_file():
        known |= {CARD, RESULT, *files_of(before(to))}
    for path in sorted(to.rglob("*")):
        name = path.relative_to(to)
        if not path.is_dir() and name.parts[0] != STAGE and name.as_posix() not in known:
            raise DeclarationError(f"{to} holds {name}, which no export has written: name an empty or a new folder")


def _take_places(to: Path) -> None:
    """Move all that is staged; where it breaks off, it can be done again and goes on."""
    stage = to / STAGE
    files = files_of(_read(stage / RESULT))
    for name in sorted(files):
        if (stage / name).is_file():
            (to / name).parent.mkdir(exist_ok=True)
            (stage / name).replace(to / name)
    for name in sorted(files_of(before(to)) - files):
        (to / name).unlink(missing_ok=True)
        with suppress(OSError):  # another split may be left in it
            (to / name).parent.rmdir()
    for name in (CARD, RESULT):
        if (stage / name).is_file():
            (stage / name).replace(to / name)

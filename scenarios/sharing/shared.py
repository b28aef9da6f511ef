"""What is asked of a form that is no data set, and what came of it."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ConfigDict

from ...protocols.errors import DeclarationError

STDOUT = "-"
"""The place that is the standard output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be written of a run."""

    run: Path
    """The run's directory."""
    log: Path
    """Its log."""
    to: str
    """A file, `-` for stdout, or whatever else the form takes."""
    items: tuple[str, ...] = ()
    """Ids of the items that are wanted; none: all."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What was given of the options that mean something to the form, by their names without dashes before them."""


class Shared(BaseModel):
    """What was written."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: str
    to: str
    counts: dict[str, int]
    """What is in it, and what was left out, by a word for each: `samples`, `items without an outcome`."""


@contextmanager
def written(to: Path) -> Generator[IO[bytes], None, None]:
    """Open a file that stands in its place when all is written, and not before; a file of that name is replaced.

    Folders that are not there are made.

    Raises:
        DeclarationError: it cannot be written.
    """
    part = to.with_name(f"{to.name}.part")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
        part.replace(to)
    except OSError as error:
        raise DeclarationError(f"{to} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # where nothing can be written, nothing can be removed either
            part.unlink(missing_ok=True)

"""From a name or a file to a proven scenario: every problem is reported, at its place, all at once."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any, cast

import yaml
from pydantic import ValidationError

from ..protocols.errors import DeclarationError, Problem, UnknownName, nearest
from .source import Path, Source, read
from .spec import VERBS, Scenario, known_fields

_LIBRARY = files(__package__ or "fellowship.scenarios") / "library"


def library() -> tuple[str, ...]:
    """Return the names of the scenarios that come with the package."""
    return tuple(
        sorted(entry.name.removesuffix(".yaml") for entry in _LIBRARY.iterdir() if entry.name.endswith(".yaml"))
    )


def source_of(name: str) -> Source:
    """Return the document of a library scenario or of a file.

    Raises:
        DeclarationError: there is neither, or it cannot be read as a document.
    """
    if name in library():
        return read((_LIBRARY / f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml")
    path = FilePath(name)
    if not path.is_file():
        if path.suffix in (".yaml", ".yml") or "/" in name:
            raise DeclarationError(f"there is no file {name}")
        raise UnknownName("scenario", name, library())
    try:
        return read(path.read_text(encoding="utf-8"), name)
    except UnicodeDecodeError as error:
        raise DeclarationError(
            [Problem(f"not UTF-8: byte {error.start} is {error.object[error.start]:#04x}", name)]
        ) from error
    except OSError as error:
        raise DeclarationError(f"{name} cannot be read: {error.strerror}") from error


def load(name: str, *, changes: Sequence[str] = ()) -> tuple[Scenario, Source]:
    """Return a library scenario, or that of a file, and its source.

    Args:
        name: A library name or a path.
        changes: `PATH=VALUE` each: sets a part of the document, as in `judging.scale=5` or `flow.0.repeat=3`.

    Raises:
        DeclarationError: all that is wrong with it, each at its place.
    """
    source = source_of(name)
    for change in changes:
        _set(source.document, change)
    return validate(source), source


def validate(source: Source) -> Scenario:
    """Return the scenario that a document declares; raises DeclarationError with all that is wrong."""
    try:
        return Scenario.model_validate(source.document)
    except ValidationError as error:
        faults = [dict(fault) for fault in error.errors(include_url=False)]
        problems = [_problem(source, fault) for fault in faults if not _follows(fault, faults)]
        raise DeclarationError(problems) from error


def _follows(fault: dict[str, Any], faults: list[dict[str, Any]]) -> bool:
    """Whether a list only counts as too short because of what is wrong inside it."""
    place = fault["loc"]
    return fault["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in faults
    )


def _problem(source: Source, fault: dict[str, Any]) -> Problem:
    tagged: Path = tuple(fault["loc"])
    path = tuple(part for part in tagged if not str(part).startswith("<"))
    sort, message = str(fault["type"]), str(fault["msg"])
    if sort == "extra_forbidden":
        what = f"unknown key {path[-1]!r}{nearest(str(path[-1]), known_fields(*tagged[:-1]))}"
    elif sort == "missing":
        what = f"key {path[-1]!r} is missing"
        path = path[:-1]
    elif sort == "literal_error":
        options = str(fault["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        what = f"{path[-1]}: unknown value {fault['input']!r}{nearest(str(fault['input']), options)}"
    elif sort == "verb":
        what = f"{message}; here stands: {_verbs_found(fault['input'])}"
    elif sort == "too_short":
        what = f"{path[-1]} must not be empty"
    elif path[-1:] == ("[key]",):
        what = f"{path[-2]!r} is not a name: small letters, digits, - and _"
        path = path[:-1]
    else:
        what = f"{'.'.join(map(str, path))}: {message[0].lower()}{message[1:]}, got {_short(fault['input'])}"
    return source.problem(what, path)


def _verbs_found(step: object) -> str:
    if not isinstance(step, dict):
        return _short(step)
    keys = [str(key) for key in cast("dict[object, object]", step)]
    hints = (nearest(key, VERBS) for key in keys)
    return ", ".join(keys) + next((hint for hint in hints if "did you mean" in hint), "")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _set(document: dict[str, Any], change: str) -> None:
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise DeclarationError(f"--set takes PATH=VALUE, as in judging.scale=5, not {change!r}")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DeclarationError(f"--set {change}: the value is not YAML") from error
    parts = path.split(".")
    place: Any = document
    for index, part in enumerate(parts[:-1]):
        place = _step_into(place, part, ".".join(parts[: index + 1]), change)
    last = parts[-1]
    if isinstance(place, list):
        _step_into(place, last, path, change)
        place[int(last)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise DeclarationError(f"--set {change}: {'.'.join(parts[:-1])} has no parts")


def _step_into(place: Any, part: str, path: str, change: str) -> Any:  # noqa: ANN401 - a document's part may be anything
    if isinstance(place, list):
        parts = cast("list[object]", place)
        if part.isdigit() and int(part) < len(parts):
            return parts[int(part)]
        raise DeclarationError(f"--set {change}: {path} is not there; the list has parts 0 to {len(parts) - 1}")
    if isinstance(place, dict):
        place = cast("dict[str, Any]", place)
        if part not in place and part in ("judging", "models", "failing"):
            place[part] = {}
        if part in place:
            return place[part]
        raise DeclarationError(f"--set {change}: {path} is not there{nearest(part, map(str, place))}")
    raise DeclarationError(f"--set {change}: {path} has no parts")

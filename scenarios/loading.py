"""From a name or a file to a proven scenario: every problem is reported, at its place, all at once."""

import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any, cast

from pydantic import ValidationError

from ..protocols.errors import DeclarationError, Problem, UnknownName, nearest
from ..runtime.secrecy import hide
from . import knockouts
from .composing import composed, with_personas
from .parameters import CHOSEN, KEY, filled, set_parameter, unused
from .source import Path, Source, read
from .spec import TAGS, VERBS, Document, Scenario, Sweep, known_fields

_LIBRARY = files(__package__ or "fellowship.scenarios") / "library"


WORDS = (
    (re.compile(r"Input should be a valid dictionary( or instance of \w+)?"), "must be a mapping"),
    (re.compile(r"Input should be a valid integer.*"), "must be a whole number"),
    (re.compile(r"Input should be a valid number.*"), "must be a number"),
    (re.compile(r"Input should be a valid boolean.*"), "must be true or false"),
    (re.compile(r"Input should be a valid tuple"), "must be a list"),
    (re.compile(r"Input should be a valid string"), "must be text"),
    (re.compile(r"String should match pattern .*"), "may have small letters, digits, - and _ only"),
    (re.compile(r"Input should be"), "must be"),
)
"""What pydantic calls things, and what a scenario's author does."""


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
    if not _is_file(path):
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


def _is_file(path: FilePath) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def load(name: str, *, changes: Sequence[str] = (), as_published: bool = False) -> tuple[Document, Source]:
    """Return a library scenario, or that of a file, and its source. A sweep is one, too.

    Args:
        name: A library name or a path.
        changes: `PATH=VALUE` each: sets a part of the document, as in `judging.scale=5` or `flow.0.repeat=3`.
        as_published: Whether every knock-out of the scenario is played as published.

    Raises:
        DeclarationError: all that is wrong with it, each at its place.
    """
    source = source_of(name)
    idle = unused(source)  # before a change takes the place of one
    for change in changes:
        set_part(source.document, change)
    for change in changes:
        prove_meant(source.document, change.partition("=")[0], f"--set {change}", new=True)
    if changes:  # what is wrong may be of the changes' making
        source = replace(source, name=f"{source.name} with --set")
    try:
        declared = validate(source)
    except DeclarationError as error:
        raise DeclarationError([*idle, *error.problems]) from error
    if idle:
        raise DeclarationError(idle)
    return (knockouts.as_published(declared, source) if as_published else declared), source


def validate(source: Source, above: tuple[str, ...] = ()) -> Document:
    """Return the scenario or sweep that a document declares, with the scenarios that it uses.

    Args:
        source: The document.
        above: The names of the scenarios that use it, one within the other.

    Raises:
        DeclarationError: all that is wrong with it.
    """
    sort = Sweep if _is_sweep(source.document) else Scenario
    source = with_personas(filled(source))
    try:
        declared = sort.model_validate(source.document)
    except ValidationError as error:
        faults = [dict(fault) for fault in error.errors(include_url=False)]
        problems = [_problem(source, fault, sort) for fault in faults if not _follows(fault, faults, sort)]
        raise DeclarationError(problems) from error
    if isinstance(declared, Sweep):
        return declared
    return composed(declared, source, above, source_of, validate, set_value)


def _is_sweep(document: dict[str, Any]) -> bool:
    """Whether it says what is swept, be it misspelt."""
    if "sweep" in document or "flow" in document:
        return "sweep" in document
    return bool(get_close_matches("sweep", map(str, document), n=1, cutoff=0.75))


def _follows(fault: dict[str, Any], faults: list[dict[str, Any]], sort: type[Document]) -> bool:
    """Whether it is only what another mistake leads to: a list too short, a key missing that stands there misspelt."""
    place = fault["loc"]
    if fault["type"] == "missing":
        hint = f"did you mean {place[-1]!r}"
        return any(
            other["type"] == "extra_forbidden"
            and other["loc"][:-1] == place[:-1]
            and hint in nearest(str(other["loc"][-1]), known_fields(*place[:-1], sort=sort))
            for other in faults
        )
    return fault["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in faults
    )


def _problem(source: Source, fault: dict[str, Any], document: type[Document]) -> Problem:
    tagged: Path = tuple(fault["loc"])
    path = tuple(part for part in tagged if part not in TAGS)
    sort, message = str(fault["type"]), str(fault["msg"])
    if sort == "extra_forbidden":
        known = [name for name in known_fields(*tagged[:-1], sort=document) if name != CHOSEN]
        what = f"unknown key {path[-1]!r}{nearest(str(path[-1]), known)}"
    elif sort == "missing" and isinstance(path[-1], int):
        what = f"{path[-2]} is too short: value {path[-1] + 1} is missing"
        path = path[:-1]
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
        for theirs, ours in WORDS:
            message = theirs.sub(ours, message)
        what = f"{'.'.join(map(str, path))} {message}, got {_short(fault['input'])}"
    return source.problem(what, path)


def _verbs_found(step: object) -> str:
    if not isinstance(step, dict):
        return _short(step)
    keys = [str(key) for key in cast("dict[object, object]", step)]
    hints = (nearest(key, VERBS) for key in keys if key not in VERBS)
    return ", ".join(keys) + next((hint for hint in hints if "did you mean" in hint), "")


def _short(value: object) -> str:
    text = hide(repr(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def set_part(document: dict[str, Any], change: str) -> None:
    """Set a part of a scenario's document by `PATH=VALUE`; raises DeclarationError where there is no such part."""
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise DeclarationError(f"--set takes PATH=VALUE, as in judging.scale=5, not {change!r}")
    try:
        value = read(f"value: {text}", "--set").document["value"]
    except DeclarationError as error:
        raise DeclarationError(f"--set {change}: the value is not YAML") from error
    set_value(document, path, value, f"--set {change}")


def set_value(document: dict[str, Any], path: str, value: object, change: str) -> None:
    """Set a part of a scenario's document, or a parameter of its, by name.

    Raises:
        DeclarationError: there is none, or the parameter takes no such value; the sentence begins with `change`.
    """
    try:
        if set_parameter(document, path, value):
            return
    except DeclarationError as error:
        raise DeclarationError(f"{change}: {error}") from error
    _prove_named(document, path, change)
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
        _step_into(place, last, ".".join(parts[:-1]), change)


def _prove_named(document: dict[str, Any], path: str, change: str) -> None:
    """Raise DeclarationError where a path is nearly a parameter's name, or a word near to nothing that there is."""
    parameters = _mapping(document.get(KEY))
    if not parameters or path.partition(".")[0] in (*document, *known_fields()):
        return
    hint, of_all = nearest(path, parameters), nearest(path, (*parameters, *known_fields()))
    is_far = "did you mean" not in of_all and "." not in path
    if is_far or ("did you mean" in hint and hint == of_all):
        raise DeclarationError(f"{change}: unknown parameter {path!r}{hint}")


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def prove_meant(document: dict[str, Any], path: str, change: str, *, new: bool = False) -> None:
    """Raise DeclarationError, beginning with `change`, where it names a model's alias that no agent has.

    Where there may be `new` ones, only one that is nearly an agent's is refused.
    """
    root, _, rest = path.partition(".")
    alias = rest.partition(".")[0]
    agents, models = (_mapping(document.get(key)) for key in ("agents", "models"))
    if root != "models" or not alias or not agents:
        return
    wanted = [_mapping(agent).get("model") for agent in agents.values()]
    if None in wanted or alias in wanted or alias in models.values():  # who names no model has the only one
        return
    known = [name for name in models if name in wanted]
    hint = nearest(alias, known)
    if not new or "did you mean" in hint:
        raise DeclarationError(f"{change}: no agent has the model {alias!r}{hint}")


def _step_into(place: Any, part: str, path: str, change: str) -> Any:  # noqa: ANN401 - a document's part may be anything
    if isinstance(place, list):
        parts = cast("list[object]", place)
        if part.isdecimal() and int(part) < len(parts):
            return parts[int(part)]
        raise DeclarationError(f"{change}: {path} is not there; the list has parts 0 to {len(parts) - 1}")
    if isinstance(place, str) and place.startswith("$"):
        raise DeclarationError(f"{change}: a parameter stands there: --set {place[1:]}=… chooses it")
    if isinstance(place, dict):
        place = cast("dict[str, Any]", place)
        if part not in place and part in ("judging", "models", "failing"):
            place[part] = {}
        if part in place:
            return place[part]
        raise DeclarationError(f"{change}: {path} is not there{nearest(part, map(str, place))}")
    raise DeclarationError(f"{change}: {path} has no parts")

"""The command that plays a run again, out of what the run noted; it holds no path and no address of a machine."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath, PureWindowsPath
from typing import Any, cast

import yaml

from ...protocols.errors import DeclarationError
from ...protocols.judging import Judging
from ..declared import alias_of, declaration, models_of
from ..hub import PREFIX
from ..loading import library, set_part, source_of, validate
from ..shapes import SHAPES
from ..source import read

OF_A_MACHINE = ("base_url", "key_env")
"""What a model's settings say of where it is, and not of how it answers."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command, in words for a shell."""

    words: tuple[str, ...]
    file: str | None
    """The name under which the scenario has to be saved first; None where it is in the library."""

    def __str__(self) -> str:
        return " ".join(shlex.quote(word) for word in self.words)


def published(scenario: Mapping[str, Any]) -> str:
    """Return a scenario as YAML, without what is of one machine only."""
    document = _without_machine(scenario)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _without_machine(scenario: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(scenario))
    for settings in document.get("models", {}).values():
        if isinstance(settings, dict):
            for name in OF_A_MACHINE:
                cast("dict[str, Any]", settings).pop(name, None)
    return document


def data_name(data: str) -> str:
    """Return what a data set is called, without the folder it lies in."""
    name = data.removeprefix(PREFIX)
    if data.startswith(PREFIX) and name.count("/") <= 1 and not name.startswith((".", "/", "~")) and "\\" not in name:
        return data
    return PurePath(PureWindowsPath(name).name).name


def run_command(played: Mapping[str, Any], data: str | None, mark: Mapping[str, Any]) -> Command:
    """Return the command that plays a run again.

    Args:
        played: What was noted of what was played.
        data: The data set, as it was named.
        mark: What was noted of it: mapping and limit.
    """
    document = _without_machine(played["scenario"])
    name = str(document["scenario"])
    changes = _changes(document)
    file = None if changes is not None else f"{name}.yaml"
    words = ["fellowship", "run", file or name, "--data", data_name(data) if data else "DATA"]
    if mark.get("mapping") and not any(dict(shape.mapping) == mark["mapping"] for shape in SHAPES):
        words += ["--map", ",".join(f"{field}={column}" for field, column in mark["mapping"].items())]
    if mark.get("limit"):
        words += ["--limit", str(mark["limit"])]
    for alias, model in _models(played).items():
        words += ["--model", model if alias == "*" else f"{alias}={model}"]
    for change in changes or ():
        words += ["--set", change]
    return Command((*words, "--seed", str(played.get("seed") or 0)), file)


def _models(played: Mapping[str, Any]) -> dict[str, str]:
    """Return the model behind each alias, or behind each name that a sweep compares."""
    if "variants" not in played:
        return _aliases(played)
    found: dict[str, str] = {}
    for variant in played["variants"].values():
        behind = _aliases(variant)
        for path, name in variant["over"].items():
            alias = str(path).removeprefix("models.")
            if alias != path and alias in behind:
                found[str(name)] = behind[alias]
    return found


def _aliases(record: Mapping[str, Any]) -> dict[str, str]:
    aliases = models_of(record["scenario"])
    found: dict[str, str] = {}
    for agent, settings in record["models"].items():
        alias = alias_of(aliases, declaration(record, agent))
        if alias in aliases:
            found[alias] = str(settings["model"])
        elif alias != settings["model"]:  # it had none, or one of its own, and one was given for all
            found["*"] = str(settings["model"])
    return {"*": found["*"]} if "*" in found else found


def _changes(document: dict[str, Any]) -> tuple[str, ...] | None:
    """Return what `--set` has to say to make the library's scenario of this name this one; None where it cannot."""
    name = str(document["scenario"])
    if name not in library():
        return None
    source = source_of(name)
    try:
        found = list(_parameters(validate(source).document(), document))
        for change in found:
            set_part(source.document, change)
        differing = list(_differing(_judged(validate(source).document()), _judged(document), ""))
        if any(isinstance(value, list) for _, value in differing):
            return None  # it could be said, and nobody would read it
        for path, value in differing:
            found.append(f"{path}={_value(value)}")
            set_part(source.document, found[-1])
        return tuple(found) if validate(source).document() == document else None
    except DeclarationError:
        return None


def _parameters(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Return the parameters that were chosen otherwise, as `--set` says them."""
    defaults: dict[str, Any] = before.get("chosen", {})
    chosen: dict[str, Any] = now.get("chosen", {})
    for name, value in chosen.items():
        if name in defaults and value != defaults[name]:
            yield f"{name}={_value(value)}"


def _judged(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document that says of judging also what is as by default: a part that is gone has gone back to that."""
    return {**document, "judging": Judging.model_validate(document.get("judging") or {}).model_dump()}


def _differing(before: object, now: object, path: str) -> Iterator[tuple[str, object]]:
    """Return the paths at which a document says something else, and what; what is gone is not among them."""
    if before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        was, is_now = cast("dict[str, object]", before), cast("dict[str, object]", now)
        for key, value in is_now.items():
            yield from _differing(was.get(key), value, f"{path}.{key}" if path else key)
    elif (
        isinstance(before, list)
        and isinstance(now, list)
        and len(cast("list[object]", before)) == len(cast("list[object]", now))
    ):
        for place, (one, other) in enumerate(zip(cast("list[object]", before), cast("list[object]", now), strict=True)):
            yield from _differing(one, other, f"{path}.{place}")
    else:
        yield path, now


def _value(value: object) -> str:
    """Return a value as YAML in one line: words as they are, where they are read as such."""
    if isinstance(value, str):
        try:
            bare = read(f"value: {value}", "--set").document["value"] == value
        except DeclarationError:
            bare = False
        if bare:
            return value
    return json.dumps(value, ensure_ascii=False)

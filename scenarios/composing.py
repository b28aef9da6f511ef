"""What a scenario takes from elsewhere: personas of a file, and the scenarios whose steps it uses."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, cast

from ..protocols.errors import DeclarationError, Problem, UnknownName
from .cast import used_name, uses
from .source import Path, Source, read
from .spec import Document, Scenario, Use

Find = Callable[[str], Source]
"""Returns the document of a library scenario or of a file; raises DeclarationError."""
Prove = Callable[[Source, tuple[str, ...]], Document]
"""Returns what a document declares, given the names of those that use it, one within the other."""
Put = Callable[[dict[str, Any], str, object, str], None]
"""Sets a part of a document by its path; the sentence of an error begins with the last argument."""


def beside(name: str, source: Source) -> str:
    """Return the file beside a document's own, where there is one of that name; else the name as it is."""
    file = FilePath(source.lies).parent / name
    return str(file) if file.is_file() else name


def with_personas(source: Source) -> Source:
    """Return a document with the personas of the file that it names; the same where it names none.

    Raises:
        DeclarationError: the file is not there, or is no mapping of names to personas.
    """
    named = source.document.get("personas")
    if not isinstance(named, str):
        return source
    path = FilePath(beside(named, source))
    try:
        found = read(path.read_text(encoding="utf-8"), str(path), "a file of personas")
    except OSError as error:
        what = f"personas: there is no file {named!r} beside this one ({error.strerror})"
        raise DeclarationError([source.problem(what, ("personas",))]) from error
    except UnicodeDecodeError as error:
        raise DeclarationError([Problem("not UTF-8", str(path))]) from error
    problems = [
        found.problem(f"persona {name!r} is a mapping of title and text", (name,))
        for name, persona in found.document.items()
        if not isinstance(persona, dict)
        or "title" not in persona
        or set(cast("Mapping[str, object]", persona)) - {"title", "text"}
    ]
    if problems:
        raise DeclarationError(problems)
    return replace(source, document={**source.document, "personas": found.document})


def composed(
    scenario: Scenario, source: Source, above: tuple[str, ...], find: Find, prove: Prove, put: Put
) -> Scenario:
    """Return a scenario with all that its steps use, and what that uses.

    Args:
        scenario: As it is declared.
        source: Its document.
        above: The names of the scenarios that use it, one within the other.
        find: Finds a document.
        prove: Proves it.
        put: Sets a part of it.

    Raises:
        DeclarationError: there is no such scenario, it is wrong, is a sweep, or uses itself.
    """
    used = dict(scenario.used)
    problems: list[Problem] = []
    for step, at in uses(scenario.flow, ("flow",)):
        key = used_name(step)
        if key in used:
            continue
        try:
            used[key] = _used(step, at, scenario, source, above, find, prove, put)
        except UnknownName as error:
            problems.append(source.problem(f"use: {error}", (*at, "use")))
        except DeclarationError as error:
            placed = [problem for problem in error.problems if problem.source]
            problems += placed or [source.problem(str(error), (*at, "use"))]
    if problems:
        raise DeclarationError(list(dict.fromkeys(problems)))
    return scenario.model_copy(update={"used": used}) if used != scenario.used else scenario


def _used(
    step: Use, at: Path, scenario: Scenario, source: Source, above: tuple[str, ...], find: Find, prove: Prove, put: Put
) -> Scenario:
    ring = (*above, scenario.scenario)
    base = find(beside(step.use, source))
    if base.document.get("scenario") in ring:
        raise DeclarationError(f"scenarios that use one another without end: {' -> '.join((*ring, step.use))}")
    document: dict[str, Any] = json.loads(json.dumps(base.document))
    if step.set:
        prove(base, ring)  # what is wrong without them is no fault of theirs
    for path, value in step.set.items():
        try:
            put(document, path, value, "set")
            found = prove(replace(base, document=document), ring)
        except DeclarationError as error:
            whats = [problem.what for problem in error.problems]
            told = [what if what.startswith("set") else f"set: {what}" for what in whats]
            raise DeclarationError([source.problem(what, (*at, "set", path)) for what in told]) from error
    found = prove(replace(base, document=document), ring)
    if not isinstance(found, Scenario):
        raise DeclarationError(f"{step.use} is a sweep, and plays others itself: use what it plays")
    return found

"""Parameters of a scenario: values by name, put in their places before anything is proven.

A value that is `$name` as a whole is replaced by the parameter's value, whatever that is; within a text, such as a
condition, `$name` is replaced by its words. Nothing is reckoned.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from pydantic import ValidationError

from ..protocols.errors import DeclarationError, Problem, nearest
from .parameter import Parameter
from .problems import Problems
from .source import Path, Source

KEY = "parameters"
CHOSEN = "chosen"
"""Where a filled document says what its parameters were."""
NAMING = ("ask", "hears", "by", "among")
"""Keys of steps that name agents."""
_USED = re.compile(r"\$([a-z][a-z0-9_-]*)")


def filled(source: Source) -> Source:
    """Return a document with its parameters in their places; the same where it has none.

    Agents that only other choices of a parameter would ask are left out.

    Raises:
        DeclarationError: what is wrong with its parameters, each at its place.
    """
    declared = source.document.get(KEY)
    if declared is None:
        return source
    problems = Problems(source)
    if not isinstance(declared, dict):
        problems.add(f"{KEY} must be a mapping", (KEY,))
        problems.tell()
    parameters = dict(_declared(cast("dict[str, Any]", declared), problems))
    problems.tell()
    values = {name: parameter.value for name, parameter in parameters.items()}
    bound = _bound(source.document)
    for name in sorted(bound & set(values)):
        problems.add(f"parameter {name!r} has the name of an `each`: call one of them otherwise", (KEY, name))
    document = {
        key: _filled(part, values, (key,), problems, bound) for key, part in source.document.items() if key != KEY
    }
    problems.tell()
    _leave_out(document, parameters)
    return replace(source, document={**document, CHOSEN: {name: each.default for name, each in parameters.items()}})


def choosable(source: Source) -> dict[str, Parameter]:
    """Return the parameters of a document that is right, by name, as it declares them; none where it has none."""
    declared = source.document.get(KEY)
    if not isinstance(declared, dict):
        return {}
    return dict(_declared(cast("dict[str, Any]", declared), Problems(source)))


def unused(source: Source) -> list[Problem]:
    """Return a problem for each parameter that stands in no value of the document.

    Where a name is none, or one stands in a value that is not declared, that is the mistake, which `filled` tells.
    """
    declared = source.document.get(KEY)
    names = set(cast("dict[str, Any]", declared)) if isinstance(declared, dict) else set[str]()
    texts = list(_strings([source.document]))
    used = {use for text in texts for use in _USED.findall(text)}
    bound = _bound(source.document)
    if any((whole := _USED.fullmatch(text)) and whole[1] not in names | bound for text in texts):
        return []
    return [
        source.problem(f"parameter {name!r} is used nowhere: ${name} stands in no value", (KEY, name))
        for name in sorted(names - used)
        if _USED.fullmatch(f"${name}")
    ]


def _declared(declared: dict[str, Any], problems: Problems) -> Iterator[tuple[str, Parameter]]:
    for name, said in declared.items():
        at: Path = (KEY, name)
        if not _USED.fullmatch(f"${name}"):
            problems.add(f"{name!r} is not a name: small letters, digits, - and _, a letter first", at)
            continue
        try:
            parameter = Parameter.model_validate(said if isinstance(said, dict) else {"default": said})
        except ValidationError as error:
            for fault in error.errors(include_url=False):
                place = tuple(part for part in fault["loc"] if part != "[key]")
                problems.add(f"parameter {name}: {_said_of(dict(fault))}", (*at, *place))
            continue
        wrong = parameter.wrong()
        if wrong:
            problems.add(f"parameter {name}: {wrong}", (*at, "default"))
        else:
            yield name, parameter


def _said_of(fault: dict[str, Any]) -> str:
    """Return what is wrong with a part of a parameter, in a scenario's author's words."""
    loc: tuple[str | int, ...] = fault["loc"]
    place, what = ".".join(map(str, loc)), str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "missing":
        return f"key {place!r} is missing"
    if fault["type"] == "extra_forbidden":
        return f"unknown key {place!r}{nearest(place, Parameter.model_fields)}"
    if loc[-1:] == ("[key]",):
        return f"{loc[-2]!r} is not a name: small letters, digits, - and _"
    return f"{place}: {what}" if place else what


def _bound(part: object) -> set[str]:
    """Return the names that an `each` of a document binds: they stand for what is known as it is played."""
    if isinstance(part, dict):
        mapping = cast("dict[str, object]", part)
        own = {str(mapping["each"])} if "each" in mapping else set[str]()
        return own.union(*map(_bound, mapping.values()))
    return set[str]().union(*map(_bound, cast("list[object]", part))) if isinstance(part, list) else set()


def _filled(part: object, values: dict[str, Any], at: Path, problems: Problems, bound: set[str]) -> object:
    """Return a part of a document with every parameter in its place; `bound` names stand for themselves."""
    if isinstance(part, dict):
        mapping = cast("dict[str, object]", part)
        return {key: _filled(value, values, (*at, key), problems, bound) for key, value in mapping.items()}
    if isinstance(part, list):
        several = cast("list[object]", part)
        found = [_filled(value, values, (*at, index), problems, bound) for index, value in enumerate(several)]
        return [one for value, was in zip(found, several, strict=True) for one in _spread(value, was)]
    if not isinstance(part, str):
        return part
    whole = _USED.fullmatch(part)
    if whole is None:
        return _USED.sub(lambda use: _words(use, values), part)
    if whole[1] not in values and whole[1] not in bound:
        problems.add(f"unknown parameter {whole[1]!r}{nearest(whole[1], values)}", at)
    return values.get(whole[1], part)


def _spread(value: object, was: object) -> list[object]:
    """Return a list's values: a parameter that is a list itself stands in a list with its own."""
    return cast("list[object]", value) if isinstance(value, list) and isinstance(was, str) else [value]


def _words(use: re.Match[str], values: dict[str, Any]) -> str:
    if use[1] not in values:
        return use[0]  # a text may speak of $money
    value = values[use[1]]
    return value if isinstance(value, str) else json.dumps(value)


def _leave_out(document: dict[str, Any], parameters: dict[str, Parameter]) -> None:
    """Leave out agents whom another choice would ask, and nobody asks now."""
    choices = [choice for parameter in parameters.values() for choice in parameter.choices.values()]
    optional = {*_named(choices), *(word for choice in choices for word in _words_of(choice))}
    agents, flow = document.get("agents"), document.get("flow")
    if isinstance(agents, dict):
        named = {*_named(flow), *_strings(document.get("groups"))}
        document["agents"] = {
            name: agent
            for name, agent in cast("dict[str, object]", agents).items()
            if name in named or name not in optional
        }


def _named(part: object) -> Iterator[str]:
    """Return the words that stand where steps name agents."""
    if isinstance(part, dict):
        for key, value in cast("dict[str, object]", part).items():
            yield from _words_of(value) if key in NAMING else _strings(value) if key == "as" else _named(value)
    elif isinstance(part, list):
        for value in cast("list[object]", part):
            yield from _named(value)


def _words_of(part: object) -> list[str]:
    """Return a word, or the words of a list."""
    if isinstance(part, str):
        return [part]
    return [word for word in cast("list[object]", part) if isinstance(word, str)] if isinstance(part, list) else []


def _strings(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        part = list(cast("dict[str, object]", part).values())
    if isinstance(part, list):
        for value in cast("list[object]", part):
            yield from _strings(value)
    elif isinstance(part, str):
        yield part


def set_parameter(document: dict[str, Any], path: str, value: object) -> bool:
    """Set a parameter, where a path is the name of one; returns whether it is.

    Raises:
        DeclarationError: it takes no such value.
    """
    declared = document.get(KEY)
    if not isinstance(declared, dict) or path not in declared:
        return False
    said = cast("dict[str, Any]", declared)[path]
    whole: dict[str, Any] = dict(cast("dict[str, Any]", said)) if isinstance(said, dict) else {"default": said}
    before = whole.get("default")
    whole["default"] = value
    try:
        wrong = Parameter.model_validate(whole).wrong(like=before)
    except ValidationError as error:
        wrong = str(error.errors()[0]["msg"])
    if wrong:
        raise DeclarationError(f"{path}: {wrong}")
    cast("dict[str, Any]", declared)[path] = whole
    return True

"""The page that lists every word of the language, from the models that read it and the registries that know it."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from ...agents import PERSONAS, ROLES, Persona
from ...protocols.aggregation import RULES, Rule
from ...protocols.judging import Judging
from ...protocols.models import ModelSettings
from ...protocols.selection import PICKS
from ...protocols.stopping import PREDICATES, QUANTITIES
from .. import spec
from ..parameter import Parameter

if TYPE_CHECKING:
    from ...protocols.registry import Registry

MODELS: dict[str, type[BaseModel]] = {
    "A scenario": spec.Scenario,
    "An agent": spec.Agent,
    "Failing": spec.Failing,
    "A persona": spec.Persona,
    "A model": ModelSettings,
    "Judging": Judging,
    "A parameter": Parameter,
    "ask": spec.Ask,
    "A graph": spec.Graph,
    "repeat": spec.Repeat,
    "when": spec.When,
    "each": spec.Each,
    "decide": spec.Decide,
    "pick": spec.Pick,
    "pair": spec.Pair,
    "use": spec.Use,
    "A sweep": spec.Sweep,
    "A leg of a sweep": spec.Leg,
}
"""By heading."""
HEADINGS = {model.__name__: heading for heading, model in MODELS.items()}
UNSAID = {
    "top_p": "Nucleus sampling: of the likeliest tokens, those that make up so much; null leaves it to the endpoint.",
    "seed": "Of the endpoint's own sampling, where it takes one.",
    "stop": "What ends an answer.",
    "calls": "The calls of the item so far.",
    "cost": "What the item has cost so far, in US dollars.",
    "drift": "How far the last opinions are distributed from those before them, from 0 to 1.",
    "round": "The round of the innermost repeat, from 1.",
    "tokens": "The tokens of all calls for the item so far.",
}
"""What the code has no sentence for."""
PLAINLY = {
    "unique-mode": "What most say; several with the most are level.",
    "majority": "What more than half say; else those with the most are level, be it one alone.",
    "weighted": "What has the greatest weight; several with the greatest are level.",
    "confidence-weighted": "What has the greatest weight; several with the greatest are level.",
    "meta-judge": "What one more judge says, who hears the votes.",
}
"""What the code says in words of its own."""
FLAGS = {
    "needs_scores": "Needs scores.",
    "needs_confidence": "Each counts as much as it is sure.",
    "weighs": "Each counts as much as its agent's weight.",
    "alone": "Takes one vote, that of `by`.",
}
REGISTRIES: "dict[str, tuple[Registry[Any], str]]" = {
    "Roles": (ROLES, "What an agent's `role` may be."),
    "Personas": (PERSONAS, "What an agent's `persona` may be, beside the scenario's own `personas`."),
    "Conditions": (PREDICATES, "What `when` and `until` take."),
    "Quantities": (QUANTITIES, "What `when` and `until` compare with a number by `>=`, `<=`, `>`, `<` or `==`."),
    "Aggregation rules": (RULES, "What `decide`, and the `rule` of judges, may be."),
    "Ways to pick": (PICKS, "What `pick` may be."),
}
"""By heading: the names that may stand somewhere, and where."""
HEAD = """\
# Every word of the scenario language

Each table is one mapping of a scenario's file: its keys, what they may be, and what they are where they are left out.
`$NAME` of a [parameter](#a-parameter) may stand in the place of a value. [The guide](scenarios.md) says how they go
together. `make docs` writes this page.
"""
FOOT = """\
## Words in place of names and conditions

`everyone` and `nobody` stand for all agents and for none, where `hears` takes names. `decided` stands for a condition
in the `until` of a step that asks for ballots in turn: no vote still to come could change the verdict. What is *level*
comes to what the `ties` of the `decide` say.
"""


def page() -> str:
    """Return the page."""
    parts = [HEAD, *(_table(heading, model) for heading, model in MODELS.items()), FOOT]
    return "\n".join([*parts, *_registries()])


def _table(heading: str, model: type[BaseModel]) -> str:
    found = model.model_json_schema(by_alias=True)
    if "$ref" in found:
        found = found["$defs"][model.__name__]
    required = set(found.get("required", ()))
    parts = cast("dict[str, dict[str, Any]]", found["properties"])
    rows = [
        f"| `{key}` | {_sort(parts[key])} | {_default(parts[key], needed=key in required)} | {_said(key, parts[key])} |"
        for key in sorted(parts, key=lambda key: key != heading)  # the verb comes first
    ]
    titles = "| key | what it may be | default | what it says |\n|---|---|---|---|"
    return "\n".join([f"## {heading}\n", f"{_first(model)}\n", titles, *rows, ""])


def _said(key: str, part: Mapping[str, Any]) -> str:
    return _cell(str(part.get("description") or UNSAID.get(key, "")))


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _default(part: Mapping[str, Any], *, needed: bool) -> str:
    if needed:
        return "*must be said*"
    default = part.get("default")
    if default is None or default in ("", []) or isinstance(default, dict):  # a mapping has defaults of its own
        return ""
    return f"`{_cell(default if isinstance(default, str) else json.dumps(default))}`"


# what a key may be


def _sort(part: Mapping[str, Any]) -> str:
    """Return in words what a JSON schema takes."""
    several = part.get("anyOf") or part.get("oneOf")
    if several:
        return _either([each for each in several if each.get("type") != "null"])
    if "enum" in part:
        return ", ".join(f"`{each}`" for each in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if "$ref" in part:
        return _linked(str(part["$ref"]).rpartition("/")[2])
    words: dict[str, Callable[[], str]] = {
        "string": lambda: "a name" if "pattern" in part else "text",
        "integer": lambda: f"whole number{_bounds(part)}",
        "number": lambda: f"number{_bounds(part)}",
        "boolean": lambda: "`true`, `false`",
        "array": lambda: _list(part),
        "object": lambda: _mapping(part),
    }
    return words[part["type"]]() if "type" in part else "anything"


def _either(parts: list[dict[str, Any]]) -> str:
    names = {str(each.get("$ref", "")).rpartition("/")[2] for each in parts}
    if {"Ask", "Repeat"} <= names:
        return "a step: " + ", ".join(_linked(each.__name__) for each in MODELS.values() if each.__name__ in names)
    return " or ".join(dict.fromkeys(map(_sort, parts)))


def _linked(name: str) -> str:
    heading = HEADINGS[name]
    return f"[{heading[0].lower()}{heading[1:]}](#{heading.lower().replace(' ', '-')})"


def _list(part: Mapping[str, Any]) -> str:
    if "prefixItems" in part:
        return f"a list of {len(part['prefixItems'])}: {_sort(part['prefixItems'][0])} each"
    items = cast("dict[str, Any]", part.get("items", {}))
    steps = _sort(items)
    plural = {"text": "a list of texts"}
    return "a list of steps" if steps.startswith("a step: ") else plural.get(steps, f"a list, each {steps}")


def _mapping(part: Mapping[str, Any]) -> str:
    patterned = cast("dict[str, Any]", part.get("patternProperties", {}))
    inner: object = next(iter(patterned.values()), part.get("additionalProperties"))
    known = cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}
    return f"a mapping of names, each to {_sort(known)}"


def _bounds(part: Mapping[str, Any]) -> str:
    least, most = part.get("minimum"), part.get("maximum")
    if least is not None and most is not None:
        return f", {least:g} to {most:g}"
    above = part.get("exclusiveMinimum")
    low = f"{least:g} or more" if least is not None else f"above {above:g}" if above is not None else ""
    high = f"{most:g} or less" if most is not None else ""
    return "".join(f", {each}" for each in (low, high) if each)


# what names may stand in them


def _registries() -> Iterator[str]:
    for heading, (registry, about) in REGISTRIES.items():
        rows = [f"| `{name}` | {_cell(told(registry[name], name))} |" for name in registry]
        yield "\n".join([f"## {heading}\n", f"{about}\n", "| name | what it is |", "|---|---|", *rows, ""])


def told(thing: object, name: str) -> str:
    """Return what a registered thing is, in a sentence; empty where nothing says it."""
    if isinstance(thing, Persona):
        return f"{thing.title[0].upper()}{thing.title[1:]}. {thing.text}"
    flags = [words for flag, words in FLAGS.items() if isinstance(thing, Rule) and getattr(thing, flag)]
    return " ".join([PLAINLY.get(name) or _sentence(thing) or UNSAID.get(name, ""), *flags])


def _sentence(thing: object) -> str:
    if inspect.isfunction(thing) or inspect.isclass(thing):
        return _first(thing)
    fields = getattr(type(thing), "__dataclass_fields__", {})
    functions = (getattr(thing, field) for field in fields)
    return next((_first(each) for each in functions if inspect.isfunction(each)), "")


def _first(thing: object) -> str:
    """Return the first sentence of a docstring, without the word that says that it is returned."""
    text = inspect.getdoc(thing) or ""
    line = " ".join(text.partition("\n\n")[0].split()).removeprefix("Return ").removeprefix("Whether ")
    return f"{line[:1].upper()}{line[1:]}"

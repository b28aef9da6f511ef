"""The JSON schema of scenario files, for editors."""

from typing import Any

from pydantic import TypeAdapter

from .spec import Document

REFERENCE = {"type": "string", "pattern": r"^\$[a-z][a-z0-9_-]*$", "description": "A parameter of the scenario."}
"""What may stand in the place of any value."""
WHOLE = frozenset({"integer", "number", "boolean"})
TOLD = ("description", "default", "title")


def schema() -> dict[str, Any]:
    """Return the JSON schema of scenario files; a sweep is known by its key, for better words in editors."""
    found = TypeAdapter[Document](Document).json_schema(by_alias=True)
    scenario, sweep = found.pop("anyOf")
    definitions = {
        name: part if name in ("Parameter", "Sweep", "Leg") else _or_parameter(part)
        for name, part in found["$defs"].items()
    }
    definitions["Reference"] = REFERENCE
    return {"$defs": definitions, "if": {"required": ["sweep"]}, "then": sweep, "else": scenario}


def _or_parameter(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that takes a parameter wherever it takes a number, a word of several, or steps."""
    properties: dict[str, dict[str, Any]] = schema.get("properties", {})
    return {**schema, "properties": {name: _takes_one(part) for name, part in properties.items()}}


def _takes_one(part: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {name: part[name] for name in TOLD if name in part}
    bare = {name: value for name, value in part.items() if name not in told}
    if bare.get("type") == "array" and isinstance(bare.get("items"), dict):
        bare["items"] = _takes_one(bare["items"])
    several = bare.get("anyOf", [bare])
    if any(each.get("type") in WHOLE or "enum" in each or "oneOf" in each or "$ref" in each for each in several):
        return {**told, "anyOf": [*several, {"$ref": "#/$defs/Reference"}]}
    return {**told, **bare}

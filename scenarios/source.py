"""YAML with places: where every key and value of a document stands."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import yaml

from ..protocols.errors import DeclarationError, Problem

Path = tuple[str | int, ...]

LARGEST = 20_000
"""Parts a document may have, those that aliases repeat included."""
PLAINER = (
    ("'\\t' that cannot start any token", "a tab: YAML is indented with blanks"),
    (
        "mapping values are not allowed here",
        "a colon where none may stand: quote a text that has one, or mend the indentation",
    ),
    ("could not find expected ':'", "a key without a colon and a blank after it"),
    ("found unexpected end of stream", "a quotation mark opens here and none closes it"),
    ("'<stream end>'", "a bracket opens here and none closes it"),
    ("expected <block end>", "the indentation fits no line above it"),
)
"""What PyYAML says, and what a scenario's author does."""
AT_ITS_BEGINNING = ("could not find expected ':'", "found unexpected end of stream", "'<stream end>'")
"""What PyYAML finds out at the end of a thing, and is mended at its beginning."""
WORDS_ONLY = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")


class _Loader(yaml.SafeLoader):
    """YAML as 1.2 reads it: only true and false are booleans, and dates are words."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in WORDS_ONLY]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _first in "tf":
    _Loader.yaml_implicit_resolvers[_first] = [("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"))]


@dataclass(frozen=True, slots=True)
class Source:
    """A document and the places of its parts."""

    name: str
    """File, or another name to call it by."""
    document: dict[str, Any]
    places: Mapping[Path, tuple[int, int]] = field(default_factory=dict[Path, tuple[int, int]])
    """Line and column, both from 1, of each part by its path."""
    file: str = ""
    """Where it lies, where its name says more than that."""

    @property
    def lies(self) -> str:
        """Return the file that others lie beside."""
        return self.file or self.name

    def problem(self, what: str, path: Path = ()) -> Problem:
        """Return a problem at a part, or at the nearest part around it that has a place."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                line, column = self.places[path[:length]]
                return Problem(what, self.name, line, column)
        return Problem(what, self.name)


def read(text: str, name: str, sort: str = "a scenario") -> Source:
    """Read a document that is a mapping.

    Args:
        text: What stands in it.
        name: File, or another name to call it by.
        sort: What it is, in words.

    Raises:
        DeclarationError: it is not YAML, not a mapping, has a key twice, or an alias that contains itself.
    """
    try:
        return _read(text, name, sort)
    except yaml.MarkedYAMLError as error:
        raise DeclarationError([_not_yaml(error, name)]) from error
    except (yaml.YAMLError, ValueError, KeyError, AttributeError, TypeError) as error:  # PyYAML's, for odd tags
        raise DeclarationError([Problem(f"not YAML: {' '.join(str(error).split())}", name)]) from error
    except RecursionError as error:
        raise DeclarationError([Problem("lists and mappings are nested too deep", name)]) from error


def _not_yaml(error: yaml.MarkedYAMLError, name: str) -> Problem:
    """Return what PyYAML says, in plainer words where it has a rule's name for it, at the place of the mistake."""
    what = error.problem or error.context or "nobody knows why"
    mark = error.problem_mark or error.context_mark
    if error.context_mark is not None and any(words in what for words in AT_ITS_BEGINNING):
        mark = error.context_mark
    for theirs, ours in PLAINER:
        if theirs in what:
            what = ours
            break
    place = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return Problem(f"not YAML: {what}", name, *place)


def _read(text: str, name: str, sort: str) -> Source:
    node = yaml.compose(text, Loader=_Loader)
    if node is None:
        raise DeclarationError([Problem("the file is empty", name)])
    if not isinstance(node, yaml.MappingNode):
        raise DeclarationError([Problem(f"{sort} is a mapping of keys to values", name, *_place(node))])
    problems = list(_faults(node, name, (), set()))
    if problems:
        raise DeclarationError(problems)
    places = list(islice(_places(node, ()), LARGEST + 1))
    if len(places) > LARGEST:
        raise DeclarationError([Problem(f"the document has more than {LARGEST} parts", name)])
    loader = _Loader("")
    try:
        document = loader.construct_document(node)  # pyright: ignore[reportUnknownMemberType]  # PyYAML's stubs
    finally:
        loader.dispose()
    return Source(name, document, dict(places))


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _faults(node: yaml.Node, name: str, above: tuple[yaml.Node, ...], checked: set[yaml.Node]) -> Iterator[Problem]:
    if node in above:
        yield Problem("an alias that contains itself: a cycle", name, *_place(node))
        return
    if node in checked:
        return
    checked.add(node)
    inside = (*above, node)
    if isinstance(node, yaml.SequenceNode):
        for part in node.value:
            yield from _faults(part, name, inside, checked)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                yield Problem("a key must be a word", name, *_place(key))
                continue
            if key.value in seen:
                yield Problem(f"key {key.value!r} stands here twice", name, *_place(key))
            seen.add(key.value)
            yield from _faults(value, name, inside, checked)


def _places(node: yaml.Node, path: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    yield path, _place(node)
    if isinstance(node, yaml.SequenceNode):
        for index, part in enumerate(node.value):
            yield from _places(part, (*path, index))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _places(value, (*path, key.value))
            yield (*path, key.value), _place(key)

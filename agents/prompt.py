"""Prompts: Jinja2 templates, rendered in its sandbox, one file an agent and a block for each thing it is told."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import cast

from jinja2 import FileSystemLoader, StrictUndefined, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..protocols.errors import DeclarationError, Problem, nearest

FOLDER = Path(__file__).parent / "prompts"
INCLUDED = re.compile(r'\{% include "([a-z]+\.md)" %\}')
"""A tag for which a file beside the prompts stands."""
OF_MANY = frozenset(
    ("persona", "instructions", "comparing", "strategy", "together", "scale", "shape", "most", "confidence")
)
"""Variables whose values are of many conversations: a block that uses no others is rendered once for each of them."""
REMEMBERED = 256
"""Renderings kept of one prompt: system messages, one for each persona and way of judging."""


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,  # a variable that nobody fills is an error, not an empty string
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


class Prompt:
    """A template whose blocks are rendered one by one."""

    def __init__(self, source: str) -> None:
        """Take the text of a template; raises jinja2.TemplateSyntaxError where it is none."""
        source = INCLUDED.sub(_included, source)
        self._template = _environment().from_string(source)
        self._globals = dict(self._template.globals)
        self.names = _names(source)
        """The variables of each block, those of the files it includes among them."""
        self._uses = {block: tuple(sorted(names)) for block, names in self.names.items() if names <= OF_MANY}
        self._rendered: dict[tuple[object, ...], str] = {}
        self.digest = blake2b(source.encode(), digest_size=16).hexdigest()
        """Names this wording, included files and all; it changes with every character."""

    @classmethod
    def from_file(cls, name: str) -> "Prompt":
        """Read one of the package's own prompts."""
        return cls((FOLDER / name).read_text(encoding="utf-8"))

    @classmethod
    def of(cls, blocks: Mapping[str, str]) -> "Prompt":
        """Return a prompt of a scenario's own wordings, by block.

        Raises:
            DeclarationError: some of them are no templates; each problem names its block and the line in it, from 1.
        """
        problems = [problem for name, text in blocks.items() for problem in _wrong(name, text, blocks)]
        if problems:
            raise DeclarationError(problems)
        return cls("".join(f"{{% block {name} %}}{text}{{% endblock %}}" for name, text in blocks.items()))

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of its blocks."""
        return tuple(self._template.blocks)

    def unknown(self, block: str, known: Iterable[str]) -> tuple[str, ...]:
        """Return the variables of a block that are not among those known, sorted; raises KeyError without the block."""
        return tuple(sorted(self.names[block] - {*known, "self"}))

    def __contains__(self, block: str) -> bool:
        return block in self._template.blocks

    def render(self, block: str, variables: Mapping[str, object]) -> str:
        """Return a block as text, without blank lines around it.

        Raises:
            KeyError: the prompt has no such block.
            jinja2.UndefinedError: the block uses a variable that is not given.
        """
        key = (block, *(variables.get(name) for name in self._uses[block])) if block in self._uses else None
        if key is not None and key in self._rendered:
            return self._rendered[key]
        # Given all it can see at once, a context is made without copying.
        context = self._template.new_context({**self._globals, **variables}, shared=True)
        text = "".join(self._template.blocks[block](context)).strip()
        if key is not None and len(self._rendered) < REMEMBERED:
            self._rendered[key] = text
        return text


def blocks_of(role: type[object]) -> tuple[str, ...]:
    """Return the names of all blocks that a role is told by: its own, and those of the classes it extends."""
    found = [block for prompt in _prompts(role) for block in prompt.blocks]
    return tuple(dict.fromkeys(found))


def variables(role: type[object], block: str) -> frozenset[str]:
    """Return what a block of a role may use: what the agent gives it each time it is rendered.

    Of a role of several hats: what all of them that have the block give it. Empty where the role has no such block.
    """
    kinds = [kind for kind in _hats(role) if any(block in prompt for prompt in _own(kind))]
    given = [_given(kind, block) for kind in kinds]
    return given[0].intersection(*given) if given else frozenset()


def _given(role: type[object], block: str) -> frozenset[str]:
    every: frozenset[str] = getattr(role, "every", frozenset())
    fills: Mapping[str, frozenset[str]] = getattr(role, "fills", {})
    return every | fills.get(block, frozenset())


_FOUND: dict[tuple[type[object], str], Prompt] = {}


def prompt_with(role: type[object], block: str) -> Prompt:
    """Return the prompt that has a block, the role's own or that of a class it extends; raises KeyError."""
    found = _FOUND.get((role, block))
    if found is None:
        found = next((prompt for prompt in _own(role) if block in prompt), None)
        if found is None:
            raise KeyError(f"no prompt of {role.__name__} has a block {block!r}")
        _FOUND[role, block] = found
    return found


def wording(role: type[object]) -> str:
    """Return a digest of all that a role is told by, the wordings of the classes it extends included."""
    return blake2b("".join(prompt.digest for prompt in _prompts(role)).encode(), digest_size=16).hexdigest()


def _hats(role: type[object]) -> tuple[type[object], ...]:
    """Return the roles that a role is composed of: as a rule itself."""
    return getattr(role, "hats", ()) or (role,)


def _own(role: type[object]) -> Iterator[Prompt]:
    for kind in role.__mro__:
        prompt = vars(kind).get("prompt")
        if isinstance(prompt, Prompt):
            yield prompt


def _prompts(role: type[object]) -> Iterator[Prompt]:
    for kind in _hats(role):
        yield from _own(kind)


def _names(source: str) -> dict[str, frozenset[str]]:
    """Return the variables that each block of a template takes from outside."""
    return {block.name: frozenset(_undeclared(block.body)) for block in _parsed(source).find_all(nodes.Block)}


def _parsed(source: str) -> nodes.Template:
    return _environment().parse(source)


def _undeclared(body: list[nodes.Node]) -> set[str]:
    template = cast("nodes.Template", nodes.Template(body, lineno=1).set_environment(_environment()))
    found = meta.find_undeclared_variables(template)
    if any(name.name == "self" for name in template.find_all(nodes.Name)):
        found.add("self")  # whatever other blocks use
    return found


def _wrong(name: str, text: str, blocks: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what is wrong with one wording of a scenario's own."""
    place = f"prompt block {name!r}"
    if not name.isidentifier():
        yield Problem(f"{place}: the name of a block is one word of letters, digits and _")
        return
    try:
        _environment().from_string(text)
        template = _parsed(INCLUDED.sub(_included, text))
    except TemplateSyntaxError as error:
        yield Problem(f"{place}, line {error.lineno}: {error.message}")
        return
    for taken in template.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        yield Problem(f"{place}, line {taken.lineno}: it takes in a template that is not there")
    for inner in template.find_all(nodes.Block):
        yield Problem(f"{place}, line {inner.lineno}: there is a block within it; say {inner.name!r} beside it")
    for part in template.find_all(nodes.Getattr):
        if isinstance(part.node, nodes.Name) and part.node.name == "self" and part.attr not in blocks:
            yield Problem(f"{place}, line {part.lineno}: self.{part.attr} is not there{nearest(part.attr, blocks)}")


def _included(tag: re.Match[str]) -> str:
    """Return the file that a tag includes, so that nothing is looked up while rendering; else the tag."""
    path = FOLDER / tag[1]
    return INCLUDED.sub(_included, path.read_text(encoding="utf-8").rstrip("\n")) if path.is_file() else tag[0]

"""Prompts: Jinja2 templates, rendered in its sandbox, one file an agent and a block for each thing it is told."""

from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER = Path(__file__).parent / "prompts"
OF_ONE_ITEM = frozenset({"item", "mark", "request", "heard", "candidates", "problem", "first", "round", "self"})
"""Variables whose values are of one conversation: a block that uses one of them is rendered every time."""
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
        self._template = _environment().from_string(source)
        self._globals = dict(self._template.globals)
        self._uses = _variables(source)
        self._rendered: dict[tuple[object, ...], str] = {}
        self.digest = blake2b(_whole(source).encode(), digest_size=16).hexdigest()
        """Names this wording, included files and all; it changes with every character."""

    @classmethod
    def from_file(cls, name: str) -> "Prompt":
        """Read one of the package's own prompts."""
        return cls((FOLDER / name).read_text(encoding="utf-8"))

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


def _variables(source: str) -> dict[str, tuple[str, ...]]:
    """Return the variables of each block that says the same in many conversations: all but those about one item."""
    found: dict[str, tuple[str, ...]] = {}
    for block in _environment().parse(source).find_all(nodes.Block):
        parts: list[nodes.Node] = [block]
        parts += [
            _environment().parse((FOLDER / include.template.value).read_text(encoding="utf-8"))
            for include in block.find_all(nodes.Include)
            if isinstance(include.template, nodes.Const)
        ]
        names = {name.name for part in parts for name in part.find_all(nodes.Name)}
        if not names & OF_ONE_ITEM:
            found[block.name] = tuple(sorted(names))
    return found


def _whole(source: str) -> str:
    """Return the text of a template followed by that of the files it includes."""
    included = meta.find_referenced_templates(_environment().parse(source))
    files = sorted({name for name in included if name is not None})
    return "\0".join([source, *(_whole((FOLDER / name).read_text(encoding="utf-8")) for name in files)])

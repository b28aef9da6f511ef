"""Prompts: Jinja2 templates, rendered in its sandbox, one file an agent and a block for each thing it is told."""

from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER = Path(__file__).parent / "prompts"


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
        context = self._template.new_context(dict(variables))
        return "".join(self._template.blocks[block](context)).strip()


def _whole(source: str) -> str:
    """Return the text of a template followed by that of the files it includes."""
    included = meta.find_referenced_templates(_environment().parse(source))
    files = sorted({name for name in included if name is not None})
    return "\0".join([source, *(_whole((FOLDER / name).read_text(encoding="utf-8")) for name in files)])

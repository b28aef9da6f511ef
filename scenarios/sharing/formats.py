"""The forms that are no data sets, by name. Each is loaded when it is wanted."""

# ruff: noqa: PLC0415 - see above
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .shared import Shared, Wish


@dataclass(frozen=True, slots=True)
class Form:
    """One of them."""

    write: Callable[[Wish], Shared]
    """Raises DeclarationError where something of the wish cannot be met."""
    options: frozenset[str] = frozenset()
    """Options of `export` that mean something to it, beside --to, --item and --json."""


def _html(wish: Wish) -> Shared:
    from .static_page import write

    return write(wish)


def _inspect(wish: Wish) -> Shared:
    from .inspect_log import write

    return write(wish)


def _mermaid(wish: Wish) -> Shared:
    from .diagram import write

    return write(wish)


FORMS: Mapping[str, Form] = {
    "html": Form(_html, frozenset({"limit", "prompts"})),
    "inspect": Form(_inspect),
    "mermaid": Form(_mermaid),
}
"""Names as `--format` takes them, each with a function here that loads the module it calls."""

"""What a plugin is: where it comes from, and the names it brings."""

from dataclasses import dataclass, field
from typing import Any, Literal

Sort = Literal[
    "role", "fact", "predicate", "quantity", "rule", "pick", "measure", "exporter", "transport", "provider"
]  # fmt: skip
"""What can be brought. A fact comes with the role that gives it, a provider with the transport that serves it."""


@dataclass(frozen=True, slots=True)
class Brought:
    """One name that a plugin brings."""

    sort: Sort
    name: str
    thing: Any
    """As it is registered."""
    file: str
    """Where it is declared."""
    line: int
    about: str = ""
    """In a sentence, where its author says one."""


@dataclass(slots=True)
class Plugin:
    """A file, or a module that an installed package names in the entry points `fellowship.plugins`."""

    name: str
    """Of the file, as in `mine.py`; or of the entry point."""
    origin: str
    """The file's path, or the package with its version."""
    packaged: bool
    """Whether it came by an entry point."""
    digest: str = ""
    """Of its source; what is said by another version is said by something else."""
    brings: list[Brought] = field(default_factory=list[Brought])

    def document(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {
            "name": self.name,
            "from": self.origin,
            "packaged": self.packaged,
            "digest": self.digest,
            "brings": [
                {"sort": each.sort, "name": each.name, "about": each.about, "line": each.line} for each in self.brings
            ],
        }

"""What is wrong with a document, gathered: all of it is told at once."""

from typing import TypeVar

from ..protocols.errors import DeclarationError, Problem
from ..protocols.registry import Registry
from .source import Path, Source

ThingT = TypeVar("ThingT")


class Problems:
    """The problems of one document, each at its place."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.found: list[Problem] = []
        """What is wrong."""
        self.unasked: list[Problem] = []
        """What is right and yet not played unless asked for."""
        self.warnings: list[Problem] = []
        """What is right and played, and yet better known."""
        self.misnamed = False
        """Whether somebody is not named, or not by the right name: who is never asked, or heard, cannot be told."""

    def add(self, what: str, path: Path) -> None:
        """Note a problem at a part of the document."""
        self.found.append(self._source.problem(what, path))

    def only_if_asked(self, what: str, path: Path) -> None:
        """Note something at a part of the document that is right, and yet is not played unless asked for."""
        self.unasked.append(self._source.problem(what, path))

    def warn(self, what: str, path: Path) -> None:
        """Note something at a part of the document that is right and played, and yet better known."""
        self.warnings.append(self._source.problem(what, path))

    def resolved(self, registry: Registry[ThingT], name: str, path: Path) -> ThingT | None:
        """Return the thing of that name; None where there is none, which is noted."""
        try:
            return registry[name]
        except DeclarationError as error:
            self.add(str(error), path)
            return None

    def tell(self) -> None:
        """Raise DeclarationError where there are any, in the order in which they stand."""
        if self.found:
            raise DeclarationError(sorted(self.found, key=lambda problem: (problem.line or 0, problem.column or 0)))

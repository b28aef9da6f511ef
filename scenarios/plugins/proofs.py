"""What is declared is looked at as it is declared, and what is said by it as it is used."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

from ...protocols.errors import DeclarationError, FellowshipError, PluginFailed, Problem
from ...runtime.secrecy import hide
from .loading import lines_in

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


class Place:
    """Where a decorator stands."""

    def __init__(self, what: str, name: str) -> None:
        frame = inspect.currentframe()
        for _ in range(2):  # out of here, and out of the decorator
            frame = frame.f_back if frame is not None else None
        self.file = frame.f_code.co_filename if frame is not None else ""
        self.line = frame.f_lineno if frame is not None else 0
        self._what = what
        self.name = name
        if not NAME.fullmatch(name):
            self.refuse("a name has small letters and digits, in words joined by -, as in two-thirds")

    def refuse(self, why: str) -> NoReturn:
        """Raise the DeclarationError that says why, and where."""
        raise DeclarationError([Problem(f"{self._what} {self.name!r}: {why}", self.file, self.line)])

    def before_a(self, thing: object, base: type, words: str) -> None:
        """Refuse what is no subclass of a class; `words` say what it goes before."""
        if not isinstance(thing, type) or not issubclass(thing, base):
            self.refuse(f"it goes before {words}")

    def takes(self, function: object, *counts: int, what: str) -> int:
        """Return how many arguments a function takes, one of these counts; `what` they are is told where it is not."""
        if not callable(function) or isinstance(function, type):
            self.refuse("it goes before a function")
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            self.refuse("it is a pure function: def, not async def")
        parameters = inspect.signature(function).parameters.values()
        placed = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
        rest = [each for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
        most = 99 if any(each.kind is each.VAR_POSITIONAL for each in parameters) else len(placed)
        least = sum(each.default is each.empty for each in placed)
        fitting = [count for count in counts if least <= count <= most]
        if rest or not fitting:
            self.refuse(f"its function takes {what}")
        return max(fitting)

    def failed(self, error: Exception) -> PluginFailed:
        """Return what is raised where a function of a plugin breaks: the line and the reason, in a sentence."""
        line = next(reversed(list(lines_in(error, Path(self.file)))), self.line)
        words = " ".join(str(error).split())
        return PluginFailed(
            f"the {self._what} {self.name!r} broke: {self.file}:{line}: {type(error).__name__}: {hide(words)}"
        )

    def wrong(self, found: object, wanted: str) -> PluginFailed:
        """Return what is raised where a function returns something else than it should."""
        shown = hide(repr(found))
        return PluginFailed(
            f"the {self._what} {self.name!r} ({self.file}:{self.line}) returned {shown:.60}, and not {wanted}"
        )

    def guarded(self, function: Callable[Parameters, Returned]) -> Callable[Parameters, Returned]:
        """Return a function whose own errors say whose they are; those of this package stay as they are."""

        def called(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
            try:
                return function(*args, **kwargs)
            except FellowshipError:
                raise
            except Exception as error:
                raise self.failed(error) from error

        return called


def summary(thing: Any, about: str) -> str:  # noqa: ANN401 - whatever is decorated
    """Return what is said about a thing, else the first line of its docstring."""
    own = vars(thing).get("__doc__") if isinstance(thing, type) else getattr(thing, "__doc__", None)
    return about or (str(own).strip().splitlines()[0].strip() if own else "")

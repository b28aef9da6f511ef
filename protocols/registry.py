"""Names in files resolve here, and nowhere else."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from .errors import NameTaken, UnknownName

ThingT = TypeVar("ThingT")


class Registry(Generic[ThingT]):
    """An immutable table of named things of one sort.

    Extending it gives a new one, so that no plugin can change what another run sees.
    """

    def __init__(self, sort: str, things: Mapping[str, ThingT]) -> None:
        self.sort = sort
        """What is registered, in one word for error messages: `role`, `persona`."""
        self._things = dict(things)

    def __getitem__(self, name: str) -> ThingT:
        """Return the thing of that name; raises UnknownName, which tells the nearest one."""
        try:
            return self._things[name]
        except KeyError:
            raise UnknownName(self.sort, name, self._things) from None

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._things))

    def extended(self, **things: ThingT) -> "Registry[ThingT]":
        """Return a registry that knows these as well; raises NameTaken on a clash. `_` stands for `-`."""
        added = {name.replace("_", "-"): thing for name, thing in things.items()}
        for name in added:
            if name in self._things:
                raise NameTaken(self.sort, name)
        return Registry(self.sort, {**self._things, **added})

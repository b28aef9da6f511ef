"""Names in files resolve here, and nowhere else."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from .errors import NameTaken, UnknownName

ThingT = TypeVar("ThingT")
OWN = "one of the package's own"
"""Whose a name is that no plugin has brought."""


class Registry(Generic[ThingT]):
    """A table of named things of one sort.

    Extending it gives a new one, so that nobody changes what another run sees. Plugins alone are added to it as it
    is, before anything is planned, and taken back.
    """

    def __init__(self, sort: str, things: Mapping[str, ThingT]) -> None:
        self.sort = sort
        """What is registered, in one word for error messages: `role`, `persona`."""
        self._things = dict(things)
        self._owners: dict[str, str] = {}

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
        more = Registry(self.sort, {**self._things, **added})
        more._owners.update(self._owners)
        return more

    def add(self, name: str, thing: ThingT, owner: str) -> None:
        """Add what a plugin brings; raises NameTaken, which says whose the name is already."""
        if name in self._things:
            raise NameTaken(self.sort, name, self._owners.get(name, OWN))
        self._things[name] = thing
        self._owners[name] = owner

    def take_back(self, name: str) -> None:
        """Forget what a plugin has brought; raises KeyError for a name that no plugin has."""
        del self._owners[name]
        del self._things[name]

    def owner(self, name: str) -> str | None:
        """Return the plugin that has brought a name; None for all others."""
        return self._owners.get(name)

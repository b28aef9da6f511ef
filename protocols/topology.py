"""Who listens to whom: a rule of the scenario, worked out to sets of names."""

from collections.abc import Sequence

from .errors import UnknownName

EVERYONE = "everyone"
NOBODY = "nobody"
WORDS = (EVERYONE, NOBODY)


def speakers(hears: str | Sequence[str], listener: str, cast: Sequence[str]) -> tuple[str, ...]:
    """Return whom `listener` listens to, in the order of the cast, never itself.

    An agent always knows what it said itself, so that naming it changes nothing.

    Args:
        hears: `everyone`, `nobody`, the name of an agent or several names.
        listener: The agent that listens.
        cast: All agents of the scenario.

    Raises:
        UnknownName: a name that is not in the cast.
    """
    if hears == NOBODY:
        return ()
    if hears == EVERYONE:
        return tuple(name for name in cast if name != listener)
    named = (hears,) if isinstance(hears, str) else tuple(hears)
    for name in named:
        if name not in cast:
            raise UnknownName("agent", name, (*cast, *WORDS))
    return tuple(name for name in cast if name in named and name != listener)

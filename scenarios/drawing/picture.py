"""What a picture of a flow shows, whichever way it is drawn: columns of who takes part, rows of what happens."""

from dataclasses import dataclass

TIMES = "\N{MULTIPLICATION SIGN}"
"""Before how many of a kind there are."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: one agent, or several who are always asked together."""

    title: str
    role: str
    about: tuple[str, ...] = ()
    """Persona, side, model: a line each."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Somebody speaks."""

    column: int
    text: str
    """The kind of fact, and how many of a column state one: `ballot`, or `answer`, times five."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """Those of some columns know what those of others have said."""

    heard: tuple[int, ...]
    by: tuple[int, ...]
    """Where a column is heard and hears, each of it hears the others, and itself it knows."""
    facts: tuple[tuple[str, ...], ...]
    """The kinds of facts that each of those heard has stated."""
    later: bool = False
    """Whether there is something to hear from the second round on only."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Some are asked for a kind of fact."""

    voices: tuple[Voice, ...]
    chained: bool
    """Whether they are asked one after another, in this order."""
    aloud: bool
    """Whether, then, each hears the one before it."""
    hearing: tuple[Hearing, ...]
    remarks: tuple[str, ...]
    instructions: str = ""
    one: bool = False
    """Whether only one of them is asked."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Something is made of what was said."""

    text: str
    remarks: tuple[str, ...] = ()
    voices: tuple[Voice, ...] = ()
    """The judges who are asked for it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows under one title."""

    title: str
    rows: "tuple[Row, ...]"


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows that are played several times, or where something holds."""

    verb: str
    """repeat, when or each."""
    parts: tuple[Part, ...]
    """One; of a `when` that has an `else`, two."""
    together: bool = False
    """Of an each: whether its branches are played at once."""


Row = Turn | Bar | Frame


@dataclass(frozen=True, slots=True)
class Picture:
    """One scenario."""

    name: str
    title: str
    """The name, and what of it is varied where a sweep plays it in several ways."""
    about: str
    takes: str
    gives: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

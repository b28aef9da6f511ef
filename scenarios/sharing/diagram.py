"""One conversation as a sequence diagram of Mermaid: who said what to whom."""

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from ...protocols.errors import DeclarationError
from ...runtime.log import LogReader
from ...runtime.printable import plain
from ..drawing.mermaid import lines, said
from ..remarks import remark
from ..traces.talk import Talk, Turn, find, fold
from ..traces.transcript import did, words
from .members import Cast, casts, member
from .shared import STDOUT, Shared, Wish, written

LONGEST_ON_ARROW = 80
"""Characters of what is said, on an arrow."""
LONGEST_IN_NOTE = 240
"""Characters of a note."""
Band = tuple[str, int | None]
"""A repeat, by the step of the flow that it is, and a round of it."""
NO_BAND: Band = ("", None)
BAND = "rect rgba(127, 127, 127, 0.12)"
"""A round; it can be seen on light and on dark."""


def write(wish: Wish) -> Shared:
    """Write the conversation about one item as a diagram.

    Raises:
        DeclarationError: not exactly one item is wanted, the run has none of that id, or the file cannot be written.
        LogError: the log cannot be read.
    """
    if len(wish.items) != 1:
        raise DeclarationError("--format mermaid draws one conversation: say which by one --item ID")
    with LogReader(wish.log) as log:
        talk = fold(log, find(log, wish.items[0]))
        drawn = plain(diagram(talk, casts(log).get(talk.item.variant, {})))
    if wish.to == STDOUT:
        sys.stdout.write(drawn)
    else:
        with written(Path(wish.to)) as file:
            file.write(drawn.encode())
    messages = sum(turn.said for turn in talk.turns)
    return Shared(format="mermaid", to=wish.to, counts={"messages": messages, "characters": len(drawn)})


def diagram(talk: Talk, cast: Cast | None = None) -> str:
    """Return a conversation as a diagram, a statement a line.

    An arrow leads from each who speaks to each who hears it; the first has the words, shortened. What nobody hears is a
    note over its speaker, what becomes of it all a note over everybody, and a round is a band.

    Args:
        talk: The conversation.
        cast: Who takes part, for their order, roles and models.
    """
    return "\n".join(("sequenceDiagram", *(f"    {line}" for line in _Diagram(talk, cast or {}).rows()))) + "\n"


def _bands(turns: Sequence[Turn]) -> dict[int, Band]:
    """Return the band of each turn that lies in one: what the conductor does between two of a round is in it, too."""
    found: dict[int, Band] = {}
    before, between = NO_BAND, list[int]()
    for turn in turns:
        if not turn.said:
            between.append(turn.sequence)
            continue
        now = NO_BAND if turn.round is None else (turn.step.partition(".")[0], turn.round)
        found |= dict.fromkeys(between if before == now else (), now)
        between.clear()
        before = found[turn.sequence] = now
    return found


def _excerpt(text: str, most: int) -> str:
    """Return the start of a text, on one line, without what a terminal or a reader would obey."""
    line = " ".join(plain(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


class _Diagram:
    def __init__(self, talk: Talk, cast: Cast) -> None:
        self._talk, self._cast = talk, cast
        present = talk.agents
        first = [name for name in cast if name in present]
        names = (*first, *(name for name in present if name not in first)) or tuple(cast) or ("conductor",)
        self._ids = {name: f"p{number}" for number, name in enumerate(names, 1)}
        ids = tuple(self._ids.values())
        self._all = ",".join(dict.fromkeys((ids[0], ids[-1])))

    def rows(self) -> Iterator[str]:
        for name, place in self._ids.items():
            known = member(self._cast, name)
            about = (known.role if known.role != name else "", known.model or "")
            yield f"participant {place} as {lines(*(_excerpt(each, LONGEST_IN_NOTE) for each in (name, *about)))}"
        item = self._talk.item
        asked = [f"{item.id}: {item.prompt}", *(f"{each.slot}: {each.text}" for each in item.candidates)]
        yield self._over_all(*asked)
        bands = _bands(self._talk.turns)
        for (_, number), turns in groupby(self._talk.turns, key=lambda turn: bands.get(turn.sequence, NO_BAND)):
            if number is None:
                yield from (line for turn in turns for line in self._turn(turn))
                continue
            yield BAND
            yield f"    Note over {self._all}: Round {number}"
            yield from (f"    {line}" for turn in turns for line in self._turn(turn))
            yield "end"
        for awaited in self._talk.awaited:
            yield self._over(awaited.agent, "has not answered yet")

    def _turn(self, turn: Turn) -> Iterator[str]:
        if not turn.said:
            yield self._over_all(remark(turn.speaker, turn.message))
            return
        own = _excerpt(words(turn.message), LONGEST_ON_ARROW)
        told = f"{_excerpt(did(turn.message), LONGEST_ON_ARROW)}{f': {own}' if own else ''}"
        listeners = dict.fromkeys(turn.heard_by)
        if not listeners:
            yield self._over(turn.speaker, f"{told} (nobody hears it)")
        for number, listener in enumerate(listeners):
            yield f"{self._ids[turn.speaker]}->>{self._ids[listener]}: {'(the same)' if number else said(told)}"

    def _over(self, name: str, text: str) -> str:
        return f"Note over {self._ids[name]}: {lines(_excerpt(text, LONGEST_IN_NOTE))}"

    def _over_all(self, *texts: str) -> str:
        return f"Note over {self._all}: {lines(*(_excerpt(text, LONGEST_IN_NOTE) for text in texts))}"

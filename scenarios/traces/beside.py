"""Two conversations about an item on a terminal: side by side, or, where it is narrow, one below the other.

What both say is said once. Of texts that differ, the words that do are marked: by colour, and where there is none, by
[-what the first says alone-] and {+what the second says alone+}.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from ...protocols.items import Item
from ...runtime.printable import plain
from .aligned import Part, Row, aligned, shown, worded
from .amounts import took, whole
from .lines import Indented, lines
from .talk import Talk, Turn
from .transcript import NUMBERED, result

WIDE = 100
"""Columns of a terminal from which on two conversations have room beside each other."""
BETWEEN = " │ "
ALIKE = 0.3
"""Share of the words that two texts must have in common for those that differ to be marked one by one."""
MARKS = {"gone": ("[-", "-]", "bold red underline"), "new": ("{+", "+}", "bold green underline")}
ABSENT = "(nothing)"
Side = Literal["gone", "new"]


@dataclass(frozen=True, slots=True)
class Beside:
    """Two conversations about the same item."""

    first: Talk
    second: Talk
    names: tuple[str, str]
    """What the runs are called."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        colours = console.color_system is not None and not console.no_color
        page = _Page(console, options.max_width, colours)
        yield from page.pair(*(Text(plain(name), style="bold") for name in self.names))
        yield from self._items(page)
        round_ = None
        for row in aligned(self.first, self.second):
            turn = row.first or row.second
            if turn is not None and turn.round not in (None, round_):
                round_ = turn.round
                yield from (Text(), Text(f"Round {round_}", style="bold cyan"))
            yield Text()
            yield from page.row(row)
        yield from (Text(), Text("What became of it, and what it took", style="bold"))
        yield from page.pair(*(Text(plain(_end(talk))) for talk in (self.first, self.second)))

    def _items(self, page: "_Page") -> Iterator[RenderableType]:
        left, right = _data(self.first.item), _data(self.second.item)
        for title in dict.fromkeys([*left, *right]):
            one, other = left.get(title, ""), right.get(title, "")
            if one == other and title != "request":
                continue
            yield from (Text(), Text(title, style="dim"))
            yield from page.texts(one, other)


@dataclass(frozen=True, slots=True)
class _Page:
    console: Console
    width: int
    colours: bool

    @property
    def _column(self) -> int:
        return (self.width - len(BETWEEN)) // 2

    def pair(self, left: Text, right: Text) -> Iterator[RenderableType]:
        """Return two texts side by side, or one below the other with a sign in front."""
        if self.width < WIDE:
            for sign, text in (("<", left), (">", right)):
                yield Indented(text, 2, Text(sign))
            return
        for one, other in zip_longest(*(lines(text, self.console, self._column) for text in (left, right))):
            line = one.copy() if one is not None else Text()
            line.pad_right(max(0, self._column - line.cell_len))
            line.append(BETWEEN, style="dim")
            line = line.append_text(other) if other is not None else line
            line.rstrip()
            yield line

    def row(self, row: Row) -> Iterator[RenderableType]:
        """Return what both say at one place of the flow."""
        if row.same and row.first is not None and row.second is not None:
            did, said = shown(row.first)
            numbers = f"{row.first.sequence} = {row.second.sequence}"
            speaker = f"{row.first.speaker} " if row.first.said else ""
            yield Indented(Text(plain(f"{speaker}{did}"), style="dim"), len(numbers) + 1, Text(numbers, style="dim"))
            if said:
                yield Indented(Text(plain(said), style="dim"), NUMBERED)
            return
        yield from self.pair(self._head(row.first), self._head(row.second))
        yield from self.texts(*(shown(turn)[1] if turn is not None else "" for turn in (row.first, row.second)))

    def _head(self, turn: Turn | None) -> Text:
        if turn is None:
            return Text(ABSENT, style="dim")
        did, _ = shown(turn)
        head = Text.assemble((f"{turn.sequence} ", "dim"))
        head.append(plain(turn.speaker) if turn.said else "", style="bold green").append(" " if turn.said else "")
        effort = f"   {took(turn.effort)}" if turn.effort.called else ""
        return head.append(plain(did), style="" if turn.said else "bold").append(effort, style="dim")

    def texts(self, one: str, other: str) -> Iterator[RenderableType]:
        """Return two texts; the words that differ are marked."""
        if one == other:
            if one:
                yield Indented(Text(plain(one), style="dim"), 2)
        elif self.width < WIDE or not (one and other):
            yield from self._below(one, other)
        else:
            parts = _parts(one, other)
            yield from self.pair(*(self._marked(parts, side) for side in ("gone", "new")))

    def _below(self, one: str, other: str) -> Iterator[RenderableType]:
        if one and other:
            parts = _parts(one, other)
            sides = (("gone", "new"),) if any(part.kept == "same" for part in parts) else (("gone",), ("new",))
            for each in sides:
                yield Indented(self._marked(parts, *each), 2)
        elif self.width < WIDE:
            yield Indented(Text(plain(one or other)), 2)
        else:
            yield from self.pair(Text(plain(one)), Text(plain(other)))

    def _marked(self, parts: tuple[Part, ...], *sides: str) -> Text:
        """Return the parts that both have, and those of these sides."""
        text = Text()
        for part in parts:
            if part.kept == "same":
                text.append(plain(part.text))
            elif part.kept in sides:
                begin, end, style = MARKS[part.kept]
                words = part.text.lstrip()
                text.append(part.text[: len(part.text) - len(words)])
                text.append(plain(words) if self.colours else f"{begin}{plain(words)}{end}", style=style)
        return text


def _parts(one: str, other: str) -> tuple[Part, ...]:
    """Return the parts of two texts; where they have little in common, each is one part of its own."""
    parts = worded(one, other)
    same = sum(len(part.text) for part in parts if part.kept == "same")
    return parts if same >= ALIKE * max(len(one), len(other)) else (Part("gone", one), Part("new", other))


def _data(item: Item) -> dict[str, str]:
    found = {"request": item.prompt}
    found |= {f"before: {number}. {said.role}": said.content for number, said in enumerate(item.history, 1)}
    return found | {f"answer {candidate.slot}": candidate.text for candidate in item.candidates}


def _end(talk: Talk) -> str:
    return f"{result(talk)}\n{whole(talk.effort, talk.seconds)}"

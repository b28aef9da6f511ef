"""Lines of a terminal that are as long as what stands in them: nothing is filled up with blanks."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

LEAST = 20
"""Columns that words have at the least, whatever stands before them."""


def lines(text: Text, console: Console, width: int) -> Iterator[Text]:
    """Return a text in lines that are no longer than so many columns."""
    for line in text.wrap(console, max(width, LEAST)):
        line.rstrip()
        yield line


@dataclass(frozen=True, slots=True)
class Indented:
    """A text some columns from the left; its first line may have something before it."""

    text: Text
    columns: int
    first: Text | None = None
    """Stands before the first line, in the place of blanks."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        before = self.first
        for line in lines(self.text, console, options.max_width - self.columns):
            start = Text().append_text(before) if before is not None else Text()
            start.pad_right(max(0, self.columns - start.cell_len))
            yield start.append_text(line) if line.plain else Text()
            before = None


@dataclass(frozen=True, slots=True)
class Headed:
    """A line with words at its left and at its right end; where there is no room for both, one below the other."""

    left: Text
    right: Text
    columns: int
    first: Text | None = None
    """As of `Indented`."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - self.columns - self.left.cell_len - self.right.cell_len
        if self.right.plain and room >= 2 and "\n" not in self.left.plain:
            yield Indented(Text.assemble(self.left, " " * room, self.right), self.columns, self.first)
            return
        yield Indented(self.left, self.columns, self.first)
        if self.right.plain:
            yield Indented(self.right, self.columns)

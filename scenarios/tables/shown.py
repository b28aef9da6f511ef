"""Tables where people see them: rich for a terminal, Markdown for a file."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from ...runtime.printable import plain
from .table import Table


def on_terminal(tables: Iterable[Table]) -> RenderableType:
    """Return tables for a terminal; what files and models say is shown as text."""
    return Group(*(part for table in tables for part in _parts(table)))


def _parts(table: Table) -> Iterable[RenderableType]:
    yield Text(plain(table.title), style="bold")
    yield _Fitted(table)
    for note in table.notes:
        yield Text(plain(note), style="dim")
    yield Text("")


GAP = 3
"""Columns of a terminal between two of a table."""
NARROW = 18
"""A name that is longer is folded where there is no room."""
INTERVAL = "95 %"
"""The title of a column that belongs to the one before it."""


@dataclass(frozen=True)
class _Fitted:
    """A table's rows, as wide as the terminal allows: no figure is broken; what has no room beside goes below."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, block in enumerate(self._blocks(options.max_width)):
            if number:
                yield Text("")
            yield self._shown(block, options.max_width)

    def _cells(self, column: int) -> list[str]:
        return [plain(row[column]) for row in self.table.rows]

    def _least(self, column: int) -> int:
        """Return the room a column cannot do without: its longest figure, interval, or word of the title."""
        words = plain(self.table.columns[column]).split()
        if column < self.table.words:
            return max(map(cell_len, words), default=0) if not self.table.rows else min(self._most(column), NARROW)
        parts = (part for cell in self._cells(column) for part in cell.replace(" [", "\n[").split("\n"))
        return max(map(cell_len, (*words, *parts)), default=0)

    def _most(self, column: int) -> int:
        return max(cell_len(cell) for cell in (plain(self.table.columns[column]), *self._cells(column)))

    def _blocks(self, room: int) -> list[list[int]]:
        """Return the columns of each of the tables that stand one below the other; those of words stand in all."""
        names = list(range(self.table.words))
        blocks, column = [names[:]], len(names)
        while column < len(self.table.columns):
            figure = [column]
            while column + len(figure) < len(self.table.columns) and self._belongs(column + len(figure)):
                figure.append(column + len(figure))
            column += len(figure)
            if len(blocks[-1]) > len(names) and self._total([*blocks[-1], *figure]) > room:
                blocks.append(names[:])
            blocks[-1] += figure
        return blocks

    def _belongs(self, column: int) -> bool:
        return self.table.columns[column] == INTERVAL

    def _total(self, columns: list[int]) -> int:
        return sum(map(self._least, columns)) + GAP * (len(columns) - 1)

    def _shown(self, columns: list[int], room: int) -> RichTable:
        shown = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
        left = room - self._total(columns)
        cells: list[list[str]] = []
        for column in columns:
            words, least, most = column < self.table.words, self._least(column), self._most(column)
            more = min(left, most - least) if words else most - least
            more = more if 0 <= more <= left else 0
            left -= more
            width = least + more if left >= 0 else None  # too narrow for that: rich folds
            title = plain(self.table.columns[column])
            shown.add_column(title, justify="left" if words else "right", overflow="fold", width=width)
            cells.append([cell if words else _folded(cell, width) for cell in self._cells(column)])
        for row in zip(*cells, strict=True):
            shown.add_row(*(Text(cell) for cell in row))
        return shown


def _folded(cell: str, width: int | None) -> str:
    """Return a figure with its interval below, where there is no room beside it."""
    return cell if width is None or cell_len(cell) <= width else cell.replace(" [", "\n[")


def markdown(tables: Iterable[Table]) -> str:
    """Return tables as Markdown; what files and models say is text, not markup."""
    return "\n".join(line for table in tables for line in _lines(table))


def _lines(table: Table) -> Iterable[str]:
    yield f"### {text(table.title)}"
    yield ""
    yield "| " + " | ".join(text(title) for title in table.columns) + " |"
    yield "|" + "|".join(":--" if number < table.words else "--:" for number in range(len(table.columns))) + "|"
    for row in table.rows:
        yield "| " + " | ".join(text(cell) for cell in row) + " |"
    yield ""
    for note in table.notes:
        yield text(note)
        yield ""


def text(words: str) -> str:
    """Return words as text in Markdown, in one line."""
    line = " ".join(plain(words).split())
    for mark in ("\\", "|", "`", "*", "_", "<", "[", "]", "#"):
        line = line.replace(mark, f"\\{mark}")
    return line

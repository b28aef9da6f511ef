"""Conversations in a list, on a terminal: a line each, in as many columns as it has room for."""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from ...runtime.printable import plain
from ..remarks import rightness
from .amounts import count, span
from .choosing import told
from .listing import Listed, Page, Wanted

GAP = 2
LEAST, LEAST_PROMPT = 16, 24
"""Columns of a terminal that an id or an outcome has, and a prompt, before it is folded or cut."""
PARTS = re.compile(r"[^-/_.\s]*[-/_.\s]*")
"""Of an id: where it may be folded."""
STYLES = {"done": "green", "failed": "red", "open": "yellow"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, what stands in it, and what it is sorted by."""

    title: str
    cell: Callable[[Listed], str]
    sort: str
    least: int = 0
    """Columns of a terminal that it has in any case."""


def _share(row: Listed) -> str:
    return "" if row.disagreement is None else f"{row.disagreement:.2f}"


def _cost(row: Listed) -> str:
    return "" if not row.cost_usd else f"{row.cost_usd:.4f}"


def _attempts(row: Listed) -> str:
    return f"{row.attempts:,}" if row.attempts > row.calls else ""


FIGURES = (
    Column("disagree", _share, "disagreement"),
    Column("moved", lambda row: str(row.moved or ""), "moved"),
    Column("rounds", lambda row: str(row.rounds or ""), "rounds"),
    Column("said", lambda row: f"{row.messages:,}", "messages"),
    Column("calls", lambda row: f"{row.calls:,}", "calls"),
    Column("attempts", _attempts, "attempts"),
    Column("tokens", lambda row: f"{row.tokens:,}", "tokens"),
    Column("usd", _cost, "cost"),
    Column("time", lambda row: span(row.seconds), "seconds", least=len("12.3 s")),
)
IN_NEED = ("disagree", "said", "usd", "time", "tokens", "calls", "moved", "attempts", "rounds")
"""Figures in the order in which they are given room."""


def result(row: Listed) -> str:
    """Return what came of a conversation, on one line."""
    if row.error is not None:
        return _line(row.error)
    if row.answer is not None or row.correct is not None:
        return _line(f"{row.answer if row.answer is not None else 'no answer'}{rightness(row.correct)}")
    if row.verdict is not None:
        scored = row.score_a is not None and row.score_b is not None
        return f"{row.verdict} ({row.score_a:.3g} : {row.score_b:.3g})" if scored else row.verdict
    return _line(row.text or "")


def _line(text: str) -> str:
    return " ".join(plain(text).split())


@dataclass(frozen=True, slots=True)
class Conversations:
    """A list of them, as wide as the terminal allows: ids are folded, words are cut, no figure is."""

    rows: Sequence[Listed]
    sort: str = "number"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        ids = [_line(row.item) for row in self.rows]
        item = min(_most("item", ids), max(LEAST, width // 3))
        results = [result(row) for row in self.rows]
        outcome = min(_most("outcome", results), max(LEAST, width // 4))
        left = width - item - len("failed") - outcome - 2 * GAP
        figures = self._figures(left)
        left -= sum(_width(column, self.rows) + GAP for column in figures)
        more = min(_most("outcome", results) - outcome, max(left, 0))
        outcome, left = outcome + more, left - more
        asks = left - GAP if left - GAP >= LEAST_PROMPT else 0
        titles = [Text(column.title, style="bold") for column in figures]
        head = [Text(title, style="bold") for title in ("item", "state", "outcome")]
        widths = [item, len("failed"), outcome, *(_width(column, self.rows) for column in figures), asks]
        yield _joined([*head, *titles, Text("asks", style="bold") if asks else Text()], widths)
        for row, name, words in zip(self.rows, ids, results, strict=True):
            first, *rest = _folded(name, item)
            cells = [Text(first), Text(row.state, style=STYLES[row.state]), _cut(words, outcome)]
            cells += [Text(column.cell(row)) for column in figures]
            cells.append(_cut(_line(row.prompt), asks, "dim") if asks else Text())
            yield _joined(cells, widths)
            yield from map(Text, rest)

    def _figures(self, room: int) -> list[Column]:
        """Return the columns there is room for; the one that is sorted by has it first."""
        order = sorted(FIGURES, key=lambda column: (column.sort != self.sort, IN_NEED.index(column.title)))
        chosen: set[str] = set()
        for column in order:
            if not any(column.cell(row) for row in self.rows):
                continue
            needed = _width(column, self.rows) + GAP
            if needed <= room:
                room -= needed
                chosen.add(column.title)
        return [column for column in FIGURES if column.title in chosen]


def _width(column: Column, rows: Sequence[Listed]) -> int:
    return max(column.least, _most(column.title, [column.cell(row) for row in rows]))


def _most(title: str, cells: Sequence[str]) -> int:
    return max(map(cell_len, (title, *cells)))


def _folded(name: str, width: int) -> list[str]:
    """Return an id in as many lines as it takes, folded behind its dashes and the like where there are any."""
    found = [""]
    for part in PARTS.findall(name):
        if cell_len(found[-1]) + cell_len(part) > width and found[-1]:
            found.append("")
        pieces = chop_cells(part, width) if part else []
        found[-1] += pieces[0] if pieces else ""
        found += pieces[1:]
    return found


def _cut(words: str, width: int, style: str = "") -> Text:
    text = Text(words, style=style)
    text.truncate(width, overflow="ellipsis")
    return text


def _joined(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    """Return one line; what comes between the outcome and the prompt are figures, which stand to the right."""
    line = Text()
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        if not width:
            continue
        blanks = width - cell.cell_len
        right = 3 <= number < len(cells) - 1
        line.append(" " * (GAP if line.plain else 0))
        line.append(" " * (blanks if right else 0)).append_text(cell).append(" " * (0 if right else blanks))
    line.rstrip()
    return line


def summary(page: Page, wanted: Wanted, every: int, run: str) -> Iterator[str]:
    """Return what is said below a list: how many there are, how many more, and how to see one."""
    which = told(wanted)
    order = f", sorted by {wanted.sort}" if wanted.sort != "number" else ""
    order += ", the greatest first" if order and wanted.descending else ""
    many = count(every, "conversation")
    yield plain(f"{page.total:,} of {many}: {which}{order}" if which else f"{many}{order}")
    shown = page.offset + len(page.rows)
    if page.rows and len(page.rows) < page.total:
        more = f"; --offset {shown} shows those after it" if shown < page.total else ""
        yield f"shown: {page.offset + 1:,} to {shown:,}{more}"
    if page.rows:
        yield plain(f"`fellowship trace {shlex.quote(run)} ITEM` shows one")


def one(row: Listed) -> Text:
    """Return a conversation that has ended, as a line."""
    facts = [f"{row.messages:,} said", f"{row.tokens:,} tokens", *([f"{_cost(row)} usd"] if _cost(row) else [])]
    return Text.assemble(
        (f"{row.state:<6}", STYLES[row.state]),
        f"  {_line(row.item)}  {result(row)}",
        (f"  {', '.join([*facts, span(row.seconds)])}", "dim"),
    )

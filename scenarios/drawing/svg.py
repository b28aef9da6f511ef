"""A picture as SVG 1.1: a column for each who takes part, rows of what happens from the top."""

from collections.abc import Sequence
from dataclasses import dataclass

from .canvas import LARGE, LINE, PLAIN, SMALL, Canvas
from .picture import Bar, Column, Frame, Hearing, Picture, Row, Turn, Voice
from .style import Theme, role_class
from .text import packed, width, wrapped

MARGIN, INSET, GAP = 16.0, 12.0, 14.0
NARROWEST, WIDEST = 116.0, 180.0
"""Columns."""
EVEN = 900.0
"""All columns together, if each is as broad as the broadest."""
LEAST = 470.0
"""All columns together: there must be room for words."""
BOX, STEP, RAIL = 26.0, 36.0, 18.0
"""Heights: what somebody says, from one of those asked in turn to the next, who hears whom."""
ASIDE = 9.0
"""From the middle of a column that hears and is heard."""


def svg(pictures: Sequence[Picture], *, theme: Theme = "auto") -> str:
    """Return pictures, one below the other, as one SVG; the same pictures give the same bytes."""
    canvas = Canvas()
    side = MARGIN + INSET * max(_depth(picture.rows) for picture in pictures)
    least = max(LEAST, *(sum(_widths(picture.columns)) for picture in pictures))
    sheets = [_Sheet(picture, canvas, side, least) for picture in pictures]
    y = MARGIN
    for sheet in sheets:
        y = sheet.draw(y) + GAP * 2
    broad = max(sheet.width for sheet in sheets)
    y = _legend(canvas, [row for picture in pictures for row in picture.rows], y - GAP, broad)
    name = pictures[0].name
    told = " ".join(dict.fromkeys(f"{each.title}: {each.about}" for each in pictures))
    title = f"The flow of {', '.join(dict.fromkeys(picture.name for picture in pictures))}"
    return canvas.document(broad, y, name=name, title=title, about=told, theme=theme)


@dataclass(frozen=True, slots=True)
class _Room:
    """Where rows may be drawn: within all the frames around them."""

    left: float
    right: float
    framed: bool = False

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def inner(self) -> "_Room":
        return _Room(self.left + INSET, self.right - INSET, framed=True)

    def kind(self, kind: str) -> str:
        """Return the class of words that have the colour of what they stand on around them."""
        return f"{kind} framed" if self.framed else kind


class _Sheet:
    """Draws one picture."""

    def __init__(self, picture: Picture, canvas: Canvas, side: float, least: float) -> None:
        self._picture = picture
        self._canvas = canvas
        widths = _widths(picture.columns)
        more = (least - sum(widths)) / len(widths)
        self._boxes = widths
        self._middles: list[float] = []
        x = side
        for each in widths:
            self._middles.append(round(x + (each + more) / 2, 1))
            x += each + more
        self.width = round(x + side)

    def draw(self, y: float) -> float:
        """Draw it from `y` on; return where it ends."""
        picture, canvas = self._picture, self._canvas
        room = _Room(MARGIN, self.width - MARGIN)
        y = canvas.texts(room.left, y, picture.title, "bold", room=room.width, size=LARGE)
        given = f"takes {_article(picture.takes)}, gives {_article(picture.gives)}"
        y = canvas.texts(room.left, y, given, "muted", room=room.width) + GAP
        y = top = self._heads(y)
        y += GAP
        for row in picture.rows:
            y = self._row(row, y, room)
        for middle in self._middles:
            canvas.line(((middle, top), (middle, y - GAP)), "life")
        return y

    def _heads(self, y: float) -> float:
        sizes = [_head_lines(column) for column in self._picture.columns]
        height = max(_height(bold, PLAIN) + _height(plain, SMALL) for bold, plain in sizes) + 12
        for column, middle, broad, (bold, plain) in zip(
            self._picture.columns, self._middles, self._boxes, sizes, strict=True
        ):
            box = broad - 10
            self._canvas.box(middle - box / 2, y, box, height, role_class(column.role))
            at = y + (height - _height(bold, PLAIN) - _height(plain, SMALL)) / 2
            for lines, kind, size in ((bold, "bold flat middle", PLAIN), (plain, "flat middle", SMALL)):
                for line in lines:
                    self._canvas.text(middle, at, line, kind, size=size)
                    at += size * LINE
        return y + height

    def _row(self, row: Row, y: float, room: _Room) -> float:
        match row:
            case Turn():
                return self._turn(row, y, room)
            case Bar():
                return self._bar(row, y, room)
            case Frame():
                return self._frame(row, y, room)

    # asking

    def _turn(self, turn: Turn, y: float, room: _Room) -> float:
        canvas, left, wide = self._canvas, room.left + 4, room.width - 8
        if turn.remarks:
            for line in packed(turn.remarks, wide, SMALL):
                canvas.text(left, y, line, room.kind("muted"))
                y += SMALL * LINE
        if turn.instructions:
            y = canvas.texts(left, y, f"“{turn.instructions}”", room.kind("muted italic"), room=wide)
        top = y + len(turn.hearing) * RAIL + (4 if turn.hearing else 2)
        tops: dict[int, float] = {}
        for number, voice in enumerate(turn.voices):
            at = top + (number * STEP if turn.chained else 0)
            tops.setdefault(voice.column, at)
            self._voice(voice, at, maybe=turn.one)
            if number and turn.aloud and turn.chained:
                self._stair(turn.voices[number - 1].column, voice.column, at)
        for number, hearing in enumerate(turn.hearing):
            shift = (number - (len(turn.hearing) - 1) / 2) * 8
            self._rail(hearing, y + RAIL * number + RAIL / 2, tops, shift)
        steps = len(turn.voices) - 1 if turn.chained else 0
        return top + BOX + steps * STEP + GAP

    def _voice(self, voice: Voice, y: float, *, maybe: bool = False) -> None:
        middle, broad = self._middles[voice.column], self._boxes[voice.column] - 22
        kind = role_class(self._picture.columns[voice.column].role)
        self._canvas.box(middle - broad / 2, y, broad, BOX, f"{kind} maybe" if maybe else kind)
        line = wrapped(voice.text, broad - 8, PLAIN, most=1)[0]
        self._canvas.text(middle, y + (BOX - PLAIN * LINE) / 2, line, "flat middle", size=PLAIN)

    def _stair(self, before: int, column: int, y: float) -> None:
        """Draw an arrow from below what the one before said to the side of what this one says."""
        start, middle = self._middles[before], y + BOX / 2
        half = (self._boxes[column] - 22) / 2
        right = self._middles[column] > start
        end = self._middles[column] - half if right else self._middles[column] + half
        self._canvas.line(((start, y - STEP + BOX), (start, middle), (end, middle)), "rail")
        self._canvas.head(end, middle, towards="right" if right else "left")

    def _rail(self, hearing: Hearing, y: float, tops: dict[int, float], shift: float) -> None:
        """Draw a line from dots on the columns of those heard to arrows on the columns of those who hear."""
        canvas, both = self._canvas, set(hearing.heard) & set(hearing.by)
        dots = [self._middles[column] + shift - (ASIDE if column in both else 0) for column in hearing.heard]
        ends = [
            (self._middles[column] + shift + (ASIDE if column in both else 0), tops[column]) for column in hearing.by
        ]
        along = sorted((*dots, *(x for x, _ in ends)))
        kind = "rail later" if hearing.later else "rail"
        canvas.line(((along[0], y), (along[-1], y)), kind)
        for x in dots:
            canvas.dot(x, y)
        for x, top in ends:
            canvas.line(((x, y), (x, top - 6)), kind)
            canvas.head(x, top)

    # what is made of it

    def _bar(self, bar: Bar, y: float, room: _Room) -> float:
        wide, middle = room.width - 24, (room.left + room.right) / 2
        title = wrapped(bar.text, wide, PLAIN)
        lines = packed(bar.remarks, wide, SMALL)
        height = _height(title, PLAIN) + _height(lines, SMALL) + 12 + (BOX + 6 if bar.voices else 0)
        self._canvas.box(room.left, y, room.width, height, "bar")
        at = y + 6
        for words, kind, size in ((title, "bold flat middle", PLAIN), (lines, "muted flat middle", SMALL)):
            for line in words:
                self._canvas.text(middle, at, line, kind, size=size)
                at += size * LINE
        for voice in bar.voices:
            self._voice(voice, at + 4)
        return y + height + GAP

    def _frame(self, frame: Frame, y: float, room: _Room) -> float:
        canvas, top = self._canvas, y
        below = canvas.below()
        y += 8
        for number, part in enumerate(frame.parts):
            if number:
                canvas.line(((room.left, y), (room.right, y)), "life later")
                y += 8
            y = canvas.texts(room.left + 10, y, part.title, "bold framed", room=room.width - 20) + 8
            for row in part.rows:
                y = self._row(row, y, room.inner)
        if frame.together:  # as several sheets, one upon another
            for off in (8.0, 4.0):
                canvas.box(room.left + off, top + off, room.width, y - top, "frame", below=below)
        canvas.box(room.left, top, room.width, y - top, "frame", below=below)
        return y + GAP + (8 if frame.together else 0)


def _depth(rows: Sequence[Row]) -> int:
    """Return how many frames lie within one another."""
    frames = [part.rows for row in rows if isinstance(row, Frame) for part in row.parts]
    return 1 + max(map(_depth, frames)) if frames else 0


def _turns(rows: Sequence[Row]) -> list[Turn]:
    found: list[Turn] = []
    for row in rows:
        if isinstance(row, Turn):
            found.append(row)
        elif isinstance(row, Frame):
            found += [turn for part in row.parts for turn in _turns(part.rows)]
    return found


def _needed(column: Column) -> float:
    """Return how broad a column is."""
    lines = [width(column.title, PLAIN), *(width(line, SMALL) for line in (column.role, *column.about))]
    return min(max(NARROWEST, max(lines) + 30), WIDEST)


def _widths(columns: Sequence[Column]) -> list[float]:
    """Return how broad columns are: the same for all, unless that takes much room."""
    needed = [_needed(column) for column in columns]
    return [max(needed)] * len(needed) if max(needed) * len(needed) <= EVEN else needed


def _head_lines(column: Column) -> tuple[list[str], list[str]]:
    """Return what stands in the head of a column: bold lines and plain ones."""
    room = _needed(column) - 22
    more = (column.role if column.role != column.title else "", *column.about)
    return wrapped(column.title, room, PLAIN), [line for text in more for line in wrapped(text, room, SMALL)]


def _height(lines: Sequence[str], size: float) -> float:
    return len(lines) * size * LINE


def _article(word: str) -> str:
    if word.endswith("s"):
        return word
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _legend(canvas: Canvas, rows: Sequence[Row], y: float, broad: float) -> float:
    """Draw what the lines mean, of those that there are; return where it ends."""
    turns = _turns(rows)
    hearing = [each for turn in turns for each in turn.hearing]
    told: list[tuple[str, str]] = []
    if hearing:
        told.append(("rail", "who is heard, and by whom"))
    if any(each.later for each in hearing):
        told.append(("rail later", "from the second round on"))
    if any(turn.chained and turn.aloud for turn in turns):
        told.append(("stair", "the next, who hears the one before"))
    x = MARGIN
    for kind, words in told:
        wide = 44 + width(words, SMALL) + 14
        if x > MARGIN and x + wide > broad - MARGIN:
            x, y = MARGIN, y + SMALL * LINE + 4
        _sample(canvas, kind, x, y)
        canvas.text(x + 44, y, words, "muted")
        x += wide
    return y + (SMALL * LINE if told else -GAP) + MARGIN


def _sample(canvas: Canvas, kind: str, x: float, y: float) -> None:
    if kind == "stair":
        canvas.line(((x + 4, y), (x + 4, y + 8), (x + 34, y + 8)), "rail")
        canvas.head(x + 34, y + 8, towards="right")
        return
    canvas.dot(x + 4, y + 4)
    canvas.line(((x + 4, y + 4), (x + 34, y + 4), (x + 34, y + 8)), kind)
    canvas.head(x + 34, y + 14)

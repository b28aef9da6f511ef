"""How wide words are, and where lines break: a picture has no browser to ask."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

# Widths of Helvetica, in thousandths of the type's size, from the space on: Adobe's font metrics.
_WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
    722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
    556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
    260, 334, 584,
)  # fmt: skip
_OTHER, _WIDE = 680, 1000
SPARE = 1.12
"""Other fonts of its kind are wider, bold ones, too."""
_BREAKS = re.compile(r"(?<=[-/=.,_])(?=\w)")


def clean(text: str) -> str:
    """Return a text on one line, without what cannot stand in XML."""
    line = " ".join(text.split())
    return "".join(each if unicodedata.category(each) not in ("Cc", "Cs", "Cn", "Co") else "\ufffd" for each in line)


def width(text: str, size: float) -> float:
    """Return how wide a text may be at the most, in the unit of the type's size."""
    return sum(map(_width, text)) * size * SPARE / 1000


def _width(character: str) -> int:
    place = ord(character) - 32
    if 0 <= place < len(_WIDTHS):
        return _WIDTHS[place]
    if unicodedata.combining(character):
        return 0
    return _WIDE if unicodedata.east_asian_width(character) in ("W", "F") or place > 0xFFFF else _OTHER


def wrapped(text: str, room: float, size: float, *, most: int | None = None) -> list[str]:
    """Return a text's lines, each no wider than there is room for; of more than `most`, the last ends in `…`."""
    lines: list[str] = []
    for piece in _pieces(clean(text), room, size):
        if lines and width((lines[-1] + piece).rstrip(), size) <= room:
            lines[-1] += piece
        else:
            lines.append(piece)
    lines = [line.strip() for line in lines]
    if most is None or len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and width(f"{last} …", size) > room:
        last = last[:-1]
    return [*lines[: most - 1], f"{last.rstrip()} …"]


def packed(remarks: Iterable[str], room: float, size: float) -> list[str]:
    """Return remarks, with dots between them, on as few lines as hold them; one is broken only if it has to be."""
    lines: list[str] = []
    for remark in map(clean, remarks):
        more = f"{lines[-1]} · {remark}" if lines else remark
        if lines and width(more, size) <= room:
            lines[-1] = more
        else:
            lines += wrapped(remark, room, size)
    return lines


def _pieces(text: str, room: float, size: float) -> Iterator[str]:
    """Return what is not broken: words, or as much of one as there is room for."""
    for word in re.findall(r"\S+\s*", text):
        if width(word.rstrip(), size) <= room:
            yield word
            continue
        for part in _BREAKS.split(word):
            piece = ""
            for character in part:
                if piece and width(piece + character, size) > room:
                    yield piece
                    piece = ""
                piece += character
            yield piece

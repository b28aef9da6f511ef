"""Shapes and words of an SVG, in layers: what lies under the lines, the lines, and what lies over them."""

from collections.abc import Iterable
from html import escape

from .style import Theme, css
from .text import clean, wrapped

SMALL, PLAIN, LARGE = 12.0, 13.0, 18.0
"""Sizes of type, in pixels."""
LINE = 1.3
"""Of a line, in sizes of type."""


class Canvas:
    """A drawing in the making; places are pixels from the upper left corner."""

    def __init__(self) -> None:
        self._under: list[str] = []
        self._lines: list[str] = []
        self._over: list[str] = []

    def below(self) -> int:
        """Return a place under all else but what has an earlier one, for a box that is yet to be measured."""
        self._under.append("")
        return len(self._under) - 1

    def box(self, x: float, y: float, width: float, height: float, kind: str, *, below: int | None = None) -> None:
        """Draw a rectangle with round corners; `kind` is its class, `below` a place that was kept for it."""
        shape = f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" class="{kind}"/>\n'
        if below is None:
            self._over.append(shape.rstrip())
        else:
            self._under[below] += shape

    def line(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        """Draw a line through some points."""
        through = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._lines.append(f'<polyline points="{through}" class="{kind}"/>')

    def dot(self, x: float, y: float) -> None:
        """Draw a dot."""
        self._over.append(f'<circle cx="{x:g}" cy="{y:g}" r="3.5" class="mark"/>')

    def head(self, x: float, y: float, *, towards: str = "down") -> None:
        """Draw an arrow's head: its point, and whether it goes down, left or right."""
        back = {"down": ((-4, -7), (4, -7)), "left": ((7, -4), (7, 4)), "right": ((-7, -4), (-7, 4))}[towards]
        points = " ".join(f"{x + dx:g},{y + dy:g}" for dx, dy in ((0, 0), *back))
        self._over.append(f'<polygon points="{points}" class="mark"/>')

    def text(self, x: float, y: float, words: str, kind: str, *, size: float = SMALL) -> None:
        """Write one line; `y` is its upper edge."""
        base = y + size
        self._over.append(f'<text x="{x:g}" y="{base:g}" font-size="{size:g}" class="{kind}">{said(words)}</text>')

    def texts(  # noqa: D417 - what they are is what `text` says
        self, x: float, y: float, words: str, kind: str, *, room: float, size: float = SMALL, most: int | None = None
    ) -> float:
        """Write as many lines as it takes, and return where the next one would be.

        Args:
            room: How wide a line may be.
            most: How many lines at the most.
        """
        for line in wrapped(words, room, size, most=most):
            self.text(x, y, line, kind, size=size)
            y += size * LINE
        return y

    def document(self, width: float, height: float, *, name: str, title: str, about: str, theme: Theme) -> str:
        """Return all of it as SVG."""
        shapes = "".join(self._under) + "\n".join((*self._lines, *self._over))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="{name}-title {name}-about">\n'
            f'<title id="{name}-title">{said(title)}</title>\n<desc id="{name}-about">{said(about)}</desc>\n'
            f"<style>{css(theme)}</style>\n"
            f'<rect width="{width:g}" height="{height:g}" class="page"/>\n{shapes}\n</svg>\n'
        )


def said(text: str) -> str:
    """Return a text as it may stand in XML."""
    return escape(clean(text), quote=True)

"""What all plots share: a figure to draw on, and its SVG made part of a page.

Colours are placeholders while a plot is drawn, and variables of the page's style afterwards, so that one plot is
readable in the light and in the dark. Nothing in the SVG hangs on the moment or the machine it was made on.
"""

import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from io import StringIO
from typing import Any, Self, TypeAlias

from ....runtime.printable import plain

Axes: TypeAlias = Any
"""matplotlib's: its signatures are half typed."""

INK, FAINT, RULE, ACCENT, SECOND = "#010203", "#010204", "#010205", "#010206", "#010207"
"""Text; lesser text; lines of a scale; what is measured; what stands beside it."""
VARIABLES = {INK: "--ink", FAINT: "--faint", RULE: "--rule", ACCENT: "--accent", SECOND: "--second"}

WIDTH = 4.8
"""Inches of every plot: a phone shows it in its own size, a wide screen larger."""
SIZE = 9.0
"""Points of text."""
SMALL = 7.5
FIGURE_STYLE: dict[str, object] = {
    "svg.fonttype": "none",  # text stays text: it can be found, copied and read aloud
    "svg.hashsalt": "fellowship",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": SIZE,
    "text.color": INK,
    "text.usetex": False,
    "axes.edgecolor": RULE,
    "axes.labelcolor": FAINT,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "lines.scale_dashes": False,
    "axes.unicode_minus": True,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot, as it stands on a page."""

    name: str
    """Its anchor; unique on the page."""
    title: str
    about: str
    """What there is to see, in words."""
    svg: str


class Canvas:
    """A figure; a context manager, within which matplotlib draws as all plots do."""

    def __init__(self, height: float, width: float = WIDTH) -> None:
        self._rc = import_module("matplotlib").rc_context(FIGURE_STYLE)
        self._size = (width, height)

    def __enter__(self) -> Self:
        self._rc.__enter__()
        self.figure: Axes = import_module("matplotlib.figure").Figure(figsize=self._size)
        return self

    def __exit__(self, *error: object) -> None:
        self._rc.__exit__(*error)

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Return axes in a part of the figure, in inches from its lower left corner."""
        across, up = self._size
        found = self.figure.add_axes((left / across, bottom / up, width / across, height / up))
        for side in ("top", "right", "left"):
            found.spines[side].set_visible(False)
        found.tick_params(length=0, labelsize=SMALL)
        return found

    def plot(self, name: str, title: str, about: str) -> Plot:
        """Return what was drawn."""
        drawn = StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the reader's own font may well have it
            self.figure.savefig(drawn, format="svg", metadata=nothing)
        return Plot(name, title, about, _inline(drawn.getvalue(), name, title, about))


def _inline(svg: str, name: str, title: str, about: str) -> str:
    """Return an SVG document as an element of a page: named, with ids of its own and the page's colours."""
    body = svg[svg.index("<svg") :]
    for left_out in ("<metadata>.*?</metadata>", "<style.*?</style>", r"<!--.*?-->\s*"):  # comments repeat the text
        body = re.sub(left_out, "", body, flags=re.DOTALL)
    head, _, rest = body.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    used = set(re.findall(r'(?:url\(|href=")#([^")]*)', rest))
    rest = re.sub(r"<[^>]*>", lambda tag: _tag(tag[0], name, used), rest)  # tags only: a name is shown as it is
    drawn = re.sub(r"\n\s*", "\n", rest).strip()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'{box[0] if box else ""} role="img" aria-labelledby="{name}-title {name}-about">'
        f'<title id="{name}-title">{escape(plain(title))}</title><desc id="{name}-about">{escape(plain(about))}</desc>'
        f"{drawn}"
    )


def _tag(tag: str, name: str, used: Collection[str]) -> str:
    """Return a tag with an id of its own, the page's colours and font, and numbers to a hundredth of a point."""
    tag = re.sub(r'\s+id="([^"]*)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", tag)
    tag = re.sub(r'\s+transform="rotate\(-0 [^"]*"', "", " ".join(tag.split()))
    tag = re.sub(r"url\(#([^)]*)\)", rf"url(#{name}-\1)", tag)
    tag = re.sub(r'xlink:href="#([^"]*)"', rf'xlink:href="#{name}-\1"', tag)
    tag = re.sub(r"'DejaVu Sans'(, sans-serif)?", "system-ui, sans-serif", tag)
    for placeholder, variable in VARIABLES.items():
        tag = tag.replace(placeholder, f"var({variable})")
    return re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), tag)


def write(axes: Axes, x: float, y: float, words: str, **more: object) -> None:
    """Write text as it is: a name with a dollar sign is no formula."""
    axes.text(x, y, words, parse_math=False, **{"color": INK, "fontsize": SIZE, **more})


def fitted(words: str, most: int) -> str:
    """Return a name that is no longer than so many characters: of a long one its beginning and its end."""
    words = " ".join(plain(words).split())
    if len(words) <= most:
        return words
    end = most // 2
    return f"{words[: most - end - 1]}…{words[-end:]}"


def wrapped(words: str, most: int) -> str:
    """Return a name in one line, or in two of so many characters, broken at a stroke or a space where there is one."""
    words = fitted(words, 2 * most)
    if len(words) <= most:
        return words
    places = [place + 1 for place, mark in enumerate(words) if mark in "/ :-_" and len(words) - most <= place < most]
    middle = min(places, key=lambda place: abs(place - len(words) / 2), default=most)
    return f"{words[:middle]}\n{words[middle:]}"


def ticks(low: float, high: float, *, whole: bool = False) -> Sequence[float]:
    """Return some round numbers between two, whole ones only where that is asked for."""
    locator = import_module("matplotlib.ticker").MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10], integer=whole)
    return [float(tick) for tick in locator.tick_values(low, high) if low - 1e-9 <= tick <= high + 1e-9]

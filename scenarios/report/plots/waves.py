"""Agreement and accuracy of debates, wave by wave."""

from collections.abc import Sequence

from ...measures.debating import Debating
from ...measures.estimate import Estimate
from .canvas import ACCENT, FAINT, INK, RULE, SECOND, SMALL, WIDTH, Axes, Canvas, Plot, fitted, write

PANEL = 2.1
LEFT, RIGHT, FOOT, HEAD = 0.5, 0.2, 0.5, 0.3
APART = 0.06
"""Of a wave: how far the two figures of it stand beside one another."""
MARKS = (0.0, 0.25, 0.5, 0.75, 1.0)
NAME = 34


def waves(name: str, title: str, about: str, ways: Sequence[tuple[str, Debating]]) -> Plot:
    """Return a panel for each way, at least one: agreement and accuracy by wave, with their intervals."""
    with Canvas(PANEL * len(ways)) as canvas:
        for place, (way, found) in enumerate(ways):
            bottom = PANEL * (len(ways) - 1 - place)
            axes = canvas.axes(LEFT, bottom + FOOT, WIDTH - LEFT - RIGHT, PANEL - FOOT - HEAD)
            _panel(axes, way, found)
        return canvas.plot(name, title, about)


def _panel(axes: Axes, way: str, found: Debating) -> None:
    axes.set_xlim(0.5, found.waves + 0.5)
    axes.set_ylim(-0.03, 1.03)
    axes.hlines(MARKS, 0.5, found.waves + 0.5, color=RULE, linewidth=0.5)
    axes.set_yticks(MARKS, [f"{100 * mark:.0f} %" for mark in MARKS])
    numbers = range(1, found.waves + 1)
    axes.set_xticks(list(numbers), [f"{found.sort} {number}" if found.waves < 6 else str(number) for number in numbers])
    axes.set_title(fitted(way, NAME), fontsize=SMALL, loc="left", color=INK, parse_math=False)
    agreement = {number: each.agreement for number, each in found.converged.waves.items()}
    _line(axes, agreement, ACCENT, -APART, "o")
    right = {} if found.recovered is None else found.recovered.waves
    _line(axes, {number: each.plurality for number, each in right.items()}, SECOND, APART, "s")
    _key(axes, known=bool(right))


def _line(axes: Axes, figures: dict[int, Estimate | None], colour: str, shift: float, marker: str) -> None:
    known = [(number + shift, each) for number, each in figures.items() if each is not None]
    axes.plot(
        [x for x, _ in known], [each.value for _, each in known], color=colour, linewidth=1.2, marker=marker,
        markersize=4.5, zorder=3,
    )  # fmt: skip
    for x, each in known:
        if each.ci is not None:
            axes.vlines([x], *each.ci, color=colour, linewidth=1.2)


def _key(axes: Axes, *, known: bool) -> None:
    """Write what the lines are, above them, in their colours."""
    style = {"transform": axes.transAxes, "ha": "right", "va": "bottom", "fontsize": SMALL}
    write(axes, 1.0, 1.03, "■ right" if known else "truth not known", color=SECOND if known else FAINT, **style)
    write(axes, 0.82 if known else 0.72, 1.03, "● agree", color=ACCENT, **style)

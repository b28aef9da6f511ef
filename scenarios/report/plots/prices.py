"""Ways to answer questions by what they take and how often they are right."""

from collections.abc import Sequence

from ...measures.accuracy import Solving
from .canvas import ACCENT, FAINT, RULE, SECOND, SMALL, WIDTH, Canvas, Plot, fitted, ticks

HEIGHT, LEFT, RIGHT, FOOT, HEAD = 2.6, 0.55, 0.2, 0.5, 0.15
SLACK = 0.08
NAME = 28


def prices(name: str, title: str, about: str, ways: Sequence[Solving]) -> Plot:
    """Return a plot of ways: calls an item across, the share that is right up, with intervals.

    Args:
        name: The plot's anchor.
        title: What it is called.
        about: What there is to see, in words.
        ways: Those that have calls and a share.
    """
    points = [
        (way.calls.value, way.decision.accuracy, way.decision.accuracy_ci or (way.decision.accuracy,) * 2, way)
        for way in ways
        if way.calls is not None and way.decision.accuracy is not None
    ]
    highest = max(calls for calls, *_ in points) * (1 + SLACK) or 1.0
    with Canvas(HEIGHT) as canvas:
        axes = canvas.axes(LEFT, FOOT, WIDTH - LEFT - RIGHT, HEIGHT - FOOT - HEAD)
        axes.set_xlim(0, highest)
        axes.set_ylim(0, 1)
        rows = ticks(0, 1)
        axes.hlines(rows, 0, highest, color=RULE, linewidth=0.5)
        axes.set_yticks(rows, [f"{100 * row:.0f} %" for row in rows])
        columns = ticks(0, highest, whole=highest >= 2)
        axes.set_xticks(columns, [f"{column:g}" for column in columns])
        axes.set_xlabel("calls an item", fontsize=SMALL)
        axes.set_ylabel("right", fontsize=SMALL)
        best = sorted((calls, right) for calls, right, _, way in points if way.frontier)
        axes.plot(*zip(*best, strict=True), color=ACCENT, linewidth=1.2, linestyle="--")
        for calls, right, bounds, way in points:
            colour = ACCENT if way.frontier else SECOND
            axes.vlines([calls], *bounds, color=colour, linewidth=1.2)
            axes.scatter([calls], [right], s=14, color=colour, zorder=3, linewidth=0)
            over = calls > highest / 2
            axes.annotate(
                fitted(way.name, NAME), (calls, right), xytext=(-6 if over else 6, 4), textcoords="offset points",
                ha="right" if over else "left", fontsize=SMALL, color=FAINT, parse_math=False,
            )  # fmt: skip
        return canvas.plot(name, title, about)

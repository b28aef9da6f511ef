"""Ratings as every command that measures them opens them."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import DONE, WITH_FAILURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..ratings import Ratings

RatingsPath = Annotated[
    Path, typer.Argument(metavar="RATINGS", help="A file of ratings, or a run's directory.", show_default=False)
]
Reference = Annotated[
    str | None,
    typer.Option(help="Whom others are held against: a rater, or human for the majority of all people. [human]"),
]
SHOWN = 20
"""Bad rows that are told one by one."""


def opened(path: Path) -> "Ratings":
    """Return the ratings of a file or run, and tell of rows that are none."""
    from ..ratings.source import open_ratings

    ratings = open_ratings(path)
    tell(
        f"{len(ratings.bad):,} of {ratings.rows:,} rows are no votes and are left out:",
        [str(problem) for problem in ratings.bad],
    )
    tell("columns that no rating has, and that are not used:", ratings.ignored)
    tell(
        f"{len(ratings.clashing):,} items have rows that name different models as model_a or model_b. A verdict is "
        "read as about the item's own a and b, whatever its row calls them; a pair that was shown both ways round has "
        "the same model_a in all rows, and the column order:",
        ratings.clashing,
    )
    return ratings


def tell(heading: str, lines: "Sequence[str]") -> None:
    """Say on stderr what was left out, where something was: the first of it one by one, then how much more."""
    from rich.text import Text

    from ...runtime.printable import plain
    from .. import terminal

    told = [heading, *lines[:SHOWN]] if lines else []
    if len(lines) > SHOWN:
        told.append(f"and {len(lines) - SHOWN:,} more")
    for line in told:
        terminal.err().print(Text(plain(line)), soft_wrap=True)


def about(ratings: "Ratings") -> dict[str, object]:
    """Return what every JSON document says of the ratings it is about."""
    return {
        "source": ratings.source,
        "items": len(ratings.items),
        "votes": len(ratings),
        "clashing_items": list(ratings.clashing),
        "bad_rows": [{"line": problem.line, "what": problem.what} for problem in ratings.bad],
    }


def exit_code(ratings: "Ratings") -> int:
    """Return how a command that measured them ends: 1 where rows were left out."""
    return WITH_FAILURES if ratings.bad else DONE

"""The command draw: a picture of a scenario's flow."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import Changes, Models, ScenarioName, app, plainly, plan_of, plugged

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..drawing.picture import Picture


class Format(StrEnum):
    """What a picture is written as."""

    MERMAID = "mermaid"
    SVG = "svg"


class Theme(StrEnum):
    """What page a picture is for."""

    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


ENDINGS = {".svg": Format.SVG, ".mmd": Format.MERMAID, ".mermaid": Format.MERMAID, ".md": Format.MERMAID}
"""What a file's name says of its format. A .md is a page with the diagram in it."""


@app.command()
@plainly
@plugged
def draw(
    scenario: ScenarioName,
    to: Annotated[
        Path | None, typer.Option(help="FILE.svg, FILE.mmd or FILE.md; left out: stdout.", show_default=False)
    ] = None,
    written_as: Annotated[
        Format | None,
        typer.Option(
            "--format",
            envvar="FELLOWSHIP_DRAW_FORMAT",
            help="Left out: what the file's ending says, else mermaid.",
            show_default=False,
        ),
    ] = None,
    theme: Annotated[Theme, typer.Option(help="The page it is for; auto: whichever the reader has.")] = Theme.AUTO,
    model: Models = None,
    change: Changes = None,
) -> None:
    """Draw a scenario's flow: who is asked for what, and who hears whom. Nothing is called."""
    from ...runtime.printable import plain
    from ..drawing.chart import pictures

    writer = _writer(to, written_as)
    drawn = plain(writer(pictures(plan_of(scenario, model, change)), theme))
    if to is None:
        print(drawn, end="")  # noqa: T201 - what was asked for
    else:
        _write(to, drawn)


def _writer(to: Path | None, written_as: Format | None) -> "Callable[[tuple[Picture, ...], Theme], str]":
    """Return what writes pictures as it is asked for; raises DeclarationError where that is unknown, or two things."""
    from ...protocols.errors import DeclarationError, nearest
    from ..drawing.mermaid import markdown, mermaid
    from ..drawing.svg import svg

    chosen = written_as or Format.MERMAID
    if to is not None:
        known = ENDINGS.get(to.suffix.lower())
        if known is None:
            raise DeclarationError(f"--to {to}: unknown ending {to.suffix!r}{nearest(to.suffix, ENDINGS)}")
        if written_as not in (None, known):
            raise DeclarationError(f"--to {to} is for {known.value}, and --format says {chosen.value}")
        chosen = known
    if chosen is Format.SVG:
        return lambda drawn, theme: svg(drawn, theme=theme.value)
    if to is not None and to.suffix.lower() == ".md":
        return lambda drawn, theme: markdown(drawn, theme=theme.value)
    return lambda drawn, theme: mermaid(drawn, theme=theme.value)


def _write(to: Path, drawn: str) -> None:
    from rich.text import Text

    from ...protocols.errors import DeclarationError
    from .. import terminal

    try:
        to.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise DeclarationError(f"{to} cannot be written: {error.strerror}") from error
    terminal.err().print(Text(f"drawn  {to}"), soft_wrap=True)

"""The command measure: a figure that a plugin brings."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import DONE, AsJson, app, plainly, plugged, print_json

if TYPE_CHECKING:
    from ..measures.plugged import Measured


@app.command("measure")
@plainly
@plugged
def show_measure(
    name: Annotated[str, typer.Argument(help="A measure of a plugin's.", show_default=False)],
    path: Annotated[
        Path, typer.Argument(metavar="RATINGS|RUN", help="A file of ratings, or a run's directory.", show_default=False)
    ],
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Show a measure that a plugin brings, with its 95 % interval. Exit code 1 where rows were left out."""
    from .. import terminal
    from ..measures.plugged import MEASURES, measured
    from ..tables.plugged import measured_tables
    from ..tables.shown import on_terminal
    from .opened import about, exit_code, opened

    if MEASURES[name].of == "run":
        source: dict[str, object] = {"source": str(path)}
        found, code = _of_run(name, path), DONE
    else:
        ratings = opened(path)
        source, found, code = about(ratings), measured(name, ratings), exit_code(ratings)
    if as_json:
        print_json({**source, **found.model_dump(mode="json")})
    else:
        terminal.out().print(on_terminal(measured_tables([found])))
    raise typer.Exit(code)


def _of_run(name: str, path: Path) -> "Measured":
    from ...protocols.errors import DeclarationError
    from ...runtime.log import LogReader
    from ..console import log_of
    from ..measures.plugged import measured

    if path.is_file():
        raise DeclarationError(f"{name} is taken of a run, and {path} is a file: name a run's directory")
    with LogReader(log_of(path)) as log:
        return measured(name, log)

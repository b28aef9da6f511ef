"""The command report: a run's figures on a terminal, as JSON, as Markdown and as a page."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import AsJson, app, plainly, plugged, print_json
from .opened import Reference

if TYPE_CHECKING:
    from ..report.report import Report

STDOUT = "-"

Reported = Annotated[
    Path, typer.Argument(metavar="RUN|RATINGS", help="A run's directory, or a file of ratings.", show_default=False)
]
Html = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write one self-contained page, with plots.", show_default=False)
]
Markdown = Annotated[str | None, typer.Option(metavar="FILE", help="Write Markdown; - for stdout.", show_default=False)]


@app.command("report")
@plainly
@plugged
def show_report(
    path: Reported,
    reference: Reference = None,
    html: Html = None,
    markdown: Markdown = None,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Show what a run has come to: agreement, juries, bias, scores, cost. Exit code 1 where rows were left out."""
    from ...protocols.errors import DeclarationError
    from ..console import DONE, WITH_FAILURES
    from ..report.report import report_of

    if as_json and markdown == STDOUT:
        raise DeclarationError("--json and --markdown - both want stdout: give --markdown a file")
    found = report_of(path, reference)
    if html is not None:
        from ..report.page import page

        _write(html, page(found))
    if markdown is not None:
        _markdown(found, markdown)
    if as_json:
        print_json(found.model_dump(mode="json"))
    elif markdown != STDOUT:
        _show(found)
    raise typer.Exit(WITH_FAILURES if found.bad_rows else DONE)


def _show(found: "Report") -> None:
    from rich.text import Text

    from ...runtime.printable import plain
    from .. import terminal
    from ..tables.report import sections
    from ..tables.run_facts import warnings
    from ..tables.shown import on_terminal

    for line in warnings(found):
        terminal.err().print(Text(plain(line)), soft_wrap=True)
    terminal.out().print(on_terminal(table for section in sections(found) for table in section.brief))


def _markdown(found: "Report", to: str) -> None:
    from ...runtime.printable import obeyed_by_none
    from ..report.document import document

    text = obeyed_by_none(document(found))
    if to == STDOUT:
        print(text, end="")  # noqa: T201 - what was asked for
    else:
        _write(Path(to), text)


def _write(path: Path, text: str) -> None:
    """Write a file, whole or not at all, and say so on stderr; raises DeclarationError where it cannot be."""
    from contextlib import suppress

    from rich.text import Text

    from ...protocols.errors import DeclarationError
    from ...runtime.printable import plain
    from .. import terminal

    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):  # where the folder is none, there is no part either
            part.unlink()
        raise DeclarationError(f"{path} cannot be written: {error.strerror or error}") from error
    terminal.err().print(Text(plain(f"written: {path}")), soft_wrap=True)

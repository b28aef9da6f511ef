"""The command reproduce: the paper's tables from its recorded outputs."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from pathlib import Path
from typing import Annotated

import typer

from ..console import DONE, WITH_FAILURES, AsJson, app, plainly, print_json

Recorded = Annotated[
    Path,
    typer.Argument(metavar="PATH", help="A directory of recorded outputs, or any part of one.", show_default=False),
]
AsPublished = Annotated[
    bool, typer.Option("--as-published/--corrected", help="With all faults of the published code, or with none.")
]
Allowed = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="NAME",
        help="Leave this fault as it was, and correct the others: inverted-knock-out, unread-counted, "
        "plain-unique-mode or correlated-errors.",
        show_default=False,
    ),
]


@app.command("reproduce")
@plainly
def reproduce_paper(
    path: Recorded,
    as_published: AsPublished = False,  # noqa: FBT002 - typer's way
    fault: Allowed = None,
    everything: Annotated[  # noqa: FBT002 - typer's way
        bool, typer.Option("--all", envvar="FELLOWSHIP_REPRODUCE_ALL", help="Show every row of every table.")
    ] = False,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Recompute published tables from recorded outputs. Exit code 1 where a figure is not what was published."""
    from rich.text import Text

    from ...protocols.errors import DeclarationError
    from ...runtime.printable import plain
    from .. import terminal
    from ..reproduction import reproduce
    from ..reproduction.faults import ALL, FAULTS, named
    from ..tables.reproduction import tables, verdict
    from ..tables.shown import on_terminal

    if as_published and fault:
        raise DeclarationError("--as-published leaves all faults as they were; --fault leaves those it names: take one")
    allowed = named(fault or ())
    found = reproduce(path, ALL if as_published else allowed)
    if as_json:
        print_json(found.document())
    else:
        terminal.out().print(on_terminal(tables(found, everything=everything)))
        terminal.out().print(Text(plain(verdict(found))), soft_wrap=True)
    for each in FAULTS:
        if each.name in allowed and each.reason:
            _say(f"--fault {each.name} changes nothing: {each.reason}")
    for problem in found.problems:
        _say(f"left out: {problem}")
    for figure in found.failed:
        _say(
            f"not as published: {figure.table}: {figure.cell}: {figure.as_published} of {figure.n} "
            f"instead of {figure.published}{f' of {figure.published_n}' if figure.published_n else ''}"
        )
    raise typer.Exit(DONE if found.complete else WITH_FAILURES)


def _say(text: str) -> None:
    from rich.text import Text

    from ...runtime.printable import plain
    from .. import terminal

    terminal.err().print(Text(plain(text)), soft_wrap=True)

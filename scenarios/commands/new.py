"""The command new: a scenario of one's own, made after another."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from pathlib import Path
from typing import Annotated

import typer

from ..console import AsJson, app, plainly, plugged, print_json


@app.command("new")
@plainly
@plugged
def new(
    name: Annotated[str, typer.Argument(help="Its name: small letters, digits, - and _.", show_default=False)],
    like: Annotated[str, typer.Option(help="A library scenario or a file to begin with; no sweep.")] = "debate",
    to: Annotated[
        Path | None, typer.Option(help="The directory of its files. [default: one of its name]", show_default=False)
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Begin a scenario of your own: its file, a data sample and a test that passes; nothing is written over."""
    import anyio
    from rich.text import Text

    from .. import terminal
    from ..scaffold import scaffold

    made = anyio.run(scaffold, name, like, to if to is not None else Path(name))
    made.write()
    if as_json:
        print_json({"scenario": name, "like": like, "files": list(map(str, made.files)), "next": list(made.commands)})
        return
    out = terminal.out()
    for path in made.files:
        out.print(Text(f"made {path}"), soft_wrap=True)
    out.print(Text("\nNow change the scenario; then:", style="bold"))
    for command in made.commands:
        out.print(Text(f"  {command}"), soft_wrap=True)

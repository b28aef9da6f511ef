"""The command diff: two runs side by side."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import DONE, AsJson, Run, app, log_of, plainly, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from ...runtime.log import LogReader

DIFFERENT = 1
"""Exit code, as of diff(1)."""


@app.command()
@plainly
def diff(
    first: Run,
    second: Annotated[Path, typer.Argument(help="Another run's directory.", show_default=False)],
    item: Annotated[str | None, typer.Argument(help="An item's id, to see it in full.")] = None,
    everything: Annotated[  # noqa: FBT002 - typer's way
        bool, typer.Option("--all", envvar="FELLOWSHIP_DIFF_ALL", help="Show all items that differ, not the first 20.")
    ] = False,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Compare two runs: outcomes, agreement, and where conversations part first. Exit code 1 where they differ."""
    from rich.console import Group
    from rich.text import Text

    from ...runtime.log import LogReader
    from .. import compared, terminal
    from ..diff import compare, compare_item

    names = (str(first), str(second))
    with LogReader(log_of(first)) as one, LogReader(log_of(second)) as other:
        if item is None:
            whole = compare(one, other, names=names, everything=everything)
            document, shown, same = whole.model_dump(mode="json"), compared.comparison(whole), whole.same
        else:
            found = compare_item(one, other, item, names=names)
            document, shown, same = found.model_dump(mode="json"), compared.one_item(found, names), found.same
            if not same and not as_json:
                shown = Group(shown, *_beside(one, other, item, names))
    if as_json:
        print_json(document)
    else:
        terminal.out().print(shown, soft_wrap=isinstance(shown, Text))
    raise typer.Exit(DONE if same else DIFFERENT)


def _beside(one: "LogReader", other: "LogReader", item: str, names: tuple[str, str]) -> "Iterator[RenderableType]":
    """Return the whole conversations side by side, where both runs have one."""
    from rich.text import Text

    from ..diff import counted
    from ..traces.beside import Beside
    from ..traces.talk import fold

    chosen = counted(one, item), counted(other, item)
    if chosen[0] is not None and chosen[1] is not None:
        yield Text()
        yield Beside(fold(one, chosen[0]), fold(other, chosen[1]), names)

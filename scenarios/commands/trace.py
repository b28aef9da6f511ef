"""The command trace: what was said about an item, or which items a run has."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from typing import Annotated

import typer

from ..console import Run, app, log_of, plainly, plugged


@app.command()
@plainly
@plugged
def trace(run: Run, item: Annotated[str | None, typer.Argument(help="An item's id.")] = None) -> None:
    """Show what was said about an item, or list a run's items."""
    from ...runtime.log import LogReader
    from .. import terminal
    from ..outcomes import Fold, in_order, open_items
    from ..traces.talk import find, fold
    from ..traces.transcript import transcript
    from .plugins import tell_missing

    with LogReader(log_of(run)) as log:
        tell_missing(log)
        if item is None:
            outcomes = list(in_order(Fold(log).outcomes()))
            ended = {outcome.item for outcome in outcomes}
            terminal.out().print(terminal.items(outcomes, [item for item in open_items(log) if item not in ended]))
        else:
            models = tuple(log.count("model_called", "$.model"))
            terminal.out().print(transcript(fold(log, find(log, item)), models=models))

"""The command plan: what a run will take, before anything is spent."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import AsJson, Changes, Models, ScenarioName, app, plainly, plan_of, plugged, print_json
from ..options import PlayOptions
from ..play_commands import WhichTurn

if TYPE_CHECKING:
    from ..datasets import Dataset
    from ..steps import Playable


@app.command("plan")
@plainly
@plugged
def show_plan(
    scenario: ScenarioName,
    data: Annotated[
        str,
        typer.Option(help="JSONL, JSON, CSV or Parquet; or hub:NAME, as in hub:mt-bench.", show_default=False),
    ],
    limit: Annotated[int | None, typer.Option(min=1, help="The most items, from the top.")] = None,
    model: Models = None,
    change: Changes = None,
    as_published: Annotated[  # noqa: FBT002 - typer's way
        bool,
        typer.Option("--as-published", help="Every pick by knock-out as Arif et al. 2025 recorded it, inverted."),
    ] = False,
    mapping: Annotated[
        str | None,
        typer.Option("--map", envvar="FELLOWSHIP_PLAN_MAP", help="FIELD=COLUMN,… as in prompt=instruction."),
    ] = None,
    turns: Annotated[
        WhichTurn | None,
        typer.Option(help="Of conversations: which of the user's turns is the prompt. [last]", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="For everything that is left to chance, as of run.")] = 0,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="The most calls in flight at an endpoint. [64]")
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            help="What an endpoint allows a minute: [MODEL=]600rpm,100ktpm. Without a model, for all.",
            show_default=False,
        ),
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(help="A price file in LiteLLM's form, looked into before the one that comes along.")
    ] = None,
    latency: Annotated[float, typer.Option(min=0.0, help="What a call is taken to last, in seconds.")] = 2.0,
    words: Annotated[
        str | None,
        typer.Option(help="How long answers are taken to be: 200, or draft=500,ballot=30.", show_default=False),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Say what a run will take, before anything is spent: calls, tokens, money and time; no model is asked."""
    import functools

    import anyio
    from rich.text import Text

    from ...runtime.loop import BACKEND
    from .. import terminal
    from ..forecasting.ahead import forecast
    from ..forecasting.reckoning import Circumstances
    from ..forecasting.typical import Lengths
    from ..tables.plan import plan_tables
    from ..tables.shown import on_terminal

    lengths = Lengths.from_str(words)
    plan = plan_of(scenario, model, change, as_published=as_published)
    settings = PlayOptions(concurrency=concurrency, rate=rate, prices=prices).settings(plan)
    dataset = _opened(plan, data, mapping, limit, turns)
    at = Circumstances(settings.access.prices, settings.limits, latency)
    play = functools.partial(forecast, plan, dataset, at, lengths=lengths, seed=seed)
    found = anyio.run(play, backend_options=BACKEND)
    if as_json:
        print_json(found.document())
    else:
        terminal.out().print(on_terminal(plan_tables(found)))
    for problem in plan.unasked:
        terminal.err().print(Text(f"not played unless asked for: {problem}"), soft_wrap=True)


def _opened(plan: "Playable", data: str, mapping: str | None, limit: int | None, turns: WhichTurn | None) -> "Dataset":
    """Return the data set as a run opens it."""
    from .. import hub
    from ..datasets import open_dataset, read_mapping

    takes = plan.scenario.takes
    which = turns.value if turns is not None else "last" if takes == "comparison" else hub.turns_of(data)
    columns = read_mapping(mapping) if mapping else None
    return open_dataset(
        hub.file_of(data),
        takes=takes,
        mapping=columns,
        limit=limit,
        turns=which,
        answers=plan.answers,
        lists=plan.lists,
    )

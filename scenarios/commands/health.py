"""The command health: is this judge fit for use?"""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import DONE, WITH_FAILURES, Changes, Models, app, plainly, plan_of, print_json
from ..options import PlayOptions, leave, play_through, plays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...runtime.log import LogReader
    from ..health import Labelled
    from ..outcomes import Outcome
    from ..steps import Plan


@app.command("health")
@plainly
@plays
def show_health(
    options: PlayOptions,
    judge: Annotated[
        str, typer.Argument(help="PROVIDER/MODEL, or a scenario whose verdicts are examined.", show_default=False)
    ],
    data: Annotated[
        str | None,
        typer.Option(
            help="Comparisons that people labelled: a file with a column human (a, b, tie), or hub:NAME.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's directory; the same one resumes. [runs/health-NAME-TIME]")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="The most challenges of the battery, and the most rows of --data.")
    ] = None,
    model: Models = None,
    change: Changes = None,
    columns: Annotated[str | None, typer.Option("--map", help="FIELD=COLUMN,… of --data.", show_default=False)] = None,
    min_kappa: Annotated[
        float | None,
        typer.Option(min=-1, max=1, help="Fail below this kappa: with people on --data, else on the battery."),
    ] = None,
    max_flip: Annotated[
        float | None, typer.Option(min=0, max=1, help="Fail above this share of verdicts that change with the place.")
    ] = None,
    seed: Annotated[int, typer.Option(help="For everything that is left to chance.")] = 0,
) -> None:
    """Examine a judge on a small battery with known answers; exit code 1 where it breaks a bound."""
    from rich.text import Text

    from ...runtime.log import LogReader
    from .. import terminal
    from ..console import log_of
    from ..health import battery, card, gates, probes
    from ..outcomes import Fold
    from ..run import play
    from ..tables.health import health
    from ..tables.shown import on_terminal

    plan = judged(judge, model, change)
    people = _people(data, columns, limit)
    challenges = battery(limit)
    items = [*probes(challenges), *(people.items if people is not None else ())]
    directory = out or _new_directory(judge)
    if options.cache is None:  # a cache would answer the second time what it heard the first
        options = replace(options, cache=False)
    settings = options.settings(plan, seed=seed, about={"health": judge, **({"data": str(data)} if data else {})})
    status = play_through(functools.partial(play, plan, items, directory), settings, directory, options)
    go_on = f"The same command, with --out {directory}, goes on where this left off."
    if status.state == "stopped":
        leave(status, directory, options, go_on)
    with LogReader(log_of(directory)) as log:
        outcomes: list[Outcome] = [outcome for _, outcome in Fold(log).outcomes()]
        cached = frozenset(_cached(log))
    found = card(judge, challenges, outcomes, cached=cached, people=people)
    kept = gates(found, min_kappa=min_kappa, max_flip=max_flip)
    if options.as_json:
        gated = [gate.model_dump(mode="json") for gate in kept]
        print_json({**found.model_dump(mode="json"), "gates": gated, "run": str(directory)})
    else:
        terminal.out().print(on_terminal(health(found)))
        terminal.out().print(Text(f"run  {directory}"), soft_wrap=True)
    for gate in kept:
        (terminal.err() if options.as_json else terminal.out()).print(Text(gate.sentence), soft_wrap=True)
    broken = status.failed or not all(gate.passed for gate in kept)
    raise typer.Exit(WITH_FAILURES if broken else DONE)


def judged(judge: str, model: list[str] | None, change: list[str] | None) -> "Plan":
    """Return the plan of a model as a judge, or of a scenario.

    Raises:
        DeclarationError: it is neither, or a scenario that gives no verdicts on comparisons.
    """
    from ...protocols.errors import DeclarationError
    from ..steps import Swept

    is_model = "/" in judge and not Path(judge).exists() and Path(judge).suffix not in (".yaml", ".yml")
    if is_model and model:
        raise DeclarationError(f"{judge} is a model: --model chooses those of a scenario")
    plan = plan_of("judge", [judge], change) if is_model else plan_of(judge, model, change)
    scenario = plan.scenario
    if isinstance(plan, Swept):
        raise DeclarationError(f"{judge} is a sweep: a card is of one judge")
    if scenario.takes != "comparison" or scenario.gives != "verdict":
        raise DeclarationError(
            f"{judge} takes {scenario.takes} and gives {scenario.gives}: a judge takes comparison and gives verdict"
        )
    return plan


def _people(data: str | None, columns: str | None, limit: int | None) -> "Labelled | None":
    from .. import hub
    from ..datasets import open_dataset, read_mapping
    from ..health import labelled

    if data is None:
        return None
    mapping = read_mapping(columns) if columns else None
    return labelled(open_dataset(hub.file_of(data), takes="comparison", mapping=mapping, limit=limit), data)


def _cached(log: "LogReader") -> "Iterator[str]":
    """Return the items of which a cache answered a call."""
    import orjson

    for _, conversation, _, _, body, _ in log.bodies(("model_called",)):
        if orjson.loads(body)["source"] == "cache":
            yield conversation.rpartition("~")[0]


def _new_directory(judge: str) -> Path:
    from datetime import datetime

    name = Path(judge).stem if Path(judge).suffix in (".yaml", ".yml") else judge.replace("/", "-").replace(":", "-")
    return Path("runs") / f"health-{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"

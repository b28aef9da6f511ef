"""The command versus: any two pipelines against each other."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import DONE, WITH_FAILURES, Changes, Models, app, plainly, plan_of, print_json
from ..options import PlayOptions, leave, play_through, plays
from ..play_commands import Accept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..pipelines import Pipeline
    from ..steps import Plan

ORDERS = "judging.orders"
LOOPS = "loops"
"""The sweep that has the pipelines of the paper's table 7."""


@app.command("versus")
@plainly
@plays
def show_versus(
    options: PlayOptions,
    pipelines: Annotated[
        list[str],
        typer.Argument(
            metavar="PIPELINE...",
            help="RUN, RUN:VARIANT of a sweep, NAME=either, or `reference`, the answers that came with the items. A "
            "sweep's run stands for all its variants.",
            show_default=False,
        ),
    ],
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Whom the others are held against; may stand again; * and ? fit anything. [all but the first "
            "PIPELINE; of one sweep, its single answers]",
            show_default=False,
        ),
    ] = None,
    judge: Annotated[
        str, typer.Option(metavar="SCENARIO", help="Takes a comparison and gives a verdict: judge, jury, debate, …")
    ] = "judge",
    out: Annotated[
        Path | None, typer.Option(help="The run's directory; the same one resumes. [runs/versus-NAME-TIME]")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The most items of the runs, from the top.")] = None,
    model: Models = None,
    change: Changes = None,
    as_published: Annotated[  # noqa: FBT002 - typer's way
        bool,
        typer.Option(
            "--as-published",
            envvar="FELLOWSHIP_VERSUS_AS_PUBLISHED",
            help="As the paper did: one order only, who is measured always first.",
        ),
    ] = False,
    published: Annotated[
        bool | None, typer.Option(help="Show the paper's table beneath. [for runs of the sweep loops]")
    ] = None,
    seed: Annotated[int, typer.Option(help="For everything that is left to chance.")] = 0,
    accept_changes: Accept = False,  # noqa: FBT002 - typer's way
) -> None:
    """Let a judge compare the answers of finished runs, and show who wins how often against whom."""
    from rich.text import Text

    from .. import terminal
    from ..measures import versus as measure
    from ..pipelines import open_pipelines
    from ..ratings.source import open_ratings
    from ..tables.shown import on_terminal
    from ..tables.versus import versus_tables
    from ..versus import comparisons, meetings, play_comparisons
    from .opened import tell

    plan = judge_of(judge, model, change, as_published=as_published)
    found = open_pipelines(pipelines)
    made = comparisons(meetings(found, against or ()), limit=limit)
    tell("left out, where one of two has no answer:", [line for each in made.contests for line in each.told])
    directory = out or _new_directory(judge)
    about = _about(pipelines, directory, options)
    settings = options.settings(plan, seed=seed, about=about, accept_changes=accept_changes)
    play = functools.partial(play_comparisons, plan, made.items, directory)
    status = play_through(play, settings, directory, options)
    if status.state == "stopped":
        leave(status, directory, options, f"The same command, with --out {directory}, goes on where this left off.")
    result = measure.versus(open_ratings(directory), made.contests)
    if published or (published is None and _of_loops(found)):
        result = result.model_copy(update={"published": measure.published()})
    if options.as_json:
        print_json({**result.model_dump(mode="json"), "items": made.prompts, "failed": status.failed})
    else:
        terminal.out().print(on_terminal(versus_tables(result)))
        terminal.out().print(Text(f"run  {directory}"), soft_wrap=True)
    raise typer.Exit(WITH_FAILURES if status.failed or result.left_out else DONE)


def judge_of(judge: str, model: list[str] | None, change: list[str] | None, *, as_published: bool) -> "Plan":
    """Return the plan of a judge that sees both orders, unless it is said otherwise.

    Raises:
        DeclarationError: it is no scenario that gives verdicts on comparisons, or it cannot judge in both orders.
    """
    from ...protocols.errors import DeclarationError
    from ..steps import Swept

    said = any(each.partition("=")[0].strip() == ORDERS for each in change or ())
    if said and as_published:
        raise DeclarationError(f"--as-published shows one order, and --set {ORDERS} says which: take one of them")
    plan = plan_of(judge, model, change)  # what is wrong with it by itself is told as it is
    if isinstance(plan, Swept):
        raise DeclarationError(f"{judge} is a sweep: pipelines are compared by one judge at a time")
    scenario = plan.scenario
    if (scenario.takes, scenario.gives) != ("comparison", "verdict"):
        raise DeclarationError(
            f"{judge} takes {scenario.takes} and gives {scenario.gives}: --judge takes comparison and gives verdict"
        )
    if said:
        return plan
    try:
        ordered = plan_of(judge, model, [*(change or ()), f"{ORDERS}={'ab' if as_published else 'both'}"])
    except DeclarationError as error:
        raise DeclarationError(
            f"{judge} cannot judge in both orders: {error.problems[0].what}. --set {ORDERS}=random shows each pair in "
            "one that is left to chance, --as-published the row's answer first"
        ) from error
    assert not isinstance(ordered, Swept)  # noqa: S101 - it was none above
    return ordered


def _of_loops(pipelines: "Sequence[Pipeline]") -> bool:
    return any(pipeline.sweep == LOOPS for pipeline in pipelines)


def _about(pipelines: "Sequence[str]", directory: Path, options: PlayOptions) -> dict[str, str]:
    """Return what is noted of the run: where its data lie, and whom they compare."""
    from ..directory import PAIRS

    about = {"data": str(directory / PAIRS), "versus": " ".join(pipelines)}
    return {**about, **({"base_url": options.base_url} if options.base_url else {})}


def _new_directory(judge: str) -> Path:
    from datetime import datetime

    return Path("runs") / f"versus-{Path(judge).stem}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"

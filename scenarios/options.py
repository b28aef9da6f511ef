"""Options of every command that plays, and how they are carried out."""

# ruff: noqa: PLC0415 - heavy modules are loaded when a command runs
import functools
import inspect
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, NoReturn, ParamSpec, cast

import typer

from .console import DONE, STOPPED, WITH_FAILURES, WRONG_USE, AsJson, BaseUrl, log_of, print_json

if TYPE_CHECKING:
    from ..runtime.session import Rate
    from .cluster.cluster import Cluster
    from .outcomes import Status
    from .settings import Progress, Settings
    from .steps import Playable
    from .traced import Tracing

Parameters = ParamSpec("Parameters")


class LogLevel(StrEnum):
    """The least that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"


class Durability(StrEnum):
    """What a committed event outlives."""

    PROCESS = "process"
    FULL = "full"


class Engine(StrEnum):
    """Where items are played."""

    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayOptions:
    """How endpoints are reached, how hard they are worked, for how much, and what is told of it."""

    base_url: BaseUrl = None
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="The most calls in flight at an endpoint. [64; with --batch 10000]")
    ] = None
    rate: Annotated[
        list[str] | None,
        typer.Option(
            help="What an endpoint allows a minute: [MODEL=]600rpm,100ktpm. Without a model, for all.",
            show_default=False,
        ),
    ] = None
    budget: Annotated[
        str | None, typer.Option(help="The most to spend, as in 5usd or 2Mtok; it is never overshot.")
    ] = None
    prices: Annotated[
        Path | None, typer.Option(help="A price file in LiteLLM's form, looked into before the one that comes along.")
    ] = None
    deadline: Annotated[float, typer.Option(min=0.1, help="The longest a request may take, in seconds.")] = 300.0
    item_deadline: Annotated[
        float | None, typer.Option(min=0.1, help="The longest an item may take, in seconds; then it has failed.")
    ] = None
    run_deadline: Annotated[
        float | None, typer.Option(min=0.1, help="How long to begin items, in seconds; then the run stops, resumable.")
    ] = None
    transport: Annotated[
        str,
        typer.Option(
            help="How requests travel: lean, straight over aiohttp; sdk, through the openai client; or by a plugin."
        ),
    ] = "lean"
    batch: Annotated[bool, typer.Option("--batch", help="Through the provider's Batch API: slower, cheaper.")] = False
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="Receive answers word by word, so that `status` shows those on their way; costs CPU."
        ),
    ] = False
    cache: Annotated[
        bool | None,
        typer.Option(help="Keep and use answers that were paid for. [default: not for endpoints on this machine]"),
    ] = None
    durability: Annotated[
        Durability,
        typer.Option(help="What the log outlives: the end of the process, or also a power loss; costs time."),
    ] = Durability.PROCESS
    engine: Annotated[
        Engine, typer.Option(help="Where items are played: in this process, or by workers on a Ray cluster.")
    ] = Engine.LOCAL
    address: Annotated[
        str | None,
        typer.Option(
            help="Of --engine ray: auto, for the cluster this machine is part of, or HOST:PORT. [a Ray started here]",
            show_default=False,
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Of --engine ray: processes that play. [one for 256 calls in flight, as far as there are CPUs]"
        ),
    ] = None
    ship: Annotated[
        Path | None,
        typer.Option(help="Of --engine ray: a wheel of fellowship, for nodes that have none.", show_default=False),
    ] = None
    otlp: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="FELLOWSHIP_OTLP",
            help="Send spans and events there as they come, as to http://localhost:4318; env: as OTEL_EXPORTER_OTLP_… "
            "says.",
            show_default=False,
        ),
    ] = None
    otlp_content: Annotated[
        bool,
        typer.Option(
            "--otlp-content", envvar="FELLOWSHIP_OTLP_CONTENT", help="Of --otlp: prompts, answers and reasons, too."
        ),
    ] = False
    otlp_openinference: Annotated[
        bool,
        typer.Option(
            "--otlp-openinference", envvar="FELLOWSHIP_OTLP_OPENINFERENCE", help="Of --otlp: OpenInference's names."
        ),
    ] = False
    as_json: AsJson = False
    log_json: Annotated[bool, typer.Option("--log-json", help="Logs as JSON lines.")] = False
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose", "-v", count=True, show_default=False, help="Log every item; -vv every message and call, too."
        ),
    ] = 0
    log_level: Annotated[
        LogLevel | None, typer.Option(help="The least that is logged, whatever else is said.", show_default=False)
    ] = None

    def at(self, base_url: str | None) -> "PlayOptions":
        """Return the options with the address that a run was played at, where none was given."""
        return replace(self, base_url=self.base_url or base_url)

    def level(self) -> int:
        """Return the least level that is logged: items are with `-v` and in JSON lines, messages and calls by `-vv`."""
        import logging

        if self.log_level is not None:
            return logging.getLevelNamesMapping()[self.log_level.value.upper()]
        told = max(self.verbose, 1 if self.log_json else 0)
        return logging.DEBUG if told > 1 else logging.INFO if told else logging.WARNING

    def settings(self, plan: "Playable", **more: Any) -> "Settings":  # noqa: ANN401 - fields of Settings
        """Return the settings of a run; raises DeclarationError where an option is wrong."""
        from ..runtime.models import Budget, PriceTable, weights
        from ..runtime.session import Access, Limits
        from .settings import Settings

        limits = Limits(
            concurrency=self.concurrency or (10_000 if self.batch else 64),
            deadline_s=self.deadline,
            item_deadline_s=self.item_deadline,
            run_deadline_s=self.run_deadline,
            rates=_rates(self.rate or (), plan),
            budget=Budget.parse(self.budget) if self.budget is not None else None,
        )
        access = Access(
            way=_known_transport(self.transport),
            batch=self.batch,
            stream=self.stream,
            prices=PriceTable.read(self.prices) if self.prices else PriceTable.shipped(),
            cache=None if self.cache is False else weights.cache() / "answers.db",
            cache_here=self.cache is True,
        )
        environ = _environment(plan, self.base_url)
        return Settings(
            limits=limits,
            access=access,
            environ=environ,
            durability=self.durability.value,
            cluster=self._cluster(),
            **more,
        )

    def _cluster(self) -> "Cluster | None":
        """Return where items are played, if not here."""
        from ..protocols.errors import DeclarationError
        from .cluster.cluster import HERE, Cluster

        told = {"--address": self.address, "--workers": self.workers, "--ship": self.ship}
        if self.engine is Engine.LOCAL:
            for name, value in told.items():
                if value is not None:
                    raise DeclarationError(f"{name} belongs to --engine ray")
            return None
        if find_spec("ray") is None:
            raise DeclarationError("--engine ray needs the extra `ray`: pip install 'llm-fellowship[ray]'")
        if self.ship is not None and not (self.ship.is_file() and self.ship.suffix == ".whl"):
            raise DeclarationError(f"--ship {self.ship}: there is no such wheel; `python -m build --wheel` makes one")
        return Cluster(self.address or HERE, self.workers, self.ship)

    def tracing(self) -> "Tracing | None":
        """Return where the run is to be sent, if so; raises DeclarationError where that cannot be."""
        if not self.otlp:
            return None
        from .traced import Tracing

        return Tracing.of(self.otlp, content=self.otlp_content, openinference=self.otlp_openinference)


def plays(command: Callable[Concatenate[PlayOptions, Parameters], None]) -> Callable[..., None]:
    """Give a command the options of PlayOptions beside its own; it gets them as its first argument."""
    own = list(inspect.signature(command).parameters.values())[1:]
    shared = list(inspect.signature(PlayOptions).parameters.values())

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:  # noqa: ANN401 - whatever the options are
        from ..runtime import tracing

        options = PlayOptions(**{parameter.name: given.pop(parameter.name) for parameter in shared})
        tracing.configure(json=options.log_json, level=options.level())
        cast("Callable[..., None]", command)(options, **given)

    vars(wrapped)["__signature__"] = inspect.Signature(
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *shared)]
    )
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *shared)}
    return wrapped


def carry_out(
    play: "Callable[[Settings], Awaitable[Status]]",
    settings: "Settings",
    out: Path,
    options: PlayOptions,
    go_on: str,
    *,
    export: bool = False,
) -> None:
    """Play, tell what it came to, and leave with the exit code that says so.

    Args:
        play: Plays by these settings.
        settings: How it is carried out.
        out: The run's directory.
        options: What the user asked for.
        go_on: What to do where it is stopped before its end.
        export: Whether a run that makes preference pairs writes its data sets as it ends.
    """
    leave(play_through(play, settings, out, options), out, options, go_on, export=export)


def play_through(
    play: "Callable[[Settings], Awaitable[Status]]", settings: "Settings", out: Path, options: PlayOptions
) -> "Status":
    """Play, with a progress line, and return how the run stands; what cannot be recorded ends the command."""
    from ..protocols.errors import LogError
    from . import terminal

    seen: list[Progress] = []
    tracing = options.tracing()
    try:
        with _followed(out, tracing):
            return _played(play, settings, seen, quiet=options.log_json) or _status_of(out)
    except LogError as error:
        terminal.say(error)
        begun = bool(seen) and seen[0].begun
        raise typer.Exit(STOPPED if begun else WRONG_USE) from error


def _followed(out: Path, tracing: "Tracing | None") -> AbstractContextManager[None]:
    if tracing is None:
        return nullcontext()
    from .followed import followed

    return followed(out, tracing)


def leave(status: "Status", out: Path, options: PlayOptions, go_on: str, *, export: bool = False) -> NoReturn:
    """Tell how the run stands, and leave with the exit code that says so; where it was stopped, tell how to go on.

    Args:
        status: How it stands.
        out: The run's directory.
        options: What the user asked for.
        go_on: What to do where it was stopped.
        export: Whether a run that makes preference pairs writes its data sets; they change nothing of the exit code.
    """
    from rich.text import Text

    from ..runtime.printable import plain
    from . import terminal
    from .commands.dataset import data_sets_of
    from .directory import LOG, RESULTS

    if options.as_json:
        more = data_sets_of(out) if export else None
        document = {**status.model_dump(mode="json"), "results": str(out / RESULTS)}
        print_json({**document, **({"dataset": more.document()} if more is not None else {})})
    else:
        terminal.out().print(terminal.summary(status, [out / RESULTS, out / LOG]))
        if export and (more := data_sets_of(out)) is not None:
            more.show()
    if status.state == "stopped":
        if status.why and options.as_json:  # else the summary has said so
            terminal.err().print(Text(plain(f"fellowship: {status.why}")), soft_wrap=True)
        terminal.err().print(Text(f"Stopped. {go_on}"), soft_wrap=True)
        raise typer.Exit(STOPPED)
    raise typer.Exit(WITH_FAILURES if status.failed else DONE)


def _known_transport(name: str) -> str:
    """Return the name of a transport; raises UnknownName where there is none."""
    from ..protocols.errors import UnknownName
    from ..runtime.models.transports import TRANSPORTS

    if name not in TRANSPORTS:
        raise UnknownName(TRANSPORTS.sort, name, TRANSPORTS)
    return name


def _environment(plan: "Playable", base_url: str | None) -> Mapping[str, str]:
    """Return the environment, with the address given on the command line for every model that is not embedded."""
    from ..protocols.models import EMBEDDED
    from ..runtime.models.endpoints import split, variable_of

    if base_url is None:
        return os.environ
    providers = {split(settings.model)[0] for settings in plan.models} - {EMBEDDED}
    return {**os.environ, **{f"{variable_of(provider)}_BASE_URL": base_url for provider in providers}}


def _rates(texts: "Sequence[str]", plan: "Playable") -> "Mapping[str, Rate]":
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


def _played(
    play: "Callable[[Settings], Awaitable[Status]]", settings: "Settings", seen: "list[Progress]", *, quiet: bool
) -> "Status | None":
    """Play with a progress line; the first signal drains the run, the second stops it, and then there is no state."""
    import anyio

    from ..runtime.loop import BACKEND
    from . import terminal
    from .progress import ProgressLine

    line = ProgressLine(terminal.err())

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
            result = await play(replace(settings, watch=watch))
            tasks.cancel_scope.cancel()
        return result

    try:
        return anyio.run(whole, backend_options=BACKEND)
    except BaseExceptionGroup as group:
        raise _only(group) from group


def _status_of(directory: Path) -> "Status":
    from ..runtime.log import LogReader
    from .outcomes import status

    with LogReader(log_of(directory)) as log:
        return status(log, str(directory))


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    if len(group.exceptions) > 1:
        return group
    return _only(cast("BaseExceptionGroup[BaseException]", inner)) if isinstance(inner, BaseExceptionGroup) else inner

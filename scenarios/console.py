"""What all commands share. Heavy modules are loaded by the command that needs them, so that --help is quick."""

# ruff: noqa: PLC0415 - see above
import functools
import inspect
import json
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

if TYPE_CHECKING:
    from .steps import Playable

DONE, WITH_FAILURES, WRONG_USE, STOPPED = 0, 1, 2, 3
"""Exit codes."""

app = typer.Typer(
    name="fellowship",
    help="Language models generate, review, judge and debate one another's work.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "FELLOWSHIP", "help_option_names": ["-h", "--help"]},
)

Parameters = ParamSpec("Parameters")
GIVEN_FIRST: ContextVar[tuple[Path, ...]] = ContextVar("GIVEN_FIRST", default=())
"""The plugins that are named before the command."""
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
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE",
        help="A Python file that brings roles, conditions, rules, measures and the like.",
        show_default=False,
    ),
]
BaseUrl = Annotated[str | None, typer.Option(help="Address of every model that is not local/.", show_default=False)]


def plainly(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Let a command end in a sentence and an exit code where it would end in a traceback."""

    @functools.wraps(command)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        from ..protocols.errors import DeclarationError, Diverged, FellowshipError, LogError
        from ..runtime.secrecy import hiding, secrets_of
        from . import terminal
        from .plugins.loading import loaded

        secrets = secrets_of(os.environ)
        try:
            with hiding(secrets), loaded(*GIVEN_FIRST.get()):
                command(*args, **kwargs)
        except FellowshipError as error:
            with hiding(secrets):
                terminal.say(error)
            raise typer.Exit(
                WRONG_USE if isinstance(error, (DeclarationError, Diverged, LogError)) else WITH_FAILURES
            ) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(STOPPED) from error
        except BrokenPipeError as error:  # whoever read our output has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(DONE) from error

    return wrapped


def plugged(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option `--plugin`, and load those and the plugins of installed packages before it."""
    own = list(inspect.signature(command).parameters.values())
    more = inspect.Parameter("plugin", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Plugins)

    @functools.wraps(command)
    def wrapped(*, plugin: list[Path] | None = None, **given: Any) -> None:  # noqa: ANN401 - whatever its options are
        from .plugins.loading import loaded

        with loaded(*(plugin or ()), packaged=True):
            tell_broken()
            command(**given)

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    vars(wrapped)["__signature__"] = inspect.Signature([*parameters, more])
    wrapped.__annotations__ = {**command.__annotations__, "plugin": Plugins}
    return wrapped


def tell_broken() -> None:
    """Say on stderr which plugins of installed packages cannot be loaded: only who needs them is stopped."""
    from rich.text import Text

    from ..runtime.printable import plain
    from . import terminal
    from .plugins.loading import broken

    for sentence in broken():
        terminal.err().print(Text(plain(f"fellowship: {sentence}"), style="yellow"), soft_wrap=True)


def print_json(document: object) -> None:
    """Print the one document of a command that was asked for it."""
    from ..runtime.printable import escaped
    from ..runtime.secrecy import hidden

    print(escaped(json.dumps(hidden(document), ensure_ascii=False, indent=2)))  # noqa: T201 - the one document on stdout


def log_of(run: Path) -> Path:
    """Return a run's log; raises DeclarationError where the directory is none of a run."""
    from ..protocols.errors import DeclarationError
    from .directory import LOG, runs_in

    if not run.exists():
        raise DeclarationError(f"there is no directory {run}")
    if not (run / LOG).is_file():
        raise DeclarationError(f"{run} is not a run: it has no {LOG}{runs_in(run)}")
    return run / LOG


def models_of(choices: list[str] | None) -> dict[str, str]:
    """Read `ALIAS=PROVIDER/MODEL`, `*` where there is no alias; raises DeclarationError where one stands twice."""
    from ..protocols.errors import DeclarationError

    models: dict[str, str] = {}
    for choice in choices or ():
        alias, equals, name = choice.partition("=")
        alias, name = (alias, name) if equals else ("*", choice)
        if alias in models:
            raise DeclarationError(
                f"--model names {alias!r} twice"
                if equals
                else "--model without an alias stands twice: ALIAS=PROVIDER/MODEL tells them apart, a sweep such as "
                "evaluation compares several"
            )
        models[alias] = name
    return models


def plan_of(
    scenario: str, model: list[str] | None, change: list[str] | None, *, as_published: bool = False
) -> "Playable":
    """Return the plan of a library scenario or a file; raises DeclarationError with all that is wrong with it."""
    from .loading import load
    from .planning import plan
    from .plugins.loading import discover
    from .spec import Sweep
    from .sweep import sweep

    discover()
    spec, source = load(scenario, changes=change or (), as_published=as_published)
    if isinstance(spec, Sweep):
        named = [choice.partition("=") for choice in model or ()]
        return sweep(spec, source=source, models=[(name, to) if equals else (None, name) for name, equals, to in named])
    return plan(spec, source=source, models=models_of(model))

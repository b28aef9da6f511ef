"""What export does where a run is sent by OTLP, and is not written down."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ..console import DONE, WITH_FAILURES, log_of, print_json

if TYPE_CHECKING:
    from ..traced import SentRun

OTLP = "otlp"
Endpoint = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="FELLOWSHIP_OTLP",
        help="Of otlp: the receiver, as in http://localhost:4318. [as OTEL_EXPORTER_OTLP_ENDPOINT says]",
        show_default=False,
    ),
]
Content = Annotated[bool, typer.Option("--content", help="Of otlp: prompts, answers and reasons, too.")]
OpenInference = Annotated[
    bool, typer.Option("--openinference", help="Of otlp: OpenInference's names, as Phoenix reads them.")
]
Follow = Annotated[bool, typer.Option("--follow", help="Of otlp: until the run ends.")]


def check_alone(formats: Sequence[str], given: Iterable[str]) -> None:
    """Refuse other formats beside otlp, and options that mean nothing to it."""
    from ...protocols.errors import DeclarationError

    if len(set(formats)) > 1:
        raise DeclarationError("--format otlp goes alone: it is sent, and not written down")
    meaningless = [f"--{name}" for name in given]
    if meaningless:
        raise DeclarationError(f"{', '.join(meaningless)} mean nothing for otlp: --endpoint says where it is sent")


def refuse_options(**given: bool) -> None:
    """Refuse options that are said of otlp alone."""
    from ...protocols.errors import DeclarationError

    named = [f"--{name}" for name, wanted in given.items() if wanted]
    if named:
        raise DeclarationError(f"{', '.join(named)} {'is' if len(named) == 1 else 'are'} said of --format otlp")


def send(
    run: Path,
    endpoint: str | None,
    items: Sequence[str] | None,
    *,
    content: bool,
    openinference: bool,
    follow: bool,
    as_json: bool,
) -> NoReturn:
    """Send a run, and tell what became of it; exit code 1 where something was not taken."""
    from ..traced import Tracing, send_run

    tracing = Tracing.of(endpoint, content=content, openinference=openinference)
    sent = send_run(log_of(run), tracing, items=tuple(dict.fromkeys(items or ())), follow=follow)
    if as_json:
        print_json(sent.model_dump(mode="json"))
    if not as_json or sent.lost:
        _tell(sent, as_json=as_json)
    raise typer.Exit(WITH_FAILURES if sent.lost else DONE)


def _tell(sent: "SentRun", *, as_json: bool) -> None:
    from rich.text import Text

    from .. import terminal

    for line in () if as_json else sent.lines():
        terminal.out().print(Text(line), soft_wrap=True)
    for line in sent.losses():
        terminal.err().print(Text(f"fellowship: {line}", style="yellow"), soft_wrap=True)

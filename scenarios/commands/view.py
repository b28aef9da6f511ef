"""The command view: runs looked through in a browser."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from pathlib import Path
from typing import Annotated

import typer

from ..console import app, plainly, plugged

Viewed = Annotated[list[Path], typer.Argument(metavar="RUN…", help="Directories of runs.", show_default=False)]


@app.command("view")
@plainly
@plugged
def view(
    runs: Viewed,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="[7654, or any that is free]")] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; beyond this machine, a token is asked for.")
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A further name under which it may be asked for, as behind a proxy.", show_default=False),
    ] = None,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open a browser.")] = False,  # noqa: FBT002 - typer's way
) -> None:
    """Look through runs in a browser: what was said, who heard it, what it came to; also while they are going on."""
    import anyio

    from ...runtime.loop import BACKEND
    from ..console import log_of

    for run in runs:
        log_of(run)
    anyio.run(_serve, runs, host, port, tuple(allow_host or ()), browser, backend_options=BACKEND)


async def _serve(runs: list[Path], host: str, port: int | None, names: tuple[str, ...], browser: bool) -> None:  # noqa: FBT001 - one place calls it
    import os
    import signal
    import webbrowser

    import anyio
    import anyio.to_thread
    from rich.text import Text

    from .. import terminal
    from ..viewer.serving import serving

    token = os.environ.get("FELLOWSHIP_VIEW_TOKEN")
    async with serving(runs, host=host, port=port, names=names, token=token) as url:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            terminal.err().print(Text(f"{url}\nCtrl-C ends it."), soft_wrap=True)
            if browser:
                await anyio.to_thread.run_sync(webbrowser.open, url)
            async for _ in signals:
                return

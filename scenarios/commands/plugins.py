"""The command plugins: what is loaded, from where, and what it brings."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from typing import TYPE_CHECKING

import typer

from ..console import DONE, WITH_FAILURES, AsJson, app, plainly, plugged, print_json

if TYPE_CHECKING:
    from ...runtime.log import LogReader


@app.command("plugins")
@plainly
@plugged
def show_plugins(as_json: AsJson = False) -> None:  # noqa: FBT002 - typer's way
    """List plugins, where they come from and what they bring. Exit code 1 where one cannot be loaded."""
    from rich.text import Text

    from .. import terminal
    from ..plugins.loading import GROUP, broken, plugins
    from ..tables.plugged import plugin_tables
    from ..tables.shown import on_terminal

    found = plugins()
    if as_json:
        print_json({"plugins": [plugin.document() for plugin in found], "broken": list(broken())})
    elif found:
        terminal.out().print(on_terminal(plugin_tables(found)))
    else:
        nothing = f"no plugin: --plugin FILE names one, and so does an entry point {GROUP} of an installed package"
        terminal.out().print(Text(nothing), soft_wrap=True)
    raise typer.Exit(WITH_FAILURES if broken() else DONE)


def tell_missing(log: "LogReader") -> None:
    """Say on stderr which plugins a run was played with that are not loaded: what they said is shown by kind alone."""
    import json

    from rich.text import Text

    from ...runtime.printable import plain
    from .. import terminal
    from ..directory import PLUGINS
    from ..plugins.playing import missing

    words = missing(json.loads(log.meta(PLUGINS) or "{}"))
    if words:
        told = f"fellowship: the run was played with {words}, to see all that was said"
        terminal.err().print(Text(plain(told), style="yellow"), soft_wrap=True)

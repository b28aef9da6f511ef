"""What export does for forms that are no data sets."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..console import print_json


def check_form(name: str, formats: Sequence[str], given: Iterable[str]) -> None:
    """Refuse other formats beside a form that is no data set, and options that mean nothing to it."""
    from ...protocols.errors import DeclarationError
    from ..sharing.formats import FORMS

    if len(set(formats)) > 1:
        raise DeclarationError(f"--format {name} goes alone: it is no data set for a trainer")
    meaningless = sorted(set(given) - FORMS[name].options - {"item"})
    if meaningless:
        raise DeclarationError(f"{', '.join(f'--{each}' for each in meaningless)} mean nothing for {name}")


def share(name: str, run: Path, log: Path, to: str, given: Mapping[str, Any], *, as_json: bool) -> None:
    """Write a run in a form that is no data set, and tell what is in it: on stderr where it itself goes to stdout."""
    from rich.text import Text

    from ...protocols.errors import DeclarationError
    from ...runtime.printable import plain
    from .. import terminal
    from ..sharing.formats import FORMS
    from ..sharing.shared import STDOUT, Wish

    if as_json and to == STDOUT:
        raise DeclarationError("--to - and --json would both be on stdout: leave one of them out")
    form = FORMS[name]
    options = {key: value for key, value in given.items() if key in form.options and value is not None}
    items = tuple(dict.fromkeys(given["item"] or ()))
    shared = form.write(Wish(run=run, log=log, to=to, items=items, options=options))
    if as_json:
        print_json(shared.model_dump(mode="json"))
        return
    counted = ", ".join(f"{count:,} {what}" for what, count in shared.counts.items())
    place = terminal.err() if to == STDOUT else terminal.out()
    place.print(Text(plain(f"{counted}, in {'stdout' if to == STDOUT else shared.to}")), soft_wrap=True)

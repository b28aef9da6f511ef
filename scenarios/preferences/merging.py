"""An export into a folder that has one already: what stays of it."""

from pathlib import Path

from ...protocols.errors import DeclarationError
from .exported import DATA, FORMATS, Exported, Options, Written


def merged(before: Exported | None, now: Exported, to: Path) -> Exported:
    """Return what a folder holds once an export was added to it: its configurations replace those of their name.

    Raises:
        DeclarationError: what stays is of another run or was chosen by other options, so that the folder's data sets
            would not fit together; or the run has gone on since.
    """
    if before is None:
        return now
    if before.run != now.run:
        raise DeclarationError(f"{to} holds an export of another run: name another folder")
    names = {written.config for written in now.written}
    staying = [written for written in before.written if written.config not in names]
    if not staying:
        return now
    _refuse_others(before, now, to, ", ".join(written.config for written in staying))
    kept = {written.data for written in staying} - {funnel.data for funnel in now.funnels}
    funnels = (*now.funnels, *(funnel for funnel in before.funnels if funnel.data in kept))
    apart = (*now.margins, *(margins for margins in before.margins if margins.data in kept))
    return now.model_copy(
        update={
            "funnels": tuple(sorted(funnels, key=lambda funnel: DATA.index(funnel.data))),
            "margins": tuple(sorted(apart, key=lambda margins: DATA.index(margins.data))),
            "written": tuple(sorted((*staying, *now.written), key=place)),
            "about": now.about.after(before.about),
        }
    )


def place(written: Written) -> tuple[int, int]:
    """Return where a configuration stands among others, in whatever order they were written."""
    return DATA.index(written.data), FORMATS.index(written.format)


def _refuse_others(before: Exported, now: Exported, to: Path, staying: str) -> None:
    for name in type(now.options).model_fields:
        earlier, later = _option(before.options, name), _option(now.options, name)
        if earlier != later:
            raise DeclarationError(
                f"{to} holds {staying}, chosen {earlier}, not {later}: give the same options, write all its formats "
                "again, or name another folder"
            )
    funnels = {funnel.data: funnel for funnel in before.funnels}
    for funnel in now.funnels:
        if funnels.get(funnel.data, funnel) != funnel:
            raise DeclarationError(
                f"{to} holds {staying}, of {funnels[funnel.data].kept:,} kept {funnel.data} pairs, and now there are "
                f"{funnel.kept:,}: the run has gone on; write all formats again, or name another folder"
            )


def _option(options: Options, name: str) -> str:
    """Return an option as it is given on the command line."""
    flag, values = f"--{name.replace('_', '-')}", [getattr(options, name)]
    if name == "splits":
        flag, values = "--split", [f"{split}={share:g}" for split, share in options.splits.items()]
    elif name == "not_in":
        values = list(options.not_in)
    elif name == "near_duplicates" and options.near_duplicates is None:
        values = ["off"]
    elif name == "own_family":
        return f"with {flag}" if options.own_family else f"without {flag}"
    given = [f"{flag} {value}" for value in values if value is not None]
    return "with " + " ".join(given) if given else f"without {flag}"

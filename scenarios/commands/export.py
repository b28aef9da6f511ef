"""The command export: ratings and preference data sets out of runs."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..console import DONE, WITH_FAILURES, AsJson, Run, app, log_of, plainly, print_json

if TYPE_CHECKING:
    from ...runtime.log import LogReader
    from ..preferences.candidates import Candidates
    from ..preferences.exported import Exported, Format, Options

RATINGS = "ratings"
NEAR = 0.8
"""Likeness from which prompts are near-duplicates, unless said otherwise."""
OFF = "off"


class Files(StrEnum):
    """How rows are written."""

    JSONL = "jsonl"
    PARQUET = "parquet"


class Data(StrEnum):
    """A data set of a run."""

    GENERATION = "generation"
    WORKFLOW = "workflow"


@app.command("export")
@plainly
def export(
    run: Run,
    to: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="A folder: new, empty or of an earlier export. Of ratings also a .jsonl, .csv or .parquet.",
            show_default=False,
        ),
    ],
    formats: Annotated[
        list[str],
        typer.Option(
            "--format",
            envvar="FELLOWSHIP_EXPORT_FORMAT",
            help="dpo, kto, reward or sft, one or several; or ratings.",
            show_default=False,
        ),
    ],
    files: Annotated[Files | None, typer.Option(help="How rows are written; as jsonl unless said otherwise.")] = None,
    data: Annotated[Data | None, typer.Option(help="One data set, where a run has both.")] = None,
    implicit: Annotated[  # noqa: FBT002 - typer's way
        bool, typer.Option("--implicit", help="Of dpo: the prompt stands within both answers, not beside them.")
    ] = False,
    margin: Annotated[
        float | None,
        typer.Option(help="The least difference of scores, in the scenario's place; so with the next two."),
    ] = None,
    quorum: Annotated[int | None, typer.Option(help="The least number of judges that could be read.")] = None,
    agreement: Annotated[
        float | None, typer.Option(help="The least share of them, 0 to 1, for the better answer.")
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="NAME=SHARE of the prompts, as in test=0.1; the rest is train.", show_default=False),
    ] = None,
    not_in: Annotated[
        list[str] | None,
        typer.Option(help="An evaluation set, FILE or hub:NAME, whose prompts are left out.", show_default=False),
    ] = None,
    near_duplicates: Annotated[
        str | None,
        typer.Option(
            help="Likeness, 0 to 1, from which a prompt repeats an earlier one and is left out; off: only where the "
            "texts are the same. [0.8]",
        ),
    ] = None,
    variant: Annotated[str | None, typer.Option(help="The only one of a sweep.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the splits. [0]")] = None,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Write what a run has come to: preference data sets that a trainer takes, or votes as ratings."""
    given = {
        "files": files,
        "data": data,
        "implicit": implicit or None,
        "margin": margin,
        "quorum": quorum,
        "agreement": agreement,
        "split": split or None,
        "not-in": not_in or None,
        "near-duplicates": near_duplicates,
        "variant": variant,
        "seed": seed,
    }
    _check(formats, [name for name, value in given.items() if value is not None])
    log = log_of(run)
    if RATINGS in formats:
        _ratings(run, log, to, as_json=as_json)
        return
    options = _options(given)
    _preferences(
        log,
        to,
        cast("Sequence[Format]", formats),
        options,
        data=data,
        implicit=implicit,
        files=files or Files.JSONL,
        not_in=not_in or (),
        as_json=as_json,
    )


def _check(formats: Sequence[str], given: Iterable[str]) -> None:
    """Refuse formats that there are not, and options that mean nothing for those that are wanted."""
    from ...protocols.errors import DeclarationError, UnknownName
    from ..preferences.exported import FORMATS

    for name in formats:
        if name not in (*FORMATS, RATINGS):
            raise UnknownName("format", name, (*FORMATS, RATINGS))
    meaningless = [f"--{name}" for name in given]
    if RATINGS in formats:
        if len(set(formats)) > 1:
            raise DeclarationError("--format ratings goes alone: ratings are a table, not a data set for a trainer")
        if meaningless:
            raise DeclarationError(f"{', '.join(meaningless)} mean nothing for ratings: every vote is written")
    elif "--implicit" in meaningless and "dpo" not in formats:
        raise DeclarationError("--implicit is said of dpo; reward is so anyway, kto and sft have a prompt of its own")


def _options(given: Mapping[str, Any]) -> "Options":
    """Return what rows are chosen by; raises DeclarationError where a number is out of range."""
    from pydantic import ValidationError

    from ...protocols.errors import DeclarationError
    from ..preferences.exported import Options
    from ..preferences.repeats import named
    from ..preferences.splits import read_splits

    near: str | None = given["near-duplicates"]
    try:
        return Options(
            margin=given["margin"],
            quorum=given["quorum"],
            agreement=given["agreement"],
            splits=read_splits(given["split"] or ()),
            seed=given["seed"] or 0,
            near_duplicates=None if near == OFF else NEAR if near is None else cast("float", near),
            not_in=tuple(sorted(named(name) for name in given["not-in"] or ())),
            variant=given["variant"],
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        option, words = str(wrong["loc"][0]).replace("_", "-"), wrong["msg"]
        what = f", or {OFF}" if option == "near-duplicates" else ""
        raise DeclarationError(f"--{option} {wrong['input']}: {words[:1].lower()}{words[1:]}{what}") from error


def _ratings(run: Path, log_path: Path, to: Path, *, as_json: bool) -> None:
    from rich.text import Text

    from ...protocols.errors import DeclarationError
    from ...runtime.log import LogReader
    from .. import again, terminal
    from ..directory import RESULTS
    from ..ratings import run_ratings, write_ratings
    from ..ratings.files import WRITERS

    path = to if to.suffix.lower() in WRITERS else to / "ratings.jsonl"
    with LogReader(log_path) as log:
        if path.resolve() in (Path(again.about(log).get("data", "")).resolve(), (run / RESULTS).resolve()):
            raise DeclarationError(f"{path} is the run's own data, or its results: name another file to write")
        votes = write_ratings(run_ratings(log), path)
    if as_json:
        print_json({"format": RATINGS, "to": str(path), "votes": votes})
    else:
        terminal.out().print(Text(f"{votes:,} votes, in {path}"), soft_wrap=True)


def _preferences(
    log_path: Path,
    to: Path,
    formats: "Sequence[Format]",
    options: "Options",
    *,
    data: Data | None,
    implicit: bool,
    files: Files,
    not_in: Sequence[str],
    as_json: bool,
) -> None:
    from rich.text import Text

    from ...runtime.log import LogReader
    from .. import terminal
    from ..preferences.export import export as write
    from ..preferences.repeats import repeats_by
    from ..tables.funnel import exported_tables
    from ..tables.shown import on_terminal

    with LogReader(log_path) as log:
        exported = write(
            _candidates(log, options.variant),
            to,
            formats,
            data=data.value if data else None,
            implicit=implicit,
            files=files.value,
            options=options,
            repeats=repeats_by(options.near_duplicates, not_in),
        )
    if as_json:
        print_json({"to": str(to), **exported.model_dump(mode="json")})
    else:
        terminal.out().print(on_terminal(exported_tables(exported)))
        terminal.out().print(Text(f"in {to}"), soft_wrap=True)
    raise typer.Exit(_code(exported))


def _code(exported: "Exported") -> int:
    """Return 1 where a format that was wanted has no row in any data set."""
    formats = {written.format for written in exported.written}
    return DONE if formats == {written.format for written in exported.written if written.files} else WITH_FAILURES


def _candidates(log: "LogReader", variant: str | None) -> "Candidates":
    """Return the candidates of a run. This is the one place that knows where they come from."""
    fold = import_module("...preferences.fold", __name__)
    return cast("Candidates", fold.candidates(log, variant=variant))

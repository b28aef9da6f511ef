"""The commands import and export: ratings from other tools' files, and out of runs."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from pathlib import Path
from typing import Annotated

import typer

from ..console import DONE, WITH_FAILURES, AsJson, Run, app, log_of, plainly, print_json

FORMATS = ("ratings",)
"""What can be written out of a run."""


@app.command("import")
@plainly
def import_ratings(
    source_format: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="pandalm, mt-bench, fellowship, alpaca-eval, llmbar or preference.",
            show_default=False,
        ),
    ],
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files, or folders to search for them.", show_default=False)
    ],
    to: Annotated[
        Path, typer.Option(metavar="RATINGS", help="The file to write: .jsonl, .csv or .parquet.", show_default=False)
    ],
    kind: Annotated[
        str | None, typer.Option(help="human or model: what raters are of whom the files do not say it.")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Read other tools' recorded votes as ratings. Exit code 1 where rows were left out."""
    from .. import terminal
    from ..ratings import write_ratings
    from ..ratings.files import writer
    from ..ratings.importers import bring_in
    from ..tables.imported import imported
    from ..tables.shown import on_terminal
    from .opened import tell

    writer(to)  # a wrong ending is told of before anything is read
    ratings, result = bring_in(source_format, paths, kind, to=to)
    tell(
        f"files that are none of {source_format} are left alone:",
        [f"{left.file}: {left.why}" for left in result.left_alone],
    )
    tell(f"{len(result.bad_rows):,} bad rows of {result.rows:,} are left out:", [str(bad) for bad in result.bad_rows])
    write_ratings(ratings, to)
    if as_json:
        print_json({"to": str(to), **result.model_dump(mode="json")})
    else:
        terminal.out().print(on_terminal(imported(result, str(to))))
    raise typer.Exit(WITH_FAILURES if result.bad_rows else DONE)


@app.command("export")
@plainly
def export(
    run: Run,
    to: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="A directory, which gets ratings.jsonl; or a .jsonl, .csv or .parquet.",
            show_default=False,
        ),
    ],
    target_format: Annotated[
        str, typer.Option("--format", envvar="FELLOWSHIP_EXPORT_FORMAT", help="ratings.", show_default=False)
    ],
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Write what a run has come to: its votes, and those of people on the same items, as ratings."""
    from rich.text import Text

    from ...protocols.errors import DeclarationError, UnknownName
    from ...runtime.log import LogReader
    from .. import again, terminal
    from ..directory import RESULTS
    from ..ratings import run_ratings, write_ratings
    from ..ratings.files import WRITERS

    if target_format not in FORMATS:
        raise UnknownName("format", target_format, FORMATS)
    path = to if to.suffix.lower() in WRITERS else to / "ratings.jsonl"
    with LogReader(log_of(run)) as log:
        if path.resolve() in (Path(again.about(log).get("data", "")).resolve(), (run / RESULTS).resolve()):
            raise DeclarationError(f"{path} is the run's own data, or its results: name another file to write")
        votes = write_ratings(run_ratings(log), path)
    if as_json:
        print_json({"format": target_format, "to": str(path), "votes": votes})
    else:
        terminal.out().print(Text(f"{votes:,} votes, in {path}"), soft_wrap=True)

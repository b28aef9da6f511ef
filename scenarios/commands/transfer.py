"""The command import: ratings from other tools' files."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from pathlib import Path
from typing import Annotated

import typer

from ..console import DONE, WITH_FAILURES, AsJson, app, plainly, print_json


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

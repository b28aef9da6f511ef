"""The command bias: what sways a judge beside the answers."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
from pathlib import Path
from typing import Annotated

import typer

from ..console import AsJson, app, plainly, print_json
from .opened import RatingsPath, Reference, about, exit_code, opened


@app.command("bias")
@plainly
def show_bias(
    ratings: RatingsPath,
    reference: Reference = None,
    data: Annotated[
        Path | None,
        typer.Option(help="The data set with the answers' texts, for lengths and Markdown.", show_default=False),
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--map", help="FIELD=COLUMN,… of the data set.", show_default=False)
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option(help="MODEL=FAMILY, where a model's name does not tell; may stand again.", show_default=False),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Measure what sways raters beside the answers: place, length, Markdown, kinship, and how they use their scale."""
    from .. import terminal
    from ..datasets import open_dataset, read_mapping
    from ..measures.bias import bias
    from ..measures.texts import texts_of
    from ..ratings.table import HUMAN
    from ..tables.bias import bias as tables
    from ..tables.shown import on_terminal

    given = families_of(family)
    found = opened(ratings)
    texts = None
    if data is not None:
        dataset = open_dataset(data, takes="comparison", mapping=read_mapping(columns) if columns else None)
        texts = texts_of(dataset, found, str(data))
    held_against = reference or (HUMAN if found.human.any() else None)
    result = bias(found, held_against, texts=texts, given=given)
    if as_json:
        print_json({**about(found), **result.model_dump(mode="json")})
    else:
        terminal.out().print(on_terminal(tables(result)))
    raise typer.Exit(exit_code(found))


def families_of(choices: list[str] | None) -> dict[str, str]:
    """Read `MODEL=FAMILY`; raises DeclarationError where one has another form, or stands twice."""
    from ...protocols.errors import DeclarationError

    families: dict[str, str] = {}
    for choice in choices or ():
        model, equals, family = (part.strip() for part in choice.partition("="))
        if not (equals and model and family):
            raise DeclarationError(f"--family takes MODEL=FAMILY, as in my-tune=qwen, not {choice!r}")
        if model in families:
            raise DeclarationError(f"--family names {model!r} twice")
        families[model] = family
    return families

"""The command export: ratings and preference data sets out of runs."""

# ruff: noqa: PLC0415 - heavy modules are loaded by the command that needs them
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..console import DONE, WITH_FAILURES, AsJson, Run, app, log_of, plainly, plugged, print_json
from .sharing import check_form, share
from .telemetry import (
    OTLP,
    Content,
    Endpoint,
    Follow,
    OpenInference,
    check_alone,
    refuse_options,
    send,
)

if TYPE_CHECKING:
    from ..preferences.exported import Exported, Format, Options
    from ..preferences.exporting import Wanted

RATINGS = "ratings"
OFF = "off"
OF_OWN = frozenset({"data", "margin", "quorum", "agreement", "variant", "own-family"})
"""Options that say something of a plugin's format, too."""
LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]*")
"""How the hub names licences."""
LANGUAGE = re.compile(r"[a-z]{2,3}")
"""A code of ISO 639."""


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
@plugged
def export(
    run: Run,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|FILE",
            help="A folder: new, empty or of an earlier export. Of ratings also a .jsonl, .csv or .parquet; of inspect "
            "a .eval or .json; of mermaid a file, or - for stdout.",
            show_default=False,
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            envvar="FELLOWSHIP_EXPORT_FORMAT",
            help="dpo, kto, reward, sft, one or several; or ratings, otlp, a plugin's, inspect (a log for Inspect), "
            "mermaid (one conversation), html (one page). Not needed to push what is in DIR already.",
            show_default=False,
        ),
    ] = None,
    item: Annotated[
        list[str] | None,
        typer.Option(help="Of what is no data set: only this item, one or several.", show_default=False),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Of html: the most conversations.", min=1, show_default=False)
    ] = None,
    prompts: Annotated[  # noqa: FBT002 - typer's way
        bool, typer.Option("--prompts", help="Of html: under each message its prompts, raw answers and attempts.")
    ] = False,
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
    own_family: Annotated[  # noqa: FBT002 - typer's way
        bool,
        typer.Option(
            "--own-family",
            help="Of answers that came with the data: keep pairs that a judge of a writer's own family decided.",
        ),
    ] = False,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]RATINGS",
            help="Ratings with people's votes, or a run: the card says how far this run's judges agree with them.",
            show_default=False,
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--license",
            envvar="FELLOWSHIP_EXPORT_LICENSE",
            help="Of the data sets, as the hub names it: cc-by-4.0.",
            show_default=False,
        ),
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="Of the texts, an ISO 639 code. [en, assumed]", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the splits. [0]")] = None,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="ORGANISATION/NAME", help="Upload it to the hub, for its owners' eyes only.", show_default=False
        ),
    ] = None,
    public: Annotated[  # noqa: FBT002 - typer's way
        bool, typer.Option("--public", help="Of --push: everybody can see it.")
    ] = False,
    endpoint: Endpoint = None,
    content: Content = False,  # noqa: FBT002 - typer's way
    openinference: OpenInference = False,  # noqa: FBT002 - typer's way
    follow: Follow = False,  # noqa: FBT002 - typer's way
    as_json: AsJson = False,  # noqa: FBT002 - typer's way
) -> None:
    """Write what a run has come to: preference data sets that a trainer takes, votes as ratings, or what was said."""
    given = {
        "item": item or None,
        "limit": limit,
        "prompts": prompts or None,
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
        "own-family": own_family or None,
        "benchmark": benchmark or None,
        "license": licence,
        "language": language or None,
        "seed": seed,
        "push": push,
        "public": public or None,
    }
    if OTLP in (formats or ()):
        said = [name for name, value in {"to": to, **given}.items() if value is not None and name != "item"]
        check_alone(formats or (), said)
        send(
            run,
            endpoint,
            item,
            content=content,
            openinference=openinference,
            follow=follow,
            as_json=as_json,
        )
    refuse_options(content=content, openinference=openinference, follow=follow)
    from ...protocols.errors import DeclarationError
    from ..preferences.exporters import EXPORTERS
    from ..sharing.formats import FORMS

    if to is None:
        raise DeclarationError("--to is missing: where to write")
    names = [name for name, value in given.items() if value is not None]
    form = next((name for name in formats or () if name in FORMS), None)
    if form is not None:
        check_form(form, formats or (), names)
        share(form, run, log_of(run), to, given, as_json=as_json)
        return
    _check(formats or (), names)
    log, place = log_of(run), Path(to)
    if RATINGS in (formats or ()):
        _ratings(run, log, place, as_json=as_json)
    elif formats and formats[0] in EXPORTERS:
        _plugged(formats[0], log, place, given, as_json=as_json)
    elif formats:
        wanted = _wanted(given, cast("Sequence[Format]", formats))
        _preferences(run, place, wanted, push, public=public, as_json=as_json)
    else:
        _push_only(run, place, push or "", public=public, as_json=as_json)


def _check(formats: Sequence[str], given: Iterable[str]) -> None:
    """Refuse formats that there are not, and options that mean nothing for those that are wanted."""
    from ...protocols.errors import DeclarationError, UnknownName
    from ..preferences.exported import FORMATS
    from ..preferences.exporters import EXPORTERS
    from ..sharing.formats import FORMS

    named = set(given)
    if "public" in named and "push" not in named:
        raise DeclarationError("--public is said of --push ORGANISATION/NAME: nothing would be pushed")
    if not formats and ("push" not in named or named - {"push", "public"}):
        raise DeclarationError(f"--format is missing: {', '.join((*FORMATS, RATINGS, OTLP, *FORMS))}")

    for name in formats:
        if name not in (*FORMATS, RATINGS, OTLP, *FORMS, *EXPORTERS):
            raise UnknownName("format", name, (*FORMATS, RATINGS, OTLP, *FORMS, *EXPORTERS))
    meaningless = [f"--{name}" for name in given]
    own = next((name for name in formats if name in EXPORTERS), None)
    if own is not None:
        _check_own(own, formats, named)
        return
    if RATINGS in formats:
        if len(set(formats)) > 1:
            raise DeclarationError("--format ratings goes alone: ratings are a table, not a data set for a trainer")
        if meaningless:
            raise DeclarationError(f"{', '.join(meaningless)} mean nothing for ratings: every vote is written")
    elif "--implicit" in meaningless and "dpo" not in formats:
        raise DeclarationError("--implicit is said of dpo; reward is so anyway, kto and sft have a prompt of its own")


def _check_own(name: str, formats: Sequence[str], given: set[str]) -> None:
    """Refuse what means nothing for a format of a plugin's."""
    from ...protocols.errors import DeclarationError

    if len(set(formats)) > 1:
        raise DeclarationError(f"--format {name} goes alone: it is a plugin's, and fits into no folder of data sets")
    meaningless = [f"--{each}" for each in sorted(given - OF_OWN)]
    if meaningless:
        raise DeclarationError(f"{', '.join(meaningless)} mean nothing for {name}, which is a plugin's format")


def _plugged(name: str, log_path: Path, to: Path, given: Mapping[str, Any], *, as_json: bool) -> None:
    """Write pairs by a plugin's exporter, and tell what it came to; exit code 1 where no pair was kept."""
    from ...runtime.log import LogReader
    from .. import terminal
    from ..preferences.exporters import export_by
    from ..preferences.fold import candidates
    from ..tables.plugged import export_tables
    from ..tables.shown import on_terminal

    with LogReader(log_path) as log:
        found = candidates(log, variant=given["variant"], own_family=bool(given["own-family"]))
        data = given["data"].value if given["data"] else None
        exported = export_by(name, found, to, data=data, options=_options(given))
    if as_json:
        print_json({"to": str(to), **exported.model_dump(mode="json")})
    else:
        terminal.out().print(on_terminal(export_tables(exported, str(to))))
    raise typer.Exit(DONE if exported.pairs else WITH_FAILURES)


def _wanted(given: Mapping[str, Any], formats: "Sequence[Format]") -> "Wanted":
    """Return what the options ask for; raises DeclarationError where one cannot be."""
    from ...protocols.errors import DeclarationError
    from ..preferences.exporting import Wanted

    for name in ("item", "limit", "prompts"):
        if given[name]:
            raise DeclarationError(f"--{name} means nothing for a data set, which is of the whole run")
    licence: str | None = given["license"]
    if licence is not None and not LICENSE.fullmatch(licence):
        raise DeclarationError(f"--license {licence}: write it as the hub names it, as in cc-by-4.0")
    for language in given["language"] or ():
        if not LANGUAGE.fullmatch(language):
            raise DeclarationError(f"--language {language}: write its ISO 639 code, as in en")
    return Wanted(
        formats=formats,
        data=given["data"].value if given["data"] else None,
        implicit=bool(given["implicit"]),
        files=given["files"].value if given["files"] else Files.JSONL.value,
        options=_options(given),
        not_in=given["not-in"] or (),
        benchmarks=_benchmarks(given["benchmark"] or ()),
        license=licence,
        languages=tuple(dict.fromkeys(given["language"] or ())),
    )


def _benchmarks(choices: Iterable[str]) -> dict[str, Path]:
    """Read `[NAME=]RATINGS`; raises DeclarationError where two have one name."""
    from ...protocols.errors import DeclarationError

    found: dict[str, Path] = {}
    for choice in choices:
        name, equals, place = choice.partition("=")
        path = Path(place) if equals and not Path(choice).exists() else Path(choice)
        name = name if str(path) != str(Path(choice)) else path.resolve().stem
        if not name:
            raise DeclarationError(f"--benchmark {choice}: write NAME=RATINGS, as in mt-bench=votes.jsonl")
        if name in found:
            raise DeclarationError(f"--benchmark names {name} twice: NAME=RATINGS tells them apart")
        found[name] = path
    return found


def _options(given: Mapping[str, Any]) -> "Options":
    """Return what rows are chosen by; raises DeclarationError where a number is out of range."""
    from pydantic import ValidationError

    from ...protocols.errors import DeclarationError
    from ..preferences.exported import Options
    from ..preferences.exporting import NEAR
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
            own_family=bool(given["own-family"]),
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


def _preferences(run: Path, to: Path, wanted: "Wanted", name: str | None, *, public: bool, as_json: bool) -> None:
    """Write data sets, tell what they came to, and push them where that is wanted."""
    from rich.text import Text

    from ...runtime.log import LogReader
    from .. import terminal
    from ..preferences.exporting import export_run
    from ..tables.funnel import exported_tables
    from ..tables.shown import on_terminal

    with LogReader(log_of(run)) as log:
        exported = export_run(log, to, wanted)
    if not as_json:
        terminal.out().print(on_terminal(exported_tables(exported)))
        terminal.out().print(Text(f"in {to}"), soft_wrap=True)
    pushed = _pushed(run, to, exported, name, public=public) if name is not None else None
    _told(to, exported, pushed, as_json=as_json)


def _push_only(run: Path, to: Path, name: str, *, public: bool, as_json: bool) -> None:
    """Push what an earlier export of the run has left in a folder."""
    from ...protocols.errors import DeclarationError
    from ...runtime.log import LogReader
    from ..preferences.exporting import exported_of

    with LogReader(log_of(run)) as log:
        exported = exported_of(log, to)
    if exported is None:
        raise DeclarationError(f"{to} holds no export of this run: say what to write, as in --format dpo")
    _told(to, exported, _pushed(run, to, exported, name, public=public), as_json=as_json)


def _told(to: Path, exported: "Exported", pushed: str | None, *, as_json: bool) -> None:
    from rich.text import Text

    from .. import terminal

    if as_json:
        address = {} if pushed is None else {"pushed": pushed}
        print_json({"to": str(to), **address, **exported.model_dump(mode="json")})
    elif pushed is not None:
        terminal.out().print(Text(f"pushed: {pushed}"), soft_wrap=True)
    raise typer.Exit(_code(exported))


def _pushed(run: Path, to: Path, exported: "Exported", name: str, *, public: bool) -> str:
    """Push a folder and return its address; raises DeclarationError that says how to push it again."""
    import shlex

    from ...protocols.errors import DeclarationError
    from ..preferences.push import push

    if not any(written.files for written in exported.written):
        raise DeclarationError(f"no data set in {to} has a row: nothing was pushed")
    try:
        return push(to, name, private=not public)
    except DeclarationError as error:
        words = ["fellowship", "export", str(run), "--to", str(to), "--push", name, *(["--public"] if public else [])]
        again = " ".join(shlex.quote(word) for word in words)
        raise DeclarationError(f"{error}. The data sets are in {to}; `{again}` pushes them") from error


def _code(exported: "Exported") -> int:
    """Return 1 where a format that was wanted has no row in any data set."""
    formats = {written.format for written in exported.written}
    return DONE if formats == {written.format for written in exported.written if written.files} else WITH_FAILURES

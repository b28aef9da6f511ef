"""A run written as data sets: its candidates, and a card with what the run knows and how well its judges judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...protocols.errors import DeclarationError
from ...protocols.pairing import Data
from ...runtime.log import LogReader
from ..directory import DATASET, LOG
from .card import card
from .export import export
from .exported import About, Exported, Format, Options
from .facts import Facts, facts_of
from .fold import candidates
from .folder import before
from .formats import Row
from .judges import JudgeKappa, measured
from .repeats import repeats_by
from .writers import Files

NEAR = 0.8
"""Likeness from which prompts are near-duplicates, unless said otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be written of a run, and how."""

    formats: Sequence[Format]
    data: Data | None = None
    """None: all that the scenario makes."""
    implicit: bool = False
    files: Files = "jsonl"
    options: Options = field(default_factory=lambda: Options(near_duplicates=NEAR))
    not_in: Sequence[str] = ()
    """Evaluation sets, each with the place it lies in."""
    benchmarks: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """What people have labelled, by name: ratings, or a run."""
    license: str | None = None
    languages: tuple[str, ...] = ()


def export_run(log: LogReader, to: Path, wanted: Wanted, *, anew: bool = False) -> Exported:
    """Write a run's pairs as data sets with their card; the same bytes for the same log.

    Args:
        log: The run's.
        to: A folder, as `export` takes it.
        wanted: What to write.
        anew: Whether an export of another run that is in the folder makes way.

    Raises:
        DeclarationError: as of `candidates`, `measured` and `export`, or a benchmark is named and nobody judged.
        LogError: the log is damaged.
    """
    options = wanted.options
    found = candidates(log, variant=options.variant, own_family=options.own_family)
    facts = facts_of(log)

    def readme(exported: Exported, examples: Mapping[str, Row]) -> str:
        about = exported.about
        return card(exported, facts, about.measured, about.license, examples, languages=about.languages or None)

    return export(
        found,
        to,
        wanted.formats,
        data=wanted.data,
        implicit=wanted.implicit,
        files=wanted.files,
        options=options,
        repeats=repeats_by(options.near_duplicates, wanted.not_in),
        about=About(
            license=wanted.license,
            languages=wanted.languages,
            benchmarks={name: path.resolve().name for name, path in wanted.benchmarks.items()},
            measured=_measured(facts, wanted.benchmarks),
        ),
        anew=anew,
        card=readme,
    )


def export_own(run: Path) -> Exported:
    """Write the DPO and KTO data of a run into its own directory, in place of what it had made before.

    Raises:
        DeclarationError, LogError: as of `export_run`.
    """
    with LogReader(run / LOG) as log:
        return export_run(log, run / DATASET, Wanted(formats=("dpo", "kto")), anew=True)


def exported_of(log: LogReader, to: Path) -> Exported | None:
    """Return what an export of this run has left in a folder; None where that is nothing, or of another run.

    Raises:
        DeclarationError: the log does not say what was played, or the run makes no pairs.
    """
    left = before(to)
    if left is None or left.run != candidates(log, variant=left.options.variant).run:
        return None
    return left


def _measured(facts: Facts, benchmarks: Mapping[str, Path]) -> tuple[JudgeKappa, ...]:
    judges = facts.models_of_judges
    if benchmarks and not judges:
        raise DeclarationError("--benchmark says how well judges judge, and none has voted in this run")
    return tuple(kappa for name, path in benchmarks.items() for kappa in measured(path, judges, name=name))

"""Pairs of a run, written as data sets: one folder, a configuration a data set and format, a file a split."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from hashlib import blake2b, file_digest
from pathlib import Path

import numpy as np

from ...protocols.errors import DeclarationError
from ...protocols.pairing import Data
from .candidates import Candidates, Repeats, why_dropped
from .columns import Columns
from .config import Config
from .exported import DATA, FORMATS, About, Exported, Format, Options, Written
from .folder import Folder, opened
from .formats import Row, metadata, rows
from .funnels import Count, funnel, looked
from .kept import Kept
from .margins import margins
from .merging import merged
from .readme import bare_card, examples
from .splits import Splits
from .spool import Spool
from .writers import Files, Writer, writer

Card = Callable[[Exported, Mapping[str, Row]], str]
"""Makes README.md of what was exported and of the first row of every configuration that has one."""


def export(
    candidates: Candidates,
    to: Path,
    formats: Sequence[Format],
    *,
    data: Data | None = None,
    implicit: bool = False,
    files: Files = "jsonl",
    options: Options | None = None,
    repeats: Repeats | None = None,
    about: About | None = None,
    anew: bool = False,
    card: Card | None = None,
) -> Exported:
    """Write a run's pairs as data sets, whole or not at all, and return what it came to.

    Rows are in the order of the items, however conversations ended. Texts, and numbers about them, are in temporary
    files of the folder; memory has two bytes a pair and configuration, for a moment some 24 a pair, and what `repeats`
    holds.

    Args:
        candidates: Pairs of a run.
        to: A folder: new, empty, or of an earlier export of the run with the same options, which is added to.
        formats: What to write; sft is made of generation data only.
        data: The data set that is wanted; None for all that the scenario makes.
        implicit: Of DPO: whether the prompt stands within both answers.
        files: How rows are written.
        options: What rows are chosen by; None for all that the scenario keeps, in one split.
        repeats: Looks for prompts that are there already, or in an evaluation set; None: not looked for.
        about: What the card says beyond what the run knows; added to what an earlier export into the folder said.
        anew: Whether what is in the folder makes way where it is an export of another run, or of other data.
        card: Makes README.md; None for one that says no more than where the files are.

    Raises:
        DeclarationError: the scenario does not make that data, the folder is not an export's, or of another run, or
            cannot be written, or a score is no number.
    """
    wanted = _wanted(candidates, formats, data)
    options = options or Options()
    splits = Splits(options.splits, options.seed)
    with opened(to) as folder, Spool(folder.stage, splits) as spool:
        counts = _collect(candidates, options, spool)
        columns = spool.columns()
        kept = _kept(spool, columns, repeats)
        configs = [Config(of, target, len(columns), splits, implicit=implicit) for of, target in wanted]
        for pairs in columns.parts():
            stays = kept.of(pairs)
            for config in configs:
                config.choose(pairs, stays)
        first = _write(_rows(spool, columns, configs, candidates.run), splits, folder, files)
        of_these: tuple[Data, ...] = tuple(dict.fromkeys(of for of, _ in wanted))
        exported = Exported(
            run=candidates.run,
            options=options,
            funnels=tuple(
                funnel(of, candidates, counts[of], kept.lost(columns, of), looked(options, repeats)) for of in of_these
            ),
            margins=tuple(margins(of, columns, kept) for of in of_these),
            written=tuple(_marked(config.told(files), folder) for config in configs),
            about=about or About(),
        )
        earlier = folder.before
        if anew and earlier is not None and earlier.run != exported.run:
            earlier = None
        exported = merged(earlier, exported, to)
        folder.commit(exported, (card or bare_card)(exported, examples(exported, first, to)))
    return exported


def _wanted(candidates: Candidates, formats: Sequence[Format], data: Data | None) -> list[tuple[Data, Format]]:
    if data is not None and data not in candidates.data:
        made = " and ".join(candidates.data) or "none"
        raise DeclarationError(f"the run has no {data} data: its scenario makes {made}")
    found: list[tuple[Data, Format]] = [
        (of, target)
        for of in DATA
        for target in FORMATS
        if target in formats
        and of in candidates.data
        and of == (data or of)
        and (target != "sft" or of == "generation")
    ]
    for target in formats:
        if all(target != each for _, each in found):
            what = "sft is made of generation data" if target == "sft" and candidates.data else "the run has no pairs"
            raise DeclarationError(
                f"--format {target}: {what}; its scenario makes {' and '.join(candidates.data) or 'none'}"
            )
    return found


def _collect(candidates: Candidates, options: Options, spool: Spool) -> dict[Data, Count]:
    """Spool what the filters keep, and count all."""
    override = options.model_dump(include={"margin", "quorum", "agreement"}, exclude_none=True)
    counts: dict[Data, Count] = {data: Count() for data in candidates.data}
    for pair in candidates:
        reason = why_dropped(pair, candidates.asked(pair).model_copy(update=override)) if override else pair.dropped
        counts[pair.data].add(pair, reason)
        if reason is None:
            spool.add(pair)
    return counts


def _kept(spool: Spool, columns: Columns, repeats: Repeats | None) -> Kept:
    """Return which items stay."""
    return Kept.by(columns.items, repeats(spool.requests(columns))) if repeats else Kept.all(columns.items)


def _write(rows: Iterable[tuple[Config, int, Row]], splits: Splits, folder: Folder, files: Files) -> dict[str, Row]:
    """Write the rows of all configurations in one go; a split without rows gets no file.

    Returns:
        The first row of the first split of each configuration that has one.
    """
    writers: dict[tuple[str, int], Writer] = {}
    first: dict[tuple[str, int], Row] = {}
    with ExitStack() as open_files:
        for config, split, row in rows:
            if (config.name, split) not in writers:
                path = folder.staged(config.file(splits.names[split], files))
                file = writer(path, files, config.target, implicit=config.implicit)
                open_files.callback(file.close)
                writers[config.name, split], first[config.name, split] = file, row
            writers[config.name, split].write(row)
    return {config: first[config, split] for config, split in sorted(first, reverse=True)}


def _rows(spool: Spool, columns: Columns, configs: Sequence[Config], run: str) -> Iterator[tuple[Config, int, Row]]:
    """Return the rows of all configurations, each with its split, pair by pair."""
    for pairs in columns.blocks():
        sides = [config.sides(pairs) for config in configs]
        wanted = np.logical_or.reduce([either for both in sides for either in both])
        for place in np.flatnonzero(wanted).tolist():
            pair = spool.pair(int(pairs.start[place]), int(pairs.size[place]))
            known = metadata(pair, run)
            split = int(pairs.split[place])
            for config, (goods, bads) in zip(configs, sides, strict=True):
                good, bad = bool(goods[place]), bool(bads[place])
                if good or bad:
                    for row in rows(config.target, pair, known, implicit=config.implicit, good=good, bad=bad):
                        yield config, split, row


def _marked(written: Written, folder: Folder) -> Written:
    """Return it with the digest of its files."""
    found = blake2b(digest_size=12)
    for split, name in written.files.items():
        with folder.staged(name).open("rb") as file:
            found.update(split.encode() + file_digest(file, blake2b).digest())
    return written.model_copy(update={"digest": found.hexdigest()})

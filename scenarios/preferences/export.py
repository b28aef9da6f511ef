"""Pairs of a run, written as data sets: one folder, a configuration a data set and format, a file a split."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b, file_digest
from pathlib import Path

import numpy as np

from ...protocols.errors import DeclarationError
from ...protocols.pairing import Data
from .balance import balance
from .candidates import Candidates, Repeats, why_dropped
from .exported import FORMATS, About, Exported, Format, Options, Written
from .folder import Folder, opened
from .formats import Row, metadata, rows
from .funnels import Count, funnel, looked, lost
from .margins import margins
from .merging import merged
from .readme import bare_card, examples
from .selection import Chosen, Mask, choose
from .splits import TRAIN, Splits
from .spool import DATA, Columns, Spool
from .writers import Files, Writer, writer

Card = Callable[[Exported, Mapping[str, Row]], str]
"""Makes README.md of what was exported and of the first row of every configuration that has one."""


@dataclass(frozen=True, slots=True)
class _Config:
    """One configuration while it is written."""

    data: Data
    target: Format
    implicit: bool
    chosen: Chosen

    @property
    def name(self) -> str:
        return f"{self.data}-{self.target}"


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

    Rows are in the order of the items, however conversations ended. Memory holds numbers only, 100 bytes a pair and for
    a moment some 150 more; KTO's rows are two a pair.

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
        why = _repeated(spool, columns, repeats)
        kept = np.array([reason is None for reason in why], dtype=np.bool_)[columns.item]
        configs = [
            _Config(of, target, implicit and target == "dpo", choose(target, columns, kept & _is(columns, of)))
            for of, target in wanted
        ]
        _write(spool, columns, configs, splits, folder, files, candidates.run)
        written = [_marked(_told(config, columns, splits, files), folder) for config in configs]
        of_these: tuple[Data, ...] = tuple(dict.fromkeys(of for of, _ in wanted))
        exported = Exported(
            run=candidates.run,
            options=options,
            funnels=tuple(
                funnel(of, candidates, counts[of], lost(why, columns, of), looked(options, repeats)) for of in of_these
            ),
            margins=tuple(margins(of, columns, kept & _is(columns, of)) for of in of_these),
            written=tuple(written),
            about=about or About(),
        )
        earlier = folder.before
        if anew and earlier is not None and earlier.run != exported.run:
            earlier = None
        exported = merged(earlier, exported, to)
        folder.commit(exported, (card or bare_card)(exported, examples(exported, folder.stage, to)))
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


def _is(columns: Columns, data: Data) -> Mask:
    return np.equal(columns.data, DATA.index(data))


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


def _repeated(spool: Spool, columns: Columns, repeats: Repeats | None) -> list[str | None]:
    """Return why each item that has pairs is left out."""
    if repeats is None:
        return [None] * columns.items
    look = repeats(spool.requests(columns))
    return [look(place) for place in range(columns.items)]


def _write(
    spool: Spool,
    columns: Columns,
    configs: Sequence[_Config],
    splits: Splits,
    folder: Folder,
    files: Files,
    run: str,
) -> None:
    """Write the rows of all configurations in one go; a split without rows gets no file."""
    writers: dict[tuple[str, int], Writer] = {}
    wanted = np.zeros(len(columns), dtype=np.bool_)
    for config in configs:
        wanted |= config.chosen.any
    with ExitStack() as open_files:
        for place in np.flatnonzero(wanted):
            pair = spool.pair(int(columns.start[place]), int(columns.size[place]))
            known = metadata(pair, run)
            split = int(columns.split[place])
            for config in configs:
                good, bad = bool(config.chosen.good[place]), bool(config.chosen.bad[place])
                if not good and not bad:
                    continue
                if (config.name, split) not in writers:
                    path = folder.staged(_file(config.name, splits.names[split], files))
                    file = writer(path, files, config.target, implicit=config.implicit)
                    open_files.callback(file.close)
                    writers[config.name, split] = file
                for row in rows(config.target, pair, known, implicit=config.implicit, good=good, bad=bad):
                    writers[config.name, split].write(row)


def _file(config: str, split: str, files: Files) -> str:
    return f"{config}/{split}.{files}"


def _marked(written: Written, folder: Folder) -> Written:
    """Return it with the digest of its files."""
    found = blake2b(digest_size=12)
    for split, name in written.files.items():
        with folder.staged(name).open("rb") as file:
            found.update(split.encode() + file_digest(file, blake2b).digest())
    return written.model_copy(update={"digest": found.hexdigest()})


def _told(config: _Config, columns: Columns, splits: Splits, files: Files) -> Written:
    """Return what a configuration has come to."""
    row_counts: dict[str, int] = {}
    prompts: dict[str, int] = {}
    for place, split in enumerate(splits.names):
        here = columns.split == place
        row_counts[split] = int((config.chosen.good & here).sum()) + int((config.chosen.bad & here).sum())
        prompts[split] = len(np.unique(columns.prompt[config.chosen.any & here]))
    notes = [f"{split} is empty: it has no file" for split, number in row_counts.items() if not number]
    if not any(row_counts.values()):
        notes = ["there is no row: it has no file"]
    weights = None
    if config.target == "kto":
        here = columns.split == splits.names.index(TRAIN)
        good, bad = int((config.chosen.good & here).sum()), int((config.chosen.bad & here).sum())
        weights = balance(good, bad)
        if (good == 0) != (bad == 0):
            missing = "undesirable" if good else "desirable"
            notes.append(f"{TRAIN} has no {missing} completion: KTO needs both labels")
    return Written(
        config=config.name,
        data=config.data,
        format=config.target,
        files={split: _file(config.name, split, files) for split, number in row_counts.items() if number},
        rows=row_counts,
        prompts=prompts,
        left_out=config.chosen.left_out,
        balance=weights,
        implicit=config.implicit or config.target == "reward",
        notes=tuple(notes),
    )

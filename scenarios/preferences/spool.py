"""Pairs on disk, and numbers about them, so that a million of them are put in order and chosen from."""

import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

import numpy as np
import orjson

from ...protocols.errors import DeclarationError
from ...protocols.items import Turn
from .columns import Columns
from .exported import DATA
from .pair import Ballot, Pair, Side
from .prompts import key, prompt_key, request_of, text_of
from .splits import Splits


class Spool:
    """A temporary file of pairs, in the order in which they came."""

    def __init__(self, folder: Path, splits: Splits) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._splits = splits
        self._variants: dict[str | None, int] = {}
        self._columns = Columns(folder)
        self._end = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do away with the files."""
        self._columns.close()
        self._file.close()

    def add(self, pair: Pair) -> None:
        """Keep a pair; raises DeclarationError where it has a number or a text that cannot be written."""
        _check(pair)
        try:
            line = orjson.dumps(pair, default=Turn.model_dump)
        except orjson.JSONEncodeError as error:
            raise DeclarationError(f"item {pair.item}: a text cannot be written: {error}") from error
        score = pair.chosen.score if pair.chosen else None
        size = self._file.write(line)
        self._columns.add(
            (
                pair.number,
                self._variants.setdefault(pair.variant, len(self._variants)),
                self._end,
                size,
                DATA.index(pair.data),
                self._splits.of(text_of(request_of(pair))),
                key(pair.item.removeprefix(f"{pair.variant}/")),
                prompt_key(pair.prompt),
                key(pair.chosen.text) if pair.chosen else 0,
                key(pair.rejected.text) if pair.rejected else 0,
                -math.inf if score is None else score / (pair.scale or 1),
                math.nan if pair.margin is None else pair.margin,
                pair.scale or 0,
            )
        )
        self._end += size

    def columns(self) -> Columns:
        """Return numbers about all pairs by number, variant and the order in which an item's pairs came.

        Once; nothing can be added after it.
        """
        names = sorted(self._variants, key=lambda name: (name is not None, name or ""))
        self._columns.put_in_order(np.array([names.index(name) for name in self._variants], dtype=np.int64))
        return self._columns

    def pair(self, start: int, size: int) -> Pair:
        """Return the pair that begins at a place."""
        self._file.seek(start)
        return _pair(orjson.loads(self._file.read(size)))

    def requests(self, columns: Columns) -> Iterator[str]:
        """Return the text of every item that has pairs, in order."""
        before = -1
        for rows in columns.blocks():
            for start, size, item in zip(rows.start.tolist(), rows.size.tolist(), rows.item.tolist(), strict=True):
                if item != before:
                    before = item
                    yield text_of(request_of(self.pair(start, size)))


def _check(pair: Pair) -> None:
    """Refuse numbers that no judge gives: JSON knows no NaN, and no scale begins below 0."""
    numbers = [pair.margin]
    numbers += [side.score for side in (pair.chosen, pair.rejected) if side]
    numbers += [score for ballot in pair.ballots for score in (ballot.score_chosen, ballot.score_rejected)]
    for number in numbers:
        if number is not None and not 0 <= number < math.inf:
            raise DeclarationError(f"item {pair.item}: {number} is no score: it must be 0 or more")


def _pair(facts: dict[str, Any]) -> Pair:
    for name in ("prompt", "request"):
        facts[name] = tuple(Turn(**turn) for turn in facts[name])
    for name in ("chosen", "rejected"):
        facts[name] = Side(**facts[name]) if facts[name] else None
    facts["votes"] = tuple(facts["votes"])
    facts["ballots"] = tuple(Ballot(**ballot) for ballot in facts["ballots"])
    return Pair(**facts)

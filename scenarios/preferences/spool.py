"""Pairs on disk, and in memory only numbers about them, so that a million of them are put in order and chosen from."""

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self, get_args

import numpy as np
import orjson
from numpy.typing import NDArray

from ...protocols.errors import DeclarationError
from ...protocols.pairing import Data
from .pair import Ballot, Pair, Side, Turn
from .prompts import key, prompt_key, request_of, text_of
from .splits import Splits

DATA: tuple[Data, ...] = get_args(Data)


@dataclass(frozen=True, slots=True)
class Columns:
    """Numbers about pairs, a row a pair, in the order in which they are written."""

    start: NDArray[np.int64]
    """Where it begins in the spool."""
    size: NDArray[np.int64]
    data: NDArray[np.uint8]
    """Place in DATA."""
    split: NDArray[np.uint8]
    item: NDArray[np.int64]
    """Place of its item among those that have pairs, from 0; the variants of one row of a data set are one item."""
    prompt: NDArray[np.uint64]
    """Stands for the prompt."""
    chosen: NDArray[np.uint64]
    """Stands for the chosen text; 0 where there is none."""
    rejected: NDArray[np.uint64]
    score: NDArray[np.float64]
    """Of the chosen one, as a share of the scale; minus infinity where there is none."""
    margin: NDArray[np.float64]
    """NaN where there is none."""
    scale: NDArray[np.int64]
    """0 where there is none."""

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self.start)

    @property
    def items(self) -> int:
        """Return how many items have pairs."""
        return int(self.item[-1]) + 1 if len(self) else 0


CODES = {
    "number": "q",
    "variant": "I",
    "size": "q",
    "data": "B",
    "split": "B",
    "item": "Q",
    "prompt": "Q",
    "chosen": "Q",
    "rejected": "Q",
    "score": "d",
    "margin": "d",
    "scale": "q",
}
"""What is known of each pair, and as which sort of number it is kept."""


class Spool:
    """A temporary file of pairs, in the order in which they came."""

    def __init__(self, folder: Path, splits: Splits) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._splits = splits
        self._variants: dict[str | None, int] = {}
        self._numbers: dict[str, array[Any]] = {name: array(code) for name, code in CODES.items()}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do away with the file."""
        self._file.close()

    def add(self, pair: Pair) -> None:
        """Keep a pair; raises DeclarationError where it has a number or a text that cannot be written."""
        _check(pair)
        try:
            line = orjson.dumps(pair)
        except orjson.JSONEncodeError as error:
            raise DeclarationError(f"item {pair.item}: a text cannot be written: {error}") from error
        score = pair.chosen.score if pair.chosen else None
        facts = (
            pair.number,
            self._variants.setdefault(pair.variant, len(self._variants)),
            self._file.write(line),
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
        for numbers, fact in zip(self._numbers.values(), facts, strict=True):
            numbers.append(fact)

    def columns(self) -> Columns:
        """Return numbers about all pairs by number, variant and the order in which an item's pairs came.

        They are given away: nothing can be added after it.
        """
        names = sorted(self._variants, key=lambda name: (name is not None, name or ""))
        ranks = np.array([names.index(name) for name in self._variants], dtype=np.int64)
        order = np.lexsort((ranks[self._given("variant")], self._given("number")))
        sizes = self._given("size")
        start = np.cumsum(sizes) - sizes
        item = self._given("item")[order]
        another = np.ones(len(item), dtype=np.bool_)
        another[1:] = item[1:] != item[:-1]
        return Columns(
            start=start[order],
            size=sizes[order],
            item=np.cumsum(another) - 1,
            **{name: self._given(name)[order] for name in tuple(self._numbers)},
        )

    def _given(self, name: str) -> NDArray[Any]:
        return np.frombuffer(self._numbers.pop(name), dtype=CODES[name])

    def pair(self, start: int, size: int) -> Pair:
        """Return the pair that begins at a place."""
        self._file.seek(start)
        return _pair(orjson.loads(self._file.read(size)))

    def requests(self, columns: Columns) -> Iterator[str]:
        """Return the text of every item that has pairs, in order."""
        before = -1
        for place, item in enumerate(columns.item):
            if item != before:
                before = item
                yield text_of(request_of(self.pair(int(columns.start[place]), int(columns.size[place]))))


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

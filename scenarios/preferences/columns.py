"""Numbers about pairs, in files: of a million pairs some thousands at a time are in memory."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 14
"""Pairs that are looked at together in the order in which they are written."""
PART = 1 << 16
"""Pairs, about, that are looked at together with all others of their prompts."""
MOST_PARTS = 256
"""Each costs a reading of all numbers."""

CODES = {
    "number": "q",
    "variant": "I",
    "start": "q",
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
ORDER = ("number", "variant")
"""What is known for the sake of the order alone."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Numbers about some pairs, in the order in which they are written."""

    place: NDArray[np.int64]
    """Place among all pairs."""
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
        """Return how many pairs these are."""
        return len(self.place)


NAMES = tuple(Rows.__slots__)


class Column:
    """One number of every pair."""

    def __init__(self, folder: Path, code: str) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed by close
        self._kind = np.dtype(code)
        self._waiting: array[Any] = array(code)

    def append(self, value: float) -> None:
        """Take the next pair's."""
        self._waiting.append(value)
        if len(self._waiting) == BLOCK:
            self.extend(())

    def extend(self, values: NDArray[Any] | Sequence[float]) -> None:
        """Take those of some more."""
        self._file.write(self._waiting)
        del self._waiting[:]
        self._file.write(np.asarray(values, self._kind).tobytes())

    def read(self, start: int, count: int) -> NDArray[Any]:
        """Return those of some pairs, all appended ones written by `extend` before."""
        self._file.seek(start * self._kind.itemsize)
        return np.frombuffer(self._file.read(count * self._kind.itemsize), self._kind)

    def close(self) -> None:
        """Do away with the file."""
        self._file.close()


class Columns:
    """Numbers about all pairs: added, then put in order, then read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._columns = {name: Column(folder, code) for name, code in CODES.items()}
        self._count = 0
        self.items = 0
        """How many items have pairs; known once they are in order."""

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return self._count

    def close(self) -> None:
        """Do away with the files."""
        for column in self._columns.values():
            column.close()

    def add(self, facts: Sequence[float]) -> None:
        """Take what is known of the next pair, in the order of CODES."""
        for column, fact in zip(self._columns.values(), facts, strict=True):
            column.append(fact)
        self._count += 1

    def put_in_order(self, ranks: NDArray[np.int64]) -> None:
        """Put all in the order of number and variant, those of both in the order in which they came.

        Once, after the last was added. It holds some 24 bytes a pair for a moment.

        Args:
            ranks: The place of each variant among all, by the number that stands for it.
        """
        for column in self._columns.values():
            column.extend(())
        order = self._order(ranks)
        for name in ORDER:
            self._columns.pop(name).close()
        for name, column in self._columns.items():
            ordered = Column(self._folder, CODES[name])
            whole = column.read(0, self._count)
            for start in range(0, self._count, BLOCK):
                values = whole[order[start : start + BLOCK]]
                before = whole[order[start - 1 : start]] if start else None
                ordered.extend(self._places(values, before) if name == "item" else values)
            self._columns[name] = ordered
            column.close()

    def _order(self, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
        number = self._columns["number"].read(0, self._count)
        if len(ranks) < 2:
            return np.argsort(number, kind="stable")
        return np.lexsort((ranks[self._columns["variant"].read(0, self._count)], number))

    def _places(self, items: NDArray[np.uint64], before: NDArray[np.uint64] | None) -> NDArray[np.int64]:
        """Return the places of items that stand for themselves, `before` being the one before the first of them."""
        another = np.ones(len(items), dtype=np.bool_)
        another[1:] = items[1:] != items[:-1]
        another[0] = before is None or items[0] != before[0]
        places = self.items + np.cumsum(another) - 1
        self.items = int(places[-1]) + 1
        return places

    def blocks(self) -> Iterator[Rows]:
        """Return all pairs in order, some at a time."""
        for start in range(0, self._count, BLOCK):
            count = min(BLOCK, self._count - start)
            known = {name: column.read(start, count) for name, column in self._columns.items()}
            yield Rows(place=np.arange(start, start + count), **known)

    def parts(self) -> Iterator[Rows]:
        """Return all pairs in parts, all pairs of a prompt in one and each part in order.

        A part is about as large as PART, or as the pairs of its most frequent prompt where they are more.
        """
        count = min(MOST_PARTS, -(-self._count // PART))
        for part in range(count):
            found: list[Rows] = []
            for rows in self.blocks():
                here = np.flatnonzero(rows.prompt % np.uint64(count) == part)
                found.append(Rows(*(getattr(rows, name)[here] for name in NAMES)))
            yield Rows(*(np.concatenate([getattr(rows, name) for rows in found]) for name in NAMES))

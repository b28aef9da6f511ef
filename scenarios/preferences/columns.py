"""Numbers about pairs, in files: of a million pairs some thousands at a time are in memory."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 14
"""Pairs that are looked at together in the order in which they are written."""
PART = 1 << 14
"""Pairs, about, that are looked at together with all others of their prompts."""

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


class Column:
    """One number of every pair."""

    def __init__(self, folder: Path, kind: np.dtype[Any]) -> None:
        self.kind = kind
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed by close
        self._waiting: array[Any] = array(kind.char)

    def append(self, value: float) -> None:
        """Take the next pair's."""
        self._waiting.append(value)
        if len(self._waiting) == BLOCK:
            self.extend(())

    def extend(self, values: NDArray[Any] | Sequence[float]) -> None:
        """Take those of some more."""
        self._file.write(self._waiting)
        del self._waiting[:]
        self._file.write(np.asarray(values, self.kind).tobytes())

    def read(self, start: int, count: int) -> NDArray[Any]:
        """Return those of some pairs, all appended ones written by `extend` before."""
        self._file.seek(start * self.kind.itemsize)
        return np.frombuffer(self._file.read(count * self.kind.itemsize), self.kind)

    def mapped(self) -> NDArray[Any]:
        """Return all, as pages of the file that leave the memory with it, where arrays that were freed may stay."""
        self.extend(())
        self._file.flush()
        return np.memmap(self._file, self.kind, "r") if self._file.seek(0, SEEK_END) else np.empty(0, self.kind)

    def close(self) -> None:
        """Do away with the file."""
        self._file.close()


class Columns:
    """Numbers about all pairs: added, then put in order, then read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._columns = {name: Column(folder, np.dtype(code)) for name, code in CODES.items()}
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
        order = self._order(ranks)
        for name in ORDER:
            self._columns.pop(name).close()
        given = self._columns
        self._columns = {name: self._arranged(column, order) for name, column in given.items() if name != "item"}
        keys = self._arranged(given["item"], order)
        self._columns["item"] = self._places(keys)
        for column in (*given.values(), keys):
            column.close()

    def _order(self, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
        number = self._columns["number"].mapped()
        if len(ranks) < 2:
            return np.argsort(number, kind="stable")
        return np.lexsort((ranks[self._columns["variant"].mapped()], number))

    def _arranged(self, column: Column, order: NDArray[np.int64]) -> Column:
        """Return a column in another order."""
        found = Column(self._folder, column.kind)
        whole = column.mapped()
        for start in range(0, self._count, BLOCK):
            found.extend(whole[order[start : start + BLOCK]])
        return found

    def _places(self, keys: Column) -> Column:
        """Return the places of items, whose pairs stand together, by what stands for each; they are counted."""
        found = Column(self._folder, np.dtype(np.int64))
        before = 0  # which stands for none
        for start in range(0, self._count, BLOCK):
            items = keys.read(start, min(BLOCK, self._count - start))
            another = np.not_equal(items, np.concatenate([[np.uint64(before)], items[:-1]]))
            places = self.items + np.cumsum(another) - 1
            found.extend(places)
            self.items, before = int(places[-1]) + 1, items[-1]
        return found

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
        count = -(-self._count // PART)
        if not count:
            return
        part = np.concatenate([(rows.prompt % np.uint64(count)).astype(np.uint32) for rows in self.blocks()])
        sizes, order = np.bincount(part), np.argsort(part, kind="stable")
        arranged = {name: self._arranged(column, order) for name, column in self._columns.items()}
        arranged["place"] = Column(self._folder, order.dtype)
        for start in range(0, self._count, BLOCK):
            arranged["place"].extend(order[start : start + BLOCK])
        del part, order
        start = 0
        try:
            for size in sizes.tolist():
                yield Rows(**{name: column.read(start, size) for name, column in arranged.items()})
                start += size
        finally:
            for column in arranged.values():
                column.close()

"""Which items stay, and why the pairs of others are left out."""

from collections import Counter
from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...protocols.pairing import Data
from .columns import Columns, Rows
from .exported import DATA
from .selection import Mask


class Kept:
    """For each item that has pairs: whether it stays."""

    def __init__(self, codes: NDArray[np.uint16], reasons: tuple[str, ...]) -> None:
        self._codes = codes
        self._reasons = reasons

    @classmethod
    def all(cls, items: int) -> Self:
        """Return that all stay."""
        return cls(np.zeros(items, np.uint16), ())

    @classmethod
    def by(cls, items: int, why: Callable[[int], str | None]) -> Self:
        """Return that those stay of which nobody says why not, by their place."""
        known: dict[str | None, int] = {None: 0}
        codes = np.zeros(items, np.uint16)
        for place in range(items):
            codes[place] = known.setdefault(why(place), len(known))
        return cls(codes, tuple(reason for reason in known if reason is not None))

    def of(self, rows: Rows) -> Mask:
        """Return which pairs are of items that stay."""
        return np.equal(self._codes[rows.item], 0)

    def lost(self, columns: Columns, data: Data) -> Counter[str]:
        """Return how many pairs of a data set are left out, by why their items are."""
        counts = np.zeros(len(self._reasons) + 1, np.int64)
        for rows in columns.blocks():
            of_it = rows.item[np.equal(rows.data, DATA.index(data))]
            counts += np.bincount(self._codes[of_it], minlength=len(counts))
        return Counter({reason: int(count) for reason, count in zip(self._reasons, counts[1:], strict=True) if count})

"""MinHash signatures, and the buckets in which texts with much in common meet."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...protocols.errors import DeclarationError
from .shingles import Hashes, mixed, run_hashes

Numbers: TypeAlias = NDArray[np.int64]

PERMUTATIONS = 128
"""The most values of a signature."""
RECALL = 0.99
"""The least chance that two texts meet in a bucket whose similarity is just the threshold."""
SLACK = 3
"""Standard errors by which a signature may fall below the threshold before the texts themselves are looked at."""
_AT_ONCE = 4096


class Signatures:
    """MinHash signatures of texts (Broder 1997), cut into bands (Leskovec et al., Mining of Massive Datasets, 3.4).

    Two texts of similarity s meet in at least one of b bands of r values with chance 1 - (1 - s**r)**b. Bands are as
    long as `RECALL` allows; at a threshold of 0.8 there are 21 of 6, and 0.9983 of the pairs that are just that similar
    meet.
    """

    def __init__(self, threshold: float) -> None:
        self.rows = _rows(threshold)
        self.bands = PERMUTATIONS // self.rows
        self.size = self.rows * self.bands
        self.enough = threshold - SLACK * (threshold * (1 - threshold) / self.size) ** 0.5
        """Share of equal values below which a pair is not looked at."""
        self._sketch = _datasketch().MinHash(num_perm=self.size, seed=1, hashfunc=int, scheme="affine32")

    def of(self, pieces: Hashes) -> NDArray[np.uint32]:
        """Return a text's signature: `size` values."""
        self._sketch.clear()
        for start in range(0, pieces.size, _AT_ONCE):
            self._sketch.update_batch((pieces[start : start + _AT_ONCE] >> np.uint64(32)).tolist())
        found: NDArray[np.uint32] = self._sketch.hashvalues
        return found

    def keys(self, signatures: NDArray[np.uint32]) -> Hashes:
        """Return the buckets of many signatures, one row a signature and one column a band."""
        cut = mixed(signatures.astype(np.uint64)).reshape(-1, self.bands, self.rows)
        return mixed(run_hashes(np.moveaxis(cut, 2, 0), self.rows)[0])


def _datasketch() -> Any:  # noqa: ANN401 - reached where it is needed: it is an extra
    try:
        return import_module("datasketch")
    except ImportError as error:
        raise DeclarationError(
            "near-duplicates of prompts need the extra `data`: pip install 'llm-fellowship[data]'"
        ) from error


def _rows(threshold: float) -> int:
    fitting = [
        rows for rows in range(1, PERMUTATIONS + 1) if 1 - (1 - threshold**rows) ** (PERMUTATIONS // rows) >= RECALL
    ]
    return max(fitting, default=1)


class Meetings:
    """Which earlier ones, of those that were kept, a text meets in a bucket.

    Holds 20 bytes for each place in a bucket that several texts share, and nothing for texts that meet nobody.
    """

    def __init__(self, bands: Iterable[Hashes]) -> None:
        """Take the keys of all texts, band by band."""
        who: list[NDArray[np.int32]] = []
        where: list[NDArray[np.int32]] = []
        sizes: list[Numbers] = []
        buckets = 0
        for keys in bands:
            order = np.argsort(keys, kind="stable")
            ordered = keys[order]
            same = ordered[1:] == ordered[:-1]
            met = np.zeros(order.size, dtype=bool)
            met[1:] = same
            follows = met.copy()  # the first of a bucket follows nobody
            met[:-1] |= same
            number = np.cumsum(~follows[met]) - 1
            who.append(order[met].astype(np.int32))
            where.append((number + buckets).astype(np.int32))
            sizes.append(np.bincount(number))
            buckets += sizes[-1].size
        entries = np.concatenate(who) if who else np.zeros(0, np.int32)
        order = np.argsort(entries, kind="stable")
        self._where = np.concatenate(where)[order] if where else np.zeros(0, np.int32)
        self._who, self._from = np.unique(entries[order], return_index=True)
        ends = np.cumsum(np.concatenate(sizes)) if sizes else np.zeros(0, np.int64)
        self._start = np.concatenate([np.zeros(1, np.int64), ends])[:-1]
        self._used = np.zeros(buckets, np.int32)
        self._members = np.zeros(self._where.size, np.int32)

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """Return the texts that share a bucket, in order, each with its buckets."""
        for number, who in enumerate(self._who.tolist()):
            until = self._from[number + 1] if number + 1 < self._who.size else None
            yield who, self._where[self._from[number] : until]

    def met(self, buckets: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return who was kept so far in any of these buckets, in order."""
        busy = buckets[self._used[buckets] > 0]
        if not busy.size:
            return busy
        begun = self._start[busy]
        parts = zip(begun.tolist(), (begun + self._used[busy]).tolist(), strict=True)
        return np.unique(np.concatenate([self._members[start:end] for start, end in parts]))

    def keep(self, who: int, buckets: NDArray[np.int32]) -> None:
        """Have later ones of these buckets meet this one."""
        self._members[self._start[buckets] + self._used[buckets]] = who
        self._used[buckets] += 1

"""How far the scores of pairs lie apart."""

import math
from collections.abc import Iterator

import numpy as np

from ...protocols.pairing import Data
from ..measures.exact import Z
from .columns import Columns, Rows
from .exported import DATA, Margins
from .kept import Kept
from .selection import Mask


def margins(data: Data, columns: Columns, kept: Kept) -> Margins:
    """Return quantiles and mean of the margins of pairs, single labels aside; it holds 8 bytes a pair for a moment."""
    found = np.empty(len(columns))
    count, scales = 0, set[int]()
    for rows, scored in _scored(data, columns, kept):
        values = rows.margin[scored]
        found[count : count + len(values)] = values
        count += len(values)
        scales.update(np.unique(rows.scale[scored]).tolist())
    found = found[:count]
    if not count:
        return Margins(
            data=data,
            n=0,
            scale=None,
            min=None,
            lower_quartile=None,
            median=None,
            upper_quartile=None,
            max=None,
            mean=None,
            mean_ci=None,
        )
    mean = float(found.mean())
    quantiles = np.quantile(found, (0, 0.25, 0.5, 0.75, 1), overwrite_input=True)
    del found
    least, lower, median, upper, most = (float(value) for value in quantiles)
    return Margins(
        data=data,
        n=count,
        scale=scales.pop() or None if len(scales) == 1 else None,
        min=least,
        lower_quartile=lower,
        median=median,
        upper_quartile=upper,
        max=most,
        mean=mean,
        mean_ci=_interval(data, columns, kept, count, mean),
    )


def _scored(data: Data, columns: Columns, kept: Kept) -> Iterator[tuple[Rows, Mask]]:
    """Return all pairs, and which of them have a margin."""
    of_it = DATA.index(data)
    for rows in columns.blocks():
        paired = np.equal(rows.data, of_it) & (rows.chosen != 0) & (rows.rejected != 0)
        yield rows, kept.of(rows) & paired & ~np.isnan(rows.margin)


def _interval(data: Data, columns: Columns, kept: Kept, count: int, mean: float) -> tuple[float, float] | None:
    """Return the 95 % interval of a mean whose values come in clusters, which are the items."""
    sums, seen = np.zeros(columns.items), np.zeros(columns.items, np.bool_)
    for rows, scored in _scored(data, columns, kept):
        item = rows.item[scored]
        np.add.at(sums, item, rows.margin[scored] - mean)
        seen[item] = True
    number = int(seen.sum())
    if number < 2:  # one tells nothing of how they differ
        return None
    error = math.sqrt(float(np.square(sums, out=sums).sum()) * number / (number - 1)) / count
    return mean - Z * error, mean + Z * error

"""How far the scores of pairs lie apart."""

import math

import numpy as np
from numpy.typing import NDArray

from ...protocols.pairing import Data
from ..measures.exact import Z
from .exported import Margins
from .selection import Mask
from .spool import Columns


def margins(data: Data, columns: Columns, kept: Mask) -> Margins:
    """Return quantiles and mean of the margins of pairs, single labels aside."""
    scored = kept & (columns.chosen != 0) & (columns.rejected != 0) & ~np.isnan(columns.margin)
    found = columns.margin[scored]
    if not len(found):
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
    least, lower, median, upper, most = (float(value) for value in np.quantile(found, (0, 0.25, 0.5, 0.75, 1)))
    scales = np.unique(columns.scale[scored])
    mean = float(found.mean())
    return Margins(
        data=data,
        n=len(found),
        scale=int(scales[0]) if len(scales) == 1 and scales[0] else None,
        min=least,
        lower_quartile=lower,
        median=median,
        upper_quartile=upper,
        max=most,
        mean=mean,
        mean_ci=_interval(columns.item[scored], found - mean, mean),
    )


def _interval(item: NDArray[np.int64], residual: NDArray[np.float64], mean: float) -> tuple[float, float] | None:
    """Return the 95 % interval of a mean whose values come in clusters."""
    clusters = np.unique(item, return_inverse=True)[1]
    number = int(clusters.max()) + 1
    if number < 2:  # one tells nothing of how they differ
        return None
    sums = np.bincount(clusters, weights=residual)
    error = math.sqrt(float((sums**2).sum()) * number / (number - 1)) / len(residual)
    return mean - Z * error, mean + Z * error

"""The mean of something over items, each of them resampled with all that belongs to it."""

import numpy as np
from numpy.typing import NDArray

from .confusion import RESAMPLES, Floats, Interval, percentiles, resampled_clusters
from .estimate import Estimate
from .exact import wilson

SAME = 1e-12
MEAN = (
    f"percentile bootstrap, {RESAMPLES:,} resamples of items with all that belongs to them; where all resamples are "
    "alike, Wilson bounds of that mean as if it were a share of the items"
)


def clustered(values: Floats, item: NDArray[np.integer], span: Interval | None = (0.0, 1.0)) -> Estimate | None:
    """Return the mean of values and its interval, items being clusters; None of nothing.

    Args:
        values: Any number an item.
        item: The item of each value.
        span: The least and the greatest value there can be. Where all resamples are alike the interval is Wilson's of
            the mean, on that scale, as if it were a share: nothing between two bounds varies more (Bhatia and Davis
            2000), so that it is rather too wide. None: there are no bounds, and no interval then.
    """
    n = len(values)
    if n == 0:
        return None
    value = float(values.mean())
    sums = resampled_clusters(np.column_stack([values, np.ones(n)]), item)
    bounds = percentiles(sums[:, 0] / sums[:, 1])
    if bounds is None or bounds[1] - bounds[0] <= SAME * max(1.0, abs(value)):
        bounds = _widest(value, len(np.unique(item)), span)
    return Estimate(value=value, ci=bounds, n=n)


def _widest(value: float, items: int, span: Interval | None) -> Interval | None:
    if span is None or span[1] <= span[0]:
        return None
    low, width = span[0], span[1] - span[0]
    share = min(1.0, max(0.0, (value - low) / width))
    found = wilson(share * items, items)
    return None if found is None else (low + width * max(0.0, found[0]), low + width * min(1.0, found[1]))

"""The garbage collector, while much is made that it would find nothing in."""

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def collector_at_rest(every: int) -> Generator[None, None, None]:
    """Let the garbage collector pass over all that is alive now, and look seldom at what is made until the block ends.

    Within a block of the same measure it changes nothing: that one sees to it.

    Args:
        every: Objects made, less those gone, after which it looks.
    """
    thresholds = gc.get_threshold()
    if thresholds[0] == every:
        yield
        return
    gc.freeze()
    gc.set_threshold(every, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()

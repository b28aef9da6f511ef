"""Waiting for a log to grow: the one place in which a reader sleeps."""

import time
from collections.abc import Iterator

from .lock import being_written
from .reader import LogReader

EVERY_S = 0.25
"""Between two looks at a log that has not grown."""


def growth(log: LogReader) -> Iterator[int]:
    """Return the sequence of the newest event whenever the log has grown, until nobody writes it any more.

    It begins with what is there. All that its last writer has written is seen before it ends.
    """
    seen = 0
    while True:
        going = being_written(log.path)  # asked first: what is written before it is no more is read below
        last = log.last()
        if last > seen:
            seen = last
            yield last
        if not going:
            return
        time.sleep(EVERY_S)

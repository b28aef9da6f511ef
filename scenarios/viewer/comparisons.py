"""Comparisons of two runs: made one at a time, kept, and made anew when the runs have gone on."""

from collections import OrderedDict
from dataclasses import dataclass

import anyio
from aiohttp import web

from ...protocols.errors import FellowshipError
from ...runtime.tracing import logger
from ..comparison import Survey
from .runs import Viewed
from .surveying import surveyed

KEPT = 8
"""Comparisons that are kept: those that were looked at last."""
AT_ONCE_S = 1.0
"""How long a page waits for a comparison that is being made before it says so."""
STALE_S = 10.0
"""How old the comparison of a run that goes on may become, at the least, before it is made anew."""
PATIENCE = 10
"""How many times the seconds that it took to make it may become old, too: most of the time nothing is compared."""


@dataclass(frozen=True, slots=True)
class Made:
    """A comparison that was made, or why it could not be."""

    survey: Survey | None
    trouble: str
    """Empty where there is none."""
    at_s: float
    """When, by the loop's clock."""
    took_s: float

    def stale(self, now_s: float) -> bool:
        """Whether it is time for another one, where the runs have gone on."""
        return now_s - self.at_s > max(STALE_S, PATIENCE * self.took_s)


Two = tuple[str, str]


class Comparisons:
    """The comparisons of runs that are open, by their names."""

    def __init__(self) -> None:
        self._made: OrderedDict[Two, Made] = OrderedDict()
        self._wanted: dict[Two, tuple[Viewed, Viewed]] = {}  # no more than there are pairs of open runs
        self._asked = anyio.Event()
        self._ended = anyio.Event()

    async def of(self, one: Viewed, other: Viewed) -> Made | None:
        """Return the comparison of two runs; None while it is being made, for longer than a page should wait."""
        two = one.name, other.name
        made = self._made.get(two)
        if made is not None:
            self._made.move_to_end(two)
            if made.stale(anyio.current_time()) and await _gone_on(made, one, other):
                self._want(one, other)
            return made
        self._want(one, other)
        with anyio.move_on_after(AT_ONCE_S):
            while two not in self._made:
                await self._ended.wait()
        return self._made.get(two)

    async def work(self) -> None:
        """Make what is wanted, one after another, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked = anyio.Event()
            while self._wanted:
                two = next(iter(self._wanted))
                self._made[two] = await self._make(*self._wanted[two])
                self._made.move_to_end(two)
                if len(self._made) > KEPT:
                    self._made.popitem(last=False)
                del self._wanted[two]
                self._ended.set()
                self._ended = anyio.Event()

    def _want(self, one: Viewed, other: Viewed) -> None:
        self._wanted.setdefault((one.name, other.name), (one, other))
        self._asked.set()

    async def _make(self, one: Viewed, other: Viewed) -> Made:
        began_s = anyio.current_time()
        survey, trouble = None, ""
        try:
            survey = await surveyed(one.index.log.path, other.index.log.path, (one.name, other.name))
        except FellowshipError as error:
            trouble = str(error)
        except Exception:  # noqa: BLE001 - whatever it is, the next two can be compared
            logger().exception("comparison_failed", first=one.name, second=other.name)
            trouble = "the runs could not be compared: the terminal says why"
        now_s = anyio.current_time()
        return Made(survey, trouble, now_s, now_s - began_s)


async def _gone_on(made: Made, one: Viewed, other: Viewed) -> bool:
    """Whether there is more in the logs than was compared."""
    if made.survey is None:
        return True
    last = [await run.ask(lambda index: index.log.last()) for run in (one, other)]
    return tuple(last) != made.survey.last


COMPARISONS = web.AppKey("COMPARISONS", Comparisons)

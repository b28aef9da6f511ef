"""What the overview says of a run, put together from its index, its notes and its log's end."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..directory import ABOUT, RECORD
from ..live import Live
from ..measures.exact import wilson
from ..outcomes import State, state_of
from ..sharing.members import Cast, casts
from ..traces.index import Index
from ..traces.listing import Overview, Wanted

RECENT = 10
"""Minutes over which the present rate is taken."""
SHOWN = 60
"""Minutes that are drawn."""
MINUTE_S = 60.0
VERDICTS = ("a", "b", "tie", "unread")
Spent = Mapping[str, tuple[int, int, float]]


@dataclass(frozen=True, slots=True)
class Share:
    """How many items came to something, of all that came to anything of the sort."""

    name: str
    count: int
    share: float
    interval: tuple[float, float]
    """95 %, Wilson's score interval."""


@dataclass(frozen=True, slots=True)
class Glance:
    """A run at a glance."""

    scenario: str
    about: str
    run_id: str
    path: str
    data: str | None
    seed: int | None
    casts: dict[str | None, Cast]
    """Who takes part: by variant of a sweep, or under None."""
    state: State
    why: str | None
    """What stopped it."""
    live: Live | None
    overview: Overview
    answers: tuple[int, int]
    """Right and wrong ones, of questions with a known answer."""
    taken_in: int
    last: int
    """Sequence of the last event of the log; the index may not have taken in all of them yet."""

    @property
    def ended(self) -> int:
        """Items that have an outcome."""
        return self.overview.done + self.overview.failed

    @property
    def verdicts(self) -> tuple[Share, ...]:
        """Verdicts of items that are done."""
        return _shares({name: self.overview.verdicts.get(name, 0) for name in VERDICTS})

    @property
    def rightness(self) -> tuple[Share, ...]:
        """Answers to questions whose right one is known."""
        return _shares(dict(zip(("right", "wrong"), self.answers, strict=True)))

    @property
    def took_s(self) -> float | None:
        """Seconds from the first event to the last."""
        began, last = self.overview.began_s, self.overview.last_s
        return None if began is None or last is None else last - began

    @property
    def minutes(self) -> tuple[int, ...]:
        """Items that got an outcome in each of the last minutes, up to the last in which one did."""
        found = self._ended
        if not found:
            return ()
        last = max(found)
        return tuple(found.get(minute, 0) for minute in range(max(min(found), last - SHOWN + 1), last + 1))

    @property
    def per_minute(self) -> float | None:
        """Items a minute over the last minutes in which one got an outcome; none while it is too early to say."""
        found, began, last = self._ended, self.overview.began_s, self.overview.last_s
        if not found or began is None or last is None:
            return None
        first = max(found) - RECENT + 1
        seconds = last - max(began, first * MINUTE_S)
        ended = sum(count for minute, count in found.items() if minute >= first)
        return ended * MINUTE_S / seconds if seconds > 1 else None

    @property
    def _ended(self) -> dict[int, int]:
        """Items that got an outcome, by minutes since the epoch."""
        return {round(start / MINUTE_S): count for start, count in self.overview.ended_per_minute}

    @property
    def calls_per_minute(self) -> float | None:
        """Calls a minute, over all of the run."""
        return self.overview.calls * MINUTE_S / self.took_s if self.took_s and self.took_s > 1 else None

    @property
    def left_s(self) -> float | None:
        """Seconds until all items have an outcome, at that rate; none where the run does not go on."""
        rate = self.per_minute
        missing = self.overview.items - self.ended
        return missing * MINUTE_S / rate if rate and missing > 0 and self.state == "running" else None


def _shares(counts: Mapping[str, int]) -> tuple[Share, ...]:
    n = sum(counts.values())
    return tuple(Share(name, count, count / n, wilson(count, n) or (0, 1)) for name, count in counts.items() if count)


def glance(index: Index) -> Glance:
    """Return a run at a glance."""
    log = index.log
    record: dict[str, Any] = json.loads(log.meta("played") or "{}")
    said: dict[str, str] = json.loads(log.meta(ABOUT) or "{}")
    state, cause = state_of(log)
    noted = log.meta("live") if state == "running" else None
    return Glance(
        scenario=log.meta("name") or "",
        about=record.get("scenario", {}).get("about") or "",
        run_id=log.run_id(),
        path=str(index.run),
        data=said.get("data"),
        seed=record.get("seed"),
        casts=casts(log),
        state=state,
        why=f"{cause.error}: {cause.reason}" if cause else None,
        live=Live.model_validate_json(noted) if noted is not None else None,
        overview=index.overview(),
        answers=(_right(index, correct=True), _right(index, correct=False)),
        taken_in=index.taken_in,
        last=log.last(),
    )


def state(index: Index) -> tuple[State, Overview]:
    """Return how a run stands, in short."""
    return state_of(index.log)[0], index.overview()


def record(index: Index) -> str | None:
    """Return the record of what was played, as it lies in the run's directory; none where it cannot be read."""
    try:
        return (index.run / RECORD).read_text("utf-8", errors="replace")
    except OSError:
        return None


def spent_by(seen: Glance) -> tuple[tuple[str, Spent], ...]:
    """Return what was spent, by each thing that it is told by; by rounds where there are several."""
    overview = seen.overview
    parts = (("model", overview.models), ("agent", overview.agents), ("round", overview.rounds))
    return tuple((name, spent) for name, spent in parts if len(spent) > 1 or name != "round")


def _right(index: Index, *, correct: bool) -> int:
    return index.page(Wanted(states=("done",), correct=correct), limit=0).total

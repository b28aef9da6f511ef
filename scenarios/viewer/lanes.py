"""A conversation laid out: a lane a participant, time downwards, an arrow from each who speaks to each who hears it.

All of it is counted in lanes, so that nothing need be measured: a page places a lane's middle by a share of its width.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import Literal

from ...protocols.generation import DraftWritten
from ...protocols.jury import VoteCast
from ...protocols.lifecycle import AgentFailed, AgentRecused, LetterUndelivered
from ...protocols.messages import Message
from ..placed import Placed
from ..sharing.members import Cast, Member, member
from ..traces.talk import IN_A_REPEAT, Awaited, Talk, Turn

MOST_LANES = 32
"""Who comes after them shares the last one."""
COLOURS = 10
"""Of agents; then they begin again."""
HEATS = 10
"""Steps of heat, from 0."""
LEVEL, EDGE = 9, 11
"""Height of an arrow's level in pixels, and of the room above the first and below the last one."""
Key = tuple[str, int | None]
"""The step of the flow that a repeat is, and a round of it."""
NO_ROUND: Key = ("", None)
Trouble = (AgentFailed, AgentRecused, LetterUndelivered)
"""What befalls an agent, and stands in its lane."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A column."""

    place: int
    """From 0."""
    members: tuple[Member, ...]
    """One; of the last lane of a very large conversation, all who have none of their own."""

    @property
    def name(self) -> str:
        """What stands above it."""
        return self.members[0].name if len(self.members) == 1 else f"{len(self.members)} others"


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one who speaks to one who hears it."""

    speaker: int
    hearer: int
    """Their lanes. Where both are one, the speaker is told its own words, or both have the last lane."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a lane at one time: something said, something that befell an agent, or somebody awaited."""

    lane: int
    agent: str
    turn: Turn | None
    awaited: Awaited | None = None
    heats: tuple[tuple[str, int], ...] = ()
    """By what it took, from 0 to 9: the share of the most that a message of the conversation took."""
    before: str | None = None
    """Of a change of mind: what the same agent's vote, or answer, was before."""
    arrows: tuple[Arrow, ...] = ()
    level: int = 0
    """Height of its arrows in the strip under the row, in pixels from the top."""

    @property
    def sort(self) -> Literal["said", "trouble", "awaited"]:
        """Which of the three."""
        return "awaited" if self.turn is None else "said" if self.turn.said else "trouble"


@dataclass(slots=True)
class Row:
    """What happened at one time: one message, or several of agents none of whom was asked after another had spoken."""

    cells: list[Cell] = field(default_factory=list[Cell])
    line: Turn | None = None
    """What the conductor did, in place of cells: it stands across all lanes."""
    stage: "Stage | None" = None
    """Where another step of the flow begins here: which."""
    height: int = 0
    """Of the strip with arrows, in pixels; 0 where there are none."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the flow."""

    place: str
    """As in `1.0`; empty where nobody knows."""
    words: tuple[str, ...] = ()
    """What is to be said of it: `in turn`, `blind`, `secret`."""


@dataclass(frozen=True, slots=True)
class Band:
    """Rows of one round, or rows of none."""

    round: int | None
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A conversation laid out."""

    lanes: tuple[Lane, ...]
    bands: tuple[Band, ...]

    @property
    def rows(self) -> Iterator[Row]:
        """All rows, from the first."""
        return (row for band in self.bands for row in band.rows)


def laid_out(talk: Talk, cast: Cast | None = None, steps: Iterable[Placed] = ()) -> Sheet:
    """Lay a conversation out.

    Args:
        talk: The conversation.
        cast: Who takes part, for their order, roles and models.
        steps: The steps of its scenario at which somebody is asked.
    """
    lanes = _lanes(talk, cast or {})
    places = {each.name: lane.place for lane in lanes for each in lane.members}
    return Sheet(lanes, tuple(_Layout(talk, places, {each.place: each for each in steps}).bands()))


def opinion(message: Message) -> str | None:
    """Return what a vote is for, or what an answer to a question is; None of anything else."""
    match message:
        case VoteCast():
            return message.verdict
        case DraftWritten(answer=str(answer)):
            return answer
        case DraftWritten(unread=True):
            return "unread"
        case _:
            return None


def spots(cells: Sequence[Cell], count: int) -> Iterator[tuple[Cell, list[tuple[Arrow, float, float]]]]:
    """Return the cells of a row that have arrows, each with where these begin and end, in percent of the width."""
    for cell in cells:
        if cell.arrows:
            yield cell, [(arrow, middle(arrow.speaker, count), middle(arrow.hearer, count)) for arrow in cell.arrows]


def middle(lane: int, count: int) -> float:
    """Return where the middle of a lane is, in percent of the width of all."""
    return round(100 * (lane + 0.5) / count, 3)


def _lanes(talk: Talk, cast: Cast) -> tuple[Lane, ...]:
    present = talk.agents
    ordered = [*(name for name in cast if name in present), *(name for name in present if name not in cast)]
    known = [member(cast, name) for name in ordered]
    named = [Member(name, each.role, each.model, each.settings) for name, each in zip(ordered, known, strict=True)]
    alone = named if len(named) <= MOST_LANES else named[: MOST_LANES - 1]
    lanes = [Lane(place, (each,)) for place, each in enumerate(alone)]
    if len(named) > len(alone):
        lanes.append(Lane(len(alone), tuple(named[len(alone) :])))
    return tuple(lanes)


class _Layout:
    def __init__(self, talk: Talk, places: Mapping[str, int], steps: Mapping[str, Placed]) -> None:
        self._talk, self._places, self._steps = talk, places, steps
        self._most = _most(talk.turns)
        self._opinions: dict[str, str] = {}
        self._shown = ""
        """Place of the step that was begun last."""

    def bands(self) -> Iterator[Band]:
        """Return the bands; what the conductor does between two turns of a round is in it, too."""
        rows = list(self._rows())
        keys = [_key(row) for row in rows]
        after: Key | None = None
        following: list[Key | None] = []
        for key in reversed(keys):
            after = key or after
            following.append(after)
        before = NO_ROUND
        resolved: list[Key] = []
        for key, then in zip(keys, reversed(following), strict=True):
            before = key or (before if before == then else NO_ROUND)
            resolved.append(before)
        for (_, number), found in groupby(zip(resolved, rows, strict=True), key=itemgetter(0)):
            yield Band(number, tuple(row for _, row in found))

    def _rows(self) -> Iterator[Row]:
        row = Row()
        for turn in self._talk.turns:
            if not turn.said and (not isinstance(turn.message, Trouble) or _whose(turn) not in self._places):
                yield from _closed(row)
                row = Row()
                yield Row(line=turn)
                continue
            cell = self._cell(turn)
            if not _fits(row, cell):
                yield from _closed(row)
                row = Row()
            row.stage = row.stage or self._stage(turn.step)
            row.cells.append(cell)
        yield from _closed(row)
        row = Row()
        for awaited in self._talk.awaited:
            cell = Cell(self._places[awaited.agent], awaited.agent, None, awaited)
            if any(each.lane == cell.lane for each in row.cells):
                yield row
                row = Row()
            row.stage = row.stage or self._stage(awaited.command.step)
            row.cells.append(cell)
        yield from _closed(row)

    def _cell(self, turn: Turn) -> Cell:
        agent = _whose(turn)
        lane = self._places[agent]
        if not turn.said:
            return Cell(lane, agent, turn)
        now, before = opinion(turn.message), None
        if now is not None:
            before = self._opinions.get(agent)
            self._opinions[agent] = now
        hearers = dict.fromkeys(self._places[name] for name in turn.heard_by)
        arrows = tuple(Arrow(lane, hearer) for hearer in hearers)
        return Cell(lane, agent, turn, None, self._heats(turn), before if before != now else None, arrows)

    def _heats(self, turn: Turn) -> tuple[tuple[str, int], ...]:
        return tuple(
            (what, min(HEATS - 1, int(HEATS * took / self._most[what])))
            for what, took in _took(turn)
            if self._most.get(what)
        )

    def _stage(self, place: str) -> Stage | None:
        """Return the step at a place, where it was another one until now."""
        if not place or place == self._shown:
            return None
        self._shown = place
        step = self._steps.get(place)
        return Stage(place, _words(step) if step else ())


def _key(row: Row) -> Key | None:
    """Return the round that a row is of; None of what tells nothing of it."""
    if not row.cells:
        return None
    turn, awaited = row.cells[0].turn, row.cells[0].awaited
    if awaited is not None:
        place = awaited.command.step
        return (place.partition(".")[0], awaited.command.round) if IN_A_REPEAT.search(place) else NO_ROUND
    if turn is None or not turn.step:
        return None
    return (turn.step.partition(".")[0], turn.round) if turn.round is not None else NO_ROUND


def _fits(row: Row, cell: Cell) -> bool:
    """Whether something stands beside what a row has: its lane is free, and it was asked for before that was said."""
    if not row.cells:
        return True
    first = row.cells[0].turn
    if first is None or cell.turn is None or any(each.lane == cell.lane for each in row.cells):
        return False
    if first.command is None or cell.turn.command is None:
        return first.command is None and cell.turn.command is None
    return first.step == cell.turn.step and cell.turn.command < first.sequence


def _closed(row: Row) -> Iterator[Row]:
    """Return a row, where there is anything in it, with its arrows on levels of their own."""
    level = EDGE
    for number, cell in enumerate(row.cells):
        if cell.arrows:
            row.cells[number] = replace(cell, level=level)
            level += LEVEL
    row.height = level - LEVEL + EDGE if level > EDGE else 0
    if row.cells:
        yield row


def _whose(turn: Turn) -> str:
    match turn.message:
        case AgentRecused(agent=agent) | LetterUndelivered(to=agent):
            return agent
        case _:
            return turn.speaker


def _took(turn: Turn) -> Iterator[tuple[str, float]]:
    effort = turn.effort
    if effort.cost_usd is not None:
        yield "cost", effort.cost_usd
    yield "tokens", effort.usage.input_tokens + effort.usage.output_tokens
    yield "seconds", effort.seconds


def _most(turns: Iterable[Turn]) -> dict[str, float]:
    most: dict[str, float] = {}
    for turn in turns:
        for what, took in _took(turn) if turn.said else ():
            most[what] = max(took, most.get(what, 0.0))
    return most


def _words(step: Placed) -> tuple[str, ...]:
    """Return what readers are to know of a step: who heard whom depends on it."""
    said = step.said
    order = str(said.get("order", "together")).replace("-", " ")
    several = not isinstance(said["ask"], str) and len(said["ask"]) > 1
    return (
        *(f"of {name}" for name in step.used),
        *([f"for {said['for']}"] if "for" in said else []),
        *([order] if several or "order" in said else []),
        *([name for name in ("blind", "anonymous", "secret") if said.get(name)]),
    )

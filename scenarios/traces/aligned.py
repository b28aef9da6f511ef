"""Two conversations side by side: what was said at the same place of the flow stands in the same row.

The place of a message is its step, its round, who said it and what sort it is; of several at one place, the first
stands beside the first. Who was asked together speaks in an order that is left to chance: here, in that of the asking.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from ...protocols.lifecycle import AgentFailed, ItemFailed, ItemResumed, LetterUndelivered, OutcomeSetAside
from ..remarks import remark
from .talk import Talk, Turn
from .transcript import did, words

WORDS = re.compile(r"\s*\S+|\s+\Z")
"""What is compared: a word with the space before it."""
MOST_WORDS = 3_000
"""Of a text from where it differs first to where it differs last; of longer ones, that whole part is called changed."""

FEWEST_WORDS = 3
"""That two texts share between two changes for it to be told: a word in common by chance is no help to a reader."""

Asking = tuple[str, int | None, str]
"""Step, round and speaker."""
Place = tuple[Asking, str, int]
"""Asking, kind, and the how manieth of these."""
ENDED = "item_finished"
Kept = Literal["same", "gone", "new"]


@dataclass(frozen=True, slots=True)
class Row:
    """What two conversations have at one place."""

    first: Turn | None
    """None where the first conversation has nothing there."""
    second: Turn | None

    @property
    def same(self) -> bool:
        """Whether both say the same there, by all that shows of it."""
        return self.first is not None and self.second is not None and shown(self.first) == shown(self.second)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of two texts."""

    kept: Kept
    """`same`: of both; `gone`: of the first alone; `new`: of the second alone."""
    text: str


def aligned(one: Talk, other: Talk) -> tuple[Row, ...]:
    """Return the rows of two conversations, in the order of the first; what only the second has, where it has it."""
    left, right = _placed(one, _kinds(other)), _placed(other, _kinds(one))
    rows: dict[Place, Row] = {place: Row(turn, right.get(place)) for place, turn in left.items()}
    after: dict[Place | None, list[Place]] = {}
    before: Place | None = None
    for place in right:
        if place in left:
            before = place
        else:
            after.setdefault(before, []).append(place)
    alone = {place: [Row(None, right[each]) for each in places] for place, places in after.items()}
    found = alone.pop(None, [])
    for place, row in rows.items():
        found += [row, *alone.pop(place, [])]
    return tuple(found)


def shown(turn: Turn) -> tuple[str, str]:
    """Return what is shown of a message: what was done, and the words."""
    message = turn.message
    return (did(message) if turn.said else remark(turn.speaker, message)), words(message)


def worded(first: str, second: str) -> tuple[Part, ...]:
    """Return two texts as parts that they share and parts that they do not, word by word."""
    if first == second:
        return (Part("same", first),) if first else ()
    left: list[str] = WORDS.findall(first)
    right: list[str] = WORDS.findall(second)
    start = _shared(left, right)
    end = _shared(left[start:][::-1], right[start:][::-1])
    middles = left[start : len(left) - end], right[start : len(right) - end]
    parts = [
        Part("same", "".join(left[:start])),
        *_compared(*middles),
        Part("same", "".join(left[len(left) - end :])),
    ]
    return tuple(part for part in parts if part.text)


def _compared(left: Sequence[str], right: Sequence[str]) -> Iterator[Part]:
    if max(len(left), len(right)) > MOST_WORDS:
        yield Part("gone", "".join(left))
        yield Part("new", "".join(right))
        return
    gone = new = ""
    for tag, i, j, k, m in SequenceMatcher(None, left, right).get_opcodes():
        if tag == "equal" and j - i >= FEWEST_WORDS:
            yield from (Part("gone", gone), Part("new", new), Part("same", "".join(left[i:j])))
            gone = new = ""
        else:
            gone += "".join(left[i:j])
            new += "".join(right[k:m])
    yield from (Part("gone", gone), Part("new", new))


def _shared(left: Sequence[str], right: Sequence[str]) -> int:
    """Return how many words two texts begin with that are the same."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(left), len(right)))


def _placed(talk: Talk, kinds: Mapping[Asking, str]) -> dict[Place, Turn]:
    """Return what was said by its place, in the order in which it was asked for.

    A failure stands in the place of what the other conversation has there, and so does the end of an item that failed.
    """
    met: Counter[tuple[Asking, str]] = Counter()
    found: dict[Place, Turn] = {}
    for turn in sorted(filter(_counts, talk.turns), key=lambda turn: (turn.command or turn.sequence, turn.sequence)):
        asking, kind = (turn.step, turn.round, turn.speaker), turn.message.kind
        if isinstance(turn.message, AgentFailed):
            kind = kinds.get(asking, kind)
        elif isinstance(turn.message, ItemFailed):
            kind = ENDED
        met[asking, kind] += 1
        found[asking, kind, met[asking, kind]] = turn
    return found


def _kinds(talk: Talk) -> dict[Asking, str]:
    """Return what kind of message answers each asking."""
    return {(turn.step, turn.round, turn.speaker): turn.message.kind for turn in talk.turns if turn.said}


def _counts(turn: Turn) -> bool:
    """Whether it is of the talk, as against how it was carried out: tries, letters lost, starts."""
    message = turn.message
    if isinstance(message, AgentFailed):
        return message.then != "retry"
    return not isinstance(message, ItemResumed | LetterUndelivered | OutcomeSetAside)

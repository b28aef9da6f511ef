"""What a conversation has come to so far, as its row in the tables."""

import sqlite3
from collections import Counter
from dataclasses import dataclass
from operator import attrgetter

from .tables import TALK

START = 200
"""Characters of a text that a list shows."""
INTO = (
    f"INSERT INTO talks ({', '.join(TALK)}) VALUES ({', '.join('?' * len(TALK))}) "  # noqa: S608 - constants
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in TALK[1:])}"
)
ENDED = (
    "outcome",
    "state",
    "verdict",
    "score_a",
    "score_b",
    "answer",
    "correct",
    "text",
    "error",
    "failure",
    "ended_s",
)
"""What an outcome says of its conversation."""


@dataclass(slots=True)
class Gathered:
    """A conversation; see TALK and `Listed`."""

    id: int
    conversation: str
    item: str
    number: int = -1
    """-1 where the log has lost its beginning."""
    variant: str = ""
    prompt: str = ""
    current: bool = True
    newest: bool = True
    """Whether no other was begun about the item since."""
    gone: bool = False
    """Whether its item is not in the data any more."""
    outcome: int | None = None
    """Sequence of the newest outcome that counts."""
    state: str = "open"
    verdict: str | None = None
    score_a: float | None = None
    score_b: float | None = None
    margin: float | None = None
    """How far the two scores of the outcome are apart."""
    answer: str | None = None
    correct: bool | None = None
    text: str | None = None
    error: str | None = None
    failure: str | None = None
    ended_s: float | None = None
    decision: str | None = None
    """Verdict of the newest decision."""
    human: str | None = None
    """What most people said of the item's candidates; a split is a tie."""
    messages: int = 0
    rounds: int = 0
    speakers: int = 0
    votes: int = 0
    unread: int = 0
    disagreement: float | None = None
    moved: int = 0
    calls: int = 0
    attempts: int = 0
    tokens: int = 0
    paid: float = 0.0
    """US dollars, as far as they are known."""
    unpriced: int = 0
    """Calls whose cost nobody knows."""
    cost: float | None = 0.0
    began_s: float = 0.0
    last_s: float = 0.0
    seconds: float = 0.0

    def settle(self) -> None:
        """Work out what follows from the rest."""
        self.current = self.newest and not self.gone
        self.cost = None if self.unpriced else self.paid
        self.seconds = max(0.0, (self.last_s if self.ended_s is None else self.ended_s) - self.began_s)
        known = self.score_a is not None and self.score_b is not None
        self.margin = abs((self.score_a or 0.0) - (self.score_b or 0.0)) if known else None


_row = attrgetter(*TALK)


def load(db: sqlite3.Connection, conversation: str) -> Gathered | None:
    """Return a conversation as it was written last; none where it is new."""
    row = db.execute(f"SELECT {', '.join(TALK)} FROM talks WHERE conversation = ?", (conversation,)).fetchone()  # noqa: S608 - constants
    return Gathered(*row) if row else None


def write(db: sqlite3.Connection, gathered: list[Gathered]) -> None:
    """Write conversations."""
    for each in gathered:
        each.settle()
    db.executemany(INTO, map(_row, gathered))


def take_end(db: sqlite3.Connection, talk: Gathered) -> None:
    """Let the newest outcome that counts be the conversation's; where none does, it is open."""
    row = db.execute(
        "SELECT sequence, state, verdict, score_a, score_b, answer, correct, text, error, failure, time_s "
        "FROM outcomes WHERE talk = ? AND NOT aside ORDER BY sequence DESC LIMIT 1",
        (talk.id,),
    ).fetchone()
    for name, value in zip(ENDED, row or (None, "open", *(None,) * 9), strict=True):
        setattr(talk, name, value)


def count_votes(db: sqlite3.Connection, talk: Gathered) -> None:
    """Work out from all votes of a conversation which of them are the last, and how far these agree.

    A voter's votes on the item's candidates follow one another; so do those on the same two drafts.
    """
    found = db.execute(
        "SELECT sequence, voter, first, second, verdict, last, moved FROM votes "
        "WHERE talk = ? AND NOT fallen ORDER BY sequence",
        (talk.id,),
    ).fetchall()
    last: dict[tuple[str, str | None, str | None], tuple[int, str]] = {}
    moved: dict[int, bool] = {}
    for sequence, voter, first, second, verdict, _, _ in found:
        before = last.get((voter, first, second))
        moved[sequence] = before is not None and before[1] != verdict
        last[voter, first, second] = sequence, verdict
    final = {sequence for sequence, _ in last.values()}
    db.executemany(
        "UPDATE votes SET last = ?, moved = ? WHERE sequence = ?",
        [
            (sequence in final, moved[sequence], sequence)
            for sequence, *_, was_last, was_moved in found
            if (sequence in final, moved[sequence]) != (bool(was_last), bool(was_moved))
        ],
    )
    talk.votes, talk.moved = len(final), sum(moved.values())
    talk.unread = sum(verdict == "unread" for _, verdict in last.values())
    read = Counter(verdict for key, (_, verdict) in last.items() if key[1] is None and verdict != "unread")
    several = read.total() > 1
    talk.disagreement = (read.total() - max(read.values())) / read.total() if several else None


def count_unread(db: sqlite3.Connection, item: str) -> int:
    """Work out how many unread votes each outcome of an item has; returns by how much that changes their sum.

    Those of the newest decision since the outcome before, and of all matches of its own conversation since.
    """
    outcomes = db.execute(
        "SELECT sequence, talk, unread FROM outcomes WHERE item = ? AND NOT aside ORDER BY sequence", (item,)
    ).fetchall()
    decisions = db.execute(
        "SELECT sequence, talk, unread, of_match FROM decisions WHERE item = ? ORDER BY sequence", (item,)
    ).fetchall()
    before = change = 0
    for sequence, talk, known in outcomes:
        since = [each for each in decisions if before < each[0] < sequence]
        decided = [unread for _, _, unread, of_match in since if not of_match]
        found = decided[-1] if decided else 0
        found += sum(unread for _, of, unread, of_match in since if of_match and of == talk)
        if found != known:
            change += found - known
            db.execute("UPDATE outcomes SET unread = ? WHERE sequence = ?", (found, sequence))
        before = sequence
    return change

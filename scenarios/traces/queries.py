"""What is asked of the tables: the run as a whole, pages of conversations, and what stands beside one."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, cast

import orjson

from ...protocols.errors import UnknownName
from ...protocols.identity import ConversationId
from ...runtime.log.schema import NO_END
from .judged import Scored
from .listing import SORTS, Cast, Listed, Overview, Page, Vote, Wanted
from .searching import read
from .tables import KEYS, NULLABLE, order_of

LISTED = (
    "conversation", "number", "item", "variant", "state", "verdict", "score_a", "score_b", "answer", "correct", "text",
    "error", "prompt", "messages", "rounds", "speakers", "votes", "unread", "disagreement", "moved", "calls",
    "attempts", "tokens", "cost", "began_s", "seconds",
)  # fmt: skip
FIELDS = tuple("cost_usd" if name == "cost" else name for name in LISTED)
CORRECT = LISTED.index("correct")
ONE: dict[str, str] = {
    "failure": "failure = ?",
    "correct": "correct = ?",
    "variant": "variant = ?",
    "disagreement": "disagreement >= ?",
    "cost": "cost >= ?",
    "model": "id IN (SELECT talk FROM called WHERE model = ?)",
    "agent": "id IN (SELECT talk FROM spoke WHERE agent = ?)",
    "item": "instr(item, ?) > 0",
}
"""Conditions of one value each."""
CHANGES = """(SELECT sum(moved) FROM votes AS own WHERE own.talk = votes.talk AND own.voter = votes.voter
    AND own.first IS votes.first AND own.second IS votes.second AND NOT own.fallen)"""
VOTED = (
    "sequence", "conversation", "number", "item", "variant", "state", "voter", "first", "second", "votes.verdict",
    "votes.score_a", "votes.score_b", "scale", "confidence", "ballots",
    CHANGES,
    "decision", "human",
)  # fmt: skip
DOWN = " DESC"
MINUTE_S = 60
MINUTES = 120
ERRORS = 20
Condition = tuple[str, list[object]]
Spent = dict[str, tuple[int, int, float]]


def condition_of(wanted: Wanted) -> Condition:
    """Return the condition on `talks` that conversations are wanted by."""
    parts = list(_conditions(wanted))
    return " AND ".join(part for part, _ in parts) or "1", [value for _, values in parts for value in values]


def _conditions(wanted: Wanted) -> Iterator[tuple[str, Sequence[object]]]:
    """Return the parts of the condition, each with its values."""
    if not wanted.all_conversations:
        yield "current", ()
    for column, names in (
        ("state", wanted.states),
        ("verdict", wanted.verdicts),
        ("conversation", wanted.conversations),
    ):
        if names:
            yield f"{column} IN ({', '.join('?' * len(names))})", names
    for name, query in ONE.items():
        value = getattr(wanted, name)
        if value is not None:
            yield query, (value,)
    search = read(wanted.text or "")
    if search.asked:
        where, values = search.where("sequence") or ("0", [])
        yield f"id IN (SELECT talk FROM messages WHERE {where})", values  # noqa: S608 - own words


def key_of(wanted: Wanted) -> str:
    """Return the column to sort by; raises UnknownName."""
    if wanted.sort not in KEYS:
        raise UnknownName("way to sort", wanted.sort, SORTS)
    return KEYS[wanted.sort]


def page(db: sqlite3.Connection, wanted: Wanted, offset: int, limit: int) -> Page:
    """Return some of the conversations that are wanted.

    In the order of the key, then of the item's number, then in which they were begun; all three turned round where it
    is descending. Those without a key come last in either direction.
    """
    key, (where, values) = key_of(wanted), condition_of(wanted)
    offset, limit = (min(max(0, number), NO_END) for number in (offset, limit))
    total = _count(db, where, values)
    found: list[int] = []
    if key not in NULLABLE:
        found += _ids(db, wanted, key, where, values, offset, limit)
    else:
        known = f"{where} AND {key} IS NOT NULL"
        found += _ids(db, wanted, key, known, values, offset, limit)
        if len(found) < limit:
            before = offset + len(found) if found else _count(db, known, values)
            without = f"{where} AND {key} IS NULL"
            found += _ids(db, wanted, key, without, values, max(0, offset - before), limit - len(found))
    return Page(total, offset, tuple(_listed(db, found)))


def _count(db: sqlite3.Connection, where: str, values: list[object]) -> int:
    return int(db.execute(f"SELECT count(*) FROM talks WHERE {where}", values).fetchone()[0])  # noqa: S608 - own words


def _ids(
    db: sqlite3.Connection, wanted: Wanted, key: str, where: str, values: list[object], offset: int, limit: int
) -> list[int]:
    query = f"SELECT id FROM talks WHERE {where} ORDER BY {order_of(key, DOWN * wanted.descending)} LIMIT ? OFFSET ?"  # noqa: S608 - own words
    return [int(row[0]) for row in db.execute(query, (*values, limit, offset))]


def _listed(db: sqlite3.Connection, ids: list[int]) -> Iterator[Listed]:
    query = f"SELECT {', '.join(LISTED)} FROM talks WHERE id = ?"  # noqa: S608 - constants
    for number in ids:
        row = list(db.execute(query, (number,)).fetchone())
        row[CORRECT] = None if row[CORRECT] is None else bool(row[CORRECT])
        yield Listed(**dict(zip(FIELDS, row, strict=True)))


def neighbours(
    db: sqlite3.Connection, conversation: ConversationId, wanted: Wanted
) -> tuple[ConversationId | None, ConversationId | None]:
    """Return the conversations before and after one, in the order wanted; none of one that is not known."""
    key, (where, values) = key_of(wanted), condition_of(wanted)
    row = db.execute(f"SELECT {key}, number, id FROM talks WHERE conversation = ?", (conversation,)).fetchone()  # noqa: S608 - constants
    if row is None:
        return None, None
    known, without = f"{where} AND {key} IS NOT NULL", f"{where} AND {key} IS NULL"
    beside: list[ConversationId | None] = []
    for back in (True, False):
        down = wanted.descending != back
        sign = "<" if down else ">"
        if row[0] is None:
            rest = f"{without} AND (number, id) {sign} (?, ?)"
            found = _first(db, key, rest, [*values, *row[1:]], down=down)
            if found is None and back:
                found = _first(db, key, known, values, down=down)
        else:
            rest = f"{known} AND ({key}, number, id) {sign} (?, ?, ?)"
            found = _first(db, key, rest, [*values, *row], down=down)
            if found is None and not back:
                found = _first(db, key, without, values, down=down)
        beside.append(found)
    return beside[0], beside[1]


def _first(db: sqlite3.Connection, key: str, where: str, values: list[object], *, down: bool) -> ConversationId | None:
    query = f"SELECT conversation FROM talks WHERE {where} ORDER BY {order_of(key, DOWN * down)} LIMIT 1"  # noqa: S608 - own words
    row = db.execute(query, values).fetchone()
    return ConversationId(row[0]) if row else None


def overview(db: sqlite3.Connection) -> Overview:
    """Return the run as a whole."""
    facts = dict(db.execute("SELECT name, value FROM facts").fetchall())
    last = db.execute("SELECT time_s FROM mark").fetchone()
    ends = {name: _tallies(db, name) for name in ("verdict", "failure", "unread")}
    done, failed = sum(ends["verdict"].values()), sum(ends["failure"].values())
    sums: list[Any] = db.execute(
        "SELECT total(calls), total(failed), total(attempts), total(cached), total(input), total(output), total(cost), "
        "total(unpriced) FROM calls"
    ).fetchone()
    calls, calls_failed, attempts, cached, input_, output, cost, unpriced = sums
    errors = "SELECT key, count FROM tallies WHERE name = 'attempt' ORDER BY count DESC, key LIMIT ?"
    minutes = "SELECT key, count FROM tallies WHERE name = 'minute' ORDER BY key DESC LIMIT ?"
    return Overview(
        items=max(int(facts.get("items", 0)), done + failed),
        done=done,
        failed=failed,
        open=_count(db, "current AND state = 'open'", []),
        verdicts={verdict: count for verdict, count in ends["verdict"].items() if verdict},
        failures=ends["failure"],
        unread_votes=sum(ends["unread"].values()),
        messages=_messages(db),
        calls=int(calls),
        calls_failed=int(calls_failed),
        attempts=int(attempts),
        cached=int(cached),
        input_tokens=int(input_),
        output_tokens=int(output),
        cost_usd=float(cost),
        unpriced=int(unpriced),
        dead_letters=int(db.execute("SELECT total(lost) FROM letters").fetchone()[0]),
        models=_spent(db, "model"),
        agents=_spent(db, "agent"),
        rounds=_spent(db, "round"),
        attempt_errors=dict(db.execute(errors, (ERRORS,)).fetchall()),
        began_s=facts.get("began"),
        last_s=last[0] if last else None,
        ended_per_minute=tuple(
            (float(minute * MINUTE_S), count) for minute, count in reversed(db.execute(minutes, (MINUTES,)).fetchall())
        ),
    )


def _tallies(db: sqlite3.Connection, name: str) -> dict[str, int]:
    return dict(db.execute("SELECT key, count FROM tallies WHERE name = ? ORDER BY key", (name,)).fetchall())


def _messages(db: sqlite3.Connection) -> int:
    return sum(_tallies(db, "said").values())


def _spent(db: sqlite3.Connection, by: str) -> Spent:
    query = f"SELECT {by}, sum(calls), sum(input + output), sum(cost) FROM calls GROUP BY {by} ORDER BY {by}"  # noqa: S608 - constants
    found = cast("list[tuple[str | int, int, int, float]]", db.execute(query).fetchall())
    return {str(name): (calls, tokens, cost) for name, calls, tokens, cost in found}


def conversations(db: sqlite3.Connection, item: str) -> tuple[ConversationId, ...]:
    """Return the conversations about an item, the oldest first."""
    query = "SELECT conversation FROM talks WHERE item = ? ORDER BY id"
    return tuple(ConversationId(row[0]) for row in db.execute(query, (item,)))


def votes(db: sqlite3.Connection) -> Iterator[Vote]:
    """Return the last vote of each voter in conversations that count, in order of the items."""
    query = (
        f"SELECT {', '.join(VOTED)} FROM talks JOIN votes ON votes.talk = talks.id "  # noqa: S608 - constants
        "WHERE current AND last ORDER BY number, talks.id, sequence"
    )
    names = tuple(Vote.__dataclass_fields__)
    for row in db.execute(query):
        facts: dict[str, Any] = dict(zip(names, row, strict=True))
        facts["ballots"] = tuple(Cast(**ballot) for ballot in orjson.loads(facts["ballots"]))
        yield Vote(**facts)


def scored(db: sqlite3.Connection) -> Iterator[Scored]:
    """Return what judges gave drafts by themselves, in conversations that count and have an outcome."""
    query = (
        "SELECT variant, judge, kind, score, scale FROM talks JOIN scores ON scores.talk = talks.id "
        "WHERE current AND state != 'open' AND NOT fallen ORDER BY number, talks.id, sequence"
    )
    yield from db.execute(query)

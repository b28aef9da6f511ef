"""Taking events into the tables of an index: one pass, in slices, each written whole or not at all."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from ...protocols.events import known_kinds
from ...protocols.identity import CONDUCTOR, ConversationId
from ...protocols.judging import Ballot
from ...runtime.log import LogReader
from ...runtime.log.faults import damaged
from ...runtime.log.reader import Committed
from ...runtime.recording.standing import sift
from ..spend import unpriced_call
from .gathered import START, Gathered, count_unread, count_votes, load, take_end, write
from .talk import IN_A_REPEAT
from .words import SPOKEN, is_searched, words_of

LONGEST_ERROR = 120
MINUTE_S = 60
KEPT = tuple(name for name in Ballot.model_fields if name != "reason")
"""Of a ballot; its words lie in the log."""
VOTES = frozenset({"vote_cast", "drafts_compared"})
SCORES = {"draft_scored": "draft", "feedback_given": "on"}
"""Kinds that score drafts, and where they say which."""
Call = list[Any]


class Taking:
    """One slice of a log on its way into the tables, within a transaction."""

    def __init__(self, db: sqlite3.Connection, log: LogReader) -> None:
        self._db = db
        self._log = log
        self._talks: dict[str, Gathered] = {}
        """By conversation: those that this slice has to do with."""
        self._newest: dict[str, Gathered] = {}
        """By item, of those begun in this slice."""
        self._steps: dict[int, bool] = {}
        """Whether a command of this slice is of a step in a repeat."""
        self._messages: list[tuple[int, int, str, str, int | None]] = []
        self._words: list[tuple[int, str]] = []
        self._votes: list[tuple[object, ...]] = []
        self._scores: list[tuple[object, ...]] = []
        self._voted: dict[str, Gathered] = {}
        self._resumed: list[tuple[Gathered, int]] = []
        self._ended: dict[str, None] = {}
        """Items whose outcomes, or what these count, have changed."""
        self._spoke: set[tuple[str, int]] = set()
        self._called: set[tuple[str, int]] = set()
        self._calls: dict[tuple[str, str, int], Call] = {}
        self._tallies: Counter[tuple[str, str | int]] = Counter()

    def take(self, event: Committed) -> None:
        """Take an event in; raises LogError where it is not what it was."""
        try:
            self._take(event)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(self._log.path, f"event {event[0]} is not what it was") from error

    def _take(self, event: Committed) -> None:
        sequence, conversation, _, sender, kind, body, time_s, _, text = event
        content: dict[str, Any] = orjson.loads(body)
        if text is not None:
            content["text"] = text
        if not conversation:
            self._of_run(event, content)
            return
        talk = self._talk(conversation, sequence, time_s)
        talk.last_s = time_s
        took = TOOK.get(kind)
        if took is not None:
            took(self, event, content, talk)
        elif kind in SPOKEN:
            self._said(event, content, talk)
        elif kind == "letter_undelivered":
            self._lost(conversation)
        elif kind == "outcome_set_aside":
            self._set_aside(content)
        elif sender == CONDUCTOR and "step" in content:
            self._steps[sequence] = IN_A_REPEAT.search(content["step"]) is not None
        if is_searched(kind) and (sender != CONDUCTOR or kind in known_kinds()):
            self._find(event, content, talk)

    def _talk(self, conversation: str, sequence: int, time_s: float) -> Gathered:
        talk = self._talks.get(conversation)
        if talk is None:
            talk = load(self._db, conversation)
            if talk is None:
                talk = Gathered(sequence, conversation, _item_of(conversation), began_s=time_s)
            self._talks[conversation] = talk
        return talk

    def _of_run(self, event: Committed, content: dict[str, Any]) -> None:
        """Take in what is of the whole run."""
        kind = event[4]
        if kind == "run_started":
            self._db.execute("INSERT OR REPLACE INTO facts VALUES ('items', ?)", (content["items"],))
        elif kind == "outcome_set_aside":
            self._set_aside(content)
        elif kind == "letter_undelivered":
            self._lost("")
        elif kind == "model_called":
            self._spend(event, content)

    # items

    def opened(self, event: Committed, content: dict[str, Any], talk: Gathered) -> None:
        """Take in an item's beginning: the newest conversation about it is the one that counts."""
        item = content["item"]
        talk.item, talk.number, talk.variant = item["id"], content["number"], item.get("variant") or ""
        talk.prompt, talk.began_s = item["prompt"][:START], event[6]
        votes = Counter(vote["verdict"] for vote in item.get("human") or ()).most_common(2)
        split = len(votes) > 1 and votes[0][1] == votes[1][1]
        talk.human = ("tie" if split else votes[0][0]) if votes else None
        for before in self._others(talk):
            before.newest = False
        talk.newest, self._newest[talk.item] = True, talk

    def _others(self, talk: Gathered) -> Iterator[Gathered]:
        """Return other conversations about an item that are the newest of it until now."""
        here = self._newest.get(talk.item)
        if here is not None and here is not talk:
            yield here
        query = "SELECT conversation FROM talks WHERE item = ? AND newest"
        for (conversation,) in self._db.execute(query, (talk.item,)).fetchall():
            if conversation != talk.conversation:
                yield self._talk(conversation, 0, 0.0)

    def goes_on(self, event: Committed, content: dict[str, Any], talk: Gathered) -> None:
        """Take in that a conversation goes on; what came of commands set aside counts no more."""
        talk.gone = False
        self._db.execute("DELETE FROM letters WHERE conversation = ?", (talk.conversation,))  # all are sent again
        if content.get("set_aside"):
            self._resumed.append((talk, event[0]))
            self._voted[talk.conversation] = talk

    def end(self, event: Committed, content: dict[str, Any], talk: Gathered) -> None:
        """Take in an outcome."""
        failed = event[4] == "item_failed"
        cause = content.get("cause", {})
        error = f"{cause['error']}: {cause['reason']}" if failed else None
        text, answer = content.get("text"), content.get("answer")
        if talk.number < 0:
            talk.number = content["number"]
        talk.gone = False
        item = _item_of(talk.conversation)
        self._db.execute(
            f"INSERT INTO outcomes VALUES ({', '.join('?' * 16)})",  # noqa: S608 - marks
            (
                event[0], talk.id, talk.conversation, item, "failed" if failed else "done", content.get("verdict"),
                content.get("score_a"), content.get("score_b"), answer, content.get("correct"),
                None if text is None else text[:START], error, cause.get("error"), event[6], 0, 0,
            ),
        )  # fmt: skip
        take_end(self._db, talk)
        self._ended[item] = None
        self._count(content.get("verdict"), cause.get("error"), event[6], 1)

    def _count(self, verdict: str | None, failure: str | None, time_s: float, by: int) -> None:
        """Count an outcome, or count it no more."""
        if failure is not None:
            self._tallies["failure", failure] += by
        else:
            self._tallies["verdict", verdict or ""] += by
        self._tallies["minute", int(time_s // MINUTE_S)] += by

    def _set_aside(self, content: dict[str, Any]) -> None:
        row = self._db.execute(
            "SELECT conversation, verdict, failure, time_s, unread FROM outcomes WHERE sequence = ? AND NOT aside",
            (content["outcome"],),
        ).fetchone()
        if row is None:
            return
        conversation, verdict, failure, time_s, unread = row
        self._tallies["unread", ""] -= unread
        self._db.execute("UPDATE outcomes SET aside = 1, unread = 0 WHERE sequence = ?", (content["outcome"],))
        talk = self._talk(conversation, 0, 0.0)
        take_end(self._db, talk)
        talk.gone = content["reason"] == "not in the data"
        self._ended[_item_of(conversation)] = None
        self._count(verdict, failure, time_s, -1)

    def decided(self, event: Committed, content: dict[str, Any], talk: Gathered) -> None:
        """Take in a decision, or one on two drafts."""
        of_match = event[4] == "match_decided"
        if not of_match:
            talk.decision = content["verdict"]
        row = (event[0], talk.id, _item_of(talk.conversation), content["unread"], of_match)
        self._db.execute("INSERT INTO decisions VALUES (?, ?, ?, ?, ?)", row)

    def _lost(self, conversation: str) -> None:
        more = "INSERT INTO letters VALUES (?, 1) ON CONFLICT (conversation) DO UPDATE SET lost = lost + 1"
        self._db.execute(more, (conversation,))

    # what is said

    def _said(self, event: Committed, content: dict[str, Any], talk: Gathered) -> None:
        sender, kind = event[3], event[4]
        talk.messages += 1
        self._tallies["said", kind] += 1
        talk.rounds = max(talk.rounds, content.get("round") or 1)
        if (sender, talk.id) not in self._spoke:
            self._spoke.add((sender, talk.id))
            talk.speakers += self._db.execute("INSERT OR IGNORE INTO spoke VALUES (?, ?)", (sender, talk.id)).rowcount
        if kind in VOTES:
            self._vote(event, content, talk)
        elif kind in SCORES:
            on = content.get(SCORES[kind])
            draft = on if isinstance(on, str) or on is None else ", ".join(on)
            row = (event[0], talk.id, sender, kind, draft, content.get("score"), content["scale"], 0)
            self._scores.append(row)

    def _vote(self, event: Committed, content: dict[str, Any], talk: Gathered) -> None:
        ballots = [{name: ballot[name] for name in KEPT if name in ballot} for ballot in content["ballots"]]
        judging = content["judging"]
        self._votes.append(
            (
                event[0], talk.id, event[3], content.get("first"), content.get("second"),
                judging["scale"] if judging["strategy"] != "direct" else None, content["verdict"],
                content.get("score_a"), content.get("score_b"), content.get("confidence"),
                orjson.dumps(ballots).decode(), 0, 0, 0,
            )
        )  # fmt: skip
        self._voted[talk.conversation] = talk

    def _find(self, event: Committed, content: dict[str, Any], talk: Gathered) -> None:
        """Let a message be found by its words."""
        kind = event[4]
        words = words_of(kind, content)
        if words:
            self._words.append((event[0], words))
        round_ = content.get("round") if kind in SPOKEN and self._repeats(event[2]) else None
        self._messages.append((event[0], talk.id, event[3], kind, round_))

    def _repeats(self, command: int | None) -> bool:
        if command is None:
            return False
        known = self._steps.get(command)
        if known is None:
            event = next(iter(self._log.at([command])), None)
            step = orjson.loads(event.body).get("step", "") if event is not None else ""
            known = self._steps[command] = IN_A_REPEAT.search(step) is not None
        return known

    # what it takes

    def call(self, event: Committed, content: dict[str, Any], talk: Gathered) -> None:
        """Take in a call of a model."""
        if content["source"] == "earlier":
            return  # it was counted where it was made
        usage = content["usage"]
        talk.calls += 1
        talk.attempts += len(content["attempts"])
        talk.tokens += usage["input_tokens"] + usage["output_tokens"]
        talk.paid += content.get("cost_usd", 0.0)
        talk.unpriced += unpriced_call(content)
        self._spend(event, content)
        key = (content["model"], talk.id)
        if key not in self._called:
            self._called.add(key)
            self._db.execute("INSERT OR IGNORE INTO called VALUES (?, ?)", key)

    def _spend(self, event: Committed, content: dict[str, Any]) -> None:
        if content["source"] == "earlier":
            return
        key = (content["model"], event[3], content.get("round") or 1)
        call = self._calls.get(key)
        if call is None:
            query = "SELECT * FROM calls WHERE model = ? AND agent = ? AND round = ?"
            row = self._db.execute(query, key).fetchone()
            call = self._calls[key] = list(row[3:]) if row else [0, 0, 0, 0, 0, 0, 0.0, 0]
        usage, attempts = content["usage"], content["attempts"]
        answered = "error" not in content and ("text" in content or event[7] is not None)
        call[0] += 1
        call[1] += not answered
        call[2] += len(attempts)
        call[3] += content["source"] == "cache"
        call[4] += usage["input_tokens"]
        call[5] += usage["output_tokens"]
        call[6] += content.get("cost_usd", 0.0)
        call[7] += unpriced_call(content)
        for attempt in attempts:
            if attempt.get("error"):
                self._tallies["attempt", " ".join(attempt["error"].split())[:LONGEST_ERROR]] += 1

    # the end of a slice

    def write(self) -> None:
        """Write what was taken in."""
        many = self._db.executemany
        many("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", self._messages)
        many("INSERT INTO found (rowid, words) VALUES (?, ?)", self._words)
        many(f"INSERT INTO votes VALUES ({', '.join('?' * 14)})", self._votes)  # noqa: S608 - marks
        many("INSERT INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._scores)
        many(
            f"INSERT OR REPLACE INTO calls VALUES ({', '.join('?' * 11)})",  # noqa: S608 - marks
            [(*key, *call) for key, call in self._calls.items()],
        )
        for talk, until in self._resumed:
            self._fall(talk, until)
        for talk in self._voted.values():
            count_votes(self._db, talk)
        for item in self._ended:
            self._tallies["unread", ""] += count_unread(self._db, item)
        many(
            "INSERT INTO tallies VALUES (?, ?, ?) ON CONFLICT (name, key) DO UPDATE SET count = count + excluded.count",
            [(*key, count) for key, count in self._tallies.items() if count],
        )
        self._db.execute("DELETE FROM tallies WHERE count = 0")
        write(self._db, list(self._talks.values()))

    def _fall(self, talk: Gathered, until: int) -> None:
        """Let votes and scores count no more that came of commands set aside as a conversation was gone on with."""
        events = self._log.events(ConversationId(talk.conversation))
        sifted = sift(event for event in events if event.sequence <= until)
        fallen = [(sequence,) for sequence in sifted.fallen]
        self._db.executemany("UPDATE votes SET fallen = 1, last = 0, moved = 0 WHERE sequence = ?", fallen)
        self._db.executemany("UPDATE scores SET fallen = 1 WHERE sequence = ?", fallen)


def _item_of(conversation: str) -> str:
    return conversation.rpartition("~")[0]


TOOK: dict[str, Callable[[Taking, Committed, dict[str, Any], Gathered], None]] = {
    "item_opened": Taking.opened,
    "item_resumed": Taking.goes_on,
    "item_finished": Taking.end,
    "item_failed": Taking.end,
    "decision_made": Taking.decided,
    "match_decided": Taking.decided,
    "model_called": Taking.call,
}
"""How a message of each kind is taken in."""

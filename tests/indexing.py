"""Logs of runs that went in every way there is, made up at random, for tests of what is folded out of them."""

import random
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from fellowship.protocols.comparing import DraftsCompared, DraftScored, MatchDecided
from fellowship.protocols.debate import ArgumentMade, MakeArgument
from fellowship.protocols.generation import DraftWritten
from fellowship.protocols.identity import CONDUCTOR, ConversationId, ItemId
from fellowship.protocols.items import Candidate, HumanVote, Item
from fellowship.protocols.judging import Ballot, Judging, Verdict, reconciled
from fellowship.protocols.jury import VoteCast
from fellowship.protocols.lifecycle import (
    AgentFailed,
    AgentRecused,
    DecisionMade,
    Failure,
    ItemFailed,
    ItemFinished,
    ItemOpened,
    ItemResumed,
    LetterUndelivered,
    ModelCalled,
    OutcomeSetAside,
    RunStarted,
)
from fellowship.protocols.messages import Fact, Message
from fellowship.protocols.models import Attempt, Source, Usage
from fellowship.protocols.review import FeedbackGiven
from fellowship.runtime.log import schema
from fellowship.runtime.log.texts import digest_of, long_text

WORDS = (
    "because",
    "waves",
    "scatter",
    "Café",
    "naïve",
    "B\u00fccher",
    "x1",
    "don't",
    "low_light",
    "\u65e5\u672c",
    "<b>",
    "the",
    "sky",
)
VERDICTS: tuple[Verdict, ...] = ("a", "b", "tie", "unread")
AGENTS = ("judge", "critic", "public")
MODELS = ("acme/one", "acme/two")
REASONS: tuple[str, ...] = ("retried", "affected by changes", "not in the data")


class Waved(Fact):
    """What a plugin brings that nobody has loaded."""

    kind: str = "waved"
    gesture: str


@dataclass(frozen=True)
class Said:
    """One event, as it is to stand in the log."""

    sequence: int
    conversation: str
    sender: str
    message: Message = field(repr=False)
    cause: int | None = None
    recipients: tuple[str, ...] = ()
    time_s: float = 0.0


@dataclass
class Chatter:
    """Makes up what happens, one thing after another; some of it could never happen."""

    rng: random.Random
    said: list[Said] = field(default_factory=list)
    opened: list[tuple[str, str]] = field(default_factory=list)
    """Item and conversation."""
    ends: list[int] = field(default_factory=list)
    now_s: float = 1_000_000.0

    def text(self, most: int = 30) -> str:
        return " ".join(self.rng.choice(WORDS) for _ in range(self.rng.randint(1, most)))

    def say(
        self, conversation: str, sender: str, message: Message, cause: int | None = None, to: tuple[str, ...] = ()
    ) -> int:
        self.now_s += self.rng.choice((0.25, 30.0))
        sequence = len(self.said) + 1
        self.said.append(Said(sequence, conversation, sender, message, cause, to, self.now_s))
        return sequence

    def open(self) -> None:
        number, variant = self.rng.randrange(4), self.rng.choice((None, None, "one"))
        item = f"{variant}/i{number}" if variant else f"i{number}"
        before = [conversation for of, conversation in self.opened if of == item]
        conversation = f"{item}~{len(before) + 1}"
        people = tuple(
            HumanVote(rater=f"p{each}", verdict=self.rng.choice(("a", "b", "tie")))
            for each in range(self.rng.randrange(4))
        )
        about = Item(
            id=ItemId(item),
            prompt=self.text(),
            candidates=(Candidate(slot="a", text=self.text()), Candidate(slot="b", text=self.text())),
            reference=self.rng.choice((None, self.text())),
            human=people,
            variant=variant,
        )
        over = ConversationId(before[-1]) if before else None
        self.say(conversation, CONDUCTOR, ItemOpened(number=number, item=about, over=over))
        self.opened.append((item, conversation))

    def ballot(self) -> Ballot:
        verdict = self.rng.choice(VERDICTS)
        scores = {} if verdict == "unread" else {"score_a": self.rng.randint(0, 10), "score_b": self.rng.randint(0, 10)}
        order = self.rng.choice(("ab", "ba"))
        return Ballot(order=order, verdict=verdict, reason=self.rng.choice(("", self.text())), **scores)

    def vote(self, conversation: str, agent: str, command: int) -> None:
        one = self.ballot()
        other = self.ballot().model_copy(update={"order": "ba" if one.order == "ab" else "ab"})
        ballots = (one, other) if self.rng.random() < 0.5 else (one,)
        verdict, a, b = reconciled(ballots, "tie")
        judging = Judging(orders="both" if len(ballots) == 2 else "ab")
        facts = {"round": self.rng.randint(1, 3), "judging": judging, "ballots": ballots, "verdict": verdict}
        if self.rng.random() < 0.8:
            self.say(conversation, agent, VoteCast(**facts, score_a=a, score_b=b), command)
        else:
            drafts = self.rng.sample(("writer/1", "writer/2", "critic/1"), 2)
            compared = DraftsCompared(**facts, first=drafts[0], second=drafts[1], score_a=a, score_b=b)
            self.say(conversation, agent, compared, command)

    def call(self, conversation: str, agent: str, command: int | None) -> None:
        failed = self.rng.random() < 0.2
        source: Source = self.rng.choice(("endpoint", "endpoint", "cache", "earlier", "recording"))
        called = ModelCalled(
            model=self.rng.choice(MODELS),
            messages=(),
            settings={},
            round=self.rng.choice((None, 1, 2)),
            text=None if failed else self.text(60),
            error=Failure(error="Overloaded", reason="on fire", agent=agent) if failed else None,
            source=source,
            usage=Usage(input_tokens=self.rng.randrange(9), output_tokens=3, reported=self.rng.random() < 0.9),
            cost_usd=self.rng.choice((None, 0.125, 0.5)),
            attempts=tuple(
                Attempt(latency_s=1.0, error=self.rng.choice((None, "Overloaded: on fire")))
                for _ in range(self.rng.randint(1, 2))
            ),
        )
        self.say(conversation, agent, called, command)

    def speak(self, conversation: str) -> None:
        agent, step = self.rng.choice(AGENTS), self.rng.choice(("0", "1.0"))
        command = self.say(conversation, CONDUCTOR, MakeArgument(round=self.rng.randint(1, 3), step=step), to=(agent,))
        for _ in range(self.rng.randrange(3)):
            self.call(conversation, agent, command)
        match self.rng.randrange(7):
            case 0:
                self.say(conversation, agent, ArgumentMade(round=self.rng.randint(1, 3), text=self.text()), command)
            case 1:
                self.say(conversation, agent, DraftWritten(round=1, text=self.text(), version=1), command)
            case 2:
                given = FeedbackGiven(
                    round=1, evaluation=self.text(), feedback=self.text(), score=7.5, scale=10, requests=1, on=("w/1",)
                )
                self.say(conversation, agent, given, command)
            case 3:
                score = self.rng.choice((None, 4.0))
                self.say(conversation, agent, DraftScored(round=1, draft="w/1", score=score, scale=10), command)
            case 4:
                cause = Failure(error="Overloaded", reason=self.text())
                then = self.rng.choice(("retry", "recuse", "fail"))
                self.say(conversation, agent, AgentFailed(cause=cause, attempt=1, then=then), command)
                self.say(conversation, CONDUCTOR, AgentRecused(agent=agent, cause=cause))
            case _:
                self.vote(conversation, agent, command)

    def decide(self, conversation: str) -> None:
        facts = {"rule": "majority", "version": 1, "verdict": self.rng.choice(VERDICTS), "votes": 1}
        unread = self.rng.randrange(3)
        if self.rng.random() < 0.7:
            self.say(conversation, CONDUCTOR, DecisionMade(**facts, unread=unread))
        else:
            self.say(conversation, CONDUCTOR, MatchDecided(**facts, unread=unread, first="w/1", second="w/2"))

    def end(self, conversation: str) -> None:
        number = int(conversation.rpartition("~")[0][-1])
        if self.rng.random() < 0.3:
            cause = Failure(error=self.rng.choice(("Overloaded", "ContextTooLong")), reason=self.text())
            message: Message = ItemFailed(number=number, cause=cause)
        else:
            message = ItemFinished(
                number=number,
                verdict=self.rng.choice((None, "a", "b", "tie")),
                text=self.rng.choice((None, self.text())),
                score_a=self.rng.choice((None, 5.0)),
                score_b=self.rng.choice((2.5, 1.0)),
                correct=self.rng.choice((None, True, False)),
            )
        self.ends.append(self.say(conversation, CONDUCTOR, message))

    def happen(self) -> None:
        """Let one more thing happen."""
        if not self.opened or self.rng.random() < 0.1:
            self.open()
            return
        _, conversation = self.rng.choice(self.opened[-4:])
        match self.rng.choices(range(8), (40, 8, 12, 4, 3, 3, 2, 1))[0]:
            case 0:
                self.speak(conversation)
            case 1:
                self.decide(conversation)
            case 2:
                self.end(conversation)
            case 3 if self.ends:
                outcome = self.rng.choice(self.ends)
                message = OutcomeSetAside.model_validate({"outcome": outcome, "reason": self.rng.choice(REASONS)})
                self.say(self.rng.choice((conversation, "")), CONDUCTOR, message)
            case 4:
                commands = [one.sequence for one in self.said if one.conversation == conversation and one.recipients]
                again = tuple(self.rng.sample(commands, min(len(commands), self.rng.randrange(3))))
                self.say(conversation, CONDUCTOR, ItemResumed(set_aside=again))
            case 5:
                message = LetterUndelivered(to="x", letter="waved", reason="gone")
                self.say(self.rng.choice((conversation, "")), CONDUCTOR, message)
            case 6:
                self.say(conversation, "critic", Waved(gesture=self.text()))
            case _:
                self.say("", CONDUCTOR, RunStarted(items=self.rng.randrange(9), finished=0, concurrency=1, seed=0))


def chatter(seed: int, count: int) -> list[Said]:
    """Return so many things that happen, and what they bring."""
    made = Chatter(random.Random(seed))
    for _ in range(count):
        made.happen()
    return made.said


def put(path: Path, said: Iterable[Said]) -> Path:
    """Write events into a log, as they stand; made where it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        schema.migrate(connection, path)
        connection.executemany(f"INSERT INTO events VALUES ({','.join('?' * 10)})", list(_rows(connection, said)))  # noqa: S608 - marks
    return path.parent


def _rows(connection: sqlite3.Connection, said: Iterable[Said]) -> Iterator[tuple[object, ...]]:
    for one in said:
        text, digest, body = long_text(one.message), None, one.message.model_dump_json(exclude_none=True)
        if text is not None:
            digest = digest_of(text)
            body = one.message.model_dump_json(exclude_none=True, exclude={"text"})
            connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (digest, text))
        kind = one.message.kind
        mark = 1 if kind in schema.LANDMARKS else None
        to = ",".join(one.recipients)
        yield one.sequence, one.conversation, one.cause, one.sender, to, kind, body, one.time_s, mark, digest

"""The log against a list: whatever is done to it, and wherever its process ends."""

import asyncio
import shutil
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from logs import answered, aside, decided, failed, finished

from fellowship.protocols.debate import ArgumentMade, MakeArgument
from fellowship.protocols.identity import ConversationId
from fellowship.protocols.items import Item
from fellowship.protocols.lifecycle import (
    DecisionMade,
    ItemFailed,
    ItemFinished,
    ItemOpened,
    ItemResumed,
    ModelCalled,
    OutcomeSetAside,
)
from fellowship.protocols.messages import Message
from fellowship.runtime.log import LogReader, SqliteLog, examine, open_log, sqlite
from fellowship.scenarios import Outcome
from fellowship.scenarios.outcomes import Fold

ITEMS = tuple(f"i{number}" for number in range(3))
PIECES = ("ja. ", "“no”\n", "because\u2028it \\ does; ", "x")
texts = st.builds(lambda piece, times: piece * times, st.sampled_from(PIECES), st.sampled_from([1, 2, 20, 60, 3_000]))
items = st.sampled_from(ITEMS)
senders = st.sampled_from(["conductor", "a", "b"])


@dataclass(frozen=True)
class Said:
    """One event as it was handed to the log."""

    conversation: str
    sender: str
    message: Message
    cause: int | None = None
    recipients: tuple[str, ...] = ()


@dataclass
class Sums:
    calls: int = 0
    tokens: int = 0


@dataclass
class Expected:
    """What a fold must find, worked out from the plain list: ends first, then what stands before each."""

    outcomes: list[tuple[int, str, str, str | None, int, int]] = field(default_factory=list)
    failed_calls: int = 0
    unread: int = 0


def expected(said: list[Said]) -> Expected:
    found = Expected()
    set_aside = {one.message.outcome for one in said if isinstance(one.message, OutcomeSetAside)}
    counted: Counter[str] = Counter()
    undecided: dict[str, int] = {}
    for sequence, one in enumerate(said, 1):
        message, item = one.message, one.conversation.rpartition("~")[0]
        if isinstance(message, ModelCalled):
            found.failed_calls += message.text is None
        elif isinstance(message, DecisionMade):
            undecided[item] = message.unread
        elif isinstance(message, ItemFinished | ItemFailed) and sequence not in set_aside:
            calls = sum(
                isinstance(earlier.message, ModelCalled)
                for earlier in said[:sequence]
                if earlier.conversation.rpartition("~")[0] == item
            )
            status, text = ("failed", None) if isinstance(message, ItemFailed) else ("done", message.text)
            own, counted[item] = calls - counted[item], calls
            found.unread += undecided.pop(item, 0)
            found.outcomes.append((message.number, item, status, text, own, 10 * own))
    return found


class LogIsAList(RuleBasedStateMachine):
    """One log over its life: processes come and go, the disk keeps what was committed."""

    @initialize()
    def begin(self) -> None:
        self.gather_s, sqlite.GATHER_S = sqlite.GATHER_S, 0.0
        self.folder = Path(tempfile.mkdtemp())
        self.lives = 0
        self.runner = asyncio.Runner()
        self.said: list[Said] = []
        self.kept: dict[str, str] = {}
        self.durable = 0
        self._open(self.folder / "0")

    def _open(self, place: Path) -> None:
        place.mkdir(exist_ok=True)
        self.path = place / "run.db"
        self.stack = AsyncExitStack()
        self.log: SqliteLog = self.runner.run(self._entered())

    async def _entered(self) -> SqliteLog:
        opened = asyncio.Event()
        self.leave = asyncio.Event()

        async def live() -> None:
            async with open_log(self.path) as log:

                async def commit_here(*group: object) -> None:
                    for _ in range(3):
                        await asyncio.sleep(0)
                    log._commit(*group)  # type: ignore[arg-type]

                log._commit_patiently = commit_here  # type: ignore[method-assign]  # a thread would come when it likes
                self.opened = log
                opened.set()
                await self.leave.wait()

        self.life = asyncio.get_running_loop().create_task(live())
        await opened.wait()
        return self.opened

    def _say(self, *said: Said) -> None:
        async def append() -> None:
            for one in said:
                sequence = self.log.append(
                    one.message,
                    sender=one.sender,
                    conversation=ConversationId(one.conversation),
                    cause=one.cause,
                    recipients=one.recipients,
                )
                self.said.append(one)
                assert sequence == len(self.said)

        self.runner.run(append())

    # what is said

    @rule(item=items)
    def opens(self, item: str) -> None:
        message = ItemOpened(number=ITEMS.index(item), item=Item.model_validate({"id": item, "prompt": item * 50}))
        self._say(Said(f"{item}~1", "conductor", message))

    @rule(item=items, sender=senders, text=texts, reply=st.booleans(), hears=st.sampled_from([(), ("a",), ("a", "b")]))
    def talks(self, item: str, sender: str, text: str, *, reply: bool, hears: tuple[str, ...]) -> None:
        asked = len(self.said) + 1
        self._say(
            Said(f"{item}~1", "conductor", MakeArgument(round=1), None, (sender,)),
            Said(f"{item}~1", sender, answered(text if reply else None), asked),
            *([Said(f"{item}~1", sender, ArgumentMade(round=1, text=text), asked, hears)] if reply else []),
        )

    @rule(item=items, text=st.none() | texts, fails=st.booleans(), unread=st.integers(0, 2))
    def ends(self, item: str, text: str | None, unread: int, *, fails: bool) -> None:
        number = ITEMS.index(item)
        end = failed(number) if fails else finished(number, text)
        self._say(Said(f"{item}~1", "conductor", decided(unread)), Said(f"{item}~1", "conductor", end))

    @precondition(lambda self: any(isinstance(one.message, ItemFailed | ItemFinished) for one in self.said))
    @rule(data=st.data())
    def is_retried(self, data: st.DataObject) -> None:
        ends = [at for at, one in enumerate(self.said, 1) if isinstance(one.message, ItemFailed | ItemFinished)]
        end = data.draw(st.sampled_from(ends))
        self._say(
            Said("", "conductor", aside(end)),
            Said(self.said[end - 1].conversation, "conductor", ItemResumed(set_aside=(1,))),
        )

    @rule(text=texts)
    def keeps(self, text: str) -> None:
        self.log.keep(text, text)
        self._say(Said("", "conductor", ItemResumed()))
        self.kept[text] = text

    # what becomes of it

    @rule()
    def commits(self) -> None:
        self.runner.run(self.log.durable(len(self.said)))
        self.durable = len(self.said)

    @rule()
    def is_closed_and_opened(self) -> None:
        self._close()
        self.durable = len(self.said)
        assert not self.path.with_name("run.db-wal").exists()
        self._open(self.path.parent)

    @rule(turns=st.integers(0, 6))
    def crashes(self, turns: int) -> None:
        """The process is gone at this moment; what is on the disk is all there is."""

        async def some_turns() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        if turns:
            self.runner.run(some_turns())
        self.lives += 1
        place = self.folder / str(self.lives)
        place.mkdir()
        for name in ("run.db", "run.db-wal"):
            if (self.path.parent / name).exists():
                shutil.copy(self.path.parent / name, place)
        self._close()
        assert examine(place / "run.db", thorough=True) == ()
        self._open(place)
        with LogReader(self.path) as reader:
            survived = reader.last()
        assert self.durable <= survived <= len(self.said)
        self.said, self.durable = self.said[:survived], survived
        self.kept = {}

    @rule(data=st.data())
    def is_forked(self, data: st.DataObject) -> None:
        """What was said before one of the events, said in a log of its own, reads the same."""
        before = data.draw(st.integers(1, self.durable + 1))
        path = Path(tempfile.mkdtemp(dir=self.folder)) / "run.db"

        async def copy() -> None:
            async with open_log(path) as log:
                for event in self._read()[: before - 1]:
                    log.append(
                        event.message(),
                        sender=event.sender,
                        conversation=event.conversation,
                        cause=event.cause,
                        recipients=event.recipients,
                    )

        self.runner.run(copy())
        self._proves(path, self.said[: before - 1])

    # what must be true at any time

    @invariant()
    def what_is_committed_is_what_was_said(self) -> None:
        if hasattr(self, "log"):
            with LogReader(self.path) as reader:
                committed = reader.last()
            assert self.durable <= committed <= len(self.said)
            self._proves(self.path, self.said[:committed])

    def _read(self) -> list:  # type: ignore[type-arg]
        with LogReader(self.path) as reader:
            return list(reader.events())

    def _proves(self, path: Path, said: list[Said]) -> None:
        with LogReader(path) as reader:
            events = list(reader.events())
            assert [event.sequence for event in events] == list(range(1, len(said) + 1))
            assert [
                Said(event.conversation, event.sender, event.message(), event.cause, event.recipients)
                for event in events
            ] == said
            for kinds in (("item_opened",), ("model_called", "argument_made"), ("item_finished", "outcome_set_aside")):
                assert list(reader.events(kinds=kinds)) == [event for event in events if event.kind in kinds]
            last = {one.conversation: at for at, one in enumerate(said) if isinstance(one.message, ItemOpened)}
            ends = Counter(one.conversation for one in said if isinstance(one.message, ItemFinished | ItemFailed))
            for conversation in last:
                one_talk = list(reader.events(ConversationId(conversation)))
                if self._well_formed(said, conversation) and ends[conversation] <= 1:
                    assert one_talk == [event for event in events if event.conversation == conversation]
            fold = Fold(reader)
            outcomes = [self._facts(number, outcome) for number, outcome in fold.outcomes()]
            wanted = expected(said)
            assert outcomes == wanted.outcomes
            assert (fold.total().failed, fold.unread) == (wanted.failed_calls, wanted.unread)
            calls = sum(isinstance(one.message, ModelCalled) for one in said)
            assert reader.spent() == (calls * 1.0, calls * 10)

    @staticmethod
    def _well_formed(said: list[Said], conversation: str) -> bool:
        """Whether a conversation begins with its opening, and nothing is said in it after its end."""
        own = [one.message for one in said if one.conversation == conversation]
        openings = [at for at, message in enumerate(own) if isinstance(message, ItemOpened)]
        closings = [at for at, message in enumerate(own) if isinstance(message, ItemFinished | ItemFailed)]
        resumed = [at for at, message in enumerate(own) if isinstance(message, ItemResumed)]
        closed = max(closings, default=len(own) - 1)
        return openings == [0] and (closed == len(own) - 1 or max(resumed, default=-1) > closed)

    @staticmethod
    def _facts(number: int, outcome: Outcome) -> tuple[int, str, str, str | None, int, int]:
        return number, outcome.item, outcome.status, outcome.text, outcome.calls, outcome.tokens

    def _close(self) -> None:
        async def leave() -> None:
            self.leave.set()
            await self.life

        self.runner.run(leave())

    def teardown(self) -> None:
        if hasattr(self, "log"):
            self._close()
            with LogReader(self.path) as reader:
                assert all(reader.text(digest) == text for digest, text in self.kept.items())
            self._proves(self.path, self.said)
            self.runner.close()
            sqlite.GATHER_S = self.gather_s
            shutil.rmtree(self.folder)


LogIsAList.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLogIsAList = LogIsAList.TestCase

import asyncio
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import as_version, finished, written
from playing import items, library

from fellowship.protocols.errors import DeclarationError, LogError, Overloaded
from fellowship.protocols.generation import DraftWritten
from fellowship.protocols.identity import ConversationId
from fellowship.protocols.lifecycle import RunEnded
from fellowship.protocols.models import ModelCall
from fellowship.protocols.ports import EventLog
from fellowship.runtime.log import LogReader, MemoryLog, SqliteLog, being_written, open_log, schema
from fellowship.runtime.testing import ManualClock, ScriptedModel, as_reply
from fellowship.scenarios import Outcome, Settings, Status, play
from fellowship.scenarios.outcomes import Fold, in_order, status

Opener = Callable[[], AbstractAsyncContextManager[EventLog]]


def draft(text: str) -> DraftWritten:
    return DraftWritten(round=1, text=text, version=1)


@pytest.fixture(params=["memory", "sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Every adapter of the port EventLog."""

    @asynccontextmanager
    async def open_it() -> AsyncIterator[EventLog]:
        if request.param == "memory":
            yield MemoryLog()
        else:
            async with open_log(tmp_path / "run.db") as log:
                yield log

    return open_it


async def test_events_come_back_in_order_as_they_were_written(opened: Opener) -> None:
    async with opened() as log:
        first = log.append(draft("one"), sender="a", conversation=ConversationId("x"), recipients=("b", "c"))
        second = log.append(RunEnded(reason="done"), sender="conductor", cause=first)
        await log.durable(second)
        events = list(log.events())
    assert [event.sequence for event in events] == [1, 2]
    assert events[0].message() == draft("one")
    assert (events[0].sender, events[0].conversation, events[0].recipients, events[0].cause) == (
        "a",
        "x",
        ("b", "c"),
        None,
    )
    assert (events[1].cause, events[1].recipients, events[1].message()) == (1, (), RunEnded(reason="done"))


async def test_events_are_found_by_conversation_and_by_kind(opened: Opener) -> None:
    async with opened() as log:
        for name in "xyx":
            log.append(draft(name), sender="a", conversation=ConversationId(name))
        await log.durable(log.append(RunEnded(reason="done"), sender="c"))
        assert [event.sequence for event in log.events(ConversationId("x"))] == [1, 3]
        assert [event.sequence for event in log.events(kinds=("run_ended",))] == [4]
        assert [event.sequence for event in log.events(ConversationId("y"), ("run_ended",))] == []


async def test_a_text_is_kept_once_under_its_digest(opened: Opener) -> None:
    async with opened() as log:
        log.keep("d1", "a text")
        log.keep("d1", "a text")
        await log.durable(log.append(RunEnded(reason="done"), sender="c"))
        assert log.text("d1") == "a text"
        with pytest.raises(KeyError):
            log.text("d2")


async def test_what_is_appended_last_is_written_when_the_log_closes(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with open_log(path) as log:
        await log.durable(log.append(draft("one"), sender="a"))
        log.append(draft("two"), sender="a")
    with LogReader(path) as reader:
        assert [event.sequence for event in reader.events()] == [1, 2]
    assert not list(tmp_path.glob("run.db-*"))  # all is in the one file


async def test_a_group_taken_up_is_written_though_everything_is_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    with anyio.CancelScope() as scope:
        async with open_log(path) as log:
            log.append(draft("one"), sender="a")
            await asyncio.sleep(0)  # the writer wakes
            log.append(draft("two"), sender="a")
            scope.cancel()
            await asyncio.sleep(0)
    with LogReader(path) as reader:
        assert len(list(reader.events())) == 2


async def test_reopening_goes_on_after_the_last_event(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    for expected in (1, 2, 3):
        async with open_log(path) as log:
            assert log.append(draft("again"), sender="a") == expected


async def test_a_reader_sees_what_is_committed_while_the_run_goes_on(tmp_path: Path) -> None:
    async with open_log(tmp_path / "run.db") as log:
        await log.durable(log.append(draft("one"), sender="a"))
        with LogReader(tmp_path / "run.db") as reader:
            assert len(list(reader.events())) == 1
            await log.durable(log.append(draft("two"), sender="a"))
            assert len(list(reader.events())) == 2


async def test_many_writers_share_commits(tmp_path: Path) -> None:
    async with open_log(tmp_path / "run.db") as log:
        commits = 0
        commit = log._commit

        def counting(*args: object) -> None:
            nonlocal commits
            commits += 1
            commit(*args)  # type: ignore[arg-type]

        log._commit = counting  # type: ignore[method-assign]

        async def write() -> None:
            for _ in range(10):
                await log.durable(log.append(draft("x"), sender="a"))

        async with asyncio.TaskGroup() as writers:
            for _ in range(100):
                writers.create_task(write())
        assert commits <= 30  # 1,000 events


async def test_a_file_that_fails_tells_all_who_wait_and_all_who_come(tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    waited: list[str] = []

    async def wait(log: SqliteLog) -> None:
        try:
            await log.durable(log.append(draft("x"), sender="a"))
        except LogError as error:
            waited.append(str(error))

    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_log(tmp_path / "run.db") as log:
            log._commit = full  # type: ignore[method-assign]
            async with asyncio.TaskGroup() as waiting:
                waiting.create_task(wait(log))
                waiting.create_task(wait(log))
    assert caught.group_contains(LogError, match="disk is full")
    assert len(waited) == 2
    with pytest.raises(LogError):
        log.append(draft("x"), sender="a")


def test_a_directory_without_a_log_a_foreign_file_and_a_newer_log_are_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="is not there"):
        LogReader(tmp_path / "no.db")
    text = tmp_path / "text.db"
    text.write_text("not a database, and long enough to be looked at as one" * 50)
    with pytest.raises(LogError, match="is not a run's log"):
        LogReader(text)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(LogError, match="something else"):
        LogReader(foreign)


async def test_a_log_of_a_newer_version_is_refused_for_reading_and_writing(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    async with open_log(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    words = rf"newer version \(log version {schema.VERSION + 1}, this one knows up to {schema.VERSION}\): upgrade"
    with pytest.raises(LogError, match=words):
        LogReader(path)
    with pytest.raises(LogError, match="newer version"):
        async with open_log(path):
            pass


async def test_an_older_log_is_brought_to_the_present_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.db"
    async with open_log(path) as log:
        log.append(draft("old"), sender="a")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE later (x);"))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    async with open_log(path) as log:
        log.append(draft("new"), sender="a")
    with LogReader(path) as reader:
        assert [event.message().text for event in reader.events()] == ["old", "new"]  # type: ignore[attr-defined]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        connection.execute("SELECT * FROM later")
    connection.close()


async def test_time_comes_from_the_clock(tmp_path: Path) -> None:
    async with open_log(tmp_path / "run.db", clock=ManualClock(5.0)) as log:
        await log.durable(log.append(draft("x"), sender="a"))
        assert next(log.events()).time_s == 5.0


Step = tuple[str, str]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.text(max_size=40)),
            st.tuples(st.just("keep"), st.text(min_size=1, max_size=31)),  # one of 32 would pass for a digest
            st.tuples(st.just("reopen"), st.just("")),
        ),
        max_size=30,
    )
)
def test_whatever_is_appended_kept_and_reopened_the_log_is_a_list(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step]
) -> None:
    path = tmp_path_factory.mktemp("log") / "run.db"
    model: list[str] = []
    kept: set[str] = set()

    async def play() -> None:
        rest = list(steps)
        while True:
            async with open_log(path) as log:
                while rest:
                    what, text = rest.pop(0)
                    if what == "reopen":
                        break
                    if what == "append":
                        assert log.append(draft(text), sender="a") == len(model) + 1
                        model.append(text)
                    else:
                        log.keep(text, text)
                        kept.add(text)
                log.append(RunEnded(reason="done"), sender="a")
                model.append("")
            if not rest:
                return

    asyncio.run(play())
    with LogReader(path) as reader:
        events = list(reader.events())
        assert [event.sequence for event in events] == list(range(1, len(model) + 1))
        assert [getattr(event.message(), "text", "") for event in events] == model
        assert all(reader.text(text) == text for text in kept)


async def test_a_log_has_one_writer_and_a_dead_one_keeps_no_lock(tmp_path: Path) -> None:
    async with open_log(tmp_path / "run.db"):
        with pytest.raises(DeclarationError, match="another process"):
            async with open_log(tmp_path / "run.db"):
                raise AssertionError("two writers")
    async with open_log(tmp_path / "run.db") as log:
        assert log.append(draft("x"), sender="a") == 1


async def test_a_message_that_cannot_be_written_down_leaves_no_gap(tmp_path: Path) -> None:
    async with open_log(tmp_path / "run.db") as log:
        with pytest.raises(ValueError, match="surrogate"):
            log.append(draft("\ud800"), sender="a")
        await log.durable(log.append(draft("x"), sender="a"))
        assert [event.sequence for event in log.events()] == [1]


async def test_groups_gather_only_while_many_talk_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    sleep = asyncio.sleep

    async def noting(seconds: float) -> None:
        naps.append(seconds)
        await sleep(0)

    monkeypatch.setattr("fellowship.runtime.log.sqlite.asyncio.sleep", noting)
    async with open_log(tmp_path / "run.db") as log:
        for _ in range(5):
            await log.durable(log.append(draft("alone"), sender="a"))
        assert naps == []
        for _ in range(3):
            for _ in range(20):
                last = log.append(draft("many"), sender="a")
            await log.durable(last)
        assert len(naps) == 2


# version 1: an index over all events, and no landmarks


def shape(path: Path) -> tuple[int, set[str]]:
    """Return a log's version and its indexes."""
    with sqlite3.connect(path) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        found = int(version), {str(name) for (name,) in names}
    connection.close()
    return found


@pytest.fixture
async def old(tmp_path: Path) -> tuple[Path, list[Outcome], Status]:
    """A run of which two items failed, in a log of version 1; with it what its log said before."""
    await play(library("jury"), items(5), tmp_path / "run", Settings(client=ScriptedModel(failing_every_third)))
    path = tmp_path / "run" / "run.db"
    outcomes, state = folded(path)
    as_version(1, path)
    assert shape(path) == (1, {"events_by_conversation", "events_by_kind"})
    with LogReader(path) as reader:
        return path, outcomes, state.model_copy(update={"run_id": reader.run_id()})  # nothing noted it then


def failing_every_third(call: ModelCall) -> str | Exception:
    number = int(call.messages[1].content.split("Question ")[1].split("?")[0])
    return Overloaded("on fire") if number % 3 == 1 else as_reply(call)


def folded(path: Path) -> tuple[list[Outcome], Status]:
    with LogReader(path) as reader:
        return list(in_order(Fold(reader).outcomes())), status(reader, "run")


async def test_a_log_of_version_1_says_the_same_to_whoever_only_reads_it(
    old: tuple[Path, list[Outcome], Status],
) -> None:
    path, outcomes, state = old
    assert [outcome.status for outcome in outcomes] == ["done", "failed", "done", "done", "failed"]
    assert folded(path) == (outcomes, state)
    with LogReader(path) as reader:
        kinds = [event.kind for event in reader.events(ConversationId("i1~1"))]
    assert (kinds[0], kinds[-1]) == ("item_opened", "item_failed")
    assert shape(path)[0] == 1


async def test_a_log_of_version_1_is_migrated_when_it_is_opened_and_says_the_same(
    old: tuple[Path, list[Outcome], Status],
) -> None:
    path, outcomes, state = old
    async with open_log(path):
        pass
    assert shape(path) == (schema.VERSION, {"landmarks"})
    assert folded(path) == (outcomes, state)
    with sqlite3.connect(path) as connection:
        marked = connection.execute("SELECT DISTINCT kind FROM events WHERE landmark IS NOT NULL").fetchall()
        plain = connection.execute("SELECT DISTINCT kind FROM events WHERE landmark IS NULL").fetchall()
    connection.close()
    assert {kind for (kind,) in marked} == {"run_started", "run_ended", "item_opened", "item_finished", "item_failed"}
    assert "model_called" in {kind for (kind,) in plain}
    assert not schema.LANDMARKS & {kind for (kind,) in plain}


async def test_a_run_whose_log_is_of_version_1_goes_on(old: tuple[Path, list[Outcome], Status]) -> None:
    path, outcomes, _ = old
    model = ScriptedModel()
    found = await play(library("jury"), items(7), path.parent, Settings(client=model))
    assert (found.state, found.done, found.failed) == ("done", 5, 2)
    assert len(model.calls) == 6
    assert folded(path)[0][:5] == outcomes


async def test_whoever_looks_whether_a_run_is_going_does_not_keep_it_from_going_on(tmp_path: Path) -> None:
    path, enough = tmp_path / "run.db", threading.Event()

    def look() -> None:
        while not enough.is_set():
            being_written(path)

    async with open_log(path):
        pass
    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(50):
            async with open_log(path) as log:
                assert being_written(path)
                assert not log.closed
    finally:
        enough.set()
        looking.join()


async def test_a_run_has_an_id_of_its_own_that_stays_when_it_is_gone_on_with(tmp_path: Path) -> None:
    for name in ("one.db", "other.db"):
        await written(tmp_path / name, [("x~1", "a", finished(0))])
    with LogReader(tmp_path / "one.db") as one, LogReader(tmp_path / "other.db") as other:
        assert re.fullmatch("[0-9a-f]{16}", one.run_id())
        assert one.run_id() != other.run_id()
        await written(tmp_path / "one.db", [("x~2", "a", finished(0))])
        with LogReader(tmp_path / "one.db") as again:
            assert again.run_id() == one.run_id()
    as_version(3, tmp_path / "one.db")
    with LogReader(tmp_path / "one.db") as old:
        found = {old.run_id() for _ in range(2)}
    assert len(found) == 1
    assert re.fullmatch("[0-9a-f]{16}", found.pop())

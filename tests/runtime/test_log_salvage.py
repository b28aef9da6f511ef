import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import answered, as_version, finished, long, written
from playing import items, library

from fellowship.protocols.errors import DeclarationError, LogError
from fellowship.protocols.events import Event
from fellowship.protocols.lifecycle import RunEnded
from fellowship.protocols.models import ChatMessage, ModelCall
from fellowship.runtime.log import LogReader, examine, open_log, salvage, schema
from fellowship.runtime.log.pages import rows
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Settings, play
from fellowship.scenarios.outcomes import Fold

PAGE = 16_384


def all_of(path: Path) -> dict[int, Event]:
    with LogReader(path) as reader:
        return {event.sequence: event for event in reader.events()}


def wordy(call: ModelCall) -> str:
    """Each answer of its own, long, and now and then longer than a page of the log."""
    if call.answer is not None:
        return as_reply(call)
    digest = ChatMessage("user", call.messages[-1].content).digest
    return f"{digest} was asked. " * (400 if digest.endswith("7") else 10)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a run of debates."""
    import asyncio

    out = tmp_path_factory.mktemp("run") / "run"
    asyncio.run(play(library("debate"), items(60), out, Settings(client=ScriptedModel(wordy))))
    assert (out / "run.db").stat().st_size > 30 * PAGE
    return out / "run.db"


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_of_a_whole_log_everything_is_saved(version: int, whole: Path, tmp_path: Path) -> None:
    path, to = shutil.copy(whole, tmp_path / "run.db"), tmp_path / "saved.db"
    if version < schema.VERSION:
        as_version(version, path)
    saved = salvage(path, to)
    assert (saved.gaps, saved.lost, saved.texts_lost, saved.replies_lost) == ((), 0, (), 0)
    events = all_of(whole)
    assert saved.events == len(events)
    assert {at: (event, event.message()) for at, event in all_of(path).items()} == {
        at: (event, event.message()) for at, event in all_of(to).items()
    }
    with LogReader(path) as before, LogReader(to) as after:
        assert list(Fold(after).outcomes()) == list(Fold(before).outcomes())
        assert after.meta("played") == before.meta("played")
        assert after.run_id() == before.run_id()
        for event in before.events(kinds=("model_called",)):
            for _, digest in json.loads(event.body)["messages"]:
                assert after.text(digest) == before.text(digest)
    assert examine(to, thorough=True) == ()
    assert not list(tmp_path.glob("*.part"))


def test_what_a_killed_process_had_committed_is_saved_from_the_write_ahead_log(whole: Path, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "run.db") as connection:
        connection.execute("PRAGMA page_size = 16384")
        schema.migrate(connection, tmp_path / "run.db")
        connection.execute("PRAGMA journal_mode = WAL")
        for number in range(1, 61):
            row = (number, "x", None, "a", "", "run_ended", RunEnded(reason="done").model_dump_json(), 1.5, 1, None)
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            connection.commit()
        killed = tmp_path / "killed"
        killed.mkdir()
        for name in ("run.db", "run.db-wal"):
            shutil.copy(tmp_path / name, killed)
    connection.close()
    raw = (killed / "run.db-wal").read_bytes()
    assert len(raw) > 50 * PAGE
    (killed / "run.db-wal").write_bytes(raw[:-PAGE] + b"?" * PAGE)  # the last commit was cut short
    assert salvage(killed / "run.db", tmp_path / "saved.db").events == 59
    assert sorted(all_of(killed / "run.db")) == sorted(all_of(tmp_path / "saved.db"))


@settings(max_examples=10, deadline=None)
@given(
    pages=st.lists(st.integers(0, 40), max_size=5),
    fill=st.sampled_from([b"\xa5", b"\0", b"\x0d", b"\x0a\xff\x03"]),
    cut=st.none() | st.integers(0, 20),
)
def test_whatever_is_overwritten_or_cut_off_what_is_saved_is_true_and_what_is_lost_is_named(
    tmp_path_factory: pytest.TempPathFactory, whole: Path, pages: list[int], fill: bytes, cut: int | None
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path, to = shutil.copy(whole, folder / "run.db"), folder / "saved.db"
    raw = bytearray(path.read_bytes())
    for page in pages:
        at = page * PAGE % len(raw)
        raw[at : at + PAGE] = (fill * PAGE)[:PAGE]
    if cut is not None:
        del raw[len(raw) - cut * PAGE // 2 - 1 :]
    path.write_bytes(raw)
    saved = salvage(path, to)
    events, there = all_of(whole), all_of(to)
    assert saved.events == len(there)
    missing = {sequence for first, last in saved.gaps for sequence in range(first, last + 1)}
    assert missing == set(range(1, max(there) + 1)) - set(there)
    assert saved.lost == len(missing)
    changed = [event for at, event in there.items() if event != events[at]]
    assert len(changed) == saved.replies_lost
    for event in changed:
        called = event.message()
        assert called.error.error == "TextLost"  # type: ignore[attr-defined]
        assert called.usage == events[event.sequence].message().usage  # type: ignore[attr-defined]
    with LogReader(to) as reader:
        Fold(reader).whole()
        assert reader.spent()[1] > 0
    named = {
        digest
        for event in there.values()
        if event.kind == "model_called"
        for _, digest in json.loads(event.body)["messages"]
    }
    with LogReader(to) as reader:
        for digest in named - set(saved.texts_lost):
            reader.text(digest)
        for digest in saved.texts_lost:
            with pytest.raises(KeyError):
                reader.text(digest)


def test_where_the_way_to_the_rows_is_overwritten_they_are_found_all_the_same(whole: Path, tmp_path: Path) -> None:
    path = shutil.copy(whole, tmp_path / "run.db")
    with sqlite3.connect(path) as connection:
        roots = connection.execute("SELECT rootpage FROM sqlite_master WHERE name IN ('events', 'texts')").fetchall()
    connection.close()
    raw = bytearray(path.read_bytes())
    for page in (1, *(root for (root,) in roots)):
        raw[(page - 1) * PAGE : page * PAGE] = b"\xa5" * PAGE
    path.write_bytes(raw)
    with pytest.raises(LogError):
        LogReader(path)
    saved = salvage(path, tmp_path / "saved.db")
    assert (saved.events, saved.gaps, saved.texts_lost) == (len(all_of(whole)), (), ())


async def test_a_saved_log_is_gone_on_with_after_the_highest_event(whole: Path, tmp_path: Path) -> None:
    path, to = shutil.copy(whole, tmp_path / "run.db"), tmp_path / "saved.db"
    raw = bytearray(path.read_bytes())
    raw[12 * PAGE : 16 * PAGE] = b"\xa5" * 4 * PAGE
    path.write_bytes(raw)
    assert salvage(path, to).lost > 0
    highest = max(all_of(to))
    async with open_log(to) as log:
        assert log.append(answered(long(1)), sender="a") == highest + 1
        await log.durable(log.append(finished(1, long(1)), sender="c"))
    assert [event.sequence for event in all_of(to).values()][-2:] == [highest + 1, highest + 2]


async def test_salvage_overwrites_nothing_and_says_when_there_is_nothing_to_save(tmp_path: Path) -> None:
    path, to = tmp_path / "run.db", tmp_path / "saved.db"
    await written(path, [("", "c", RunEnded(reason="done"))])
    to.write_text("mine")
    with pytest.raises(DeclarationError, match="is there already"):
        salvage(path, to)
    assert to.read_text() == "mine"
    to.unlink()
    with pytest.raises(LogError, match=r"no\.db is not there"):
        salvage(tmp_path / "no.db", to)
    async with open_log(path):
        with pytest.raises(DeclarationError, match="is being written"):
            salvage(path, to)
    (tmp_path / "text.db").write_text("words " * 10_000)
    (tmp_path / "empty.db").touch()
    for name in ("text.db", "empty.db"):
        with pytest.raises(LogError, match="holds nothing that can be read as an event"):
            salvage(tmp_path / name, to)
    with pytest.raises(LogError, match="cannot be written"):
        salvage(path, tmp_path / "no" / "saved.db")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["empty.db", "run.db", "run.lock", "text.db"]


def test_pages_are_read_as_sqlite_reads_them(tmp_path: Path) -> None:
    values = [
        None,
        0,
        1,
        -1,
        127,
        -32_768,
        2**23,
        -(2**31),
        2**47,
        -(2**63),
        1.5,
        "",
        "ä" * 70_000,
        b"",
        b"\xff" * 20_000,
    ]
    for size in (512, 4096, 65_536):
        path = tmp_path / f"{size}.db"
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA page_size = {size}")
            connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, v)")
            connection.execute("CREATE TABLE m (k TEXT PRIMARY KEY, v) WITHOUT ROWID")
            for number, value in enumerate(values):
                connection.execute("INSERT INTO t VALUES (?, ?)", (number + 2**40, value))
                connection.execute("INSERT INTO m VALUES (?, ?)", (f"k{number}" * 30, value))
        connection.close()
        found = list(rows(path))
        table = {number: row[1] for number, row in found if number is not None and number >= 2**40}
        assert [table[number + 2**40] for number in range(len(values))] == values
        index = {row[0]: row[1] for number, row in found if number is None}
        assert [index[f"k{number}" * 30] for number in range(len(values))] == values

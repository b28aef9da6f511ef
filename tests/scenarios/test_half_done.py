"""Directories as a process leaves them that is killed while it makes its log, opens it or closes it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playing import items, library, results

from fellowship.protocols.errors import LogError
from fellowship.runtime.log import LogReader
from fellowship.runtime.testing import ScriptedModel
from fellowship.scenarios import Settings, Status, play


def half_commit(path: Path, into: Path) -> None:
    """Copy a log as it lies while a commit is being written to it: pages in the file, and the journal that undoes them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE more (text TEXT)")
        connection.executemany("INSERT INTO more VALUES (?)", [("long " * 100,)] * 500)
        into.parent.mkdir(exist_ok=True)
        for name in ("", "-journal"):
            shutil.copyfile(f"{path}{name}", f"{into}{name}")
        connection.execute("ROLLBACK")


async def played(out: Path, count: int = 3) -> Status:
    return await play(library("judge"), items(count), out, Settings(client=ScriptedModel()))


async def test_a_log_that_was_left_within_a_commit_is_read_as_it_was_before_and_gone_on_with(tmp_path: Path) -> None:
    before, out = tmp_path / "before", tmp_path / "run"
    await played(before)
    half_commit(before / "run.db", out / "run.db")
    with (
        closing(sqlite3.connect(f"file:{out / 'run.db'}?mode=ro", uri=True)) as connection,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        connection.execute("SELECT * FROM events")
    with LogReader(before / "run.db") as expected, LogReader(out / "run.db") as found:
        assert list(found.events()) == list(expected.events())
    half_commit(before / "run.db", out / "run.db")
    again = await played(out, 5)
    assert (again.state, again.done, again.calls) == ("done", 5, 5)


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "half made"])
async def test_a_run_that_was_killed_as_it_made_its_log_is_begun_by_the_same_command(
    empty: bool, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    half_commit(tmp_path / "made.db", out / "run.db")
    (out / "run.lock").touch()
    if empty:
        (out / "run.db").write_bytes(b"")
        (out / "run.db-journal").unlink()
    done = await played(out)
    assert (done.state, done.done, len(results(out))) == ("done", 3, 3)


async def test_an_empty_log_beside_what_was_played_is_told_and_not_played_over(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(out)
    (out / "run.db").write_bytes(b"")
    with pytest.raises(LogError, match="is empty: its run was killed before it began, or the file was cut off"):
        await played(out)
    assert len(results(out)) == 3

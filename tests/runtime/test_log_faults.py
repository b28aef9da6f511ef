import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from logs import answered, finished, long, written
from structlog.testing import capture_logs

from fellowship.protocols.debate import ArgumentMade
from fellowship.protocols.errors import LogError
from fellowship.protocols.identity import ConversationId
from fellowship.protocols.items import Item
from fellowship.protocols.lifecycle import ItemOpened, RunEnded, RunStarted
from fellowship.protocols.models import ChatMessage
from fellowship.runtime.log import Durability, LogReader, SqliteLog, examine, open_log, schema
from fellowship.runtime.testing import ManualClock
from fellowship.scenarios.outcomes import Fold, status

PAGE = 16_384


async def run_of(path: Path, items: int) -> Path:
    """A log of so many items, each of an opening, a call and an end, with long texts."""
    said: list[tuple[str, str, object]] = [("", "c", RunStarted(items=items, finished=0, concurrency=1, seed=0))]
    for number in range(items):
        name = f"i{number}~1"
        opened = ItemOpened(number=number, item=Item.model_validate({"id": f"i{number}", "prompt": long(number)}))
        said += [(name, "c", opened), (name, "a", answered(long(number))), (name, "c", finished(number, long(-number)))]
    await written(path, [*said, ("", "c", RunEnded(reason="done"))])  # type: ignore[list-item]
    return path


# a full disk


class Waiting(ManualClock):
    """A clock that does something when somebody has slept so often."""

    def __init__(self, times: int, then: Callable[[], object]) -> None:
        super().__init__()
        self._times = times
        self._then = then

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if len(self.slept) == self._times:
            self._then()


def fill_up(log: SqliteLog) -> None:
    """Let a log's file grow no further."""
    (pages,) = log._connection.execute("PRAGMA page_count").fetchone()
    log._connection.execute(f"PRAGMA max_page_count = {pages}")


async def test_a_full_disk_is_waited_for_with_one_warning_and_nothing_is_lost_when_there_is_room(
    tmp_path: Path,
) -> None:
    path, logs = tmp_path / "run.db", list[SqliteLog]()

    def make_room() -> None:
        assert not logs[0].closed
        assert logs[0].append(ArgumentMade(round=1, text="meanwhile"), sender="a") == 101
        logs[0]._connection.execute("PRAGMA max_page_count = 100000")

    clock = Waiting(5, make_room)
    with capture_logs() as told:
        async with open_log(path, clock=clock) as log:
            logs.append(log)
            fill_up(log)
            for number in range(100):
                log.append(answered(long(number)), sender="a")
            await log.durable(100)
            assert clock.slept == [0.5] * 5
    with LogReader(path) as reader:
        assert [event.sequence for event in reader.events()] == list(range(1, 102))
        assert [event.message().text for event in reader.events()][:100] == [long(number) for number in range(100)]  # type: ignore[attr-defined]
    assert [event["event"] for event in told if event["log_level"] == "warning"] == ["log_waits"]
    assert (told[0]["path"], told[0]["reason"]) == (str(path), "database or disk is full")


async def test_a_disk_that_stays_full_ends_the_log_with_what_is_lost_and_what_to_do(tmp_path: Path) -> None:
    clock = ManualClock()
    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_log(tmp_path / "run.db", clock=clock) as log:
            await log.durable(log.append(RunEnded(reason="done"), sender="a"))
            fill_up(log)
            for number in range(60):
                log.append(answered(long(number)), sender="a")
            log.append(answered(None), sender="a")
            await log.durable(log.append(answered("short"), sender="a"))
    words = (
        r"run\.db cannot be written: database or disk is full\. 62 events are lost, 61 answered model calls among them, "
        r"which will be asked again; what was written before is safe\. To go on, make room and start the same command"
    )
    assert caught.group_contains(LogError, match=words)
    assert sum(clock.slept) == 30
    assert log.closed
    with LogReader(tmp_path / "run.db") as reader:
        assert [event.sequence for event in reader.events()] == [1]


async def test_a_fault_that_does_not_pass_is_not_waited_for(tmp_path: Path) -> None:
    clock = ManualClock()
    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_log(tmp_path / "run.db", clock=clock) as log:
            log._connection.execute("DROP TABLE texts")
            await log.durable(log.append(answered(long(1)), sender="a"))
    assert caught.group_contains(LogError, match="cannot be written: no such table: texts")
    assert clock.slept == []


async def test_a_log_that_is_locked_by_another_program_is_waited_for(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "run.db", isolation_level=None)
    async with open_log(tmp_path / "run.db", clock=Waiting(3, lambda: other.execute("ROLLBACK"))) as log:
        log._connection.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        await log.durable(log.append(RunEnded(reason="done"), sender="a"))
        assert [event.sequence for event in log.events()] == [1]
    other.close()


def child(script: str, *arguments: object) -> str:
    """Run a script that has this file's helpers at hand; returns what it says."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_file_that_may_not_grow_is_waited_for_by_a_real_process(tmp_path: Path) -> None:
    script = """
        import asyncio, resource, sys
        from pathlib import Path
        from logs import answered, long
        from fellowship.protocols.errors import LogError
        from fellowship.runtime.log import open_log

        async def main(path, patience_s, lift):
            try:
                async with open_log(path, patience_s=patience_s) as log:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
                    async def more_room():
                        wal = path.with_name(path.name + "-wal")
                        while not wal.exists() or wal.stat().st_size < 350_000:
                            await asyncio.sleep(0.01)
                        await asyncio.sleep(0.1)
                        if lift:
                            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(more_room())
                        for number in range(600):
                            await log.durable(log.append(answered(long(number)), sender="a"))
                    print("all written")
            except* LogError as group:
                while isinstance(group, BaseExceptionGroup):
                    group = group.exceptions[0]
                print(group)

        asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "lift"))
    """
    told = child(script, tmp_path / "run.db", 20, "lift")
    assert "all written" in told
    assert told.count("log_waits") == 1
    with LogReader(tmp_path / "run.db") as reader:
        assert reader.last() == 600
    told = child(script, tmp_path / "other.db", 0.3, "stay")
    assert "other.db cannot be written: disk I/O error. 1 events are lost, 1 answered model calls" in told
    assert examine(tmp_path / "other.db", thorough=True) == ()
    with LogReader(tmp_path / "other.db") as reader:
        assert 1 < reader.last() < 600


# durability


@pytest.mark.parametrize(("durability", "level"), [("process", 1), ("full", 2)])
async def test_commits_are_synced_where_they_are_to_survive_a_power_loss(
    durability: Durability, level: int, tmp_path: Path
) -> None:
    async with open_log(tmp_path / "run.db", durability=durability) as log:
        assert log._connection.execute("PRAGMA synchronous").fetchone() == (level,)
        await log.durable(log.append(RunEnded(reason="done"), sender="a"))
        assert [event.sequence for event in log.events()] == [1]


# what may only be read


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user may look into."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)
        Path(made).chmod(0o755)


@contextlib.contextmanager
def only_reading(folder: Path) -> Generator[None, None, None]:
    """Be a user who may read a folder and what is in it, and write neither."""
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a killed process left of a log of 20 events, each told to be durable."""
    made = tmp_path_factory.mktemp("killed")
    script = """
        import asyncio, os, signal, sys
        from pathlib import Path
        from logs import answered, long, open_log

        async def main(path):
            async with open_log(path) as log:
                for number in range(20):
                    await log.durable(log.append(answered(long(number)), sender="a"))
                os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(main(Path(sys.argv[1])))
    """
    with pytest.raises(AssertionError):
        child(script, made / "run.db")
    assert {found.name for found in made.iterdir()} == {"run.db", "run.db-wal", "run.db-shm", "run.lock"}
    return made


async def test_a_log_in_a_folder_that_may_only_be_read_is_read_and_not_written(folder: Path) -> None:
    path = await run_of(folder / "run.db", 3)
    path.with_suffix(".lock").unlink()
    with only_reading(folder):
        with LogReader(path) as reader:
            assert reader.last() == 11
        with pytest.raises(LogError, match=r"run\.db cannot be opened: Permission denied"):
            async with open_log(path):
                pass
    path.chmod(0o444)
    folder.chmod(0o777)
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(LogError, match=r"run\.db cannot be written: .*readonly.* Look who may write it"):
            async with open_log(path):
                pass
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


@pytest.mark.parametrize("beside", ["-wal and -shm", "neither", "-wal alone"])
def test_a_killed_runs_log_in_a_folder_that_may_only_be_read_is_read_where_it_can_be(
    beside: str, folder: Path, left: Path
) -> None:
    shutil.copytree(left, folder, dirs_exist_ok=True)
    path = folder / "run.db"
    if beside == "neither":
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            for name in ("run.db-wal", "run.db-shm"):
                (folder / name).rename(folder / f"{name}.gone")
        connection.close()
    if beside == "-wal alone":
        (folder / "run.db-shm").unlink()
    with only_reading(folder):
        if beside == "-wal alone":
            with pytest.raises(LogError, match=r"run\.db cannot be opened: .* copy the folder"):
                LogReader(path)
        else:
            with LogReader(path) as reader:
                assert [event.message().text for event in reader.events()] == [long(number) for number in range(20)]  # type: ignore[attr-defined]
    copied = shutil.copytree(folder, folder / "copy", ignore=shutil.ignore_patterns("copy"))
    with LogReader(copied / "run.db") as reader:
        assert reader.last() == 20


# damage


def reads(path: Path) -> dict[str, Callable[[], object]]:
    """Every way of reading a log."""

    def within(read: Callable[[LogReader], object]) -> Callable[[], object]:
        def call() -> object:
            with LogReader(path) as reader:
                return read(reader)

        return call

    return {
        "events": within(lambda reader: list(reader.events())),
        "a conversation": within(lambda reader: [list(reader.events(ConversationId(f"i{n}~1"))) for n in range(200)]),
        "bodies": within(
            lambda reader: list(reader.bodies(("model_called", "item_finished"), with_text=("item_finished",)))
        ),
        "count": within(lambda reader: reader.count("model_called", "$.model")),
        "newest": within(lambda reader: reader.newest("model_called")),
        "spent": within(lambda reader: reader.spent()),
        "last": within(lambda reader: reader.last()),
        "meta": within(lambda reader: reader.meta("played")),
        "written off": within(lambda reader: reader.written_off()),
        "fold": within(lambda reader: list(Fold(reader).outcomes())),
        "status": within(lambda reader: status(reader, "run")),
        "text": within(lambda reader: [reader.text("d") if reader.meta("x") else None for _ in range(2)]),
    }


def overwrite(path: Path, first: int, pages: int, fill: bytes = b"\xa5") -> None:
    with path.open("r+b") as file:
        file.seek(first * PAGE)
        file.write(fill * (pages * PAGE))


@pytest.mark.parametrize("fill", [b"\xa5", b"\0", b"\x0d"])
async def test_every_way_of_reading_a_damaged_log_says_so_or_finds_what_was_there(fill: bytes, tmp_path: Path) -> None:
    whole = await run_of(tmp_path / "whole.db", 200)
    expected = {name: read() for name, read in reads(whole).items()}
    pages = whole.stat().st_size // PAGE
    told: set[str] = set()
    for first in range(0, pages, 3):
        path = tmp_path / "run.db"
        shutil.copy(whole, path)
        overwrite(path, first, 1, fill)
        for name, read in reads(path).items():
            try:
                found = read()
            except LogError as error:
                assert str(path) in str(error)
                told.add(name)
            else:
                assert name == "status" or found == expected[name], (first, name)
    assert told >= set(reads(whole)) - {"meta", "written off", "last", "newest", "text"}


async def test_a_body_that_is_no_longer_what_it_was_is_told_of_by_a_fold(tmp_path: Path) -> None:
    path = await run_of(tmp_path / "run.db", 3)
    raw = path.read_bytes()
    at = raw.index(b'{"kind":"item_finished"')
    path.write_bytes(raw[:at] + b"#" * 9 + raw[at + 9 :])
    with LogReader(path) as reader, pytest.raises(LogError, match=r"run\.db is damaged: event \d+ is not what it was"):
        Fold(reader).whole()


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "is empty"),
        (60, "is not a run's log, or its beginning is overwritten or cut off"),
        (5_000, "is damaged: it is cut off, [0-9,]+ bytes are missing"),
        (PAGE, "is damaged: it is cut off, [0-9,]+ bytes are missing"),
        (0.5, "is damaged: it is cut off, [0-9,]+ bytes are missing"),
        (-1, "is damaged: it is cut off, 1 bytes are missing"),
    ],
)
async def test_a_log_that_is_cut_off_is_refused_for_reading_and_writing(
    size: float, words: str, tmp_path: Path
) -> None:
    path = await run_of(tmp_path / "run.db", 50)
    whole = path.stat().st_size
    os.truncate(path, int(size * whole) if 0 < size < 1 else size if size >= 0 else whole - 1)  # type: ignore[arg-type]
    with pytest.raises(LogError, match=words):
        list(LogReader(path).events())
    (problem,) = examine(path)
    assert problem.startswith(str(path))
    if size:
        before = path.read_bytes()
        with pytest.raises(LogError, match=words):
            async with open_log(path):
                pass
        assert path.read_bytes() == before


def test_a_killed_runs_log_is_looked_through_before_it_is_gone_on_with(tmp_path: Path, left: Path) -> None:
    path = shutil.copytree(left, tmp_path / "run") / "run.db"
    assert examine(path, thorough=True) == ()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(path, tmp_path / "left.db")  # as it is while it is open
    connection.close()
    pages = path.stat().st_size // PAGE
    overwrite(tmp_path / "left.db", pages - 2, 1)

    async def go_on() -> None:
        async with open_log(tmp_path / "left.db"):
            pass

    with pytest.raises(LogError, match=r"left\.db is damaged: .* `fellowship salvage`"):
        anyio.run(go_on)
    assert "is damaged" in examine(tmp_path / "left.db", thorough=True)[0]


def test_a_process_that_was_killed_while_it_moved_its_write_ahead_log_has_lost_nothing(
    tmp_path: Path, left: Path
) -> None:
    path = shutil.copytree(left, tmp_path / "run") / "run.db"
    before = path.stat().st_size
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        moved = path.read_bytes()
    connection.close()
    path = shutil.copytree(left, tmp_path / "killed") / "run.db"
    path.write_bytes(moved[:before])
    assert len(moved) > before
    assert examine(path, thorough=True) == ()
    anyio.run(written, path, [("", "c", RunEnded(reason="done"))])
    with LogReader(path) as reader:
        assert [event.sequence for event in reader.events()] == list(range(1, 22))


async def test_a_text_that_was_changed_is_never_taken_for_what_was_said(tmp_path: Path) -> None:
    path = await run_of(tmp_path / "run.db", 1)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"-0: it scatters", b"-0: it swallows").replace(b"0: it scatters", b"0: it swallows"))
    assert path.read_bytes() != raw
    with LogReader(path) as reader:
        with pytest.raises(LogError, match=r"run\.db is damaged: the text \w{32} of event 3 is not what it was"):
            list(reader.events())
        with pytest.raises(LogError, match=r"the text \w{32} of event 4 is not what it was"):
            Fold(reader).whole()
        with pytest.raises(LogError, match=r"the text \w{32} is not what it was"):
            reader.text(ChatMessage("user", long(0)).digest)


def test_a_killed_runs_log_without_its_write_ahead_log_is_an_earlier_one(tmp_path: Path, left: Path) -> None:
    path = shutil.copytree(left, tmp_path / "run") / "run.db"
    path.with_name("run.db-wal").unlink()
    with LogReader(path) as reader:
        assert [event.sequence for event in reader.events()] == list(range(1, reader.last() + 1))


async def test_examining_says_what_a_file_is_in_plain_sentences(tmp_path: Path) -> None:
    path = await run_of(tmp_path / "run.db", 5)
    assert examine(path) == ()
    assert examine(path, thorough=True) == ()
    assert examine(tmp_path / "no.db") == (f"{tmp_path}/no.db is not there: no run has written its log here",)
    text = tmp_path / "text.db"
    text.write_text("words")
    assert "is not a run's log" in examine(text)[0]
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM events WHERE sequence IN (3, 5)")
        connection.execute("DELETE FROM texts WHERE digest = (SELECT text_digest FROM events WHERE sequence = 6)")
    connection.close()
    assert examine(path) == ()
    assert examine(path, thorough=True) == (
        f"{path} lacks 2 events between the first and the last",
        f"{path} lacks the texts of 1 events",
    )
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    assert "newer version" in examine(path)[0]

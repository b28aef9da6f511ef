"""What the commands tell whoever has made a mistake, or whose run has ended badly."""

import json
from pathlib import Path

import anyio
import pytest
from playing import fellowship, items, library

from fellowship.protocols.errors import CassetteMiss, DeclarationError
from fellowship.protocols.models import ModelCall
from fellowship.runtime.recording import FileCassette
from fellowship.runtime.testing import ScriptedModel
from fellowship.scenarios import Settings, open_dataset, play


async def broken_off(out: Path, count: int) -> None:
    """Cancel a run in its first call."""

    async def never(call: ModelCall) -> str:
        del call
        scope.cancel()
        await anyio.sleep_forever()
        return ""

    with anyio.CancelScope() as scope:
        await play(library("judge"), items(count), out, Settings(client=ScriptedModel(never)))
    assert scope.cancelled_caught


def listed(run: Path) -> list[str]:
    """Return the lines of a list, without its head and what is said below it."""
    return fellowship("trace", run).stdout.partition("\n\n")[0].splitlines()[1:]


async def test_trace_lists_the_items_that_have_begun_and_not_ended(tmp_path: Path) -> None:
    await play(library("judge"), items(2), tmp_path / "run", Settings(client=ScriptedModel()))
    await broken_off(tmp_path / "run", 3)
    rows = [line.split()[:2] for line in listed(tmp_path / "run")]
    assert rows == [["i0", "done"], ["i1", "done"], ["i2", "open"]]
    await play(library("judge"), items(3), tmp_path / "run", Settings(client=ScriptedModel()))
    rows = [line.split()[:2] for line in listed(tmp_path / "run")]
    assert rows == [["i0", "done"], ["i1", "done"], ["i2", "done"]]


async def test_trace_lists_no_item_that_has_left_the_data(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await play(library("judge"), items(3), out, Settings(client=ScriptedModel()))
    await play(library("judge"), items(1), out, Settings(client=ScriptedModel(), accept_changes=True))
    assert [line.split()[0] for line in listed(out)] == ["i0"]


async def test_a_cassette_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    await play(library("judge"), items(1), tmp_path / "run", Settings(client=ScriptedModel()))
    (tmp_path / "file").write_text("")
    told = fellowship("cassette", tmp_path / "run", "--to", tmp_path / "file" / "calls.jsonl")
    assert told.exit_code == 2
    assert told.stderr.startswith(f"fellowship: {tmp_path / 'file' / 'calls.jsonl'} cannot be written: ")
    assert len(told.stderr.splitlines()) == 1


async def judged(data: Path, out: Path, **changed: object) -> None:
    """Judge one item, which is as always but for what is changed."""
    row = {"id": "i0", "prompt": "and so on, " * 20, "a": "Answer a", "b": "Answer b", "tags": ["x"], **changed}
    data.write_text(json.dumps(row) + "\n")
    await play(library("judge"), open_dataset(data, takes="comparison"), out, Settings(client=ScriptedModel()))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"b": "Äpfel"}, """candidates.1.text: "Answer b" then, "Äpfel" now"""),
        ({"tags": ["y"]}, """metadata.tags.0: "x" then, "y" now"""),
        ({"tags": ["x", "y"]}, """metadata.tags: ["x"] then, ["x", "y"] now"""),
    ],
)
async def test_what_has_changed_is_told_once_in_its_own_letters_and_to_the_part_of_a_list(
    tmp_path: Path, changed: dict[str, object], told: str
) -> None:
    await judged(tmp_path / "d.jsonl", tmp_path / "run")
    with pytest.raises(DeclarationError) as caught:
        await judged(tmp_path / "d.jsonl", tmp_path / "run", **changed)
    assert [line for line in str(caught.value).splitlines() if line.startswith("  ")] == [f"  data: item 'i0'.{told}"]


async def test_a_miss_shows_the_words_that_differ_and_not_the_marks_around_them(tmp_path: Path) -> None:
    data, calls = tmp_path / "d.jsonl", tmp_path / "calls.jsonl"
    await judged(data, tmp_path / "run")
    assert fellowship("cassette", tmp_path / "run", "--to", calls).exit_code == 0
    data.write_text(data.read_text().replace("Answer b", "Quite another answer"))
    settings = Settings(cassette=FileCassette.read(calls))
    with pytest.raises(CassetteMiss) as caught:
        await play(library("judge"), open_dataset(data, takes="comparison"), tmp_path / "again", settings)
    recorded, now = str(caught.value).splitlines()[1:]
    assert "Answer b" in recorded
    assert "Quite another answer" in now


async def test_salvage_of_a_log_that_is_cut_off_does_not_claim_that_nothing_came_after(tmp_path: Path) -> None:
    run = tmp_path / "run"
    await play(library("jury"), items(60), run, Settings(client=ScriptedModel()))
    assert "is not known" not in fellowship("salvage", run, "--to", tmp_path / "whole").stdout
    with (run / "run.db").open("r+b") as log:
        log.truncate(log.seek(0, 2) * 2 // 3)
    told = fellowship("salvage", run, "--to", tmp_path / "saved")
    assert told.exit_code == 0, told.output
    assert ". What came after event " in told.stdout

"""Runs of the whole language that break off anywhere, are replayed, forked, retried and changed: nothing is lost."""

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playing import fellowship
from telling import Asked, Speaker, asked, cut_short, kinds, length, played, results, story
from whole_language import PLAYED, files, items, made, say

from fellowship.protocols.errors import CallRefused, DeclarationError
from fellowship.protocols.models import ModelCall
from fellowship.runtime.log import LogReader
from fellowship.scenarios import Plan, Settings, load, plan, play
from fellowship.scenarios.again import fork, replay, retry

LIBRARY = {
    "comparison": ("court", "criteria", "debate-summarised", "judges-in-turn", "advocates-rounds", "cascade"),
    "question": ("tree", "society-sparse", "round-table", "debate-tit-for-tat", "debate-pairs"),
    "instruction": ("council", "arena", "constitution", "mixture-of-agents", "best-of-n", "peer-review"),
}
SHIPPED = tuple(name for names in LIBRARY.values() for name in names)
EVERYTHING = (*PLAYED, *SHIPPED)
BREAKS = 4
"""Calls of a run at which it is broken off; at every one of them it holds, too, and takes minutes."""


def of(name: str, folder: Path) -> Plan:
    """Return the plan of one of our own scenarios, or of one of the library in which every alias has its own model."""
    if name in PLAYED:
        return made(folder, name)
    scenario, source = load(name)
    return plan(scenario, source=source, models={alias: f"{alias}/{alias}" for alias in scenario.models})


def recorded(out: Path) -> Counter[Asked]:
    """Return the calls that a log has an answer to."""
    return Counter(
        (called.model, called.answer, tuple(digest for _, digest in called.messages))
        for called in kinds(out, "model_called")
        if called.text is not None
    )


class Undisturbed:
    """Runs that nothing has happened to, one a scenario, played when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = files(folder)
        self._played: dict[tuple[str, int], tuple[Path, Speaker]] = {}

    async def of(self, name: str, count: int = 1) -> tuple[Path, Speaker]:
        if (name, count) not in self._played:
            out, speaker = self.folder / f"run-{name}-{count}", Speaker(say)
            status = await played(of(name, self.folder), items(count), out, speaker)
            assert status is not None
            assert (status.done, status.failed, status.dead_letters) == (count, 0, 0), status.failures
            self._played[name, count] = out, speaker
        return self._played[name, count]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("undisturbed"))


# broken off


@pytest.mark.parametrize("name", EVERYTHING)
async def test_broken_off_at_any_call_a_run_asks_everything_once_and_tells_the_same(
    tmp_path: Path, undisturbed: Undisturbed, name: str
) -> None:
    run, whole = await undisturbed.of(name)
    told, written, calls = story(run), results(run), whole.asked.total()
    for last in range(1, calls + 1, max(1, calls // BREAKS)):
        out, before, after = tmp_path / str(last), Speaker(say, last=last), Speaker(say)
        await played(of(name, undisturbed.folder), items(1), out, before)
        await played(of(name, undisturbed.folder), items(1), out, after)
        assert before.asked + after.asked == whole.asked, f"at call {last}"
        assert results(out) == written, f"at call {last}"
        assert not story(run) - story(out), f"at call {last}"
        told = story(out) - story(run)
        assert all("EndpointDown" in line or "letter_undelivered" in line for line in told), f"at call {last}"


@pytest.mark.parametrize("name", PLAYED)
async def test_killed_after_an_event_a_run_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, undisturbed: Undisturbed, name: str
) -> None:
    run, whole = await undisturbed.of(name)
    for last in range(3, length(run), max(2, length(run) // 5)):
        out, speaker = cut_short(run, tmp_path / str(last), last), Speaker(say)
        had = recorded(out)
        await played(of(name, undisturbed.folder), items(1), out, speaker)
        assert had + speaker.asked == whole.asked, f"after event {last}"
        assert story(out) == story(run), f"after event {last}"
        assert results(out) == results(run), f"after event {last}"


@pytest.mark.parametrize("name", EVERYTHING)
async def test_in_whatever_order_answers_arrive_the_same_is_asked_and_said(
    tmp_path: Path, undisturbed: Undisturbed, name: str
) -> None:
    run, whole = await undisturbed.of(name)
    speaker = Speaker(say, pause=True)
    await played(of(name, undisturbed.folder), items(1), tmp_path / "run", speaker)
    assert speaker.asked == whole.asked
    assert results(tmp_path / "run") == results(run)
    assert story(tmp_path / "run") == story(run)


# told again


@pytest.mark.parametrize("name", EVERYTHING)
async def test_replayed_a_run_of_the_whole_language_comes_to_the_same_without_its_files(
    tmp_path: Path, undisturbed: Undisturbed, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, whole = await undisturbed.of(name)
    out = tmp_path / "moved"
    shutil.copytree(run, out)
    monkeypatch.chdir(tmp_path)
    again = await replay(out, tmp_path / "replay")
    assert (again.differing, again.status.calls) == ((), whole.asked.total())
    assert results(tmp_path / "replay") == results(run)
    assert story(tmp_path / "replay", without=("model_called",)) == story(run, without=("model_called",))


async def test_a_run_is_replayed_when_what_it_used_has_changed_or_is_gone(tmp_path: Path) -> None:
    folder, out = files(tmp_path), tmp_path / "run"
    for name, file in (("solving", "inner.yaml"), ("branching", "people.yaml")):
        await played(made(folder, name), items(2), out / name, Speaker(say))
        (folder / file).write_text("lawyer: {title: somebody else}\n")
        assert not (await replay(out / name, tmp_path / f"changed-{name}")).differing
        (folder / file).unlink()
        assert not (await replay(out / name, tmp_path / f"gone-{name}")).differing

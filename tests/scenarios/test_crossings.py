"""Runs in which two things cross: two starts, a retry and a change, a change and another, a fork and another."""

import asyncio
from pathlib import Path

import pytest
from playing import items
from playing import results as rows
from telling import Speaker, apart, played, results, speak

from fellowship.protocols.errors import CallRefused, DeclarationError, EndpointDown
from fellowship.protocols.models import Attempt, Completion, ModelCall
from fellowship.runtime.log import LogReader
from fellowship.runtime.recording import RecordedRun
from fellowship.scenarios import Plan, Settings, load, plan, play
from fellowship.scenarios.again import fork, replay, retry
from fellowship.scenarios.outcomes import Fold

JURY = ("first", "second", "third")


def jury(*changes: str, **models: str) -> Plan:
    """Return a jury whose jurors speak one after another, each through a model of its own."""
    scenario, source = load("jury", changes=["flow.0.order=in-turn", *changes])
    return plan(scenario, source=source, models={name: models.get(name, f"acme/{name}") for name in JURY})


class Gate:
    """A ModelClient that answers nobody until it is opened."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.opened = asyncio.Event()
        self.calls = 0

    async def complete(self, call: ModelCall) -> Completion:
        self.calls += 1
        self.asked.set()
        await self.opened.wait()
        return await Speaker().complete(call)


async def committed(out: Path) -> None:
    """Wait until an item is in the log of a run that is going."""
    with LogReader(out / "run.db") as log:
        while not any(log.landmarks(("item_opened",))):  # noqa: ASYNC110 - of another writer, as from elsewhere
            await asyncio.sleep(0)


async def test_a_start_that_waited_for_another_to_end_does_not_play_its_items_again(tmp_path: Path) -> None:
    made, out, gate = apart("judge"), tmp_path / "run", Gate()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(play(made, items(1), out, Settings(client=gate)))
        await gate.asked.wait()
        await committed(out)
        asyncio.get_running_loop().call_soon(gate.opened.set)
        with pytest.raises(DeclarationError, match="played by another process"):  # until just now; or still, if slow
            await play(made, items(1), out, Settings(client=gate))
    assert (first.result().done, gate.calls, len(rows(out))) == (1, 1, 1)
    again = await play(made, items(1), out, Settings(client=gate))
    assert (again.state, again.done, gate.calls, len(rows(out))) == ("done", 1, 1, 1)


async def test_an_item_that_was_changed_twice_is_replayed_with_the_calls_that_it_took(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(jury(), 2, out)
    await played(jury(first="acme/other"), 2, out, accept_changes=True)
    await played(jury(first="acme/other", third="acme/another"), 2, out, accept_changes=True)
    assert {row["calls"] for row in rows(out)} == {5}
    await replay(out, tmp_path / "replay")
    assert results(tmp_path / "replay") == results(out)


async def test_a_fork_is_not_taken_for_one_at_another_event_or_of_another_run(tmp_path: Path) -> None:
    out, other, forked = tmp_path / "run", tmp_path / "other", tmp_path / "fork"
    for run in (out, other):
        await played(jury(), 1, run)
    with LogReader(out / "run.db") as log:
        first, _, third = [event.sequence for event in log.events(kinds=("cast_vote",))]
    await fork(out, third, forked, Settings(client=Speaker()))
    for run, at in ((out, first), (other, third)):
        with pytest.raises(DeclarationError, match=f"a fork of {out} at event {third}, not of {run} at event {at}"):
            await fork(run, at, forked, Settings(client=Speaker()))
    with pytest.raises(DeclarationError, match="a run that is no fork"):
        await fork(out, first, other, Settings(client=Speaker()))
    speaker = Speaker()
    again = await fork(out, third, forked, Settings(client=speaker))
    assert (again.state, speaker.calls) == ("done", [])


async def test_an_item_whose_failure_is_replaced_just_now_has_one_outcome_at_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    await played(jury(), 1, out, Speaker(lambda _: CallRefused("no")))
    await retry(out, Settings(client=Speaker()))
    with LogReader(out / "run.db") as log:
        failed, aside = (next(log.events(kinds=(kind,))).sequence for kind in ("item_failed", "outcome_set_aside"))
        for moment in {*range(failed, log.last() + 1)} - {aside}:  # it is committed together with the outcome after it
            monkeypatch.setattr(log, "last", lambda moment=moment: moment)
            fold = Fold(log).whole()
            assert fold.verdicts.total() + fold.failures.total() == 1, moment


async def test_a_run_that_was_broken_off_within_a_call_goes_on_with_a_cassette(tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "run"
    await played(jury(), 1, whole)
    down = EndpointDown("gone")
    down.attempts = (Attempt(latency_s=0.0, error="EndpointDown: gone"),)
    await played(jury(), 1, out, Speaker(lambda call: down if call.settings.model == "acme/second" else speak(call)))
    with LogReader(whole / "run.db") as log:
        status = await play(jury(), items(1), out, Settings(cassette=RecordedRun(log)))
    assert (status.state, status.calls, status.calls_failed) == ("done", 4, 1)
    assert rows(out)[0]["verdict"] == rows(whole)[0]["verdict"]

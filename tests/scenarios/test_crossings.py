"""Runs in which two things cross: two starts, a retry and a change, a change and another, a fork and another."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playing import items, written
from playing import results as rows
from telling import Speaker, apart, cut_short, played, results, speak

from fellowship.agents import ROLES, Agent, Juror, Prompt
from fellowship.protocols.errors import CallRefused, DeclarationError, EndpointDown, PromptTooLong
from fellowship.protocols.models import Attempt, Completion, ModelCall
from fellowship.protocols.registry import Registry
from fellowship.runtime.log import LogReader
from fellowship.runtime.recording import RecordedRun
from fellowship.runtime.session import Limits
from fellowship.scenarios import Plan, Settings, load, open_dataset, plan, play
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


def too_long(juror: str, question: int) -> Callable[[ModelCall], Any]:
    """Return a script in which a juror's model refuses one of the questions."""

    def script(call: ModelCall) -> str | PromptTooLong:
        refused = call.settings.model == f"acme/{juror}" and f"Question {question}?" in call.messages[-1].content
        return PromptTooLong("too long") if refused else speak(call)

    return script


@pytest.mark.parametrize("broken_off", [False, True])
async def test_a_retry_that_accepts_changes_asks_what_failed_again(tmp_path: Path, *, broken_off: bool) -> None:
    out = tmp_path / "run"
    await played(jury(), 2, out, Speaker(too_long("second", 0)))
    with closing(sqlite3.connect(out / "run.db")) as connection, connection:  # as a package with other prompts noted it
        connection.execute("UPDATE meta SET value = json_set(value, '$.prompts.first', 'other') WHERE key = 'played'")
    if broken_off:
        await retry(out, Settings(client=Speaker(last=1), accept_changes=True))
    speaker = Speaker()
    status = await retry(out, Settings(client=speaker, accept_changes=True))
    assert (status.done, status.failed, speaker.asked.total()) == (2, 0, 2)


class Stern(Juror):
    prompt = Prompt("{% block system %}You are stern.{% endblock %}")


STERN: Registry[type[Agent]] = Registry("role", {**{name: ROLES[name] for name in ROLES}, "juror": Stern})


@pytest.mark.parametrize("broken_off", [None, 1, 4])
async def test_a_retry_that_accepts_changes_plays_all_that_they_affect(tmp_path: Path, broken_off: int | None) -> None:
    out = tmp_path / "run"
    await played(jury(), 3, out, Speaker(too_long("second", 0)))
    if broken_off is not None:
        model = Speaker(last=broken_off)
        stopped = await retry(
            out, Settings(client=model, limits=Limits(concurrency=1), accept_changes=True), roles=STERN
        )
        assert stopped.state == "stopped"
    status = await retry(out, Settings(client=Speaker(), accept_changes=True), roles=STERN)
    assert (status.state, status.done, status.failed) == ("done", 3, 0)
    assert [row["item"] for row in rows(out)] == ["i0", "i1", "i2"]


@pytest.mark.parametrize("last", [1, 2, 3])
async def test_changes_that_are_taken_back_before_they_came_to_anything_ask_for_nothing(
    tmp_path: Path, last: int
) -> None:
    """First all jurors change, as a slip of the user's, and the run is stopped; then they are what they were."""
    out = tmp_path / "run"
    await played(jury(), 1, out)
    slip = jury("judging.scale=5")
    await played(slip, 1, out, Speaker(last=last), accept_changes=True)
    back = Speaker()
    status = await played(jury(), 1, out, back, accept_changes=True)
    assert status is not None
    assert (status.done, back.calls, status.calls) == (1, [], 3 + last - 1)
    await replay(out, tmp_path / "replay")
    assert results(tmp_path / "replay") == results(out)


@pytest.mark.parametrize("then", [1, 2, 3])
async def test_taken_back_and_broken_off_again_they_still_ask_for_nothing(tmp_path: Path, then: int) -> None:
    out = tmp_path / "run"
    await played(jury(), 1, out)
    await played(jury("judging.scale=5"), 1, out, Speaker(last=2), accept_changes=True)
    whole = tmp_path / "whole"
    shutil.copytree(out, whole)
    await played(jury(), 1, whole, accept_changes=True)
    with LogReader(whole / "run.db") as log:
        opened = max(event.sequence for event in log.events(kinds=("item_opened",)))
    killed = cut_short(whole, tmp_path / "killed", opened + 3 * then - 2)
    back = Speaker()
    status = await played(jury(), 1, killed, back, accept_changes=True)
    assert status is not None
    assert (status.done, back.calls, status.calls) == (1, [], 4)


async def test_what_a_fork_stands_on_stands_when_it_is_retried_and_replayed(tmp_path: Path) -> None:
    out, forked = tmp_path / "run", tmp_path / "fork"
    await played(jury(), 1, out)
    with LogReader(out / "run.db") as log:
        *_, third = [event.sequence for event in log.events(kinds=("cast_vote",))]
    changes = {"models": {"first": "acme/other"}, "changes": ["agents.second.instructions=Be brief."]}
    failed = await fork(out, third, forked, Settings(client=Speaker(too_long("third", 0))), **changes)
    assert failed.failed == 1
    speaker = Speaker()
    status = await retry(forked, Settings(client=speaker))
    assert (status.done, [call.settings.model for call in speaker.calls]) == (1, ["acme/third"])
    again = await replay(forked, tmp_path / "replay")
    assert not again.differing
    assert results(tmp_path / "replay") == results(forked)


KEY = "acme-correct-horse-battery-staple"


def leaking(call: ModelCall) -> str:
    return f"My key is {KEY}." if call.answer is None else speak(call)


@pytest.mark.parametrize("last", [2, 3, 4])
async def test_an_agent_that_said_a_secret_goes_on_where_it_was_broken_off(tmp_path: Path, last: int) -> None:
    made, out, models = apart("feedback-loop"), tmp_path / "run", (Speaker(leaking, last=last), Speaker(leaking))
    for model in models:
        await play(made, items(1), out, Settings(client=model, environ={"ACME_API_KEY": KEY}))
    assert models[0].asked.total() + models[1].asked.total() == 5
    assert rows(out)[0]["calls"] == 5
    again = await replay(out, tmp_path / "replay", Settings(environ={}))
    assert not again.differing


async def test_data_are_looked_at_again_after_others_were_played_that_have_no_file(tmp_path: Path) -> None:
    made, out, file = apart("judge"), tmp_path / "run", written(tmp_path / "data.jsonl", 2)
    await played(made, open_dataset(file, takes="comparison"), out)
    others = [item.model_copy(update={"prompt": "Which is better?"}) for item in items(2)]
    await played(made, others, out, accept_changes=True)
    with pytest.raises(DeclarationError, match=r'item .i0.\.prompt: "Which is better\?" then, "Question 0\?" now'):
        await play(made, open_dataset(file, takes="comparison"), out, Settings(client=Speaker()))

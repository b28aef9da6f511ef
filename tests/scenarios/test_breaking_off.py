"""Runs that break off after every single event of theirs, and go on from there."""

import json
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from playing import MODEL, items

from fellowship.protocols.errors import PromptTooLong
from fellowship.protocols.models import ModelCall
from fellowship.runtime.log import LogReader
from fellowship.runtime.session import Limits
from fellowship.runtime.testing import ScriptedModel
from fellowship.runtime.testing.opinions import Opinions, key_of
from fellowship.runtime.testing.proofs import differing_outcomes, gaps, recorded
from fellowship.scenarios import Plan, Settings, Status, load, plan, play
from fellowship.scenarios.again import retry

JURORS = {"first": "acme/one", "second": "acme/two", "third": "acme/three"}
REVIEWERS = {"writer": "acme/m", "first": "acme/one", "second": "acme/two"}
WRITERS = {"writer": "acme/one", "reviewer": "acme/two", "single": "acme/three", "judge": "acme/four"}
PAIRS = ("preference-pairs", "review=both", "follow=best", "own_family=true", "rounds=1")


def distinct(name: str, *changes: str) -> Plan:
    """Return a plan in which no two calls are the same."""
    scenario, source = load(name, changes=changes)
    of_jury = {"*": MODEL} if not name.startswith("jury") else JURORS
    models = {"feedback-panel": REVIEWERS, "preference-pairs": WRITERS}.get(name, of_jury)
    return plan(scenario, source=source, models=models)


def settings(model: ScriptedModel, *, accept_changes: bool = False) -> Settings:
    return Settings(client=model, limits=Limits(concurrency=4), accept_changes=accept_changes)


def key(call: ModelCall) -> str:
    model = call.settings.model.partition("/")[2]
    return key_of(model, ((message.role, message.digest) for message in call.messages))


def broken_off(run: Path, into: Path, last: int, results: Path | None, played: str | None) -> Path:
    """Copy a run as it lay when this event was the last that was committed, and results were those of before."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    shutil.copyfile(run / "run.db", into / "run.db")
    with closing(sqlite3.connect(into / "run.db")) as connection, connection:
        connection.execute("DELETE FROM events WHERE sequence > ?", (last,))
        if played is not None:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'played'", (played,))
    if results is not None:
        shutil.copyfile(results / "results.jsonl", into / "results.jsonl")
    return into


def told(run: Path) -> tuple[int, str | None, dict[int, str]]:
    """Return the last event, what is noted as played, and bodies of the events about the run and its outcomes."""
    with LogReader(run / "run.db") as log:
        kinds = ("run_changed", "outcome_set_aside")
        return log.last(), log.meta("played"), {event.sequence: event.body for event in log.events(kinds=kinds)}


async def goes_on_from_every_event(
    run: Path,
    before: Path | None,
    undisturbed: Path,
    go_on: Callable[[ScriptedModel, Path], Awaitable[Status]],
    answers: Opinions | None = None,
) -> int:
    """Break a run off after each event that came to those of an earlier state; return how many places there were."""
    first, played, _ = told(before) if before is not None else (0, None, {})
    last, _, special = told(run)
    changed = min((at for at, body in special.items() if json.loads(body)["kind"] == "run_changed"), default=0)
    places = 0
    for at in range(first, last + 1):
        if '"retried"' in special.get(at, ""):
            continue  # it is committed together with the outcome that follows
        places += 1
        out = broken_off(run, run.with_name("copy"), at, before, played if at < changed else None)
        paid = recorded(out / "run.db", ("endpoint", "recording")).calls
        model = ScriptedModel(answers or Opinions())
        found = await go_on(model, out)
        assert (found.state, found.failed) == ("done", 0), at
        assert [key(call) for call in model.calls if key(call) in paid] == [], at
        assert differing_outcomes(out, undisturbed) == [], at
        assert gaps(out) == [], at
    return places


@pytest.mark.parametrize(
    "changes",
    [
        *[(name,) for name in ("jury", "jury-sequential", "jury-escalating", "debate", "feedback-panel")],
        ("feedback-gated", "pick=judged", "rounds=3"),
        PAIRS,
    ],
    ids=lambda changes: changes[0],
)
async def test_wherever_a_run_breaks_off_it_goes_on_and_asks_nothing_again_that_was_answered(
    changes: tuple[str, ...], tmp_path: Path
) -> None:
    made, run = distinct(*changes), tmp_path / "run"
    await play(made, items(1), run, settings(ScriptedModel(Opinions())))

    async def go_on(model: ScriptedModel, out: Path) -> Status:
        return await play(made, items(1), out, settings(model))

    assert await goes_on_from_every_event(run, None, run, go_on) > 5


@pytest.mark.parametrize(
    ("scenario", "change"),
    [
        (("debate",), "judging.scale=5"),
        (("feedback-panel",), "agents.second.instructions=Be brief."),
        (PAIRS, "agents.judge.instructions=Be strict."),
    ],
    ids=["debate", "feedback-panel", "preference-pairs"],
)
async def test_wherever_a_changed_run_breaks_off_answers_that_still_fit_are_not_asked_for_again(
    scenario: tuple[str, ...], change: str, tmp_path: Path
) -> None:
    made, changed, run = distinct(*scenario), distinct(*scenario, change), tmp_path / "run"
    await play(made, items(1), run, settings(ScriptedModel(Opinions())))
    before = shutil.copytree(run, tmp_path / "before")
    await play(changed, items(1), tmp_path / "undisturbed", settings(ScriptedModel(Opinions())))

    async def go_on(model: ScriptedModel, out: Path) -> Status:
        return await play(changed, items(1), out, settings(model, accept_changes=True))

    await go_on(ScriptedModel(Opinions()), run)
    assert await goes_on_from_every_event(run, before, tmp_path / "undisturbed", go_on) > 25


async def test_wherever_a_retry_breaks_off_the_same_command_ends_it(tmp_path: Path) -> None:
    calm, poor = Opinions(unreadable=0), Opinions(unreadable=0, refused=0.3)

    def refusing(call: ModelCall) -> str | PromptTooLong:
        text = poor(call)
        return text if next(poor) is None else PromptTooLong("the prompt is too long")

    made, run = distinct("jury"), tmp_path / "run"
    await play(made, items(3), tmp_path / "undisturbed", settings(ScriptedModel(calm)))
    failed = await play(made, items(3), run, settings(ScriptedModel(refusing)))
    assert failed.failed >= 2
    before = shutil.copytree(run, tmp_path / "before")

    async def go_on(model: ScriptedModel, out: Path) -> Status:
        return await retry(out, settings(model))

    await go_on(ScriptedModel(calm), run)
    assert await goes_on_from_every_event(run, before, tmp_path / "undisturbed", go_on, calm) > 10

"""The same seed and the same answers give the same run, event for event, whoever is quick and however many play."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from playing import items
from telling import LIBRARY, Speaker, apart, kinds, played, results, speak, story

from fellowship.agents import ROLES, Generator
from fellowship.protocols.generation import DraftWritten
from fellowship.protocols.messages import Command, Fact
from fellowship.protocols.models import ChatMessage, ModelCall
from fellowship.protocols.ports import Context
from fellowship.runtime.log import LogReader
from fellowship.runtime.recording import Cassette, FileCassette, RecordedRun
from fellowship.runtime.recording.file import write
from fellowship.runtime.session import Limits
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Plan, Settings, load, plan, play

Line = tuple[int, str, int | None, str, tuple[str, ...], str, str]


def events(out: Path) -> list[Line]:
    """Return all that a log holds, but the times."""
    with LogReader(out / "run.db") as log:
        return [
            (one.sequence, one.conversation, one.cause, one.sender, one.recipients, one.kind, one.body)
            for one in log.events()
        ]


async def from_cassette(made: Plan, cassette: Cassette, count: int, out: Path, **more: Any) -> None:
    await play(made, items(count), out, Settings(cassette=cassette, limits=Limits(concurrency=64), **more))


VARIANTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(LIBRARY, ()),
    "judge in both orders": ("judge", "judging.orders=both", "judging.strategy=independent"),
    "jury in random orders": ("jury", "judging.orders=random"),
    "loop until": ("feedback-loop", "flow.1.repeat=4", "flow.1.until=score >= 4"),
}


def made_of(variant: str) -> Plan:
    changes = VARIANTS[variant]
    return apart(changes[0], *changes[1:]) if changes else apart(variant)


@pytest.mark.parametrize("variant", VARIANTS)
async def test_two_runs_of_a_cassette_are_the_same_event_for_event(tmp_path: Path, variant: str) -> None:
    made = made_of(variant)
    await played(made, 24, tmp_path / "run", Speaker(pause=True), concurrency=8)
    with LogReader(tmp_path / "run" / "run.db") as log:
        for name in ("one", "two"):
            await from_cassette(made, RecordedRun(log), 24, tmp_path / name)
        write(log, tmp_path / "tape.jsonl")
    await from_cassette(made, FileCassette.read(tmp_path / "tape.jsonl"), 24, tmp_path / "three")
    assert events(tmp_path / "one") == events(tmp_path / "two") == events(tmp_path / "three")
    assert len(events(tmp_path / "one")) > 24 * 5
    for name in ("one", "two", "three"):
        assert results(tmp_path / name) == results(tmp_path / "run")


@pytest.mark.parametrize("variant", VARIANTS)
async def test_who_is_quick_and_how_many_play_decides_nothing(tmp_path: Path, variant: str) -> None:
    made = made_of(variant)
    await played(made, 10, tmp_path / "one", Speaker())
    await played(made, 10, tmp_path / "many", Speaker(pause=True), concurrency=8)
    assert story(tmp_path / "one") == story(tmp_path / "many")
    assert results(tmp_path / "one") == results(tmp_path / "many")


async def test_failures_and_unread_answers_are_the_same_from_a_cassette(tmp_path: Path) -> None:
    def script(call: ModelCall) -> Any:
        number = int(call.messages[1].content.split("Question ")[1].split("?")[0])
        return RuntimeError("a bug") if number == 3 else "?" if number % 4 == 1 else speak(call)

    made = apart("jury", "agents.second.failing={retry: 1, then: recuse}")
    await played(made, 12, tmp_path / "run", Speaker(script, pause=True), concurrency=5)
    with LogReader(tmp_path / "run" / "run.db") as log:
        for name in ("one", "two"):
            await from_cassette(made, RecordedRun(log), 12, tmp_path / name)
    assert events(tmp_path / "one") == events(tmp_path / "two")
    assert results(tmp_path / "one") == results(tmp_path / "run")


async def test_another_seed_is_another_run(tmp_path: Path) -> None:
    made = apart("jury", "judging.orders=random")
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        await played(made, 24, tmp_path / name, Speaker(), seed=seed)
    assert results(tmp_path / "one") == results(tmp_path / "again")
    assert events(tmp_path / "one") == events(tmp_path / "again")
    orders = [
        [vote.ballots[0].order for vote in kinds(tmp_path / name, "vote_cast")] for name in ("one", "again", "other")
    ]
    assert orders[0] == orders[1] != orders[2]
    assert set(orders[0]) == {"ab", "ba"}


async def test_the_seed_is_noted_wherever_one_looks_for_it(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("judge"), 1, out, seed=11)
    assert kinds(out, "run_started")[0].seed == 11
    assert yaml.safe_load((out / "run.yaml").read_text())["seed"] == 11


async def test_the_seed_that_a_model_samples_by_is_noted_with_every_call(tmp_path: Path) -> None:
    made = apart("jury", "models.judge={model: acme/judge, seed: 5, temperature: 0.7}", "agents.first.model=judge")
    out = tmp_path / "run"
    await played(made, 2, out)
    noted = [
        (called.model, called.settings.get("seed"), called.settings["temperature"])
        for called in kinds(out, "model_called")
    ]
    assert sorted(noted, key=str) == sorted(
        [("acme/judge", 5, 0.7), ("acme/second", None, 0.0), ("acme/third", None, 0.0)] * 2, key=str
    )
    assert yaml.safe_load((out / "run.yaml").read_text())["models"]["first"]["seed"] == 5


class Dicing(Generator):
    """Throws dice before it speaks."""

    async def answer(self, command: Command[Fact], context: Context) -> None:
        thrown = [context.rng.randint(1, 6) for _ in range(4)]
        call = ModelCall(self.profile.settings, (ChatMessage("user", f"{self.item.prompt} {thrown}"),))
        completion = await context.model.complete(call)
        await context.emit(DraftWritten(round=command.round, text=f"{thrown} {completion.text}", version=command.round))


async def test_an_agents_dice_fall_by_the_seed_the_item_and_the_agent_alone(tmp_path: Path) -> None:
    scenario, source = load("feedback-loop", changes=["agents.writer.role=dicing"])
    models = {"writer": "acme/writer", "reviewer": "acme/reviewer"}
    made = plan(scenario, source=source, models=models, roles=ROLES.extended(dicing=Dicing))
    for name, seed, concurrency, pause in (("one", 1, 1, False), ("many", 1, 7, True), ("other", 2, 1, False)):
        await played(made, 8, tmp_path / name, Speaker(pause=pause), concurrency=concurrency, seed=seed)
    assert results(tmp_path / "one") == results(tmp_path / "many") != results(tmp_path / "other")
    drafts = [draft.text.split("]")[0] for draft in kinds(tmp_path / "one", "draft_written")]
    assert len(set(drafts)) > 20
    with LogReader(tmp_path / "many" / "run.db") as log:
        await from_cassette(made, RecordedRun(log), 8, tmp_path / "replayed", seed=1)
    assert results(tmp_path / "replayed") == results(tmp_path / "one")


async def test_the_dice_of_a_conversation_begun_anew_fall_as_they_fell(tmp_path: Path) -> None:
    made: list[Plan] = []
    for pick in ("last", "first"):
        scenario, source = load("feedback-panel", changes=["agents.writer.role=dicing", f"flow.2.pick={pick}"])
        models = {"writer": "acme/writer", "first": "acme/reviewer", "second": "acme/reviewer"}
        made.append(plan(scenario, source=source, models=models, roles=ROLES.extended(dicing=Dicing)))
    speaker = Speaker()
    await played(made[0], 3, tmp_path / "run")
    await played(made[1], 3, tmp_path / "run", speaker, accept_changes=True)
    await played(made[1], 3, tmp_path / "fresh")
    assert speaker.calls == []
    assert results(tmp_path / "run") == results(tmp_path / "fresh")


async def test_whoever_listens_after_a_round_hears_it_in_its_order_whoever_was_quicker(tmp_path: Path) -> None:
    async def script(call: ModelCall) -> str:
        if call.settings.model == "acme/first":
            for _ in range(50):
                await asyncio.sleep(0)
        return as_reply(call)

    speaker = Speaker(script)
    await played(apart("feedback-panel"), 1, tmp_path / "run", speaker)
    spoke = [event[3] for event in events(tmp_path / "run") if event[5] == "feedback_given"]
    assert spoke == ["second", "first"] * 2
    revisions = [call.messages[-1].content for call in speaker.calls if call.settings.model == "acme/writer"][1:]
    assert len(revisions) == 2
    for revision in revisions:
        assert revision.index('<review by="first">') < revision.index('<review by="second">')


# as a user would test a scenario of one's own


async def recorded(path: Path, script: Callable[[ModelCall], str] = speak) -> Path:
    """Record a cassette once, to be kept beside the tests."""
    await play(apart("debate"), items(3), path / "recorded", Settings(client=ScriptedModel(script)))
    with LogReader(path / "recorded" / "run.db") as log:
        write(log, path / "debate.jsonl")
    return path / "debate.jsonl"


async def test_a_scenario_is_tested_with_a_cassette_in_place_of_a_model(tmp_path: Path) -> None:
    cassette = FileCassette.read(await recorded(tmp_path))
    status = await play(apart("debate"), items(3), tmp_path / "run", Settings(cassette=cassette))
    assert (status.state, status.done, status.calls) == ("done", 3, 27)
    assert results(tmp_path / "run") == results(tmp_path / "recorded")
    assert {called.source for called in kinds(tmp_path / "run", "model_called")} == {"recording"}


async def test_a_cassette_that_was_edited_by_hand_plays_as_it_was_edited(tmp_path: Path) -> None:
    path = await recorded(tmp_path)
    head, *lines = map(json.loads, path.read_text().splitlines())
    for line in lines:
        if line["call"].get("answer"):
            line["call"]["text"] = '{"reason": "edited", "score_a": 1, "score_b": 9}'
    path.write_text("".join(json.dumps(line) + "\n" for line in (head, *lines)))
    status = await play(apart("debate"), items(3), tmp_path / "run", Settings(cassette=FileCassette.read(path)))
    assert status.verdicts == {"b": 3}


async def test_what_fits_of_a_cassette_saves_calls_and_the_rest_is_asked(tmp_path: Path) -> None:
    model = ScriptedModel(speak)
    cassette = FileCassette.read(await recorded(tmp_path))
    made = apart("debate", "agents.critic.instructions=Speak in rhymes.")
    settings = Settings(client=model, cassette=cassette, fit="while exact")
    status = await play(made, items(3), tmp_path / "run", settings)
    # The two who speak before the critic say what they have said; after it everyone has something else to answer.
    assert (status.done, len(model.calls)) == (3, 3 * 7)
    fresh = ScriptedModel(speak)
    await play(made, items(3), tmp_path / "fresh", Settings(client=fresh))
    assert results(tmp_path / "run") == results(tmp_path / "fresh")

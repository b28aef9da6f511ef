"""Scenarios played on scripted models: who was asked and heard what, and what became of it."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from fellowship.protocols.errors import DeclarationError, LogError, ModelError, Overloaded
from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Candidate, Item
from fellowship.protocols.models import ModelCall
from fellowship.runtime.log import LogReader, SqliteLog
from fellowship.runtime.session import Limits
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Outcome, Plan, Settings, Status, load, plan, play
from fellowship.scenarios.loading import validate
from fellowship.scenarios.source import read


def items(count: int = 1, prefix: str = "i") -> list[Item]:
    return [
        Item(
            id=ItemId(f"{prefix}{number}"),
            prompt=f"Question {number}?",
            candidates=(Candidate(slot="a", text=f"Answer a{number}"), Candidate(slot="b", text=f"Answer b{number}")),
        )
        for number in range(count)
    ]


def library(name: str, *changes: str) -> Plan:
    scenario, source = load(name, changes=changes)
    return plan(scenario, source=source)


def results(out: Path) -> list[Outcome]:
    return [Outcome(**json.loads(line)) for line in (out / "results.jsonl").read_text().splitlines()]


def heard(out: Path) -> list[str]:
    """Return what was said, in order: `speaker kind -> who is told at once`, and who was caught up with what."""
    lines: list[str] = []
    names: dict[int, str] = {}
    with LogReader(out / "run.db") as log:
        for event in log.events():
            if event.kind in ("draft_written", "feedback_given", "argument_made", "vote_cast"):
                names[event.sequence] = f"{event.sender} {event.kind.split('_')[0]}"
                lines.append(f"{names[event.sequence]} -> {','.join(event.recipients)}")
            elif event.kind == "hearing_changed":
                change = event.message()
                told = ",".join(names[number] for number in change.caught_up)  # type: ignore[attr-defined]
                lines.append(f"{change.agent} hears {','.join(change.hears)} [{told}]")  # type: ignore[attr-defined]
    return lines


async def played(made: Plan, out: Path, model: ScriptedModel, count: int = 1, **limits: int) -> Status:
    return await play(made, items(count), out, Settings(client=model, limits=Limits(**limits)))


async def test_the_judge_asks_once(tmp_path: Path) -> None:
    model = ScriptedModel(['{"reason": "so", "score_a": 3, "score_b": 8}'])
    status = await played(library("judge"), tmp_path / "run", model)
    assert (status.state, status.done, status.verdicts) == ("done", 1, {"b": 1})
    assert results(tmp_path / "run") == [
        Outcome(
            item=ItemId("i0"),
            status="done",
            verdict="b",
            scores={"a": 3.0, "b": 8.0},
            calls=1,
            tokens=status.input_tokens + status.output_tokens,
        )
    ]
    assert heard(tmp_path / "run") == ["judge vote -> "]


@pytest.mark.parametrize(
    ("changes", "calls"),
    [
        ((), 1),
        (("judging.strategy=direct",), 1),
        (("judging.strategy=independent",), 2),
        (("judging.orders=both",), 2),
        (("judging.strategy=independent", "judging.orders=both"), 4),
        (("judging.orders=random",), 1),
        (("judging.scale=5",), 1),
        (("judging.scale=100",), 1),
    ],
)
async def test_the_judge_judges_in_every_way(tmp_path: Path, changes: Sequence[str], calls: int) -> None:
    model = ScriptedModel()
    status = await played(library("judge", *changes), tmp_path / "run", model)
    assert (status.done, len(model.calls), status.calls) == (1, calls, calls)


async def test_the_jury_votes_apart_and_the_mode_wins(tmp_path: Path) -> None:
    answers = iter([(8, 6), (6, 8), (9, 2)])

    def script(call: ModelCall) -> str:
        a, b = next(answers)
        return json.dumps({"reason": "so", "score_a": a, "score_b": b})

    model = ScriptedModel(script)
    status = await played(library("jury"), tmp_path / "run", model)
    assert status.verdicts == {"a": 1}
    assert [len(call.messages) for call in model.calls] == [2, 2, 2]
    assert heard(tmp_path / "run") == ["first vote -> ", "second vote -> ", "third vote -> "]


async def test_the_debate_is_one_by_one_and_votes_hear_no_votes(tmp_path: Path) -> None:
    model = ScriptedModel()
    status = await played(library("debate"), tmp_path / "run", model)
    assert (status.calls, status.verdicts) == (9, {"tie": 1})
    rounds = heard(tmp_path / "run")
    assert rounds[:9] == [
        "public hears psychologist,critic []",
        "psychologist hears public,critic []",
        "critic hears public,psychologist []",
        "public argument -> psychologist,critic",
        "psychologist argument -> public,critic",
        "critic argument -> public,psychologist",
        "public argument -> psychologist,critic",
        "psychologist argument -> public,critic",
        "critic argument -> public,psychologist",
    ]
    assert [line.split()[1] for line in rounds[9:]] == ["vote", "vote", "vote"]
    shown = ["\n".join(message.content for message in call.messages) for call in model.calls]
    # Every voter has seen all six turns, its own as its own words, and no vote: only requests mention the turns.
    for call in model.calls[6:]:
        turns = sum(message.content.count("<turn by=") for message in call.messages)
        own = sum(message.role == "assistant" for message in call.messages)
        assert (turns, own) == (4, 2)
        assert not any("score_a" in message.content and message.role == "assistant" for message in call.messages)
    assert [text.count("<turn by=") for text in shown[:6]] == [0, 1, 2, 2, 3, 4]
    for persona in ("general public", "psychologist", "critic"):
        assert persona in shown[0] + shown[1] + shown[2]


async def test_the_feedback_loop_writes_three_drafts_and_picks_the_last(tmp_path: Path) -> None:
    answers = iter(["one", "two", "three"])
    model = ScriptedModel(lambda call: as_reply(call) if call.answer else next(answers))
    status = await played(library("feedback-loop"), tmp_path / "run", model)
    assert (status.done, status.calls) == (1, 5)
    assert results(tmp_path / "run")[0].text == "three"
    assert heard(tmp_path / "run") == [
        "writer draft -> ",
        "reviewer hears writer [writer draft]",
        "reviewer feedback -> ",
        "writer hears reviewer [reviewer feedback]",
        "writer draft -> reviewer",
        "reviewer feedback -> writer",
        "writer draft -> reviewer",
    ]


async def test_reviewers_of_a_panel_do_not_hear_one_another_and_the_writer_hears_both_at_once(tmp_path: Path) -> None:
    model = ScriptedModel()
    status = await played(library("feedback-panel"), tmp_path / "run", model)
    assert status.calls == 7
    assert heard(tmp_path / "run")[:6] == [
        "writer draft -> ",
        "first hears writer [writer draft]",
        "second hears writer [writer draft]",
        "first feedback -> ",
        "second feedback -> ",
        "writer hears first,second [first feedback,second feedback]",
    ]
    revision = next(call for call in model.calls if len(call.messages) == 4 and not call.answer)
    assert revision.messages[-1].content.count("<review by=") == 2


async def test_who_begins_to_listen_after_a_round_of_all_together_does_not_hear_who_was_quicker(tmp_path: Path) -> None:
    async def script(call: ModelCall) -> str:
        if call.settings.model == "x/slow":
            for _ in range(200):
                await asyncio.sleep(0)
        return as_reply(call)

    scenario, source = load("feedback-panel")
    made = plan(scenario, source=source, models={"writer": "x/m", "first": "x/slow", "second": "x/quick"})
    await played(made, tmp_path / "run", ScriptedModel(script))
    assert heard(tmp_path / "run")[3:6] == [
        "second feedback -> ",
        "first feedback -> ",
        "writer hears first,second [first feedback,second feedback]",
    ]


async def test_a_repeat_ends_when_its_condition_holds(tmp_path: Path) -> None:
    scores = iter([6.0, 9.5])
    model = ScriptedModel(lambda call: as_reply(call, number=next(scores) if call.answer else 0))
    made = library("feedback-loop", "flow.1.repeat=5", "flow.1.until=score >= 9.5")
    status = await played(made, tmp_path / "run", model)
    assert status.calls == 5  # a draft, then two rounds of feedback and draft
    with LogReader(tmp_path / "run" / "run.db") as log:
        assert [event.message().round for event in log.events(kinds=("condition_met",))] == [2]  # type: ignore[attr-defined]


async def test_in_a_round_of_all_together_nobody_hears_who_was_quicker(tmp_path: Path) -> None:
    text = """\
scenario: s
takes: comparison
models: {m: x/y}
agents:
  one: {role: debater}
  two: {role: debater}
flow:
  - {repeat: 2, do: [{ask: [one, two], for: argument, order: together, hears: everyone}]}
  - {ask: [one, two], for: ballot}
  - {decide: majority}
gives: verdict
"""
    source = read(text, "s.yaml")
    first_waits = asyncio.Event()

    async def script(call: ModelCall) -> str:
        if len(call.messages) == 2 and not first_waits.is_set():
            first_waits.set()
            for _ in range(200):
                await asyncio.sleep(0)
        return as_reply(call)

    model = ScriptedModel(script)
    await played(plan(validate(source), source=source), tmp_path / "run", model)
    firsts = [call for call in model.calls if len(call.messages) == 2]
    seconds = [call for call in model.calls if len(call.messages) == 4]
    assert [call.messages[-1].content.count("<turn by=") for call in firsts] == [0, 0]
    assert [call.messages[-1].content.count("<turn by=") for call in seconds] == [1, 1]


async def test_one_items_failure_is_a_fact_and_no_other_items_business(tmp_path: Path) -> None:
    def script(call: ModelCall) -> str | Exception:
        if "Question 1?" in call.messages[1].content:
            return Overloaded("the endpoint is on fire")
        return as_reply(call)

    status = await played(library("judge"), tmp_path / "run", ScriptedModel(script), 3)
    assert (status.state, status.done, status.failed, status.calls_failed) == ("done", 2, 1, 1)
    assert status.failures == {"Overloaded": 1}
    found = results(tmp_path / "run")
    assert [outcome.item for outcome in found] == ["i0", "i1", "i2"]
    assert [outcome.status for outcome in found] == ["done", "failed", "done"]
    assert found[1].error == "Overloaded: the endpoint is on fire"
    with LogReader(tmp_path / "run" / "run.db") as log:
        failed = next(log.events(kinds=("item_failed",))).message()
    assert failed.cause.agent == "judge"  # type: ignore[attr-defined]


async def test_a_juror_that_fails_is_recused_where_the_scenario_says_so(tmp_path: Path) -> None:
    def script(call: ModelCall) -> str | Exception:
        return ModelError("gone") if call.settings.model == "x/broken" else as_reply(call, number=1)

    scenario, source = load("jury", changes=["agents.second.failing={retry: 1, then: recuse}"])
    made = plan(scenario, source=source, models={"second": "x/broken"})
    status = await played(made, tmp_path / "run", ScriptedModel(script))
    assert (status.done, status.calls, status.calls_failed) == (1, 4, 2)
    with LogReader(tmp_path / "run" / "run.db") as log:
        assert next(log.events(kinds=("decision_made",))).message().votes == 2  # type: ignore[attr-defined]
        assert [event.message().agent for event in log.events(kinds=("agent_recused",))] == ["second"]  # type: ignore[attr-defined]


async def test_with_every_juror_recused_the_item_fails_with_its_reason(tmp_path: Path) -> None:
    made = library("judge", "agents.judge.failing={then: recuse}")
    status = await played(made, tmp_path / "run", ScriptedModel(lambda _: ModelError("gone")))
    assert status.failures == {"NothingToDecide": 1}


async def test_unread_votes_are_counted_and_never_guessed(tmp_path: Path) -> None:
    status = await played(library("jury"), tmp_path / "run", ScriptedModel(lambda _: "A, of course"))
    assert (status.verdicts, status.unread_votes, status.calls) == ({"unread": 1}, 3, 6)
    assert results(tmp_path / "run")[0].verdict == "unread"


async def test_when_one_of_several_fails_what_the_others_said_is_in_the_log(tmp_path: Path) -> None:
    def script(call: ModelCall) -> str | Exception:
        return ModelError("gone") if call.settings.model == "x/broken" else as_reply(call)

    scenario, source = load("jury")
    made = plan(scenario, source=source, models={"first": "x/broken"})
    status = await played(made, tmp_path / "run", ScriptedModel(script))
    assert (status.failed, status.calls) == (1, 3)
    assert len(heard(tmp_path / "run")) == 2


async def test_results_stand_in_the_order_of_the_data_whatever_order_items_end_in(tmp_path: Path) -> None:
    async def script(call: ModelCall) -> str:
        number = int(call.messages[1].content.split("Question ")[1].split("?")[0])
        for _ in range(100 - 5 * number):
            await asyncio.sleep(0)
        return as_reply(call)

    await played(library("judge"), tmp_path / "run", ScriptedModel(script), 20)
    assert [outcome.item for outcome in results(tmp_path / "run")] == [f"i{number}" for number in range(20)]


async def test_no_more_conversations_are_open_than_asked_for(tmp_path: Path) -> None:
    in_flight, most = 0, 0

    async def script(call: ModelCall) -> str:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1
        return as_reply(call)

    await played(library("judge"), tmp_path / "run", ScriptedModel(script), 30, concurrency=4)
    assert most == 4


async def test_a_directory_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DeclarationError, match="is not a run"):
        await played(library("judge"), tmp_path, ScriptedModel())
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.txt"]


async def test_a_log_that_cannot_be_written_ends_the_run_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    commit = SqliteLog._commit
    groups = 0

    def fails_later(self: SqliteLog, *args: object) -> None:
        nonlocal groups
        groups += 1
        if groups > 2:
            raise sqlite3.OperationalError("database or disk is full")
        commit(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteLog, "_commit", fails_later)
    async with asyncio.timeout(10):
        with pytest.raises(LogError, match="disk is full"):
            await played(library("jury"), tmp_path / "run", ScriptedModel(), 50)


async def test_run_yaml_says_what_was_played(tmp_path: Path) -> None:
    import yaml

    await play(
        library("judge"),
        items(1),
        tmp_path / "run",
        Settings(client=ScriptedModel(), seed=7, about={"data": "d.jsonl"}),
    )
    record = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert record["scenario"]["scenario"] == "judge"
    assert record["models"]["judge"]["model"] == "local/smollm2-135m"
    assert record["seed"] == 7
    assert record["data"] == "d.jsonl"
    assert set(record["versions"]) >= {"python", "llm-fellowship", "openai"}
    assert len(record["prompts"]["judge"]) == 32


async def test_a_run_on_loopback_logs_no_key(tmp_path: Path) -> None:
    from fellowship.runtime.testing import Fault, LoopbackEndpoint

    key = "sk-very-secret-0123456789"
    faults = [Fault(status=401, error={"message": f"Incorrect API key provided: {key}"}), None, None]
    async with LoopbackEndpoint(faults=faults) as server:
        environ = {"ACME_BASE_URL": server.base_url, "ACME_API_KEY": key}
        scenario, source = load("judge")
        made = plan(scenario, source=source, models={"judge": "acme/m"})
        status = await play(made, items(3), tmp_path / "run", Settings(environ=environ))
    assert (status.state, status.failed) == ("stopped", 0)
    assert str(status.why).startswith("Unauthorised: acme/m answered 401")
    assert all(served.headers["Authorization"] == f"Bearer {key}" for served in server.ledger)
    for path in (tmp_path / "run").iterdir():
        assert key.encode() not in path.read_bytes()


async def test_two_items_with_one_id_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    model = ScriptedModel()
    with pytest.raises(DeclarationError, match="two items have the id 'i0'"):
        await play(library("judge"), [*items(1), *items(1)], tmp_path / "run", Settings(client=model))
    with pytest.raises(DeclarationError, match="cannot be written down"):
        odd = items(1)[0].model_copy(update={"prompt": "\ud800"})
        await play(library("judge"), [odd], tmp_path / "run", Settings(client=model))
    assert model.calls == []


async def test_ids_that_look_like_conversations_do_not_meet(tmp_path: Path) -> None:
    out = tmp_path / "run"
    x, x2 = (items(1)[0].model_copy(update={"id": ItemId(name)}) for name in ("x", "x~2"))

    async def never(call: ModelCall) -> str:
        await asyncio.Event().wait()
        return ""

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await play(library("judge"), [x], out, Settings(client=ScriptedModel(never)))
    status = await play(library("judge"), [x, x2], out, Settings(client=ScriptedModel()))
    assert status.done == 2
    assert [outcome.item for outcome in results(out)] == ["x", "x~2"]


async def test_a_start_that_fails_before_the_log_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "fake.gguf"
    fake.write_bytes(b"not a model")
    scenario, source = load("judge")
    made = plan(scenario, source=source, models={"judge": f"local/{fake}"})
    for _ in range(2):
        with pytest.raises(DeclarationError, match="cannot be loaded"):
            await play(made, items(1), tmp_path / "run")


async def test_results_that_cannot_be_written_are_told_and_nothing_half_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    (out / "results.jsonl").mkdir(parents=True)
    (out / "results.jsonl" / "in the way").touch()
    (out / "results.jsonl").rename(tmp_path / "aside")
    async with asyncio.timeout(10):
        await played(library("judge"), out, ScriptedModel())
    (out / "results.jsonl").unlink()
    (tmp_path / "aside").rename(out / "results.jsonl")
    with pytest.raises(LogError, match=r"results.jsonl cannot be written"):
        await played(library("judge"), out, ScriptedModel())
    assert not (out / "results.part").exists()

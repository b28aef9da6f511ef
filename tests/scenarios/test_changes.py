"""Runs that are played otherwise than before: refused with what has changed, or taken in where the user says so."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from playing import MODEL, beside, fellowship, items, status, written
from playing import results as rows
from telling import Speaker, apart, cut_short, kinds, length, played, results, said, speak

from fellowship.agents import ROLES, Agent, Juror, Prompt, wording
from fellowship.protocols.errors import DeclarationError, Overloaded
from fellowship.protocols.items import Candidate, Item
from fellowship.protocols.models import ModelCall
from fellowship.protocols.registry import Registry
from fellowship.runtime.log import LogReader
from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.scenarios import Plan, Progress, Settings, load, plan, play

LONG = "The answer is long, and only at its very end, which nobody reads, is there anything that sets it apart: "


class Stern(Juror):
    prompt = Prompt("{% block system %}You are stern.{% endblock %}")


STERN: Registry[type[Agent]] = Registry(
    "role", {**{name: ROLES[name] for name in ROLES if name != "juror"}, "juror": Stern}
)


async def refusal(made: Plan, data: list[Item] | int, out: Path, seed: int = 0) -> list[str]:
    """Return what a start is told that plays something else, a change a line."""
    with pytest.raises(DeclarationError) as caught:
        await play(made, items(data) if isinstance(data, int) else data, out, Settings(client=Speaker(), seed=seed))
    first, *changes, last = str(caught.value).splitlines()
    assert first == f"{out} holds a run of something else. It differs in"
    assert "--accept-changes goes on" in last
    assert last.endswith("or choose another --out")
    return [change.strip() for change in changes]


def other(item: Item, **changes: Any) -> Item:
    return item.model_copy(update=changes)


# refused


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (("judging.scale=5",), "scenario.judging.scale: not set then, 5 now"),
        (("flow.1.decide=mean-score",), 'scenario.flow.1.decide: "unique-mode" then, "mean-score" now'),
        (("flow.0.order=in-turn",), 'scenario.flow.0.order: not set then, "in-turn" now'),
        (("about=Short.",), 'scenario.about: "Three jurors vote apart; the verdict with the most votes wi... then, "Short." now'),
        (("agents.first.instructions=Be brief.",), 'scenario.agents.first.instructions: not set then, "Be brief." now'),
        (("models.spare=acme/spare",), 'scenario.models.spare: not set then, "acme/spare" now'),
    ],
)  # fmt: skip
async def test_a_changed_scenario_is_refused_with_the_place_that_changed(
    tmp_path: Path, changes: tuple[str, ...], told: str
) -> None:
    out = tmp_path / "run"
    await played(apart("jury"), 1, out)
    assert await refusal(apart("jury", *changes), 1, out) == [told]


async def test_another_persona_is_refused_by_name_and_by_wording(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("debate"), 1, out)
    named, worded = await refusal(apart("debate", "agents.critic.persona=scientist"), 1, out)
    assert named == 'scenario.agents.critic.persona: "critic" then, "scientist" now'
    assert worded.startswith("prompts.critic: ")


async def test_another_wording_of_a_prompt_is_refused_for_each_agent_that_has_it(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("jury"), 1, out)
    found = await refusal(apart("jury", roles=STERN), 1, out)
    assert [line.split(":")[0] for line in found] == ["prompts.first", "prompts.second", "prompts.third"]
    assert wording(Juror) in found[0]
    assert wording(Stern) in found[0]


async def test_another_model_is_refused_for_each_agent_that_speaks_through_it(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("jury"), 1, out)
    scenario, source = load("jury")
    names = {"first": "acme/first", "second": "other/model", "third": "acme/third"}
    made = plan(scenario, source=source, models={"judge": "acme/judge", **names})
    assert await refusal(made, 1, out) == ['models.second.model: "acme/second" then, "other/model" now']


async def test_another_seed_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("jury"), 1, out)
    assert await refusal(apart("jury"), 1, out, seed=7) == ["seed: 0 then, 7 now"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"prompt": "Another question?"}, ['.prompt: "Question 1?" then, "Another question?" now']),
        ({"metadata": {"source": "b"}}, ['.metadata.source: not set then, "b" now']),
        (
            {"candidates": (Candidate(slot="a", text="Answer a1"), Candidate(slot="b", text="Another", model="m"))},
            ['.candidates.1.text: "Answer b1" then, "Another" now', '.candidates.1.model: not set then, "m" now'],
        ),
    ],
)
async def test_changed_data_is_refused_with_the_item_and_the_field(
    tmp_path: Path, change: dict[str, Any], told: list[str]
) -> None:
    out = tmp_path / "run"
    await played(apart("judge"), 3, out)
    first, second, third = items(3)
    assert await refusal(apart("judge"), [first, other(second, **change), third], out) == [
        f"data: item 'i1'{line}" for line in told
    ]


async def test_long_texts_are_shown_where_they_begin_to_differ(tmp_path: Path) -> None:
    out = tmp_path / "run"
    before = [other(items(1)[0], prompt=f"{LONG}one.")]
    await played(apart("feedback-loop"), before, out)
    (line,) = await refusal(apart("feedback-loop"), [other(before[0], prompt=f"{LONG}two.")], out)
    then, now = line.split(" then, ")
    assert then.endswith('apart: one."')
    assert now.endswith('apart: two." now')
    assert len(line) < 200


async def test_an_item_that_is_gone_is_refused_by_name(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("judge"), 3, out)
    assert await refusal(apart("judge"), 2, out) == ["data: item 'i2' is not there any more"]


async def test_all_changes_are_told_together_and_of_many_the_first(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("judge"), 12, out)
    found = await refusal(apart("judge", "judging.scale=5"), [*items(1), other(items(2)[1], prompt="Why?")], out, 3)
    assert found == [
        "scenario.judging.scale: not set then, 5 now",
        "seed: 0 then, 3 now",
        'data: item \'i1\'.prompt: "Question 1?" then, "Why?" now',
        *(f"data: item 'i{number}' is not there any more" for number in range(2, 7)),
        "and 5 more",
    ]


async def test_a_refused_start_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    out, speaker = tmp_path / "run", Speaker()
    await played(apart("jury"), 2, out)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".lock"}
    with pytest.raises(ExceptionGroup):
        await played(apart("jury", "judging.scale=5"), 2, out, speaker)
    assert speaker.calls == []
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".lock"} == before


async def test_what_is_left_open_is_refused_no_less(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("jury"), 1, out, Speaker(last=2))
    assert await refusal(apart("jury", "judging.scale=5"), 1, out) == ["scenario.judging.scale: not set then, 5 now"]


# accepted


async def accepted(made: Plan, data: list[Item] | int, out: Path, speaker: Speaker | None = None, **more: Any) -> Any:
    found = await played(made, data, out, speaker, accept_changes=True, **more)
    assert found is not None
    return found


def at_odds(call: ModelCall) -> str:
    """Vote so that the mode of three jurors is b and their mean score says a."""
    a, b = (9, 1) if call.settings.model == "acme/first" else (4, 5)
    return json.dumps({"reason": "so", "score_a": a, "score_b": b})


async def fresh(made: Plan, data: list[Item] | int, out: Path, script: Any = speak) -> tuple[bytes, Speaker]:
    """Return what a run that was never anything else comes to."""
    speaker = Speaker(script)
    await played(made, data, out, speaker)
    return results(out), speaker


@pytest.mark.parametrize("change", ["about=Three jurors, again.", "models.spare=acme/spare"])
async def test_outcomes_that_a_change_does_not_affect_are_kept_without_a_call(tmp_path: Path, change: str) -> None:
    out, speaker = tmp_path / "run", Speaker()
    await played(apart("jury"), 3, out)
    before = results(out)
    seen = await accepted(apart("jury", change), 3, out, speaker)
    assert (seen.state, seen.done, seen.calls) == ("done", 3, 9)
    assert speaker.calls == []
    assert results(out) == before
    assert kinds(out, "outcome_set_aside") == []
    (changed,) = kinds(out, "run_changed")
    assert change.split("=", maxsplit=1)[0] in changed.changes[0]
    record = yaml.safe_load((out / "run.yaml").read_text())
    assert record["scenario"] == apart("jury", change).scenario.document()
    again = await played(apart("jury", change), 3, out, Speaker(last=1))
    assert again == seen


async def test_another_rule_decides_anew_over_the_recorded_votes_without_a_call(tmp_path: Path) -> None:
    out, speaker, made = tmp_path / "run", Speaker(), apart("jury", "flow.1.decide=mean-score")
    expected, _ = await fresh(made, 4, tmp_path / "fresh", at_odds)
    await played(apart("jury"), 4, out, Speaker(at_odds))
    assert {row["verdict"] for row in rows(out)} == {"b"}
    seen = await accepted(made, 4, out, speaker)
    assert speaker.calls == []
    assert results(out) == expected
    assert {row["verdict"] for row in rows(out)} == {"a"}
    assert (seen.done, seen.calls) == (4, 12)
    assert [end.reason for end in kinds(out, "outcome_set_aside")] == ["affected by changes"] * 4


async def test_votes_that_come_to_the_same_by_another_rule_stay_where_they_are(tmp_path: Path) -> None:
    out, speaker = tmp_path / "run", Speaker()
    await played(apart("jury"), 12, out)
    before = rows(out)
    await accepted(apart("jury", "flow.1.decide=majority"), 12, out, speaker)
    assert speaker.calls == []
    again = {opened.item.id for opened in kinds(out, "item_opened")[12:]}
    assert again == {row["item"] for row, now in zip(before, rows(out), strict=True) if row != now}
    assert len(again) < 12


async def test_with_another_model_for_one_juror_the_others_are_not_asked_again(tmp_path: Path) -> None:
    scenario, source = load("jury")
    names = {"judge": "acme/judge", "first": "acme/first", "second": "other/model", "third": "acme/third"}
    made = plan(scenario, source=source, models=names)
    out, speaker = tmp_path / "run", Speaker()
    await fresh(made, 4, tmp_path / "fresh")
    await played(apart("jury"), 4, out)
    seen = await accepted(made, 4, out, speaker)
    assert [call.settings.model for call in speaker.calls] == ["other/model"] * 4
    assert (seen.done, seen.calls) == (4, 16)
    assert [row["calls"] for row in rows(out)] == [4] * 4
    told = ("item", "status", "verdict", "scores")
    assert [[row.get(name) for name in told] for row in rows(out)] == [
        [row.get(name) for name in told] for row in rows(tmp_path / "fresh")
    ]


async def test_what_was_said_before_the_change_is_not_asked_again(tmp_path: Path) -> None:
    made = apart("feedback-panel", "agents.first.instructions=Be brief.")
    out, speaker = tmp_path / "run", Speaker()
    _, whole = await fresh(made, 1, tmp_path / "fresh")
    await played(apart("feedback-panel"), 1, out)
    await accepted(made, 1, out, speaker)
    asked = [call.settings.model for call in speaker.calls]
    assert asked.count("acme/first") == 2
    assert asked.count("acme/second") == 1  # of the first draft it has said what it has to say
    assert asked.count("acme/writer") == 2
    assert speaker.asked <= whole.asked
    assert rows(out)[0]["text"] == rows(tmp_path / "fresh")[0]["text"]


async def test_a_longer_talk_goes_on_where_the_shorter_one_ended(tmp_path: Path) -> None:
    out, speaker, made = tmp_path / "run", Speaker(), apart("feedback-loop", "flow.1.repeat=3")
    expected, _ = await fresh(made, 2, tmp_path / "fresh")
    await played(apart("feedback-loop"), 2, out)
    await accepted(made, 2, out, speaker)
    assert [call.settings.model for call in speaker.calls] == ["acme/reviewer", "acme/writer"] * 2
    assert results(out) == expected


async def test_a_shorter_talk_makes_no_call(tmp_path: Path) -> None:
    out, speaker, made = tmp_path / "run", Speaker(), apart("feedback-loop", "flow.1.repeat=1")
    await fresh(made, 2, tmp_path / "fresh")
    await played(apart("feedback-loop"), 2, out)
    seen = await accepted(made, 2, out, speaker)
    assert speaker.calls == []
    assert [row["text"] for row in rows(out)] == [row["text"] for row in rows(tmp_path / "fresh")]
    assert (seen.calls, [row["calls"] for row in rows(out)]) == (10, [5, 5])


async def test_only_items_that_changed_are_played_again(tmp_path: Path) -> None:
    out, speaker = tmp_path / "run", Speaker()
    await played(apart("jury"), 4, out)
    before = rows(out)
    data = items(4)
    data[2] = other(data[2], prompt="Another question?")
    data[3] = other(data[3], metadata={"source": "elsewhere"})
    seen = await accepted(apart("jury"), data, out, speaker)
    assert len(speaker.calls) == 3
    assert all("Another question?" in call.messages[1].content for call in speaker.calls)
    assert (seen.done, seen.calls) == (4, 15)
    after = rows(out)
    assert after[:2] == before[:2]
    assert after[3] == before[3]
    assert kinds(out, "item_opened")[-1].item.metadata == {"source": "elsewhere"}
    assert await played(apart("jury"), data, out, Speaker(last=1)) == seen


async def test_items_that_are_gone_leave_the_results_and_come_back_without_a_call(tmp_path: Path) -> None:
    out, speaker = tmp_path / "run", Speaker()
    await played(apart("jury"), 4, out)
    before = results(out)
    fewer = [item for item in items(4) if item.id != "i1"]
    seen = await accepted(apart("jury"), fewer, out, speaker)
    assert [row["item"] for row in rows(out)] == ["i0", "i2", "i3"]
    assert (seen.items, seen.done, seen.state) == (3, 3, "done")
    assert [end.reason for end in kinds(out, "outcome_set_aside")] == ["not in the data"]
    back = await played(apart("jury"), 4, out, speaker)
    assert back is not None
    assert (back.items, back.done, back.calls) == (4, 4, 12)
    assert speaker.calls == []
    assert results(out) == before


async def test_a_failed_item_stays_failed_where_the_change_is_none_of_its_business(tmp_path: Path) -> None:
    def script(call: ModelCall) -> Any:
        broken = call.settings.model == "acme/second" and "Question 1?" in call.messages[1].content
        return Overloaded("on fire") if broken else speak(call)

    out, speaker = tmp_path / "run", Speaker()
    await played(apart("jury"), 3, out, Speaker(script))
    before = results(out)
    seen = await accepted(apart("jury", "about=Again."), 3, out, speaker)
    assert (seen.done, seen.failed, seen.failures) == (2, 1, {"Overloaded": 1})
    assert results(out) == before
    assert speaker.calls == []


async def test_what_was_left_open_is_begun_anew_over_what_was_said(tmp_path: Path) -> None:
    out, speaker = tmp_path / "run", Speaker()
    await played(apart("jury"), 2, out, Speaker(last=6))
    seen = await accepted(apart("jury", "flow.1.decide=mean-score"), 2, out, speaker)
    assert [call.settings.model for call in speaker.calls] == ["acme/third"]
    assert (seen.done, seen.calls) == (2, 6)
    assert "conductor item_finished" in said(out, "i1~2")
    assert results(out) == (await fresh(apart("jury", "flow.1.decide=mean-score"), 2, tmp_path / "fresh"))[0]


async def test_changes_there_and_back_end_where_they_began(tmp_path: Path) -> None:
    out, speaker = tmp_path / "run", Speaker()
    await played(apart("jury"), 5, out, Speaker(at_odds))
    before = results(out)
    for rule in ("mean-score", "unique-mode", "mean-score", "unique-mode"):
        await accepted(apart("jury", f"flow.1.decide={rule}"), 5, out, speaker)
    assert speaker.calls == []
    assert results(out) == before
    assert len(kinds(out, "run_changed")) == 4


async def test_the_progress_of_an_accepted_start_leaves_out_what_it_has_set_aside(tmp_path: Path) -> None:
    out, seen = tmp_path / "run", list[Progress]()
    await played(apart("jury"), 4, out)
    data = [*items(3), other(items(4)[3], prompt="Another question?")]
    settings = Settings(client=Speaker(last=2), accept_changes=True, watch=seen.append)
    stopped = await play(apart("jury"), data, out, settings)
    assert (seen[0].items, seen[0].earlier, seen[0].done, seen[0].failed) == (4, 3, 3, 0)
    assert (stopped.state, stopped.items, stopped.done) == ("stopped", 4, 3)
    assert [row["item"] for row in rows(out)] == ["i0", "i1", "i2"]
    assert kinds(out, "run_started")[-1].finished == 3


# broken off in between


def played_note(out: Path, note: str | None = None) -> str:
    """Return what a log says was played, or put something else there."""
    with closing(sqlite3.connect(out / "run.db")) as connection, connection:
        if note is not None:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'played'", (note,))
        return str(connection.execute("SELECT value FROM meta WHERE key = 'played'").fetchone()[0])


async def test_killed_while_it_takes_changes_in_a_run_goes_on(tmp_path: Path) -> None:
    before, run, made = tmp_path / "before", tmp_path / "run", apart("jury", "flow.1.decide=mean-score")
    expected, _ = await fresh(made, 4, tmp_path / "fresh", at_odds)
    await played(apart("jury"), 4, before, Speaker(at_odds))
    first = length(before)
    await accepted(made, 4, cut_short(before, run, first))
    with LogReader(run / "run.db") as log:
        (taken_in,) = [event.sequence for event in log.events(kinds=("run_changed",))]
    assert taken_in > first + 2
    for last in range(first, length(run), 2):
        out, speaker = cut_short(run, tmp_path / f"cut{last}", last), Speaker()
        if last < taken_in:
            played_note(out, played_note(before))
            seen = await accepted(made, 4, out, speaker)
        else:
            seen = await played(made, 4, out, speaker)
        assert speaker.calls == [], f"after event {last}"
        assert (seen.done, seen.calls) == (4, 12), f"after event {last}"
        assert results(out) == expected, f"after event {last}"


async def test_killed_while_it_takes_changes_in_a_run_can_go_back_to_what_it_was(tmp_path: Path) -> None:
    before, run = tmp_path / "before", tmp_path / "run"
    await played(apart("jury"), 4, before, Speaker(at_odds))
    first = length(before)
    await accepted(apart("jury", "flow.1.decide=mean-score"), 4, cut_short(before, run, first))
    out, speaker = cut_short(run, tmp_path / "cut", first + 2), Speaker()
    played_note(out, played_note(before))
    assert len(kinds(out, "outcome_set_aside")) == 2
    await played(apart("jury"), 4, out, speaker)
    assert speaker.calls == []
    assert results(out) == results(before)


@pytest.mark.parametrize("turns", [1, 4, 8, 16, 32])
async def test_cancelled_at_any_moment_of_it_a_run_goes_on(tmp_path: Path, turns: int) -> None:
    out, speaker, made = tmp_path / "run", Speaker(), apart("jury", "flow.1.decide=mean-score")
    expected, _ = await fresh(made, 12, tmp_path / "fresh", at_odds)
    await played(apart("jury"), 12, out, Speaker(at_odds))
    settings = Settings(client=speaker, accept_changes=True)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(play(made, items(12), out, settings))
        for _ in range(turns):
            await asyncio.sleep(0.002)
        task.cancel()
    await accepted(made, 12, out, speaker)
    assert speaker.calls == []
    assert results(out) == expected


# on the command line


def test_the_command_line_refuses_changes_and_takes_them_in_where_it_is_told_to(tmp_path: Path) -> None:
    data, out = written(tmp_path / "data.jsonl", 3), tmp_path / "run"
    with beside(LoopbackEndpoint()) as server:
        run = ("run", "jury", "--data", data, "--out", out, "--model", MODEL, "--base-url", server.base_url)
        assert fellowship(*run).exit_code == 0
        refused = fellowship(*run, "--set", "flow.1.decide=mean-score")
        assert refused.exit_code == 2
        assert 'scenario.flow.1.decide: "unique-mode" then, "mean-score" now' in refused.stderr
        assert "--accept-changes goes on" in refused.stderr
        taken = fellowship(*run, "--set", "flow.1.decide=mean-score", "--accept-changes", "--json")
        assert taken.exit_code == 0
        assert json.loads(taken.stdout)["calls"] == 9
        assert len(server.ledger) == 9
        written(data, 2)
        assert fellowship(*run, "--set", "flow.1.decide=mean-score").exit_code == 2
        assert fellowship(*run, "--set", "flow.1.decide=mean-score", "--accept-changes").exit_code == 0
        assert (status(out)["items"], status(out)["done"], len(server.ledger)) == (2, 2, 9)

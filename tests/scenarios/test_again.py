"""Runs told again from their logs: failed items retried, whole runs replayed, single conversations forked."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from playing import MODEL, beside, fellowship, items, status, written
from playing import results as rows
from telling import LIBRARY, How, Speaker, apart, asked, cut_short, kinds, length, played, results, said, speak, story

from fellowship.agents import ROLES, Agent, Juror, Prompt
from fellowship.protocols.errors import CassetteMiss, DeclarationError, LogError, ModelError, Overloaded
from fellowship.protocols.events import Event
from fellowship.protocols.models import Completion, ModelCall
from fellowship.protocols.registry import Registry
from fellowship.runtime.log import LogReader
from fellowship.runtime.session import Limits
from fellowship.runtime.testing import Fault, LoopbackEndpoint
from fellowship.scenarios import Plan, Settings, Status, load, plan
from fellowship.scenarios.again import fork, replay, retry


class Nobody:
    """A ModelClient that must not be asked."""

    async def complete(self, call: ModelCall) -> Completion:
        raise AssertionError(f"{call.settings.model} was asked")


class Stern(Juror):
    prompt = Prompt("{% block system %}You are stern.{% endblock %}")


OTHER_ROLES: Registry[type[Agent]] = Registry(
    "role", {**{name: ROLES[name] for name in ROLES if name != "juror"}, "juror": Stern}
)


def failing(*models: str, number: int | None = None) -> Callable[[ModelCall], Any]:
    """Return a script by which some models are on fire, for one item or for all."""

    def script(call: ModelCall) -> Any:
        of_item = number is None or f"Question {number}?" in call.messages[1].content
        return Overloaded("on fire") if of_item and call.settings.model in models else speak(call)

    return script


async def retried(run: Path, speaker: Speaker, **more: Any) -> Status:
    return await retry(run, Settings(client=speaker, **more))


def story_events(run: Path) -> list[Event]:
    with LogReader(run / "run.db") as reader:
        return list(reader.events())


def at(run: Path, line: str, number: int = 0) -> int:
    """Return the sequence of an event: sender and kind, of several the one of a number."""
    with LogReader(run / "run.db") as log:
        return [event.sequence for event in log.events() if f"{event.sender} {event.kind}" == line][number]


# retry


async def test_the_message_that_failed_is_said_again_and_the_rest_recalled(tmp_path: Path) -> None:
    out, whole, speaker = tmp_path / "run", tmp_path / "whole", Speaker()
    await played(apart("debate"), 3, whole)
    await played(apart("debate"), 3, out, Speaker(failing("acme/judge", number=1)))
    made = apart("debate")
    assert made.models[0].model == "acme/judge"
    first = kinds(out, "model_called")
    seen = await retried(out, speaker)
    assert (seen.state, seen.done, seen.failed) == ("done", 3, 0)
    assert len(speaker.calls) == 9
    assert len(first) == 9 + 1 + 9
    assert [row["calls"] for row in rows(out)] == [9, 10, 9]
    told = ("item", "verdict", "scores")
    assert [[row[name] for name in told] for row in rows(out)] == [[row[name] for name in told] for row in rows(whole)]


@pytest.mark.parametrize("call", range(1, 10))
async def test_a_debate_that_failed_at_any_call_goes_on_at_it(tmp_path: Path, call: int) -> None:
    out, whole, count = tmp_path / "run", Speaker(), 0

    def once(question: ModelCall) -> Any:
        nonlocal count
        count += 1
        return Overloaded("on fire") if count == call else speak(question)

    await played(apart("debate"), 1, tmp_path / "whole", whole)
    await played(apart("debate"), 1, out, Speaker(once))
    assert rows(out)[0]["status"] == "failed"
    before, speaker = count - 1, Speaker()
    await retried(out, speaker)
    assert len(speaker.calls) == 9 - before
    assert rows(out)[0] == {**rows(tmp_path / "whole")[0], "calls": 10}
    assert speaker.asked <= whole.asked
    (resumed,) = kinds(out, "item_resumed")
    assert len(resumed.set_aside) == 1
    assert [aside.reason for aside in kinds(out, "outcome_set_aside")] == ["retried"]
    assert said(out, "i0~1").count("conductor item_opened") == 1


async def test_of_jurors_only_those_who_failed_are_asked_again(tmp_path: Path) -> None:
    out, speaker = tmp_path / "run", Speaker()
    await played(apart("jury"), 2, out, Speaker(failing("acme/first", "acme/third")))
    seen = await retried(out, speaker)
    assert Counter(call.settings.model for call in speaker.calls) == {"acme/first": 2, "acme/third": 2}
    assert (seen.done, seen.calls, seen.calls_failed) == (2, 10, 4)
    assert seen.failures == {}


async def test_tokens_and_calls_of_both_tries_are_counted(tmp_path: Path) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    await played(apart("jury"), 1, whole)
    await played(apart("jury"), 1, out, Speaker(failing("acme/third")))
    (failed,) = rows(out)
    assert (failed["status"], failed["calls"]) == ("failed", 3)
    await retried(out, Speaker())
    (row,) = rows(out)
    assert (row["calls"], row["tokens"]) == (4, rows(whole)[0]["tokens"])
    assert row["tokens"] > failed["tokens"] > 0


async def test_an_unread_answer_that_failed_an_item_is_asked_for_again(tmp_path: Path) -> None:
    out, speaker = tmp_path / "run", Speaker()
    await played(apart("feedback-loop"), 1, out, Speaker(lambda call: "Good!" if call.answer else speak(call)))
    assert status(out)["failures"] == {"UnreadAnswer": 1}
    seen = await retried(out, speaker)
    assert [call.settings.model for call in speaker.calls] == ["acme/reviewer", "acme/writer"] * 2
    assert [message.role for message in speaker.calls[0].messages] == ["system", "user"]
    assert (seen.done, seen.calls) == (1, 1 + 2 + 4)


@pytest.mark.parametrize("handler_retries", [0, 1])
async def test_of_a_message_of_several_calls_what_was_answered_before_the_failure_is_not_asked_again(
    handler_retries: int, tmp_path: Path
) -> None:
    out, speaker, calls = tmp_path / "run", Speaker(), list[ModelCall]()
    made = apart("judge", "judging.orders=both", f"agents.judge.failing.retry={handler_retries}")

    def second_fails(call: ModelCall) -> Any:
        calls.append(call)
        return speak(call) if len(calls) % 2 else ModelError("no more")

    await played(made, 1, out, Speaker(second_fails))
    seen = await retried(out, speaker)
    assert (seen.done, seen.calls_failed) == (1, 1 + handler_retries)
    assert [asked(call) for call in speaker.calls] == [asked(calls[1])]
    assert (await replay(out, tmp_path / "again")).differing == ()


async def test_an_item_that_took_too_long_goes_on_where_it_was(tmp_path: Path) -> None:
    async def slow(call: ModelCall) -> str:
        if call.settings.model == "acme/reviewer":
            await asyncio.Event().wait()
        return speak(call)

    out, speaker = tmp_path / "run", Speaker()
    await played(apart("feedback-loop"), 1, out, Speaker(slow), limits=Limits(item_deadline_s=0.2))
    assert status(out)["failures"] == {"ItemTimedOut": 1}
    seen = await retried(out, speaker)
    assert [call.settings.model for call in speaker.calls] == ["acme/reviewer", "acme/writer"] * 2
    assert (seen.done, seen.calls, seen.calls_failed) == (1, 6, 1)
    assert "conductor item_finished" in said(out, "i0~1")


async def test_an_item_in_which_no_message_failed_is_begun_anew(tmp_path: Path) -> None:
    made, out, speaker = apart("judge", "agents.judge.failing={then: recuse}"), tmp_path / "run", Speaker()
    await played(made, 2, out, Speaker(failing("acme/judge", number=1)))
    assert status(out)["failures"] == {"NothingToDecide": 1}
    seen = await retried(out, speaker)
    assert (seen.done, seen.failed, seen.calls, len(speaker.calls)) == (2, 0, 3, 1)
    assert "conductor item_finished" in said(out, "i1~2")
    assert "conductor item_resumed" not in said(out, "i1~1")


async def test_begun_anew_and_broken_off_an_item_uses_nothing_of_what_came_to_nothing(tmp_path: Path) -> None:
    made, out = (
        apart("jury", *(f"agents.{name}.failing={{then: recuse}}" for name in ("first", "second", "third"))),
        tmp_path / "run",
    )
    await played(made, 1, out, Speaker(failing("acme/first", "acme/second", "acme/third")))
    assert status(out)["failures"] == {"NothingToDecide": 1}
    await retried(out, Speaker(last=2))
    speaker = Speaker()
    seen = await retried(out, speaker)
    assert (seen.done, len(speaker.calls)) == (1, 2)


async def test_failing_again_an_item_stays_failed_for_its_newest_reason(tmp_path: Path) -> None:
    def gone(call: ModelCall) -> Any:
        return Overloaded("still on fire") if call.settings.model == "acme/third" else speak(call)

    out = tmp_path / "run"
    await played(apart("jury"), 2, out, Speaker(failing("acme/third")))
    for times in (2, 3):
        speaker = Speaker(gone)
        seen = await retried(out, speaker)
        assert (seen.done, seen.failed, seen.calls) == (0, 2, 6 + 2 * (times - 1))
        assert [call.settings.model for call in speaker.calls] == ["acme/third"] * 2
        assert [row["error"] for row in rows(out)] == ["Overloaded: still on fire"] * 2
        assert [row["calls"] for row in rows(out)] == [2 + times] * 2
    assert (await retried(out, Speaker())).done == 2


async def test_another_failure_after_the_first_was_mended_is_retried_in_its_turn(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("feedback-loop"), 1, out, Speaker(failing("acme/writer")))
    await retried(out, Speaker(failing("acme/reviewer")))
    speaker = Speaker()
    seen = await retried(out, speaker)
    assert [call.settings.model for call in speaker.calls] == ["acme/reviewer", "acme/writer"] * 2
    assert (seen.done, seen.calls) == (1, 1 + 2 + 4)


async def test_a_failure_counts_until_there_is_another_outcome(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await played(apart("feedback-loop"), 2, out, Speaker(failing("acme/reviewer", number=1)))
    before = rows(out)
    stopped = await retried(out, Speaker(last=2))
    assert (stopped.state, stopped.done, stopped.failed) == ("stopped", 1, 1)
    assert rows(out) == before
    seen = await retried(out, Speaker())
    assert (seen.state, seen.done, seen.failed) == ("done", 2, 0)
    assert [row["status"] for row in rows(out)] == ["done", "done"]


@pytest.mark.parametrize("how", ["down", "cancelled"])
@pytest.mark.parametrize("again", ["run", "retry"])
async def test_a_retry_that_was_broken_off_goes_on_by_either_command(tmp_path: Path, how: How, again: str) -> None:
    made, whole, out = apart("feedback-loop"), Speaker(), tmp_path / "run"
    await played(made, 3, tmp_path / "whole", whole)
    await played(made, 3, out, Speaker(failing("acme/reviewer")))
    first = Speaker(last=6, how=how)
    async with asyncio.TaskGroup() as group:
        first.task = group.create_task(retry(out, Settings(client=first, limits=Limits(concurrency=1))))
    speaker = Speaker()
    seen = await (retried(out, speaker) if again == "retry" else played(made, 3, out, speaker))
    third = Speaker()
    if again == "run":  # it goes on with what the retry had begun, and leaves the other failures alone
        assert seen is not None
        assert seen.failed > 0
        seen = await retried(out, third)
    drafts = Counter(asked(call) for call in whole.calls if len(call.messages) == 2 and not call.answer)
    assert first.asked + speaker.asked + third.asked == whole.asked - drafts
    assert seen is not None
    assert (seen.state, seen.done, seen.failed) == ("done", 3, 0)


async def test_killed_after_any_event_a_retry_goes_on(tmp_path: Path) -> None:
    made, before, run = apart("feedback-panel"), tmp_path / "before", tmp_path / "run"
    await played(made, 1, before, Speaker(failing("acme/second")))
    first = length(before)
    await retried(cut_short(before, run, first), Speaker())
    expected, told = results(run), story(run, without=("outcome_set_aside",))
    for last in range(first, length(run) + 1):
        out = cut_short(run, tmp_path / str(last), last)
        await retried(out, Speaker())
        assert results(out) == expected, f"after event {last}"
        assert story(out, without=("outcome_set_aside",)) == told, f"after event {last}"
        assert (await retry(out, Settings(client=Nobody()))).done == 1


async def test_a_recused_agent_stays_recused_when_another_ones_failure_is_retried(tmp_path: Path) -> None:
    out, speaker = tmp_path / "run", Speaker()
    made = apart("jury", "agents.first.failing={then: recuse}")
    await played(made, 1, out, Speaker(failing("acme/first", "acme/second")))
    seen = await retried(out, speaker)
    assert [call.settings.model for call in speaker.calls] == ["acme/second"]
    assert (seen.done, kinds(out, "decision_made")[-1].votes) == (1, 2)


async def test_where_nothing_has_failed_there_is_nothing_to_retry(tmp_path: Path) -> None:
    out = tmp_path / "run"
    before = await played(apart("jury"), 2, out, Speaker(last=5))
    events = length(out)
    assert await retry(out, Settings(client=Nobody())) == before
    assert length(out) == events


async def test_a_retry_says_what_was_changed_since_and_goes_on_with_it_where_it_may(tmp_path: Path) -> None:
    out, speaker = tmp_path / "run", Speaker()
    await played(apart("jury"), 3, out, Speaker(failing("acme/third", number=1)))
    with pytest.raises(DeclarationError) as caught:
        await retry(out, Settings(client=Nobody()), roles=OTHER_ROLES)
    assert "prompts.first" in str(caught.value)
    seen = await retry(out, Settings(client=speaker, accept_changes=True), roles=OTHER_ROLES)
    assert (seen.failed, seen.items) == (0, 3)
    assert all(call.messages[0].content.startswith("You are stern.") for call in speaker.calls)


async def test_there_is_nothing_to_retry_where_there_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="is not there"):
        await retry(tmp_path / "nowhere")


# replay


async def plain(name: str, out: Path) -> Plan:
    made = apart(name)
    await played(made, 4, out)
    return made


async def with_failures(name: str, out: Path) -> Plan:
    made = apart(name)
    await played(made, 4, out, Speaker(failing(made.models[-1].model, number=2)))
    return made


async def with_retries(name: str, out: Path) -> Plan:
    made = await with_failures(name, out)
    await retried(out, Speaker())
    return made


async def with_interruptions(name: str, out: Path) -> Plan:
    made = apart(name)
    ways: tuple[tuple[int, How], ...] = ((2, "cancelled"), (3, "down"), (2, "cancelled"))
    for last, how in ways:
        await played(made, 4, out, Speaker(last=last, how=how, pause=True), concurrency=3)
    await played(made, 4, out)
    return made


async def with_changes(name: str, out: Path) -> Plan:
    await played(apart(name), 5, out)
    made = apart(name, "about=Again.")
    data = items(4)
    data[2] = data[2].model_copy(update={"prompt": "Another question?"})
    await played(made, data, out, accept_changes=True)
    return made


async def with_unread(name: str, out: Path) -> Plan:
    made = apart(name)
    await played(made, 4, out, Speaker(lambda call: "?" if len(call.messages) == 2 else speak(call)))
    return made


@pytest.mark.parametrize("name", LIBRARY)
@pytest.mark.parametrize("how", [plain, with_failures, with_retries, with_interruptions, with_changes, with_unread])
async def test_a_replay_comes_to_the_very_same_results_without_a_call(
    tmp_path: Path, name: str, how: Callable[[str, Path], Any]
) -> None:
    run, out = tmp_path / "run", tmp_path / "replay"
    await how(name, run)
    found = await replay(run, out, Settings(client=Nobody()))
    assert found.differing == ()
    assert results(out) == results(run)
    assert found.outcomes == len(rows(run))
    assert found.status.spend["model"].keys() == {called.model for called in kinds(run, "model_called")}
    assert {called.source for called in kinds(out, "model_called")} <= {"recording", "earlier"}


async def test_a_replay_counts_calls_that_an_outcome_was_kept_without(tmp_path: Path) -> None:
    def alike(call: ModelCall) -> str:
        return json.dumps({"reason": "so", "score_a": 5, "score_b": 3})

    run, out = tmp_path / "run", tmp_path / "replay"
    await played(apart("jury"), 3, run, Speaker(alike))
    before = results(run)
    changed, source = load("jury", changes=["flow.0.ask=[first, second]"])
    pair = changed.model_copy(update={"agents": {name: changed.agents[name] for name in ("first", "second")}})
    made = plan(pair, source=source, models={alias: f"acme/{alias}" for alias in pair.models})
    await played(made, 3, run, Speaker(last=1), accept_changes=True)
    found = await replay(run, out, Settings(client=Nobody()))
    assert found.differing == ()
    assert results(out) == results(run) == before


async def test_a_replay_of_items_that_came_to_nothing_stops_where_they_did(tmp_path: Path) -> None:
    async def slow(call: ModelCall) -> str:
        if "Question 1?" in call.messages[1].content and len(call.messages) > 4:
            await asyncio.Event().wait()
        return speak(call)

    run, out = tmp_path / "run", tmp_path / "replay"
    await played(apart("debate"), 2, run, Speaker(slow), limits=Limits(item_deadline_s=0.2))
    assert status(run)["failures"] == {"ItemTimedOut": 1}
    found = await replay(run, out)
    assert found.differing == ()
    assert results(out) == results(run)


async def test_a_replay_leaves_out_what_is_not_finished(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "replay"
    await played(apart("jury"), 3, run, Speaker(last=5))
    found = await replay(run, out)
    assert (found.outcomes, found.status.items, found.status.state) == (1, 1, "done")
    assert [row["item"] for row in rows(out)] == ["i0"]
    assert found.differing == ()


async def test_a_replay_of_a_replay_is_the_same_again(tmp_path: Path) -> None:
    await with_retries("jury", tmp_path / "run")
    await replay(tmp_path / "run", tmp_path / "once")
    found = await replay(tmp_path / "once", tmp_path / "twice")
    assert found.differing == ()
    assert results(tmp_path / "twice") == results(tmp_path / "run")


async def test_a_replay_says_where_it_comes_from_and_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "replay"
    await plain("jury", run)
    before = (run / "run.db").read_bytes()
    await replay(run, out)
    assert (run / "run.db").read_bytes() == before
    record = yaml.safe_load((out / "run.yaml").read_text())
    assert record["replayed_from"] == str(run)
    assert record["scenario"] == yaml.safe_load((run / "run.yaml").read_text())["scenario"]


async def test_a_prompt_that_has_changed_since_ends_a_replay_at_the_place(tmp_path: Path) -> None:
    run = tmp_path / "run"
    await played(apart("jury"), 2, run)
    with pytest.raises(CassetteMiss) as caught:
        await replay(run, tmp_path / "replay", roles=OTHER_ROLES)
    told = str(caught.value)
    assert "no recording of i0~1 answers 'first', call 1 of round 1; the one recorded there" in told
    assert "message 1 (system) differs" in told
    assert "now:      You are stern." in told


async def test_outcomes_that_a_replay_changes_are_shown_beside_the_recorded_ones(tmp_path: Path) -> None:
    run = tmp_path / "run"
    await played(apart("jury"), 12, run)
    with closing(sqlite3.connect(run / "run.db")) as connection, connection:
        connection.execute(
            "UPDATE events SET body = json_set(body, '$.verdict', 'unread') WHERE kind = 'item_finished'"
        )
    found = await replay(run, tmp_path / "replay")
    assert (found.outcomes, len(found.differing)) == (12, 10)
    before, after = found.differing[0]
    assert before is not None
    assert after is not None
    assert (before.item, before.verdict, after.item) == ("i0", "unread", "i0")
    assert after.verdict in ("a", "b", "tie")


async def test_a_replay_has_a_directory_of_its_own(tmp_path: Path) -> None:
    await plain("judge", tmp_path / "run")
    with pytest.raises(DeclarationError, match="holds a run already"):
        await replay(tmp_path / "run", tmp_path / "run")
    (tmp_path / "mine.txt").touch()
    with pytest.raises(DeclarationError, match="is not a run"):
        await replay(tmp_path / "run", tmp_path)


# fork


async def forked(run: Path, event: int, out: Path, speaker: Speaker, **more: Any) -> Status:
    return await fork(run, event, out, Settings(client=speaker), **more)


@pytest.mark.parametrize(
    ("line", "number", "first"),
    [
        ("conductor item_opened", 0, 0),
        ("conductor make_argument", 0, 0),
        ("conductor make_argument", 4, 4),
        ("psychologist model_called", 1, 4),
        ("psychologist argument_made", 1, 4),
        ("conductor cast_vote", 0, 6),
        ("conductor cast_vote", 1, 7),
        ("critic model_called", 2, 8),
        ("critic vote_cast", 0, 8),
        ("conductor decision_made", 0, 9),
        ("conductor item_finished", 0, 9),
    ],
)
async def test_a_fork_makes_no_call_before_its_event_and_all_from_it_on(
    tmp_path: Path, line: str, number: int, first: int
) -> None:
    run, out, whole, speaker = tmp_path / "run", tmp_path / "fork", Speaker(), Speaker()
    await played(apart("debate"), 1, run, whole)
    seen = await forked(run, at(run, line, number), out, speaker)
    assert [call.messages for call in speaker.calls] == [call.messages for call in whole.calls[first:]]
    assert (seen.items, seen.done, seen.calls) == (1, 1, 9)
    assert rows(out) == rows(run)
    sources = Counter(called.source for called in kinds(out, "model_called"))
    assert sources == Counter({"recording": first, "endpoint": 9 - first}) - Counter()


async def test_a_fork_is_of_one_conversation_wherever_it_stands_in_the_log(tmp_path: Path) -> None:
    run, out, speaker = tmp_path / "run", tmp_path / "fork", Speaker()
    await played(apart("jury"), 4, run, Speaker(pause=True), concurrency=4)
    with LogReader(run / "run.db") as log:
        (event,) = [
            event.sequence
            for event in log.events(kinds=("model_called",))
            if (event.conversation, event.sender) == ("i2~1", "second")
        ]
    await forked(run, event, out, speaker)
    assert {call.settings.model for call in speaker.calls} == {"acme/second", "acme/third"}
    assert rows(out) == [rows(run)[2]]


async def test_a_fork_with_another_model_asks_it_from_the_event_on(tmp_path: Path) -> None:
    run, out, speaker = tmp_path / "run", tmp_path / "fork", Speaker()
    await played(apart("feedback-loop"), 1, run)
    event = at(run, "reviewer feedback_given", 1)
    await forked(run, event, out, speaker, models={"reviewer": "other/reviewer", "writer": "other/writer"})
    assert [call.settings.model for call in speaker.calls] == ["other/reviewer", "other/writer"]
    record = yaml.safe_load((out / "run.yaml").read_text())
    assert record["models"]["writer"]["model"] == "other/writer"
    assert (record["forked_from"], record["forked_at"]) == (str(run), str(event))
    assert len(speaker.calls[0].messages) == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("agents.critic.persona=scientist", "scientist"),
        ("agents.critic.instructions=Speak in rhymes.", "Speak in rhymes."),
    ],
)
async def test_a_fork_with_another_persona_or_other_instructions_says_what_follows_as_that_one(
    tmp_path: Path, change: str, words: str
) -> None:
    run, out, speaker = tmp_path / "run", tmp_path / "fork", Speaker()
    await played(apart("debate"), 1, run)
    await forked(run, at(run, "critic model_called", 1), out, speaker, changes=[change])
    assert len(speaker.calls) == 4
    assert words in speaker.calls[0].messages[0].content
    assert words not in repr(speaker.calls[1].messages)


async def test_what_a_fork_or_a_replay_stands_on_counts_and_is_not_spent(tmp_path: Path) -> None:
    run, forked, again = tmp_path / "run", tmp_path / "fork", tmp_path / "again"
    await played(apart("debate"), 1, run)
    last = next(event.sequence for event in reversed(story_events(run)) if event.kind == "vote_cast")
    await fork(run, last, forked, Settings(client=Speaker()))
    await replay(run, again)
    for out, live in ((run, 9), (forked, 1), (again, 0)):
        calls = kinds(out, "model_called")
        paid = [called.usage for called in calls if called.source == "endpoint"]
        assert (len(calls), len(paid)) == (9, live)
        with LogReader(out / "run.db") as reader:
            assert reader.spent() == (0.0, sum(usage.input_tokens + usage.output_tokens for usage in paid))
        assert sum(spend["recorded"] for spend in status(out)["spend"]["model"].values()) == 9 - live


async def test_a_fork_at_the_decision_decides_otherwise_without_a_call(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "fork"
    await played(
        apart("jury"),
        1,
        run,
        Speaker(
            lambda call: json.dumps(
                {"reason": "so", "score_a": 9 if call.settings.model == "acme/first" else 4, "score_b": 5}
            )
        ),
    )
    await fork(
        run, at(run, "conductor decision_made"), out, Settings(client=Nobody()), changes=["flow.1.decide=mean-score"]
    )
    assert (rows(run)[0]["verdict"], rows(out)[0]["verdict"]) == ("b", "a")
    assert kinds(out, "decision_made")[0].rule == "mean-score"


async def test_a_fork_of_a_failed_item_can_be_mended(tmp_path: Path) -> None:
    run, out, speaker = tmp_path / "run", tmp_path / "fork", Speaker()
    await played(apart("jury"), 1, run, Speaker(failing("acme/second")))
    seen = await forked(run, at(run, "second agent_failed"), out, speaker, models={"second": "other/second"})
    assert [call.settings.model for call in speaker.calls] == ["other/second", "acme/third"]
    assert (seen.done, seen.calls) == (1, 3)


async def test_a_fork_goes_back_behind_what_was_retried(tmp_path: Path) -> None:
    run, out, speaker = tmp_path / "run", tmp_path / "fork", Speaker()
    await played(apart("feedback-loop"), 1, run, Speaker(failing("acme/reviewer")))
    await retried(run, Speaker())
    seen = await forked(run, at(run, "writer draft_written", 1), out, speaker)
    assert [call.settings.model for call in speaker.calls] == ["acme/writer", "acme/reviewer", "acme/writer"]
    assert rows(out)[0]["text"] == rows(run)[0]["text"]
    assert seen.done == 1


@pytest.mark.parametrize("last", [1, 2, 3])
async def test_a_fork_that_was_broken_off_goes_on_by_the_same_words(tmp_path: Path, last: int) -> None:
    run, out, whole, first, second = tmp_path / "run", tmp_path / "fork", Speaker(), Speaker(last=last), Speaker()
    await played(apart("debate"), 1, run)
    event, change = at(run, "critic argument_made", 1), ["agents.critic.instructions=Speak in rhymes."]
    await forked(run, event, tmp_path / "whole", whole, changes=change)
    stopped = await forked(run, event, out, first, changes=change)
    assert (stopped.state, stopped.done) == ("stopped", 0)
    await forked(run, event, out, second, changes=change)
    assert first.asked + second.asked == whole.asked
    assert results(out) == results(tmp_path / "whole")
    with pytest.raises(DeclarationError, match=r"agents.critic.instructions"):
        await forked(run, event, out, Speaker())


async def test_killed_after_any_event_a_fork_goes_on(tmp_path: Path) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    await played(apart("feedback-panel"), 1, run)
    event, models = at(run, "first feedback_given", 1), {"first": "other/first"}
    await forked(run, event, whole, Speaker(), models=models)
    for last in range(1, length(whole), 2):
        out = cut_short(whole, tmp_path / str(last), last)
        await forked(run, event, out, Speaker(), models=models)
        assert results(out) == results(whole), f"after event {last}"
        assert story(out) == story(whole), f"after event {last}"


@pytest.mark.parametrize("name", ["feedback-gated", "preference-pairs"])
async def test_forked_at_any_event_drafts_are_picked_and_paired_as_they_were(tmp_path: Path, name: str) -> None:
    run, whole = tmp_path / "run", Speaker()
    await played(apart(name), 1, run, whole)
    opened = at(run, "conductor item_opened")
    for event in range(opened, at(run, "conductor item_finished") + 1, 5):
        out, speaker = tmp_path / str(event), Speaker()
        await forked(run, event, out, speaker)
        assert speaker.asked <= whole.asked, f"at event {event}"
        assert rows(out) == rows(run), f"at event {event}"
        assert kinds(out, "pairs_made", "draft_picked") == kinds(run, "pairs_made", "draft_picked"), f"at event {event}"


async def test_a_fork_with_another_judge_compares_again_and_writes_nothing_again(tmp_path: Path) -> None:
    run, out, speaker = tmp_path / "run", tmp_path / "fork", Speaker()
    await played(apart("preference-pairs", "follow=last"), 1, run)
    event = at(run, "judge drafts_compared")
    await forked(run, event, out, speaker, models={"judge": "other/judge"})
    assert {call.settings.model for call in speaker.calls} == {"other/judge"}
    assert kinds(out, "draft_written") == kinds(run, "draft_written")


async def test_what_cannot_be_forked_is_said(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "fork"
    await played(apart("jury"), 1, run)
    end = length(run)
    for event, words in [
        (end + 1, f"has no event {end + 1}: its last is {end}"),
        (0, "has no event 0"),
        (1, r"event 1 \(run_started\) is of the whole run"),
        (end, "is of the whole run"),
    ]:
        with pytest.raises(DeclarationError, match=words):
            await forked(run, event, out, Speaker())
    for more, words in [
        ({"models": {"judgd": "x/y"}}, "did you mean 'judge'"),
        ({"changes": ["flow.9.decide=majority"]}, "flow.9 is not there"),
        ({"changes": ["agents.first.persona=critc"]}, "did you mean 'critic'"),
    ]:
        with pytest.raises(DeclarationError, match=words):
            await forked(run, 3, out, Speaker(), **more)
    assert not out.exists()
    with pytest.raises(LogError, match="is not there"):
        await forked(tmp_path / "nowhere", 3, out, Speaker())


# on the command line


def on_the_command_line(tmp_path: Path, server: LoopbackEndpoint, name: str = "jury", count: int = 2) -> Path:
    out = tmp_path / "run"
    run = ("run", name, "--data", written(tmp_path / "data.jsonl", count), "--out", out, "--model", MODEL)
    fellowship(*run, "--base-url", server.base_url, "--concurrency", "1")
    return out


def test_retry_on_the_command_line_asks_where_the_run_asked(tmp_path: Path) -> None:
    with beside(LoopbackEndpoint(faults=[Fault(status=404), *[None] * 50])) as server:
        out = on_the_command_line(tmp_path, server)
        assert (status(out)["failed"], len(server.ledger)) == (1, 6)
        again = fellowship("retry", out, "--json")
        assert again.exit_code == 0
        assert (json.loads(again.stdout)["done"], json.loads(again.stdout)["failed"]) == (2, 0)
        assert len(server.ledger) == 7
        assert fellowship("retry", out).exit_code == 0
        assert len(server.ledger) == 7


def test_retry_on_the_command_line_leaves_with_failures_where_some_are_left(tmp_path: Path) -> None:
    with beside(LoopbackEndpoint(faults=[Fault(status=404)] * 100)) as server:
        out = on_the_command_line(tmp_path, server, "judge")
        again = fellowship("retry", out, "--json")
        assert (again.exit_code, json.loads(again.stdout)["failed"]) == (1, 2)


def test_replay_on_the_command_line_compares_and_keeps_what_it_is_told_to(tmp_path: Path) -> None:
    with beside(LoopbackEndpoint()) as server:
        out = on_the_command_line(tmp_path, server)
    found = fellowship("replay", out, "--json")
    assert found.exit_code == 0
    assert json.loads(found.stdout) == {
        "run": str(out),
        "out": None,
        "outcomes": 2,
        "calls": 6,
        "same": True,
        "differing": [],
    }
    assert "2 outcomes, 6 recorded calls, none made: all as recorded" in fellowship("replay", out).stdout
    kept = fellowship("replay", out, "--out", tmp_path / "kept")
    assert kept.exit_code == 0
    assert results(tmp_path / "kept") == results(out)
    refused = fellowship("replay", out, "--out", tmp_path / "kept")
    assert (refused.exit_code, "holds a run already" in refused.stderr) == (2, True)


def test_replay_on_the_command_line_leaves_with_one_where_an_outcome_differs(tmp_path: Path) -> None:
    with beside(LoopbackEndpoint()) as server:
        out = on_the_command_line(tmp_path, server)
    with closing(sqlite3.connect(out / "run.db")) as connection, connection:
        connection.execute(
            "UPDATE events SET body = json_set(body, '$.verdict', 'unread') WHERE kind = 'item_finished'"
        )
    found = fellowship("replay", out, "--json")
    assert found.exit_code == 1
    document = json.loads(found.stdout)
    assert (document["same"], document["differing"][0]["recorded"]["verdict"]) == (False, "unread")
    assert "unread" in fellowship("replay", out).stdout


def test_fork_on_the_command_line_holds_one_conversation_again(tmp_path: Path) -> None:
    with beside(LoopbackEndpoint()) as server:
        run, out = on_the_command_line(tmp_path, server), tmp_path / "fork"
        before = len(server.ledger)
        event = at(run, "third model_called")
        found = fellowship("fork", run, "--at", event, "--out", out, "--model", "third=acme/other", "--json")
        assert found.exit_code == 0
        assert (json.loads(found.stdout)["items"], json.loads(found.stdout)["calls"]) == (1, 3)
        assert [served.request["model"] for served in server.ledger[before:]] == ["other"]


def test_a_cassette_on_the_command_line_plays_in_place_of_models(tmp_path: Path) -> None:
    with beside(LoopbackEndpoint()) as server:
        out = on_the_command_line(tmp_path, server)
    tape = tmp_path / "tapes" / "jury.jsonl"
    found = fellowship("cassette", out, "--to", tape)
    assert (found.exit_code, f"6 calls: {tape}" in found.stdout) == (0, True)
    data = tmp_path / "data.jsonl"
    for number, cassette in enumerate((tape, out)):
        played_again = tmp_path / f"again{number}"
        run = ("run", "jury", "--data", data, "--out", played_again, "--model", MODEL, "--cassette", cassette)
        assert fellowship(*run).exit_code == 0
        assert results(played_again) == results(out)
        other = fellowship("run", "judge", *run[2:4], "--out", tmp_path / f"other{number}", *run[6:])
        assert other.exit_code == 2
        assert "no recording of i0~1 answers 'judge'" in other.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("retry", "nowhere"),
        ("replay", "nowhere"),
        ("fork", "nowhere", "--at", "3"),
        ("cassette", "nowhere", "--to", "x.jsonl"),
        ("retry", "."),
        ("replay", "."),
        ("fork", ".", "--at", "3"),
        ("cassette", ".", "--to", "x.jsonl"),
        ("fork", "."),
        ("fork", ".", "--at", "0"),
        ("fork", ".", "--at", "first"),
        ("cassette", "."),
        ("retry", ".", "--budget", "much"),
        ("run", "jury", "--data", "d.jsonl", "--cassette", "nowhere.jsonl"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "d.jsonl", 1)
    found = fellowship(*command)
    assert found.exit_code == 2
    assert found.stderr.strip()
    assert "Traceback" not in found.output
    assert found.stdout == ""

"""Runs that break off, anywhere and however often, and go on as if nothing had happened."""

import asyncio
import gc
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import as_version
from playing import items
from playing import results as rows
from telling import (
    LIBRARY,
    Asked,
    How,
    Speaker,
    apart,
    asked,
    cut_short,
    kinds,
    length,
    played,
    results,
    said,
    speak,
    story,
)

from fellowship.agents import ROLES, Generator
from fellowship.protocols.errors import AgentUnavailable, DeclarationError, EndpointDown, Overloaded
from fellowship.protocols.generation import DraftWritten, WriteDraft
from fellowship.protocols.messages import Command, Fact, Message, Stop
from fellowship.protocols.models import Attempt, ChatMessage, ModelCall
from fellowship.protocols.ports import Context
from fellowship.scenarios import Dataset, Plan, open_dataset, plan
from fellowship.scenarios.loading import validate
from fellowship.scenarios.source import read

WAYS: tuple[How, ...] = ("down", "cancelled", "drained")


def recorded(out: Path) -> Counter[Asked]:
    """Return the calls that a log has an answer to, or a failure that counts."""
    calls: Counter[Asked] = Counter()
    for called in kinds(out, "model_called"):
        if called.error is None or called.error.error not in ("CancelledError", "EndpointDown"):
            calls[called.model, called.answer, tuple(digest for _, digest in called.messages)] += 1
    return calls


# agents of one's own

SUBJECTS = ("spring", "rain", "iron", "salt", "bread", "glass")


class Counsel(Fact):
    kind: Literal["counsel"] = "counsel"
    text: str


class Consult(Command[Counsel]):
    wants: ClassVar[type[Fact]] = Counsel
    kind: Literal["consult"] = "consult"
    subject: str


class Hint(Message):
    kind: Literal["hint"] = "hint"
    text: str


class Scholar(Generator):
    """Gives drafts, counsel to those who ask, and remembers what it is told in passing."""

    async def handle(self, message: Message, context: Context, /) -> None:
        if isinstance(message, Hint):
            self.hints = [*getattr(self, "hints", ()), message.text]
        elif isinstance(message, Consult):
            words = f"{message.subject}, after {getattr(self, 'hints', ())}; I think of {context.rng.random()}"
            call = ModelCall(self.profile.settings, (ChatMessage("user", f"{self.item.prompt} {words}"),))
            await context.emit(Counsel(text=(await context.model.complete(call)).text))
        else:
            await super().handle(message, context)


class Telling(Generator):
    """Tells the scholar something before it writes."""

    async def answer(self, command: Command[Fact], context: Context) -> None:
        with suppress(AgentUnavailable):
            await context.tell("scholar", Hint(text="spring"))
        await super().answer(command, context)


class Author(Generator):
    """Takes a subject by chance, drops a hint, asks for counsel, and writes."""

    async def answer(self, command: Command[Fact], context: Context) -> None:
        subject = context.rng.choice(SUBJECTS)
        await context.tell("scholar", Hint(text=subject))
        counsel = await context.ask("scholar", Consult(subject=subject, round=command.round))
        words = f"{self.item.prompt} {subject} {counsel.text} {[heard.fact.said() for heard in self.heard]}"
        completion = await context.model.complete(ModelCall(self.profile.settings, (ChatMessage("user", words),)))
        await context.emit(DraftWritten(round=command.round, text=completion.text, version=command.round))


CONSULTING = """\
scenario: consulting
takes: instruction
models: {author: acme/author, scholar: acme/scholar}
agents:
  scholar: {role: scholar, model: scholar}
  author: {role: author, model: author}
flow:
  - {ask: scholar, for: draft}
  - repeat: 2
    do:
      - {ask: author, for: draft, hears: scholar}
      - {ask: scholar, for: draft, hears: author}
  - {pick: last}
gives: draft
"""


def consulting() -> Plan:
    source = read(CONSULTING, "consulting.yaml")
    return plan(validate(source), source=source, roles=ROLES.extended(scholar=Scholar, author=Author))


def overloaded() -> Overloaded:
    """Return a failure as a transport tells it: with what was tried."""
    error = Overloaded("on fire")
    error.attempts = (Attempt(latency_s=0.0, error="Overloaded: on fire"),)
    return error


def second_fails(call: ModelCall) -> str | Exception:
    return overloaded() if call.settings.model == "acme/second" else speak(call)


def recusing() -> Plan:
    return apart("jury", "agents.second.failing={retry: 1, then: recuse}")


def insisting() -> Plan:
    return apart("feedback-panel", *(f"agents.{name}.failing={{retry: 1}}" for name in ("writer", "first", "second")))


def at_second_try(has_failed: Counter[Asked] | None = None) -> Callable[[ModelCall], str | Exception]:
    """Return a script by which every question fails once; those in `has_failed` have failed already."""
    failed: set[Asked] = set(has_failed or ())

    def script(call: ModelCall) -> str | Exception:
        if asked(call) in failed:
            return speak(call)
        failed.add(asked(call))
        return overloaded()

    return script


Made = tuple[Callable[[], Plan], Callable[[ModelCall], str | Exception]]
PLANS: dict[str, Made] = {
    **{name: (lambda name=name: apart(name), speak) for name in LIBRARY},  # type: ignore[misc]
    "both orders": (lambda: apart("judge", "judging.orders=both", "judging.strategy=independent"), speak),
    "random orders": (lambda: apart("jury", "judging.orders=random"), speak),
    "until": (lambda: apart("feedback-loop", "flow.1.repeat=4", "flow.1.until=score >= 4"), speak),
    "own agents": (consulting, speak),
    "recused": (recusing, second_fails),
}


class Undisturbed:
    """Runs that nothing has happened to, one a plan, played when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._played: dict[tuple[str, int], tuple[Path, Speaker]] = {}

    async def of(self, name: str, count: int) -> tuple[Path, Speaker]:
        if (name, count) not in self._played:
            out, (make, script) = self._folder / f"{name}-{count}", PLANS[name]
            speaker = Speaker(script)
            await played(make(), count, out, speaker)
            self._played[name, count] = out, speaker
        return self._played[name, count]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize("name", PLANS)
async def test_killed_after_any_event_a_run_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, undisturbed: Undisturbed, name: str
) -> None:
    (run, whole), (make, script) = await undisturbed.of(name, 1), PLANS[name]
    told, written = story(run), results(run)
    for last in range(length(run) % 2, length(run) + 1, 2 if name in ("own agents", "recused") else 4):
        out = cut_short(run, tmp_path / str(last), last)
        had, speaker = recorded(out), Speaker(script)
        await played(make(), 1, out, speaker)
        assert had + speaker.asked == whole.asked, f"after event {last}"
        assert story(out) == told, f"after event {last}"
        assert results(out) == written, f"after event {last}"


breaks = st.lists(st.tuples(st.integers(1, 12), st.sampled_from(WAYS)), min_size=1, max_size=3)


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(sorted(PLANS)), concurrency=st.integers(1, 8), starts=breaks)
async def test_broken_off_in_any_way_and_as_often_as_you_like_a_run_asks_everything_once(
    tmp_path_factory: pytest.TempPathFactory,
    undisturbed: Undisturbed,
    name: str,
    concurrency: int,
    starts: list[tuple[int, How]],
) -> None:
    (run, whole), (make, script) = await undisturbed.of(name, 4), PLANS[name]
    out, heard = tmp_path_factory.mktemp("run") / "run", Counter[Asked]()
    for last, how in starts:
        speaker = Speaker(script, last=last, how=how)
        await played(make(), 4, out, speaker, concurrency=concurrency)
        heard += speaker.asked
    speaker = Speaker(script)
    status = await played(make(), 4, out, speaker, concurrency=concurrency)
    assert heard + speaker.asked == whole.asked
    assert results(out) == results(run)
    assert status is not None
    assert (status.state, status.calls, status.dead_letters) == ("done", whole.asked.total(), 0)
    assert not story(run) - story(out)
    # An agent tells of an endpoint that is down, and of a letter that its end caught on the way; nothing else is left.
    assert all("EndpointDown" in line or "letter_undelivered" in line for line in story(out) - story(run))


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(sorted(PLANS)), concurrency=st.integers(1, 8), starts=breaks)
async def test_calls_broken_off_on_their_way_are_counted_and_asked_again(
    tmp_path_factory: pytest.TempPathFactory,
    undisturbed: Undisturbed,
    name: str,
    concurrency: int,
    starts: list[tuple[int, How]],
) -> None:
    (run, whole), (make, script) = await undisturbed.of(name, 4), PLANS[name]
    out, heard, broken_off = tmp_path_factory.mktemp("run") / "run", Counter[Asked](), 0
    for last, how in [*starts, (0, "down")]:
        speaker = Speaker(script, last=last, how=how, pause=True)
        status = await played(make(), 4, out, speaker, concurrency=concurrency)
        heard += speaker.asked
        broken_off += speaker.broken_off
    assert heard == whole.asked
    assert status is not None
    assert status.calls == whole.asked.total() + broken_off
    assert [{**row, "calls": 0} for row in rows(out)] == [{**row, "calls": 0} for row in rows(run)]
    assert not story(run) - story(out)


# what the first start has told stays told


async def test_agents_remember_what_was_said_before_they_were_broken_off(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    run, whole = await undisturbed.of("debate", 1)
    out = tmp_path / "run"
    for last in (3, 5, 2):
        await played(apart("debate"), 1, out, Speaker(last=last))
    speaker = Speaker()
    await played(apart("debate"), 1, out, speaker)
    assert [call.messages for call in speaker.calls] == [call.messages for call in whole.calls[-len(speaker.calls) :]]
    assert len(speaker.calls) == 9 - 2 - 4 - 1
    assert results(out) == results(run)


async def test_what_a_resumed_run_says_of_itself_adds_up_at_every_moment(tmp_path: Path) -> None:
    out = tmp_path / "run"
    counts: list[tuple[str, int, int, int]] = []
    for last in (2, 1, 3, None):
        status = await played(apart("feedback-loop"), 2, out, Speaker(last=last))
        assert status is not None
        counts.append((status.state, status.done, status.failed, status.calls))
    assert counts == [("stopped", 0, 0, 1), ("stopped", 0, 0, 1), ("stopped", 0, 0, 3), ("done", 2, 0, 10)]
    assert [started.finished for started in kinds(out, "run_started")] == [0, 0, 0, 0]
    assert status.dead_letters == 0


async def test_a_letter_that_was_on_its_way_when_the_run_was_broken_off_is_no_dead_letter_in_the_end(
    tmp_path: Path,
) -> None:
    made, out = apart("feedback-loop"), tmp_path / "run"
    await played(made, 4, out, Speaker(last=2))
    await played(made, 4, out, Speaker(last=3, how="cancelled"), concurrency=2)
    assert len(kinds(out, "letter_undelivered")) == 1
    status = await played(made, 4, out)
    assert status is not None
    assert (status.done, status.dead_letters) == (4, 0)


async def test_a_dead_letter_stays_one_when_the_run_goes_on(tmp_path: Path) -> None:
    class Deaf(Generator):
        async def handle(self, message: Message, context: Context, /) -> object:  # type: ignore[override]
            await super().handle(message, context)
            return Stop("that was all") if isinstance(message, WriteDraft) else None

    source = read(CONSULTING, "consulting.yaml")
    made = plan(validate(source), source=source, roles=ROLES.extended(scholar=Deaf, author=Telling))
    run = tmp_path / "run"
    whole = await played(made, 1, run)
    assert whole is not None
    assert whole.dead_letters == 2
    for last in range(length(run)):
        status = await played(made, 1, cut_short(run, tmp_path / str(last), last))
        assert status is not None
        assert (status.dead_letters, status.failures) == (2, whole.failures), f"after event {last}"


def only_first_fails(call: ModelCall) -> str | Exception:
    return overloaded() if call.settings.model == "acme/first" else speak(call)


async def test_a_failure_that_was_recorded_stays_one(tmp_path: Path) -> None:
    made, run = apart("jury"), tmp_path / "run"
    await played(made, 1, run, Speaker(only_first_fails))
    failed = next(last for last, line in enumerate(said(run, "i0~1"), 2) if line == "first model_called")
    for last in range(failed, length(run)):
        out, speaker = cut_short(run, tmp_path / str(last), last), Speaker()
        status = await played(made, 1, out, speaker)
        assert status is not None
        assert status.failures == {"Overloaded": 1}
        assert "acme/first" not in {call.settings.model for call in speaker.calls}
        assert results(out) == results(run)


async def test_a_failure_beside_an_endpoint_that_is_down_is_met_again_without_a_call(tmp_path: Path) -> None:
    def second_is_down(call: ModelCall) -> str | Exception:
        model = call.settings.model
        return overloaded() if model == "acme/third" else EndpointDown("gone") if model == "acme/first" else speak(call)

    made, out = apart("jury"), tmp_path / "run"
    status = await played(made, 1, out, Speaker(second_is_down))
    assert status is not None
    assert (status.state, status.done, status.failed) == ("stopped", 0, 0)
    speaker = Speaker()
    status = await played(made, 1, out, speaker)
    assert [call.settings.model for call in speaker.calls] == ["acme/first"]
    assert status is not None
    assert status.failures == {"Overloaded": 1}


async def test_unread_ballots_stay_unread(tmp_path: Path) -> None:
    made, run = apart("jury"), tmp_path / "run"
    await played(made, 1, run, Speaker(lambda call: "A!" if call.settings.model == "acme/first" else speak(call)))
    voted = said(run, "i0~1").index("first vote_cast") + 2
    out, speaker = cut_short(run, tmp_path / "cut", voted), Speaker()
    status = await played(made, 1, out, speaker)
    assert status is not None
    assert status.unread_votes == 1
    assert "acme/first" not in {call.settings.model for call in speaker.calls}
    assert results(out) == results(run)


async def test_an_agent_that_tries_again_counts_the_tries_of_before(tmp_path: Path) -> None:
    run, whole = tmp_path / "run", Speaker(at_second_try())
    await played(insisting(), 1, run, whole)
    assert whole.asked.total() == 14
    for last in range(2, length(run), 4):
        out = cut_short(run, tmp_path / str(last), last)
        had = recorded(out)
        speaker = Speaker(at_second_try(had))
        await played(insisting(), 1, out, speaker)
        assert had + speaker.asked == whole.asked
        assert story(out) == story(run)
        assert results(out) == results(run)


# what is not what it was


class Dated(Generator):
    """Says what day it is, so that it says something else on another."""

    today: ClassVar[str] = "monday"

    async def answer(self, command: Command[Fact], context: Context) -> None:
        words = f"{self.item.prompt} {[heard.fact.said() for heard in self.heard]} Today is {Dated.today}."
        completion = await context.model.complete(ModelCall(self.profile.settings, (ChatMessage("user", words),)))
        await context.emit(DraftWritten(round=command.round, text=completion.text, version=command.round))


class Stamping(Generator):
    """Puts the day beneath what its model says."""

    async def answer(self, command: Command[Fact], context: Context) -> None:
        words = f"{self.item.prompt} {[heard.fact.said() for heard in self.heard]}"
        completion = await context.model.complete(ModelCall(self.profile.settings, (ChatMessage("user", words),)))
        await context.emit(
            DraftWritten(round=command.round, text=f"{completion.text} {Dated.today}", version=command.round)
        )


DATED = """\
scenario: dated
takes: instruction
models: {writer: acme/writer, dated: acme/dated}
agents:
  writer: {role: generator, model: writer}
  dated: {role: dated, model: dated}
flow:
  - {ask: writer, for: draft}
  - {ask: dated, for: draft}
  - {ask: dated, for: draft, hears: writer}
  - {ask: writer, for: draft}
  - {pick: last}
gives: draft
"""


@pytest.mark.parametrize("role", [Dated, Stamping])
async def test_an_agent_that_says_something_else_the_second_time_has_its_item_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: type[Generator]
) -> None:
    source = read(DATED, "dated.yaml")
    made = plan(validate(source), source=source, roles=ROLES.extended(dated=role))
    out, first, second = tmp_path / "run", Speaker(last=4), Speaker()
    await played(made, 2, out, first)
    monkeypatch.setattr(Dated, "today", "tuesday")
    status = await played(made, 2, out, second)
    assert [opened.item.id for opened in kinds(out, "item_opened")] == ["i0", "i0", "i1"]
    assert said(out, "i0~2").count("conductor item_finished") == 1
    again = Counter(call.settings.model for call in second.calls if "Question 0?" in repr(call.messages))
    # The first draft fits what was asked; what the other has said once is asked again only where its question is new.
    assert again == Counter({"acme/writer": 1, "acme/dated": 2} if role is Dated else {"acme/writer": 1})
    assert status is not None
    made_calls = first.asked.total() + second.asked.total()
    assert (status.done, status.calls, sum(row["calls"] for row in rows(out))) == (2, made_calls, made_calls)


async def test_an_unfinished_item_that_is_another_now_is_refused_and_begun_anew_where_that_is_accepted(
    tmp_path: Path,
) -> None:
    made, out = apart("jury"), tmp_path / "run"
    await played(made, 2, out, Speaker(last=3))
    changed = [items(1)[0].model_copy(update={"prompt": "Another question?"}), items(2)[1]]
    with pytest.raises(ExceptionGroup) as refused:
        await played(made, changed, out)
    assert refused.group_contains(DeclarationError, match="data: item 'i0'.prompt: \"Question 0")
    speaker = Speaker()
    status = await played(made, changed, out, speaker, accept_changes=True)
    assert status is not None
    assert (status.done, len(speaker.calls), status.calls) == (2, 6, 8)
    assert [opened.item.prompt for opened in kinds(out, "item_opened")][-2:] == ["Another question?", "Question 1?"]
    assert len(said(out, "i0~2")) > len(said(out, "i0~1"))
    again = await played(made, changed, out, Speaker())
    assert again == status
    with pytest.raises(ExceptionGroup) as caught:
        await played(made, 2, out)
    assert isinstance(caught.value.exceptions[0], DeclarationError)


async def test_an_item_that_only_has_other_metadata_is_begun_anew_without_a_call_for_what_was_said(
    tmp_path: Path,
) -> None:
    made, out = apart("jury"), tmp_path / "run"
    await played(made, 1, out, Speaker(last=3))
    noted = [items(1)[0].model_copy(update={"metadata": {"difficulty": "hard"}})]
    speaker = Speaker()
    status = await played(made, noted, out, speaker, accept_changes=True)
    assert [call.settings.model for call in speaker.calls] == ["acme/third"]
    assert status is not None
    assert (status.done, status.calls) == (1, 3)


async def test_more_data_and_a_higher_limit_go_on(tmp_path: Path) -> None:
    made, out, calls = apart("jury"), tmp_path / "run", list[int]()
    for count, last in [(2, None), (5, 4), (5, None), (8, None)]:
        speaker = Speaker(last=last)
        await played(made, count, out, speaker)
        calls.append(speaker.asked.total())
    assert calls == [6, 3, 6, 9]
    assert [row["item"] for row in rows(out)] == [f"i{number}" for number in range(8)]
    whole = tmp_path / "whole"
    await played(made, 8, whole)
    assert results(out) == results(whole)


# logs of before


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("name", ["recused", "feedback-panel"])
async def test_a_log_that_an_earlier_version_has_left_goes_on(
    tmp_path: Path, undisturbed: Undisturbed, name: str, version: int
) -> None:
    (run, whole), (make, script) = await undisturbed.of(name, 1), PLANS[name]
    for last in range(6, length(run), 9):
        out = cut_short(run, tmp_path / str(last), last)
        if version < 3:
            as_version(version, out / "run.db")
        with closing(sqlite3.connect(out / "run.db")) as connection, connection:
            connection.execute("UPDATE events SET body = json_remove(body, '$.error') WHERE kind = 'model_called'")
        had, speaker = recorded(out), Speaker(script)
        await played(make(), 1, out, speaker)
        assert had + speaker.asked == whole.asked, f"after event {last}"
        assert results(out) == results(run), f"after event {last}"


async def test_a_call_that_an_earlier_version_broke_off_is_asked_again(tmp_path: Path) -> None:
    """Until version 3 only the last attempt said why there is no reply."""
    made, run = apart("judge"), tmp_path / "run"
    down = EndpointDown("gone")
    down.attempts = (Attempt(latency_s=0.0, error="EndpointDown: gone"),)
    await played(made, 1, run, Speaker(lambda _: down))
    with closing(sqlite3.connect(run / "run.db")) as connection, connection:
        connection.execute("UPDATE events SET body = json_remove(body, '$.error') WHERE kind = 'model_called'")
    speaker = Speaker()
    status = await played(made, 1, run, speaker)
    assert status is not None
    assert (status.done, len(speaker.calls), status.calls, status.calls_failed) == (1, 1, 2, 1)


async def test_data_that_changed_before_an_open_item_was_begun_anew_is_known_to_have_changed(tmp_path: Path) -> None:
    made, out, path, speaker = apart("judge"), tmp_path / "run", tmp_path / "data.jsonl", Speaker()

    def data(word: str) -> Dataset:
        rows = ({"id": f"i{number}", "prompt": f"{word} {number}?", "a": "A", "b": "B"} for number in range(3))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return open_dataset(path, takes="comparison")

    await played(made, data("Who"), out, Speaker(last=3, how="cancelled", pause=True), concurrency=3)
    await played(made, data("Why"), out, Speaker(last=1), accept_changes=True)
    status = await played(made, data("Why"), out, speaker)
    assert status is not None
    assert (status.done, len(speaker.calls)) == (3, 3)
    prompts = [opened.item.prompt for opened in kinds(out, "item_opened")]
    assert prompts == ["Who 0?", "Who 1?", "Who 2?", "Why 0?", "Why 1?", "Why 2?"]
    assert await played(made, list(data("Why")), out, Speaker(last=1)) == status


async def test_runs_side_by_side_leave_the_garbage_collector_as_they_found_it(tmp_path: Path) -> None:
    before = gc.get_threshold()
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(played(apart("judge"), 3, tmp_path / str(number)))
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)

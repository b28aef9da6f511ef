import sqlite3
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import answered, as_version, aside, decided, failed, finished, written
from playing import items, library
from pydantic import field_serializer

from fellowship.protocols.debate import ArgumentMade
from fellowship.protocols.errors import LogError
from fellowship.protocols.generation import DraftWritten
from fellowship.protocols.identity import ConversationId
from fellowship.protocols.lifecycle import DraftPicked, ItemFinished, RunEnded
from fellowship.protocols.messages import Fact
from fellowship.protocols.models import ChatMessage, ModelCall
from fellowship.runtime.log import LogReader, open_log, schema
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Settings, play
from fellowship.scenarios.outcomes import Fold, in_order

LONG = "\n".join(["It scatters short waves “more” than long ones."] * 10)


def stored(path: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute(query).fetchall()
    connection.close()
    return rows


async def test_a_text_that_is_said_many_times_is_stored_once_and_read_every_time(tmp_path: Path) -> None:
    said = [
        answered(LONG),
        ArgumentMade(round=1, text=LONG),
        DraftWritten(round=1, text=LONG, version=1, cut_off=True),
        DraftPicked(rule="last", writer="w", version=1, text=LONG),
        ItemFinished(number=0, text=LONG),
    ]
    prompt = ChatMessage("assistant", LONG)
    path = tmp_path / "run.db"
    async with open_log(path) as log:
        log.keep(prompt.digest, prompt.content)
        for message in said:
            log.append(message, sender="a")
    assert stored(path, "SELECT digest, text FROM texts") == [(prompt.digest, LONG)]
    assert stored(path, "SELECT DISTINCT text_digest FROM events") == [(prompt.digest,)]
    assert stored(path, "SELECT count(*) FROM events WHERE body LIKE '%scatters%'") == [(0,)]
    with LogReader(path) as reader:
        assert [event.message() for event in reader.events()] == said
        newest = reader.newest("argument_made")
        assert newest is not None
        assert newest.message() == said[1]


async def test_a_short_text_none_at_all_and_an_answer_of_a_form_stay_in_their_bodies(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    ballot = answered(LONG).model_copy(update={"answer": "ballot"})
    said = [ArgumentMade(round=1, text="No."), answered(None), finished(0), RunEnded(reason="done"), ballot]
    await written(path, [("", "a", message) for message in said])
    assert stored(path, "SELECT DISTINCT text_digest FROM events") == [(None,)]
    assert stored(path, "SELECT * FROM texts") == []
    with LogReader(path) as reader:
        assert [event.message() for event in reader.events()] == said


class Shouted(Fact):
    kind: Literal["shouted"] = "shouted"
    text: str

    @field_serializer("text")
    def loudly(self, text: str) -> str:
        return text.upper()


class Counted(Fact):
    kind: Literal["counted"] = "counted"
    text: tuple[str, ...]


class Noted(Fact):
    kind: Literal["noted"] = "noted"
    text: str | None = None


async def test_a_text_of_anothers_message_lies_apart_only_where_it_is_a_plain_string(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    said = [Shouted(text=LONG), Counted(text=(LONG,)), Noted(text=LONG)]
    await written(path, [("", "a", message) for message in said])
    apart = stored(path, "SELECT kind FROM events WHERE text_digest IS NOT NULL")
    assert apart == [("noted",)]
    with LogReader(path) as reader:
        texts = [event.message().body["text"] for event in reader.events()]  # type: ignore[attr-defined]
    assert texts == [LONG.upper(), [LONG], LONG]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=1, max_size=3), st.data())
def test_any_text_comes_back_as_it_was_said(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], data: st.DataObject
) -> None:
    import asyncio

    said = [part * data.draw(st.integers(1, 60)) for part in parts]
    path = tmp_path_factory.mktemp("log") / "run.db"
    asyncio.run(written(path, [("x", "a", ArgumentMade(round=1, text=text)) for text in said]))
    with LogReader(path) as reader:
        assert [event.message().text for event in reader.events(ConversationId("x"))] == said  # type: ignore[attr-defined]


async def test_a_long_text_that_is_not_unicode_is_refused_and_leaves_no_gap(tmp_path: Path) -> None:
    async with open_log(tmp_path / "run.db") as log:
        with pytest.raises(ValueError, match="surrogate"):
            log.append(ArgumentMade(round=1, text=LONG + "\ud800"), sender="a")
        await log.durable(log.append(ArgumentMade(round=1, text=LONG), sender="a"))
        assert [event.sequence for event in log.events()] == [1]


async def test_a_prompt_that_is_not_unicode_is_refused_and_does_not_end_the_log(tmp_path: Path) -> None:
    async with open_log(tmp_path / "run.db") as log:
        with pytest.raises(UnicodeEncodeError):
            log.keep("d", "\ud800")
        await log.durable(log.append(RunEnded(reason="done"), sender="a"))
        with pytest.raises(KeyError):
            log.text("d")


async def test_bodies_leave_the_texts_that_nobody_asked_for_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    await written(path, [("x~1", "a", answered(LONG)), ("x~1", "c", finished(0, LONG)), ("x~1", "c", finished(1))])
    digest = ChatMessage("user", LONG).digest
    with LogReader(path) as reader:
        found = list(reader.bodies(("model_called", "item_finished"), with_text=("item_finished",)))
        assert [(sequence, conversation, sender, kind) for sequence, conversation, sender, kind, _, _ in found] == [
            (1, "x~1", "a", "model_called"),
            (2, "x~1", "c", "item_finished"),
            (3, "x~1", "c", "item_finished"),
        ]
        assert [apart for *_, apart in found] == [digest, None, None]
        assert "text" not in found[0][4]
        assert ItemFinished.model_validate_json(found[1][4]) == finished(0, LONG)
        assert [sequence for sequence, *_ in reader.bodies(("item_finished",), until=2)] == [2]


async def test_a_text_that_is_lost_is_told_of_and_never_read_as_none(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    await written(path, [("x~1", "c", finished(0, LONG))])
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM texts")
    connection.close()
    with LogReader(path) as reader:
        for read in (reader.events, Fold(reader).outcomes, lambda: iter([reader.newest("item_finished")])):
            with pytest.raises(LogError, match=r"run\.db is damaged: the text .* of event 1 is not there"):
                list(read())  # type: ignore[operator]


# older versions


@pytest.mark.parametrize("version", [1, 2])
async def test_an_older_log_of_long_texts_is_read_as_it_is_and_gone_on_with(version: int, tmp_path: Path) -> None:
    def at_length(call: ModelCall) -> str:
        return LONG if call.answer is None else as_reply(call)

    path = tmp_path / "run" / "run.db"
    await play(library("debate"), items(3), path.parent, Settings(client=ScriptedModel(at_length)))
    with LogReader(path) as reader:
        events, outcomes = list(reader.events()), list(Fold(reader).outcomes())
    assert sum(LONG in getattr(event.message(), "text", "") for event in events if event.kind == "argument_made") >= 3
    as_version(version, path)
    ((in_bodies,),) = stored(path, "SELECT count(*) FROM events WHERE body LIKE '%scatters%'")
    assert in_bodies >= 6

    for opened in (False, True):
        if opened:
            await written(path, [("", "conductor", RunEnded(reason="done"))])
        assert stored(path, "PRAGMA user_version") == [(schema.VERSION if opened else version,)]
        with LogReader(path) as reader:
            found = list(reader.events())[: len(events)]
            assert [(event.sequence, event.message()) for event in found] == [
                (event.sequence, event.message()) for event in events
            ]
            assert list(Fold(reader).outcomes()) == outcomes
    more = await play(library("debate"), items(4), path.parent, Settings(client=ScriptedModel(at_length)))
    assert (more.state, more.done) == ("done", 4)


async def test_a_reader_goes_on_reading_a_log_that_is_migrated_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    await written(path, [("x", "a", ArgumentMade(round=1, text=LONG))])
    as_version(2, path)
    with LogReader(path) as reader:
        assert len(list(reader.events())) == 1
        await written(path, [("x", "a", ArgumentMade(round=2, text=LONG))])
        assert [event.message().text for event in reader.events()] == [LONG, LONG]  # type: ignore[attr-defined]


# folds


@pytest.mark.parametrize("version", [1, 2, 3, 4])
async def test_a_call_has_failed_by_its_error_or_for_want_of_any_reply(version: int, tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    calls = [answered("short"), answered(LONG), answered(None), answered(None, error="Overloaded"), answered("")]
    await written(path, [("x~1", "a", call) for call in calls])
    if version < schema.VERSION:
        as_version(version, path)
    with LogReader(path) as reader:
        total = Fold(reader).whole().total()
    assert (total.calls, total.failed) == (5, 2)


async def test_an_outcome_set_aside_does_not_count_and_its_calls_are_charged_to_the_one_that_follows(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.db"
    said = [
        ("x~1", "a", answered()),
        ("x~1", "c", failed(0)),  # 2
        ("y~1", "a", answered()),
        ("y~1", "c", finished(1)),
        ("", "c", aside(2)),
        ("x~1", "a", answered()),
        ("x~1", "c", failed(0)),  # 7
        ("", "c", aside(7)),
        ("x~1", "a", answered()),
        ("x~1", "c", finished(0)),
    ]
    await written(path, said)
    with LogReader(path) as reader:
        fold = Fold(reader)
        found = list(in_order(fold.outcomes()))
    assert [(outcome.item, outcome.status, outcome.calls, outcome.tokens) for outcome in found] == [
        ("x", "done", 3, 30),
        ("y", "done", 1, 10),
    ]
    assert (dict(fold.failures), dict(fold.verdicts), fold.total().calls) == ({}, {"a": 2}, 4)


async def test_an_item_whose_only_outcome_was_set_aside_has_none_and_its_calls_still_count(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    said = [("x~1", "a", answered()), ("x~1", "d", decided(1)), ("x~1", "c", finished(0)), ("", "c", aside(3))]
    await written(path, said)
    with LogReader(path) as reader:
        fold = Fold(reader).whole()
    assert (fold.verdicts.total(), fold.failures.total(), fold.total().calls) == (0, 0, 1)


async def test_a_fold_over_a_run_that_is_being_retried_never_counts_an_item_twice(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    await written(path, [("x~1", "a", answered()), ("x~1", "c", failed(0)), ("y~1", "c", finished(1))])
    async with open_log(path) as log:
        with LogReader(path) as reader:
            bodies = reader.bodies

            def meanwhile(kinds: tuple[str, ...], **more: Any) -> Any:
                found = list(bodies(kinds, **more))
                if kinds == ("outcome_set_aside",):
                    log.append(aside(2), sender="c")
                    log.append(finished(0), sender="c", conversation=ConversationId("x~1"))
                    log._commit(*[list(log._rows), [], {}])
                    log._rows.clear()
                return iter(found)

            reader.bodies = meanwhile  # type: ignore[method-assign]
            assert [number for number, _ in Fold(reader).outcomes()] == [0, 1]
            assert [(number, outcome.status) for number, outcome in Fold(reader).outcomes()] == [
                (1, "done"),
                (0, "done"),
            ]

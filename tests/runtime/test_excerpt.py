"""Excerpts of logs and of cassettes: in another process they tell what the whole told in the first."""

import json
import pickle
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import answered, as_version, aside, failed, finished
from playing import items
from telling import Speaker, apart, asked, cut_short, kinds, length, played, results, speak, story

from fellowship.protocols.debate import ArgumentMade, MakeArgument
from fellowship.protocols.errors import CassetteMiss, LogError, Overloaded
from fellowship.protocols.events import Event
from fellowship.protocols.identity import ConversationId, ItemId
from fellowship.protocols.items import Item
from fellowship.protocols.lifecycle import ItemOpened, ModelCalled
from fellowship.protocols.messages import Message
from fellowship.protocols.models import ChatMessage, ModelCall, ModelSettings
from fellowship.runtime.log import LogReader, open_log
from fellowship.runtime.log.excerpt import excerpt
from fellowship.runtime.log.texts import LONG
from fellowship.runtime.recording import Cassette, FileCassette, Fit, RecordedRun, Tape
from fellowship.runtime.recording.file import write
from fellowship.runtime.session import Limits, open_session
from fellowship.scenarios import Plan, Settings, play
from fellowship.scenarios.again import fork, retry
from fellowship.scenarios.again import played as played_by
from fellowship.scenarios.cut import Cut
from fellowship.scenarios.directory import look_back
from fellowship.scenarios.stage import Stage

KEY = "sk-Pl4nted-key-0123456789"


def reader_of(log: LogReader, *names: str) -> LogReader:
    """Return a reader of an excerpt."""
    wanted = [ConversationId(name) for name in names]
    return LogReader.of(excerpt(log, log.positions(wanted)), log.path)


def named(events: list[Event]) -> set[str]:
    """Return the digests of all prompts that some events name."""
    return {digest for event in events for _, digest in json.loads(event.body).get("messages", ())}


def text_of(event: Event) -> str | None:
    text: str | None = json.loads(event.body).get("text")
    return text


# of a log

NAMES = ("", "i0~1", "i0~2", "i1~1", "a~b~1")
PIECES = ("ja. ", "“no”\n", "because\u2028it \\ does; ", "x")
TEXTS = {ChatMessage("user", text).digest: text for piece in PIECES for text in (piece * n for n in (1, 20, 60, 3_000))}
texts = st.sampled_from(sorted(TEXTS.values()))


def calling(prompt: str, text: str | None) -> ModelCalled:
    said = ChatMessage("user", prompt)
    return answered(text).model_copy(update={"messages": ((said.role, said.digest),)})


messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(lambda prompt: ItemOpened(number=0, item=Item(id=ItemId("i0"), prompt=prompt)), texts),
    st.builds(lambda round_: MakeArgument(round=round_), st.integers(1, 3)),
    st.builds(lambda text: ArgumentMade(round=1, text=text), texts),
    st.builds(calling, texts, st.none() | texts),
    st.builds(aside, st.integers(1, 9)),
    st.builds(failed, st.just(0)),
    st.builds(finished, st.just(0), st.none() | texts),
)
hearers = st.sampled_from([(), ("a",), ("a", "b")])
Said = tuple[str, Message, int | None, tuple[str, ...]]
said = st.lists(st.tuples(st.sampled_from(NAMES), messages, st.none() | st.integers(1, 9), hearers), max_size=25)


@settings(max_examples=40, deadline=None)
@given(said=said, kept=st.sets(st.sampled_from(sorted(TEXTS))), wanted=st.sets(st.sampled_from(NAMES[1:])))
async def test_an_excerpt_holds_just_the_events_of_its_conversations_and_every_text_that_these_name(
    tmp_path_factory: pytest.TempPathFactory, said: list[Said], kept: set[str], wanted: set[str]
) -> None:
    path = tmp_path_factory.mktemp("log") / "run.db"
    async with open_log(path) as log:
        for digest in kept:
            log.keep(digest, TEXTS[digest])
        for name, message, cause, to in said:
            log.append(message, sender="a", conversation=ConversationId(name), cause=cause, recipients=to)
    with LogReader(path) as whole:
        part = reader_of(whole, *wanted)
        events = [event for event in whole.events() if event.conversation in wanted]
        assert list(part.events()) == events
        assert [event.message() for event in part.events()] == [event.message() for event in events]
        assert part.positions() == whole.positions([ConversationId(name) for name in wanted])
        assert (part.run_id(), part.last()) == (whole.run_id(), events[-1].sequence if events else 0)
        long = {
            digest for event in events for digest, text in TEXTS.items() if len(text) > LONG and text == text_of(event)
        }
        assert dict(part.texts(TEXTS)) == dict(whole.texts(named(events) | long))


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_of_a_log_of_an_earlier_version_it_is_one_of_the_present(tmp_path: Path, version: int) -> None:
    await played(apart("feedback-loop"), 2, tmp_path)
    as_version(version, tmp_path / "run.db")
    with LogReader(tmp_path / "run.db") as whole:
        part = reader_of(whole, "i1~1")
        events = list(part.events())
        assert events == list(whole.events(ConversationId("i1~1")))
        assert [part.text(digest) for digest in sorted(named(events))]
        assert part.run_id() == whole.run_id()
        assert part.newest("item_opened") == events[0]


async def test_it_is_small_and_can_be_taken_while_the_log_is_being_written(tmp_path: Path) -> None:
    async with open_log(tmp_path / "run.db") as log:
        for number in range(50):
            for round_ in range(4):
                name = ConversationId(f"i{number}~1")
                log.append(ArgumentMade(round=round_, text=f"{number} {round_} " * 50), sender="a", conversation=name)
        await log.flush()
        with LogReader(tmp_path / "run.db") as whole:
            data = excerpt(whole, whole.positions([ConversationId("i7~1")]))
            assert len(list(LogReader.of(data, whole.path).events())) == 4
            assert len(data) < sum(len(event.body) for event in whole.events()) / 8


async def test_a_secret_that_was_taken_out_of_the_log_is_in_no_excerpt(tmp_path: Path) -> None:
    about = [items(1)[0].model_copy(update={"prompt": f"What does {KEY} open? " * 9})]
    environ = {"ACME_API_KEY": KEY}

    def echo(call: ModelCall) -> str:
        return speak(call) if call.answer else call.messages[-1].content

    await play(apart("feedback-loop"), about, tmp_path, Settings(client=Speaker(echo), environ=environ))
    with LogReader(tmp_path / "run.db") as whole:
        write(whole, tmp_path / "tape.jsonl")
        part = reader_of(whole, "i0~1")
        recorded: tuple[Cassette, ...] = (RecordedRun(whole), FileCassette.read(tmp_path / "tape.jsonl"))
        for cassette in recorded:
            data = pickle.dumps(cassette.only(ItemId("i0")))
            assert b"[secret ACME_API_KEY]" in data
            assert KEY.encode() not in data
        for digest in named(list(part.events())):
            assert part.text(digest) == whole.text(digest)
            assert KEY not in part.text(digest)


async def test_what_is_damaged_in_the_log_is_damaged_in_the_excerpt_in_the_same_words(tmp_path: Path) -> None:
    await played(apart("feedback-loop"), 1, tmp_path)
    path = tmp_path / "run.db"

    def told(log: LogReader) -> str:
        with pytest.raises(LogError, match="is damaged") as caught:
            list(log.events())
        return str(caught.value)

    def damage(statement: str) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)

    damage("UPDATE texts SET text = 'other' WHERE digest IN (SELECT text_digest FROM events)")
    with LogReader(path) as whole:
        assert told(whole) == told(reader_of(whole, "i0~1"))
    damage("DELETE FROM texts WHERE text = 'other'")
    with LogReader(path) as whole:
        assert told(whole) == told(reader_of(whole, "i0~1"))
    damage("UPDATE events SET body = '{' WHERE kind = 'model_called'")
    with LogReader(path) as whole, pytest.raises(LogError, match=r"run\.db is damaged: event \d+ is not what it was"):
        reader_of(whole, "i0~1")


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "is empty"), (b"{}" * 600, "is not a run's log"), (b"SQLite format 3\0" * 60, "is not a run's log")],
)
def test_bytes_that_are_no_log_are_refused_by_the_name_that_they_were_given(data: bytes, words: str) -> None:
    with pytest.raises(LogError, match=f"^nowhere/run.db {words}"):
        LogReader.of(data, Path("nowhere/run.db"))


# of a recording

Made = tuple[Plan, Path, dict[str, bool]]
"""What was played, where, and how its recording is to be read."""


async def debate(folder: Path) -> Made:
    await played(apart("debate"), 2, folder / "run")
    return apart("debate"), folder / "run", {"whole": True}


async def pairs(folder: Path) -> Made:
    await played(apart("preference-pairs"), 2, folder / "run")
    return apart("preference-pairs"), folder / "run", {}


async def failed_ones(folder: Path) -> Made:
    def script(call: ModelCall) -> Any:
        return Overloaded("on fire") if call.settings.model == "acme/judge" else speak(call)

    await played(apart("debate"), 2, folder / "run", Speaker(script))
    return apart("debate"), folder / "run", {}


async def retried(folder: Path) -> Made:
    made, run, _ = await failed_ones(folder)
    await retry(run, Settings(client=Speaker()))
    return made, run, {}


async def held_anew(folder: Path) -> Made:
    await played(apart("debate"), 2, folder / "run")
    made = apart("debate", "agents.critic.instructions=Be brief.")
    await played(made, 2, folder / "run", accept_changes=True)
    return made, folder / "run", {}


async def from_a_recording(folder: Path) -> Made:
    made, first, _ = await held_anew(folder)
    with LogReader(first / "run.db") as log:
        await play(made, items(2), folder / "again", Settings(cassette=RecordedRun(log)))
    return made, folder / "again", {}


async def forked(folder: Path) -> Made:
    await played(apart("debate"), 2, folder / "run")
    with LogReader(folder / "run" / "run.db") as log:
        middle = [event.sequence for event in log.events(ConversationId("i1~1"), ("argument_made",))][2]
    await fork(folder / "run", middle, folder / "fork", Settings(client=Speaker()), models={"judge": "acme/other"})
    with LogReader(folder / "fork" / "run.db") as log:
        return played_by(log), folder / "fork", {"forked": True, "whole": True}  # type: ignore[return-value]


async def broken_off(folder: Path) -> Made:
    made, run, how = await debate(folder)
    return made, cut_short(run, folder / "short", length(run) * 3 // 4), how


ENDED = (debate, pairs, failed_ones, retried, held_anew, from_a_recording, forked)
Way = Callable[[Path], Any]


class Carried:
    """A cassette that has each item fetched from another one's parcel, as another process has."""

    def __init__(self, cassette: Cassette) -> None:
        self._cassette = cassette

    def only(self, item: ItemId) -> Any:
        return pickle.loads(pickle.dumps(self._cassette.only(item)))  # noqa: S301 - our own

    def tape(self, item: ItemId, *, fit: Fit, keep: Callable[[str, str], None]) -> Tape:
        tape: Tape = self.only(item).cassette().tape(item, fit=fit, keep=keep)
        return tape

    def earlier(self, item: ItemId) -> Iterator[tuple[ConversationId, str, ModelCalled]]:
        return iter(list(self.only(item).cassette().earlier(item)))


def events(out: Path) -> list[tuple[Any, ...]]:
    """Return all that a log holds, but the times."""
    with LogReader(out / "run.db") as log:
        return [
            (one.sequence, one.conversation, one.cause, one.sender, one.recipients, one.kind, one.body)
            for one in log.events()
        ]


@pytest.mark.parametrize("way", ENDED, ids=lambda way: way.__name__)
async def test_a_run_from_parcels_is_event_for_event_that_from_the_cassette(tmp_path: Path, way: Way) -> None:
    made, run, how = await way(tmp_path)
    with LogReader(run / "run.db") as log:
        recorded = RecordedRun(log, **how)
        about = [item for item in items(2) if item.id in recorded]
        for name, cassette in (("whole", recorded), ("carried", Carried(recorded))):
            await play(made, about, tmp_path / name, Settings(cassette=cassette))
        write(log, tmp_path / "tape.jsonl")
    assert events(tmp_path / "carried") == events(tmp_path / "whole")
    assert results(tmp_path / "carried") == results(tmp_path / "whole")
    assert len(kinds(tmp_path / "carried", "model_called")) >= len(about)
    if way in (debate, pairs):
        cassette = Carried(FileCassette.read(tmp_path / "tape.jsonl"))
        await play(made, about, tmp_path / "file", Settings(cassette=cassette))
        assert results(tmp_path / "file") == results(tmp_path / "whole")


def told(cassette: Cassette, item: ItemId, lanes: list[tuple[str, int | None]]) -> list[Any]:
    """Return all that a cassette has to say about an item."""
    kept: dict[str, str] = {}
    logged: list[tuple[str, ModelCalled]] = []
    tape = cassette.tape(item, fit="as said", keep=kept.__setitem__)
    call = ModelCall(ModelSettings(model="acme/m"), (ChatMessage("user", "?"),))
    answers = [tape.answer(agent, None, round_, call, lambda _: None) for agent, round_ in lanes]
    tape.rest(lambda agent, called: logged.append((agent, called)), whole=True)
    return [tape.name, tape.failed, answers, logged, kept, list(cassette.earlier(item))]


@pytest.mark.parametrize("way", [*ENDED, broken_off], ids=lambda way: way.__name__)
async def test_a_tape_out_of_a_parcel_answers_as_the_one_that_it_was_taken_from(tmp_path: Path, way: Way) -> None:
    _, run, how = await way(tmp_path)
    with LogReader(run / "run.db") as log:
        recorded = RecordedRun(log, **how)
        write(log, tmp_path / "tape.jsonl")
        called = [(event.sender, event.message()) for event in log.events(kinds=("model_called",))]
        lanes = [(agent, one.round) for agent, one in called if isinstance(one, ModelCalled)]
        cassettes: tuple[Cassette, ...] = (recorded, FileCassette.read(tmp_path / "tape.jsonl"))
        for cassette in cassettes:
            for item in recorded.items():
                before = told(cassette, item, lanes)
                assert told(Carried(cassette), item, lanes) == before
                assert [one for one in before[2] if one]
        carried = Carried(recorded).only(ItemId("i1")).cassette()
    assert (way is failed_ones) == (told(carried, ItemId("i1"), lanes)[1] is not None)
    assert (way in (held_anew, from_a_recording)) == bool(list(carried.earlier(ItemId("i1"))))


async def test_a_parcel_is_of_one_item_alone(tmp_path: Path) -> None:
    _, run, _ = await debate(tmp_path)
    with LogReader(run / "run.db") as log:
        write(log, tmp_path / "tape.jsonl")
        cassettes: tuple[Cassette, ...] = (RecordedRun(log), FileCassette.read(tmp_path / "tape.jsonl"))
        for cassette in cassettes:
            data = pickle.dumps(cassette.only(ItemId("i1")))
            assert b"Question 1?" in data
            assert b"Question 0?" not in data


async def test_an_item_that_was_not_recorded_is_missed_in_the_same_words(tmp_path: Path) -> None:
    _, run, _ = await debate(tmp_path)
    with LogReader(run / "run.db") as log:
        write(log, tmp_path / "tape.jsonl")
        cassettes: tuple[Cassette, ...] = (RecordedRun(log), FileCassette.read(tmp_path / "tape.jsonl"))
        for cassette in cassettes:
            words: list[str] = []
            for item in ("i00", "other"):
                with pytest.raises(CassetteMiss) as of_tape:
                    cassette.tape(ItemId(item), fit="exact", keep=lambda *_: None)
                with pytest.raises(CassetteMiss) as of_parcel:
                    cassette.only(ItemId(item))
                assert str(of_parcel.value) == str(of_tape.value)
                words.append(str(of_parcel.value))
            assert words[0].endswith("has no recording of item 'i00'; did you mean 'i0'?")
            with pytest.raises(CassetteMiss, match="has no recording of item 'i0'"):
                cassette.only(ItemId("i1")).cassette().tape(ItemId("i0"), fit="exact", keep=lambda *_: None)


async def test_what_a_fork_stands_on_travels_with_the_event_where_it_ends(tmp_path: Path) -> None:
    _, run, _ = await debate(tmp_path)
    with LogReader(run / "run.db") as log:
        at = [event.sequence for event in log.events(ConversationId("i1~1"), ("argument_made",))][3]
        recorded = RecordedRun(log, [ConversationId("i1~1")])
        cut = Cut(recorded, ConversationId("i1~1"), recorded.sifted(ConversationId("i1~1")), at)
        called = [(event.sender, event.message()) for event in log.events(kinds=("model_called",))]
        lanes = [(agent, one.round) for agent, one in called if isinstance(one, ModelCalled)]
        before = told(cut, ItemId("i1"), lanes)
        assert told(Carried(cut), ItemId("i1"), lanes) == before
        assert len([one for one in before[2] if one]) == 3


# going on

Own = Callable[[LogReader, list[ConversationId]], RecordedRun]


def of_the_log(log: LogReader, conversations: list[ConversationId]) -> RecordedRun:
    return RecordedRun(log, conversations)


def of_an_excerpt(log: LogReader, conversations: list[ConversationId]) -> RecordedRun:
    data = RecordedRun(log).excerpt(conversations)
    return RecordedRun(LogReader.of(data, log.path), conversations)


async def gone_on(made: Plan, run: Path, own: Own) -> Speaker:
    """Go on with the only item of a run, over what is recorded of it."""
    speaker = Speaker()
    (item,) = items(1)
    session = open_session(run / "run.db", made.models, environ={}, limits=Limits(), seed=0, client=speaker)
    with LogReader(run / "run.db") as log:
        left = look_back(log).left[item.id]
        async with session as opened:
            recorded = own(log, list(left.conversations()))
            stage = Stage(made, opened.system, 0, own=recorded)
            end, _ = await stage.play(stage.due(0, item, left))
    assert end.kind == "item_finished"
    return speaker


async def goes_on_alike(made: Plan, run: Path, folder: Path, last: int) -> int:
    """Go on after an event from the log and from an excerpt; return how many calls that took."""
    speakers: list[Speaker] = []
    for name, own in (("log", of_the_log), ("excerpt", of_an_excerpt)):
        out = cut_short(run, folder / f"{name}-{last}", last)
        speakers.append(await gone_on(made, out, own))
    assert story(folder / f"excerpt-{last}") == story(folder / f"log-{last}")
    assert events(folder / f"excerpt-{last}") == events(folder / f"log-{last}")
    assert [asked(call) for call in speakers[1].calls] == [asked(call) for call in speakers[0].calls]
    return len(speakers[1].calls)


@pytest.mark.parametrize("name", ["debate", "preference-pairs"])
async def test_a_conversation_goes_on_from_an_excerpt_as_from_the_log(tmp_path: Path, name: str) -> None:
    made, run, whole = apart(name), tmp_path / "run", Speaker()
    await played(made, 1, run, whole)
    asked_for = [await goes_on_alike(made, run, tmp_path, last) for last in range(3, length(run) - 2, 5)]
    assert asked_for == sorted(asked_for, reverse=True)
    assert asked_for[0] == len(whole.calls)
    assert asked_for[-1] <= 1


async def test_a_conversation_held_over_others_goes_on_from_an_excerpt_as_from_the_log(tmp_path: Path) -> None:
    run, made, short = tmp_path / "run", apart("debate"), tmp_path / "short"
    await played(made, 1, run)
    cut_short(run, short, length(run) * 3 // 4)
    for words, last in (("Be brief.", 2), ("Be kind.", 4)):
        made = apart("debate", f"agents.critic.instructions={words}")
        await played(made, 1, short, Speaker(last=last), accept_changes=True)
    with LogReader(short / "run.db") as log:
        assert list(log.positions()) == ["i0~1", "i0~2", "i0~3"]
    assert 0 < await goes_on_alike(made, short, tmp_path, length(short)) < 6

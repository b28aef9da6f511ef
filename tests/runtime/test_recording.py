"""Recordings given back: tapes and their lanes, what a miss says, cassettes as files, and conversations recalled."""

import gc
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from acting import Answered, AskThing
from hypothesis import given, settings
from hypothesis import strategies as st

from fellowship.protocols.errors import (
    CassetteMiss,
    DeclarationError,
    Diverged,
    EndpointDown,
    ExecutionError,
    Overloaded,
    RecordingEnded,
)
from fellowship.protocols.events import Event
from fellowship.protocols.identity import CONDUCTOR, ConversationId, ItemId
from fellowship.protocols.items import Item
from fellowship.protocols.lifecycle import (
    AgentFailed,
    AgentRecused,
    Failure,
    ItemFailed,
    ItemFinished,
    ItemOpened,
    ItemResumed,
    LetterUndelivered,
    ModelCalled,
)
from fellowship.protocols.messages import Message
from fellowship.protocols.models import (
    AnswerSchema,
    Attempt,
    ChatMessage,
    ModelCall,
    ModelSettings,
    TokenLogprob,
    Usage,
)
from fellowship.runtime.log import LogReader, open_log
from fellowship.runtime.recording import FileCassette, Fit, Recollection, RecordedRun, Tape, sift
from fellowship.runtime.recording.file import write
from fellowship.runtime.recording.standing import error_of, failure_of, stops
from fellowship.runtime.recording.tape import Recorded, excerpt

SCHEMA = AnswerSchema("scores", {"type": "object", "properties": {}})


def call(*texts: str, model: str = "acme/m", answer: AnswerSchema | None = None, **more: Any) -> ModelCall:
    """Return a call whose messages take turns, a system message first."""
    roles = ("system", "user", "assistant", "user", "assistant", "user")
    messages = tuple(ChatMessage(role, text) for role, text in zip(roles, texts, strict=False))  # type: ignore[arg-type]
    return ModelCall(ModelSettings(model=model, **more), messages, answer)


def called(asked: ModelCall, text: str | None = "yes", *, round_: int | None = 1, **more: Any) -> ModelCalled:
    return ModelCalled(
        round=round_,
        model=asked.settings.model,
        messages=tuple((message.role, message.digest) for message in asked.messages),
        settings=asked.settings.sampling,
        answer=asked.answer.name if asked.answer else None,
        text=text,
        usage=Usage(input_tokens=3, output_tokens=1),
        cost_usd=0.5,
        attempts=(Attempt(latency_s=1.0),),
        **more,
    )


class Deck:
    """A tape, with what it keeps and appends."""

    def __init__(self, *recorded: Recorded, texts: Iterable[ModelCall] = (), fit: Fit = "exact", **more: Any) -> None:
        self.texts = {message.digest: message.content for asked in texts for message in asked.messages}
        self.kept: dict[str, str] = {}
        self.logged: list[ModelCalled] = []
        self.tape = Tape("i0~1", recorded, lambda digest: self.texts.get(digest, ""), fit=fit, keep=self.kept.__setitem__, **more)  # fmt: skip

    def answer(self, agent: str, asked: ModelCall, round_: int | None = 1) -> str | None:
        found = self.tape.answer(agent, 1, round_, asked, self.logged.append)
        return None if found is None else found.text


# lanes


def test_each_agent_has_a_lane_of_its_own_for_each_round() -> None:
    asked = call("Be kind.", "Well?")
    deck = Deck(
        Recorded("one", called(asked, "one, first")),
        Recorded("two", called(asked, "two, first")),
        Recorded("one", called(asked, "one, first again")),
        Recorded("one", called(asked, "one, second", round_=2)),
        Recorded("one", called(asked, "one, of no round", round_=None)),
    )
    answers = [deck.answer("one", asked, 2), deck.answer("one", asked), deck.answer("two", asked)]
    answers += [deck.answer("one", asked), deck.answer("one", asked, None)]
    assert answers == ["one, second", "one, first", "two, first", "one, first again", "one, of no round"]
    with pytest.raises(CassetteMiss):
        deck.answer("two", asked)


def test_what_is_answered_is_appended_as_recorded_with_what_it_took_then() -> None:
    asked = call("Be kind.", "Well?")
    deck = Deck(Recorded("one", called(asked)), texts=[asked])
    assert deck.tape.event(Answered(), "one", 1, ()) is None
    deck.answer("one", asked)
    assert deck.logged == [called(asked, source="recording")]
    assert deck.kept == {message.digest: message.content for message in asked.messages}


@pytest.mark.parametrize(
    ("more", "source", "expected"),
    [
        ({}, "endpoint", "recording"),
        ({}, "cache", "recording"),
        ({}, "earlier", "recording"),
        ({"paid_here": True}, "endpoint", "earlier"),
        ({"paid_here": True}, "recording", "earlier"),
        ({"with_earlier": True}, "endpoint", "recording"),
        ({"with_earlier": True}, "earlier", "earlier"),
    ],
)
def test_an_answer_is_counted_in_one_place_only(more: Mapping[str, bool], source: Any, expected: str) -> None:
    asked = call("Be kind.", "Well?")
    deck = Deck(Recorded("one", called(asked, source=source)), **more)
    deck.answer("one", asked)
    assert [one.source for one in deck.logged] == [expected]
    assert deck.logged[0].usage == Usage(input_tokens=3, output_tokens=1)


def test_what_was_not_acted_upon_is_passed_over_and_counted_at_the_end() -> None:
    asked = call("Be kind.", "Well?")
    failed = called(asked, None, error=Failure(error="Overloaded", reason="on fire"))
    deck = Deck(Recorded("one", failed, stands=False), Recorded("one", called(asked)), Recorded("two", failed, stands=False))  # fmt: skip
    assert deck.answer("one", asked) == "yes"
    assert [one.text for one in deck.logged] == ["yes"]
    rest: list[tuple[str, str | None]] = []
    deck.tape.rest(lambda agent, one: rest.append((agent, one.text)), whole=False)
    assert rest == [("one", None), ("two", None)]
    deck.tape.rest(lambda agent, one: rest.append((agent, one.text)), whole=True)
    assert len(rest) == 2


@pytest.mark.parametrize(("whole", "expected"), [(True, ["second", "of two"]), (False, [])])
def test_what_was_not_asked_for_is_counted_where_the_whole_is_wanted(whole: bool, expected: list[str]) -> None:
    asked = call("Be kind.", "Well?")
    deck = Deck(
        Recorded("one", called(asked, "first")), Recorded("one", called(asked, "second")), Recorded("two", called(asked, "of two"))
    )  # fmt: skip
    deck.answer("one", asked)
    rest: list[str | None] = []
    deck.tape.rest(lambda _, one: rest.append(one.text), whole=whole)
    assert rest == expected


def test_a_tape_is_wound_past_what_was_asked_for_already() -> None:
    asked = call("Be kind.", "Well?")
    failed = called(asked, None, error=Failure(error="Overloaded", reason="on fire"))
    deck = Deck(
        Recorded("one", failed, stands=False), Recorded("one", called(asked, "first")), Recorded("one", called(asked, "second"))
    )  # fmt: skip
    deck.tape.wind([("one", 1), ("two", 1), ("one", 7)])
    assert deck.answer("one", asked) == "second"
    deck.tape.wind([("one", 1)])
    with pytest.raises(CassetteMiss):
        deck.answer("one", asked)


# fits


def test_while_exact_a_lane_ends_at_the_first_question_that_is_another() -> None:
    asked, other = call("Be kind.", "Well?"), call("Be kind.", "Why?")
    deck = Deck(*(Recorded(agent, called(asked)) for agent in ("one", "one", "one", "two")), fit="while exact")
    assert [deck.answer("one", asked), deck.answer("one", other), deck.answer("one", asked)] == ["yes", None, None]
    assert deck.answer("two", asked) == "yes"
    assert deck.answer("two", asked) is None


def test_as_said_an_answer_is_taken_whatever_was_asked_as_long_as_there_is_one() -> None:
    deck = Deck(Recorded("one", called(call("Be kind.", "Well?"))), fit="as said")
    assert not deck.tape.exact
    assert deck.answer("one", call("Be stern.", "Why?", model="acme/other")) == "yes"
    assert deck.answer("one", call("Be kind.", "Well?")) is None


def test_where_the_item_failed_the_recording_ends_and_says_why() -> None:
    asked = call("Be kind.", "Well?")
    deck = Deck(Recorded("one", called(asked)), failed=Failure(error="ItemTimedOut", reason="it took longer"))
    deck.answer("one", asked)
    with pytest.raises(RecordingEnded, match="i0~1 ended here: ItemTimedOut: it took longer"):
        deck.answer("one", asked)


# what a miss says

BASE = call("Be kind.", "Well?", temperature=0.5)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (call("Be kind.", "Well?", model="acme/n", temperature=0.5), "the model is acme/n, and was acme/m"),
        (call("Be kind.", "Well?", temperature=0.7), "temperature is 0.7, and was 0.5"),
        (call("Be kind.", "Well?", temperature=None), "temperature is not set, and was 0.5"),
        (call("Be kind.", "Well?", temperature=0.5, seed=3), "seed is 3, and was not set"),
        (call("Be kind.", "Well?", temperature=0.5, stop=("x",)), "stop is ['x'], and was not set"),
        (call("Be kind.", "Well?", temperature=0.5, answer=SCHEMA), "the answer is to be scores, and was free text"),
        (call("Be kind.", "Why?", temperature=0.5), "message 2 (user) differs\n  recorded: Well?\n  now:      Why?"),
        (call("Be kind.", temperature=0.5), "there are fewer messages: 1, and were 2"),
        (call("Be kind.", "Well?", "Yes.", "So?", temperature=0.5), "there are more messages: 4, and were 2"),
    ],
)
def test_a_miss_says_in_what_the_recorded_call_differs(asked: ModelCall, words: str) -> None:
    deck = Deck(Recorded("one", called(BASE)), texts=[BASE])
    with pytest.raises(CassetteMiss) as caught:
        deck.answer("one", asked)
    assert (
        str(caught.value) == f"no recording of i0~1 answers 'one', call 1 of round 1; the one recorded there: {words}"
    )


@given(st.text(), st.text(), st.text())
def test_an_excerpt_is_one_line_around_the_first_difference(same: str, one: str, two: str) -> None:
    shown = excerpt(same + one, same + two)
    assert len(shown.splitlines()) <= 1
    assert shown.isprintable()
    assert len(shown) <= 12 * 120 + 2


def test_long_messages_are_shown_where_they_differ() -> None:
    long = "word " * 500
    before, now = call("Be kind.", f"{long}one{long}"), call("Be kind.", f"{long}two{long}")
    deck = Deck(Recorded("one", called(before)), texts=[before])
    with pytest.raises(CassetteMiss) as caught:
        deck.answer("one", now)
    _, recorded, asked = str(caught.value).splitlines()
    assert "word one" in recorded
    assert "word two" in asked
    assert recorded.count("…") == 2
    assert len(recorded) < 160


def test_an_exhausted_lane_shows_the_nearest_recording_of_all() -> None:
    apples, pears = call("Be kind.", "Tell me of apples and their trees."), call("Be kind.", "Tell me of pears.")
    asked = call("Be kind.", "Tell me of apples and their worms.")
    deck = Deck(Recorded("one", called(pears)), Recorded("two", called(apples, round_=3)), texts=[apples, pears])
    deck.answer("one", pears)
    with pytest.raises(CassetteMiss) as caught:
        deck.answer("one", asked)
    told = str(caught.value)
    assert "answers 'one', call 2 of round 1; the nearest, of 'two' in round 3: message 2 (user) differs" in told
    assert "recorded: Tell me of apples and their trees." in told
    assert "now:      Tell me of apples and their worms." in told


def test_a_call_asked_once_too_often_is_said_to_be_the_same() -> None:
    deck = Deck(Recorded("one", called(BASE)), texts=[BASE])
    deck.answer("one", BASE)
    with pytest.raises(CassetteMiss, match="is the same call, and was asked for already or by another agent"):
        deck.answer("one", BASE)


def test_a_recording_without_calls_says_so() -> None:
    with pytest.raises(CassetteMiss, match="no recording of i0~1 answers 'one', call 1 of round 2: it has no calls"):
        Deck().answer("one", BASE, 2)


# cassettes

HEAD = '{"fellowship_cassette": 1, "scenario": "talk"}'


def line(conversation: str = "i0~1", agent: str = "one", text: str = "yes") -> dict[str, Any]:
    document = called(BASE, text).model_dump(mode="json", exclude_none=True, exclude={"messages"})
    said = [(message.role, message.content) for message in BASE.messages]
    return {"conversation": conversation, "agent": agent, "said": said, "call": document}


def file(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines) + "\n")
    return path


async def logged(path: Path, said: Iterable[tuple[str, str, Message]], texts: Iterable[ModelCall] = ()) -> Path:
    async with open_log(path) as log:
        log.note(name="talk")
        for asked in texts:
            for message in asked.messages:
                log.keep(message.digest, message.content)
        for conversation, sender, message in said:
            log.append(message, sender=sender, conversation=ConversationId(conversation))
    return path


def opened(item: str, number: int = 0) -> ItemOpened:
    return ItemOpened(number=number, item=Item(id=ItemId(item), prompt="?"))


whole_texts = st.text(st.characters(codec="utf-8"), max_size=60)


@settings(max_examples=25, deadline=None)
@given(said=st.lists(st.tuples(whole_texts, whole_texts, whole_texts), min_size=1, max_size=4))
async def test_what_is_written_to_a_file_is_read_from_it(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("cassette")
    asked = [call(system, user, answer=SCHEMA, seed=4) for system, user, _ in said]
    facts: list[tuple[str, str, Message]] = [("i0~1", CONDUCTOR, opened("i0"))]
    facts += [
        (
            "i0~1",
            "one",
            called(one, text, tier="text", reasoning=text, logprobs=(TokenLogprob(token=text, logprob=-1.0),)),
        )
        for one, (_, _, text) in zip(asked, said, strict=True)
    ]
    with LogReader(await logged(folder / "run.db", facts, asked)) as log:
        assert write(log, folder / "tape.jsonl") == len(said)
    assert len((folder / "tape.jsonl").read_bytes().splitlines()) == len(said) + 1
    cassette = FileCassette.read(folder / "tape.jsonl")
    kept: dict[str, str] = {}
    tape = cassette.tape(ItemId("i0"), fit="exact", keep=kept.__setitem__)
    found = [tape.answer("one", 1, 1, one, lambda _: None) for one in asked]
    assert found == [fact for _, _, fact in facts[1:]]
    assert kept == {message.digest: message.content for one in asked for message in one.messages}


async def test_texts_that_no_file_can_hold_are_refused_by_the_log_before_they_get_there(tmp_path: Path) -> None:
    with pytest.raises((UnicodeEncodeError, BaseExceptionGroup)):
        await logged(tmp_path / "run.db", [("i0~1", "one", called(BASE))], [call("\ud800", "?")])


async def test_a_file_holds_what_counts_of_each_item_in_the_order_they_were_begun(tmp_path: Path) -> None:
    failed = called(BASE, None, error=Failure(error="CancelledError", reason="away"))
    facts: list[tuple[str, str, Message]] = [
        ("i1~1", CONDUCTOR, opened("i1", 1)),
        ("i0~1", CONDUCTOR, opened("i0")),
        ("i0~1", "one", called(BASE, "of before")),
        ("i1~1", "one", failed),
        ("i1~1", "one", called(BASE, "of i1")),
        ("i0~2", CONDUCTOR, opened("i0")),
        ("i0~2", "one", called(BASE, "of now")),
    ]
    with LogReader(await logged(tmp_path / "run.db", facts, [BASE])) as log:
        assert write(log, tmp_path / "new" / "tape.jsonl") == 2
    head, *lines = map(json.loads, (tmp_path / "new" / "tape.jsonl").read_text().splitlines())
    assert head == {"fellowship_cassette": 1, "scenario": "talk"}
    assert [(one["conversation"], one["call"]["text"]) for one in lines] == [("i1~1", "of i1"), ("i0~2", "of now")]
    assert lines[0]["said"] == [["system", "Be kind."], ["user", "Well?"]]
    assert "messages" not in lines[0]["call"]


async def test_a_file_that_cannot_be_written_is_said_and_nothing_half_is_left(tmp_path: Path) -> None:
    (tmp_path / "tape.jsonl").mkdir()
    (tmp_path / "file").touch()
    with LogReader(await logged(tmp_path / "run.db", [("i0~1", "one", called(BASE))], [BASE])) as log:
        for path in (tmp_path / "tape.jsonl", tmp_path / "file" / "tape.jsonl"):
            with pytest.raises(DeclarationError, match="cannot be written"):
                write(log, path)
    assert not (tmp_path / "tape.jsonl.part").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "tape.jsonl:1: not a cassette: its first line does not say so"),
        ('{"item": "i0"}\n', "tape.jsonl:1: not a cassette"),
        ('{"fellowship_cassette": 2}\n', "tape.jsonl:1: not a cassette"),
        ("\x00\xff\n", "tape.jsonl:1: not a cassette"),
    ],
)
def test_a_file_that_is_no_cassette_is_refused(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "tape.jsonl"
    path.write_text(content)
    with pytest.raises(DeclarationError, match=words):
        FileCassette.read(path)
    with pytest.raises(DeclarationError, match="nowhere.jsonl cannot be read: No such file"):
        FileCassette.read(tmp_path / "nowhere.jsonl")


def test_every_bad_line_of_a_cassette_is_told_with_its_number(tmp_path: Path) -> None:
    good = line()
    bad: list[tuple[object, str]] = [
        ("{", "not a recorded call"),
        ("[]", "not a recorded call"),
        ("", "not a recorded call"),
        ({**good, "said": [["king", "x"]]}, "said.0.0"),
        ({**good, "said": [["user", 3]]}, "not a recorded call"),
        ({**good, "said": "user"}, "not a recorded call"),
        ({name: part for name, part in good.items() if name != "agent"}, "agent: Field required"),
        ({**good, "more": 1}, "more: Extra inputs"),
        ({**good, "call": {**good["call"], "text": 3}}, "call.text"),
    ]
    path = file(tmp_path / "tape.jsonl", HEAD, good, *(one for one, _ in bad), good)
    with pytest.raises(DeclarationError) as caught:
        FileCassette.read(path)
    assert [problem.line for problem in caught.value.problems] == list(range(3, 3 + len(bad)))
    for problem, (_, words) in zip(caught.value.problems, bad, strict=True):
        assert words in problem.what


def test_an_item_that_was_not_recorded_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    path = file(tmp_path / "tape.jsonl", HEAD, line("question-17~1"), line("other~1"))
    cassette = FileCassette.read(path)
    with pytest.raises(CassetteMiss) as caught:
        cassette.tape(ItemId("question-71"), fit="exact", keep=lambda *_: None)
    assert str(caught.value) == f"{path} has no recording of item 'question-71'; did you mean 'question-17'?"
    with pytest.raises(CassetteMiss) as caught:
        cassette.tape(ItemId("x"), fit="exact", keep=lambda *_: None)
    assert str(caught.value) == f"{path} has no recording of item 'x'"


async def test_a_run_is_a_cassette_of_its_newest_conversations(tmp_path: Path) -> None:
    facts: list[tuple[str, str, Message]] = [
        ("a~b~1", CONDUCTOR, opened("a~b")),
        ("a~b~1", "one", called(BASE, "first")),
        ("a~b~2", CONDUCTOR, opened("a~b")),
        ("a~b~2", "one", called(BASE, "second")),
    ]
    with LogReader(await logged(tmp_path / "run.db", facts, [BASE])) as log:
        recorded = RecordedRun(log)
        assert list(recorded.items()) == ["a~b"]
        assert "a~b" in recorded
        assert "a" not in recorded
        found = recorded.tape(ItemId("a~b"), fit="exact", keep=lambda *_: None).answer(
            "one", 1, 1, BASE, lambda _: None
        )
        assert found is not None
        assert found.text == "second"
        assert [(name, agent, one.text) for name, agent, one in recorded.earlier(ItemId("a~b"))] == [
            ("a~b~1", "one", "first")
        ]
        with pytest.raises(CassetteMiss, match="has no recording of item 'a'"):
            recorded.tape(ItemId("a"), fit="exact", keep=lambda *_: None)


# what of a conversation still counts


def event(
    sequence: int, message: Message, sender: str = "one", cause: int | None = None, to: tuple[str, ...] = ()
) -> Event:
    body = message.model_dump_json(exclude_none=True)
    return Event(sequence, ConversationId("i0~1"), cause, sender, to, message.kind, body, 0.0)


def asked_and_failed(error: str = "Overloaded") -> list[Event]:
    """Return a conversation in which one has answered, and two has failed."""
    failure = Failure(error=error, reason="on fire", agent="two")
    return [
        event(1, opened("i0"), CONDUCTOR),
        event(2, AskThing(), CONDUCTOR, 1, ("one",)),
        event(3, AskThing(), CONDUCTOR, 1, ("two",)),
        event(4, called(BASE), "one", 2),
        event(5, called(BASE, None, error=failure), "two", 3),
        event(6, Answered(text="yes"), "one", 2),
        event(7, AgentFailed(cause=failure, attempt=1, then="fail"), "two", 3),
    ]


def test_a_failure_counts_until_it_is_set_aside() -> None:
    sifted = sift(asked_and_failed())
    assert (sifted.fallen, sifted.failed) == (set(), (3,))
    sifted = sift([*asked_and_failed(), event(8, ItemResumed(set_aside=(3,)), CONDUCTOR, 1)])
    assert (sifted.fallen, sifted.failed) == ({5, 7}, ())


@pytest.mark.parametrize(
    "error", ["EndpointDown", "BudgetExhausted", "Unauthorised", "QuotaExhausted", "CancelledError"]
)
def test_what_stops_a_run_is_nobodys_failure(error: str) -> None:
    sifted = sift(asked_and_failed(error))
    assert (sifted.fallen, sifted.failed) == ({5, 7}, ())
    assert [one.sequence for one in sifted.standing()] == [1, 2, 3, 4, 6]


def test_all_that_came_of_a_command_falls_with_it() -> None:
    events = [
        *asked_and_failed(),
        event(8, AskThing(), "two", 3, ("three",)),
        event(9, called(BASE), "three", 8),
        event(10, Answered(), "three", 8),
    ]
    sifted = sift(events)
    sifted.set_aside([3])
    assert sifted.fallen == {5, 7, 8, 9, 10}


def test_letters_that_were_lost_are_sent_again_and_recorded_calls_under_no_command_are_only_counted() -> None:
    lost = event(8, LetterUndelivered(to="two", letter="ask_thing", reason="two was stopped"), CONDUCTOR, 3)
    assert sift([*asked_and_failed(), lost]).fallen == set()
    assert sift([*asked_and_failed(), lost, event(9, ItemResumed(), CONDUCTOR, 1)]).fallen == {8}
    assert sift([*asked_and_failed(), event(8, called(BASE, source="recording"), "one", 1)]).fallen == {8}


def test_a_call_of_before_tells_its_failure_in_its_last_attempt() -> None:
    def of(*errors: str | None) -> Failure | None:
        attempts = tuple(Attempt(latency_s=0.0, error=error) for error in errors)
        return failure_of(called(BASE, None).model_copy(update={"attempts": attempts}))

    assert of("Overloaded: once", "CallTimedOut: no answer: for long") == Failure(error="CallTimedOut", reason="no answer: for long")  # fmt: skip
    assert of() == of(None) == Failure(error="CancelledError", reason="")
    assert failure_of(called(BASE)) is None
    assert isinstance(error_of(Failure(error="Overloaded", reason="on fire")), Overloaded)
    bug = error_of(Failure(error="KeyError", reason="'x'"))
    assert (type(bug).__name__, str(bug), isinstance(bug, ExecutionError)) == ("KeyError", "'x'", False)
    unknown = error_of(Failure(error="Bewitched", reason="by whom?"))
    assert (type(unknown).__name__, str(unknown), stops(Failure(error="Bewitched", reason=""))) == ("Bewitched", "by whom?", False)  # fmt: skip
    assert isinstance(error_of(Failure(error="EndpointDown", reason="")), EndpointDown)
    del unknown
    gc.collect()  # a class goes in its own time, and others look at all that ModelError has


# recollections


def test_each_message_finds_itself_in_the_log_once() -> None:
    recall = Recollection(sift(asked_and_failed()))
    assert recall.event(AskThing(), CONDUCTOR, 1, ("two",)) == 3
    assert recall.event(AskThing(), CONDUCTOR, 1, ("one",)) == 2
    assert recall.event(AskThing(), CONDUCTOR, 1, ("one",)) is None
    assert recall.event(Answered(text="yes"), "one", 2, ("whoever", "listens")) == 6
    assert recall.event(Answered(text="yes"), "one", 2, ()) is None


def test_another_message_in_the_place_of_a_recorded_one_diverges() -> None:
    recall = Recollection(sift(asked_and_failed()))
    with pytest.raises(Diverged, match=r"one says something else than event 6 \(answered\)"):
        recall.event(Answered(text="no"), "one", 2, ())
    assert recall.event(Answered(text="no"), "one", 3, ()) is None


def test_what_happens_by_chance_may_happen_otherwise() -> None:
    recall = Recollection(sift(asked_and_failed()))
    other = Failure(error="Overloaded", reason="on fire again", agent="two")
    assert recall.event(AgentFailed(cause=other, attempt=1, then="retry"), "two", 3, ()) is None
    assert recall.event(AgentRecused(agent="two", cause=other), CONDUCTOR, 7, ()) is None


def test_calls_are_recalled_by_the_letter_that_led_to_them() -> None:
    recall = Recollection(sift(asked_and_failed()))
    assert recall.answer("one", 3, 1, BASE, print) is None
    found = recall.answer("one", 2, 1, BASE, print)
    assert found is not None
    assert (found.text, found.source) == ("yes", "endpoint")
    assert recall.answer("one", 2, 1, BASE, print) is None
    failed = recall.answer("two", 3, 1, BASE, print)
    assert failed is not None
    assert failed.error is not None


def test_another_call_than_the_recorded_one_diverges() -> None:
    recall = Recollection(sift(asked_and_failed()))
    with pytest.raises(Diverged, match=r"one asks something else than was recorded: message 2 \(user\) differs"):
        recall.answer("one", 2, 1, call("Be kind.", "Why?", temperature=0.5), print)


def test_where_the_log_has_no_more_the_tape_it_was_begun_with_goes_on() -> None:
    deck = Deck(Recorded("one", called(BASE, "taken")), Recorded("one", called(BASE, "next")), fit="as said")
    taken = called(call("Be stern.", "Well?"), "taken", source="recording")
    events = [*asked_and_failed()[:3], event(4, taken, "one", 2)]
    recall = Recollection(sift(events), deck.tape)
    found = [recall.answer("one", 2, 1, BASE, deck.logged.append) for _ in range(3)]
    assert [one and one.text for one in found] == ["taken", "next", None]
    assert [one.text for one in deck.logged] == ["next"]


def test_a_conversation_that_ended_is_no_less_recalled() -> None:
    ended = event(8, ItemFailed(number=0, cause=Failure(error="Overloaded", reason="on fire")), CONDUCTOR, 1)
    recall = Recollection(sift([*asked_and_failed(), ended, event(9, ItemFinished(number=0), CONDUCTOR, 1)]))
    assert recall.event(ItemFinished(number=0), CONDUCTOR, 1, ()) is None
    assert recall.event(AskThing(), CONDUCTOR, 1, ("one",)) == 2

"""Conversations and instruction files as data: what becomes the prompt, its history and its reference."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playing import MODEL, beside, fellowship

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.identity import ItemId
from fellowship.protocols.items import Item, Turn
from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import open_dataset
from fellowship.scenarios.datasets import read_mapping


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "d.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(folder: Path, *rows: dict[str, Any], columns: str | None = None, **options: Any) -> list[Item]:
    mapping = read_mapping(columns) if columns else None
    options.setdefault("takes", "instruction")
    return list(open_dataset(written(folder, *rows), mapping=mapping, **options))


def said(*texts: str, system: str | None = None) -> list[dict[str, str]]:
    begun = [{"role": "system", "content": system}] if system is not None else []
    return begun + [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)]


def parts(item: Item) -> tuple[list[tuple[str, str]], str, str | None]:
    return [(turn.role, turn.content) for turn in item.history], item.prompt, item.reference


SHARE_GPT = [{"from": who, "value": what} for who, what in (("system", "s"), ("human", "q1"), ("gpt", "a1"))]


@pytest.mark.parametrize(
    ("row", "history", "prompt", "reference"),
    [
        ({"prompt": said("q1")}, [], "q1", None),
        ({"prompt": said("q1", "a1", "q2", system="s")}, ["s", "q1", "a1"], "q2", None),
        ({"messages": said("q1", "a1", "q2", "a2")}, ["q1", "a1"], "q2", "a2"),
        ({"messages": said("q1", "a1", "q2")}, ["q1", "a1"], "q2", None),
        ({"messages": said("q1", "a1", system=" ")}, [], "q1", "a1"),
        ({"messages": said("q1", "")}, [], "q1", None),
        ({"conversations": SHARE_GPT}, ["s"], "q1", "a1"),
        ({"conversations": SHARE_GPT[1:], "system": "be brief"}, ["be brief"], "q1", "a1"),
        ({"conversation": [{"input": "q1", "output": "a1"}, {"input": "q2", "output": "a2"}]}, ["q1", "a1"], "q2", "a2"),
        ({"conversation": [{"input": "q1", "output": None}]}, [], "q1", None),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "q1"}]}]}, [], "q1", None),
        ({"prompt": "q1", "history": said("q0", "a0")}, ["q0", "a0"], "q1", None),
        ({"instruction": "q1", "input": "", "output": "a1"}, [], "q1", "a1"),
        ({"instruction": "q1", "input": "on this", "output": "a1"}, [], "q1\n\non this", "a1"),
        ({"instruction": "q1", "input": None}, [], "q1", None),
        ({"instruction": "q1", "context": "on this", "response": "a1", "category": "qa"}, [], "q1\n\non this", "a1"),
        ({"instruction": "q", "output": "a", "system": "s", "history": [["x", "y"]]}, ["s", "x", "y"], "q", "a"),
        ({"question": "q1", "answer": "a1"}, [], "q1", "a1"),
        ({"question": "q1", "answer": 3}, [], "q1", None),
        ({"prompt": "q1", "completion": "a1"}, [], "q1", "a1"),
        ({"prompt": said("q1"), "completion": [{"role": "assistant", "content": "a1"}]}, [], "q1", "a1"),
        ({"prompt": "q1", "reference": "a1"}, [], "q1", "a1"),
    ],
)  # fmt: skip
def test_every_usual_shape_gives_history_prompt_and_reference(
    tmp_path: Path, row: dict[str, Any], history: list[str], prompt: str, reference: str | None
) -> None:
    (item,) = read(tmp_path, row)
    assert [turn.content for turn in item.history] == history
    assert (item.prompt, item.reference) == (prompt, reference)


def test_no_robots_is_read_with_its_system_message_and_its_own_ids(tmp_path: Path) -> None:
    row = {"prompt": "q1", "prompt_id": "7c3", "messages": said("q1", "a1", system="Marv is rude."), "category": "Chat"}
    (item,) = read(tmp_path, row)
    assert (item.id, *parts(item)) == ("7c3", [("system", "Marv is rude.")], "q1", "a1")
    assert item.metadata == {"category": "Chat"}


def test_the_first_turn_is_taken_where_it_is_asked_for_and_what_follows_is_counted(tmp_path: Path) -> None:
    rows = [{"messages": said("q1", "a1", "q2", "a2", system="s")}, {"messages": said("q1")}]
    items = read(tmp_path, *rows, turns="first")
    assert [parts(item) for item in items] == [([("system", "s")], "q1", "a1"), ([], "q1", None)]
    assert [item.metadata for item in items] == [{"later_turns": 2}, {}]
    looked_at = open_dataset(tmp_path / "d.jsonl", takes="instruction", turns="first")
    known = open_dataset(tmp_path / "d.jsonl", takes="instruction", turns="first", known=looked_at.mark)
    assert (looked_at.later_turns, known.later_turns, len(known)) == (2, 2, 2)
    last = open_dataset(tmp_path / "d.jsonl", takes="instruction", known=looked_at.mark)
    assert (last.later_turns, next(iter(last)).prompt) == (0, "q2")


def test_a_column_of_conversations_a_history_and_a_reference_can_be_named(tmp_path: Path) -> None:
    row = {"dialogue": said("q1", "a1"), "earlier": said("q0", "a0"), "gold": "g", "notes": [1]}
    (item,) = read(tmp_path, row, columns="prompt=dialogue,history=earlier,reference=gold")
    assert parts(item) == ([("user", "q0"), ("assistant", "a0")], "q1", "g")
    assert item.metadata == {"notes": [1]}
    (first,) = read(tmp_path, row, columns="prompt=dialogue.0.content")
    assert parts(first) == ([], "q1", None)


def test_what_is_no_history_and_no_reference_stays_metadata(tmp_path: Path) -> None:
    rest = {"history": "of art", "reference": ["two", "of them"]}
    (item,) = read(tmp_path, {"prompt": "q", **rest})
    assert (parts(item), item.metadata) == (([], "q", None), rest)
    (labelled,) = read(tmp_path, {"prompt": "q", "completion": "good or bad", "label": False})
    assert (labelled.reference, labelled.metadata["completion"]) == (None, "good or bad")
    (generated,) = read(tmp_path, {"instruction": "q", "output": "a", "generator": "m1"})
    assert (generated.reference, generated.metadata["output"]) == (None, "a")
    (ended,) = read(tmp_path, {"messages": said("q", "a"), "reference": "another"})
    assert (ended.reference, ended.metadata) == ("a", {"reference": "another"})


def test_an_items_prompt_and_history_can_be_of_a_comparison(tmp_path: Path) -> None:
    (item,) = read(tmp_path, {"messages": said("q1", "a1", "q2"), "a": "one", "b": "two"}, takes="comparison")
    assert parts(item) == ([("user", "q1"), ("assistant", "a1")], "q2", None)
    assert item.candidate("b").text == "two"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": said("q1", "a1")}, "prompt ends with a message of the assistant"),
        ({"prompt": []}, "prompt has no message of a user"),
        ({"prompt": ["q1"]}, "prompt.0 is no message, but str 'q1'"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "messages has no message of a user"),
        ({"messages": [*said("q1", "a1"), {"role": "assistant", "content": "a2"}]}, "more than one answer"),
        ({"messages": [{"role": "usr", "content": "q"}]}, "messages.0 is of 'usr'.*did you mean 'user'"),
        ({"messages": [{"role": "tool", "content": "3"}]}, "messages.0 is of 'tool'"),
        ({"messages": [{"role": "user", "content": None}]}, "content of messages.0 must be text, and is NoneType"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "content of messages.0 must be text"),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": [1]}]}, "messages.0 calls a tool"),
        ({"messages": said(" ")}, "prompt is empty"),
        ({"messages": [{"text": "q"}]}, "messages.0 has no role and content"),
        ({"messages": "q"}, None),
        ({"prompt": "q", "history": [{"role": "robot", "content": "x"}]}, "history.0 is of 'robot'"),
    ],
)  # fmt: skip
def test_a_conversation_that_cannot_be_read_is_told_with_its_line(
    tmp_path: Path, row: dict[str, Any], message: str | None
) -> None:
    good = {name: said("q") if isinstance(value, list) else value for name, value in row.items()}
    if message is None:
        assert read(tmp_path, row)[0].prompt == "q"
        return
    with pytest.raises(DeclarationError, match=message) as caught:
        read(tmp_path, good, row, row)
    assert [problem.line for problem in caught.value.problems] == [2, 3]


def test_a_column_that_is_not_there_is_no_history_and_no_reference(tmp_path: Path) -> None:
    for field in ("history", "reference", "id"):
        with pytest.raises(DeclarationError, match=f"no column 'nowhere' for {field}"):
            read(tmp_path, {"messages": said("q")}, columns=f"{field}=nowhere")
    with pytest.raises(DeclarationError, match="--turns first is for instructions"):
        read(tmp_path, {"prompt": "q", "a": "x", "b": "y"}, takes="comparison", turns="first")


TURNS = st.lists(
    st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text(min_size=1).filter(str.strip)), max_size=8
)


@settings(max_examples=150, deadline=None)
@given(TURNS, st.sampled_from(["messages", "conversations"]), st.sampled_from(["first", "last"]))
def test_a_conversation_divides_into_history_prompt_reference_and_later_turns_without_loss(
    tmp_path_factory: pytest.TempPathFactory, talk: list[tuple[str, str]], column: str, turns: str
) -> None:
    names = ("role", "content") if column == "messages" else ("from", "value")
    row = {column: [dict(zip(names, turn, strict=True)) for turn in talk]}
    users = [place for place, (role, _) in enumerate(talk) if role == "user"]
    try:
        (item,) = read(tmp_path_factory.mktemp("data"), row, turns=turns)
    except DeclarationError:
        ends = [role for role, _ in talk[users[-1] + 1 :]] if users else []
        assert not users or (turns == "last" and ends not in ([], ["assistant"]))
        return
    history, prompt, reference = parts(item)
    answered = [("assistant", reference)] if reference is not None else []
    whole = [*history, ("user", prompt), *answered]
    assert whole == talk[: len(whole)]
    assert len(whole) + int(str(item.metadata.get("later_turns", 0))) == len(talk)
    assert len(history) == users[0 if turns == "first" else -1]


def test_an_item_without_a_history_is_written_as_it_always_was() -> None:
    item = Item(id=ItemId("1"), prompt="p")
    assert json.loads(item.model_dump_json(exclude_none=True)) == {
        "id": "1", "prompt": "p", "candidates": [], "human": [], "metadata": {}
    }  # fmt: skip
    assert Item.model_validate_json('{"id": "1", "prompt": "p", "candidates": [], "metadata": {}}') == item
    talk = item.model_copy(update={"history": (Turn(role="user", content="q"),), "reference": "r"})
    assert Item.model_validate_json(talk.model_dump_json(exclude_none=True)) == talk


def test_a_loop_plays_a_conversation_and_trace_shows_what_was_said_before_and_the_reference(tmp_path: Path) -> None:
    data, run = (
        written(tmp_path, {"messages": said("Hello?", "Hi!", "Why?", "Because.", system="Be brief.")}),
        tmp_path / "run",
    )
    with beside(LoopbackEndpoint(answer=Opinions(unreadable=0))) as endpoint:
        options = ("--data", data, "--base-url", endpoint.base_url, "--model", MODEL, "--out", run)
        played = fellowship("run", "feedback-loop", *options)
        assert played.exit_code == 0, played.stderr
        first = endpoint.ledger[0].request["messages"]
        calls = len(endpoint.ledger)
        assert fellowship("run", "feedback-loop", *options).exit_code == 0
        assert len(endpoint.ledger) == calls
    assert [message["role"] for message in first] == ["system", "user", "assistant", "user"]
    assert "Because." not in json.dumps([served.request for served in endpoint.ledger])
    shown = " ".join(fellowship("trace", run, "1").stdout.split())
    assert shown.index("before: system Be brief.") < shown.index("before: assistant Hi!") < shown.index("request Why?")
    assert "reference (no model is shown it) Because." in shown
    again = fellowship("run", "feedback-loop", *options, "--turns", "first")
    assert (again.exit_code, "item '1'.history" in again.stderr) == (2, True), again.stderr


def test_two_conversations_that_end_alike_are_two_prompts_to_those_who_rate(tmp_path: Path) -> None:
    from fellowship.scenarios.ratings.source import open_ratings

    pair, run = {"a": "one", "b": "two"}, tmp_path / "run"
    data = written(tmp_path, *({"messages": said(text, "Yes.", "Go on."), **pair} for text in ("x", "y", "y")))
    with beside(LoopbackEndpoint(answer=Opinions(unreadable=0))) as endpoint:
        options = ("--base-url", endpoint.base_url, "--model", MODEL, "--out", run)
        assert fellowship("run", "judge", "--data", data, *options).exit_code == 0
    first, second, third = open_ratings(run).prompt.tolist()
    assert first != second == third

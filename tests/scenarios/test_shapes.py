"""Published data sets as they are: what is shown of them, and what people said."""

import json
from pathlib import Path
from typing import Any

import pytest

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.items import Item
from fellowship.scenarios import open_dataset


def items(tmp_path: Path, *rows: dict[str, Any], mapping: dict[str, str] | None = None) -> list[Item]:
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(open_dataset(path, takes="comparison", mapping=mapping))


def said(item: Item) -> dict[str, str]:
    return {vote.rater: vote.verdict for vote in item.human}


def talk(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)]


TWO_TURNS = {
    "question_id": 81,
    "model_a": "x",
    "model_b": "y",
    "winner": "model_b",
    "conversation_a": talk("q1", "a1", "q2", "a2"),
    "conversation_b": talk("q1", "b1", "q2", "b2"),
}


def test_a_second_turn_is_judged_with_both_turns_shown(tmp_path: Path) -> None:
    (item,) = items(tmp_path, {**TWO_TURNS, "turn": 2})
    assert item.id == "81-t2-x-y"
    assert item.prompt == "[Turn 1]\nq1\n\n[Turn 2, the one to judge]\nq2"
    assert item.candidate("a").text == "[Turn 1]\na1\n\n[Turn 2, the one to judge]\na2"
    assert item.candidate("b").text.endswith("b2")
    assert said(item) == {"human": "b"}
    assert item.metadata == {"question_id": 81, "turn": 2}


def test_a_first_turn_is_judged_without_what_came_after_it(tmp_path: Path) -> None:
    (item,) = items(tmp_path, {**TWO_TURNS, "turn": 1, "winner": "tie (inconsistent)"})
    assert (item.prompt, item.candidate("a").text, item.candidate("b").text) == ("q1", "a1", "b1")
    assert said(item) == {"human": "tie"}


def test_three_annotators_of_conversations_are_three_people(tmp_path: Path) -> None:
    row = {"conversation_a": talk("q", "a"), "conversation_b": talk("q", "b")}
    (item,) = items(tmp_path, {**row, "annotator_1": 1, "annotator_2": 0, "annotator_3": "model_b"})
    assert said(item) == {"annotator_1": "a", "annotator_2": "tie", "annotator_3": "b"}
    assert item.id == "1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"turn": 0}, "turn is 0"),
        ({"turn": 3}, "conversation_a is no conversation of 3 turns"),
        ({"conversation_b": "text"}, "conversation_b is no conversation of 1 turn"),
        ({"conversation_b": talk("other", "b1")}, "ask different things"),
        ({"winner": "model_c"}, "winner is 'model_c': a label is one of a, b, tie"),
        ({"winner": True}, "winner is True"),
    ],
)
def test_a_conversation_that_cannot_be_shown_or_read_is_told_with_its_line(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match=message) as caught:
        items(tmp_path, {**TWO_TURNS, "turn": 1, **change})
    assert caught.value.problems[0].line == 1


@pytest.mark.parametrize(
    ("human", "expected"),
    [
        ("A", {"human": "a"}),
        (["a", None, "tie"], {"human-1": "a", "human-3": "tie"}),
        ({"ann": "b", "bob": "Tie"}, {"ann": "b", "bob": "tie"}),
        (None, {}),
    ],
)
def test_own_labels_are_one_or_a_list_or_by_name(tmp_path: Path, human: object, expected: dict[str, str]) -> None:
    (item,) = items(tmp_path, {"prompt": "p", "a": "x", "b": "y", "human": human})
    assert said(item) == expected


def test_a_column_of_labels_can_be_named(tmp_path: Path) -> None:
    (item,) = items(tmp_path, {"prompt": "p", "a": "x", "b": "y", "gold": "b"}, mapping={"human": "gold"})
    assert said(item) == {"human": "b"}
    assert item.metadata == {}
    with pytest.raises(DeclarationError, match="no column 'glod' for human; did you mean 'gold'"):
        items(tmp_path, {"prompt": "p", "a": "x", "b": "y", "gold": "b"}, mapping={"human": "glod"})


def test_llmbar_and_pandalm_say_who_was_better_by_numbers(tmp_path: Path) -> None:
    (item,) = items(tmp_path, {"input": "p", "output_1": "x", "output_2": "y", "label": 2})
    assert (item.candidate("a").text, said(item)) == ("x", {"human": "b"})
    row = {"idx": 7, "cmp_key": "bloom-7b_opt-7b", "instruction": "p", "input": "", "response1": "x", "response2": "y"}
    (item,) = items(tmp_path, {**row, "annotator1": 0, "annotator2": 1, "annotator3": None})
    assert said(item) == {"annotator1": "tie", "annotator2": "a"}
    assert (item.candidate("a").model, item.candidate("b").model) == ("bloom-7b", "opt-7b")
    with pytest.raises(DeclarationError, match="annotator1 is 3: a label is one of a, b, tie, 0, 1, 2"):
        items(tmp_path, {**row, "annotator1": 3})


def test_labels_are_not_looked_for_where_nothing_is_compared(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps({"prompt": "p", "human": "An answer that a person wrote."}) + "\n")
    (item,) = open_dataset(path, takes="instruction")
    assert (item.human, item.metadata) == ((), {"human": "An answer that a person wrote."})

"""Questions with a known answer: what is read of published data sets and of one's own, and what is told of bad rows."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.items import Item
from fellowship.scenarios import Dataset, open_dataset
from fellowship.scenarios.questions import last_box

GSM8K = {
    "question": "Natalia sold 48 clips in April, and half as many in May. How many altogether?",
    "answer": "In May it was 48/2 = <<48/2=24>>24 clips.\nNatalia sold 48+24 = <<48+24=72>>72 altogether.\n#### 72",
}
MATH = {
    "problem": "What is $1/2 + 1/4$?",
    "level": "Level 1",
    "type": "Algebra",
    "solution": r"First \boxed{2}, which is wrong. So $\boxed{\frac{3}{4}}$.",
}
ARC = {
    "id": "Mercury_1",
    "question": "Which is a mineral?",
    "choices": {"text": ["wood", "quartz", "paper", "wool"], "label": ["1", "2", "3", "4"]},
    "answerKey": "2",
}
MMLU = {"question": "2 + 2?", "subject": "arithmetic", "choices": ["3", "4", "5", "6"], "answer": 1}


def dataset(folder: Path, *rows: dict[str, Any], takes: str = "question", **options: Any) -> Dataset:
    path = folder / "d.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return open_dataset(path, takes=takes, **options)  # type: ignore[arg-type]


def first(folder: Path, row: dict[str, Any], **options: Any) -> Item:
    return next(iter(dataset(folder, row, **options)))


def refused(folder: Path, *rows: dict[str, Any], **options: Any) -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        dataset(folder, *rows, **options)
    return [f"{problem.line}: {problem.what}" for problem in caught.value.problems]


def test_a_worked_answer_of_gsm8k_ends_with_the_known_one_and_is_kept_whole(tmp_path: Path) -> None:
    item = first(tmp_path, GSM8K)
    assert (item.prompt, item.reference) == (GSM8K["question"], "72")
    assert item.metadata == {"answer": GSM8K["answer"]}


def test_a_solution_of_math_boxes_the_known_answer_last(tmp_path: Path) -> None:
    item = first(tmp_path, MATH)
    assert (item.prompt, item.reference) == (MATH["problem"], r"\frac{3}{4}")
    assert item.metadata == {name: MATH[name] for name in ("level", "type", "solution")}


def test_an_answer_beside_a_solution_is_the_known_one(tmp_path: Path) -> None:
    item = first(tmp_path, {**MATH, "answer": "0.75"})
    assert item.reference == "0.75"
    assert "answer" not in item.metadata


@pytest.mark.parametrize(
    ("row", "choices", "reference", "left"),
    [
        (ARC, ("wood", "quartz", "paper", "wool"), "quartz", {}),
        (MMLU, ("3", "4", "5", "6"), "4", {"subject": "arithmetic"}),
        ({"question": "q?", "options": ["x", "y", "z"], "answer": "C", "answer_index": 2}, ("x", "y", "z"), "C",
         {"answer_index": 2}),
        ({"prompt": "q?", "choices": {"A": "x", "B": "y"}, "answer": "B"}, ("x", "y"), "y", {}),
        ({"prompt": "q?", "choices": {"A": "x", "B": "y"}, "reference": "x"}, ("x", "y"), "x", {}),
        ({"prompt": "q?", "choices": '["x", "y"]', "answer": "x"}, ("x", "y"), "x", {}),
        ({"prompt": "q?", "answer": "x"}, (), "x", {}),
        ({"prompt": "q?", "answer": 0.5}, (), "0.5", {}),
        ({"prompt": "q?", "reference": "x", "answer": "a model's"}, (), "x", {"answer": "a model's"}),
    ],
)  # fmt: skip
def test_choices_and_the_known_answer_among_them_are_read_in_every_form(
    tmp_path: Path, row: dict[str, Any], choices: tuple[str, ...], reference: str, left: dict[str, Any]
) -> None:
    item = first(tmp_path, row)
    assert (item.choices, item.reference, item.metadata) == (choices, reference, left)


def test_a_choice_whose_text_is_the_letter_of_another_is_known_by_its_own_letter(tmp_path: Path) -> None:
    blood = {"question": "Universal donor?", "choices": ["A", "B", "AB", "O"], "answer": 3}
    assert first(tmp_path, blood).reference == "O"
    assert first(tmp_path, {**blood, "choices": ["O", "A", "AB", "B"], "answer": 1}).reference == "B) A"
    assert first(tmp_path, {**blood, "choices": ["1", "2", "2", "3"], "answer": 2}).reference == "C) 2"


def test_columns_of_choices_and_of_the_answer_can_be_named(tmp_path: Path) -> None:
    row = {"stem": "q?", "parts": {"of": ["x", "y"]}, "gold": 1}
    item = first(tmp_path, row, mapping={"prompt": "stem", "choices": "parts.of", "reference": "gold"})
    assert (item.choices, item.reference, item.metadata) == (("x", "y"), "y", {})
    (told,) = refused(tmp_path, row, mapping={"prompt": "stem", "choices": "part"})
    assert told.startswith("1: no column 'part' for choices; did you mean 'parts'")


@pytest.mark.parametrize("takes", ["instruction", "question"])
def test_an_instruction_has_the_choices_too_and_a_whole_solution_as_its_reference(tmp_path: Path, takes: str) -> None:
    item = first(tmp_path, MMLU, takes=takes)
    assert (item.choices, item.reference) == (("3", "4", "5", "6"), "4")
    worked = first(tmp_path, GSM8K, takes=takes).reference, first(tmp_path, MATH, takes=takes).reference
    whole = GSM8K["answer"], MATH["solution"]
    assert worked == (whole if takes == "instruction" else ("72", r"\frac{3}{4}"))


def test_choices_that_cannot_be_read_are_metadata_of_an_instruction_and_wrong_of_a_question(tmp_path: Path) -> None:
    row = {"prompt": "p", "choices": [{"index": 0, "text": "of an endpoint"}]}
    item = first(tmp_path, row, takes="instruction")
    assert (item.choices, item.metadata) == ((), {"choices": row["choices"]})
    assert refused(tmp_path, row)[0].startswith("1: choices has choices that are no texts")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({**MMLU, "answer": 4}, "answer is 4, and the 4 choices are counted from 0"),
        ({**MMLU, "answer": -1}, "answer is -1, and the 4 choices are counted from 0"),
        ({**MMLU, "answer": True}, "a known answer is text or a number, and column 'answer' has True"),
        ({**ARC, "answerKey": "E"}, "answerKey is 'E', which is no choice; there is 1, 2, 3, 4"),
        ({**ARC, "choices": {"text": ["x", "y"], "label": ["1"]}}, "choices is no list of two texts or more"),
        ({**MMLU, "choices": ["one"]}, "choices is no list of two texts or more: ['one']"),
        ({**MMLU, "choices": "one, two"}, "choices is no list of choices, but text 'one, two'"),
        ({**MMLU, "choices": 3}, "choices is no list of two texts or more: 3"),
        ({**MATH, "solution": "Three quarters."}, r"solution has no \boxed{…}, and there is no answer"),
        ({"prompt": "p", "answer": ["x"]}, "a known answer is text or a number, and column 'answer' has ['x']"),
    ],
)
def test_what_is_wrong_with_a_question_is_told_with_its_line(tmp_path: Path, row: dict[str, Any], told: str) -> None:
    (line,) = refused(tmp_path, row)
    assert line.startswith(f"1: {told}")


def test_an_answer_without_its_last_line_is_told_where_the_first_row_has_one(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, GSM8K, {"question": "q?", "answer": "It is 42."}, {"question": "q2?", "answer": None})
    assert line.startswith("2: answer has no last line `#### …`")
    assert first(tmp_path, {"question": "q?", "answer": "It is 42."}).reference == "It is 42."


@pytest.mark.parametrize("value", [None, "", "  "])
def test_questions_without_a_known_answer_are_counted(tmp_path: Path, value: str | None) -> None:
    rows = [{"prompt": "p", "answer": "x"}, {"prompt": "p", "answer": value}, {"prompt": "p"}]
    found = dataset(tmp_path, *rows)
    assert (len(found), found.unknown) == (3, 2)
    assert [item.reference for item in found] == ["x", None, None]
    again = dataset(tmp_path, *rows, known=found.mark)
    assert (again.mark, again.unknown) == (found.mark, 2)
    assert dataset(tmp_path, *rows, takes="instruction").unknown == 0


def test_a_known_answer_of_another_kind_is_told_with_its_line(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "answer": "4"}, {"prompt": "p", "answer": "four"}, {"prompt": "p"}]
    assert refused(tmp_path, *rows, answers={"numeric"}) == ["2: the known answer 'four' is not one number"]
    assert len(dataset(tmp_path, *rows, answers={"exact"})) == 3
    (told,) = refused(tmp_path, MMLU, {**MMLU, "answer": "seven"}, answers=["choice"])
    assert told == "2: the known answer 'seven' is not one of the choices: 3, 4, 5, 6"


def test_missing_choices_are_told_where_answers_are_choices(tmp_path: Path) -> None:
    (told,) = refused(tmp_path, {**MMLU, "choices": None, "answer": "4"}, answers={"choice"})
    assert told.startswith("1: there are no choices, and answers are choices here")


def test_a_file_that_was_read_for_other_answers_is_looked_at_again(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "answer": "four"}]
    known = dataset(tmp_path, *rows, answers={"exact"}).mark
    assert refused(tmp_path, *rows, answers={"numeric"}, known=known) == [
        "1: the known answer 'four' is not one number"
    ]


@pytest.mark.parametrize(
    ("text", "box"),
    [
        (r"\boxed{5}", "5"),
        (r"$\boxed{\text{(A)}}$ or rather $\fbox{\frac{1}{\sqrt{2}}}$.", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed 7", "7"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{never closed", None),
        (r"\boxed{}", None),
        ("no box", None),
    ],
)
def test_the_last_box_is_read_with_the_braces_in_it(text: str, box: str | None) -> None:
    assert last_box(text) == box


@settings(max_examples=60, deadline=None)
@given(
    choices=st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=8,
    ),
    answer=st.none() | st.integers(-2, 5) | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False),
)
def test_whatever_choices_and_answers_are_they_are_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, choices: object, answer: object
) -> None:
    folder = tmp_path_factory.mktemp("data")
    try:
        (item,) = dataset(folder, {"question": "q?", "choices": choices, "answer": answer})
    except DeclarationError as error:
        assert {problem.line for problem in error.problems} <= {1}
    else:
        assert len(item.choices) != 1
        assert not isinstance(answer, int) or not item.choices or str(item.reference).endswith(item.choices[answer])

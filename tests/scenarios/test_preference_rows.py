"""Data sets of preferences, read to be judged or for their prompts."""

import json
from pathlib import Path
from typing import Any

import pytest
from playing import MODEL, beside, fellowship

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.items import Item
from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import open_dataset


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "d.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(folder: Path, *rows: dict[str, Any], comparison: bool = True, **options: Any) -> list[Item]:
    return list(open_dataset(written(folder, *rows), takes="comparison" if comparison else "instruction", **options))


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


TALK = [{"role": "system", "content": "s"}, user("q0"), assistant("a0"), user("q")]


@pytest.mark.parametrize(
    ("row", "history"),
    [
        ({"prompt": "q", "chosen": "good", "rejected": "bad"}, []),
        ({"prompt": [user("q")], "chosen": [assistant("good")], "rejected": [assistant("bad")]}, []),
        ({"prompt": TALK, "chosen": [assistant("good")], "rejected": [assistant("bad")]}, ["s", "q0", "a0"]),
        ({"prompt": TALK, "chosen": "good", "rejected": "bad"}, ["s", "q0", "a0"]),
        ({"chosen": [*TALK, assistant("good")], "rejected": [*TALK, assistant("bad")]}, ["s", "q0", "a0"]),
        ({"prompt": "q", "chosen": [user("q"), assistant("good")], "rejected": [user("q"), assistant("bad")]}, []),
        ({"prompt": "q0", "chosen": [*TALK, assistant("good")], "rejected": [*TALK, assistant("bad")]}, ["s", "q0", "a0"]),
        ({"question": "q", "chosen": "good", "rejected": "bad", "system": "s"}, ["s"]),
        ({"instruction": "q", "chosen": "good", "rejected": "bad"}, []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("comparison", [True, False])
def test_preferences_of_every_form_are_comparisons_of_the_chosen_with_the_rejected(
    tmp_path: Path, row: dict[str, Any], history: list[str], *, comparison: bool
) -> None:
    (item,) = read(tmp_path, row, comparison=comparison)
    assert ([turn.content for turn in item.history], item.prompt, item.reference) == (history, "q", None)
    if comparison:
        assert (item.candidate("a").text, item.candidate("b").text) == ("good", "bad")
        assert not {"prompt", "chosen", "rejected", "question", "system"} & item.metadata.keys()
    else:
        assert item.candidates == ()
        assert (item.metadata["chosen"], item.metadata["rejected"]) == (row["chosen"], row["rejected"])


def test_who_wrote_the_answers_comes_along_from_the_form_of_distilabel(tmp_path: Path) -> None:
    row = {
        "prompt": "q",
        "prompt_id": "8e35",
        "chosen": [user("q"), assistant("good")],
        "rejected": [user("q"), assistant("bad")],
        "messages": [user("q"), assistant("good")],
        "chosen_rating": 5.0,
        "rejected_rating": 2.0,
        "chosen_model": "m1",
        "rejected_model": None,
    }
    (item,) = read(tmp_path, row)
    assert [(each.text, each.model) for each in item.candidates] == [("good", "m1"), ("bad", None)]
    assert item.metadata["chosen_rating"] == 5.0
    assert "chosen_model" not in item.metadata


def test_a_prompt_that_two_texts_share_is_found_as_trl_finds_it(tmp_path: Path) -> None:
    # The example of trl's dataset_formats.md, "From implicit to explicit prompt preference dataset".
    (item,) = read(tmp_path, {"chosen": "The sky is blue.", "rejected": "The sky is green."})
    assert (item.prompt, item.candidate("a").text, item.candidate("b").text) == ("The sky is", " blue.", " green.")


def test_columns_that_the_user_names_and_candidates_of_their_own_come_first(tmp_path: Path) -> None:
    row = {"prompt": "q", "chosen": "good", "rejected": "bad"}
    (turned,) = read(tmp_path, row, mapping={"a": "rejected", "b": "chosen"})
    assert (turned.candidate("a").text, turned.candidate("b").text) == ("bad", "good")
    (own,) = read(tmp_path, {**row, "a": "one", "b": "two"})
    assert (own.candidate("a").text, own.metadata) == ("one", {"chosen": "good", "rejected": "bad"})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"chosen": "Yes.", "rejected": "No."}, "no beginning in common"),
        ({"chosen": "Yes.", "rejected": "Yes."}, "the same text"),
        ({"chosen": "Yes.", "rejected": [assistant("No.")]}, "one of chosen and rejected is text"),
        ({"chosen": [assistant("y")], "rejected": [assistant("n")]}, "there is no prompt"),
        ({"chosen": [user("q"), assistant("y")], "rejected": [user("p"), assistant("n")]}, "answer different things"),
        ({"chosen": [user("q")], "rejected": [user("q")]}, "chosen does not end with a message of the assistant"),
        ({"chosen": [user("q"), assistant("y")], "rejected": None}, "rejected is no list of messages, but NoneType"),
        ({"chosen": [assistant("y")] * 2, "rejected": [assistant("y"), assistant("n")]}, "no message of a user"),
        (
            {"prompt": "p", "chosen": [user("q"), assistant("y")], "rejected": [user("q"), assistant("n")]},
            "the prompt is not what was said before",
        ),
        (
            {"prompt": [user("p")], "chosen": [user("q"), assistant("y")], "rejected": [user("q"), assistant("n")]},
            "the prompt is not what was said before",
        ),
    ],
)  # fmt: skip
def test_preferences_that_cannot_be_read_are_told_with_their_line(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    good = {"chosen": "p: yes", "rejected": "p: no", **({"prompt": "q"} if "prompt" in row else {})}
    with pytest.raises(DeclarationError, match=message) as caught:
        read(tmp_path, good, row, row)
    assert [problem.line for problem in caught.value.problems] == [2, 3]


def test_a_judge_is_run_over_a_data_set_of_preferences_as_it_is(tmp_path: Path) -> None:
    data, run = (
        written(tmp_path, {"prompt": TALK, "chosen": [assistant("good")], "rejected": [assistant("bad")]}),
        tmp_path / "r",
    )
    with beside(LoopbackEndpoint(answer=Opinions(unreadable=0))) as endpoint:
        options = ("--data", data, "--base-url", endpoint.base_url, "--model", MODEL, "--out", run, "--json")
        played = fellowship("run", "judge", *options)
        assert played.exit_code == 0, played.stderr
    (asked,) = (served.request["messages"] for served in endpoint.ledger)
    shown = asked[-1]["content"]
    assert shown.index("a0") < shown.index("\nq\n") < shown.index("good") < shown.index("bad")

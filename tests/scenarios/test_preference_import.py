"""Preference data sets of trainers, and our own, as ratings."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playing import fellowship

from fellowship.scenarios.ratings import Rating, read_ratings
from fellowship.scenarios.ratings.importers import bring_in


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


PLAIN = {"prompt": "Why?", "chosen": "Because.", "rejected": "No."}
SHAPES: dict[str, dict[str, Any]] = {
    "explicit, plain": PLAIN,
    "explicit, conversational": {"prompt": [user("Why?")], "chosen": [assistant("Because.")], "rejected": [assistant("No.")]},
    "implicit, conversational": {"chosen": [user("Why?"), assistant("Because.")], "rejected": [user("Why?"), assistant("No.")]},
    "legacy": {
        "prompt": "Why?",
        "prompt_id": "f00d",
        "chosen": [user("Why?"), assistant("Because.")],
        "rejected": [user("Why?"), assistant("No.")],
        "chosen_rating": 4.5,
        "rejected_rating": 2.0,
        "chosen_model": "zephyr",
        "rejected_model": "falcon",
    },
}  # fmt: skip
BALLOT = {"judge": "judge", "model": "acme/j", "score_chosen": None, "score_rejected": None}
OURS = {
    **SHAPES["explicit, conversational"],
    "metadata": {
        "run": "cafe",
        "item": "i7",
        "variant": None,
        "data": "generation",
        "of": "answer",
        "events": {"chosen": "writer/3", "rejected": "writer/1"},
        "models": {"chosen": "acme/w", "rejected": "acme/w2", "judges": ["acme/j"]},
        "ballots": [
            {**BALLOT, "order": "chosen-first", "verdict": "chosen", "score_chosen": 9.0, "score_rejected": 4.0},
            {**BALLOT, "order": "rejected-first", "verdict": "tie", "score_chosen": 6.0, "score_rejected": 6.0},
            {**BALLOT, "judge": "second", "order": "alone", "verdict": "unread"},
        ],
    },
}


def brought(folder: Path, *rows: Mapping[str, Any], kind: str | None = None) -> tuple[list[Rating], list[str]]:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ratings, result = bring_in("preference", [path], kind)
    return ratings, [str(bad) for bad in result.bad_rows]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_the_same_pair_is_the_same_vote(tmp_path: Path, shape: str) -> None:
    (rating,), bad = brought(tmp_path, SHAPES[shape])
    assert not bad
    assert (rating.verdict, rating.rater, rating.kind, rating.order) == ("a", "preference", "model", None)
    assert (rating.length_a, rating.length_b) == (8, 3)
    assert rating.prompt == blake2b(b"Why?", digest_size=8).hexdigest(), "that of a run on the same prompt"
    (plain,), _ = brought(tmp_path, PLAIN)
    assert rating.item == plain.item
    if shape == "legacy":
        assert (rating.score_a, rating.score_b, rating.model_a, rating.model_b) == (4.5, 2.0, "zephyr", "falcon")


def test_of_texts_with_the_prompt_in_both_the_prompt_is_what_both_begin_with(tmp_path: Path) -> None:
    """The example of TRL's docs/source/dataset_formats.md, "Implicit prompt"."""
    (rating,), _ = brought(tmp_path, {"chosen": "The sky is blue.", "rejected": "The sky is green."})
    assert rating.prompt == blake2b(b"The sky is", digest_size=8).hexdigest()
    assert (rating.length_a, rating.length_b) == (len(" blue."), len(" green."))
    (apart,), _ = brought(tmp_path, {"chosen": "Yes.", "rejected": "No."})
    assert apart.prompt is None


@given(prompt=st.text(min_size=1).filter(str.strip), first=st.text(), second=st.text())
def test_verdict_and_lengths_are_those_of_the_texts_whatever_they_are(
    tmp_path_factory: pytest.TempPathFactory, prompt: str, first: str, second: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    row = {"prompt": [user(prompt)], "chosen": [assistant("+" + first)], "rejected": [assistant("-" + second)]}
    (rating,), _ = brought(folder, row)
    assert (rating.verdict, rating.length_a, rating.length_b) == ("a", len(first) + 1, len(second) + 1)


def test_our_own_rows_give_a_vote_a_ballot_with_its_order(tmp_path: Path) -> None:
    ratings, bad = brought(tmp_path, OURS)
    assert not bad
    assert [(vote.rater, vote.verdict, vote.order, vote.score_a, vote.score_b) for vote in ratings] == [
        ("judge", "a", "ab", 9.0, 4.0),
        ("judge", "tie", "ba", 6.0, 6.0),
        ("second", "unread", None, None, None),
    ]
    assert len({vote.item for vote in ratings}) == 1
    assert {(vote.model, vote.model_a, vote.model_b, vote.group) for vote in ratings} == {
        ("acme/j", "acme/w", "acme/w2", "generation answer")
    }
    alone = {**OURS["metadata"], "ballots": [], "scores": {"chosen": 8.5, "rejected": 3.0, "scale": 10}}
    (vote,), _ = brought(tmp_path, {**OURS, "metadata": alone})
    assert (vote.rater, vote.score_a, vote.score_b) == ("preference", 8.5, 3.0)
    (unknown,), _ = brought(tmp_path, {**OURS, "metadata": {**alone, "scores": {"chosen": None, "rejected": None}}})
    assert (unknown.verdict, unknown.score_a) == ("a", None)
    swept = {**OURS, "metadata": {**OURS["metadata"], "variant": "loop/x"}}
    assert {vote.rater for vote in brought(tmp_path, swept)[0]} == {"loop/x:judge", "loop/x:second"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**PLAIN, "rejected": "Because."}, "chosen and rejected are the same"),
        ({**PLAIN, "rejected": None}, "no rejected"),
        ({**PLAIN, "chosen": [user("?")], "rejected": [assistant("!")]}, "chosen does not end with an answer"),
        ({"chosen": [assistant("x")], "rejected": [assistant("y")]}, "do not begin with the same message"),
        ({**PLAIN, "chosen": [{"role": "user"}], "rejected": []}, "a message has role and content"),
        ({**PLAIN, "chosen_rating": 2, "rejected_rating": 3}, "the rejected one is rated higher"),
        ({**PLAIN, "chosen_rating": "good", "rejected_rating": 3}, "chosen_rating is 'good': a number is wanted"),
        (PLAIN, "stands in"),
        ({**OURS, "metadata": {"ballots": [{**BALLOT, "order": "ab", "verdict": "tie"}]}}, "order is 'ab': it must be one of"),
    ],
)  # fmt: skip
def test_a_row_that_is_no_preference_is_told_with_its_line(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    ratings, bad = brought(tmp_path, PLAIN, row)
    assert len(ratings) == 1
    assert len(bad) == 1
    assert "pairs.jsonl:2" in bad[0]
    assert message in bad[0]


def test_the_command_names_raters_by_their_column_and_kind_and_says_what_it_took_for_granted(tmp_path: Path) -> None:
    path, to = tmp_path / "pairs.jsonl", tmp_path / "ratings.jsonl"
    path.write_text(
        json.dumps({**PLAIN, "annotator": "ann"}) + "\n" + json.dumps({"chosen": "x", "rejected": "x"}) + "\n"
    )
    result = fellowship("import", "preference", path, "--to", to)
    assert result.exit_code == 1
    assert "pairs.jsonl:2: chosen and rejected are the same" in result.stderr
    assert "taken as votes of a model: 1" in " ".join(result.stdout.split())
    assert fellowship("import", "preference", path, "--to", to, "--kind", "human").exit_code == 1
    assert read_ratings(to).people == ("ann",)


def test_bias_of_the_place_is_measured_on_an_exported_data_set(tmp_path: Path) -> None:
    def row(number: int) -> dict[str, Any]:
        """A judge who always prefers what it is shown first."""
        ballots = [
            {**BALLOT, "order": "chosen-first", "verdict": "chosen"},
            {**BALLOT, "order": "rejected-first", "verdict": "rejected"},
        ]
        return {**OURS, "prompt": [user(f"Why {number}?")], "metadata": {**OURS["metadata"], "ballots": ballots}}

    path, to = tmp_path / "train.jsonl", tmp_path / "ratings.jsonl"
    path.write_text("".join(json.dumps(row(number)) + "\n" for number in range(12)))
    assert fellowship("import", "preference", path, "--to", to).exit_code == 0
    place = json.loads(fellowship("bias", to, "--json").stdout)["raters"]["judge"]["position"]
    assert (place["both_orders"], place["flip_rate"]["value"], place["toward_first"]["value"]) == (12, 1.0, 1.0)

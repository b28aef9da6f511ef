import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fellowship.agents.replies import Unreadable, combined_form, direct_form, feedback_form, independent_form
from fellowship.protocols.models import Completion, FinishReason, Usage


def said(text: str, finish_reason: FinishReason = "stop") -> Completion:
    return Completion(text, finish_reason, "m", Usage())


GOOD = '{"reason": "so", "score_a": 8.5, "score_b": 6}'


@pytest.mark.parametrize(
    "text",
    [GOOD, f"<think>A? No, B: {{1}}</think>\n{GOOD}", f"  {GOOD}\n", f"```json\n{GOOD}\n```", f"```\n{GOOD}\n```"],
)
def test_a_reply_is_read_whole(text: str) -> None:
    reply = combined_form(10).read(said(text))
    assert (reply.reason, reply.score_a, reply.score_b) == ("so", 8.5, 6.0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not one JSON object"),
        ("A is better: 8 to 6", "not one JSON object"),
        (f"Here you are: {GOOD}", "not one JSON object"),
        (f"{GOOD} {GOOD}", "not one JSON object"),
        (GOOD[:-1], "not one JSON object"),
        ("[8, 6]", "object"),
        ('{"reason": "so", "score_a": 8}', "score_b"),
        ('{"reason": "so", "score_a": 11, "score_b": 6}', "score_a"),
        ('{"reason": "so", "score_a": -1, "score_b": 6}', "score_a"),
        ('{"reason": "so", "score_a": 8, "score_b": 10.01}', "score_b"),
        ('{"reason": "so", "score_a": "8", "score_b": 6}', "score_a"),
        ('{"reason": "so", "score_a": true, "score_b": 6}', "score_a"),
        ('{"reason": "so", "score_a": null, "score_b": 6}', "score_a"),
        ('{"reason": "so", "score_a": NaN, "score_b": 6}', "score_a"),
        ('{"reason": "so", "score_a": 8, "score_b": 6, "winner": "A"}', "winner"),
        ('{"score_a": 8, "score_b": 6}', "reason"),
        ('{"reason": "so", "score_a": 9, "score_a": 1, "score_b": 6}', "score_a stands in it twice"),
    ],
)
def test_what_is_not_exactly_of_the_form_is_unread(text: str, problem: str) -> None:
    with pytest.raises(Unreadable, match=problem):
        combined_form(10).read(said(text))


def test_an_answer_that_was_cut_off_is_unread_though_it_looks_whole() -> None:
    with pytest.raises(Unreadable, match="cut off"):
        combined_form(10).read(said(GOOD, "length"))


@pytest.mark.parametrize(("word", "verdict"), [("A", "a"), ("B", "b"), ("tie", "tie")])
def test_a_direct_verdict_is_one_of_three_words(word: str, verdict: str) -> None:
    assert direct_form().read(said(f'{{"reason": "so", "verdict": "{word}"}}')).chosen == verdict


@pytest.mark.parametrize("word", ["a", "Tie", "C", "A ", "", "A or B"])
def test_any_other_word_is_unread(word: str) -> None:
    with pytest.raises(Unreadable, match="verdict"):
        direct_form().read(said(json.dumps({"reason": "so", "verdict": word})))


@pytest.mark.parametrize("scale", [5, 10, 100])
def test_any_scale_bounds_the_scores(scale: int) -> None:
    form = independent_form(scale)
    assert form.read(said(f'{{"reason": "", "score": {scale}}}')).score == scale
    with pytest.raises(Unreadable):
        form.read(said(f'{{"reason": "", "score": {scale + 1}}}'))


def test_the_schema_is_strict_and_puts_reasons_before_scores() -> None:
    for form in (combined_form(10), independent_form(10), direct_form(), feedback_form(10)):
        schema = form.answer.schema
        fields = list(schema["properties"])
        assert schema["additionalProperties"] is False
        assert schema["required"] == fields
        assert fields[0] in ("reason", "evaluation")
        places = [form.shape.index(f'"{field}"') for field in fields]
        assert places == sorted(places)
    assert combined_form(5).answer.schema["properties"]["score_a"]["maximum"] == 5


@given(st.text(max_size=200))
def test_no_text_whatever_makes_the_reader_fail_otherwise(text: str) -> None:
    for form in (combined_form(10), direct_form()):
        try:
            form.read(said(text))
        except Unreadable as error:
            assert str(error)

"""Prompts that repeat an earlier one or overlap with an evaluation set, against a plain definition of both."""

import json
import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fellowship.protocols.errors import DeclarationError
from fellowship.scenarios.preferences.duplicates import Found, Prompts, evaluation_prompts, find

SEA = "Write a short poem about the sea at night, with the moon above it and no ship in sight."
VOCABULARY = (
    "river stone quiet lantern follow bright under seven winter paper garden window copper yellow summer distance "
    "letter morning answer silver engine carry narrow orange number village market castle"
)
WORDS = VOCABULARY.split()
LETTERS = "".join(chr(0xAC00 + place) for place in range(100))
"""One word of letters that are all different: how alike two stretches are is plain from their places."""


def pieces(text: str) -> set[str]:
    plain = " ".join(normalize("NFKC", normalize("NFKC", text).casefold()).split())
    return {plain[start : start + 5] for start in range(max(1, len(plain) - 4))}


def likeness(one: str, other: str) -> float:
    mine, theirs = pieces(one), pieces(other)
    return len(mine & theirs) / len(mine | theirs)


def fates(found: Found) -> list[tuple[int | None, str | None, str | None]]:
    return [(found.duplicate_of(n), found.overlap_of(n), found.how(n)) for n in range(len(found))]


def sentence(chance: random.Random, words: int = 30) -> str:
    return " ".join(chance.choices(WORDS, k=words))


@st.composite
def corpora(draw: st.DrawFn) -> list[str]:
    """Texts of which some are earlier ones, touched up a little or a lot."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    texts: list[str] = []
    for touches in draw(st.lists(st.integers(-1, 12), min_size=1, max_size=25)):
        if touches < 0 or not texts:
            texts.append(sentence(chance, chance.randint(0, 40)))
            continue
        words = chance.choice(texts).split(" ")
        for _ in range(touches):
            words[chance.randrange(len(words))] = chance.choice(WORDS)
        texts.append(" ".join(words).replace(" ", chance.choice((" ", "  ", "\n"))))
    return texts


@settings(max_examples=60, deadline=None)
@given(corpora())
def test_what_is_dropped_is_near_one_that_was_kept_and_what_is_kept_is_near_none(texts: list[str]) -> None:
    found = find(texts)
    kept = [n for n in range(len(texts)) if found.how(n) is None]
    for number, text in enumerate(texts):
        before = [other for other in kept if other < number]
        of = found.duplicate_of(number)
        if of is None:
            assert all(likeness(text, texts[other]) < 0.92 for other in before)
        else:
            assert of in before
            assert likeness(text, texts[of]) >= 0.8
            assert all(likeness(text, texts[other]) < 0.92 for other in before if other < of)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["", "a", "A ", "\uff41", "Straße", "STRASSE", "stra\u00dfe\n", "b c", "b  c", "bc"])))
def test_same_texts_are_found_exactly_whatever_their_case_spaces_and_width(texts: list[str]) -> None:
    plain = [" ".join(normalize("NFKC", text).casefold().split()) for text in texts]
    expected = [first if (first := plain.index(text)) < n else None for n, text in enumerate(plain)]
    found = find(texts, threshold=None)
    assert [found.duplicate_of(n) for n in range(len(texts))] == expected
    assert found.count("same") == sum(of is not None for of in expected)


@settings(max_examples=40, deadline=None)
@given(corpora(), corpora())
def test_prompts_that_come_after_change_nothing_for_those_before(first: list[str], more: list[str]) -> None:
    evaluation = {"held-out": more[:2]}
    alone, together = find(first, evaluation), find(first + more, evaluation)
    assert fates(together)[: len(first)] == fates(alone)


def test_planted_near_duplicates_among_many_are_all_found() -> None:
    chance = random.Random(3)
    texts = [sentence(chance) for _ in range(1000)]
    planted = {}
    for number in range(0, 1000, 2):
        words = texts[number].split()
        words[chance.randrange(len(words))] = chance.choice(WORDS)
        planted[len(texts)] = number
        texts.append(" ".join(words))
    found = find(texts)
    alike = {n: of for n, of in planted.items() if likeness(texts[n], texts[of]) >= 0.85}
    assert len(alike) > 300
    assert {n: found.duplicate_of(n) for n in alike} == alike
    assert all(found.duplicate_of(n) is None for n in range(1000))


def test_a_chain_of_ever_changing_prompts_is_not_dropped_as_a_whole() -> None:
    chain = [LETTERS[place : place + 40] for place in range(0, 21, 3)]
    assert all(likeness(one, other) == 33 / 39 for one, other in pairwise(chain))
    found = find(chain)
    assert [found.duplicate_of(n) for n in range(7)] == [None, 0, None, 2, None, 4, None]


def test_a_copy_of_a_near_duplicate_names_the_one_that_was_kept() -> None:
    found = find([SEA, SEA + " Please!", SEA.upper(), SEA + " please!"])
    assert fates(found) == [(None, None, None), (0, None, "near"), (0, None, "same"), (0, None, "near")]


def test_the_threshold_itself_is_near_enough() -> None:
    one, other = "abcdefghijklm", "abcdefghijklmn"  # 9 pieces of 10
    assert find([one, other], threshold=0.9).duplicate_of(1) == 0
    assert find([one, other], threshold=0.91).duplicate_of(1) is None


def test_short_prompts_and_those_without_spaces_are_told_apart() -> None:
    texts = [
        "What is 2 + 2?",
        "What is 3 + 3?",
        "Hi",
        "Ho",
        "请写一首关于大海的短诗,夜里没有船,只有月亮。",
        "请写一篇关于沙漠的短文。",
    ]
    assert find(texts).count("near") == 0
    assert find([*texts, "请写一首关于大海的短诗,夜里没有船,只有月亮!"]).duplicate_of(6) == 4


def test_a_text_that_cannot_be_encoded_is_a_prompt_like_any_other() -> None:
    found = find(["\ud800 half a pair", "\ud800 half a pair", "\udfff another half"])
    assert [found.duplicate_of(n) for n in range(3)] == [None, 0, None]


def test_the_answer_does_not_depend_on_the_process() -> None:
    script = (
        "import json, random\n"
        "from fellowship.scenarios.preferences.duplicates import find\n"
        "chance = random.Random(5)\n"
        "texts = [' '.join(chance.choices('one two three four five six seven'.split(), k=9)) for _ in range(400)]\n"
        "found = find(texts, {'e': texts[:9], 'f': texts[3:20]}, threshold=0.5)\n"
        "print(json.dumps([found.duplicates.tolist(), found.overlaps.tolist(), found.hows.tolist()]))\n"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert {-1, 0, 1} == set(json.loads(told[0])[1])


LONG = "The committee wants to know how many of the seventeen bridges in the old town can carry a tram by spring"


@pytest.mark.parametrize(
    ("prompt", "how"),
    [
        (LONG.upper() + " ", "same"),
        (LONG + ".", "near"),
        (f"Tell me this. {' '.join(LONG.split()[4:17])}? Answer in one word, {SEA}", "run"),
        (f"Tell me this. {' '.join(LONG.split()[4:16])}? Answer in one word, {SEA}", None),
        (f"{SEA} {', '.join(LONG.split())} {SEA[::-1]}", "run"),
        (SEA, None),
    ],
)
def test_a_prompt_overlaps_by_its_text_by_a_near_one_or_by_thirteen_words(prompt: str, how: str | None) -> None:
    found = find(["something else", prompt], {"bridges": [LONG]})
    assert fates(found) == [(None, None, None), (None, "bridges" if how else None, how)]


def test_a_short_evaluation_prompt_counts_where_it_stands_whole_and_has_eight_words() -> None:
    eight, seven = "name the four moons that Galileo saw first", "what colour has the sky at noon"
    texts = [
        f"Please {SEA} {eight}, {SEA}",
        f"Please {SEA} {seven}, {SEA}",
        f"{SEA} name the four moons that Galileo saw",
    ]
    found = find(texts, {"short": [eight, seven]})
    assert [found.overlap_of(n) for n in range(3)] == ["short", None, None]


def test_scripts_without_spaces_share_runs_too() -> None:
    asked = "太阳系里哪一颗行星的卫星数量最多请说明理由"
    found = find([f"{SEA} 问题是:{asked}。 {SEA}"], {"astronomy": [asked]})
    assert fates(found) == [(None, "astronomy", "run")]


def test_words_of_hindi_are_not_cut_at_their_vowel_signs() -> None:
    asked = "हिन्दी में सात ही शब्द लिखिए अभी"  # 7 words, and more pieces than 13 were signs taken for gaps
    found = find([f"{SEA} {asked} {SEA}"], {"hindi": [asked]})
    assert found.overlap_of(0) is None


def test_of_several_sets_the_same_text_wins_over_a_near_one_and_that_over_a_run() -> None:
    sets = {"run": [f"{SEA[::-1]} {LONG} {SEA}"], "near": [LONG + "?!"], "same": [LONG]}
    assert fates(find([LONG], sets)) == [(None, "same", "same")]
    assert fates(find([LONG], {"run": sets["run"], "near": sets["near"]})) == [(None, "near", "near")]
    twice = find([LONG, LONG], {"run": sets["run"], "again": sets["run"]})
    assert fates(twice) == [(None, "run", "run")] * 2
    assert (twice.count("run", "run"), twice.count("run", "again"), twice.count("same")) == (2, 0, 0)


def test_what_overlaps_is_not_kept_and_so_nothing_repeats_it() -> None:
    held_out, near, farther = (LETTERS[place : place + 40] for place in (0, 3, 6))
    assert fates(find([near, farther])) == [(None, None, None), (0, None, "near")]
    found = find([near, near, farther, farther], {"held-out": [held_out]})
    assert fates(found) == [(None, "held-out", "near")] * 2 + [(None, None, None), (2, None, "same")]


def test_adding_one_by_one_is_the_same_as_all_in_one_call(tmp_path: Path) -> None:
    texts = [SEA, LONG, SEA + "?"]
    with Prompts(folder=tmp_path) as prompts:
        assert [prompts.add(text) for text in texts] == [0, 1, 2]
        found = prompts.finish()
        with pytest.raises(ValueError, match="closed"):
            prompts.add(SEA)
    assert fates(found) == fates(find(texts))
    assert list(tmp_path.iterdir()) == []


def test_no_prompts_are_no_trouble() -> None:
    assert len(find([])) == 0
    assert len(find([], {"e": [], "f": [SEA]})) == 0


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.01, float("nan")])
def test_a_threshold_that_says_nothing_is_refused(threshold: float) -> None:
    with pytest.raises(DeclarationError, match="above 0 and at most at 1, not at"):
        find([SEA], threshold=threshold)


def test_without_the_extra_the_user_is_told_and_same_texts_are_still_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(DeclarationError, match=r"pip install 'llm-fellowship\[data\]'"):
        find([SEA])
    assert find([SEA, SEA], threshold=None).duplicate_of(1) == 0


def test_evaluation_sets_are_read_as_data_sets_are_candidates_or_not(tmp_path: Path) -> None:
    comparisons = tmp_path / "c.jsonl"
    comparisons.write_text("".join(json.dumps({"prompt": text, "a": "x", "b": "y"}) + "\n" for text in (SEA, LONG)))
    instructions = tmp_path / "i.csv"
    instructions.write_text("question\nWhy?\n")
    assert list(evaluation_prompts(str(comparisons))) == [SEA, LONG]
    assert list(evaluation_prompts(str(instructions), {"prompt": "question"})) == ["Why?"]
    with pytest.raises(DeclarationError, match="there is no file"):
        evaluation_prompts(str(tmp_path / "none.jsonl"))
    with pytest.raises(DeclarationError, match="no column 'prompt'"):
        evaluation_prompts(str(instructions))


def test_prompts_of_pandalm_repeat_as_often_as_its_texts_say(shared_data: Path) -> None:
    texts = list(evaluation_prompts(str(shared_data / "pandalm" / "testset-v1.json")))
    questions = list(evaluation_prompts(str(shared_data / "mtbench" / "question.jsonl")))
    found = find([*texts, *questions], {"mt-bench": questions})
    plain = {" ".join(normalize("NFKC", text).casefold().split()) for text in texts}
    assert (len(texts), found.count("same")) == (999, 999 - len(plain) - sum_of_copies(texts, found))
    assert found.count("same", "mt-bench") == len(questions) == 80
    cut = [pieces(text) for text in texts]
    kept: list[int] = []
    for number, own in enumerate(cut):
        near = (n for n in kept if len(own & cut[n]) >= 0.8 * len(own | cut[n]))
        assert found.duplicate_of(number) == next(near, None)
        if found.how(number) is None:
            kept.append(number)


def sum_of_copies(texts: list[str], found: Found) -> int:
    """Return how many copies are of a text that is itself nearly an earlier one: these count as near."""
    near = {" ".join(text.casefold().split()) for n, text in enumerate(texts) if found.how(n) == "near"}
    return found.count("near") - len(near)

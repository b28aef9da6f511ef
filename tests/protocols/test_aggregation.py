"""How votes become a verdict, and answers an answer: each rule by its definition, and what a split comes to."""

import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fellowship.protocols.aggregation import RULES, Poll, Rule, Split, Tally, Ties, Voted, poll
from fellowship.protocols.errors import NothingToDecide
from fellowship.protocols.judging import MIRRORED, Judging, Verdict, verdict_of
from fellowship.protocols.jury import VoteCast

VERDICTS: dict[str, Verdict] = {"a": "a", "b": "b", "t": "tie", "u": "unread"}


def vote(verdict: Verdict, **more: Any) -> VoteCast:
    return VoteCast(round=1, judging=Judging(), ballots=(), verdict=verdict, **more)


def cast(verdicts: str, sure: Sequence[float | None] = ()) -> list[VoteCast]:
    confidence = [*sure, *[None] * (len(verdicts) - len(sure))]
    return [vote(VERDICTS[each], confidence=how) for each, how in zip(verdicts, confidence, strict=True)]


def scored(*pairs: tuple[float, float]) -> list[VoteCast]:
    return [vote(verdict_of(a, b), score_a=a, score_b=b) for a, b in pairs]


def dice(seed: int = 1) -> random.Random:
    return random.Random(seed)


@pytest.mark.parametrize(
    ("verdicts", "weights", "verdict", "split"),
    [
        ("abb", [3, 1, 1], "a", False),
        ("abb", [2, 1, 1], "tie", True),
        ("abb", None, "b", False),
        ("abb", [0.3, 0.1, 0.2], "tie", True),  # as floats 0.1 + 0.2 is more than 0.3
        ("att", [1, 0.5, 0.6], "tie", False),
        ("abu", [1, 2, 100], "b", False),
        ("ab", [0, 0], "tie", True),
        ("a", [0], "a", False),
    ],
)
def test_the_most_weight_wins(verdicts: str, weights: list[float] | None, verdict: Verdict, split: bool) -> None:
    tally = RULES["weighted"].tally(cast(verdicts), weights=weights)
    assert (tally.verdict, tally.split) == (verdict, split)


def test_a_weight_for_each_vote_at_least_nothing() -> None:
    with pytest.raises(ValueError, match="1 weights for 2 votes"):
        RULES["weighted"].tally(cast("ab"), weights=[1])
    with pytest.raises(ValueError, match="below 0"):
        RULES["weighted"].tally(cast("ab"), weights=[1, -1])


def test_rules_that_do_not_weigh_leave_weights_alone() -> None:
    for name in ("unique-mode", "majority", "borda"):
        assert RULES[name].tally(cast("abb"), weights=[9, 1, 1]).verdict == "b"


@pytest.mark.parametrize(
    ("verdicts", "sure", "verdict"),
    [
        ("abb", (0.9, 0.4, 0.4), "a"),
        ("abb", (0.8, 0.4, 0.4), "tie"),
        ("abb", (0.3, 0.1, 0.2), "tie"),
        ("tta", (0.5, 0.5, 0.9), "tie"),
    ],
)
def test_a_vote_counts_as_much_as_it_is_sure(verdicts: str, sure: tuple[float, ...], verdict: Verdict) -> None:
    assert RULES["confidence-weighted"].tally(cast(verdicts, sure)).verdict == verdict


def test_a_vote_that_does_not_say_how_sure_it_is_tells_what_to_do() -> None:
    with pytest.raises(NothingToDecide, match="say confidence: true"):
        RULES["confidence-weighted"].tally(cast("ab", (0.5, None)))
    assert RULES["confidence-weighted"].tally(cast("au", (0.5, None))).verdict == "a"


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [("att", "a"), ("abt", "tie"), ("tt", "tie"), ("aabt", "a"), ("abbu", "b"), ("aabb", "tie")],
)
def test_a_tie_gives_half_a_point_to_each(verdicts: str, verdict: Verdict) -> None:
    assert RULES["borda"].tally(cast(verdicts)).verdict == verdict


def test_the_median_is_not_moved_by_one_who_exaggerates() -> None:
    votes = scored((6, 5), (6, 5), (0, 10))
    assert RULES["median-score"].tally(votes).verdict == "a"
    assert RULES["mean-score"].tally(votes).verdict == "b"
    with pytest.raises(NothingToDecide, match="needs scores"):
        RULES["median-score"].tally(cast("a"))


tenths = st.integers(0, 100).map(lambda number: number / 10)


@given(st.lists(st.tuples(tenths, tenths), min_size=1, max_size=8))
def test_the_median_score_is_that_of_exact_decimals(pairs: list[tuple[float, float]]) -> None:
    a, b = (median(Fraction(str(score)) for score in side) for side in zip(*pairs, strict=True))
    assert RULES["median-score"].tally(scored(*pairs)).verdict == verdict_of(a, b)


def test_a_judge_of_judges_has_one_vote_as_it_is() -> None:
    rule = RULES["meta-judge"]
    assert [rule.tally(cast(each)).verdict for each in "abtu"] == ["a", "b", "tie", "unread"]
    assert rule.tally(cast("t")).split is False
    for verdicts in ("aa", "au"):
        with pytest.raises(NothingToDecide, match="takes one vote as it is, and there are 2"):
            rule.tally(cast(verdicts))


@pytest.mark.parametrize(
    ("rule", "verdicts", "first"),
    [
        ("unique-mode", "baab", "b"),
        ("unique-mode", "abba", "a"),
        ("unique-mode", "tab", "tie"),
        ("unique-mode", "ubabau", "b"),
        ("unique-mode", "tabab", "a"),
        ("unique-mode", "att", "tie"),
        ("majority", "bata", "a"),
        ("majority", "tbba", "b"),
        ("majority", "batabt", "b"),
        ("borda", "tba", "b"),
        ("borda", "tt", "tie"),
    ],
)
def test_of_those_who_are_level_the_one_voted_first_can_win(rule: str, verdicts: str, first: Verdict) -> None:
    assert RULES[rule].tally(cast(verdicts), ties="first").verdict == first


def test_equal_scores_are_a_split_between_a_and_b() -> None:
    votes = scored((5, 5), (3, 7), (7, 3))
    for rule in ("mean-score", "median-score"):
        assert RULES[rule].tally(votes) == Tally("tie", 3, 0, 5.0, 5.0, split=True)
        assert RULES[rule].tally(votes, ties="first").verdict == "b"
        assert {RULES[rule].tally(votes, ties="random", dice=dice(seed)).verdict for seed in range(20)} == {"a", "b"}
        assert RULES[rule].tally(scored((5, 5)), ties="first").verdict == "tie"


def test_chance_draws_among_those_who_are_level_alone_and_needs_dice() -> None:
    rule = RULES["unique-mode"]
    assert {rule.tally(cast("aabbt"), ties="random", dice=dice(seed)).verdict for seed in range(20)} == {"a", "b"}
    assert {rule.tally(cast("abt"), ties="random", dice=dice(seed)).verdict for seed in range(40)} == {"a", "b", "tie"}
    with pytest.raises(ValueError, match="ties: random needs dice"):
        rule.tally(cast("ab"), ties="random")
    assert rule.tally(cast("aab"), ties="random").verdict == "a"


@given(
    st.sampled_from(sorted(set(RULES) - {"meta-judge"})),
    st.lists(st.tuples(tenths, tenths, tenths), min_size=1, max_size=7),
    st.sampled_from(["tie", "random"]),
    st.integers(),
)
def test_the_order_of_votes_decides_nothing_but_who_is_first(
    name: str, each: list[tuple[float, float, float]], ties: Ties, seed: int
) -> None:
    votes = [vote(verdict_of(a, b), score_a=a, score_b=b, confidence=sure / 10) for a, b, sure in each]
    shuffled = dice(seed).sample(votes, len(votes))
    assert RULES[name].tally(votes, ties=ties, dice=dice(seed)) == RULES[name].tally(
        shuffled, ties=ties, dice=dice(seed)
    )


@given(
    st.sampled_from(sorted(set(RULES) - {"meta-judge"})),
    st.lists(st.tuples(tenths, tenths, tenths), min_size=1, max_size=7),
    st.sampled_from(["tie", "first"]),
)
def test_no_rule_favours_a_over_b_whatever_a_split_comes_to(
    name: str, each: list[tuple[float, float, float]], ties: Ties
) -> None:
    votes = [vote(verdict_of(a, b), score_a=a, score_b=b, confidence=sure / 10) for a, b, sure in each]
    mirrored = [vote(verdict_of(b, a), score_a=b, score_b=a, confidence=sure / 10) for a, b, sure in each]
    weights = [sure for _, _, sure in each]
    one = RULES[name].tally(votes, ties=ties, weights=weights)
    other = RULES[name].tally(mirrored, ties=ties, weights=weights)
    assert (other.verdict, other.score_a, other.score_b) == (MIRRORED[one.verdict], one.score_b, one.score_a)
    assert (other.split, other.votes) == (one.split, one.votes)


@given(st.lists(st.sampled_from("abt"), min_size=1, max_size=7))
def test_weights_and_confidence_that_are_all_the_same_are_the_unique_mode(verdicts: list[str]) -> None:
    votes = cast("".join(verdicts), [0.7] * len(verdicts))
    mode = RULES["unique-mode"].tally(votes)
    assert RULES["weighted"].tally(votes) == RULES["weighted"].tally(votes, weights=[0.1] * len(votes)) == mode
    assert RULES["confidence-weighted"].tally(votes) == mode


def test_a_rule_of_ones_own_is_a_function_of_votes() -> None:
    def anyone_for_b(votes: Sequence[Voted]) -> Verdict | Split[Verdict]:
        return "b" if any(vote.verdict == "b" for vote in votes) else Split(("a", "b"))

    rule = Rule(anyone_for_b, version=2)
    assert rule.tally(cast("aab")).verdict == "b"
    assert rule.tally(cast("aa")).verdict == "tie"
    assert rule.tally(cast("aa"), ties="first").verdict == "a"
    assert rule.version == 2
    assert not rule.takes_answers


# answers


def polls(*texts: str | None, sure: Sequence[float | None] = (), weights: Sequence[float] = ()) -> list[Poll]:
    """Return answers that are told by their first letter; None could not be read."""
    how = [*sure, *[None] * (len(texts) - len(sure))]
    much = [*weights, *[1.0] * (len(texts) - len(weights))]
    return [
        Poll(text[0] if text else None, text or "", each, weight)
        for text, each, weight in zip(texts, how, much, strict=True)
    ]


def test_the_words_are_those_of_the_first_who_gave_the_answer() -> None:
    found = poll(RULES["unique-mode"], polls("rome", "Paris", "Paris!", None))
    assert (found.answer, found.key, found.votes, found.unread, found.split) == ("Paris", "P", 3, 1, False)


@pytest.mark.parametrize(
    ("rule", "texts", "answer", "split"),
    [
        ("unique-mode", ("x1", "y1", "y2"), "y1", False),
        ("unique-mode", ("x1", "y1"), None, True),
        ("majority", ("x1", "y1", "y2"), "y1", False),
        ("majority", ("x1", "y1", "y2", "z1"), None, True),
        ("majority", ("x1", "x2", None, None), "x1", False),
        ("weighted", ("x1", "y1", "y2"), "y1", False),
        ("meta-judge", ("x1",), "x1", False),
    ],
)
def test_answers_are_counted_by_the_rule(
    rule: str, texts: tuple[str | None, ...], answer: str | None, split: bool
) -> None:
    found = poll(RULES[rule], polls(*texts))
    assert (found.answer, found.split) == (answer, split)
    assert (found.votes, found.unread) == (len(texts) - texts.count(None), texts.count(None))


def test_answers_count_as_much_as_they_are_sure_or_as_their_weight() -> None:
    sure = polls("x1", "y1", "y2", sure=(0.9, 0.4, 0.4))
    assert poll(RULES["confidence-weighted"], sure).answer == "x1"
    assert poll(RULES["weighted"], polls("x1", "y1", "y2", weights=(3, 1, 1))).answer == "x1"
    assert poll(RULES["unique-mode"], polls("x1", "y1", "y2", weights=(3, 1, 1))).answer == "y1"
    with pytest.raises(NothingToDecide, match="say confidence: true"):
        poll(RULES["confidence-weighted"], polls("x1"))
    with pytest.raises(ValueError, match="below 0"):
        poll(RULES["weighted"], polls("x1", weights=(-1,)))


def test_a_split_of_answers_is_none_or_the_first_or_one_by_chance() -> None:
    answers = polls("z1", "y1", "x1", "x2", "y2")
    assert poll(RULES["unique-mode"], answers).answer is None
    first = poll(RULES["unique-mode"], answers, ties="first")
    assert (first.answer, first.split, first.key) == ("y1", True, "y")
    drawn = {poll(RULES["unique-mode"], answers, ties="random", dice=dice(seed)).answer for seed in range(20)}
    assert drawn == {"x1", "y1"}
    with pytest.raises(ValueError, match="dice"):
        poll(RULES["unique-mode"], answers, ties="random")


def test_answers_that_nobody_can_read_come_to_nothing() -> None:
    found = poll(RULES["majority"], polls(None, None))
    assert (found.answer, found.votes, found.unread, found.split) == (None, 0, 2, False)
    with pytest.raises(NothingToDecide, match="nobody gave an answer"):
        poll(RULES["majority"], [])
    with pytest.raises(NothingToDecide, match="takes one vote as it is, and there are 2"):
        poll(RULES["meta-judge"], polls("x1", None))


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_takes_answers_unless_it_is_about_two_candidates(name: str) -> None:
    rule = RULES[name]
    assert rule.takes_answers is (name not in ("mean-score", "median-score", "borda"))
    if not rule.takes_answers:
        with pytest.raises(NothingToDecide, match="about votes for one of two"):
            poll(rule, polls("x1"))


@given(
    st.lists(st.sampled_from("wxyz"), min_size=1, max_size=9),
    st.sampled_from(["tie", "first", "random"]),
    st.integers(),
)
def test_the_unique_mode_of_answers_is_what_counting_says(texts: list[str], ties: Ties, seed: int) -> None:
    counts = Counter(texts)
    level = [text for text, count in counts.items() if count == max(counts.values())]
    found = poll(RULES["unique-mode"], polls(*texts), ties=ties, dice=dice(seed))
    assert found.split is (len(level) > 1)
    if found.split and ties == "tie":
        assert found.answer is None
    elif ties == "first":
        assert found.answer == next(text for text in texts if text in level)
    else:
        assert found.answer in level


def test_answers_that_are_called_tie_are_answers_like_others() -> None:
    assert poll(RULES["unique-mode"], [Poll("tie", "tie"), Poll("tie", "Tie"), Poll("a", "a")]).answer == "tie"

"""Conditions: opinions are votes or answers, and where the conversation stands counts too."""

import random
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from fellowship.protocols.answering import key
from fellowship.protocols.errors import DeclarationError, UnknownName
from fellowship.protocols.generation import DraftWritten
from fellowship.protocols.judging import Judging, Verdict
from fellowship.protocols.jury import VoteCast
from fellowship.protocols.messages import Fact
from fellowship.protocols.moderation import ApprovalGiven
from fellowship.protocols.opinions import Said, agreeing, drift, opinions
from fellowship.protocols.stopping import FED_BY, PREDICATES, QUANTITIES, RANGES, STABLE, Condition, Standing

VERDICTS: dict[str, Verdict] = {"a": "a", "b": "b", "t": "tie", "u": "unread"}
NUMERIC = Standing(key=partial(key, how="numeric"))


def vote(verdict: str, lead: float | None = None, confidence: float | None = None) -> VoteCast:
    scores: dict[str, Any] = {} if lead is None else {"score_a": 5 + lead, "score_b": 5.0}
    return VoteCast(round=1, judging=Judging(), ballots=(), verdict=VERDICTS[verdict], confidence=confidence, **scores)


def answer(text: str | None, confidence: float | None = None, working: str = "so") -> DraftWritten:
    return DraftWritten(
        round=1, text=f"{working}: {text}", version=1, answer=text, confidence=confidence, unread=text is None or None
    )


def rounds(make: Callable[[Any], Fact], *each: Any) -> Said:
    """Return what x, y, z said round by round; `-` is nothing."""
    return [(who, make(word)) for words in each for who, word in zip("xyz", words, strict=False) if word != "-"]


def voted(*each: str) -> Said:
    return rounds(vote, *each)


def answered(*each: str | tuple[str | None, ...]) -> Said:
    return rounds(answer, *each)


def approvals(*each: tuple[str, bool | None]) -> Said:
    return [(who, ApprovalGiven(round=1, reason="r", approved=approved)) for who, approved in each]


@pytest.mark.parametrize(
    ("text", "said", "met"),
    [
        ("consensus", answered(("4", "4.0", "8/2")), True),
        ("consensus", answered(("4", "5", "4")), False),
        ("consensus", answered(("4", "4", None)), False),
        ("consensus", answered(("4", "4", "many")), False),
        ("consensus", answered(("4", "5"), ("4", "4")), True),
        ("disagreement", answered(("4", "4.0")), False),
        ("disagreement", answered(("4", "5")), True),
        ("disagreement", answered(("4", None)), False),
        ("settled", answered(("4", "5"), ("4.0", "5.0")), True),
        ("settled", answered(("4", "5"), ("4", "4")), False),
        ("settled", answered((None,), (None,)), False),
        ("settled", answered(("4", "5"), ("4", "-")), False),
        ("unchanged", answered(("4",), ("4.0",)), True),
        ("unchanged", answered(("4",), ("5",)), False),
        ("unchanged", answered((None,), (None,)), False),
        ("unchanged", answered(("many",), ("many",)), False),
        ("agreement >= 0.66", answered(("4", "4.0", "5")), True),
        ("agreement == 0.5", answered(("4", None)), True),
        ("agreement >= 0", answered((None,)), False),
        ("unread == 0.5", answered(("4", "many")), True),
        ("unread == 0", voted("ab"), True),
        ("unread == 1", voted("ab", "uu"), True),
        ("unread >= 0", [], False),
        ("stable", voted("aab"), False),
        ("stable", voted("aab", "aab"), True),
        ("stable", voted("aab", "aba"), True),
        ("stable", voted("aab", "abb"), False),
        ("stable", voted("aat", "aab"), False),
        ("stable", voted("abb", "aab", "aba"), True),
        ("stable", voted("a", "u"), False),
        ("stable", voted("aau", "aab"), True),
        ("stable", answered(("4", "5"), ("5.0", "4.0")), True),
        ("stable", answered(("4", "5"), ("4", "4")), False),
        ("drift == 0.5", answered(("4", "5"), ("4", "4")), True),
        ("approved", approvals(("x", True)), True),
        ("approved", approvals(("x", True), ("y", False)), False),
        ("approved", approvals(("x", False), ("y", True), ("x", True)), True),
        ("approved", approvals(("x", True), ("x", None)), False),
        ("approved", voted("aa"), False),
    ],
)
def test_conditions_look_at_the_last_opinion_of_everyone(text: str, said: Said, met: bool) -> None:
    assert Condition.from_str(text).met(said, NUMERIC) is met


def test_answers_are_compared_word_by_word_where_nothing_says_how() -> None:
    assert not Condition.from_str("consensus").met(answered(("4", "4.0")))
    assert Condition.from_str("consensus").met(answered(("4", "4")))
    assert Condition.from_str("unchanged").met(answered(("4",), ("4",)))


def test_drafts_of_the_same_answer_are_unchanged_however_they_get_there() -> None:
    said = [("x", answer("4", working="2 + 2")), ("x", answer("4", working="2 * 2"))]
    assert Condition.from_str("unchanged").met(said)
    plain = [("x", DraftWritten(round=1, text=text, version=1)) for text in ("one", "two")]
    assert not Condition.from_str("unchanged").met(plain)


def test_opinions_are_those_of_the_kind_that_came_last() -> None:
    said = [
        *voted("ab", "bb"),
        ("x", answer("4")),
        ("z", answer(None)),
        ("w", DraftWritten(round=1, text="", version=1)),
    ]
    assert opinions(said) == {"x": ["4"], "y": ["b", "b"], "z": ["unread"]}
    assert opinions([*said, *voted("a")])["x"] == ["a", "b", "a"]
    assert opinions(said, lambda text: f"={text}")["x"] == ["=4"]


def test_confidence_is_the_mean_of_those_who_say_how_sure_they_are() -> None:
    said = [
        ("x", vote("a", confidence=0.2)),
        ("x", vote("a", confidence=0.9)),
        ("y", answer("4", 0.5)),
        ("z", vote("b")),
    ]
    assert QUANTITIES["confidence"].function(said, Standing()) == pytest.approx(0.7)
    assert Condition.from_str("confidence >= 0.7").met(said)
    assert not Condition.from_str("confidence >= 0").met(voted("ab"))


def test_conditions_look_at_where_the_conversation_stands() -> None:
    standing = Standing(round=3, tokens=1200, calls=9, cost_usd=0.25)
    for text in ("round >= 3", "tokens > 1000", "calls == 9", "cost >= 0.25"):
        assert Condition.from_str(text).met([], standing)
        assert not Condition.from_str(text).met([])
        assert Condition.from_str(text).fed_by == frozenset()


def test_one_opinion_is_not_enough_for_consensus_while_others_wait() -> None:
    for said in (voted("a"), answered(("4",))):
        assert Condition.from_str("consensus").met(said)
        assert not Condition.from_str("consensus").enough(said, ("y",))
    assert Condition.from_str("consensus").enough(answered(("4", "4.0")), ("z",), NUMERIC)
    assert Condition.from_str("calls >= 2").enough([], ("z",), Standing(calls=2))


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the Kolmogorov-Smirnov distance by scipy, whose p-value of small samples, with a warning, is not asked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(ks_2samp(one, other).statistic)


leads = st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=1, max_size=12)


@given(leads)
def test_the_drift_of_scores_is_the_kolmogorov_smirnov_distance_of_scipy(moves: list[tuple[int, int]]) -> None:
    said = [(str(who), vote("a", lead / 2)) for when in (0, 1) for who, lead in enumerate(pair[when] for pair in moves)]
    wanted = distance([one for one, _ in moves], [other for _, other in moves])
    assert drift(said) == pytest.approx(wanted)
    assert Condition.from_str("stable").met(said) is (wanted <= STABLE)


@given(st.lists(st.tuples(st.sampled_from("atb"), st.sampled_from("atb")), min_size=1, max_size=12))
def test_the_drift_of_verdicts_is_that_distance_over_their_order(moves: list[tuple[str, str]]) -> None:
    said = [(str(who), vote(pair[when])) for when in (0, 1) for who, pair in enumerate(moves)]
    order = "bta"
    wanted = distance([order.index(one) for one, _ in moves], [order.index(other) for _, other in moves])
    assert drift(said) == pytest.approx(wanted)


@given(st.lists(st.tuples(st.sampled_from("1234"), st.sampled_from("1234")), min_size=1, max_size=12))
def test_the_drift_of_answers_is_half_the_sum_of_the_differences_of_shares(moves: list[tuple[str, str]]) -> None:
    said = [(str(who), answer(pair[when])) for when in (0, 1) for who, pair in enumerate(moves)]
    shares = [[sum(pair[when] == each for pair in moves) / len(moves) for each in "1234"] for when in (0, 1)]
    assert drift(said) == pytest.approx(sum(abs(one - other) for one, other in zip(*shares, strict=True)) / 2)


def test_who_has_changed_less_than_one_in_twenty_is_stable() -> None:
    before = [(str(who), vote("a")) for who in range(40)]
    two = [(str(who), vote("b" if who < 2 else "a")) for who in range(40)]
    three = [(str(who), vote("b" if who < 3 else "a")) for who in range(40)]
    assert (drift([*before, *two]), drift([*before, *three])) == (0.05, 0.075)
    assert Condition.from_str("stable").met([*before, *two])
    assert not Condition.from_str("stable").met([*before, *three])


def test_scores_decide_drift_only_where_all_have_them() -> None:
    scored = [("x", vote("a", 1)), ("x", vote("a", 4))]
    assert drift(scored) == 1.0
    assert drift([*scored, ("y", vote("a")), ("y", vote("a", 1))]) == 0.0


@given(st.lists(st.sampled_from("abtu"), min_size=1, max_size=9), st.randoms(use_true_random=False))
def test_shares_lie_between_nothing_and_all_and_the_order_of_voters_decides_nothing(
    verdicts: list[str], chance: random.Random
) -> None:
    said = [(str(who), vote(verdict)) for who, verdict in enumerate(verdicts)]
    shuffled = chance.sample(said, len(said))
    for name in ("agreement", "unread", "drift", "confidence"):
        value = QUANTITIES[name].function(said, Standing())
        assert value == QUANTITIES[name].function(shuffled, Standing())
        assert value is None or 0 <= value <= 1
    assert agreeing(["unread"]) is None


@pytest.mark.parametrize(
    ("text", "highest", "problem"),
    [
        ("agreement > 1", {}, "agreement > 1 never holds: agreement is from 0 to 1"),
        ("agreement >= 1", {}, None),
        ("agreement >= 0", {}, "agreement >= 0 always holds: agreement is from 0 to 1"),
        ("agreement > 0", {}, None),
        ("agreement < 0", {}, "agreement < 0 never holds: agreement is from 0 to 1"),
        ("agreement <= 1", {}, "agreement <= 1 always holds: agreement is from 0 to 1"),
        ("agreement == 1.5", {}, "agreement == 1.5 never holds: agreement is from 0 to 1"),
        ("agreement == 0.5", {}, None),
        ("confidence >= 80", {}, "confidence >= 80 never holds: confidence is from 0 to 1"),
        ("score >= 11", {}, None),
        ("score >= 11", {"score": 10}, "score >= 11 never holds: score is from 0 to 10"),
        ("score <= 10", {"score": 10}, "score <= 10 always holds: score is from 0 to 10"),
        ("score >= 9.5", {"score": 10}, None),
        ("margin > 5", {"margin": 5}, "margin > 5 never holds: margin is from 0 to 5"),
        ("margin < 0", {}, "margin < 0 never holds: margin is from 0"),
        ("round >= 1", {}, "round >= 1 always holds: round is from 1"),
        ("round > 3", {"round": 3}, "round > 3 never holds: round is from 1 to 3"),
        ("round == 1", {"round": 1}, "round == 1 always holds: round is from 1 to 1"),
        ("tokens >= -1", {}, "tokens >= -1 always holds: tokens is from 0"),
        ("drift > 0.1", {"drift": 7}, None),
        ("consensus", {}, None),
    ],
)
def test_a_comparison_that_cannot_go_either_way_is_told(
    text: str, highest: dict[str, float], problem: str | None
) -> None:
    condition = Condition.from_str(text)
    never, always = condition.never(highest), condition.always(highest)
    assert (never or always) == problem
    assert never is None or always is None


values = st.integers(-4, 8).map(lambda halves: halves / 2)


@given(st.sampled_from(sorted(QUANTITIES)), st.sampled_from([">=", "<=", ">", "<", "=="]), values, st.integers(1, 3))
def test_what_never_or_always_holds_is_just_what_no_value_or_every_value_in_the_range_meets(
    name: str, comparison: str, threshold: float, most: int
) -> None:
    condition = Condition.from_str(f"{name} {comparison} {threshold}")
    least, greatest = RANGES[name]
    top = float(most) if greatest is None else greatest
    steps = [least + step / 4 for step in range(int((top - least) * 4) + 1)]
    compare: dict[str, Callable[[float], bool]] = {
        ">=": lambda value: value >= threshold,
        "<=": lambda value: value <= threshold,
        ">": lambda value: value > threshold,
        "<": lambda value: value < threshold,
        "==": lambda value: value == threshold,
    }
    holds = [compare[comparison](value) for value in steps]
    assert (condition.never({name: most}) is not None) is not any(holds)
    assert (condition.always({name: most}) is not None) is all(holds)


def test_every_condition_says_what_feeds_it_and_every_quantity_its_range() -> None:
    assert set(FED_BY) == {*PREDICATES, *QUANTITIES}
    assert set(RANGES) == set(QUANTITIES)
    for name in PREDICATES:
        assert Condition.from_str(name).fed_by == FED_BY[name] == PREDICATES[name].fed_by
    assert Condition.from_str("score > 3").fed_by == {"feedback"}
    assert FED_BY["consensus"] == {"ballot", "answer"}


@pytest.mark.parametrize("name", sorted(PREDICATES))
def test_no_predicate_holds_before_anything_was_said(name: str) -> None:
    assert not Condition.from_str(name).met([], Standing(round=9, tokens=9, calls=9, cost_usd=9.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("consensus >= 1", "'consensus' holds or does not: it is compared with no number"),
        ("drift", "'drift' is a quantity: compare it with a number"),
        ("stabel", "did you mean 'stable'"),
        ("rounds >= 3", "did you mean 'round'"),
        ("cost > $3", "unknown condition"),
    ],
)
def test_a_condition_that_is_none_is_refused_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        Condition.from_str(text)


def test_predicates_and_quantities_are_registered() -> None:
    with pytest.raises(UnknownName, match="unknown quantity 'scor'; did you mean 'score'"):
        QUANTITIES["scor"]

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fellowship.protocols.aggregation import RULES
from fellowship.protocols.errors import NothingToDecide, UnknownName
from fellowship.protocols.judging import MIRRORED, Ballot, Judging, Order, Reconcile, Verdict, reconciled, verdict_of
from fellowship.protocols.jury import VoteCast

scores = st.integers(0, 100).map(lambda tenths: tenths / 10)


def vote(verdict: Verdict, score_a: float | None = None, score_b: float | None = None) -> VoteCast:
    ballot = Ballot(order="ab", verdict=verdict, score_a=score_a, score_b=score_b)
    return VoteCast(round=1, judging=Judging(), ballots=(ballot,), verdict=verdict, score_a=score_a, score_b=score_b)


def scored(score_a: float, score_b: float) -> VoteCast:
    return vote(verdict_of(score_a, score_b), score_a, score_b)


votes = st.lists(st.builds(scored, scores, scores), min_size=1, max_size=7)
OF_ALL = tuple(name for name in RULES if not RULES[name].alone and not RULES[name].needs_confidence)
"""Rules that take any number of votes that have scores."""


@pytest.mark.parametrize(
    ("rule", "verdicts", "expected"),
    [
        ("unique-mode", "aab", "a"),
        ("unique-mode", "ab", "tie"),
        ("unique-mode", "aabbt", "tie"),
        ("unique-mode", "att", "tie"),
        ("unique-mode", "b", "b"),
        ("majority", "aab", "a"),
        ("majority", "aabt", "tie"),
        ("majority", "bbbt", "b"),
    ],
)
def test_votes_are_counted_by_the_rule(rule: str, verdicts: str, expected: Verdict) -> None:
    names: dict[str, Verdict] = {"a": "a", "b": "b", "t": "tie"}
    assert RULES[rule].tally([vote(names[name]) for name in verdicts]).verdict == expected


def test_the_mean_score_decides_and_equal_is_a_tie() -> None:
    tally = RULES["mean-score"].tally([scored(8, 6), scored(5, 9), scored(7, 6)])
    assert (tally.verdict, tally.score_a, tally.score_b) == ("b", pytest.approx(20 / 3), 7.0)
    assert RULES["mean-score"].tally([scored(8, 6), scored(6, 8)]).verdict == "tie"


def test_rounding_decides_nothing() -> None:
    # As floats, 0.1 + 0.2 + 0.3 is greater than 0.3 + 0.2 + 0.1.
    tally = RULES["mean-score"].tally([scored(0.1, 0.3), scored(0.2, 0.2), scored(0.3, 0.1)])
    assert tally.verdict == "tie"


@pytest.mark.parametrize("rule", OF_ALL)
def test_an_unread_vote_is_counted_and_never_a_vote(rule: str) -> None:
    tally = RULES[rule].tally([scored(9, 1), vote("unread"), vote("unread")])
    assert (tally.verdict, tally.votes, tally.unread) == ("a", 1, 2)
    nothing = RULES[rule].tally([vote("unread")])
    assert (nothing.verdict, nothing.votes, nothing.unread) == ("unread", 0, 1)


def test_no_vote_at_all_is_nothing_to_decide() -> None:
    with pytest.raises(NothingToDecide):
        RULES["unique-mode"].tally([])
    with pytest.raises(NothingToDecide, match="needs scores"):
        RULES["mean-score"].tally([vote("a")])


def test_an_unknown_rule_tells_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'mean-score'"):
        RULES["mean-scores"]


@given(votes)
def test_no_rule_favours_a_over_b(cast: list[VoteCast]) -> None:
    mirrored = [scored(vote.score_b or 0.0, vote.score_a or 0.0) for vote in cast]
    for name in OF_ALL:
        assert RULES[name].tally(mirrored).verdict == MIRRORED[RULES[name].tally(cast).verdict]


@given(votes, st.randoms())
def test_no_rule_looks_at_the_order_of_votes(cast: list[VoteCast], chance: object) -> None:
    shuffled = list(cast)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    for name in OF_ALL:
        assert RULES[name].tally(shuffled) == RULES[name].tally(cast)


@given(votes)
def test_the_rules_agree_with_their_definitions(cast: list[VoteCast]) -> None:
    counts = Counter(vote.verdict for vote in cast)
    top = [verdict for verdict, count in counts.items() if count == max(counts.values())]
    assert RULES["unique-mode"].tally(cast).verdict == (top[0] if len(top) == 1 else "tie")
    held = [verdict for verdict, count in counts.items() if 2 * count > len(cast)]
    assert RULES["majority"].tally(cast).verdict == (held[0] if held else "tie")
    margin = sum(Fraction(str(vote.score_a)) - Fraction(str(vote.score_b)) for vote in cast)
    assert RULES["mean-score"].tally(cast).verdict == ("tie" if margin == 0 else "a" if margin > 0 else "b")


def ballots(*pairs: tuple[float, float]) -> list[Ballot]:
    return [Ballot(order="ab", verdict=verdict_of(a, b), score_a=a, score_b=b) for a, b in pairs]


def test_two_orders_that_agree_stand_and_that_disagree_are_reconciled() -> None:
    assert reconciled(ballots((8, 6), (9, 5)), "tie") == ("a", 8.5, 5.5)
    assert reconciled(ballots((8, 6), (5, 6)), "tie") == ("tie", 6.5, 6.0)
    assert reconciled(ballots((8, 6), (5, 6)), "mean") == ("a", 6.5, 6.0)


def test_two_direct_verdicts_that_disagree_are_a_tie_under_either_rule() -> None:
    direct = [Ballot(order="ab", verdict="a"), Ballot(order="ba", verdict="b")]
    assert reconciled(direct, "mean") == ("tie", None, None)


def test_half_an_answer_is_no_answer() -> None:
    assert reconciled([*ballots((8, 6)), Ballot(order="ba", verdict="unread")], "mean") == ("unread", None, None)
    with pytest.raises(ValueError, match="no ballots"):
        reconciled([], "tie")


def sampled(order: Order, *cast: tuple[float, float] | Verdict) -> list[Ballot]:
    return [
        Ballot(order=order, verdict=each)
        if isinstance(each, str)
        else Ballot(order=order, verdict=verdict_of(*each), score_a=each[0], score_b=each[1])
        for each in cast
    ]


def test_the_mean_of_all_scores_of_all_samples_decides_and_each_order_weighs_the_same() -> None:
    ballots = [*sampled("ab", (9, 1), (2, 3), (2, 3)), *sampled("ba", (5, 6), (5, 6), (5, 6))]
    assert reconciled(ballots, "mean") == ("a", pytest.approx((13 / 3 + 5) / 2), pytest.approx((7 / 3 + 6) / 2))
    assert reconciled(ballots, "tie")[0] == "b"
    fewer = [*sampled("ab", (8, 2), "unread", "unread"), *sampled("ba", (4, 6), (4, 6), (4, 6))]
    assert reconciled(fewer, "mean") == ("a", 6.0, 4.0)


def test_samples_of_one_order_come_to_their_most_frequent_verdict_and_a_split_is_a_tie() -> None:
    assert reconciled(sampled("ab", "a", "a", "b"), "tie") == ("a", None, None)
    assert reconciled(sampled("ab", "a", "b"), "tie")[0] == "tie"
    assert reconciled(sampled("ab", "a", "b", "unread"), "mean")[0] == "tie"
    assert reconciled([*sampled("ab", "a", "a", "b"), *sampled("ba", "a", "tie", "a")], "tie")[0] == "a"
    assert reconciled([*sampled("ab", "a", "a", "b"), *sampled("ba", "tie", "tie", "a")], "tie")[0] == "tie"


def test_an_order_of_which_no_sample_could_be_read_makes_the_vote_unread() -> None:
    read = sampled("ab", (8, 2), (8, 2))
    assert reconciled([*read, *sampled("ba", "unread", "unread")], "mean") == ("unread", None, None)
    assert reconciled(sampled("ab", "unread", "unread"), "tie") == ("unread", None, None)
    assert reconciled([*read, *sampled("ba", "unread", (8, 2))], "tie") == ("a", 8.0, 2.0)


@given(st.lists(st.tuples(scores, scores), min_size=1, max_size=6), st.sampled_from(["tie", "mean"]))
def test_swapped_candidates_have_swapped_verdicts_however_many_samples(
    cast: list[tuple[float, float]], rule: Reconcile
) -> None:
    forth, back = reconciled(sampled("ab", *cast), rule), reconciled(sampled("ab", *[(b, a) for a, b in cast]), rule)
    assert back == (MIRRORED[forth[0]], forth[2], forth[1])
    if rule == "mean":
        lead = sum(Fraction(str(a)) - Fraction(str(b)) for a, b in cast)
        assert forth[0] == verdict_of(lead, Fraction(0))

"""Verdicts of all juries at once are those that the registered rules give one jury at a time."""

from collections.abc import Sequence
from fractions import Fraction
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fellowship.protocols.aggregation import RULES
from fellowship.protocols.errors import DeclarationError, UnknownName
from fellowship.protocols.judging import Judging, Verdict, verdict_of
from fellowship.protocols.jury import VoteCast
from fellowship.scenarios.measures.pool import Pool
from fellowship.scenarios.measures.rules import KNOWN, QUORUM_MISSED, JuryRule
from fellowship.scenarios.measures.subsets import Sizes, checked, subsets
from fellowship.scenarios.ratings import MISSING, TIE, UNREAD, A, B
from fellowship.scenarios.ratings.table import CODES, VERDICTS

JURORS = 4
ALL = subsets(JURORS, range(1, JURORS + 1))
Cast = VoteCast | None
"""None: nobody asked."""

score = st.one_of(
    st.integers(0, 100).map(lambda tenths: tenths / 10), st.integers(0, 30).map(lambda n: n / 3), st.integers(0, 10)
).map(float)


@st.composite
def votes(draw: st.DrawFn, *, scored: bool = True) -> Cast:
    sort = draw(st.sampled_from(["read", "read", "read", "unread", "missing"]))
    if sort == "missing":
        return None
    if sort == "unread":
        return cast("unread")
    if not scored:
        return cast(draw(st.sampled_from(("a", "b", "tie"))))
    a, b = draw(score), draw(score)
    return cast(verdict_of(a, b), a, b)


def cast(verdict: Verdict, score_a: float | None = None, score_b: float | None = None) -> VoteCast:
    return VoteCast(round=1, judging=Judging(), ballots=(), verdict=verdict, score_a=score_a, score_b=score_b)


def pool(rows: Sequence[Sequence[Cast]]) -> Pool:
    codes = [[MISSING if vote is None else CODES[vote.verdict] for vote in row] for row in rows]
    scores = [
        [(np.nan, np.nan) if vote is None or vote.score_a is None else (vote.score_a, vote.score_b) for vote in row]
        for row in rows
    ]
    jurors = tuple(f"j{number}" for number in range(len(rows[0])))
    return Pool(
        tuple(f"i{number}" for number in range(len(rows))),
        jurors,
        np.array(codes, dtype=np.int8),
        np.array(scores, dtype=np.float64).reshape(len(rows), len(jurors), 2),
        (None,) * len(jurors),
        (1.0,) * len(jurors),
        np.zeros(len(rows), dtype=np.int8),
        0,
    )


def said(code: int) -> str:
    return {MISSING: "nobody", QUORUM_MISSED: "missed"}.get(code) or VERDICTS[code]


@pytest.mark.parametrize("name", KNOWN)
@given(rows=st.lists(st.lists(votes(), min_size=JURORS, max_size=JURORS), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_every_jury_says_what_the_registered_rule_says_of_its_votes(name: str, rows: list[list[Cast]]) -> None:
    found = JuryRule(name).verdicts(pool(rows), ALL)
    for jury, seats in enumerate(ALL):
        for item, row in enumerate(rows):
            cast_votes = [vote for vote, sits in zip(row, seats, strict=True) if sits and vote is not None]
            wanted = RULES[name].tally(cast_votes).verdict if cast_votes else "nobody"
            assert said(found[jury, item]) == wanted


@given(rows=st.lists(st.lists(votes(), min_size=JURORS, max_size=JURORS), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_a_median_is_that_of_the_votes_that_were_read(rows: list[list[Cast]]) -> None:
    found = JuryRule("median-score").verdicts(pool(rows), ALL)
    for jury, seats in enumerate(ALL):
        for item, row in enumerate(rows):
            read = [vote for vote, sits in zip(row, seats, strict=True) if sits and vote and vote.verdict != "unread"]
            if read:
                a = median(Fraction(str(vote.score_a)) for vote in read)
                b = median(Fraction(str(vote.score_b)) for vote in read)
                assert said(found[jury, item]) == verdict_of(a, b)


@given(
    rows=st.lists(st.lists(votes(scored=False), min_size=JURORS, max_size=JURORS), min_size=1, max_size=6),
    weights=st.lists(st.fractions(Fraction(1, 20), Fraction(3), max_denominator=20), min_size=JURORS, max_size=JURORS),
)
@settings(max_examples=40, deadline=None)
def test_the_most_weight_wins_and_equal_weight_is_a_tie(rows: list[list[Cast]], weights: list[Fraction]) -> None:
    rule = JuryRule("weighted", weights={f"j{number}": weight for number, weight in enumerate(weights)})
    found = rule.verdicts(pool(rows), ALL)
    for jury, seats in enumerate(ALL):
        for item, row in enumerate(rows):
            totals = dict.fromkeys(("a", "b", "tie"), Fraction())
            for vote, sits, weight in zip(row, seats, weights, strict=True):
                if sits and vote and vote.verdict != "unread":
                    totals[vote.verdict] += weight
            most = [verdict for verdict, total in totals.items() if total == max(totals.values())]
            if any(totals.values()):
                assert said(found[jury, item]) == (most[0] if len(most) == 1 else "tie")


def test_scores_are_added_as_decimals_so_that_rounding_decides_nothing() -> None:
    row = [cast("b", 0.1, 0.3), cast("a", 0.2, 0.0)]  # 0.1 + 0.2 is more than 0.3 to a machine
    both = subsets(2, [2])
    assert JuryRule("mean-score").verdicts(pool([row]), both).tolist() == [[TIE]]
    assert JuryRule("median-score").verdicts(pool([row]), both).tolist() == [[TIE]]


def test_scores_with_more_digits_than_a_machine_word_holds_are_exact_all_the_same() -> None:
    row = [cast("a", 1e-17, 0.0), cast("b", 10.0, 10.000000000000002)]
    assert JuryRule("mean-score").verdicts(pool([row]), subsets(2, [2])).tolist() == [[B]]


def test_below_the_quorum_a_jury_has_no_verdict_or_a_tie_as_it_is_told() -> None:
    rows = [[cast("a"), cast("unread"), cast("unread")], [cast("a"), cast("b"), cast("b")], [cast("unread")] * 3]
    jury = subsets(3, [3])
    assert JuryRule(quorum=2).verdicts(pool(rows), jury).tolist() == [[QUORUM_MISSED, B, UNREAD]]
    assert JuryRule(quorum=2, short="tie").verdicts(pool(rows), jury).tolist() == [[TIE, B, UNREAD]]


def test_ties_that_abstain_leave_the_decision_to_the_others() -> None:
    rows = [[cast("tie"), cast("tie"), cast("a")], [cast("tie")] * 3]
    jury = subsets(3, [3])
    assert JuryRule().verdicts(pool(rows), jury).tolist() == [[TIE, TIE]]
    assert JuryRule(abstain="tie").verdicts(pool(rows), jury).tolist() == [[A, QUORUM_MISSED]]


def test_a_jury_smaller_than_the_quorum_needs_all_of_its_votes() -> None:
    rows = [[cast("a"), cast("a"), cast("b")], [cast("a"), cast("unread"), cast("b")]]
    assert JuryRule(quorum=3).verdicts(pool(rows), subsets(3, [2]))[0].tolist() == [A, QUORUM_MISSED]


def test_a_vote_without_the_scores_a_rule_needs_is_named() -> None:
    rows = [[cast("a", 2, 1), cast("a")], [cast("b", 1, 2), cast("tie")]]
    with pytest.raises(DeclarationError, match=r"mean-score needs scores, and 2 votes have none.*'j1' on item 'i0'"):
        JuryRule("mean-score").verdicts(pool(rows), subsets(2, [2]))


def test_rules_and_weights_that_cannot_be_are_refused_in_a_sentence() -> None:
    with pytest.raises(UnknownName, match="did you mean 'majority'"):
        JuryRule("majorty")
    with pytest.raises(DeclarationError, match="not above 0"):
        JuryRule("weighted", weights={"j0": Fraction(0)})
    with pytest.raises(UnknownName, match="did you mean 'j1'"):
        JuryRule("weighted", weights={"j11": Fraction(2)}).verdicts(pool([[cast("a")] * 2]), subsets(2, [2]))


@pytest.mark.parametrize(("text", "wanted"), [("2-6", (2, 6)), ("3", (3, 3)), ("4-", (4, 6)), (" 2 - 3 ", (2, 3))])
def test_sizes_are_read(text: str, wanted: tuple[int, int]) -> None:
    sizes = Sizes.from_str(text, 6)
    assert (sizes.least, sizes.most) == wanted


@pytest.mark.parametrize("text", ["1-3", "2-7", "5-3", "many", ""])
def test_sizes_that_no_jury_has_are_refused(text: str) -> None:
    with pytest.raises(DeclarationError, match="--sizes"):
        Sizes.from_str(text, 6)


def test_more_juries_than_a_minute_has_room_for_are_refused_with_sizes_that_fit() -> None:
    with pytest.raises(DeclarationError, match=r"13 jurors make 8,178 juries .* --sizes 2-6"):
        checked(Sizes(2, 13), 13, 1000)
    checked(Sizes(2, 6), 13, 1000)
    checked(Sizes(2, 12), 12, 2396)

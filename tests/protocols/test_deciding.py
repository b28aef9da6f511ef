"""A verdict is decided where no vote to come can change it: the definition, tried out vote by vote."""

from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fellowship.protocols.aggregation import RULES
from fellowship.protocols.deciding import decided
from fellowship.protocols.errors import UnknownName
from fellowship.protocols.judging import Judging, Verdict
from fellowship.protocols.jury import VoteCast
from fellowship.protocols.opinions import Said
from fellowship.protocols.sparing import Decided

VERDICTS: tuple[Verdict, ...] = ("a", "b", "tie", "unread")


def vote(verdict: Verdict) -> VoteCast:
    return VoteCast(round=1, judging=Judging(), ballots=(), verdict=verdict)


SEEDS = (0, 1, 2, 6)
"""Seeds by which each of two, and each of three, is drawn."""
VOTES = {verdict: vote(verdict) for verdict in VERDICTS}


def by_trial(name: str, verdicts: list[Verdict], remaining: int) -> bool:
    rule = RULES[name]
    ends = {
        rule.tally([VOTES[verdict] for verdict in (*verdicts, *rest)]).verdict
        for rest in product(VERDICTS, repeat=remaining)
    }
    return len(ends) == 1


@pytest.mark.parametrize("name", ["unique-mode", "majority"])
@given(verdicts=st.lists(st.sampled_from(VERDICTS), max_size=6), remaining=st.integers(0, 4))
@settings(max_examples=120, deadline=None)
def test_it_is_decided_where_every_end_is_the_same(name: str, verdicts: list[Verdict], remaining: int) -> None:
    if verdicts or remaining:
        assert decided(name, verdicts, remaining) == by_trial(name, verdicts, remaining)


@pytest.mark.parametrize("name", ["unique-mode", "majority"])
def test_every_jury_of_up_to_four_is_right(name: str) -> None:
    for size in range(1, 5):
        for cast in range(size + 1):
            for verdicts in product(VERDICTS, repeat=cast):
                assert decided(name, verdicts, size - cast) == by_trial(name, list(verdicts), size - cast)


@pytest.mark.parametrize("name", ["unique-mode", "majority"])
def test_where_the_first_of_those_level_wins_every_jury_of_up_to_four_is_right(name: str) -> None:
    for size in range(1, 5):
        for cast in range(size + 1):
            for verdicts in product(VERDICTS, repeat=cast):
                ends = {
                    RULES[name].tally([VOTES[verdict] for verdict in (*verdicts, *rest)], ties="first").verdict
                    for rest in product(VERDICTS, repeat=size - cast)
                }
                assert decided(name, verdicts, size - cast, ties="first") == (len(ends) == 1)


@pytest.mark.parametrize("name", ["unique-mode", "majority"])
def test_where_chance_decides_it_is_decided_where_chance_never_comes_to_matter(name: str) -> None:
    for size in range(1, 5):
        for cast in range(size):
            for verdicts in product(VERDICTS, repeat=cast):
                ends: set[Verdict] = set()
                for rest in product(VERDICTS, repeat=size - cast):
                    votes = [VOTES[verdict] for verdict in (*verdicts, *rest)]
                    ends |= {RULES[name].tally(votes, ties="random", dice=Random(seed)).verdict for seed in SEEDS}
                assert decided(name, verdicts, size - cast, ties="random") == (len(ends) == 1)


def test_a_rule_of_scores_waits_for_the_last_vote() -> None:
    assert not decided("mean-score", ["a", "a", "a"], 1)
    assert decided("mean-score", ["a", "a", "a"], 0)


def test_ties_that_are_ahead_by_what_remains_are_decided_and_sides_are_not() -> None:
    assert decided("unique-mode", ["tie", "tie", "a"], 1)
    assert not decided("unique-mode", ["a", "a", "tie"], 1)


def test_a_rule_that_nobody_knows_and_votes_fewer_than_none_are_refused() -> None:
    with pytest.raises(UnknownName, match="majority"):
        decided("majorty", ["a"], 1)
    with pytest.raises(ValueError, match="-1 votes"):
        decided("majority", ["a"], -1)


def judged(**verdicts: Verdict) -> Said:
    return [(who, vote(verdict)) for who, verdict in verdicts.items()]


def test_votes_that_the_decision_does_not_look_at_are_neither_counted_nor_waited_for() -> None:
    said = judged(x="a", y="a", guest="b")
    mode = RULES["unique-mode"]
    assert not Decided("unique-mode", mode, 10).enough(said, ("z",))
    assert Decided("unique-mode", mode, 10, among=("x", "y", "z")).enough(said, ("z",))
    assert Decided("unique-mode", mode, 10, among=("x", "guest")).enough(said, ("z",))


def test_asking_goes_on_where_the_last_vote_makes_a_split_that_is_no_tie() -> None:
    said = judged(x="tie", y="tie", z="a")
    mode = RULES["unique-mode"]
    assert Decided("unique-mode", mode, 10).enough(said, ("w",))
    assert Decided("unique-mode", mode, 10, ties="first").enough(said, ("w",))
    assert not Decided("unique-mode", mode, 10, ties="random").enough(said, ("w",))


@pytest.mark.parametrize("name", ["median-score", "borda", "weighted", "confidence-weighted"])
def test_rules_of_which_nothing_is_known_before_the_last_vote_wait_for_it(name: str) -> None:
    said = [(who, VoteCast(round=1, judging=Judging(), ballots=(), verdict="a", score_a=9, score_b=0)) for who in "xyz"]
    assert not Decided(name, RULES[name], 10).enough(said, ("w",))
    assert Decided("mean-score", RULES["mean-score"], 10).enough(said, ("w",))

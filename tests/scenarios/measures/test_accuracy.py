"""Accuracy of ways to answer questions, against scipy, statsmodels and scikit-learn, and what always holds of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from sklearn.metrics import accuracy_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from fellowship.scenarios.measures.accuracy import Answering, Mark, Solved, Solving, Tally, answering, most_frequent

MARKS: tuple[Mark, ...] = ("right", "wrong", "unread")


def solved(*, correct: bool | None, before: bool | None, calls: int = 3, **agents: tuple[Mark, Mark]) -> Solved:
    return Solved("answer", correct, before, agents, calls, 100 * calls)


def found(**ways: list[Solved]) -> Answering:
    tallies: dict[str, Tally] = {}
    for name, every in ways.items():
        tallies[name] = Tally()
        for each in every:
            tallies[name].add(each)
    return answering(tallies)


def way(every: list[Solved]) -> Solving:
    return found(way=every).ways[0]


def test_before_and_after_are_those_of_mcnemar() -> None:
    cells = {(True, True): 40, (True, False): 21, (False, True): 7, (False, False): 12}
    every = [solved(correct=after, before=before) for (after, before), n in cells.items() for _ in range(n)]
    change = way(every).change
    assert change is not None
    assert (change.rescued, change.lost) == (21, 7)
    assert change.test.p == pytest.approx(mcnemar([[40, 21], [7, 12]], exact=True).pvalue)
    assert change.test.p == pytest.approx(binomtest(7, 28).pvalue)
    truth = [True] * 80
    assert change.after.accuracy == pytest.approx(accuracy_score(truth, [each.correct for each in every]))
    assert change.before.accuracy == pytest.approx(accuracy_score(truth, [each.before for each in every]))
    assert change.before.accuracy_ci == pytest.approx(proportion_confint(47, 80, method="wilson"))
    assert change.test.difference == pytest.approx(14 / 80)
    assert change.test.difference_ci[0] < 14 / 80 < change.test.difference_ci[1]


def test_tests_of_several_ways_are_adjusted_together() -> None:
    ways = {
        name: [
            *[solved(correct=True, before=False)] * rescued,
            *[solved(correct=False, before=True)] * lost,
            *[solved(correct=True, before=True)] * 5,
        ]
        for name, rescued, lost in (("one", 12, 1), ("two", 6, 0), ("three", 3, 3))
    }
    changes = [each.change for each in found(**ways).ways]
    alone = [change.test.p for change in changes if change is not None]
    adjusted = multipletests(alone, method="holm")[1]
    assert [change.test.p_holm for change in changes if change is not None] == pytest.approx(list(adjusted))


def test_calls_have_the_interval_of_a_mean() -> None:
    calls = [3, 3, 6, 9, 3, 6, 3, 3]
    seen = way([solved(correct=True, before=True, calls=each) for each in calls]).calls
    assert seen is not None
    assert seen.ci is not None
    error = np.std(calls, ddof=1) / np.sqrt(len(calls))
    assert (seen.value, seen.n) == (np.mean(calls), 8)
    assert seen.ci == pytest.approx(
        (np.mean(calls) - norm.ppf(0.975) * error, np.mean(calls) + norm.ppf(0.975) * error)
    )


def test_what_has_no_known_answer_is_counted_and_in_no_share() -> None:
    seen = way([solved(correct=None, before=None), solved(correct=True, before=True, one=("right", "right"))])
    assert (seen.items, seen.unknown, seen.decision.n, seen.decision.accuracy) == (2, 1, 1, 1.0)
    assert seen.agents["one"].first.n == 1


def test_nothing_known_is_no_share_rather_than_none_right() -> None:
    seen = way([solved(correct=None, before=None)])
    assert (seen.decision.accuracy, seen.decision.accuracy_ci, seen.change) == (None, None, None)
    assert way([]).calls is None


def test_a_way_is_best_where_no_other_is_as_cheap_and_as_right() -> None:
    def made(calls: int, right: int) -> list[Solved]:
        return [solved(correct=number < right, before=None, calls=calls) for number in range(10)]

    seen = found(cheap=made(1, 5), dear=made(9, 7), wasteful=made(9, 5), best=made(3, 7))
    assert [each.name for each in seen.ways if each.frontier] == ["cheap", "best"]
    assert not found(only=made(1, 5)).ways[0].frontier


def test_nothing_is_compared_where_first_answers_are_all_there_are() -> None:
    once = Solved("answer", correct=True, before=True, again=False)
    assert way([once, once]).change is None
    talked = way([once, solved(correct=True, before=False)]).change
    assert talked is not None
    assert (talked.test.n, talked.rescued) == (2, 1)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["5", "5", "4"], "5"),
        (["5", "4"], None),
        (["5", None, None], "5"),
        ([None], None),
        ([], None),
        (["5", "4", "4", "5", "1"], None),
    ],
)
def test_the_most_frequent_answer_is_one_or_none(keys: list[str | None], expected: str | None) -> None:
    assert most_frequent(keys) == expected


ITEMS = st.lists(
    st.tuples(st.none() | st.booleans(), st.booleans(), st.sampled_from(MARKS), st.sampled_from(MARKS)), max_size=40
)


@given(items=ITEMS)
def test_counts_add_up_whatever_was_answered(items: list[tuple[bool | None, bool, Mark, Mark]]) -> None:
    seen = way(
        [
            solved(correct=correct, before=None if correct is None else before, one=(first, last))
            if correct is not None
            else solved(correct=None, before=None)
            for correct, before, first, last in items
        ]
    )
    known = [each for each in items if each[0] is not None]
    assert seen.decision.n == len(known) == seen.items - seen.unknown
    assert seen.decision.correct == sum(bool(each[0]) for each in known)
    if seen.change is None:
        assert not known
        return
    assert seen.change.after.correct - seen.change.before.correct == seen.change.rescued - seen.change.lost
    assert seen.change.after == seen.decision
    assert 0 <= seen.change.test.p <= 1
    agent = seen.agents["one"]
    assert agent.first.correct == sum(each[2] == "right" for each in known)
    assert agent.last_unread == sum(each[3] == "unread" for each in known)

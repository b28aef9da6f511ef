"""Which draft is picked: who was asked to compare what, and what came of it."""

import itertools
from pathlib import Path

import pytest
import yaml
from drafting import APART, ONCE, REVISED, Cast, both, facts, picked, planned, staged, written
from hypothesis import given
from hypothesis import strategies as st
from playing import beside, fellowship, results

from fellowship.protocols.comparing import MatchDecided
from fellowship.protocols.pairing import Preference
from fellowship.protocols.selection import AS_PUBLISHED, PICKS, Pick, standings
from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.scenarios import load, plan
from fellowship.scenarios.loading import validate
from fellowship.scenarios.reproduction.faults import INVERTED, Faults
from fellowship.scenarios.reproduction.generation import FIRST, SECOND, THIRD, Knockout
from fellowship.scenarios.source import Source

THREE = (ONCE, REVISED, REVISED)


# knock-out


async def test_in_a_knock_out_each_draft_meets_the_best_so_far_in_both_orders(tmp_path: Path) -> None:
    cast = Cast({"writer 1": 6, "writer 2": 4, "writer 3": 8})
    await staged(written(*THREE, "- {pick: knock-out, by: judge}"), cast, tmp_path / "run")
    assert cast.of("judge") == [*both("writer 1", "writer 2"), *both("writer 1", "writer 3")]
    assert picked(tmp_path / "run") == ["writer/3"]
    assert results(tmp_path / "run")[0]["text"] == "writer 3"


async def test_in_a_knock_out_the_best_so_far_stays_where_neither_is_better_or_nothing_can_be_read(
    tmp_path: Path,
) -> None:
    cast = Cast({"writer 1": 6, "writer 2": 6}, duels={("writer 1", "writer 3"): "?", ("writer 3", "writer 1"): "?"})
    await staged(written(*THREE, "- {pick: knock-out, by: judge}"), cast, tmp_path / "run")
    assert picked(tmp_path / "run") == ["writer/1"]
    decided = [one for one in facts(tmp_path / "run", "match_decided") if isinstance(one, MatchDecided)]
    assert [(one.first, one.second, one.verdict, one.votes, one.unread) for one in decided] == [
        ("writer/1", "writer/2", "tie", 1, 0),
        ("writer/1", "writer/3", "unread", 0, 1),
    ]


async def test_a_judge_that_always_prefers_the_first_one_shown_moves_nothing(tmp_path: Path) -> None:
    pairs = itertools.permutations(("writer 1", "writer 2", "writer 3"), 2)
    cast = Cast(duels=dict.fromkeys(pairs, (9, 2)))
    await staged(written(*THREE, "- {pick: knock-out, by: judge}"), cast, tmp_path / "run")
    assert picked(tmp_path / "run") == ["writer/1"]
    assert len(cast.of("judge")) == 4


@pytest.mark.parametrize(
    ("orders", "shown"), [("ab", ["judge: writer 1 | writer 2"]), ("ba", ["judge: writer 2 | writer 1"])]
)
async def test_one_order_is_had_by_asking_for_it(orders: str, shown: list[str], tmp_path: Path) -> None:
    cast = Cast({"writer 2": 9})
    await staged(written(ONCE, REVISED, f"- {{pick: knock-out, by: judge, orders: {orders}}}"), cast, tmp_path / "run")
    assert cast.of("judge") == shown
    assert picked(tmp_path / "run") == ["writer/2"]


async def test_identical_drafts_are_not_asked_about(tmp_path: Path) -> None:
    cast = Cast({"same": 3, "better": 8}, texts={"writer": ["same", " same\n", "better"]})
    await staged(written(*THREE, "- {pick: knock-out, by: judge}"), cast, tmp_path / "run")
    assert cast.of("judge") == both("same", "better")
    assert picked(tmp_path / "run") == ["writer/3"]
    decided = [one for one in facts(tmp_path / "run", "match_decided") if isinstance(one, MatchDecided)]
    assert [(one.rule, one.verdict, one.votes) for one in decided] == [("identical", "tie", 0), ("unique-mode", "b", 1)]


async def test_of_a_single_draft_nobody_is_asked(tmp_path: Path) -> None:
    cast = Cast()
    await staged(written(ONCE, "- {pick: round-robin, by: judge}"), cast, tmp_path / "run")
    assert (cast.asked, picked(tmp_path / "run")) == (["writer"], ["writer/1"])


async def test_only_drafts_of_those_who_are_named_are_picked_from(tmp_path: Path) -> None:
    cast = Cast({"single 1": 10, "writer 1": 2, "writer 2": 3})
    asking = "- {ask: [writer, single], for: draft}"
    await staged(written(asking, REVISED, "- {pick: knock-out, by: judge, among: writer}"), cast, tmp_path / "run")
    assert cast.of("judge") == both("writer 1", "writer 2")
    assert picked(tmp_path / "run") == ["writer/2"]


# round-robin, best


async def test_in_a_round_robin_each_meets_each_and_points_decide_then_leads(tmp_path: Path) -> None:
    cast = Cast(duels={
        ("writer 1", "writer 2"): (6, 5), ("writer 2", "writer 1"): (5, 6),
        ("writer 2", "writer 3"): (9, 2), ("writer 3", "writer 2"): (2, 9),
        ("writer 1", "writer 3"): (4, 5), ("writer 3", "writer 1"): (5, 4),
    })  # fmt: skip
    await staged(written(*THREE, "- {pick: round-robin, by: judge}"), cast, tmp_path / "run")
    assert cast.of("judge") == [
        *both("writer 1", "writer 2"),
        *both("writer 1", "writer 3"),
        *both("writer 2", "writer 3"),
    ]
    assert picked(tmp_path / "run") == ["writer/2"]  # a win each; leads +6, 0 and -6


async def test_the_best_by_reviewers_is_the_one_with_the_highest_mean_score_of_its_own_feedback(tmp_path: Path) -> None:
    both_review = "- {ask: [reviewer, other], for: feedback, hears: writer}"
    cast = Cast(reviews={"reviewer": (6, 9, 5), "other": (8, 3, 8)})
    last = "- {ask: writer, for: draft, hears: [reviewer, other]}"
    flow = (ONCE, both_review, last, both_review, last, both_review, "- {pick: best}")
    await staged(written(*flow), cast, tmp_path / "run")
    assert picked(tmp_path / "run") == ["writer/1"]  # 7, 6, 6.5


async def test_of_the_best_equal_ones_the_first_is_picked_and_what_has_no_score_does_not_count(tmp_path: Path) -> None:
    cast = Cast(reviews={"reviewer": (7, 7)})
    await staged(written(*THREE, "- {pick: best}"), cast, tmp_path / "run")
    assert picked(tmp_path / "run") == ["writer/1"]


async def test_the_best_by_judges_alone_is_each_draft_shown_by_itself_once(tmp_path: Path) -> None:
    cast = Cast({"writer 1": 3, "writer 2": 8, "writer 3": 5}, by={"second": {"writer 2": 1, "writer 3": 5}})
    await staged(written(*THREE, "- {pick: best, by: [judge, second]}"), cast, tmp_path / "run")
    assert sorted(cast.of("judge", "second")) == sorted(
        f"{who}: writer {n}" for who in ("judge", "second") for n in (1, 2, 3)
    )
    assert picked(tmp_path / "run") == ["writer/3"]


# juries


async def test_a_jury_decides_each_match_by_its_rule(tmp_path: Path) -> None:
    by = {"judge": {"writer 1": 6}, "second": {"writer 1": 6}, "third": {"writer 1": 1, "writer 2": 10}}
    for rule, expected in (("unique-mode", "writer/1"), ("majority", "writer/1"), ("mean-score", "writer/2")):
        cast, out = Cast(by=by), tmp_path / rule
        step = f"- {{pick: knock-out, by: [judge, second, third], rule: {rule}}}"
        await staged(written(ONCE, REVISED, step), cast, out)
        assert picked(out) == [expected]
        assert sorted(cast.of("judge", "second", "third")) == sorted(
            line for who in by for line in both("writer 1", "writer 2", who)
        )
        (decided,) = facts(out, "match_decided")
        assert isinstance(decided, MatchDecided)
        assert (decided.rule, decided.votes, decided.unread) == (rule, 3, 0)


# in loops


async def test_a_pick_within_a_loop_is_what_is_revised_and_reviewed_next(tmp_path: Path) -> None:
    cast = Cast({"writer 1": 7, "writer 2": 3, "writer 3": 8, "writer 4": 1})
    loop = """\
- repeat: 3
  do:
    - {ask: reviewer, for: feedback, hears: writer}
    - {ask: writer, for: draft, hears: reviewer}
    - {pick: knock-out, by: judge}"""
    await staged(written(ONCE, loop, "- {pick: knock-out, by: judge}"), cast, tmp_path / "run")
    assert cast.of("writer", "reviewer") == [
        "writer",
        "reviewer on writer 1",
        "writer after writer 1 by reviewer",
        "reviewer on writer 1",
        "writer after writer 1 by reviewer",
        "reviewer on writer 3",
        "writer after writer 3 by reviewer",
    ]
    assert picked(tmp_path / "run") == ["writer/1", "writer/3", "writer/3", "writer/3"]
    assert len(set(cast.of("judge"))) == len(cast.of("judge"))  # nothing is asked twice


async def test_a_writer_revises_apart_for_each_feedback_and_each_time_knows_that_one_alone(tmp_path: Path) -> None:
    cast = Cast()
    await staged(written(ONCE, APART, "- {pick: last}"), cast, tmp_path / "run")
    assert cast.of("writer") == ["writer", "writer after writer 1 by reviewer", "writer after writer 1 by other"]
    first, second = (call for call in cast.calls[3:] if call.settings.model == "acme/writer")
    whole = ["\n".join(message.content for message in call.messages) for call in (first, second)]
    assert ["reviewer says 1" in text for text in whole] == [True, False]
    assert ["other says 1" in text for text in whole] == [False, True]
    assert "writer 2" not in whole[1]


async def test_without_apart_a_writer_revises_once_by_all_feedback(tmp_path: Path) -> None:
    cast = Cast()
    await staged(written(ONCE, APART.replace(", apart: true", ""), "- {pick: last}"), cast, tmp_path / "run")
    assert cast.of("writer") == ["writer", "writer after writer 1 by reviewer and other"]


@pytest.mark.parametrize(
    ("until", "scores", "drafts"),
    [
        ("without-gain >= 2", (5, 4, 5, 9), 3),
        ("without-gain >= 2", (5, 4, 6, 6, 5), 5),
        ("[score >= 9, without-gain >= 2]", (5, 9, 1), 2),
        ("[score >= 9, without-gain >= 2]", (5, 5, 5), 3),
        ("[unchanged, without-gain >= 9]", (5, 6, 7, 8, 9, 10), 6),
    ],
)
async def test_a_loop_ends_with_the_first_of_its_conditions_that_holds(
    until: str, scores: tuple[float, ...], drafts: int, tmp_path: Path
) -> None:
    cast = Cast(reviews={"reviewer": scores})
    loop = f"""\
- repeat: 6
  until: {until}
  do:
    - {{ask: writer, for: draft, hears: reviewer}}
    - {{ask: reviewer, for: feedback, hears: writer}}"""
    await staged(written(loop, "- {pick: best}"), cast, tmp_path / "run")
    assert len(cast.of("writer")) == drafts
    assert picked(tmp_path / "run") == [f"writer/{1 + scores.index(max(scores[:drafts]))}"]


# as published

SCORES = {"a": (7.0, 4.0), "b": (4.0, 7.0), "tie": (5.0, 5.0)}


def walked(pick: Pick, outcomes: dict[frozenset[str], tuple[str, float]]) -> str:
    """Return what a rule picks of three where each match ends as given, and scores are of the drafts by name."""
    rule = pick.rule(["w/1", "w/2", "w/3"], {})
    try:
        match = next(rule)
        while True:
            better, _ = outcomes[frozenset(match)]
            verdict = "tie" if better == "tie" else "a" if better == match[0] else "b"
            match = rule.send(Preference(first=match[0], second=match[1], verdict=verdict))  # type: ignore[arg-type]
    except StopIteration as end:
        return str(end.value)


def recorded(outcomes: dict[frozenset[str], tuple[str, float]], faults: Faults) -> str:
    """Return what the recorded rules pick: 1 (A) with 2, then 3 (A) with the one that is left, of a tie the second."""
    names = {FIRST: "w/1", SECOND: "w/2", THIRD: "w/3"}

    def scores(one: str, other: str) -> tuple[float, float]:
        better = outcomes[frozenset({one, other})][0]
        return SCORES["tie" if better == "tie" else "a" if better == one else "b"]

    first = scores("w/1", "w/2")
    left = "w/1" if first[0] > first[1] else "w/2"
    steps = Knockout(first, scores("w/3", left), "")
    return names[steps.response(steps.label(faults))]


OUTCOMES = [
    {
        frozenset(pair): (ends, 0.0)
        for pair, ends in zip((("w/1", "w/2"), ("w/1", "w/3"), ("w/2", "w/3")), each, strict=True)
    }
    for each in itertools.product(("w/1", "w/2", "tie"), ("w/1", "w/3", "tie"), ("w/2", "w/3", "tie"))
]


@pytest.mark.parametrize("outcomes", OUTCOMES, ids=lambda each: "-".join(ends for ends, _ in each.values()))
def test_as_published_a_knock_out_of_three_picks_what_the_recorded_rule_picks(
    outcomes: dict[frozenset[str], tuple[str, float]],
) -> None:
    assert walked(AS_PUBLISHED, outcomes) == recorded(outcomes, frozenset({INVERTED}))


def test_there_are_27_ways_in_which_three_matches_can_end_and_the_rules_differ_in_most() -> None:
    differing = [each for each in OUTCOMES if walked(AS_PUBLISHED, each) != walked(PICKS["knock-out"], each)]
    assert (len(OUTCOMES), len(differing)) == (27, 24)


async def test_as_published_each_match_is_seen_once_and_the_third_draft_stands_first(tmp_path: Path) -> None:
    cast = Cast({"writer 1": 7, "writer 2": 4, "writer 3": 9})
    await staged(written(*THREE, "- {pick: knock-out, by: judge, as_published: true}"), cast, tmp_path / "run")
    assert cast.of("judge") == ["judge: writer 1 | writer 2", "judge: writer 3 | writer 1"]
    assert picked(tmp_path / "run") == ["writer/1"]


def test_run_as_published_sets_it_in_every_knock_out_wherever_it_stands() -> None:
    def flow(*changes: str, as_published: bool) -> list[tuple[str, str, int]]:
        scenario, source = load("preference-pairs", changes=changes, as_published=as_published)
        made = plan(scenario, source=source)  # type: ignore[arg-type]
        steps = [made.flow[2], *made.flow[1].steps]  # type: ignore[union-attr]
        return [(step.name, step.jury.judging.orders) for step in steps if hasattr(step, "pick")]  # type: ignore[misc, union-attr]

    assert flow("follow=best", as_published=True) == [("knock-out as published", "ab")] * 2
    assert flow("follow=best", as_published=False) == [("knock-out", "both")] * 2


def test_run_as_published_is_noted_and_belongs_to_the_command_that_goes_on(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"id": "1", "prompt": "Why?"}\n')
    with beside(LoopbackEndpoint()) as endpoint:
        words = ("run", "feedback-loop", "--data", tmp_path / "d.jsonl", "--out", tmp_path / "run", "--model", "acme/m")
        words = (*words, "--set", "pick=knock-out", "--base-url", endpoint.base_url, "--no-cache")
        assert fellowship(*words, "--as-published").exit_code == 0
        assert len(endpoint.ledger) == 5  # all drafts are the same, and nobody is asked about those
        assert fellowship(*words, "--as-published").exit_code == 0
        changed = fellowship(*words)
    assert (changed.exit_code, "as_published" in changed.stderr) == (2, True)
    assert yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())["scenario"]["flow"][-1] == {
        "by": ["judge"],
        "pick": "knock-out",
        "as_published": True,
    }


def test_run_as_published_is_refused_where_there_is_no_knock_out(tmp_path: Path) -> None:
    data = tmp_path / "d.jsonl"
    data.write_text('{"id": "1", "prompt": "Why?"}\n')
    words = ("run", "feedback-loop", "--data", data, "--out", tmp_path / "run", "--as-published")
    refused = fellowship(*words)
    assert refused.exit_code == 2
    assert refused.stderr == (
        "fellowship: --as-published: no step of feedback-loop picks by knock-out: --set pick=knock-out first\n"
    )
    for name, said in (("judge", "it is for pick: knock-out"), ("evaluation", "evaluation is a sweep")):
        refused = fellowship("run", name, "--data", data, "--out", tmp_path / "run", "--as-published")
        assert (refused.exit_code, said in refused.stderr) == (2, True)


# the rules themselves

VERDICTS = st.sampled_from(("a", "b", "tie", "unread"))


@given(st.lists(VERDICTS, min_size=10, max_size=10), st.integers(1, 5), st.sampled_from(["knock-out", "round-robin"]))
def test_whatever_judges_say_a_draft_is_picked_and_no_two_meet_twice(
    verdicts: list[str], count: int, name: str
) -> None:
    drafts, met, said = [f"w/{number}" for number in range(count)], list[frozenset[str]](), iter(verdicts)
    for pick in (PICKS[name], AS_PUBLISHED):
        met.clear()
        said = iter(verdicts)
        rule = pick.rule(drafts, {})
        try:
            match = next(rule)
            while True:
                met.append(frozenset(match))
                match = rule.send(Preference(first=match[0], second=match[1], verdict=next(said)))  # type: ignore[arg-type]
        except StopIteration as end:
            assert end.value in drafts
        assert len(set(met)) == len(met)
        assert all(len(pair) == 2 for pair in met)


@given(st.lists(st.tuples(VERDICTS, st.integers(0, 10), st.integers(0, 10)), min_size=3, max_size=3))
def test_standings_are_the_same_whichever_draft_is_called_first(matches: list[tuple[str, int, int]]) -> None:
    drafts = ["w/1", "w/2", "w/3"]
    told = [
        Preference(first=one, second=other, verdict=verdict, score_first=a, score_second=b)  # type: ignore[arg-type]
        for (one, other), (verdict, a, b) in zip(itertools.combinations(drafts, 2), matches, strict=True)
    ]
    mirrored = [
        Preference(
            first=each.second,
            second=each.first,
            verdict={"a": "b", "b": "a"}.get(each.verdict, each.verdict),  # type: ignore[arg-type]
            score_first=each.score_second,
            score_second=each.score_first,
        )
        for each in told
    ]
    assert standings(drafts, told) == standings(drafts, mirrored)
    assert sorted(standings(drafts, told)) == drafts


def test_a_pick_needs_someone_to_judge_where_matches_decide() -> None:
    with pytest.raises(Exception, match="knock-out is decided by judges: say `by`"):
        planned(written(ONCE, "- {pick: knock-out}"))


@pytest.mark.parametrize("orders", ["ab", "ba", "both", "random"])
def test_orders_that_were_set_are_those_of_matches_when_a_run_is_read_back(orders: str) -> None:
    scenario, source = load("feedback-loop", changes=["pick=knock-out", f"judging.orders={orders}"])
    made = plan(scenario, source=source)  # type: ignore[arg-type]
    again = plan(validate(Source("noted", made.record()["scenario"])))  # type: ignore[arg-type]
    assert [step.jury.judging.orders for step in (made.flow[-1], again.flow[-1])] == [orders, orders]  # type: ignore[union-attr]

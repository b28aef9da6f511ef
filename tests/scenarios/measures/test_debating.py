"""What debates come to, of records whose figures are known by hand or by other libraries."""

import math
from collections.abc import Mapping, Sequence
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fellowship.scenarios.measures.clustered import clustered
from fellowship.scenarios.measures.debating import Debates, Debating, debating
from fellowship.scenarios.measures.exact import wilson
from fellowship.scenarios.measures.opinions import Debate, Opinion, Sort, majority, plurality
from fellowship.scenarios.measures.swaying import Moved, Swayed

VERDICTS = ("a", "b", "tie")
UNREAD = "-"


def debate(
    *waves: Mapping[str, str],
    item: str = "i",
    truth: str | None = None,
    sort: Sort = "ballot",
    hears: Mapping[str, Sequence[str]] | None = None,
    variant: str = "",
    said: tuple[tuple[str, ...], ...] = (),
) -> Debate:
    """Return a debate of which each wave says who holds what; `-` is unread.

    From the second wave on everybody has newly heard those in `hears`, by default all others.
    """
    stood: dict[str, str | None] = {}
    found: list[tuple[Opinion, ...]] = []
    for number, wave in enumerate(waves):
        held = {agent: None if verdict == UNREAD else verdict for agent, verdict in wave.items()}
        opinions: list[Opinion] = []
        for agent, verdict in held.items():
            others = [name for name in stood if name != agent] if hears is None else hears.get(agent, ())
            heard = {name: stood.get(name) for name in others} if number else {}
            opinions.append(Opinion(agent, verdict, heard))
        stood |= held
        found.append(tuple(opinions))
    ballot = sort == "ballot"
    return Debate(
        item=item,
        number=int(item) if item.isdigit() else int.from_bytes(item.encode()[:6]),
        variant=variant,
        sort=sort,
        waves=tuple(found),
        truth=truth,
        possible=3 if ballot else None,
        values=VERDICTS if ballot else (),
        said=said,
    )


def one(debates: Sequence[Debate]) -> Debating:
    found = debating(debates)
    assert found is not None
    assert len(found.ways) == 1
    return found.ways[0]


def sway(debates: Sequence[Debate]) -> Swayed:
    found = one(debates).swayed
    assert found is not None
    return found


def moved(found: Swayed, speaker: str, listener: str) -> Moved:
    return next(each for each in found.moved if (each.speaker, each.listener) == (speaker, listener))


SMALL = [
    debate({"x": "a", "y": "a", "z": "b"}, {"x": "a", "y": "a", "z": "a"}, item="one", truth="b"),
    debate({"x": "a", "y": "b", "z": "b"}, {"x": "b", "y": "b", "z": "tie"}, item="two", truth="b"),
    debate({"x": "a", "y": "b", "z": "tie"}, {"x": "a", "y": "a", "z": UNREAD}, item="three", truth="a"),
]
"""Three items, three agents, two waves."""


def test_opinions_that_differ_from_the_wave_before_are_counted_and_unread_ones_are_told() -> None:
    found = sway(SMALL)
    share = found.changed.share
    assert share is not None
    assert (share.value, share.n, found.changed.unread) == (4 / 8, 8, 1)
    assert found.by_wave[2].share == share
    by_agent = {agent: each.share.value if each.share else None for agent, each in found.by_agent.items()}
    assert by_agent == {"x": 1 / 3, "y": 1 / 3, "z": 1.0}


def test_shares_of_opinions_of_one_item_each_have_wilsons_interval() -> None:
    share = sway(SMALL).by_agent["x"].share
    assert share is not None
    assert share.ci == pytest.approx(wilson(1, 3))
    confint = import_module("statsmodels.stats.proportion").proportion_confint(1, 3, method="wilson")
    assert share.ci == pytest.approx(confint)


def test_who_moved_whom_counts_moves_to_what_the_speaker_held_less_moves_away_from_it() -> None:
    found = sway(SMALL)
    z_by_x = moved(found, "x", "z")
    assert (z_by_x.differed, z_by_x.toward, z_by_x.elsewhere, z_by_x.agreed, z_by_x.away) == (2, 1, 1, 0, 0)
    z_by_y = moved(found, "y", "z")
    assert (z_by_y.differed, z_by_y.toward, z_by_y.agreed, z_by_y.away, z_by_y.net) == (1, 1, 1, 1, 0)
    assert z_by_y.left is not None
    assert (z_by_y.left.value, z_by_y.left.n) == (1.0, 1)
    y_by_x = moved(found, "x", "y")
    assert (y_by_x.differed, y_by_x.toward, y_by_x.agreed, y_by_x.away) == (2, 1, 1, 0)
    x_by_z = moved(found, "z", "x")
    assert (x_by_z.differed, x_by_z.toward) == (3, 1)


def test_nobody_is_moved_by_someone_who_was_not_heard() -> None:
    found = sway([debate({"x": "a", "y": "b"}, {"x": "b", "y": "b"}, hears={"x": ["y"]})])
    assert [(each.speaker, each.listener, each.toward) for each in found.moved] == [("y", "x", 1)]


def test_those_in_the_minority_who_heard_the_majority_capitulate_or_not() -> None:
    conformity = sway(SMALL).conformity
    assert conformity.capitulated is not None
    # one: z gives in to a; two: x gives in to b; three has no majority
    assert (conformity.capitulated.value, conformity.capitulated.n) == (1.0, 2)
    assert conformity.right_to_wrong is not None
    assert (conformity.right_to_wrong.value, conformity.right_to_wrong.n) == (1.0, 1)
    assert conformity.wrong_to_right is not None
    assert (conformity.wrong_to_right.value, conformity.wrong_to_right.n) == (1.0, 1)
    assert conformity.converted is not None
    assert (conformity.converted.value, conformity.converted.n) == (0.0, 4)
    assert conformity.unprompted is None


def test_who_gives_in_without_having_heard_the_majority_is_counted_apart() -> None:
    first, second = {"x": "a", "y": "a", "z": "b"}, {"x": "b", "y": "a", "z": "a"}
    conformity = sway([debate(first, second, hears={"x": ["z"]})]).conformity
    assert conformity.capitulated is None
    assert conformity.unprompted is not None
    assert (conformity.unprompted.value, conformity.unprompted.n) == (1.0, 1)
    assert conformity.converted is not None
    assert (conformity.converted.value, conformity.converted.n) == (1.0, 1)


def test_two_against_two_are_no_majority_and_half_is_no_more_than_half() -> None:
    split = tuple(Opinion(str(number), verdict) for number, verdict in enumerate("aabb"))
    assert majority(split) is None
    assert plurality(split) is None
    most = tuple(Opinion(str(number), verdict) for number, verdict in enumerate(["a", "a", "b", "tie"]))
    assert majority(most) is None
    assert plurality(most) == "a"
    assert majority((Opinion("x", "a"), Opinion("y", None))) is None


def test_diversity_is_the_entropy_of_opinions_and_how_many_there_are() -> None:
    waves = one(SMALL).converged.waves
    assert waves[1].entropy is not None
    of_two_one = float(import_module("scipy.stats").entropy([2, 1])) / math.log(3)
    assert waves[1].entropy.value == pytest.approx((2 * of_two_one + 1) / 3)
    assert waves[1].distinct is not None
    assert waves[1].distinct.value == pytest.approx(7 / 3)
    assert waves[2].unanimous is not None
    assert waves[2].unanimous.value == pytest.approx(2 / 3)
    assert waves[2].unread == 1


def test_answers_without_choices_are_most_diverse_where_all_differ() -> None:
    debates = [
        debate({"x": "1", "y": "2", "z": "3", "w": "4"}, {"x": "1", "y": "1", "z": "1", "w": "1"}, sort="answer")
    ]
    waves = one(debates).converged.waves
    assert waves[1].entropy is not None
    assert waves[2].entropy is not None
    assert (waves[1].entropy.value, waves[2].entropy.value) == pytest.approx((1.0, 0.0))
    assert waves[1].among is None  # the answers to different questions have no values in common


def test_agreement_of_a_wave_is_that_of_krippendorff_and_statsmodels() -> None:
    rng = np.random.default_rng(5)
    votes = rng.choice(list(VERDICTS), size=(30, 3))
    later = {"x": "a", "y": "a", "z": "a"}
    debates = [debate(dict(zip("xyz", map(str, row), strict=True)), later, item=str(n)) for n, row in enumerate(votes)]
    wave = one(debates).converged.waves[1]
    codes = np.searchsorted(VERDICTS, votes)
    assert wave.among is not None
    alpha = import_module("krippendorff").alpha(reliability_data=codes.T, level_of_measurement="nominal")
    assert wave.among.alpha == pytest.approx(float(alpha))
    inter_rater = import_module("statsmodels.stats.inter_rater")
    assert wave.among.fleiss == pytest.approx(inter_rater.fleiss_kappa(inter_rater.aggregate_raters(codes)[0]))
    accuracy = import_module("sklearn.metrics").accuracy_score
    pairs = [accuracy(codes[:, one_], codes[:, other]) for one_, other in ((0, 1), (0, 2), (1, 2))]
    assert wave.agreement is not None
    assert wave.agreement.value == pytest.approx(np.mean(pairs))


def test_a_mean_over_items_has_the_interval_of_scipys_bootstrap_and_a_wide_one_where_all_are_alike() -> None:
    values = np.random.default_rng(1).uniform(size=60)
    found = clustered(values, np.arange(60))
    assert found is not None
    assert found.ci is not None
    theirs = import_module("scipy.stats").bootstrap(
        (values,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(2)
    )
    assert found.ci == pytest.approx(tuple(theirs.confidence_interval), abs=0.01)
    alike = clustered(np.full(20, 1.0), np.arange(20))
    assert alike is not None
    assert alike.ci == pytest.approx(wilson(20, 20))
    assert clustered(np.array([]), np.array([], dtype=np.int64)) is None


def test_before_and_after_are_held_against_each_other_by_mcnemars_exact_test() -> None:
    right, wrong = {"x": "a", "y": "a"}, {"x": "b", "y": "b"}
    cells = [(right, right)] * 5 + [(wrong, right)] * 9 + [(right, wrong)] * 2 + [(wrong, wrong)] * 4
    debates = [debate(first, last, item=str(n), truth="a") for n, (first, last) in enumerate(cells)]
    found = one(debates).recovered
    assert found is not None
    whole = found.plurality
    assert (whole.n, whole.both, whole.rescued, whole.lost, whole.neither) == (20, 5, 9, 2, 4)
    assert whole.before is not None
    assert whole.after is not None
    assert (whole.before.value, whole.after.value, whole.difference) == pytest.approx((7 / 20, 14 / 20, 7 / 20))
    assert whole.p == whole.p_holm == pytest.approx(import_module("scipy.stats").binomtest(2, 11).pvalue)
    assert found.rescued == tuple(str(n) for n in range(5, 14))
    assert found.lost == ("14", "15")
    assert found.agents["x"].rescued == 9
    assert found.agents["x"].p_holm == pytest.approx(min(1.0, 2 * (whole.p or 0)))


def test_a_split_of_ballots_is_a_tie_and_a_split_of_answers_is_not_right() -> None:
    split, later = {"x": "a", "y": "b"}, {"x": "a", "y": "a"}
    ballots = one([debate(split, later, truth="tie")]).recovered
    answers = one([debate(split, later, truth="a", sort="answer")]).recovered
    assert ballots is not None
    assert answers is not None
    assert (ballots.plurality.lost, ballots.plurality.rescued) == (1, 0)
    assert (answers.plurality.lost, answers.plurality.rescued) == (0, 1)


def test_a_wave_in_which_nothing_could_be_read_is_not_right_even_where_the_truth_is_a_tie() -> None:
    found = one([debate({"x": UNREAD, "y": UNREAD}, {"x": "tie", "y": "tie"}, truth="tie")]).recovered
    assert found is not None
    assert (found.plurality.rescued, found.agents) == (1, {})


def test_consensus_is_the_first_wave_in_which_all_hold_the_same() -> None:
    split, same, other = {"x": "a", "y": "b"}, {"x": "a", "y": "a"}, {"x": "b", "y": "b"}
    debates = [
        debate(split, split, same, item="late"),
        debate(same, split, split, item="given up"),
        debate(split, split, split, item="never"),
        debate(split, other, other, item="second"),
    ]
    found = one(debates).converged.consensus
    assert found.reached == {1: 1, 2: 1, 3: 1}
    assert found.never is not None
    assert found.never.value == 1 / 4
    assert found.waves is not None
    assert found.waves.value == pytest.approx(2)
    assert found.broken is not None
    assert (found.broken.value, found.broken.n) == (1 / 2, 2)


def test_words_of_a_round_are_as_far_apart_as_their_runs_of_five_words() -> None:
    one_text, other = "one two three four five six", "one two three four five seven"
    said = ((one_text, other), ("Same here", "same  HERE"), ("alone",))
    wording = one([debate({"x": "a", "y": "a"}, {"x": "a", "y": "a"}, said=said)]).converged.wording
    distances = [each.distance.value if each.distance else None for each in wording.values()]
    assert distances == [pytest.approx(2 / 3), 0.0, None]
    assert [each.texts for each in wording.values()] == [2, 2, 1]


def test_a_debate_with_one_wave_says_that_there_is_nothing_to_compare_and_what_to_do() -> None:
    heard = tuple(Opinion(name, "a", {"z": None}) for name in "xy")
    found = one([Debate("i", 0, "", "ballot", (heard,), truth="a", possible=3, values=VERDICTS)])
    assert found.swayed is None
    assert found.why is not None
    assert "inside the `repeat`" in found.why
    assert found.converged.waves[1].agreement is not None
    assert found.recovered is not None
    assert found.recovered.plurality.n == 0


def test_votes_of_people_who_heard_nobody_are_no_debate() -> None:
    assert debating([debate({"x": "a", "y": "b"})]) is None
    assert debating([]) is None


def test_ways_of_a_sweep_stand_apart_and_their_tests_are_adjusted_for_one_another() -> None:
    right, wrong = {"x": "a", "y": "a"}, {"x": "b", "y": "b"}
    debates = [
        debate(wrong, right, item=str(n), truth="a", variant=variant) for variant in ("one", "two") for n in range(8)
    ]
    found = debating(debates)
    assert found is not None
    assert [way.variant for way in found.ways] == ["one", "two"]
    for way in found.ways:
        assert way.recovered is not None
        assert way.recovered.plurality.p == pytest.approx(2 / 2**8)
        assert way.recovered.plurality.p_holm == pytest.approx(4 / 2**8)


def test_a_swing_of_scores_is_told_where_verdicts_stay() -> None:
    waves = tuple(
        (Opinion("x", "a", {"y": "b"}, scores=scores, confidence=sure),)
        for scores, sure in (((8, 2), 0.5), ((6, 5), 1))
    )
    found = one([Debate("i", 0, "", "ballot", waves, possible=3, values=VERDICTS)])
    assert found.swayed is not None
    changed = found.swayed.changed
    assert changed.share is not None
    assert changed.swing is not None
    assert (changed.share.value, changed.swing.value) == (0.0, 5.0)
    assert found.converged.waves[2].confidence is not None
    assert found.converged.waves[2].confidence.value == 1.0


AGENTS = ("x", "y", "z")
opinions = st.fixed_dictionaries({agent: st.sampled_from([*VERDICTS, UNREAD]) for agent in AGENTS})
hearing = st.fixed_dictionaries(
    {agent: st.lists(st.sampled_from([other for other in AGENTS if other != agent]), unique=True) for agent in AGENTS}
)


@st.composite
def talks(draw: st.DrawFn) -> list[Debate]:
    found: list[Debate] = []
    for number in range(draw(st.integers(1, 4))):
        waves = draw(st.lists(opinions, min_size=2, max_size=3))
        truth = draw(st.sampled_from([None, *VERDICTS]))
        found.append(debate(*waves, item=str(number), truth=truth, hears=draw(hearing)))
    return found


def shares_in(part: object) -> list[dict[str, float | list[float] | None]]:
    """Return every figure of a document that has an interval."""
    if isinstance(part, dict):
        own = [part] if {"value", "ci", "n"} <= set(part) else []
        return own + [each for inner in part.values() for each in shares_in(inner)]
    return [each for inner in part for each in shares_in(inner)] if isinstance(part, (list, tuple)) else []


@settings(max_examples=40, deadline=None)
@given(talks())
def test_every_figure_lies_in_its_bounds_and_in_its_interval(debates: list[Debate]) -> None:
    found = debating(debates)
    if found is None:
        return
    for each in shares_in(found.model_dump(mode="json")):
        value, bounds, n = each["value"], each["ci"], each["n"]
        assert isinstance(value, float)
        assert isinstance(bounds, list)
        assert bounds[0] - 1e-9 <= value <= bounds[1] + 1e-9
        assert 0 <= bounds[0] <= bounds[1] <= 4
        assert n


@settings(max_examples=40, deadline=None)
@given(talks())
def test_what_a_pair_comes_to_sums_to_the_listeners_changes_after_hearing(debates: list[Debate]) -> None:
    found = debating(debates)
    if found is None or found.ways[0].swayed is None:
        return
    swayed = found.ways[0].swayed
    for pair in swayed.moved:
        assert pair.differed + pair.agreed == pair.heard
        assert pair.toward + pair.elsewhere <= pair.differed
        assert pair.net == pair.toward - pair.away
        changed = swayed.by_agent[pair.listener].share
        assert changed is not None
        assert pair.changes <= round(changed.value * changed.n)
    expected = 0
    for each in debates:
        for wave, later in zip(each.waves, each.waves[1:], strict=False):
            held = {opinion.agent: opinion.verdict for opinion in wave if opinion.verdict is not None}
            readable = [said for said in later if said.verdict is not None]
            moves = [said for said in readable if held.get(said.agent, said.verdict) != said.verdict]
            expected += sum(stood is not None for said in moves for stood in said.heard.values())
    assert sum(pair.changes for pair in swayed.moved) == expected


def renamed(found: Debates, names: Mapping[str, str]) -> dict[tuple[str, str], tuple[int, ...]]:
    swayed = found.ways[0].swayed
    assert swayed is not None
    return {
        (names[each.speaker], names[each.listener]): (
            each.differed,
            each.toward,
            each.elsewhere,
            each.agreed,
            each.away,
        )
        for each in swayed.moved
    }


@settings(max_examples=25, deadline=None)
@given(talks(), st.permutations(AGENTS))
def test_other_names_for_agents_permute_who_moved_whom_and_change_nothing_else(
    debates: list[Debate], order: Sequence[str]
) -> None:
    names = dict(zip(AGENTS, order, strict=True))
    others = [
        Debate(
            item=each.item,
            number=each.number,
            variant="",
            sort="ballot",
            waves=tuple(
                tuple(
                    Opinion(names[said.agent], said.verdict, {names[who]: held for who, held in said.heard.items()})
                    for said in wave
                )
                for wave in each.waves
            ),
            truth=each.truth,
            possible=3,
            values=VERDICTS,
        )
        for each in debates
    ]
    found, again = debating(debates), debating(others)
    assert (found is None) == (again is None)
    if found is None or again is None:
        return
    assert renamed(found, names) == renamed(again, {name: name for name in AGENTS})
    assert found.ways[0].converged == again.ways[0].converged
    mine, theirs = found.ways[0].swayed, again.ways[0].swayed
    assert mine is not None
    assert theirs is not None
    assert mine.conformity == theirs.conformity
    assert mine.changed == theirs.changed


def test_figures_are_the_same_in_whatever_order_items_came_to_their_end() -> None:
    rng = np.random.default_rng(8)
    debates = [
        debate(
            *({agent: str(rng.choice(list(VERDICTS))) for agent in "xyz"} for _ in range(3)),
            item=str(number),
            truth=str(rng.choice(list(VERDICTS))),
            variant=f"way {number % 2}",
        )
        for number in range(24)
    ]
    found, again = debating(debates), debating(debates[::-1])
    assert found is not None
    assert found == again
    assert [way.variant for way in found.ways] == ["way 0", "way 1"]

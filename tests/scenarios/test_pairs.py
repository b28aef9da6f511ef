"""Which candidates become preference pairs, which do not and why, and what judges were asked for it."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from drafting import APART, ONCE, REVISED, Cast, both, facts, pairs, planned, staged, written
from hypothesis import given
from hypothesis import strategies as st
from playing import fellowship, results

from fellowship.protocols.aggregation import RULES
from fellowship.protocols.comparing import DraftsCompared, DraftScored
from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.generation import DraftWritten
from fellowship.protocols.judging import Judging, verdict_of
from fellowship.protocols.material import Material, Selection, identical
from fellowship.protocols.messages import Fact
from fellowship.protocols.pairing import Filters, PairCandidate, PairsMade, Preference, why_not
from fellowship.runtime.log import LogReader
from fellowship.scenarios import load, plan
from fellowship.scenarios.preferences.fold import candidates

THREE = (ONCE, REVISED, REVISED)
WORTH = {"writer 1": 4, "writer 2": 9, "writer 3": 6, "single 1": 7}
Row = tuple[str, str | None, str | None, str | None]


def generation(options: str = "") -> str:
    return f"- {{pair: generation, by: judge{options and f', {options}'}}}"


def workflow(options: str = "") -> str:
    return f"- {{pair: workflow, by: judge{options and f', {options}'}}}"


async def made(tmp_path: Path, cast: Cast, *steps: str) -> list[Row]:
    """Play steps and return all candidates."""
    await staged(written(*steps, gives="pairs"), cast, tmp_path / "run")
    return pairs(tmp_path / "run")


def kept(rows: Sequence[Row]) -> list[tuple[str, str | None]]:
    """Return better and worse of each pair; of one alone, itself in its place."""
    return [(one, other) if verdict == "a" else (other or "", one) for one, other, verdict, why in rows if why is None]


# answers


async def test_the_best_answer_is_set_against_every_other(tmp_path: Path) -> None:
    cast = Cast(WORTH)
    asking = "- {ask: [writer, single], for: draft}"
    rows = await made(tmp_path, cast, asking, REVISED, REVISED, "- {pick: knock-out, by: judge}", generation())
    assert kept(rows) == [("writer/2", "writer/1"), ("writer/2", "single/1"), ("writer/2", "writer/3")]
    assert cast.of("judge") == [
        *both("writer 1", "single 1"),
        *both("single 1", "writer 2"),
        *both("writer 2", "writer 3"),
        *both("writer 1", "writer 2"),  # all that the knock-out has left open
    ]
    assert results(tmp_path / "run")[0]["text"] == "writer 2"


async def test_without_a_pick_the_best_is_found_by_setting_each_against_each(tmp_path: Path) -> None:
    cast = Cast(WORTH)
    rows = await made(tmp_path, cast, *THREE, generation())
    assert kept(rows) == [("writer/2", "writer/1"), ("writer/2", "writer/3")]
    assert cast.of("judge") == [
        line for two in combinations(("writer 1", "writer 2", "writer 3"), 2) for line in both(*two)
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("select: best-worst", [("writer/2", "writer/1")]),
        ("select: best-all", [("writer/2", "writer/1"), ("writer/2", "writer/3")]),
        ("select: consecutive", [("writer/2", "writer/1"), ("writer/2", "writer/3")]),
        ("select: all", [("writer/2", "writer/1"), ("writer/3", "writer/1"), ("writer/2", "writer/3")]),
        ("versions: [3, 1]", [("writer/3", "writer/1")]),
        ("versions: [1, 2]", [("writer/2", "writer/1")]),
        ("versions: [7, 1]", []),
        ("select: all, margin: 3", [("writer/2", "writer/1"), ("writer/2", "writer/3")]),
        ("select: all, margin: 3.5", [("writer/2", "writer/1")]),
        ("select: all, margin: 6", []),
    ],
)
async def test_which_answers_are_set_against_one_another_is_said(
    options: str, expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    cast = Cast(WORTH)
    rows = await made(tmp_path, cast, *THREE, generation(options))
    assert kept(rows) == expected
    asked = cast.of("judge")
    assert len(set(asked)) == len(asked)
    assert results(tmp_path / "run")[0]["pairs"] == {"generation": len(expected)}


async def test_consecutive_answers_are_of_one_writer(tmp_path: Path) -> None:
    rows = await made(
        tmp_path, Cast(WORTH), "- {ask: [writer, single], for: draft}", REVISED, generation("select: consecutive")
    )
    assert [row[:2] for row in rows] == [("writer/1", "writer/2")]


async def test_answers_of_some_writers_only(tmp_path: Path) -> None:
    cast = Cast(WORTH)
    asking = "- {ask: [writer, single], for: draft}"
    rows = await made(tmp_path, cast, asking, REVISED, generation("among: writer, select: all"))
    assert kept(rows) == [("writer/2", "writer/1")]
    assert not any("single" in line for line in cast.of("judge"))


# what never becomes a pair


async def test_ties_unread_and_identical_answers_are_counted_and_never_become_pairs(tmp_path: Path) -> None:
    cast = Cast(
        {"one": 5, "two": 5, "three": 9},
        texts={"writer": ["one", "two", "three", " one\n"]},
        duels={("two", "three"): "?", ("three", "two"): "?"},
    )
    rows = await made(tmp_path, cast, *THREE, REVISED, generation("select: all"))
    assert {row[:2]: row[3] for row in rows} == {
        ("writer/1", "writer/2"): "tie",
        ("writer/1", "writer/3"): None,
        ("writer/1", "writer/4"): "identical",
        ("writer/2", "writer/3"): "unread",
        ("writer/2", "writer/4"): "tie",
        ("writer/3", "writer/4"): None,
    }
    assert not any(line == "judge: one | one" for line in cast.of("judge"))
    assert results(tmp_path / "run")[0]["pairs"] == {"generation": 2}


async def test_what_two_orders_disagree_on_is_a_tie(tmp_path: Path) -> None:
    cast = Cast(duels={("writer 1", "writer 2"): (8, 3), ("writer 2", "writer 1"): (8, 3)})
    assert await made(tmp_path, cast, ONCE, REVISED, generation()) == [("writer/1", "writer/2", "tie", "tie")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", None),
        ("quorum: 2", None),
        ("quorum: 3", "quorum"),
        ("agreement: 0.5", None),
        ("agreement: 0.51", "agreement"),
        ("margin: 2.5", None),
        ("margin: 2.6", "margin"),
        ("margin: 2.6, quorum: 3, agreement: 1", "margin"),
    ],
)
async def test_margin_quorum_and_agreement_are_of_the_votes_that_could_be_read(
    options: str, expected: str | None, tmp_path: Path
) -> None:
    cast = Cast(by={"judge": {"writer 2": 10}}, silent=("third",))
    step = generation(options).replace("by: judge", "by: [judge, second, third], rule: mean-score")
    rows = await made(tmp_path, cast, ONCE, REVISED, step)
    assert rows == [("writer/1", "writer/2", "b", expected)]  # 5 and 10, 5 and 5, and nothing


async def test_no_margin_can_be_asked_of_judges_who_give_no_scores(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="margin needs scores, and strategy: direct gives none"):
        planned(written(ONCE, REVISED, generation("strategy: direct, margin: 1"), gives="pairs"))


# the loop's own words


async def test_a_revision_makes_a_pair_with_what_it_revises_and_its_feedback_a_label(tmp_path: Path) -> None:
    cast = Cast(WORTH)
    rows = await made(tmp_path, cast, *THREE, workflow())
    assert rows == [
        ("writer/2", "writer/1", "a", None),
        ("reviewer/1", None, "a", None),
        ("writer/3", "writer/2", "b", None),
        ("reviewer/2", None, "b", None),
    ]
    assert cast.of("judge") == [*both("writer 2", "writer 1"), *both("writer 3", "writer 2")]


async def test_two_feedbacks_that_were_followed_apart_make_a_pair_by_the_drafts_that_came_of_them(
    tmp_path: Path,
) -> None:
    cast = Cast(WORTH)
    rows = await made(tmp_path, cast, ONCE, APART, workflow())
    assert rows == [
        ("writer/2", "writer/1", "a", None),
        ("reviewer/1", None, "a", None),
        ("writer/3", "writer/1", "a", None),
        ("other/1", None, "a", None),
        ("reviewer/1", "other/1", "a", None),
    ]
    assert cast.of("judge")[-2:] == both("writer 2", "writer 3")


async def test_feedbacks_that_were_asked_for_otherwise_make_no_pair(tmp_path: Path) -> None:
    pick = "- {pick: knock-out, by: judge}"
    rows = await made(tmp_path, Cast(WORTH), ONCE, APART, pick, APART, workflow())
    two = [row for row in rows if row[1] is not None and "writer" not in row[0]]
    assert two == [("reviewer/1", "other/1", "a", None), ("reviewer/2", "other/2", "tie", "tie")]
    worth = {**WORTH, "writer 4": 3, "writer 5": 8}
    await staged(written(ONCE, APART, pick, APART, workflow(), gives="pairs"), Cast(worth), tmp_path / "again")
    assert pairs(tmp_path / "again")[-1] == ("reviewer/2", "other/2", "b", "prompts differ")


@pytest.mark.parametrize(
    "asking",
    [
        """\
- {ask: reviewer, for: feedback, hears: writer}
- {ask: other, for: feedback, hears: [writer, single]}""",
        "- {ask: [reviewer, other], for: feedback, hears: everyone, order: in-turn}",
    ],
    ids=["of more answers", "after the other's"],
)
async def test_feedbacks_of_reviewers_who_were_told_different_things_make_no_pair(asking: str, tmp_path: Path) -> None:
    revised = "- {ask: writer, for: draft, hears: [reviewer, other], apart: true}"
    rows = await made(tmp_path, Cast(WORTH), "- {ask: [writer, single], for: draft}", asking, revised, workflow())
    assert rows[-1] == ("reviewer/1", "other/1", "a", "prompts differ")


@pytest.mark.parametrize("around", ["", "repeat: 1", "when: score >= 0", "when: score < 0.5"])
async def test_a_pair_is_asked_for_what_the_step_asks_that_made_it(around: str, tmp_path: Path) -> None:
    first, second = generation("versions: [2, 1]"), generation("select: all, margin: 2")
    inner = "  do: [{ask: writer, for: draft}]\n  else:" if around.endswith("< 0.5") else "  do:"
    step = f"- {around}\n{inner}\n    {second}" if around else second
    await staged(written(*THREE, first, step, gives="pairs"), Cast(WORTH), tmp_path / "run")
    with LogReader(tmp_path / "run" / "run.db") as log:
        found = candidates(log)
        asked = {(pair.chosen.event, pair.rejected.event): found.asked(pair) for pair in found}  # type: ignore[union-attr]
    assert {names: filters.margin for names, filters in asked.items()} == {
        ("writer/2", "writer/1"): 0,
        ("writer/3", "writer/1"): 2,
        ("writer/2", "writer/3"): 2,
    }


async def test_what_a_knock_out_has_settled_is_not_asked_again_by_any_pair(tmp_path: Path) -> None:
    cast = Cast(WORTH)
    pick = "- {pick: round-robin, by: judge}"
    await made(tmp_path, cast, *THREE, pick, generation("select: all"), workflow())
    assert len(cast.of("judge")) == 6
    assert [len(one.candidates) for one in facts(tmp_path / "run", "pairs_made") if isinstance(one, PairsMade)] == [
        3,
        4,
    ]
    assert results(tmp_path / "run")[0]["pairs"] == {"generation": 3, "workflow": 4}


@pytest.mark.parametrize("way", ["as_published: true", "orders: ab", "scale: 5", "strategy: direct"])
async def test_what_was_judged_in_another_way_is_judged_anew_for_a_pair(way: str, tmp_path: Path) -> None:
    cast = Cast(duels={("writer 1", "writer 2"): (8, 3), ("writer 2", "writer 1"): (8, 3)})
    rows = await made(tmp_path, cast, ONCE, REVISED, f"- {{pick: knock-out, by: judge, {way}}}", generation())
    assert rows == [("writer/1", "writer/2", "tie", "tie")]  # the judge prefers whatever stands first
    assert cast.of("judge")[-2:] == both("writer 1", "writer 2")


async def test_scores_on_several_scales_are_brought_to_one(tmp_path: Path) -> None:
    cast = Cast(by={"judge": {"writer 1": 4, "writer 2": 5}, "second": {"writer 1": 70, "writer 2": 90}})
    picks = "- {pick: knock-out, by: judge, scale: 5}", "- {pick: knock-out, by: second, scale: 100}"
    step = "- {pair: generation, select: all, margin: 16}"
    await staged(written(ONCE, REVISED, *picks, step, gives="pairs"), cast, tmp_path / "run")
    (made,) = facts(tmp_path / "run", "pairs_made")
    assert isinstance(made, PairsMade)
    known = made.candidates[0].preference
    assert known is not None
    assert (known.score_first, known.score_second, known.scale, known.margin) == (75, 95, 100, 20)


async def test_drafts_that_were_scored_alone_on_several_scales_are_compared_on_one(tmp_path: Path) -> None:
    cast = Cast({"writer 1": 9, "writer 2": 80})
    picks = ["- {pick: best, by: judge}", REVISED, "- {pick: best, by: judge, scale: 100}"]
    rows = await made(tmp_path, cast, ONCE, *picks, "- {pair: generation, select: all}")
    assert rows == [("writer/1", "writer/2", "a", None)]  # 9 of 10, and 80 of 100


async def test_feedback_on_another_writers_draft_has_no_label_by_what_came_of_this_one(tmp_path: Path) -> None:
    steps = [
        "- {ask: [writer, single], for: draft}",
        "- {ask: reviewer, for: feedback, hears: single}",
        "- {ask: other, for: feedback, hears: writer}",
        "- {ask: writer, for: draft, hears: [reviewer, other]}",
    ]
    rows = await made(tmp_path, Cast(WORTH), *steps, workflow("among: writer"))
    assert rows == [("writer/2", "writer/1", "a", None), ("other/1", None, "a", None)]


@pytest.mark.parametrize(("scores", "share"), [((2.3, 1.3), 0.28), ((8.7, 7.7), 0.07), ((1.1, 0.1), 0.56)])
def test_what_is_just_enough_is_enough_whatever_machines_make_of_decimals(
    scores: tuple[float, float], share: float
) -> None:
    votes = (round(share * 100), 0, round(100 - share * 100), 0)
    known = Preference(first="a", second="b", verdict="a", score_first=scores[0], score_second=scores[1], votes=votes)
    candidate = PairCandidate(of="answer", first="a", second="b", preference=known)
    for margin, agreement, reason in ((1.0, share, None), (1.01, share, "margin"), (1.0, share + 0.01, "agreement")):
        assert why_not(candidate, Filters(margin=margin, agreement=agreement), identical=False) == reason


async def test_of_pairs_that_are_made_in_every_round_those_of_the_last_count(tmp_path: Path) -> None:
    loop = """\
- repeat: 2
  do:
    - {ask: reviewer, for: feedback, hears: writer}
    - {ask: writer, for: draft, hears: reviewer}
    - {pair: generation, by: judge, select: all}"""
    cast = Cast(WORTH)
    await staged(written(ONCE, loop, gives="pairs"), cast, tmp_path / "run")
    assert results(tmp_path / "run")[0]["pairs"] == {"generation": 3}
    with LogReader(tmp_path / "run" / "run.db") as log:
        assert len([pair for pair in candidates(log) if pair.dropped is None]) == 3
    assert len(cast.of("judge")) == 6


async def test_pairs_without_judges_of_their_own_rest_on_what_was_said_before(tmp_path: Path) -> None:
    cast = Cast(WORTH)
    rows = await made(tmp_path, cast, *THREE, "- {pick: knock-out, by: judge}", "- {pair: generation, select: all}")
    assert {row[:2]: row[3] for row in rows} == {
        ("writer/1", "writer/2"): None,
        ("writer/1", "writer/3"): "never compared",
        ("writer/2", "writer/3"): None,
    }
    assert len(cast.of("judge")) == 4


async def test_scores_that_judges_gave_alone_count_as_their_word_on_two(tmp_path: Path) -> None:
    cast = Cast(WORTH)
    rows = await made(tmp_path, cast, *THREE, "- {pick: best, by: judge}", generation("select: all, margin: 3"))
    assert {row[:2]: (row[2], row[3]) for row in rows} == {
        ("writer/1", "writer/2"): ("b", None),
        ("writer/1", "writer/3"): ("b", "margin"),
        ("writer/2", "writer/3"): ("a", None),
    }
    assert cast.of("judge") == ["judge: writer 1", "judge: writer 2", "judge: writer 3"]


# own family

KIN = {"writer": "acme/llama-3.1-8b", "reviewer": "acme/gemma-2-9b", "judge": "groq/llama-3.3-70b"}
WORDS = (
    "judge would judge answers of its own family (meta-llama), and judges favour their own: give the judge a model of "
    "another family (--model judge=PROVIDER/MODEL), or say own_family: true"
)


def test_a_judge_of_the_writers_family_is_not_asked_unless_it_is_said(tmp_path: Path) -> None:
    text = written(ONCE, REVISED, generation(), gives="pairs")
    (problem,) = planned(text, KIN).unasked
    assert str(problem) == f"s.yaml:12:22: {WORDS}"
    assert planned(text, {**KIN, "judge": "acme/gpt-4o"}).unasked == ()
    assert planned(text.replace("by: judge", "by: judge, own_family: true"), KIN).unasked == ()
    (tmp_path / "s.yaml").write_text(text)
    (tmp_path / "d.jsonl").write_text('{"id": "1", "prompt": "Why?"}\n')
    models = [word for name, model in KIN.items() for word in ("--model", f"{name}={model}")]
    refused = fellowship("run", tmp_path / "s.yaml", "--data", tmp_path / "d.jsonl", "--out", tmp_path / "r", *models)
    assert (refused.exit_code, WORDS in refused.stderr.replace("\n", " ")) == (2, True)
    assert not (tmp_path / "r" / "run.db").exists()


def test_a_family_can_be_named_where_a_models_name_does_not_tell() -> None:
    text = written(ONCE, REVISED, generation(), gives="pairs")
    hidden = {**KIN, "writer": "acme/our-tuned-model"}
    assert planned(text, hidden).unasked == ()
    named = text.replace("writer: {role: generator,", "writer: {family: meta-llama, role: generator,")
    assert len(planned(named, hidden).unasked) == 1


def test_a_model_of_no_known_family_is_its_own_kin_whoever_serves_it_and_however_a_family_is_written() -> None:
    text = written(ONCE, REVISED, generation(), gives="pairs")
    assert len(planned(text, {"writer": "acme/our-tuned", "judge": "other/Our-Tuned"}).unasked) == 1
    named = text.replace("judge: {role: judge,", "judge: {family: Meta-Llama, role: judge,")
    assert len(planned(named, {**KIN, "judge": "acme/our-tuned"}).unasked) == 1


def test_only_the_family_that_a_judge_is_of_is_named_and_not_that_of_the_other_draft() -> None:
    text = written("- {ask: [writer, single], for: draft}", generation(), gives="pairs")
    (problem,) = planned(text, {"writer": "acme/llama-3", "single": "acme/gemma-2", "judge": "acme/gemma-3"}).unasked
    assert "of its own family (google-gemma), and" in str(problem)


async def test_of_a_jury_those_of_the_writers_family_are_not_asked_about_its_drafts(tmp_path: Path) -> None:
    text = written("- {ask: [writer, single], for: draft}", REVISED, generation("select: all"), gives="pairs")
    text = text.replace("by: judge", "by: [judge, second]").replace(
        "  judge: {role: judge, model: judge}",
        "  judge: {role: judge, model: judge}\n  second: {role: judge, model: second}",
    )
    families = {"writer": "acme/llama-3", "single": "acme/gemma-2", "judge": "acme/llama-3.3", "second": "acme/gpt-4o"}
    made_plan = planned(text, families)
    assert made_plan.unasked == ()
    cast = Cast(WORTH, models=families)
    await staged(made_plan, cast, tmp_path / "run")
    assert cast.of("judge") == []
    assert len(cast.of("second")) == 6
    assert [row[3] for row in pairs(tmp_path / "run")] == [None] * 3


def test_the_library_asks_no_judge_about_its_own_family_unasked() -> None:
    def unasked(*changes: str, **models: str) -> int:
        scenario, source = load("preference-pairs", changes=changes)
        return len(plan(scenario, source=source, models=models).unasked)  # type: ignore[arg-type]

    assert unasked() > 0  # all of it is one small model
    assert unasked("own_family=true") == 0
    assert unasked(writer="acme/llama-3", reviewer="acme/gemma-2", judge="acme/gpt-4o") == 0
    assert unasked(writer="acme/llama-3", reviewer="acme/gemma-2", judge="acme/gemma-3") > 0


# by chance

NAMES = ("w/1", "w/2", "w/3", "w/4")
TEXTS = st.lists(st.sampled_from(("same", " same ", "one", "two", "three")), min_size=4, max_size=4)
SCORES = st.none() | st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda two: (two[0] / 2, two[1] / 2))
VOTES = st.dictionaries(
    st.tuples(st.sampled_from(("judge", "second", "third")), st.sampled_from(list(combinations(NAMES, 2)))), SCORES
)


def compared(first: str, second: str, scores: tuple[float, float] | None) -> DraftsCompared:
    a, b = scores or (None, None)
    verdict = "unread" if a is None or b is None else verdict_of(a, b)
    return DraftsCompared(
        round=1, first=first, second=second, judging=Judging(), ballots=(), verdict=verdict, score_a=a, score_b=b
    )


def said(
    texts: Sequence[str], votes: Mapping[tuple[str, tuple[str, str]], Any], *, swapped: bool
) -> list[tuple[str, Fact]]:
    found: list[tuple[str, Fact]] = [
        ("w", DraftWritten(round=1, text=text, version=version)) for version, text in enumerate(texts, start=1)
    ]
    for (judge, (first, second)), scores in votes.items():
        if swapped:
            found.append((judge, compared(second, first, scores and scores[::-1])))
        else:
            found.append((judge, compared(first, second, scores)))
    return found


@given(TEXTS, VOTES, st.sampled_from(["unique-mode", "majority", "mean-score"]))
def test_what_judges_prefer_does_not_hang_on_which_draft_is_named_first(
    texts: list[str], votes: dict[Any, Any], rule: str
) -> None:
    judges = ("judge", "second", "third")
    for swapped in (False, True):
        material = Material(said(texts, votes, swapped=swapped))
        for one, other in combinations(NAMES, 2):
            found = material.preference(one, other, RULES[rule], judges)
            mirrored = material.preference(other, one, RULES[rule], judges)
            if found is None or mirrored is None:
                assert found is mirrored is None
                continue
            assert {"a": "b", "b": "a"}.get(found.verdict, found.verdict) == mirrored.verdict
            assert (found.score_first, found.score_second) == (mirrored.score_second, mirrored.score_first)
            assert found.votes == (*mirrored.votes[2::-1], mirrored.votes[3])
            assert found.margin == mirrored.margin


FILTERS = st.builds(
    Filters,
    margin=st.sampled_from([0, 0.5, 1, 3]),
    quorum=st.integers(1, 3),
    agreement=st.sampled_from([0, 0.5, 0.6, 1]),
)
SELECTIONS = st.sampled_from(
    [
        Selection("best-all"),
        Selection("best-worst"),
        Selection("consecutive"),
        Selection("all"),
        Selection("versions", (3, 1)),
    ]
)


@given(TEXTS, VOTES, FILTERS, SELECTIONS, st.permutations(NAMES))
def test_every_candidate_is_kept_or_has_one_reason_and_what_is_kept_has_all_that_was_asked(
    texts: list[str], votes: dict[Any, Any], filters: Filters, selection: Selection, ranked: list[str]
) -> None:
    material = Material(said(texts, votes, swapped=False))
    candidates = material.answers(selection, ranked)
    assert len(set(map(frozenset, candidates))) == len(candidates)
    for one, other in candidates:
        same = identical(material.text(one), material.text(other))
        known = material.preference(one, other, RULES["unique-mode"], ("judge", "second", "third"))
        candidate = PairCandidate(of="answer", first=one, second=other, preference=known)
        reason = why_not(candidate, filters, identical=same)
        if reason is not None:
            continue
        assert not same
        assert known is not None
        assert known.verdict in ("a", "b")
        assert known.margin is not None
        assert known.margin >= filters.margin
        read, winning = sum(known.votes[:3]), known.votes[0 if known.verdict == "a" else 2]
        assert read >= filters.quorum
        assert winning >= filters.agreement * read


def test_of_a_judge_who_says_it_twice_the_last_word_counts_and_a_comparison_goes_before_scores() -> None:
    drafts = said(["one", "two"], {}, swapped=False)[:2]
    scored: list[tuple[str, Fact]] = [
        ("judge", DraftScored(round=1, draft="w/1", score=9, scale=10)),
        ("judge", DraftScored(round=1, draft="w/2", score=2, scale=10)),
    ]

    def verdict(*more: tuple[str, Fact]) -> str:
        found = Material([*drafts, *scored, *more]).preference("w/1", "w/2", RULES["unique-mode"], ("judge",))
        assert found is not None
        return found.verdict

    assert verdict() == "a"
    assert verdict(("judge", compared("w/1", "w/2", (3, 4)))) == "b"
    assert verdict(("judge", compared("w/1", "w/2", (3, 4))), ("judge", compared("w/2", "w/1", (5, 5)))) == "tie"
    assert verdict(("second", compared("w/1", "w/2", (3, 4)))) == "a"  # who is not asked for does not count


def test_a_scenario_with_a_parameter_for_it_says_how_to_let_a_judge_label_its_own_family() -> None:
    scenario, source = load("preference-pairs")
    told = [str(problem) for problem in plan(scenario, source=source, models={"*": "acme/llama-3"}).unasked]  # type: ignore[arg-type]
    assert len(told) == 2
    assert all(line.endswith("or say --set own_family=true") for line in told)

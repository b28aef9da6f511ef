"""Library scenarios that evaluate: who is asked, having heard whom, as their papers have it, and what it comes to."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from playing import fellowship
from telling import apart, played

from fellowship.scenarios import load, plan
from fellowship.scenarios.rehearsal import Asked, Prompt, Rehearsal, Unreadable, rehearse

CALLS = {
    "advocates": (7, 7),
    "advocates-rounds": (6, 12),
    "arena": (17, 17),
    "cascade": (2, 3),
    "council": (4, 28),
    "court": (4, 4),
    "criteria": (2, 6),
    "debate-simultaneous": (9, 9),
    "debate-summarised": (11, 11),
    "devils-advocate": (2, 5),
    "judge-calibrated": (6, 6),
    "judge-direct": (1, 1),
    "judge-independent": (2, 2),
    "judge-swapped": (2, 2),
    "judges-in-turn": (1, 1),
    "jury-diverse": (1, 3),
    "jury-weighted": (3, 3),
    "meta-judge": (4, 4),
}
"""Of an item, at the least and at the most."""
CRITERIA = ("helpfulness", "relevance", "accuracy", "depth", "creativity", "level of detail")
JURORS = ("first", "second", "third")
PERSONAS = ("public", "psychologist", "critic")
FAMILIES = {"first": "openai/gpt-4o", "second": "groq/llama-3.1-8b-instant", "third": "mistral/mistral-small"}
PAIR = {"id": "1", "prompt": "Which is a fruit?", "a": "A pear is.", "b": "A stone is."}

Said = tuple[str, str, tuple[str, ...]]


def scores(a: float, b: float) -> dict[str, float]:
    """Return what a judge says of what it is shown as A and as B."""
    return {"score_a": a, "score_b": b}


def apart_from_one_another(names: Iterable[str], word: str, *heard: str) -> list[Said]:
    """Return what several say who have heard the same."""
    return [(name, word, heard) for name in names]


def others(name: str, names: Iterable[str] = PERSONAS) -> tuple[str, ...]:
    return tuple(each for each in names if each != name)


def is_fair(prompt: Prompt) -> bool:
    """Whether a judge is told what to weigh, that order and length mean nothing, and to give reasons before scores."""
    asked = prompt.request
    says_when = min(place for word in ('"score', '"verdict"') if (place := asked.find(word)) >= 0)
    return (
        all(word in prompt.system for word in CRITERIA)
        and "order in which answers stand means nothing, and neither does their length" in prompt.system
        and asked.index("reasons first") < asked.index('"reason"') < says_when
    )


def judged_fairly(rehearsal: Rehearsal, *judges: str) -> bool:
    return all(is_fair(rehearsal.prompts(judge)[-1]) for judge in judges)


# what all have in common


@pytest.mark.parametrize("name", CALLS)
def test_the_plan_foresees_the_calls_that_a_scenario_tells_of_itself(name: str, tmp_path: Path) -> None:
    models = [("llama-3-70b", "gpt-4o-mini"), (None, None)] if name == "jury-diverse" else [(None, None)]
    rows = [PAIR | {"id": str(number), "model_a": a, "model_b": b} for number, (a, b) in enumerate(models)]
    data = tmp_path / "d.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    chosen = [f"--model={alias}={model}" for alias, model in FAMILIES.items()] if name == "jury-diverse" else []
    told = fellowship("plan", name, "--data", data, "--json", *chosen)
    assert told.exit_code == 0, told.stderr
    least, greatest = CALLS[name]
    calls = json.loads(told.stdout)["calls"]
    one_way = least == greatest or len(rows) > 1
    expected = (least + greatest, least + greatest) if len(rows) > 1 else (least, greatest)
    assert (calls["least"], calls["greatest"]) == expected
    assert calls["expected"] == calls["least"] if one_way else calls["least"] <= calls["expected"] <= calls["greatest"]
    number = f"{least}" if least == greatest else f"{least} to {greatest}"
    assert re.search(rf"(?:^|\s){number} calls? an item", load(name)[0].about)


@pytest.mark.parametrize("name", CALLS)
def test_a_scenario_is_right_and_has_a_model_for_each_alias(name: str) -> None:
    models = [f"--model={alias}=acme/{alias}" for alias in load(name)[0].models]
    checked = fellowship("check", name, *models)
    assert (checked.exit_code, "warning" in checked.output, "smollm2" in checked.stdout) == (0, False, False)
    assert plan(load(name)[0]).warnings == ()  # type: ignore[arg-type]


# one judge


async def test_the_direct_judge_gives_a_verdict_without_scores() -> None:
    told = await rehearse("judge-direct", answers={"judge": {"verdict": "B"}})
    assert told.sequence == [("judge", "ballot", ())]
    assert (told.verdict, told.scores, told.calls) == ("b", (None, None), 1)
    assert judged_fairly(told, "judge")


async def test_the_independent_judge_never_sees_both_answers_at_once() -> None:
    told = await rehearse("judge-independent", item=PAIR, answers={"judge": [{"score": 4}, {"score": 7}]})
    assert told.sequence == [("judge", "ballot", ())]
    assert (told.verdict, told.scores, told.calls) == ("b", (4, 7), 2)
    one, other = told.prompts("judge")
    assert ("A pear" in one.text, "A stone" in one.text) == (True, False)
    assert ("A pear" in other.text, "A stone" in other.text) == (False, True)
    assert is_fair(one)
    out_of_five = await rehearse("judge-independent", parameters={"scale": 5}, answers={"judge": {"score": 5}})
    assert out_of_five.verdict == "tie"
    assert "to 5 (could not be better)" in out_of_five.prompts("judge")[0].request


async def test_a_verdict_that_does_not_survive_the_swap_is_a_tie_unless_the_mean_is_to_decide() -> None:
    firm = await rehearse("judge-swapped", answers={"judge": [scores(9, 2), scores(1, 8)]})
    assert firm.sequence == [("judge", "ballot", ())]
    assert (firm.verdict, firm.scores, firm.calls) == ("a", (8.5, 1.5), 2)
    assert judged_fairly(firm, "judge")
    swayed: Any = {"judge": [scores(9, 2), scores(7, 6)]}
    assert (await rehearse("judge-swapped", answers=swayed)).verdict == "tie"
    mean = await rehearse("judge-swapped", answers=swayed, parameters={"reconcile": "mean"})
    assert (mean.verdict, mean.scores) == ("a", (7.5, 4.5))


async def test_the_calibrated_judge_has_the_mean_of_all_samples_in_both_orders() -> None:
    first = [scores(8, 6), scores(8, 7), scores(5, 9)]
    swapped = [scores(7, 6), scores(9, 4), scores(6, 6)]  # b is shown as A
    told = await rehearse("judge-calibrated", item=PAIR, answers={"judge": [*first, *swapped]})
    assert told.sequence == [("judge", "ballot", ())]
    assert (told.verdict, told.calls) == ("b", 6)
    assert told.scores == pytest.approx(((8 + 8 + 5 + 6 + 4 + 6) / 6, (6 + 7 + 9 + 7 + 9 + 6) / 6))
    places = [prompt.text.index("A pear") < prompt.text.index("A stone") for prompt in told.prompts("judge")]
    assert places == [True] * 3 + [False] * 3
    assert all(len(prompt) == 2 for prompt in told.prompts("judge")), "no sample knows of another"
    assert judged_fairly(told, "judge")
    assert load("judge-calibrated")[0].document()["models"]["judge"]["temperature"] > 0
    assert (await rehearse("judge-calibrated", parameters={"samples": 6})).calls == 12


async def test_judges_take_turns_by_the_place_of_the_item_in_the_data() -> None:
    for number in range(6):
        told = await rehearse("judges-in-turn", number=number, answers={"second": scores(2, 9), "*": scores(9, 2)})
        who = JURORS[number % 3]
        assert told.sequence == [(who, "ballot", ())]
        assert (told.verdict, told.calls) == ("b" if who == "second" else "a", 1)
        assert judged_fairly(told, who)


# juries


async def test_no_juror_of_the_diverse_jury_judges_what_its_own_family_wrote() -> None:
    votes: Any = {"first": scores(9, 1), "second": scores(4, 5), "third": scores(4, 5)}
    told = await rehearse("jury-diverse", models=FAMILIES, answers=votes)
    assert told.sequence == apart_from_one_another(JURORS, "ballot")
    assert (told.verdict, told.calls) == ("b", 3)
    assert judged_fairly(told, *JURORS)
    mean = await rehearse("jury-diverse", models=FAMILIES, answers=votes, parameters={"rule": "mean"})
    assert (mean.verdict, mean.scores) == ("a", pytest.approx((17 / 3, 11 / 3)))
    one_out = await rehearse("jury-diverse", item=PAIR | {"model_b": "gpt-4o-mini"}, models=FAMILIES, answers=votes)
    assert one_out.sequence == apart_from_one_another(("second", "third"), "ballot")
    two_out = PAIR | {"model_a": "llama-3-70b", "model_b": "gpt-4o-mini"}
    left = await rehearse("jury-diverse", item=two_out, models=FAMILIES, answers=votes)
    assert left.sequence == [("third", "ballot", ())]
    assert (left.verdict, left.calls) == ("b", 1)


async def test_in_the_weighted_jury_one_who_is_trusted_outweighs_two() -> None:
    votes: Any = {"first": scores(9, 1), "second": scores(4, 5), "third": scores(4, 5)}
    told = await rehearse("jury-weighted", answers=votes)
    assert told.sequence == apart_from_one_another(JURORS, "ballot")
    assert (told.verdict, told.calls) == ("b", 3)
    assert judged_fairly(told, *JURORS)
    trusted = {"first-weight": 2.5, "second-weight": 0.9, "third-weight": 1.2}
    assert (await rehearse("jury-weighted", answers=votes, parameters=trusted)).verdict == "a"
    even = {"first-weight": 2.0, "second-weight": 1.0, "third-weight": 1.0}
    assert (await rehearse("jury-weighted", answers=votes, parameters=even)).verdict == "tie"


async def test_the_meta_judge_reads_all_votes_with_their_reasons_and_has_the_last_word() -> None:
    votes: Any = {name: {"reason": f"reason of {name}", **scores(9, 2)} for name in JURORS}
    told = await rehearse("meta-judge", answers={**votes, "meta": scores(3, 6)})
    assert told.sequence == [*apart_from_one_another(JURORS, "ballot"), ("meta", "ballot", JURORS)]
    assert (told.verdict, told.scores, told.calls) == ("b", (3, 6), 4)
    (asked,) = told.prompts("meta")
    assert all(f"reason of {name}" in asked.request for name in JURORS)
    assert judged_fairly(told, *JURORS, "meta")


# cascade


async def test_the_cascade_asks_its_strong_judge_only_where_the_cheap_ones_do_not_settle_it() -> None:
    cheap = apart_from_one_another(("first", "second"), "ballot")
    clear = await rehearse("cascade", answers={"first": scores(9, 2), "second": scores(7, 5), "strong": scores(1, 9)})
    assert clear.sequence == cheap
    assert (clear.verdict, clear.calls) == ("a", 2)
    assert judged_fairly(clear, "first", "second")


@pytest.mark.parametrize(
    ("first", "second", "calls"),
    [
        pytest.param(scores(9, 2), scores(5, 7), 3, id="they differ"),
        pytest.param(scores(6, 5), scores(7, 6), 3, id="close"),
        pytest.param(scores(5, 5), scores(5, 5), 3, id="two ties"),
        pytest.param(Unreadable(), scores(9, 2), 4, id="one cannot be read"),
    ],
)
async def test_the_strong_judge_of_the_cascade_decides_alone_and_by_itself(first: Any, second: Any, calls: int) -> None:
    told = await rehearse("cascade", answers={"first": first, "second": second, "strong": scores(1, 9)})
    assert told.sequence == [*apart_from_one_another(("first", "second"), "ballot"), ("strong", "ballot", ())]
    assert (told.verdict, told.scores, told.calls) == ("b", (1, 9), calls)
    assert judged_fairly(told, "strong")


async def test_how_close_is_too_close_for_the_cascade_can_be_said() -> None:
    votes: Any = {"first": scores(9, 5), "second": scores(7, 5)}
    assert (await rehearse("cascade", answers=votes, parameters={"margin": 3.0})).calls == 3
    assert (await rehearse("cascade", answers=votes, parameters={"margin": 2.9})).calls == 2


# criteria


async def test_each_criterion_is_judged_apart_and_the_mean_decides() -> None:
    named: Any = {"criteria": ["botany", "brevity", "tone"]}
    votes: Any = {"judge-1": scores(9, 1), "judge-2": scores(4, 6), "judge-3": scores(4, 6)}
    told = await rehearse("criteria", answers={"planner": named, **votes})
    assert told.sequence == [("planner", "criteria", ()), *apart_from_one_another(votes, "ballot")]
    assert (told.verdict, told.scores, told.calls) == ("a", pytest.approx((17 / 3, 13 / 3)), 4)
    for judge, criterion in zip(votes, named["criteria"], strict=True):
        (asked,) = told.prompts(judge)
        assert [word for word in named["criteria"] if word in asked.text] == [criterion]
    assert judged_fairly(told, *votes)
    five = await rehearse("criteria", answers={"planner": {"criteria": list("vwxyz")}})
    assert five.calls == CALLS["criteria"][1]


async def test_no_more_criteria_are_taken_than_were_asked_for() -> None:
    told = await rehearse("criteria", parameters={"criteria": 2}, answers={"planner": {"criteria": ["x", "y", "z"]}})
    assert told.status == "failed"
    assert "at most 2" in told.prompts("planner")[0].request


# debates


async def test_who_talks_at_once_hears_of_each_round_only_when_it_is_over() -> None:
    votes: Any = {
        "public": ["p1", "p2", scores(9, 1)],
        "psychologist": ["s1", "s2", scores(4, 6)],
        "critic": ["c1", "c2", scores(4, 6)],
    }
    told = await rehearse("debate-simultaneous", answers=votes)
    assert told.sequence == [
        *apart_from_one_another(PERSONAS, "argument"),
        *((name, "argument", others(name)) for name in PERSONAS),
        *((name, "ballot", others(name)) for name in PERSONAS),
    ]
    assert (told.verdict, told.scores, told.calls) == ("a", pytest.approx((17 / 3, 13 / 3)), 9)
    assert judged_fairly_after_talk(told, *PERSONAS)
    once = await rehearse("debate-simultaneous", parameters={"rounds": 1})
    assert (once.calls, once.rounds) == (6, 1)


def judged_fairly_after_talk(rehearsal: Rehearsal, *judges: str) -> bool:
    asked = [rehearsal.prompts(judge)[-1] for judge in judges]
    return judged_fairly(rehearsal, *judges) and all(
        "the judgement now is yours alone" in each.request for each in asked
    )


async def test_a_summary_takes_the_place_of_what_was_said() -> None:
    says: Any = {name: [f"{name} one", f"{name} two", scores(2, 8)] for name in PERSONAS}
    told = await rehearse("debate-summarised", answers={**says, "summariser": ["in short", "in the end"]})
    assert told.sequence == [
        *apart_from_one_another(PERSONAS, "argument"),
        ("summariser", "summary", PERSONAS),
        *apart_from_one_another(PERSONAS, "argument", "summariser"),
        ("summariser", "summary", PERSONAS),
        *apart_from_one_another(PERSONAS, "ballot", "summariser"),
    ]
    assert (told.verdict, told.scores, told.calls) == ("b", (2, 8), 11)
    for name in PERSONAS:
        _, second, last = told.prompts(name)
        assert "in short" in second.text
        assert ("in the end" in last.text, "in short" in last.text) == (True, False)
        assert not any(words in prompt.text for prompt in (second, last) for words in ("one\n", "two\n"))
        assert is_fair(last)


async def test_the_court_scores_again_after_attack_and_defence() -> None:
    says: Any = {"grader": [scores(8, 3), scores(4, 6)], "critic": "the attack", "defender": "the defence"}
    told = await rehearse("court", answers=says)
    assert told.sequence == [
        ("grader", "ballot", ()),
        ("critic", "argument", ("grader",)),
        ("defender", "argument", ("grader", "critic")),
        ("grader", "ballot", ("critic", "defender")),
    ]
    assert (told.verdict, told.scores, told.calls) == ("b", (4, 6), 4)
    first, again = told.prompts("grader")
    assert is_fair(first)
    assert "the attack" in again.request
    assert again.request.index("the defence") < again.request.index("Explain your reasons first")
    assert "Scores: A 8, B 3" in told.prompts("critic")[0].request
    twice = await rehearse("court", parameters={"rounds": 2})
    assert twice.sequence[4:] == [
        ("critic", "argument", ("defender", "grader")),
        ("defender", "argument", ("grader", "critic")),
        ("grader", "ballot", ("critic", "defender")),
    ]
    assert twice.calls == 7


async def test_the_devils_advocate_objects_until_nothing_is_left_to_object_to() -> None:
    objects: Any = {"approved": False, "reason": "what of b?"}
    scorer: Any = [scores(8, 3), scores(6, 5), scores(4, 6)]
    told = await rehearse("devils-advocate", answers={"scorer": scorer[:2], "critic": [objects, {"approved": True}]})
    assert told.sequence == [
        ("scorer", "ballot", ()),
        ("critic", "approval", ("scorer",)),
        ("scorer", "ballot", ("critic",)),
        ("critic", "approval", ("scorer",)),
    ]
    assert (told.verdict, told.scores, told.calls) == ("a", (6, 5), 4)
    assert "what of b?" in told.prompts("scorer")[1].request
    assert is_fair(told.prompts("scorer")[0])
    assert "devil's advocate" in told.prompts("critic")[0].system
    at_once = await rehearse("devils-advocate", answers={"scorer": scorer[0], "critic": {"approved": True}})
    assert at_once.sequence == [("scorer", "ballot", ()), ("critic", "approval", ("scorer",))]
    assert (at_once.verdict, at_once.calls) == ("a", 2)
    stubborn = await rehearse("devils-advocate", answers={"scorer": scorer, "critic": objects})
    assert stubborn.sequence == [*told.sequence, ("scorer", "ballot", ("critic",))]
    assert (stubborn.verdict, stubborn.calls) == ("b", 5), "the scorer has the last word"


# advocates


async def test_advocates_speak_apart_and_whoever_judges_hears_all_of_them() -> None:
    red, blue = ("red-1", "red-2", "red-3"), ("blue-1", "blue-2", "blue-3")
    told = await rehearse("advocates", answers={"judge": scores(3, 7)})
    speeches = apart_from_one_another((*red, *blue), "argument")
    assert told.sequence == [*speeches, ("judge", "ballot", (*red, *blue))]
    assert (told.verdict, told.scores, told.calls) == ("b", (3, 7), 7)
    assert all("You speak for answer A" in told.prompts(name)[0].request for name in red)
    assert all("You speak for answer B" in told.prompts(name)[0].request for name in blue)
    assert judged_fairly(told, "judge")
    votes: Any = {"first": scores(9, 1), "second": scores(1, 9), "third": scores(7, 4)}
    jury = await rehearse("advocates", answers=votes, parameters={"bench": "jury", "advocates": 1})
    assert jury.sequence == [
        *apart_from_one_another(("red", "blue"), "argument"),
        *apart_from_one_another(JURORS, "ballot", "red", "blue"),
    ]
    assert (jury.verdict, jury.calls) == ("a", 5)
    assert judged_fairly(jury, *JURORS)


def contested(rounds: int) -> list[Said]:
    """Return what is said where two advocates argue before a judge for so many rounds, and a jury votes."""
    sides = ("red", "blue")
    later = [("red", "argument", ("blue", "judge")), ("blue", "argument", ("red", "judge"))]
    found: list[Said] = []
    for number in range(rounds):
        found += [*(later if number else apart_from_one_another(sides, "argument")), ("judge", "ballot", sides)]
    return [*found, *apart_from_one_another(JURORS, "ballot", *(sides * rounds))]


async def test_the_advocates_rounds_end_when_the_judge_has_settled_and_then_the_jury_votes() -> None:
    jury: Any = {"first": scores(2, 5), "second": scores(2, 5), "third": scores(5, 2)}
    told = await rehearse("advocates-rounds", answers={"judge": [scores(8, 3), scores(7, 5)], **jury})
    assert told.sequence == contested(2)
    assert (told.verdict, told.calls) == ("b", 9), "the judge has no vote"
    assert "tell each advocate what its case still lacks" in told.prompts("judge")[0].request
    assert all("You speak for answer A" in prompt.request for prompt in told.prompts("red"))
    assert all("You speak for answer B" in prompt.request for prompt in told.prompts("blue"))
    assert judged_fairly(told, *JURORS)
    wavering: Any = [scores(8, 3), scores(3, 7), scores(6, 5)]
    longest = await rehearse("advocates-rounds", answers={"judge": wavering, **jury})
    assert longest.sequence == contested(3)
    assert longest.calls == 12


async def test_the_advocates_rounds_end_when_the_tokens_are_spent() -> None:
    told = await rehearse("advocates-rounds", parameters={"tokens": 1})
    assert told.sequence == contested(1)
    assert told.calls == 6


# many answers


def by_name(best: str) -> Any:
    """Return answers in which everybody writes its name, and every judge finds the one by `best` better."""

    def say(asked: Asked) -> Any:
        if asked.wanted == "draft":
            return f"by {asked.agent}"
        first = asked.prompt.request.index(f"by {best}\n") if f"by {best}\n" in asked.prompt.request else None
        if first is None:
            return scores(5, 5)
        return scores(9, 1) if first < asked.prompt.request.index('name="B"') else scores(1, 9)

    return say


async def test_in_the_council_everybody_judges_the_answers_of_all_others() -> None:
    members = (*JURORS, "fourth")
    told = await rehearse("council", answers=by_name("third"))
    assert told.sequence[:4] == apart_from_one_another(members, "draft")
    matches = [("first", "second"), ("first", "third"), ("first", "fourth"), ("second", "third"), ("second", "fourth")]
    matches += [("third", "fourth")]
    judges = [(judge, "comparison") for match in matches for judge in members if judge not in match]
    assert [turn[:2] for turn in told.sequence[4:]] == judges
    seen: set[str] = set()
    for turn in told.sequence[4:]:
        assert turn.heard == (() if turn.agent in seen else members), "all drafts at first, and no comparison of others"
        seen.add(turn.agent)
    for member in members:
        assert not any(f"by {member}" in prompt.text for prompt in told.prompts(member)[1:]), "none on its own answer"
        assert judged_fairly(told, member)
    assert (told.text, told.calls) == ("by third", 28)
    three = await rehearse("council", answers=by_name("first"), parameters={"members": "three"})
    assert (three.text, three.calls) == ("by first", 9)
    assert (await rehearse("council", parameters={"orders": "random"})).calls == 16
    assert (await rehearse("council", answers={"*": "the same"})).calls == 4


async def test_a_council_in_which_models_do_not_judge_their_own_needs_others_who_do() -> None:
    alone = fellowship("check", "council", "--set", "exclude=model")
    assert alone.exit_code == 2
    assert "exclude: model leaves nobody to judge the drafts of" in alone.stderr
    two = {"first": "acme/x", "second": "acme/x", "third": "acme/y", "fourth": "acme/z"}
    told = await rehearse("council", answers=by_name("third"), models=two, parameters={"exclude": "model"})
    voters = [turn.agent for turn in told.sequence[4:]]
    assert voters == ["third", "fourth", "fourth", "third", "fourth", "third", "first", "second"]


async def test_a_council_can_be_ranked_afterwards(tmp_path: Path) -> None:
    assert await played(apart("council"), 3, tmp_path / "run") is not None
    ranked = fellowship("rank", tmp_path / "run", "--json")
    assert ranked.exit_code == 0, ranked.stderr
    assert len(json.loads(ranked.stdout)["models"]) == 4


async def test_in_the_arena_candidates_answer_and_attack_and_a_committee_scores_discusses_and_scores_again() -> None:
    says: Any = {
        "examiner": "the question",
        "left": ["left's answer", "left's attack"],
        "right": ["right's answer", "right's attack"],
    }
    at_first = [{"score": 3, "feedback": "too dry"}, {"score": 8}]
    told = await rehearse("arena", answers={**says, "committee": [*at_first, {"score": 9}, {"score": 6}]})
    everyone = ("examiner", "left", "right", "left", "right")
    discussed = [(name, "feedback", others(name, JURORS)) for name in JURORS]
    assert told.sequence == [
        ("examiner", "question", ()),
        ("left", "draft", ("examiner",)),
        ("right", "draft", ("examiner",)),
        ("left", "argument", ("right",)),
        ("right", "argument", ("left",)),
        *apart_from_one_another(JURORS, "feedback", *everyone),
        *apart_from_one_another(JURORS, "feedback"),
        *((name, "feedback", others(name, JURORS) * 2) for name in JURORS),
        *discussed,
    ]
    assert (told.text, told.calls) == ("left's answer", 17), "what the committee says last counts"
    assert "the question" in told.prompts("left")[0].request
    attacked = told.prompts("left")[1].request
    assert attacked.index('by="yourself">\nleft\'s answer') < attacked.index('by="right">\nright\'s answer')
    on_left, on_right, left_again, right_again = (prompt.request for prompt in told.prompts("first"))
    assert all(words in on_left for words in ("left's answer", "left's attack", "right's attack"))
    assert ("right's answer" in on_left, "left's answer" in on_right, "right's answer" in on_right) == (
        False,
        False,
        True,
    )
    assert "new version" not in on_right
    assert left_again.count("too dry") == 2
    assert "too dry" not in right_again
    asked = told.prompts("first")[0]
    assert all(word in asked.system for word in CRITERIA)
    assert "order in which answers stand" in asked.system
    assert asked.request.index('"evaluation"') < asked.request.index('"score"')
    unmoved = await rehearse("arena", answers={**says, "committee": [*at_first, *at_first]})
    assert unmoved.text == "right's answer"
    longer = await rehearse("arena", parameters={"rounds": 2})
    assert longer.sequence[5:7] == [("left", "argument", ("right",)), ("right", "argument", ("left",))]
    assert longer.calls == 19

"""What a picture of a flow shows, whichever way it is drawn."""

import re
from dataclasses import replace

import pytest
from picturing import (
    asking,
    assert_readable,
    checked,
    draw,
    drawn,
    everyone,
    heard,
    texts,
    titles,
)
from playing import library as planned

from fellowship.protocols.aggregation import RULES
from fellowship.protocols.judging import Judging
from fellowship.protocols.stopping import Condition
from fellowship.scenarios import spec
from fellowship.scenarios.drawing.chart import pictures
from fellowship.scenarios.drawing.mermaid import mermaid
from fellowship.scenarios.drawing.picture import Bar, Frame, Turn
from fellowship.scenarios.drawing.svg import svg
from fellowship.scenarios.steps import DecideStep, EachStep, RepeatStep, WhenStep


def test_a_debate_is_a_frame_of_turns_in_which_everyone_hears_everyone_and_a_ballot_below() -> None:
    (picture,) = pictures(planned("debate"))
    frame, ballot, bar = picture.rows
    assert titles(picture) == ["public", "psychologist", "critic"]
    assert picture.columns[2].about == ("a critic", "model acme/m")
    assert isinstance(frame, Frame)
    assert frame.parts[0].title == "2 rounds"
    (argument,) = frame.parts[0].rows
    assert isinstance(argument, Turn)
    assert (argument.chained, argument.aloud) == (True, True)
    all_of_them = "public psychologist critic"
    assert heard(picture, argument) == [(all_of_them, all_of_them, True)], "in the first round nothing is said before"
    assert heard(picture, ballot) == [(all_of_them, all_of_them, False)], "it stays from the step before"
    assert isinstance(bar, Bar)
    assert bar.text == "decide: mean-score"


def test_what_is_only_heard_from_the_second_round_on_is_told_from_what_is_heard_at_once() -> None:
    (picture,) = pictures(planned("feedback-gated"))
    frame = picture.rows[0]
    assert isinstance(frame, Frame)
    assert frame.parts[0].title == "up to 6 rounds, until score >= 9.0 or without-gain >= 2"
    draft, feedback = frame.parts[0].rows
    assert heard(picture, draft) == [("reviewer", "writer", True)]
    assert heard(picture, feedback) == [("writer", "reviewer", False)]


def test_nobody_is_drawn_as_heard_who_has_said_nothing_and_will_not() -> None:
    flow = asking("ann", hears={"ann": ("bob",)}), asking("bob", hears={"bob": ("ann",)})
    picture = drawn(*flow, names=("ann", "bob"))
    assert [heard(picture, row) for row in picture.rows] == [[], [("ann", "bob", False)]]


def test_hearing_set_at_the_end_of_a_round_is_there_in_the_next_one() -> None:
    names = ("ann", "bob")
    flow = RepeatStep(
        "0", 2, (asking("ann"), asking("bob", hears=everyone(*names)), asking("ann", hears=everyone(*names))), ()
    )
    frame = drawn(flow, names=names).rows[0]
    assert isinstance(frame, Frame)
    first, second, third = frame.parts[0].rows
    picture = drawn(flow, names=names)
    assert heard(picture, first) == [("bob", "ann", True)]
    assert heard(picture, second) == [("ann", "bob", False)]
    assert heard(picture, third) == [("bob", "ann", False)]


def test_agents_of_one_count_share_a_column_where_they_are_always_asked_together() -> None:
    names = tuple(f"solver-{number}" for number in range(1, 6))
    picture = drawn(
        asking(*names, wanted="answer"), asking(*names, wanted="answer", hears=everyone(*names)), names=names
    )
    assert len(picture.columns) == 1
    assert re.fullmatch("solver .5", titles(picture)[0])
    first, second = picture.rows
    assert isinstance(first, Turn)
    assert re.fullmatch("answer .5", first.voices[0].text)
    assert heard(picture, second) == [(titles(picture)[0], titles(picture)[0], False)]


def test_agents_of_one_count_have_columns_of_their_own_where_one_is_asked_alone() -> None:
    names = ("solver-1", "solver-2", "solver-3")
    assert titles(drawn(asking(*names), asking("solver-2"), names=names)) == list(names)
    only_one = asking(*names, hears={name: ("solver-1",) if name != "solver-1" else () for name in names})
    assert titles(drawn(asking(*names), only_one, names=names)) == list(names), "they are not all heard alike"


def test_many_personas_of_one_agent_share_a_column_and_few_do_not() -> None:
    kinds = ("critic", "editor", "engineer", "journalist", "psychologist", "sceptic", "scientist", "teacher")
    for count, columns in ((8, 1), (4, 4)):
        names = tuple(f"juror-{kind}" for kind in kinds[:count])
        agents = {"juror": {"role": "juror", "personas": kinds[:count]}}
        assert len(drawn(asking(*names), names=names, agents=agents).columns) == columns


def test_alternating_speakers_are_told_one_by_one_also_where_they_share_columns() -> None:
    names = ("pro-1", "con-1", "pro-2", "con-2")
    picture = drawn(asking(*names, in_turn=True, blind=False, hears=everyone(*names)), names=names)
    (turn,) = picture.rows
    assert isinstance(turn, Turn)
    assert [voice.column for voice in turn.voices] == [0, 1, 0, 1]
    assert turn.chained
    assert "one after another, each hearing those before" in turn.remarks


def test_branches_played_together_are_one_frame_and_one_column_for_each_agent_they_have_of_their_own() -> None:
    branch = asking("judge", wanted="ballot", hears={"judge": ("planner",)}, instructions="Judge by $criterion alone.")
    own = {"judge": tuple(f"judge-{number}" for number in range(1, 5))}
    each = EachStep("1", "criterion", "criteria", None, 4, None, True, (branch,), own)
    after = asking("planner", wanted="summary", hears={"planner": own["judge"]})
    names = ("planner", *own["judge"])
    picture = drawn(asking("planner", wanted="criteria", most=4), each, after, names=names)
    assert titles(picture) == ["planner", "judge"]
    assert "one for each $criterion" in picture.columns[1].about
    frame = picture.rows[1]
    assert isinstance(frame, Frame)
    assert frame.together
    assert frame.parts[0].title == "for each $criterion of the criteria, 4 at most, together, by agents of its own"
    assert heard(picture, frame.parts[0].rows[0]) == [("planner", "judge", False)]
    assert heard(picture, picture.rows[2]) == [("judge", "planner", False)]
    assert "par for each $criterion" in mermaid((picture,))


def test_branches_within_branches_share_the_column_too() -> None:
    names = ("chair", *(f"judge-{one}-{two}" for one in (1, 2, 3) for two in (1, 2)))
    ballot = asking("judge", wanted="ballot", instructions="Judge $criterion of $side.")
    inner = EachStep("0.0", "side", "candidates", None, 2, None, True, (ballot,), {"judge": ("judge-1", "judge-2")})
    own = {"judge": ("judge-1", "judge-2", "judge-3")}
    outer = EachStep("0", "criterion", ("tone", "facts", "style"), None, 3, None, True, (inner,), own)
    summary = asking("chair", wanted="summary", hears={"chair": names[1:]})
    picture = drawn(outer, summary, DecideStep("2", "unique-mode", RULES["unique-mode"], names[1:]), names=names)
    assert titles(picture) == ["chair", "judge"]
    assert heard(picture, picture.rows[1]) == [("judge", "chair", False)]
    assert picture.rows[2] == Bar("decide: unique-mode", ("among judge",))
    assert_readable(svg((picture,)))


def test_the_ways_of_a_when_are_parts_of_one_frame_and_both_count_for_what_comes_after() -> None:
    names = ("ann", "bob")
    one = asking("ann", wanted="argument", hears={"ann": ("bob",)})
    when = WhenStep("1", Condition.from_str("disagreement"), (one,), (asking("bob", wanted="summary"),))
    picture = drawn(asking(*names, wanted="ballot"), when, asking("ann", wanted="ballot"), names=names)
    frame = picture.rows[1]
    assert isinstance(frame, Frame)
    assert [part.title for part in frame.parts] == ["when disagreement", "else"]
    last = picture.rows[2]
    assert isinstance(last, Turn)
    assert [hearing.facts for hearing in last.hearing] == [(("ballot", "summary"),)]
    assert re.search(r"alt when disagreement\n(.*\n)*? +else\n(.*\n)*? +end\n", mermaid((picture,)))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"in_turn": True, "shuffled": True, "blind": True}, "one after another, in random order, blind"),
        ({"anonymous": True}, "anonymous"),
        ({"assign": "round-robin"}, "one of them an item, in turns"),
        ({"assign": "random"}, "one of them an item, drawn at random"),
        ({"exclude": "own"}, "nobody judges what is its own"),
        ({"exclude": "family"}, "nobody judges what its own family wrote"),
        ({"side": "$candidate"}, "for $candidate"),
        ({"on": "$draft"}, "on $draft"),
        ({"apart": True}, "one for each feedback"),
        ({"wanted": "summary", "replaces": True}, "in place of all before it"),
        ({"wanted": "criteria", "most": 3}, "3 at most"),
        ({"wanted": "feedback"}, "with a score out of 10"),
        ({"in_turn": True, "until": Condition.from_str("agreement > 0.5")}, "until agreement > 0.5"),
        ({"hears": spec.Graph(graph="ring")}, "a ring: each hears its two neighbours"),
        ({"hears": spec.Graph(graph="random", k=3)}, "a random graph: each hears 3 others"),
        ({"hears": spec.Graph(graph="star", centre="ann")}, "a star: the centre hears all, and all the centre (ann)"),
    ],
)
def test_whatever_a_step_says_of_how_it_asks_is_in_the_picture(more: dict[str, object], told: str) -> None:
    picture = drawn(asking("ann", "bob", **more), names=("ann", "bob"))  # type: ignore[arg-type]
    (turn,) = picture.rows
    assert isinstance(turn, Turn)
    assert told in turn.remarks
    shown = " ".join(texts(svg((picture,))))
    assert told in shown
    assert told in mermaid((picture,)).replace("#62;", ">").replace("<br/>", " ")


def test_judging_that_is_not_the_usual_one_is_told_with_the_ballots() -> None:
    judging = Judging(strategy="independent", scale=5, orders="both", reconcile="mean", samples=3, confidence=True)
    picture = drawn(replace(asking("ann", wanted="ballot"), judging=judging), names=("ann",))
    (turn,) = picture.rows
    assert isinstance(turn, Turn)
    assert turn.remarks == ("independent, out of 5, both orders, their mean, 3 samples, with confidence",)


def test_a_decision_says_among_whom_and_what_ties_and_weights_are() -> None:
    decide = DecideStep("1", "weighted", RULES["unique-mode"], ("ann", "bob"), "first", {"ann": 2.0}, "answer")
    bar = drawn(asking("ann", "bob", "cid"), decide, names=("ann", "bob", "cid")).rows[1]
    assert bar == Bar("decide on an answer: weighted", ("among ann, bob", "ties: first", "weights ann 2"))


def test_long_instructions_are_shortened_at_a_word() -> None:
    picture = drawn(asking("ann", instructions="Think  of\nthis. " + "word " * 100), names=("ann",))
    (turn,) = picture.rows
    assert isinstance(turn, Turn)
    assert turn.instructions.startswith("Think of this. word")
    assert turn.instructions.endswith("word …")
    assert len(turn.instructions) < 160


def test_judges_of_drafts_speak_in_the_bar_of_the_pick() -> None:
    (picture,) = pictures(planned("preference-pairs"))
    pick = picture.rows[2]
    assert isinstance(pick, Bar)
    assert [titles(picture)[voice.column] for voice in pick.voices] == ["judge"]
    assert pick.remarks[:2] == ("among the drafts of writer, single", "by judge")


def test_a_sweep_has_a_picture_of_each_leg_that_says_what_is_varied() -> None:
    shown = draw("loops", "--model", "x=acme/x", "--model", "y=acme/y").stdout
    boxes = re.findall(r"box transparent (.*)", shown)
    assert boxes == ["answer", *(f"feedback-loop: review {who}" for who in ("same", "other", "both"))]
    compared = draw("evaluation").stdout
    assert "box transparent judge: strategy direct, independent, combined" in compared
    assert compared.count("box transparent debate") == 1
    checked(shown)
    checked(compared)


def test_the_model_is_told_by_its_alias_and_by_its_name_where_it_is_set() -> None:
    assert "public<br/>debater<br/>a member of the general public<br/>model judge" in draw("debate").stdout
    assert "model acme/x" in draw("debate", "--model", "judge=acme/x").stdout

"""Pictures of flows, as Mermaid and as SVG, and the pages written from the code."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playing import library as planned
from typer.testing import CliRunner, Result

from fellowship.agents import Profile
from fellowship.protocols.aggregation import RULES
from fellowship.protocols.judging import Judging
from fellowship.protocols.models import ModelSettings
from fellowship.protocols.stopping import Condition
from fellowship.runtime.supervision import Policy
from fellowship.scenarios import load, plan, spec
from fellowship.scenarios.cli import app
from fellowship.scenarios.drawing import gallery, words
from fellowship.scenarios.drawing.chart import pictures
from fellowship.scenarios.drawing.mermaid import markdown, mermaid
from fellowship.scenarios.drawing.picture import Bar, Frame, Part, Picture, Row, Turn
from fellowship.scenarios.drawing.svg import svg
from fellowship.scenarios.drawing.text import width
from fellowship.scenarios.loading import library
from fellowship.scenarios.steps import AskStep, DecideStep, EachStep, Plan, RepeatStep, Step, WhenStep

DOCS = Path(__file__).parents[2] / "docs"
HOSTILE = '"]]></style></text><script>alert(1)</script>; end #35; %% &amp; <b>\n\x1b[31m\x00 participant x'
SVG = "{http://www.w3.org/2000/svg}"


def draw(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["draw", *arguments], env={"FELLOWSHIP_RUN_MODEL": "", "NO_COLOR": "1"})


# plans by hand: what the language can say, whoever plays it


def asking(*agents: str, wanted: spec.Wanted = "argument", **more: object) -> AskStep:
    usual = {"in_turn": False, "shuffled": False, "blind": len(agents) > 1, "apart": False, "hears": {}, "until": None}
    return AskStep(place="0", agents=agents, wanted=wanted, judging=Judging(), **{**usual, **more})  # type: ignore[arg-type]


def everyone(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: tuple(other for other in names if other != name) for name in names}


def by_hand(*flow: Step, names: Sequence[str], role: str = "debater", about: str = "", **more: object) -> Plan:
    bare = names[0].partition("-")[0]
    scenario = spec.Scenario.model_validate(
        {
            "scenario": "mine",
            "about": about,
            "takes": "comparison",
            "models": {"m": "acme/m"},
            "agents": {bare: {"role": role}},
            "flow": [{"ask": bare, "for": "ballot"}, {"decide": "unique-mode"}],
            "gives": "verdict",
            **more,
        }
    )
    profiles = {name: Profile(name, role, ModelSettings(model="acme/m")) for name in names}
    return Plan(scenario, profiles, {}, dict.fromkeys(names, Policy(())), flow)


def drawn(*flow: Step, names: Sequence[str], **more: object) -> Picture:
    (found,) = pictures(by_hand(*flow, names=names, **more))  # type: ignore[arg-type]
    return found


def titles(picture: Picture) -> list[str]:
    return [column.title for column in picture.columns]


def heard(picture: Picture, row: Row) -> list[tuple[str, str, bool]]:
    """Return who is heard, by whom, and whether from the second round on only."""
    assert isinstance(row, Turn)
    names = titles(picture)
    return [
        (" ".join(names[each] for each in hearing.heard), " ".join(names[each] for each in hearing.by), hearing.later)
        for hearing in row.hearing
    ]


# what a picture shows


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


# Mermaid

PARTICIPANT = re.compile(r"participant (\w+) as \S.*")
MESSAGE = re.compile(r"(\w+)--?>>(\w+): \S.*")
NOTE = re.compile(r"Note over (\w+)(?:,(\w+))?: \S.*")
OPENING = re.compile(r"(loop|alt|opt|par) \S.*|box transparent \S.*")
ENTITY = re.compile(r"#\d+;")


def checked(text: str) -> list[str]:
    """Read a diagram by the grammar that is written here, strictly; return the participants."""
    lines = [line.strip() for line in text.splitlines()]
    if lines[0].startswith("%%"):
        assert re.fullmatch(r'%%\{init: \{"theme": "(dark|default)"\}\}%%', lines.pop(0))
    assert lines.pop(0) == "sequenceDiagram"
    known: list[str] = []
    depth: list[str] = []
    for line in lines:
        bare = ENTITY.sub("", line)
        assert not set(bare) & set(";#%{}\\`&"), line
        assert not set(bare.replace("<br/>", "").replace("->>", "")) & set("<>"), line
        if match := PARTICIPANT.fullmatch(line):
            known.append(match[1])
        elif match := MESSAGE.fullmatch(line) or NOTE.fullmatch(line):
            assert {name for name in match.groups() if name} <= set(known), line
        elif OPENING.fullmatch(line):
            depth.append(line.split()[0])
        elif re.fullmatch(r"else( \S.*)?", line):
            assert depth[-1] == "alt"
        else:
            assert line == "end", line
            depth.pop()
        words = re.split(r"\W+", line.partition(" " if line.startswith(("Note", "else")) else ":")[2])
        assert "end" not in words, "a word that ends what is open"
    assert not depth
    assert len(known) == len(set(known))
    return known


@pytest.mark.parametrize("name", library())
def test_every_library_scenario_is_drawn_as_a_diagram_that_can_be_read(name: str) -> None:
    assert checked(draw(name).stdout)
    assert checked(draw(name, "--theme", "dark").stdout)


def test_who_hears_whom_is_an_arrow_with_what_was_said_and_of_many_a_note() -> None:
    shown = draw("feedback-loop").stdout
    assert (
        "p1->>p2: draft\n        Note over p2: feedback<br/>with a score out of 10\n        p2->>p1: feedback" in shown
    )
    assert "Note over p1,p3: all hear one another: argument" in draw("debate").stdout
    assert "p2-->>p1: feedback, from the second round on" in draw("feedback-gated").stdout


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_whatever_people_write_the_pictures_stay_well_formed(instructions: str, about: str) -> None:
    plan = by_hand(asking("ann", "bob", instructions=instructions), names=("ann", "bob"), about=about)
    (picture,) = pictures(plan)
    (turn,) = picture.rows
    hostile = replace(
        picture, columns=tuple(replace(each, title=f"a{instructions}", role=f"r{about}") for each in picture.columns)
    )
    for each in (picture, hostile, replace(picture, rows=(Frame("when", (Part(f"w{instructions}", (turn,)),)),))):
        checked(mermaid((each,)))
        ET.fromstring(svg((each,)))  # noqa: S314 - our own


def test_words_that_would_break_out_of_a_picture_are_only_words_in_it() -> None:
    plan = by_hand(asking("ann", instructions=HOSTILE), names=("ann",), about=HOSTILE)
    pictured = pictures(plan)
    checked(mermaid(pictured))
    root = ET.fromstring(svg(pictured))  # noqa: S314 - our own
    assert {element.tag for element in root.iter()} <= {SVG + tag for tag in SHAPES}
    assert "<script>alert(1)</script>" in (root.findtext(f"{SVG}desc") or "")
    page = markdown(pictured)
    assert page.count("```") == 2


# SVG

SHAPES = ("svg", "title", "desc", "style", "rect", "circle", "polygon", "polyline", "text")


def texts(drawing: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(drawing).iter(f"{SVG}text")]  # noqa: S314


def rectangles(drawing: str) -> list[tuple[float, float, float, float]]:
    """Return left, top, right and bottom of every line of text, as wide as it may be."""
    found: list[tuple[float, float, float, float]] = []
    for element in ET.fromstring(drawing).iter(f"{SVG}text"):  # noqa: S314 - our own
        size, words = float(element.attrib["font-size"]), "".join(element.itertext())
        x, y, wide = float(element.attrib["x"]), float(element.attrib["y"]), width(words, size)
        left = x - wide / 2 if "middle" in element.attrib["class"].split() else x
        found.append((left, y - size, left + wide, y + size * 0.25))
    return found


def assert_readable(drawing: str) -> None:
    """Assert that no text lies outside of the drawing, or upon another one."""
    root = ET.fromstring(drawing)  # noqa: S314 - our own
    broad, high = float(root.attrib["width"]), float(root.attrib["height"])
    placed = rectangles(drawing)
    for left, top, right, bottom in placed:
        assert left >= 0
        assert right <= broad
        assert top >= 0
        assert bottom <= high
    for number, one in enumerate(placed):
        for other in placed[number + 1 :]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1], (one, other)


@pytest.mark.parametrize("name", library())
def test_no_text_of_a_library_picture_is_cut_or_lies_upon_another(name: str) -> None:
    assert_readable(draw(name, "--format", "svg").stdout)


def test_long_names_and_many_columns_are_wrapped_within_the_picture() -> None:
    names = tuple(f"{letter}-very-long-name-of-somebody-who-takes-part" for letter in "abcdefghijk")
    flow = asking(*names, wanted="ballot", in_turn=True, blind=False, hears=everyone(*names), instructions="x" * 400)
    picture = drawn(RepeatStep("0", 2, (flow,), (Condition.from_str("consensus"),)), names=names)
    assert len(picture.columns) == 11
    assert_readable(svg((picture,)))
    assert_readable(svg((drawn(asking("a" * 90, instructions="汉字" * 60), names=("a" * 90,)),)))


def test_an_svg_tells_its_title_and_what_it_is_about() -> None:
    root = ET.fromstring(draw("debate", "--format", "svg").stdout)  # noqa: S314 - our own
    assert root.attrib["role"] == "img"
    assert root.findtext(f"{SVG}title") == "The flow of debate"
    assert (root.findtext(f"{SVG}desc") or "").startswith("debate: Three personas discuss two answers")
    labels = root.attrib["aria-labelledby"].split()
    assert labels == [element.attrib["id"] for element in root.iter() if "id" in element.attrib]


def test_a_page_decides_between_light_and_dark_unless_it_is_asked_for_one() -> None:
    auto, light, dark = (
        draw("jury", "--format", "svg", "--theme", theme).stdout for theme in ("auto", "light", "dark")
    )
    assert "prefers-color-scheme:dark" in auto
    assert "prefers-color-scheme" not in light + dark
    assert ".page{fill:#ffffff}" in light
    assert ".page{fill:#0d1117}" in dark


def test_everyone_hearing_everyone_is_one_line_however_many_they_are() -> None:
    names = tuple("abcdefg")
    picture = drawn(asking(*names), asking(*names, hears=everyone(*names)), names=names)
    assert heard(picture, picture.rows[1]) == [(" ".join(names), " ".join(names), False)]
    drawing = svg((picture,))
    assert drawing.count("<circle") == 7 + 1, "one for each who is heard, one in the legend"


def test_the_same_scenario_gives_the_same_bytes() -> None:
    assert (
        draw("jury-escalating", "--format", "svg").stdout_bytes
        == draw("jury-escalating", "--format", "svg").stdout_bytes
    )


# the command


def test_a_file_is_written_in_the_form_that_its_ending_says(tmp_path: Path) -> None:
    for name, start in (("d.svg", "<svg "), ("d.mmd", "sequenceDiagram\n"), ("d.md", "# debate\n\nThree personas")):
        done = draw("debate", "--to", str(tmp_path / name))
        assert (done.exit_code, done.stdout) == (0, "")
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)
    assert "```mermaid\nsequenceDiagram\n" in (tmp_path / "d.md").read_text(encoding="utf-8")


def test_parts_that_are_set_are_in_the_picture() -> None:
    assert "loop 5 rounds" in draw("feedback-loop", "--set", "rounds=5").stdout
    assert "pick: knock-out<br/>by judge" in draw("feedback-loop", "--set", "pick=knock-out").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("debat",), "unknown scenario 'debat'; did you mean 'debate'?"),
        (("debate", "--to", "x.sgv"), "--to x.sgv: unknown ending '.sgv'; did you mean '.svg'?"),
        (("debate", "--to", "x"), "--to x: unknown ending ''; there is .md, .mermaid, .mmd, .svg"),
        (("debate", "--to", "x.svg", "--format", "mermaid"), "--to x.svg is for svg, and --format says mermaid"),
        (
            ("debate", "--to", "no/such/folder/x.svg"),
            "no/such/folder/x.svg cannot be written: No such file or directory",
        ),
        (("debate", "--set", "rounds=2"), "unknown key 'rounds'"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_a_sentence(arguments: tuple[str, ...], told: str) -> None:
    done = draw(*arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_file_of_ones_own_is_drawn(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "scenario: mine\ntakes: comparison\nmodels: {m: acme/m}\n"
        "agents: {pro: {role: debater, count: 2, side: a}, con: {role: debater, count: 2, side: b}}\n"
        "flow:\n  - {ask: [pro, con], for: argument, order: alternating, hears: everyone}\n"
        "  - {ask: [pro, con], for: ballot}\n  - {decide: unique-mode}\ngives: verdict\n"
    )
    scenario, source = load(str(mine))
    (picture,) = pictures(plan(scenario, source=source))
    assert [column.about[:1] for column in picture.columns] == [("argues for a",), ("argues for b",)]
    checked(draw(str(mine)).stdout)


def test_the_agents_of_a_scenario_that_is_used_come_along(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "scenario: mine\ntakes: comparison\nmodels: {m: acme/m}\nagents: {chair: {role: moderator, model: m}}\n"
        "flow:\n  - {use: debate}\n  - {ask: chair, for: summary, hears: everyone}\n  - {decide: unique-mode}\n"
        "gives: verdict\n"
    )
    scenario, source = load(str(mine))
    (picture,) = pictures(plan(scenario, source=source))
    assert sorted(titles(picture)) == ["chair", "debate-critic", "debate-psychologist", "debate-public"]
    assert isinstance(picture.rows[0], Frame)
    assert picture.rows[2] == Bar("decide: mean-score", picture.rows[2].remarks)  # type: ignore[union-attr]
    assert_readable(svg((picture,)))


# the pages that are written from the code


def test_the_gallery_the_pictures_and_the_words_are_up_to_date() -> None:
    made = gallery.documents()
    stale = [
        path for path, text in made.items() if not (DOCS / path).is_file() or (DOCS / path).read_text("utf-8") != text
    ]
    gone = [path.name for path in (DOCS / "gallery").iterdir() if f"gallery/{path.name}" not in made]
    assert (stale, gone) == ([], []), "make docs writes them anew"


def test_the_gallery_shows_every_library_scenario_with_its_source_its_calls_and_its_command() -> None:
    shown = gallery.gallery()
    assert re.findall(r"^## (.*)$", shown, re.MULTILINE) == list(library())
    debate = shown.partition("## debate\n")[2].partition("\n## ")[0]
    for told in ("> Chan et al. 2023", "(gallery/debate.svg)", "9 calls an item", "fellowship run debate --data"):
        assert told in debate


def test_pictures_of_scenarios_that_are_no_more_are_removed(tmp_path: Path) -> None:
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "gone.svg").write_text("")
    gallery.write(tmp_path)
    assert sorted(path.stem for path in (tmp_path / "gallery").iterdir()) == sorted(library())


@pytest.mark.parametrize("heading", words.MODELS)
def test_the_page_of_words_has_every_key_of_every_model_with_what_it_says(heading: str) -> None:
    section = words.page().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    keys = re.findall(r"^\| `([^`]+)` \| .+ \| .* \| (.*) \|$", section, re.MULTILINE)
    model = words.MODELS[heading]
    wanted = {str(field.serialization_alias or name) for name, field in model.model_fields.items()}
    assert {key for key, _ in keys} == wanted
    assert all(told for _, told in keys), "every key says what it is"


def test_every_model_that_reads_a_part_of_a_file_has_a_table() -> None:
    declared = {each for each in vars(spec).values() if isinstance(each, type) and issubclass(each, spec.Declared)}
    told = {*words.MODELS.values()}
    assert {each.__name__ for each in declared - told} == {"Declared", "_Judged"}


def test_the_page_of_words_says_what_every_name_of_a_registry_is() -> None:
    shown = words.page()
    for heading, registry in words.REGISTRIES.items():
        section = shown.partition(f"## {heading}\n")[2].partition("\n## ")[0]
        found = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", section, re.MULTILINE))
        assert list(found) == list(registry[0])
        assert all(len(told.split()) > 2 for told in found.values())


def test_links_within_the_page_of_words_lead_somewhere() -> None:
    shown = words.page()
    headings = {each.lower().replace(" ", "-") for each in re.findall(r"^## (.*)$", shown, re.MULTILINE)}
    assert set(re.findall(r"\(#([^)]+)\)", shown)) <= headings

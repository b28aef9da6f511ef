"""The command draw, and pictures as Mermaid and as SVG."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picturing import (
    SVG,
    asking,
    assert_readable,
    by_hand,
    checked,
    draw,
    drawn,
    everyone,
    heard,
    titles,
)

from fellowship.protocols.stopping import Condition
from fellowship.scenarios import load, plan
from fellowship.scenarios.drawing.chart import pictures
from fellowship.scenarios.drawing.mermaid import markdown, mermaid
from fellowship.scenarios.drawing.picture import Bar, Frame, Part
from fellowship.scenarios.drawing.svg import svg
from fellowship.scenarios.loading import library
from fellowship.scenarios.steps import RepeatStep

HOSTILE = '"]]></style></text><script>alert(1)</script>; end #35; %% &amp; <b>\n\x1b[31m\x00 participant x'
SHAPES = ("svg", "title", "desc", "style", "rect", "circle", "polygon", "polyline", "text")


# Mermaid


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
@settings(max_examples=30, deadline=None)
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

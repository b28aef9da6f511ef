"""What tests of pictures share: plans by hand, `draw`, a strict reader of diagrams, and whether texts can be read."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from playing import fellowship
from typer.testing import Result

from fellowship.agents import Profile
from fellowship.protocols.judging import Judging
from fellowship.protocols.models import ModelSettings
from fellowship.runtime.supervision import Policy
from fellowship.scenarios import spec
from fellowship.scenarios.drawing.chart import pictures
from fellowship.scenarios.drawing.picture import Picture, Row, Turn
from fellowship.scenarios.drawing.text import width
from fellowship.scenarios.steps import AskStep, Plan, Step

SVG = "{http://www.w3.org/2000/svg}"


def draw(*arguments: str) -> Result:
    return fellowship("draw", *arguments, env={"FELLOWSHIP_RUN_MODEL": "", "NO_COLOR": "1"})


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

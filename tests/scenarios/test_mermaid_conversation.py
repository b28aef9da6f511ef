"""Conversations as Mermaid diagrams: who said what to whom, and no text that is more than text."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playing import MODEL, beside, fellowship, written

from fellowship.protocols.debate import ArgumentMade
from fellowship.protocols.identity import ConversationId, ItemId
from fellowship.protocols.items import Candidate, Item
from fellowship.protocols.judging import Ballot, Judging
from fellowship.protocols.jury import CastVote, VoteCast
from fellowship.protocols.lifecycle import DecisionMade, Failure, ItemFailed
from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios.sharing.diagram import diagram
from fellowship.scenarios.sharing.members import Member
from fellowship.scenarios.traces.talk import Awaited, Effort, Talk, Turn

TEXT = r"[^;#<>{}%\\`\"&\x00-\x1f\x7f-\x9f\u2028\u2029]|#\d+;|<br/>"
STATEMENT = re.compile(
    rf"sequenceDiagram|\s+(participant p\d+ as ({TEXT})+|p\d+->>p\d+: ({TEXT})+|Note over p\d+(,p\d+)?: ({TEXT})+|rect rgba\([\d., ]+\)|end)"
)


@pytest.fixture(scope="module")
def debate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("debate")
    data = written(folder / "d.jsonl", 2)
    with beside(LoopbackEndpoint(answer=Opinions(unreadable=0))) as endpoint:
        options = ("--model", MODEL, "--base-url", endpoint.base_url)
        assert fellowship("run", "debate", "--data", data, "--out", folder / "r", *options).exit_code == 0
    return folder / "r"


def test_a_debate_is_drawn_with_its_cast_its_rounds_its_votes_and_an_arrow_to_each_who_hears(debate: Path) -> None:
    drawn = fellowship("export", debate, "--format", "mermaid", "--item", "i1", "--to", "-")
    assert (drawn.exit_code, "9 messages" in drawn.stderr) == (0, True)
    lines = drawn.stdout.splitlines()
    assert all(STATEMENT.fullmatch(line) for line in lines)
    cast = [line.split(" as ")[1].split("<br/>") for line in lines if "participant" in line]
    assert cast == [[name, "debater", MODEL] for name in ("public", "psychologist", "critic")]
    arrows = [line.split(":")[0].strip() for line in lines if "->>" in line]
    round_of_all = ["p1->>p2", "p1->>p3", "p2->>p1", "p2->>p3", "p3->>p1", "p3->>p2"]
    assert arrows == round_of_all * 3
    assert [line.strip() for line in lines if "Round" in line] == [f"Note over p1,p3: Round {each}" for each in (1, 2)]
    assert lines.count("    end") == 2
    assert sum(bool(re.search(r": votes (a|b|tie), a \d+ : b \d+ ", line)) for line in lines) == 3
    assert "Decision by mean-score" in lines[-2]
    assert "Outcome: " in lines[-1]


def test_a_diagram_goes_to_a_file_whole_and_what_cannot_be_drawn_is_said(debate: Path, tmp_path: Path) -> None:
    to = tmp_path / "talk.mmd"
    told = fellowship("export", debate, "--format", "mermaid", "--item", "i0", "--to", to, "--json")
    counts = json.loads(told.stdout)["counts"]
    assert counts == {"messages": 9, "characters": len(to.read_text("utf-8"))}
    assert [path.name for path in tmp_path.iterdir()] == ["talk.mmd"]
    for arguments, words in (
        (("--to", to), "say which by one --item ID"),
        (("--to", to, "--item", "i0", "--item", "i1"), "say which by one --item ID"),
        (("--to", to, "--item", "i7"), "the run has no item 'i7'; did you mean"),
        (("--to", to / "t.mmd", "--item", "i0"), "cannot be written: File exists"),
        (("--to", to, "--item", "i0", "--seed", "1"), "--seed mean nothing for mermaid"),
        (("--to", to, "--item", "i0", "--format", "dpo"), "--format mermaid goes alone"),
        (("--to", "-", "--item", "i0", "--json"), "--to - and --json would both be on stdout"),
    ):
        refused = fellowship("export", debate, "--format", "mermaid", *arguments)
        assert refused.exit_code == 2, arguments
        assert words in " ".join(refused.stderr.split())
    refused = fellowship("export", debate, "--format", "dpo", "--item", "i0", "--to", tmp_path / "d")
    assert "--item means nothing for a data set" in " ".join(refused.stderr.split())


def talk(text: str, *, heard_by: tuple[str, ...]) -> Talk:
    """Two who say a text, in a conversation that has it everywhere else, too."""
    judging = Judging()
    vote = VoteCast(round=1, judging=judging, ballots=(Ballot(order="ab", verdict="a", reason=text),), verdict="a")
    failed = ItemFailed(number=0, cause=Failure(error="Wrong", reason=text))
    turns = [
        Turn(3, "ann", ArgumentMade(round=1, text=text), 1.0, step="0.0", round=1, heard_by=list(heard_by)),
        Turn(4, "conductor", DecisionMade(rule=text, version=1, verdict="a", votes=1, unread=0), 2.0),
        Turn(5, "end", vote, 2.0, step="0.1", round=1),
        Turn(6, "conductor", failed, 3.0),
    ]
    item = Item(id=ItemId(text or "?"), prompt=text, candidates=(Candidate(slot="a", text=text),))
    awaited = [Awaited(7, "end", CastVote(judging=judging, orders=("ab",)), 4.0, Effort())]
    return Talk(ConversationId("c"), 0, item, turns, awaited, 1.0, 4.0)


HOSTILE = st.lists(
    st.sampled_from(
        ['"', ";", "#", "<br/>", "<script>", "\n", "\r", "\u2028", "\u2029", "\x85", "end", "wrap:", "%%", "$$", "{", "}",
         "`", "\\", "&amp;", "->>", "Note over p1: x", "\n    p1->>p2: I said nothing", "\x1b[31m", "\u202e", "participant"]
    )
    | st.text(max_size=8)
).map("".join)  # fmt: skip


@given(HOSTILE)
@settings(max_examples=150)
def test_whatever_is_said_stays_the_text_of_its_statement(text: str) -> None:
    cast = {name: Member(name, text, text) for name in ("end", "ann")}
    lines = diagram(talk(text, heard_by=("end", "end")), cast).split("\n")
    assert lines.pop() == ""
    assert all(STATEMENT.fullmatch(line) for line in lines)
    shape = [re.sub(r"( as |: (?!Round)).*", "", line).strip() for line in lines]
    band = [
        "rect rgba(127, 127, 127, 0.12)",
        "Note over p1,p2: Round 1",
        "p2->>p1",
        "Note over p1,p2",
        "Note over p1",
        "end",
    ]
    assert shape == [
        "sequenceDiagram",
        "participant p1",
        "participant p2",
        "Note over p1,p2",
        *band,
        "Note over p1,p2",
        "Note over p1",
    ]
    assert not any(re.search(r"\bend\b|\$\$|\x1b|\u202e", line.partition(":")[2]) for line in lines)


def test_what_nobody_hears_is_a_note_over_its_speaker_and_who_owes_an_answer_is_named() -> None:
    lines = diagram(talk("as it is", heard_by=())).splitlines()
    assert "        Note over p1: argues: as it is (nobody hears it)" in lines
    assert lines[-1] == "    Note over p2: has not answered yet"
    assert not any("->>" in line for line in lines)

"""A conversation as lanes: laid out by numbers alone, and as the page a browser gets."""

from collections import Counter
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from browsing import PHONE, WIDE, browsing, in_a_browser
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import written
from viewing import gallery

from fellowship.protocols.debate import ArgumentMade, MakeArgument
from fellowship.protocols.generation import DraftWritten
from fellowship.protocols.identity import ConversationId, ItemId
from fellowship.protocols.items import Item
from fellowship.protocols.judging import Judging, Verdict
from fellowship.protocols.jury import VoteCast
from fellowship.protocols.lifecycle import AgentFailed, ConditionMet, DecisionMade, Failure, ItemOpened
from fellowship.protocols.messages import Message
from fellowship.runtime.log import LogReader
from fellowship.scenarios.placed import placed
from fellowship.scenarios.traces.talk import Effort, Talk, Turn, fold
from fellowship.scenarios.traces.transcript import words
from fellowship.scenarios.viewer.lanes import MOST_LANES, Arrow, Cell, Sheet, laid_out, spots
from fellowship.scenarios.viewer.polls import matrices
from fellowship.scenarios.viewer.reading import Reading, folded
from fellowship.scenarios.viewer.rendering import TEMPLATES
from fellowship.scenarios.viewer.serving import serving

ITEM = Item(id=ItemId("i0"), prompt="Which?")
VOID: frozenset[str] = frozenset({"meta", "link", "input", "br", "hr"})


def talk(turns: Iterable[Turn]) -> Talk:
    return Talk(ConversationId("i0~1"), 0, ITEM, list(turns), [], 0.0, 1.0)


def turn(
    number: int,
    speaker: str,
    message: Message,
    *,
    asked: int = 0,
    in_round: int | None = None,
    hears: Iterable[str] = (),
    **took: Any,
) -> Turn:
    step = "0.0" if in_round is not None else "1"
    return Turn(number, speaker, message, 0.0, asked or number - 1, step, in_round, list(hears), Effort(**took))


def vote(verdict: Verdict, in_round: int = 1) -> VoteCast:
    return VoteCast(round=in_round, judging=Judging(), ballots=(), verdict=verdict)


def said(text: str = "So.") -> ArgumentMade:
    return ArgumentMade(round=1, text=text)


def shape(sheet: Sheet) -> list[tuple[int | None, list[object]]]:
    """Return rounds, each with its rows: the lanes of their cells, or the kind of a line."""
    return [
        (
            band.round,
            [[cell.lane for cell in row.cells] if row.line is None else row.line.message.kind for row in band.rows],
        )
        for band in sheet.bands
    ]


def test_what_was_asked_together_stands_in_a_row_rounds_are_bands_and_the_conductor_has_the_whole_width() -> None:
    turns = [
        turn(10, "x", said(), in_round=1, hears=["y", "z"]),
        turn(12, "y", said(), in_round=1, hears=["x", "z"]),
        turn(20, "z", vote("a"), asked=13, in_round=1),
        turn(21, "x", vote("b"), asked=14, in_round=1, hears=["z"]),
        Turn(22, "conductor", ConditionMet(round=1, until="consensus"), 0.0),
        turn(30, "x", vote("a"), asked=23, in_round=2, hears=["x", "y"]),
        turn(
            31, "y", AgentFailed(cause=Failure(error="E", reason="r"), attempt=1, then="recuse"), asked=24, in_round=2
        ),
        Turn(40, "conductor", DecisionMade(rule="majority", version=1, verdict="a", votes=3, unread=0), 0.0),
    ]
    sheet = laid_out(talk(turns))
    assert [lane.name for lane in sheet.lanes] == ["x", "y", "z"]
    assert shape(sheet) == [
        (1, [[0], [1], [2, 0]]),
        (None, ["condition_met"]),
        (2, [[0, 1]]),
        (None, ["decision_made"]),
    ]
    rows = [row for row in sheet.rows if row.cells]
    assert [(cell.arrows, cell.level) for cell in rows[2].cells] == [((), 0), ((Arrow(0, 2),), 11)]
    assert rows[3].cells[0].before == "b"
    assert [cell.sort for cell in rows[3].cells] == ["said", "trouble"]
    first = [(arrow, start, end) for _, lines in spots(rows[0].cells, 3) for arrow, start, end in lines]
    assert first == [(Arrow(0, 1), 16.667, 50.0), (Arrow(0, 2), 16.667, 83.333)]
    assert Arrow(0, 0) in rows[3].cells[0].arrows


NAMES = st.sampled_from("uvwxyz")


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(NAMES, st.lists(NAMES, max_size=6), st.sampled_from((None, 1, 2)), st.integers(0, 4)), max_size=25
    )
)
def test_every_arrow_is_drawn_once_from_the_speakers_lane_to_the_hearers(
    spoken: list[tuple[str, list[str], int | None, int]],
) -> None:
    turns = [
        turn(10 * number, who, said(), asked=max(1, 10 * (number - back) - 5), in_round=number_of_round, hears=heard)
        for number, (who, heard, number_of_round, back) in enumerate(spoken, 1)
    ]
    sheet = laid_out(talk(turns))
    lane = {each.name: lane.place for lane in sheet.lanes for each in lane.members}
    count = len(sheet.lanes)
    wanted = Counter((each.sequence, lane[each.speaker], lane[name]) for each in turns for name in set(each.heard_by))
    drawn: Counter[tuple[int, int, int]] = Counter()
    for row in sheet.rows:
        assert len({cell.lane for cell in row.cells}) == len(row.cells)
        for cell, lines in spots(row.cells, count):
            assert cell.turn is not None
            assert 0 < cell.level < row.height
            for arrow, start, end in lines:
                drawn[cell.turn.sequence, arrow.speaker, arrow.hearer] += 1
                assert abs(start - 100 * (arrow.speaker + 0.5) / count) < 0.001
                assert abs(end - 100 * (arrow.hearer + 0.5) / count) < 0.001
    assert drawn == wanted
    assert [cell.turn.sequence for row in sheet.rows for cell in row.cells if cell.turn] == [
        each.sequence for each in turns
    ]


def test_who_comes_after_the_most_lanes_shares_the_last_one() -> None:
    names = [f"n{number}" for number in range(MOST_LANES + 8)]
    sheet = laid_out(talk([turn(10 * number, name, said(), hears=names) for number, name in enumerate(names, 1)]))
    assert len(sheet.lanes) == MOST_LANES
    assert sheet.lanes[-1].name == "9 others"
    assert max(len(cell.arrows) for row in sheet.rows for cell in row.cells) == MOST_LANES


def test_heat_is_the_share_of_the_most_and_an_unknown_cost_has_none() -> None:
    took = ((0.5, 1.0), (1.0, 4.0), (None, 0.0))
    turns = [turn(10 * number, "x", said(), cost_usd=usd, seconds=s) for number, (usd, s) in enumerate(took, 1)]
    cells: list[Cell] = [cell for row in laid_out(talk(turns)).rows for cell in row.cells]
    assert [dict(cell.heats) for cell in cells] == [
        {"cost": 5, "seconds": 2},
        {"cost": 9, "seconds": 9},
        {"seconds": 0},
    ]


def test_the_matrix_has_each_vote_in_its_poll_with_what_it_was_before() -> None:
    turns = [
        turn(10, "x", vote("a"), asked=1, in_round=1),
        turn(11, "y", vote("unread"), asked=2, in_round=1),
        turn(20, "y", vote("b", 2), asked=12, in_round=2),
        turn(21, "x", vote("a", 2), asked=13, in_round=2),
        Turn(30, "conductor", DecisionMade(rule="majority", version=1, verdict="tie", votes=2, unread=0), 0.0),
        turn(40, "y", DraftWritten(round=1, text="It is 4.", version=1, answer="4")),
    ]
    votes, answers = matrices(talk(turns), ["y", "x"])
    assert votes.voters == ("y", "x")
    assert [poll.label for poll in votes.polls] == ["round 1", "round 2"]
    told = [[(poll.votes[name].says, poll.votes[name].before) for name in votes.voters] for poll in votes.polls]
    assert told == [[("unread", None), ("a", None)], [("b", "unread"), ("a", None)]]
    assert votes.decision is not None
    assert (votes.decision.verdict, votes.decided_at) == ("tie", 30)
    assert (answers.title, answers.polls[0].votes["y"].says, answers.decision) == ("Answers", "4", None)


@settings(max_examples=60)
@given(st.text(alphabet="ab \n", max_size=3000))
def test_folding_loses_nothing_of_a_text_but_the_break_at_which_it_is_folded(text: str) -> None:
    shown, rest, lines = folded(text)
    assert text.startswith(shown)
    assert text.endswith(rest)
    assert text[len(shown) : len(text) - len(rest)].strip("\n") == ""
    assert bool(rest) == bool(lines)


def test_steps_of_scenarios_that_are_used_have_the_places_that_commands_have() -> None:
    inner = {"flow": [{"ask": "judge", "for": "ballot", "blind": True}]}
    flow = [
        {"ask": ["x", "y"], "for": "ballot", "secret": True},
        {
            "when": "disagreement",
            "do": [{"use": "judge", "set": {"judging.scale": 5}}],
            "else": [{"ask": "x", "for": "argument"}],
        },
        {"repeat": 2, "do": [{"ask": "x", "for": "argument"}]},
    ]
    found = list(placed({"flow": flow, "used": {"judge with judging.scale=5": inner}}))
    assert [(each.place, each.used, bool(each.said.get("blind"))) for each in found] == [
        ("0", (), False),
        ("1.do.0.0", ("judge",), True),
        ("1.else.0", (), False),
        ("2.0", (), False),
    ]


class Elements(HTMLParser):
    """The elements of a page, each with its attributes and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.all: list[dict[str, str]] = []
        self._open: list[dict[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        element = {"tag": tag, "words": "", **{name: value or "" for name, value in attributes}}
        self.all.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()["tag"] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element["words"] += data

    def of(self, tag: str, sort: str = "") -> list[dict[str, str]]:
        return [each for each in self.all if each["tag"] == tag and sort in [*each.get("class", "").split(), ""]]


async def fetched(url: str, *places: str) -> list[tuple[int, str]]:
    async with aiohttp.ClientSession() as session:
        found = []
        for place in places:
            async with session.get(f"{url}{place}") as answer:
                found.append((answer.status, await answer.text()))
        return found


async def test_the_page_has_every_message_once_with_its_words_anchor_hearers_and_arrows(tmp_path: Path) -> None:
    run = gallery()["debate"]
    with LogReader(run / "run.db") as log:
        found = fold(log, ConversationId("i3~1"))
    async with serving([run], port=0, folder=tmp_path) as url:
        [(status, text)] = await fetched(url, "r/debate/conversation?id=i3~1")
    assert status == 200
    page = Elements(text)
    spoken = [each for each in found.turns if each.said]
    assert [each["id"] for each in page.of("article", "said")] == [f"m{each.sequence}" for each in spoken]
    for element, each in zip(page.of("article", "said"), spoken, strict=True):
        assert each.speaker in element["words"]
        assert words(each.message) in element["words"]
        assert "→ both others" in element["words"]
    assert len(page.of("svg", "arrows")) == len([each for each in laid_out(found).rows if each.height])
    lines = [each for each in page.of("line") if each.get("class", "").startswith("t")]
    assert len(lines) == sum(len(each.heard_by) for each in spoken)
    assert [each["words"] for each in page.of("h3")] == ["Round 1", "Round 2"]
    assert len(page.of("table", "matrix")) == 1
    ids = [each["id"] for each in page.all if "id" in each]
    assert len(ids) == len(set(ids))
    assert not any("style" in each for each in page.all)


async def test_votes_that_are_unread_and_changes_of_mind_are_told_in_matrix_and_lane(tmp_path: Path) -> None:
    run = gallery()["again"]
    async with serving([run], port=0, folder=tmp_path) as url:
        pages = await fetched(url, *(f"r/again/conversation?id=i{number}~1" for number in range(6)))
    told = " ".join(text for _, text in pages)
    moved = [each for _, text in pages for each in Elements(text).of("td", "moved")]
    assert "votes unread" in told
    assert moved
    assert len(moved) == told.count("changes its mind, was ")
    assert all("was " in each["words"] for each in moved)


async def test_a_conversation_leads_on_in_the_order_of_the_list_it_was_found_in(tmp_path: Path) -> None:
    run = gallery()["debate"]
    list_ = quote("sort=-number", safe="")
    async with serving([run], port=0, folder=tmp_path) as url:
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.get(f"{url}r/debate/items") as answer:
                    if "i23" in await answer.text():
                        break
        there = await fetched(url, "r/debate/conversation?id=i3~1", f"r/debate/conversation?id=i3~1&list={list_}")
    ways = [{each["rel"]: each["href"] for each in Elements(text).of("a") if "rel" in each} for _, text in there]
    assert [("i2~1" in way["prev"], "i4~1" in way["next"]) for way in ways] == [(True, True), (False, False)]
    assert ("i4~1" in ways[1]["prev"], "i2~1" in ways[1]["next"]) == (True, True)
    assert all(f"list={list_}" in ways[1][name] for name in ("prev", "next"))
    assert ways[1]["up"] == "/r/debate/items?sort=-number"


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("conversation", "names no conversation"),
        ("conversation?id=nobody~1", "no conversation &#39;nobody~1&#39;"),
        ("conversation?id=i3~1&list=sort%3Dbeauty", "beauty"),
        (f"conversation?id=i3~1&list={'a%3D1%26' * 60}", "more than 50 fields"),
    ],
)
async def test_what_is_not_there_is_told_in_a_sentence(place: str, told: str, tmp_path: Path) -> None:
    async with serving([gallery()["debate"]], port=0, folder=tmp_path) as url:
        [(status, text)] = await fetched(url, f"r/debate/{place}")
    assert status == 404
    assert told in text


async def test_who_is_awaited_is_shown_where_the_talk_has_come_to(tmp_path: Path) -> None:
    opened = ItemOpened(number=0, item=ITEM)
    name = ConversationId("i0~1")
    await written(
        tmp_path / "run.db", [(name, "conductor", opened), (name, "conductor", MakeArgument(step="0.0", round=2))]
    )
    async with serving([tmp_path], port=0, folder=tmp_path / "index") as url:
        [(status, text)] = await fetched(url, f"r/{quote(tmp_path.name)}/conversation?id=i0~1")
    assert status == 200
    assert "going on, or broken off" in text
    [awaited] = Elements(text).of("div", "awaited")
    assert "has not answered yet: make argument" in awaited["words"]
    assert "Round 2" in text


def test_a_page_of_four_hundred_messages_is_lean() -> None:
    names = ("x", "y", "z", "w")
    turns = [turn(10 * n, names[n % 4], said("Some words. " * 60), in_round=n // 4, hears=names) for n in range(1, 401)]
    found = talk(turns)
    reading = Reading(found, laid_out(found), (), found.effort, 400, frozenset(names))
    page = TEMPLATES.from_string('{% import "talk.html" as talk %}{{ talk.lanes(reading) }}').render(reading=reading)
    assert page.count("<article") == 400
    assert page.count('<line class="t') == 400 * 3
    assert page.count('<circle class="t') == 400
    assert len(page) - 400 * 720 < 800_000


@in_a_browser
async def test_messages_stand_in_lanes_and_the_inspector_beside_them_follows_the_keys(tmp_path: Path) -> None:
    run = gallery()["debate"]
    async with serving([run], port=0, folder=tmp_path) as url, browsing(viewport=WIDE) as browser:
        page = await browser.open(f"{url}r/debate/conversation?id=i3~1")
        boxes = [await each.bounding_box() for each in await page.query_selector_all("#talk article")]
        assert len({round(box["x"]) for box in boxes if box}) == 3
        for _ in range(2):
            await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        first = await page.wait_for_selector(".inspector h1")
        assert first is not None
        second = await page.eval_on_selector_all("#talk article", "all => all[1].id.slice(1)")
        assert f"message {second}" in await first.inner_text()
        await page.keyboard.press("j")
        third = await page.eval_on_selector_all("#talk article", "all => all[2].id.slice(1)")
        await page.locator(".inspector h1", has_text=f"message {third}").wait_for()
        await page.keyboard.press("Escape")
        assert await page.query_selector(".inspector") is None
        assert await page.evaluate("document.activeElement.id") == f"m{third}"
        plain = await page.eval_on_selector("#talk article", "each => getComputedStyle(each).backgroundColor")
        await page.check("#heat-tokens")
        shades = await page.eval_on_selector_all(
            "#talk article", "all => all.map(each => getComputedStyle(each).backgroundColor)"
        )
        assert len(set(shades)) > 2
        assert plain not in shades


@in_a_browser
async def test_on_a_phone_lanes_are_one_column_that_says_who_hears_whom(tmp_path: Path) -> None:
    async with serving([gallery()["debate"]], port=0, folder=tmp_path) as url, browsing(viewport=PHONE) as browser:
        page = await browser.open(f"{url}r/debate/conversation?id=i3~1")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        boxes = [await each.bounding_box() for each in await page.query_selector_all("#talk article")]
        assert len({round(box["x"]) for box in boxes if box}) == 1
        assert await page.locator("#talk .to").first.is_visible()
        assert not await page.locator("#talk .arrows").first.is_visible()

"""The viewer as people use it: read, followed, searched, compared, by keys, on a phone, in the dark, without scripts."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from browsing import PHONE, WIDE, Browsing, browsing, in_a_browser
from playing import items, library
from playwright.async_api import Locator, Page, expect
from soundness import faults
from viewing import PRICES, gallery, read_whole

from fellowship.protocols.identity import ConversationId
from fellowship.protocols.jury import VoteCast
from fellowship.protocols.models import ModelCall
from fellowship.runtime.log import LogReader
from fellowship.runtime.session import Access, Limits
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Settings, play
from fellowship.scenarios.traces.calls import asked_at
from fellowship.scenarios.traces.talk import Talk, fold
from fellowship.scenarios.viewer.serving import serving

pytestmark = in_a_browser
TALK = "r/debate/conversation?id=i3~1"
IN_VIEW = """each => {
  const box = each.getBoundingClientRect(), under = document.querySelector('.top').getBoundingClientRect();
  const top = getComputedStyle(document.querySelector('.top')).position === 'sticky' ? under.bottom : 0;
  return box.top >= top - 1 && box.top < innerHeight;
}"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where all tests of the module have their indexes, so that each run is read once."""
    return tmp_path_factory.mktemp("index")


@asynccontextmanager
async def visiting(index: Path, *names: str, **context: object) -> AsyncGenerator[tuple[Browsing, str], None]:
    """Serve runs of the gallery, wholly read, and open a browser; `context` as of `browsing`."""
    runs = [gallery()[name] for name in names]
    async with serving(runs, port=0, folder=index) as url, browsing(**context) as browser:  # type: ignore[arg-type]
        await read_whole(url, *names)
        yield browser, url


def talk(name: str, conversation: str) -> Talk:
    with LogReader(gallery()[name] / "run.db") as log:
        return fold(log, ConversationId(conversation))


def focused(page: Page) -> Locator:
    return page.locator(":focus")


async def test_a_reader_finds_a_conversation_and_sees_who_said_what_to_whom(index: Path) -> None:
    known = talk("debate", "i3~1")
    async with visiting(index, "debate", "judge") as (browser, url):
        page = await browser.open(url)
        await page.get_by_role("link", name="debate", exact=True).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("two-rounds")
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Items").click()
        await page.get_by_role("link", name="i3", exact=True).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("i3")

        assert await page.locator(".names b").all_inner_texts() == ["public", "scholar", "critic"]
        assert await page.locator("#talk section.round > h3").all_inner_texts() == ["Round 1", "Round 2"]
        first = next(turn for turn in known.turns if turn.speaker == "scholar")
        row = page.locator("#talk .row", has=page.locator(f"#m{first.sequence}"))
        ends = await row.locator(".arrows g g line").evaluate_all(
            "all => all.map(line => [line.x1, line.x2].map(x => x.animVal.value))"
        )
        lanes = [await lane.bounding_box() for lane in await page.query_selector_all(".name")]
        left = lanes[0]["x"] if lanes[0] else 0
        middles = [round(box["x"] + box["width"] / 2 - left) for box in lanes if box]
        assert sorted([round(start), round(end)] for start, end in ends) == [
            [pytest.approx(middles[1], abs=4), pytest.approx(middles[0], abs=4)],
            [pytest.approx(middles[1], abs=4), pytest.approx(middles[2], abs=4)],
        ]

        votes = [(turn.speaker, turn.message) for turn in known.turns if isinstance(turn.message, VoteCast)]
        for voter in ("public", "scholar", "critic"):
            cells = page.locator("#votes tbody tr", has=page.get_by_role("rowheader", name=voter))
            assert await cells.locator("td:not(.decision) .chip").all_inner_texts() == [
                vote.verdict for speaker, vote in votes if speaker == voter
            ]
        await page.locator("#votes .chip").nth(1).click()
        marked = page.locator(":target")
        await expect(marked).to_contain_text(f"votes {votes[3][1].verdict}")
        assert await marked.evaluate(IN_VIEW)

        await page.locator(f"#m{first.sequence} a.more").click()
        inspector = page.get_by_role("complementary", name="Message")
        with LogReader(gallery()["debate"] / "run.db") as log:
            prompt = asked_at(log, first.sequence).calls[0].prompt
        await expect(inspector.locator(".prompt .words")).to_have_count(len(prompt))
        assert await inspector.locator(".prompt .words").all_text_contents() == [said.text for said in prompt]
        await inspector.get_by_role("button", name="Close").click()
        await expect(inspector).to_have_count(0)
        await expect(focused(page)).to_have_id(f"m{first.sequence}")


async def test_a_run_that_goes_on_is_followed_without_loading_the_page_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fellowship.scenarios.run.NOTED_EVERY_S", 0.05)
    monkeypatch.setattr("fellowship.scenarios.viewer.runs.LOOKS_EVERY_S", 0.05)
    allowed, asked = anyio.Semaphore(0), anyio.Event()

    async def when_told(call: ModelCall) -> str:
        asked.set()
        await allowed.acquire()
        return as_reply(call, "Said when it was allowed.", 7)

    settings = Settings(client=ScriptedModel(when_told), limits=Limits(concurrency=1), access=Access(prices=PRICES))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            play,
            library("feedback-loop"),
            [each.model_copy(update={"candidates": ()}) for each in items(2)],
            tmp_path / "run",
            settings,
        )
        await asked.wait()
        async with serving([tmp_path / "run"], port=0, folder=tmp_path / "index") as url, browsing() as browser:
            overview = await browser.open(url)
            page = await browser.open(f"{url}r/run/conversation?id=i0~1")
            for each in (overview, page):
                await each.evaluate("window.unloaded = false")
            await expect(overview.locator("#progress")).to_contain_text("0 done, 1 open, of 2 items")
            await expect(page.locator(".awaited")).to_contain_text("writer has not answered yet")
            await expect(page.locator("#talk article")).to_have_count(0)
            allowed.release()
            await expect(page.locator("#talk article")).to_have_count(1)
            await expect(page.locator(".awaited")).to_contain_text("reviewer has not answered yet")
            for _ in range(10):
                allowed.release()
            await expect(overview.locator("#progress .state").first).to_have_text("done")
            await expect(overview.locator("#progress")).to_contain_text("2 done of 2 items")
            await expect(page.locator("#talk article")).to_have_count(5)
            await expect(page.locator("#outcome .state")).to_have_text("done")
            await expect(page.locator(".awaited")).to_have_count(0)
            for each in (overview, page):
                assert await each.evaluate("window.unloaded") is False


async def test_items_are_filtered_by_the_form_sorted_by_the_heads_and_turned_page_by_page(index: Path) -> None:
    async with visiting(index, "judge") as (browser, url):
        page = await browser.open(f"{url}r/judge/items")
        rows = page.locator("tbody tr")
        await expect(rows).to_have_count(50)
        await page.get_by_role("link", name="Next").click()
        await expect(rows).to_have_count(10)
        await page.get_by_label("State").select_option("done")
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator("#items .note")).to_contain_text("of 36")
        assert set(await rows.locator(".state").all_inner_texts()) == {"done"}
        await expect(page.get_by_label("State")).to_have_value("done")
        for sort in ("ascending", "descending"):
            head = page.get_by_role("columnheader", name="Tokens")
            await head.get_by_role("link").click()
            await expect(head).to_have_attribute("aria-sort", sort)
            tokens = [int(text.replace(",", "")) for text in await rows.locator("td:nth-child(8)").all_inner_texts()]
            assert len(set(tokens)) > 5
            assert tokens == sorted(tokens, reverse=sort == "descending")
        await page.get_by_role("link", name="Show all").click()
        await expect(rows).to_have_count(50)


async def test_what_was_said_is_found_by_its_words_and_shown_where_it_was_said(index: Path) -> None:
    said = [turn for turn in talk("debate", "i3~1").turns if turn.said]
    last = said[-4]
    word = getattr(last.message, "text", "").split(":")[0]
    async with visiting(index, "debate") as (browser, url):
        page = await browser.open(f"{url}r/debate/")
        await page.keyboard.press("/")
        await page.keyboard.type(word)
        await page.keyboard.press("Enter")
        await expect(page.locator("mark").first).to_have_text(word)
        await page.locator(".hits a").first.click()
        await expect(page).to_have_url(re.compile(f"#m{last.sequence}$"))
        marked = page.locator(":target")
        await expect(marked).to_contain_text(word)
        assert await marked.evaluate(IN_VIEW)
        await expect(page.locator("input[type=search]")).to_have_value("")


async def test_two_runs_are_chosen_and_compared_down_to_the_words(index: Path) -> None:
    async with visiting(index, "debate", "again") as (browser, url):
        page = await browser.open(f"{url}r/debate/")
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Compare").click()
        await page.get_by_label("Second").select_option("again")
        await page.get_by_role("button", name="Compare").click()
        await expect(page.get_by_role("heading", name="Verdicts of both")).to_be_visible()
        await page.get_by_role("link", name="another verdict").click()
        rows = page.locator("table.items tbody tr")
        first = rows.first
        one, other = (
            await first.locator("td:nth-child(2)").inner_text(),
            await first.locator("td:nth-child(3)").inner_text(),
        )
        assert one != other
        item = await first.get_by_role("rowheader").inner_text()
        await first.get_by_role("link").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(item)
        assert await page.locator("tbody .verdict").all_inner_texts() == [one, other]
        for said in await page.locator(".lines > .same").all():
            assert await said.locator(".side").count() == 1
        differing = page.locator(".lines > :not(.same)").first
        words = await differing.locator(".side").all_inner_texts()
        assert len(words) == 2
        assert words[0].removeprefix("debate") != words[1].removeprefix("again")
        await differing.locator(".side a").last.click()
        await expect(page).to_have_url(re.compile("/r/again/conversation"))
        assert await page.locator(":target").evaluate(IN_VIEW)


async def test_everything_is_reached_by_keys(index: Path) -> None:
    async with visiting(index, "debate", "judge") as (browser, url):
        page = await browser.open(f"{url}r/debate/")
        keys = page.keyboard
        await keys.press("Tab")
        await expect(focused(page)).to_have_text("To the content")
        await keys.press("g")
        await keys.press("i")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Items")
        for key in "jjjk":
            await keys.press(key)
        await expect(focused(page)).to_have_text("i1")
        assert await focused(page).evaluate("each => getComputedStyle(each).outlineStyle") != "none"
        await keys.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("i1")
        await keys.press("n")
        await expect(page.get_by_role("heading", level=1)).to_have_text("i2")
        await keys.press("p")
        await expect(page.get_by_role("heading", level=1)).to_have_text("i1")
        await keys.press("j")
        await expect(focused(page)).to_contain_text("public argues")
        await keys.press("Enter")
        inspector = page.get_by_role("complementary", name="Message")
        await expect(inspector).to_contain_text("Raw answer")
        await keys.press("j")
        await expect(inspector.get_by_role("heading", level=1)).to_contain_text("scholar")
        await keys.press("Escape")
        await expect(inspector).to_have_count(0)
        await keys.press("?")
        await expect(page.get_by_role("dialog")).to_contain_text("next and previous message")
        await keys.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await keys.press("/")
        await keys.type("jn gi?")
        await expect(page.locator("input[type=search]")).to_have_value("jn gi?")
        await keys.press("Escape")
        for letter, title in (("j", "Judges"), ("c", "Two runs"), ("o", "two-rounds")):
            await keys.press("g")
            await keys.press(letter)
            await expect(page.get_by_role("heading", level=1)).to_have_text(title)


def places() -> list[str]:
    """Return a page of every sort."""
    argued = next(turn for turn in talk("debate", "i3~1").turns if turn.said)
    with LogReader(gallery()["judge"] / "run.db") as log:
        failed = next(event.conversation for event in log.events(kinds=("item_failed",)))
    return [
        "",
        "r/debate/",
        "r/judge/",
        "r/judge/items",
        TALK,
        f"r/judge/conversation?id={failed}",
        "r/loop/conversation?id=i0~1",
        f"r/debate/m/{argued.sequence}",
        "r/debate/search?q=question",
        "r/debate/judges",
        "compare?a=debate&b=again",
        "compare?a=debate&b=again&item=i3",
    ]


async def test_every_page_has_names_labels_contrast_and_room_by_day_by_night_and_on_a_phone(index: Path) -> None:
    found: list[str] = []
    grounds: set[str] = set()
    async with visiting(index, "debate", "again", "judge", "loop") as (browser, url):
        page = await browser.open(f"{url}compare?a=debate&b=again")
        await page.get_by_role("heading", name="Verdicts of both").wait_for()
        for place in places():
            await page.goto(f"{url}{place}")
            for size, scheme in ((WIDE, "light"), (WIDE, "dark"), (PHONE, "light")):
                await page.set_viewport_size(size)  # type: ignore[arg-type]
                await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                found += [f"{place} {size['width']} {scheme}: {fault}" for fault in await faults(page)]
                grounds.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
            if place:
                await page.locator("main").evaluate(
                    "main => { main.style.color = '#888'; main.innerHTML += '<input>'; }"
                )
                assert len(await faults(page)) >= 2  # what is wrong is found, too
    assert found == []
    assert len(grounds) == 2


async def test_light_or_dark_is_chosen_and_kept(index: Path) -> None:
    async with visiting(index, "debate", color_scheme="light") as (browser, url):
        page = await browser.open(f"{url}r/debate/")
        ground = "getComputedStyle(document.body).backgroundColor"
        light = await page.evaluate(ground)
        await page.get_by_role("button", name="Light or dark").click()
        dark = await page.evaluate(ground)
        assert dark != light
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Items").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Items")
        assert await page.evaluate(ground) == dark
        await page.keyboard.press("t")
        assert await page.evaluate(ground) == light


async def test_without_scripts_all_is_there_and_links_and_forms_lead_on(index: Path) -> None:
    known = [turn for turn in talk("debate", "i3~1").turns if turn.said]
    async with visiting(index, "debate", java_script_enabled=False) as (browser, url):
        page = await browser.open(f"{url}r/debate/items")
        await expect(page.get_by_role("button", name="Light or dark")).to_be_hidden()
        await page.get_by_label("Item", exact=True).fill("i3")
        await page.get_by_role("button", name="Show").click()
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.locator("tbody a").click()
        await expect(page.locator("#talk article")).to_have_count(len(known))
        await page.locator(f"#m{known[-1].sequence} a.more").click()
        await expect(page.get_by_role("heading", name="Raw answer").first).to_be_visible()
        await page.get_by_role("link", name="i3", exact=True).click()
        await expect(page).to_have_url(re.compile(f"#m{known[-1].sequence}$"))
        await expect(page.locator(":target")).to_be_visible()
        await page.locator("input[type=search]").fill("question")
        await page.keyboard.press("Enter")
        await expect(page.locator(".hits li")).to_have_count(20)


async def test_a_link_that_is_shared_opens_at_its_message_and_paper_has_the_words_alone(index: Path) -> None:
    last = [turn for turn in talk("debate", "i3~1").turns if turn.said][-1]
    async with visiting(index, "debate", viewport=PHONE) as (browser, url):
        page = await browser.open(f"{url}{TALK}#m{last.sequence}")
        marked = page.locator(":target")
        await expect(marked).to_have_id(f"m{last.sequence}")
        assert await marked.evaluate(IN_VIEW)
        assert await page.evaluate("scrollY") > 0
        other = page.locator("#talk article").first
        assert await marked.evaluate("each => getComputedStyle(each).outline") != await other.evaluate(
            "each => getComputedStyle(each).outline"
        )
        await page.emulate_media(media="print")
        for unwanted in (".top", ".pager", ".heat"):
            await expect(page.locator(unwanted)).to_be_hidden()
        await expect(marked).to_be_visible()

"""Search, judges and two runs side by side, in the viewer: as a reader of the pages finds them."""

import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from browsing import PHONE, browsing, in_a_browser
from logs import written
from playing import fellowship, items, library

from fellowship.protocols.errors import PromptTooLong
from fellowship.protocols.items import HumanVote, Item
from fellowship.protocols.lifecycle import RunEnded
from fellowship.protocols.models import ModelCall
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Settings, play
from fellowship.scenarios.viewer import comparisons
from fellowship.scenarios.viewer.serving import serving

Scores = Mapping[int, tuple[float, float]]
HUMAN = ("a", "b", "a", "tie", "a", "b")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a page wait for its comparison, however busy the machine is."""
    monkeypatch.setattr(comparisons, "AT_ONCE_S", 60)


def about(count: int) -> list[Item]:
    return [
        item.model_copy(update={"human": (HumanVote(rater="human", verdict=said),)})  # type: ignore[arg-type]
        for item, said in zip(items(count), HUMAN, strict=False)
    ]


def scripted(scores: Scores, words: str = "It says why.") -> Callable[[ModelCall], Any]:
    """Return a judge that scores each item's question as given, a seventh as unreadable, an eighth as too long."""

    def say(call: ModelCall) -> str | Exception:
        number = next(number for number in range(9) if f"Question {number}?" in str(call.messages))
        if number not in scores:
            return PromptTooLong("it is too long")
        if call.answer is None:
            return words
        a, b = scores[number]
        return "no" if a < 0 else json.dumps({"reason": words, "score_a": a, "score_b": b})

    return say


async def judged(out: Path, scores: Scores, *changes: str, words: str = "It says why.", count: int = 6) -> Path:
    model = ScriptedModel(scripted(scores, words))
    await play(library("judge", *changes), about(count), out, Settings(client=model))
    return out


@asynccontextmanager
async def viewing(folder: Path, *runs: Path) -> AsyncGenerator[Callable[..., Any]]:
    """Yield what returns the text of a page."""
    async with serving(runs, port=0, folder=folder / "index") as url, aiohttp.ClientSession(url) as session:

        async def page(path: str, *, status: int = 200, **query: object) -> str:
            given = {name: str(value) for name, value in query.items()}
            async with session.get(path, params=given) as answer:
                text = await answer.text()
                assert answer.status == status, text
                return text

        yield page


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def rows(html: str) -> list[list[str]]:
    """Return the cells of all tables."""
    cells = r"<t[hd][^>]*>(.*?)</t[hd]>"
    return [
        [words(cell) for cell in re.findall(cells, row, re.DOTALL)]
        for row in re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    ]


async def test_a_search_shows_messages_with_the_words_marked_and_leads_to_where_they_were_said(tmp_path: Path) -> None:
    run = await judged(
        tmp_path / "r", dict.fromkeys(range(6), (7, 3)), words="Before\0 Rayleigh says <b>so</b> & more."
    )
    async with viewing(tmp_path, run) as page:
        found = await page("/r/r/search", q="rayleigh so")
        assert words(found).count("judge, vote") == 6
        assert (
            "Before\N{REPLACEMENT CHARACTER} <mark>Rayleigh</mark> says &lt;b&gt;<mark>so</mark>&lt;/b&gt; &amp; more."
            in found
        )
        link = re.search(r'href="(/r/r/conversation\?id=i0[^"#]*)#(m\d+)"', found)
        assert link is not None
        assert f'id="{link[2]}"' in await page(unescape(link[1]))
        assert "Nothing that was said has" in await page("/r/r/search", q="scattering")
        assert 'value="&#34;&gt;&lt;script&gt;"' in await page("/r/r/search", q='"><script>')
        for query in ("", '"', "-", "*", "NEAR(", "so AND", "a:b", "x" * 3000):
            await page("/r/r/search", q=query)


async def test_what_is_found_is_paged(tmp_path: Path) -> None:
    run = await judged(tmp_path / "r", dict.fromkeys(range(6), (7, 3)))
    async with viewing(tmp_path, run) as page:
        whole = await page("/r/r/search", q="question*")
        assert words(whole).startswith("question* · r")
        assert 'rel="next"' not in whole
        assert "There are no more." in await page("/r/r/search", q="question*", offset=6)
        assert "is no whole number" in await page("/r/r/search", status=404, q="why", offset="x")


async def test_judges_are_shown_with_what_they_chose_and_how_far_they_agree(tmp_path: Path) -> None:
    """Kappa by hand: 3 of 5 agree; by chance (2 · 2 + 2 · 2 + 1 · 1) / 25; so (0.6 - 0.36) / 0.64."""
    scores = {0: (7, 3), 1: (3, 7), 2: (3, 7), 3: (5, 5), 4: (-1, 0), 5: (9, 1)}
    run = await judged(tmp_path / "r", scores)
    async with viewing(tmp_path, run) as page:
        shown = await page("/r/r/judges")
    found = rows(shown)
    assert found[1][:8] == ["judge", "acme/m", "6", "1", "2 40 %", "2 40 %", "1 20 %", "-"]
    agreed = next(row for row in found if row[:2] == ["judge", "people"])
    assert agreed[2:4] == ["5", "1"]
    assert agreed[4].startswith("60.0 % 23.1 to 88.2")
    assert agreed[5].startswith("0.375 ")
    table = [row for row in found if row[0] in ("people", "a", "b", "tie")]
    assert table == [
        ["people", "a", "b", "tie", "all"],
        ["a", "1", "1", "0", "2"],
        ["b", "1", "1", "0", "2"],
        ["tie", "0", "0", "1", "1"],
    ]
    assert "Scores of a: 5, mean 5.40 of 10" in words(shown)
    heights = {float(high) for high in re.findall(r'class="bar-a"[^>]* height="([\d.]+)"', shown)}
    assert heights == {56.0, 28.0}


async def test_a_voter_in_both_orders_is_shown_with_its_flips_and_a_run_without_votes_says_so(tmp_path: Path) -> None:
    both = await judged(tmp_path / "both", dict.fromkeys(range(6), (7, 3)), "judging.orders=both")
    drafts = tmp_path / "drafts"
    await play(library("feedback-loop"), items(1), drafts, Settings(client=ScriptedModel(as_reply)))
    none = tmp_path / "none"
    await play(library("answer"), items(1), none, Settings(client=ScriptedModel(as_reply)))
    async with viewing(tmp_path, both, drafts, none) as page:
        assert rows(await page("/r/both/judges"))[1][7].startswith("6 of 6 100.0 %, 61.0 to 100.0")
        scored = words(await page("/r/drafts/judges"))
        assert "Scores of drafts" in scored
        assert "Gives feedback by acme/m" in scored
        assert "Nobody has voted in this run so far" in await page("/r/none/judges")


ONE = {0: (7, 3), 1: (3, 7), 2: (7, 3), 3: (5, 5), 4: (-1, 0), 5: (9, 1)}
OTHER = {0: (7, 3), 1: (7, 3), 2: (7, 3), 3: (3, 5), 4: (7, 3)}


@pytest.fixture
async def two(tmp_path: Path) -> tuple[Path, Path]:
    one = await judged(tmp_path / "one", ONE, words="The first answer is better by far.")
    return one, await judged(tmp_path / "other", OTHER, "judging.scale=9", words="The first answer is worse by far.")


async def test_two_runs_are_compared_as_diff_compares_them(two: tuple[Path, Path], tmp_path: Path) -> None:
    document = json.loads(fellowship("diff", *two, "--json").stdout)["agreement"]
    async with viewing(tmp_path, *two) as page:
        assert "There is one run open" not in await page("/compare")
        found = await page("/compare", a="one", b="other")
        told = words(found)
        assert f"{100 * document['share']:.1f} % {100 * document['share_ci'][0]:.1f} to" in told
        assert f"kappa {document['kappa']:.3f}" in told
        assert "scenario.judging.scale: not set then, 9 now" in told
        assert "6 in both: 3 with another verdict, 1 done, failed or open in one and not in the other, 6" in told
        at = rows(found).index(["first", "a", "b", "tie", "unread", "all"])
        assert rows(found)[at + 1 : at + 5] == [
            ["a", "2", "0", "0", "0", "2"],
            ["b", "1", "0", "0", "0", "1"],
            ["tie", "0", "1", "0", "0", "1"],
            ["unread", "1", "0", "0", "0", "1"],
        ]
        moved = await page("/compare", a="one", b="other", first="b", second="a")
        assert [row[0] for row in rows(moved) if re.fullmatch(r"i\d", row[0])] == ["i1"]
        sorts = {"": 6, "verdict": 3, "state": 1, "said": 2}
        for show, count in sorts.items():
            listed = await page("/compare", a="one", b="other", show=show)
            assert sum(bool(re.fullmatch(r"i\d", row[0])) for row in rows(listed)) == count, show
        assert "did you mean 'verdict'" in words(await page("/compare", status=404, show="verdicts"))
        assert "did you mean 'other'" in words(await page("/compare", status=404, a="othr"))


async def test_an_item_of_two_runs_has_its_messages_side_by_side_with_the_words_that_differ(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    async with viewing(tmp_path, *two) as page:
        found = await page("/compare", a="one", b="other", item="i1")
        assert "The first answer is<del> better</del> by far." in found
        assert "The first answer is<ins> worse</ins> by far." in found
        assert "votes<del> b, a 3 : b 7 (combined of 10,</del> shown ab)" in found
        assert ["one", "done", "b 3 : 7", "Outcome: b", "1"] in [row[:5] for row in rows(found)]
        failed = words(await page("/compare", a="one", b="other", item="i5"))
        assert "Failed: PromptTooLong: it is too long" in failed
        assert "neither run has an item 'i9'" in words(await page("/compare", status=404, item="i9"))


async def test_a_comparison_that_takes_long_says_so_and_one_of_runs_that_went_on_is_made_anew(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, begin, began = 0, anyio.Event(), anyio.Event()
    surveyed = comparisons.surveyed

    async def slowly(*runs: Any) -> Any:
        nonlocal made
        began.set()
        await begin.wait()
        made += 1
        return await surveyed(*runs)

    monkeypatch.setattr(comparisons, "surveyed", slowly)
    monkeypatch.setattr(comparisons, "AT_ONCE_S", 0)
    async with viewing(tmp_path, *two) as page:
        waiting = await page("/compare", a="one", b="other")
        assert "The two are being compared" in waiting
        assert '<meta http-equiv="refresh"' in waiting
        await began.wait()
        monkeypatch.setattr(comparisons, "AT_ONCE_S", 60)
        begin.set()
        for _ in range(2):
            assert "Verdicts of both" in await page("/compare", a="one", b="other")
        assert made == 1
        monkeypatch.setattr(comparisons.Made, "stale", lambda *_: True)
        assert "Verdicts of both" in await page("/compare", a="one", b="other")
        assert made == 1, "the runs have not gone on"
        await written(two[1] / "run.db", [("", "conductor", RunEnded(reason="done"))])
        assert "The logs have gone on since" in await page("/compare", a="one", b="other")
        monkeypatch.setattr(comparisons.Made, "stale", lambda *_: False)
        with anyio.fail_after(60):
            while "The logs have gone on since" in await page("/compare", a="one", b="other"):
                pass
        assert made == 2


async def test_a_run_that_cannot_be_compared_says_why(two: tuple[Path, Path], tmp_path: Path) -> None:
    async with viewing(tmp_path, *two) as page:
        log = two[1] / "run.db"
        log.rename(tmp_path / "elsewhere.db")
        assert "run.db is not there" in words(await page("/compare", a="one", b="other"))


async def test_with_one_run_open_the_page_says_how_to_open_two(tmp_path: Path) -> None:
    run = await judged(tmp_path / "r", ONE)
    async with viewing(tmp_path, run) as page:
        assert "fellowship view RUN RUN opens several" in words(await page("/compare", a="r"))


@in_a_browser
async def test_on_a_phone_and_in_the_dark_no_page_is_wider_than_the_screen(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    paths: Iterable[str] = ("r/one/search?q=answer", "r/one/judges", "compare", "compare?item=i1")
    async with (
        serving(two, port=0, folder=tmp_path / "index") as url,
        browsing(viewport=PHONE, color_scheme="dark") as visitor,
    ):
        page = await visitor.open(url)
        for path in paths:
            await page.goto(url + path)
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        await page.goto(f"{url}compare?a=one&b=other")
        await page.get_by_role("link", name="i1").click()
        await page.get_by_role("heading", name="i1").wait_for()
        await page.get_by_role("link", name="one and other").click()
        await page.get_by_role("textbox", name="Item").fill("i2")
        await page.get_by_role("button", name="Show").click()
        await page.get_by_role("heading", name="i2").wait_for()

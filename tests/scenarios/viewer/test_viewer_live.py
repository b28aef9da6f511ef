"""A run looked at while it is going on."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import anyio
import pytest
from browsing import browsing, in_a_browser
from playing import at, items, library
from playwright.async_api import expect
from viewing import gallery

from fellowship.protocols.errors import LogError
from fellowship.runtime.session import Limits
from fellowship.runtime.testing import Fault, LoopbackEndpoint
from fellowship.runtime.testing.opinions import Opinions
from fellowship.scenarios import Settings, play
from fellowship.scenarios.traces.index import Index
from fellowship.scenarios.viewer.serving import serving


async def messages(stream: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for line in stream.content:
        if line.startswith(b"data:"):
            yield line


async def test_whoever_listens_is_told_when_a_run_has_grown_and_let_go_when_the_server_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fellowship.scenarios.run.NOTED_EVERY_S", 0.01)
    out, ended = tmp_path / "run", anyio.Event()
    heard: set[int] = set()

    async def listen(session: aiohttp.ClientSession, url: str, number: int) -> None:
        async with session.get(f"{url}r/run/events") as stream:
            assert stream.headers["Content-Type"].startswith("text/event-stream")
            async for _ in messages(stream):
                heard.add(number)
        ended.set()

    faults = [None, None, None, Fault("stall")]
    async with LoopbackEndpoint(faults=faults) as server, anyio.create_task_group() as tasks:
        settings = Settings(environ=at(server.base_url), limits=Limits(concurrency=1))
        tasks.start_soon(play, library("judge"), items(5), out, settings)
        with anyio.fail_after(20):
            while server.in_flight == 0 or not (out / "run.db").exists() or server.totals.answered < 3:
                await anyio.wait_all_tasks_blocked()
            async with aiohttp.ClientSession() as session:
                async with serving([out], port=0, folder=tmp_path / "index") as url:
                    tasks.start_soon(listen, session, url, 1)
                    tasks.start_soon(listen, session, url, 2)
                    page = ""
                    while "On their way for longest" not in page or heard != {1, 2}:
                        async with session.get(f"{url}r/run/") as answer:
                            page = await answer.text()
                    assert "3 done" in page
                    assert ">running<" in page
                    assert "1 open" in page
                await ended.wait()
        tasks.cancel_scope.cancel()


async def test_who_has_seen_a_run_as_it_is_is_told_of_changes_alone(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with serving([gallery()["loop"]], port=0, folder=tmp_path) as url:
            place = f"{url}r/loop/"
            while "eading the log" in (page := await text(session, place)):
                pass
            seen = await text(session, place)
            (stream,) = re.findall(r'data-events="([^"]+)"', page)
            (now,) = re.findall(r'data-events="([^"]+)"', seen)
            told = [await session.get(urljoin(url, at)) for at in (stream, now, "/r/loop/events", "/events")]
            assert [await answer.content.readline() for answer in told] == [b": listening\n"] * 4
            async with session.head(f"{place}events") as answer:
                assert answer.status == 405
        heard = [[line async for line in messages(answer)] for answer in told]
    assert [len(each) for each in heard[1:]] == [0, 1, 1]


async def text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        return await answer.text()


async def test_an_index_that_cannot_be_kept_is_told_on_the_page_and_the_other_runs_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refresh(self: Index, most: int | None = None) -> int:
        if self.run.name == "loop":
            raise LogError("the disk is full")
        if self.run.name == "debate":
            raise RuntimeError("a mistake of ours")
        return took(self, most)

    took = Index.refresh
    monkeypatch.setattr(Index, "refresh", refresh)
    runs = [gallery()[name] for name in ("loop", "debate", "judge")]
    async with serving(runs, port=0, folder=tmp_path) as url, aiohttp.ClientSession() as session:
        while "eading the log" in (front := await text(session, url)):
            pass
        assert "the disk is full" in front
        assert "the disk is full" in await text(session, f"{url}r/loop/items")
        assert "is not taken in any more: the terminal says why" in await text(session, f"{url}r/debate/")
        assert "1 to 50 of 60" in await text(session, f"{url}r/judge/items")


@in_a_browser
async def test_a_page_grows_with_its_run_and_leaves_the_reader_where_they_are(tmp_path: Path) -> None:
    out = tmp_path / "run"
    async with LoopbackEndpoint(Opinions(unreadable=0)) as server, browsing() as visitor:
        settings = Settings(environ=at(server.base_url))
        await play(library("judge"), items(3), out, settings)
        async with serving([out], port=0, folder=tmp_path / "index") as url:
            overview = await visitor.open(f"{url}r/run/")
            listed = await visitor.open(f"{url}r/run/items?sort=-number")
            await expect(overview.locator("#progress")).to_contain_text("3 done of 3 items")
            await expect(listed.locator("tbody tr")).to_have_count(3)
            await listed.bring_to_front()
            await listed.keyboard.press("j")
            await expect(listed.locator(":focus")).to_have_text("i2")
            await listed.evaluate("document.kept = true")
            await play(library("judge"), items(6), out, settings)
            await expect(listed.locator("tbody tr")).to_have_count(6)
            assert await listed.locator("tbody th a").all_inner_texts() == ["i5", "i4", "i3", "i2", "i1", "i0"]
            await expect(listed.locator(":focus")).to_have_text("i2")
            await expect(overview.locator("#progress")).to_contain_text("6 done of 6 items")
            assert await listed.evaluate("document.kept")

"""A run looked at while it is going on."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import anyio
import pytest
from playing import at, items, library
from viewing import gallery

from fellowship.runtime.session import Limits
from fellowship.runtime.testing import Fault, LoopbackEndpoint
from fellowship.scenarios import Settings, play
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
                    while "Calls on their way for longest" not in page or heard != {1, 2}:
                        async with session.get(f"{url}r/run/") as answer:
                            page = await answer.text()
                    assert "3 done" in page
                    assert ">running<" in page
                    assert "1 open" in page
                await ended.wait()
        tasks.cancel_scope.cancel()


async def test_a_finished_run_tells_of_itself_once(tmp_path: Path) -> None:
    run = gallery()["loop"]
    async with serving([run], port=0, folder=tmp_path) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}r/loop/events") as stream:
            first = await anext(messages(stream))
        assert b"changes" in first

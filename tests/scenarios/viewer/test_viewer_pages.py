"""Pages of a run as they come over HTTP: overview, items, and what is said where there is nothing to show."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.request import urlopen

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playing import fellowship, items, library
from viewing import gallery, read_whole

from fellowship.runtime.log import LogReader
from fellowship.runtime.testing import ScriptedModel
from fellowship.scenarios import Settings, play
from fellowship.scenarios.outcomes import Fold, Status, status
from fellowship.scenarios.traces.listing import SORTS, Wanted
from fellowship.scenarios.viewer.serving import serving
from fellowship.scenarios.viewer.wanted import STATES, VERDICTS, query_of, wanted_of


class Page(HTMLParser):
    """A page as text, with its rows and links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: dict[str, str] = {}
        self.sorted: dict[str, str] = {}
        self.words = ""
        self._at: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._at.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._at and self._at.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self._at]
        if {"style", "script", "dialog"} & set(tags):
            return
        self.words += f" {data.strip()}" if data.strip() else ""
        if self.rows and {"td", "th"} & set(tags):
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())
        for tag, about in self._at:
            if tag == "a" and about.get("href"):
                self.links[data.strip()] = str(about["href"])
            if tag == "th" and about.get("aria-sort"):
                self.sorted[data.strip()] = str(about["aria-sort"])


class Visitor:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def html(self, place: str, expected: int = 200) -> str:
        async with self.session.get(f"{self.url}{place}") as answer:
            assert answer.status == expected, place
            return await answer.text()

    async def page(self, place: str, expected: int = 200) -> Page:
        return Page(await self.html(place, expected))


@asynccontextmanager
async def visiting(folder: Path, *names: str, **more: Path) -> AsyncGenerator[Visitor, None]:
    runs = {**gallery(), **more}
    async with (
        serving([runs[name] for name in names], port=0, folder=folder) as url,
        aiohttp.ClientSession() as session,
    ):
        await read_whole(url, *names)
        yield Visitor(session, url.rstrip("/"))


def known(name: str) -> Status:
    with LogReader(gallery()[name] / "run.db") as log:
        return status(log, name)


@pytest.mark.parametrize("name", ["debate", "judge", "loop"])
async def test_the_overview_has_the_figures_of_status(name: str, tmp_path: Path) -> None:
    found = known(name)
    async with visiting(tmp_path, name) as visitor:
        page = await visitor.page(f"/r/{name}/")
    assert f"{found.done} done" in page.words
    assert f"of {found.items} items" in page.words
    assert f"{found.input_tokens:,} in, {found.output_tokens:,} out" in page.words
    assert f"Unread votes {found.unread_votes}" in page.words
    assert f"{found.calls:,}" in page.words
    cells = {row[0]: row[1:] for row in page.rows if row}
    for verdict, count in found.verdicts.items():
        assert cells[verdict][0] == str(count)
        assert re.fullmatch(r"\d+\.\d to \d+\.\d", cells[verdict][2])
    for error, count in found.failures.items():
        assert cells[error] == [str(count)]
    for agent, spend in found.spend["agent"].items():
        assert [f"{spend.calls:,}", f"{spend.input_tokens + spend.output_tokens:,}"] in [
            row[1:3] for row in page.rows if row and row[0] == agent
        ]


async def test_several_runs_are_listed_and_one_alone_is_shown_at_once(tmp_path: Path) -> None:
    async with visiting(tmp_path, "debate", "judge") as visitor:
        page = await visitor.page("/")
        assert [row[0] for row in page.rows[1:]] == ["debate", "judge"]
        assert (await visitor.page(page.links["judge"])).words.count("failed")
    async with visiting(tmp_path, "judge") as visitor:
        assert "PromptTooLong" in (await visitor.page("/")).words


async def test_money_that_nobody_knows_is_not_told_as_nothing(tmp_path: Path) -> None:
    run = tmp_path / "unpriced"
    await play(library("judge"), items(1), run, Settings(client=ScriptedModel()))
    assert fellowship("export", run, "--format", "html", "--to", tmp_path / "p.html").exit_code == 0
    assert "cost not known" in Page((tmp_path / "p.html").read_text()).words
    async with visiting(tmp_path / "index", "unpriced", "judge", unpriced=run) as visitor:
        (_, alone, other) = (await visitor.page("/")).rows
        assert alone[7] == "not known"
        assert other[7].startswith("$")
        assert "Cost not known (1 call without a known price)" in (await visitor.page("/r/unpriced/")).words


async def test_items_are_filtered_sorted_and_paged_as_the_address_says(tmp_path: Path) -> None:
    with LogReader(gallery()["judge"] / "run.db") as log:
        outcomes = {outcome.item: outcome for _, outcome in Fold(log).outcomes()}
    failed = {item for item, outcome in outcomes.items() if outcome.status == "failed"}
    async with visiting(tmp_path, "judge") as visitor:
        page = await visitor.page("/r/judge/items")
        assert "1 to 50 of 60" in page.words
        rest = await visitor.page(page.links["Next"])
        assert [row[1] for row in (*page.rows[1:], *rest.rows[1:])] == [
            f"i{number} Question {number}?" for number in range(60)
        ]
        assert "51 to 60 of 60" in rest.words
        assert page.sorted == {"# ↑": "ascending"}

        only = await visitor.page("/r/judge/items?state=failed")
        assert {row[1].split()[0] for row in only.rows[1:]} == failed
        assert len(failed) > 3
        assert all("PromptTooLong" in row[3] for row in only.rows[1:])

        by_cost = await visitor.page("/r/judge/items?state=done&sort=-tokens")
        tokens = [int(row[7].replace(",", "")) for row in by_cost.rows[1:]]
        assert tokens == sorted((each.tokens for each in outcomes.values() if each.status == "done"), reverse=True)
        assert by_cost.sorted == {"Tokens ↓": "descending"}
        turned = await visitor.page(by_cost.links["Tokens ↓"])
        assert [int(row[7].replace(",", "")) for row in turned.rows[1:]] == tokens[::-1]

        none = await visitor.page("/r/judge/items?item=i7&state=open")
        assert "No conversation is like that." in none.words
        beyond = await visitor.page("/r/judge/items?offset=500")
        assert "There are 60, and none from 501 on." in beyond.words


@pytest.mark.parametrize(
    ("place", "status_", "said"),
    [
        ("/r/debat/", 404, "did you mean 'debate'"),
        ("/r/debate/items?sort=tokns", 404, "did you mean 'tokens'"),
        ("/r/debate/items?state=Done", 404, "did you mean 'done'"),
        ("/r/debate/items?cost=much", 404, "cost='much' is no number from 0"),
        ("/r/debate/items?offset=-1", 404, "offset='-1' is no whole number"),
        ("/r/debate/conversation?id=nobody", 404, "nobody"),
        ("/r/debate/m/999999", 404, "999999"),
        ("/nowhere", 404, "404"),
        ("/static/x/../../guard.py", 404, "404"),
        ("/static/x/guard.py", 404, "no such file"),
    ],
)
async def test_what_is_not_there_is_said_with_the_nearest_that_is(
    place: str, status_: int, said: str, tmp_path: Path
) -> None:
    async with visiting(tmp_path, "debate") as visitor:
        page = await visitor.page(place, status_)
    assert said in page.words
    assert "Traceback" not in page.words


async def test_what_is_played_is_told_with_its_record(tmp_path: Path) -> None:
    async with visiting(tmp_path, "debate") as visitor:
        page = await visitor.page("/r/debate/")
        assert ["scholar", "debater", "acme/m"] in page.rows
        assert str(gallery()["debate"]) in page.words
        record = await visitor.page(page.links["scenario, prompts and versions"])
    assert "scenario: two-rounds" in record.words
    assert "llm-fellowship: " in record.words


names = st.text(min_size=1, max_size=8)
wishes = st.builds(
    Wanted,
    states=st.sampled_from([(), *((state,) for state in STATES)]),
    verdicts=st.sampled_from([(), *((verdict,) for verdict in VERDICTS)]),
    failure=st.none() | names,
    correct=st.none() | st.booleans(),
    variant=st.none() | names,
    model=st.none() | names,
    agent=st.none() | names,
    disagreement=st.none() | st.floats(0, 1),
    cost=st.none() | st.floats(0, 1e6),
    text=st.none() | names,
    item=st.none() | names,
    all_conversations=st.booleans(),
    sort=st.sampled_from(SORTS),
    descending=st.booleans(),
)


@given(wishes)
def test_an_address_says_what_is_wanted_and_nothing_else(wanted: Wanted) -> None:
    assert wanted_of(query_of(wanted)) == wanted


def test_view_says_what_it_cannot_show(tmp_path: Path) -> None:
    missing = fellowship("view", tmp_path / "none")
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert "there is no directory" in missing.stderr
    (tmp_path / "empty").mkdir()
    assert "is not a run: it has no run.db" in fellowship("view", tmp_path / "empty").stderr


def test_view_tells_its_address_and_ends_at_once_when_it_is_interrupted_though_somebody_listens(tmp_path: Path) -> None:
    run = gallery()["loop"]
    line = [sys.executable, "-m", "fellowship", "view", str(run), "--port", "0"]
    with (
        subprocess.Popen(
            line,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "FELLOWSHIP_CACHE": str(tmp_path)},
        ) as viewer,
        ExitStack() as last,
    ):
        last.callback(viewer.kill)
        assert viewer.stderr is not None
        url = viewer.stderr.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
        port = int(url.rsplit(":")[-1].rstrip("/"))
        taken = fellowship("view", run, "--port", port)
        assert taken.exit_code == 2
        assert f"nobody can listen at 127.0.0.1:{port}" in taken.stderr
        assert viewer.stderr.readline().strip() == "Ctrl-C ends it."
        with urlopen(f"{url}r/loop/events") as stream:  # noqa: S310 - at the viewer
            told_first = stream.readline()
            viewer.send_signal(signal.SIGINT)
            stream.read()  # it has an end
        out, told = viewer.communicate(timeout=20)
    assert told_first
    assert (viewer.returncode, out, told) == (0, "", "")


async def test_a_message_is_found_by_the_id_of_a_call_and_a_run_by_its_name_alone(tmp_path: Path) -> None:
    with LogReader(gallery()["loop"] / "run.db") as log:
        called = next(event for event in log.events(kinds=("model_called",)))
    async with visiting(tmp_path, "loop") as visitor:
        page = await visitor.page(f"/r/loop/m/{called.cause}.1")
        assert f"{called.cause}.1" in page.words
        assert "1 done" not in page.words
        assert f"{known('loop').done} done" in (await visitor.page("/r/loop")).words

"""Conversations as one file: it is whole, asks for nothing, runs nothing, and says what it leaves out."""

import json
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browsing import browsing, in_a_browser
from playing import fellowship
from viewing import gallery

from fellowship.protocols.items import Candidate, Item
from fellowship.protocols.models import ModelCall
from fellowship.runtime.log import LogReader
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Settings, load, plan, play
from fellowship.scenarios.traces.talk import find, fold
from fellowship.scenarios.traces.transcript import words

SECRET = "sk-secret-that-nobody-may-see"  # noqa: S105 - for hiding
HOSTILE = "</style></script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x1b[31m{{7*7}}"


class Read(HTMLParser):
    """A page as it is read: styles, what it could load or run, ids, and links within it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.styles: list[str] = []
        self.policy = ""
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self._inside = tag
        if tag in ("script", "link", "img", "iframe", "object", "embed", "form", "base", "video", "audio"):
            self.wrong.append(tag)
        self.wrong += [name for name in given if name.startswith("on") or name in ("style", "src", "srcset", "action")]
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.styles.append(data)
        else:
            self.words += data


def exported(run: Path, to: Path, *options: object) -> tuple[Read, dict[str, int]]:
    told = fellowship("export", run, "--format", "html", "--to", to, "--json", *options)
    assert told.exit_code == 0, told.stderr
    return Read(to.read_text("utf-8")), json.loads(told.stdout)["counts"]


def test_the_file_is_whole_loads_nothing_and_its_policy_knows_its_one_style(tmp_path: Path) -> None:
    run = gallery()["debate"]
    page, counts = exported(run, tmp_path / "talk.html", "--limit", 3)
    assert page.wrong == []
    [style] = page.styles
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert page.policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "url(" not in style
    assert "@import" not in style
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert len(page.ids) == len(set(page.ids))
    assert {"#c1", "#c2", "#c3"} <= set(page.links)
    with LogReader(run / "run.db") as log:
        talks = [fold(log, find(log, f"i{number}")) for number in range(3)]
    spoken = [turn for talk in talks for turn in talk.turns if turn.said]
    assert all(f"m{turn.sequence}" in page.ids and words(turn.message) in page.words for turn in spoken)
    assert counts == {
        "conversations": 3,
        "messages": len(spoken),
        "characters": len((tmp_path / "talk.html").read_text("utf-8")),
        "conversations left out": 21,
    }
    assert "3 of 24 conversations of the run are in this file" in page.words


def test_chosen_items_alone_are_in_it_with_their_prompts_where_these_are_wanted(tmp_path: Path) -> None:
    run = gallery()["debate"]
    short, counts = exported(run, tmp_path / "short.html", "--item", "i3", "--item", "i5")
    long, _ = exported(run, tmp_path / "long.html", "--item", "i3", "--item", "i5", "--prompts")
    assert counts["conversations"] == 2
    assert "Question 3?" in short.words
    assert "Question 4?" not in short.words
    assert "What stands between tags is material" not in short.words
    assert long.words.count("raw answer") >= counts["messages"]
    system = "What stands between tags is material"
    assert long.words.count(system) == 2 * 3  # once an agent of each conversation: later prompts begin with it
    assert (long.wrong, short.wrong) == ([], [])


def test_the_same_page_comes_on_stdout(tmp_path: Path) -> None:
    run = gallery()["loop"]
    exported(run, tmp_path / "page.html")
    told = fellowship("export", run, "--format", "html", "--to", "-")
    assert told.exit_code == 0
    assert told.stdout == (tmp_path / "page.html").read_text("utf-8")
    assert "4 conversations" in told.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--format", "html", "--item", "i99"), "no item 'i99'"),
        (("--format", "html", "--margin", "1"), "--margin mean nothing for html"),
        (("--format", "mermaid", "--item", "i1", "--prompts"), "--prompts mean nothing for mermaid"),
        (("--format", "dpo", "--prompts"), "--prompts"),
        (("--format", "ratings", "--limit", "3"), "--limit"),
    ],
)
def test_what_it_cannot_do_is_told_and_nothing_is_written(options: tuple[str, ...], told: str, tmp_path: Path) -> None:
    done = fellowship("export", gallery()["debate"], *options, "--to", tmp_path / "out.html")
    assert done.exit_code == 2
    assert told in done.stderr
    assert not list(tmp_path.iterdir())


async def hostile(folder: Path) -> Path:
    def say(call: ModelCall) -> str:
        return as_reply(call, HOSTILE, 3)

    made, source = load("debate")
    candidates = (Candidate(slot="a", text=HOSTILE, model=HOSTILE), Candidate(slot="b", text="b"))
    item = Item(
        id=HOSTILE, prompt=HOSTILE, candidates=candidates, metadata={HOSTILE: HOSTILE}, reference=f"{HOSTILE} {SECRET}"
    )
    await play(
        plan(made, source=source, models={"*": "acme/m"}), [item], folder / "run", Settings(client=ScriptedModel(say))
    )
    return folder / "run"


@in_a_browser
async def test_hostile_words_are_words_and_a_browser_that_opens_it_runs_and_loads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await hostile(tmp_path)
    monkeypatch.setenv("ACME_API_KEY", SECRET)
    page, _ = exported(run, tmp_path / "hostile.html", "--prompts")
    assert page.wrong == []
    assert "<script>alert(1)</script><img" in page.words
    assert "\x1b" not in page.words
    assert "\u202e" not in page.words
    assert "{{7*7}}" in page.words
    assert SECRET not in page.words
    assert "[secret ACME_API_KEY]" in page.words
    async with browsing() as browser:
        opened = await browser.open((tmp_path / "hostile.html").as_uri())
        assert await opened.locator("article.said").count() == 9
        assert await opened.eval_on_selector("body", "each => getComputedStyle(each).marginTop") == "0px"
        assert await opened.evaluate("document.documentElement.scrollWidth <= innerWidth")

"""The viewer against runs in which every text is hostile, and against whoever may not ask."""

import asyncio
import json
import logging
import re
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urljoin, urlsplit

import aiohttp
import pytest
from browsing import PHONE, browsing, in_a_browser
from logs import written
from playing import content, fellowship
from poisoning import BEGINNING, MARK, poison

from fellowship.protocols.errors import PromptTooLong
from fellowship.protocols.items import Candidate, HumanVote, Item
from fellowship.protocols.lifecycle import AgentRecused, Failure, LetterUndelivered, RunChanged
from fellowship.protocols.models import Attempt, Completion, ModelCall, Usage
from fellowship.runtime.secrecy import hiding, secrets_of
from fellowship.runtime.testing import ScriptedModel, as_reply
from fellowship.scenarios import Settings, load, plan, play
from fellowship.scenarios.viewer import comparisons
from fellowship.scenarios.viewer.guard import COOKIE, HEADERS
from fellowship.scenarios.viewer.serving import serving

IDS = ('"', "'>", "<b>", "..", "~", "a/b?c#d&e=%2f", "☃\u202eü", "new\nline")
SECRET = "sk-Quaver7Tn0Bdw5Lp2Xhz"  # noqa: S105 - made up
"""That whoever looks at the runs has in the environment, and the run had not."""
SENT = ("Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy")
TAGS = frozenset(
    re.findall(
        r"\w+",
        """html head meta title link script body a header nav form input label select option button main section article
        aside h1 h2 h3 h4 p div span ul ol li dl dt dd table caption colgroup col thead tbody tfoot tr th td small
        strong em b i q code pre mark ins del time abbr kbd samp details summary dialog figure figcaption footer hr br
        output progress meter svg g line path rect circle polyline polygon text tspan desc defs marker use symbol
        fieldset legend blockquote bdi wbr sub sup datalist""",
    )
)
"""Elements that pages are made of."""


class Read(HTMLParser):
    """A page as it is read: its elements, and its words."""

    def __init__(self, html: str, *, styled: bool = False) -> None:
        """Read a page; `styled`: it has its styles in it, being alone in the world."""
        super().__init__()
        self.tags = TAGS | {"style"} if styled else TAGS
        self.wrong: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self._inside = tag
        if tag not in self.tags or (tag == "script" and not (given.get("src") or "").startswith("/static/")):
            self.wrong.append(f"<{tag} {given}>")
        for name, value in attributes:
            if name.startswith("on") or name in ("style", "srcdoc", "formaction", "ping", "background"):
                self.wrong.append(f"{name}={value!r}")
            elif name in ("href", "src", "action", "xlink:href", "poster", "data-events") and value is not None:
                self.links.append(value)
            elif (
                name == "content" and given.get("http-equiv", "").lower() == "refresh" and not (value or "").isdecimal()
            ):
                self.wrong.append(f"refresh {value!r}")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip() and (self._inside == "script" or MARK in data):
            self.wrong.append(f"{self._inside}: {data!r}")
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        if decl.lower() != "doctype html":
            self.wrong.append(decl)

    def unknown_decl(self, data: str) -> None:
        self.wrong.append(data)

    def handle_pi(self, data: str) -> None:
        self.wrong.append(data)


def say(call: ModelCall) -> Completion | Exception | str:
    asked = str([message.content for message in call.messages])
    if "a/b?c#d" in asked:
        return PromptTooLong("the endpoint says: too long")
    if call.answer is not None and "unreadable" in asked:
        return "I would rather not say."
    reply = as_reply(call, f"said because of {len(asked)} and {SECRET}", len(asked) % 10)
    usage, attempt = Usage(input_tokens=7, output_tokens=3), Attempt(latency_s=0.1, error="the first try was cut off")
    return Completion(
        text=reply,
        reasoning="thought before",
        finish_reason="stop",
        served_by="the endpoint's own name",
        usage=usage,
        attempts=(attempt, Attempt(latency_s=0.2)),
    )


def about(ids: Iterable[str]) -> list[Item]:
    return [
        Item(
            id=name,
            prompt=f"unreadable {name}" if name == "~" else f"Prompt of {name}?",
            candidates=(
                Candidate(slot="a", text=f"one {SECRET} more", model="acme/writer"),
                Candidate(slot="b", text=f"{'two ' * 200}{SECRET}"),
            ),
            human=(HumanVote(rater="some person", verdict="a"),),
            metadata={"any column": ["of", {"the": "row"}]},
        )
        for name in ids
    ]


async def hostile(folder: Path) -> list[Path]:
    """Play runs with all that can be in them, and make every text in them hostile."""
    runs = {
        "votes": ("jury-escalating", (), {"*": "acme/m"}, IDS),
        "votes too": ("jury-escalating", (), {"*": "acme/n"}, IDS[:6]),
        "drafts": ("preference-pairs", ("review=both", "own_family=true"), {"*": "acme/m"}, ("x",)),
    }
    for name, (scenario, changes, models, ids) in runs.items():
        found, source = load(scenario, changes=changes)
        made = plan(found, source=source, models=models)
        await play(made, about(ids), folder / name, Settings(client=ScriptedModel(say)))
    cause = Failure(error="SomeError", reason="some reason", agent="first")
    more = [
        ("", "conductor", RunChanged(changes=("models.judge.model: this then, that now",))),
        ('"~1', "first", AgentRecused(agent="first", cause=cause)),
        ('"~1', "first", LetterUndelivered(to="first", letter="cast_vote", reason="it had stopped")),
    ]
    await written(folder / "votes" / "run.db", more)
    with closing(sqlite3.connect(folder / "votes" / "run.db")) as database:
        body = json.dumps({"kind": "of_a_plugin", "text": "said by a plugin", "more": ["parts"]})
        sent = ('"~1', "first", "", "of_a_plugin", body)
        fields = "(conversation, cause, sender, recipients, kind, body, time_s)"
        database.execute(f"INSERT INTO events {fields} VALUES (?, 2, ?, ?, ?, ?, 1e9)", sent)  # noqa: S608 - constants
        database.commit()
    return [poison(folder / name) for name in runs]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a page wait for its comparison, however busy the machine is."""
    monkeypatch.setattr(comparisons, "AT_ONCE_S", 60)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return asyncio.run(hostile(tmp_path_factory.mktemp("runs")))


@asynccontextmanager
async def visiting(runs: list[Path], folder: Path, **more: object) -> AsyncGenerator[tuple[str, aiohttp.ClientSession]]:
    async with serving(runs, port=0, folder=folder / "index", **more) as url, aiohttp.ClientSession() as session:  # type: ignore[arg-type]
        yield url, session


def route(url: str) -> tuple[str, ...]:
    """Return what a page is the same sort of page as another one by: of lists, not in which order and from where on."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    place = parts.path.rpartition("/")[2]
    if place in ("items", "search", "compare") or "list" in query:
        chosen = (
            tuple(sorted(query)) if place != "compare" else (*sorted(query), query.get("a", ""), query.get("item", ""))
        )
        return (parts.path, query.get("id", ""), *chosen)
    return parts.path, parts.query


def sort(url: str) -> tuple[str, ...]:
    """Return what sort of page it is, of whichever run, item and message."""
    parts = urlsplit(url)
    places = parts.path.split("/")
    return (places[1], re.sub(r"\d+", "0", places[-1]), *sorted(dict(parse_qsl(parts.query))))


@dataclass(frozen=True)
class Found:
    """What was found at an address."""

    status: int
    text: str
    wrong: list[str]


async def crawled(
    url: str, session: aiohttp.ClientSession, *more: str, same: Callable[[str], tuple[str, ...]] = route
) -> dict[str, Found]:
    """Follow every link from the front page, and from some more places; returns what was found by address."""
    site, found, seen = urlsplit(url).netloc, {}, set()
    waiting = [url, *(urljoin(url, place) for place in more)]
    while waiting:
        at = waiting.pop()
        async with session.get(at, allow_redirects=False) as answer:
            for name in SENT:
                assert answer.headers.get(name) == HEADERS[name], (at, name)
            if "Location" in answer.headers:
                links = [answer.headers["Location"]]
            elif answer.content_type == "text/event-stream":
                continue
            else:
                text = await answer.text()
                read = Read(text) if answer.content_type == "text/html" else Read("")
                found[at] = Found(answer.status, text, read.wrong)
                links = read.links
        for link in links:
            target = urljoin(at, link).partition("#")[0]
            assert urlsplit(target)[:2] == ("http", site), (at, link)
            if same(target) not in seen:
                seen.add(same(target))
                waiting.append(target)
    return found


async def test_no_text_of_a_run_becomes_markup_on_any_page_and_no_page_changes_the_run(
    runs: list[Path], tmp_path: Path
) -> None:
    before = {run: content(run) for run in runs}
    words = (
        MARK,
        BEGINNING,
        '"><script>alert(1)</script>',
        "{{7777*7}}",
        "said",
        "]]>",
        "\x00",
        "%0d%0aX: y",
        "plugin",
    )
    names = [f"/r/{quote(run.name, safe='')}" for run in runs]
    asked = [f"{name}/search?q={quote(word)}" for name in names for word in words]
    asked += [f"{names[0]}/{place}?{field}={quote(words[0])}" for place in PLACES for field in FIELDS]
    asked += [f"/{quote(words[0])}", f"/r/{quote(words[2], safe='')}/", f"{names[0]}/{quote(words[0])}"]
    asked += [f"/compare?a={quote(words[0])}", f"/compare?item={quote(words[2])}", "/compare?show=%3Cimg%3E"]
    asked += [f"{name}/search?q={SECRET[3:12]}*" for name in names]
    with hiding(secrets_of({"ACME_API_KEY": SECRET})):
        async with visiting(runs, tmp_path) as (url, session):
            found = await crawled(url, session, *asked)
    met = "\n".join(page.text for page in found.values() if page.status == 200)
    for at, page in found.items():
        assert page.wrong == [], at
        assert page.status < 500, (at, page.text)
        assert not any(mark in page.text for mark in ("\x1b", "\x00", "\u202e", "54439", SECRET[3:])), at
    assert "&lt;img src=x onerror" in met
    assert "[secret ACME_API_KEY]" in met
    sorts = {urlsplit(at).path.rpartition("/")[2] for at, page in found.items() if page.status == 200}
    assert {"", "items", "conversation", "search", "judges", "compare"} <= sorts
    assert any("/m/" in at for at in found)
    assert "Words of the first alone" in met
    assert {run: content(run) for run in runs} == before


PLACES = ("", "items", "conversation", "search", "judges", "events", "m/1", "m/0")
FIELDS = ("q", "id", "offset", "sort", "state", "verdict", "text", "item", "list", "agent", "model", "token", "show")


def test_in_the_page_that_is_one_file_no_text_of_a_run_becomes_markup(runs: list[Path], tmp_path: Path) -> None:
    for run in runs:
        made = fellowship("export", run, "--format", "html", "--prompts", "--to", tmp_path / f"{len(run.name)}.html")
        assert made.exit_code == 0, made.stderr
        text = (tmp_path / f"{len(run.name)}.html").read_text()
        page = Read(text, styled=True)
        assert page.wrong == []
        assert text.lower().count("<style") == 1
        assert all(link.startswith(("#", "data:image/")) for link in page.links), page.links
        assert not any(mark in text for mark in ("\x1b", "\x00", "\u202e", "54439"))
        assert MARK in "".join(page.words)


MADE = "document.querySelectorAll('img,base,iframe,object,embed,[onerror],[onload],[style],script:not([src])')"


@in_a_browser
async def test_in_a_browser_nothing_of_a_run_is_carried_out(runs: list[Path], tmp_path: Path) -> None:
    async with visiting(runs, tmp_path) as (url, session), browsing(viewport=PHONE) as visitor:
        found = await crawled(url, session, same=sort)
        page = await visitor.open(url)
        shown = [at for at, each in found.items() if each.status == 200 and each.text.startswith("<!doctype")]
        assert len({sort(at)[1] for at in shown}) > 6
        for at in shown:
            await page.goto(at)
            assert await page.evaluate(f"{MADE}.length") == 0, at
            assert MARK in await page.evaluate("document.documentElement.textContent"), at
        for run in runs:
            file = tmp_path / "shown.html"
            fellowship("export", run, "--format", "html", "--prompts", "--to", file)
            alone = await visitor.open(file.as_uri())
            assert await alone.evaluate(f"{MADE}.length") == 0
            assert MARK in await alone.evaluate("document.body.textContent")
            file.unlink()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost.evil.example:80"}, 421),
        ({"Host": "localhost@evil.example"}, 421),
        ({"Host": "evil.example#@localhost"}, 421),
        ({"Host": "[::1"}, 421),
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "localhost."}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Cookie": MARK, "User-Agent": MARK, "Accept-Language": MARK, "Referer": MARK}, 200),
    ],
)
async def test_who_asks_under_another_name_or_from_another_site_is_refused(
    runs: list[Path], tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with visiting(runs, tmp_path) as (url, session), session.get(url, headers=headers) as answer:
        assert answer.status == status
        assert {name: answer.headers.get(name) for name in SENT} == {name: HEADERS[name] for name in SENT}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "LINK"])
async def test_nothing_is_taken(runs: list[Path], tmp_path: Path, method: str) -> None:
    async with visiting(runs, tmp_path) as (url, session), session.request(method, url, data=b"x") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
        assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/../../guard.py",
        "/static/x/..%2f..%2fguard.py",
        "/static/x/%2e%2e/%2e%2e/guard.py",
        "/static/x/..%5c..%5cguard.py",
        "/static/x//etc/passwd",
        "/static/%2fetc/passwd",
        "/static/x/style.css%00.html",
        "/r/..%2f..%2f..%2fetc/",
        "/r/%2e%2e/",
        "/r/%2Fetc%2Fpasswd/items",
    ],
)
async def test_no_path_leads_out_of_what_is_served(runs: list[Path], tmp_path: Path, path: str) -> None:
    async with visiting(runs, tmp_path) as (url, _):
        parts = urlsplit(url)
        status, head, text = await raw(parts.hostname or "", parts.port or 0, f"GET {path} HTTP/1.1", "Host: localhost")
        assert status == 404
        assert b"root:" not in text
        assert b"import" not in text
        assert b"content-security-policy: default-src 'none'" in head.lower()


async def raw(host: str, port: int, *lines: str) -> tuple[int, bytes, bytes]:
    """Send a request as it stands; returns status, head and body of the answer."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write("".join(f"{line}\r\n" for line in (*lines, "Connection: close", "")).encode())
    head, _, text = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), head, text


async def test_a_request_that_is_none_is_refused_in_plain_text(runs: list[Path], tmp_path: Path) -> None:
    async with visiting(runs, tmp_path) as (url, _):
        parts = urlsplit(url)
        where = (parts.hostname or "", parts.port or 0)
        for lines in (
            (f"GET /{MARK} HTTP/1.1", "Host: localhost"),
            ("GET / HTTP/1.1", "Host: localhost", f"{MARK}: x", "Accept: text/html"),
            (f"GET /{'<b>' * 9000} HTTP/1.1", "Host: localhost", "Accept: text/html"),
            ("GET / HTTP/1.1", "Accept: text/html"),
            ("GET http://evil.example/ HTTP/1.1", "Host: evil.example"),
        ):
            status, head, text = await raw(*where, *lines)
            assert 400 <= status < 500, lines
            assert b"content-type: text/plain" in head.lower(), lines
            assert b"evil" not in head.lower(), lines
            assert b"\nimg" not in text, lines


async def test_beyond_this_machine_a_token_is_asked_for_once_and_then_kept_where_no_page_and_no_log_has_it(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    beyond = {"host": "0.0.0.0", "token": "the-token-itself", "names": ("allowed.example",)}  # noqa: S104 - it is told
    async with visiting(runs, tmp_path, **beyond) as (url, session):
        port = urlsplit(url).port
        at = f"http://127.0.0.1:{port}"
        assert url.endswith("?token=the-token-itself")
        for given in ("", "?token=", "?token=the-token-itsel", "?token=%C3%BC", "?token=the-token-itself%00"):
            for place in ("/", "/static/x/style.css", "/compare", "/nowhere"):
                async with session.get(f"{at}{place}{given}") as answer:
                    assert answer.status == 401, (place, given)
                    assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
                    assert "the-token" not in await answer.text()
        for place in ("/compare?a=x&token=the-token-itself", "//evil.example/?token=the-token-itself"):
            async with session.get(f"{at}{place}", allow_redirects=False) as answer:
                assert answer.status == 303
                assert urlsplit(urljoin(at, answer.headers["Location"])).netloc == urlsplit(at).netloc
                assert "token" not in answer.headers["Location"]
                cookie = answer.cookies[COOKIE]
                assert cookie["httponly"]
                assert cookie["samesite"] == "Strict"
        session.cookie_jar.clear()
        kept = {COOKIE: "the-token-itself"}
        async with aiohttp.ClientSession(cookies=kept, cookie_jar=aiohttp.CookieJar(unsafe=True)) as visitor:
            for path, page in (await crawled(f"{at}/compare", visitor, same=sort)).items():
                assert page.status == 200, path
                assert "the-token" not in unquote(page.text) + path
            async with visitor.get(at, headers={"Host": f"allowed.example:{port}"}) as answer:
                assert answer.status == 200
            async with visitor.get(at, headers={"Host": f"evil.example:{port}"}) as answer:
                assert answer.status == 421
    told = capsys.readouterr()
    assert "the-token" not in told.out + told.err + caplog.text

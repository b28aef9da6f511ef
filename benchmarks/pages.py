"""The viewer's pages over HTTP, of the log that `viewer.py` makes: asked for by a client, and drawn by Chromium.

The server is `fellowship view` in a process of its own. A page is drawn when Chromium has loaded it, laid it out and
painted two frames; where there is no Chromium, only the server's time is told.

    python benchmarks/pages.py [DEBATES] [REPETITIONS]
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common import arguments, middle
from playwright.sync_api import sync_playwright
from viewer import COMMON, PHRASE, RARE

FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
DRAWN = """() => new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"""


@contextmanager
def viewed(run: Path, cache: Path) -> Iterator[tuple[str, int]]:
    """Serve a run; gives the address and the process's id."""
    line = [sys.executable, "-m", "fellowship", "view", str(run), "--port", "0"]
    with subprocess.Popen(
        line, stderr=subprocess.PIPE, text=True, env={**os.environ, "FELLOWSHIP_CACHE": str(cache)}
    ) as server:
        try:
            assert server.stderr is not None
            yield server.stderr.readline().strip(), server.pid
        finally:
            server.terminate()


def got(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - at the viewer
        content: bytes = answer.read()
        return content


def indexed(url: str) -> float:
    """Return the longest that the overview took while the log was read for the first time, in seconds."""
    longest_s = 0.0
    while True:
        begun_s = time.perf_counter()
        page = got(f"{url}r/run/")
        longest_s = max(longest_s, time.perf_counter() - begun_s)
        if b"Reading the log" not in page:
            return longest_s
        time.sleep(0.2)


def peak_mib(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def asked(url: str, repetitions: int) -> tuple[list[float], int]:
    """Return the seconds of some repetitions, after one that warms up, and the bytes."""
    size = len(got(url))
    found: list[float] = []
    for _ in range(repetitions):
        begun_s = time.perf_counter()
        got(url)
        found.append(time.perf_counter() - begun_s)
    return found, size


def drawn(urls: dict[str, str], repetitions: int) -> dict[str, list[float]]:
    """Return the seconds from asking for each page until it stands there painted."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        return {}
    found: dict[str, list[float]] = {name: [] for name in urls}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        for name, url in urls.items():
            for number in range(repetitions + 1):
                page.goto(url, wait_until="load")
                if number:
                    found[name].append(page.evaluate(DRAWN) / 1000)
        browser.close()
    return found


def places(debates: int) -> dict[str, str]:
    return {
        "overview": "",
        "items": "items",
        "items, by disagreement": "items?sort=-disagreement",
        "items, by cost, the last page": f"items?sort=cost&offset={debates - 40}",
        "items, with a common word": f"items?text={COMMON}",
        "search, a common word": f"search?q={COMMON}",
        "search, a rare word": f"search?q={RARE}",
        "search, a phrase": f"search?q=%22{PHRASE.replace(' ', '+')}%22",
        "judges": "judges",
        "a conversation of 20 messages": "conversation?id=7~1",
        "a conversation of 400 messages": f"conversation?id={debates}~1",
    }


def main(debates: int, repetitions: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        run.mkdir()
        build = [sys.executable, str(Path(__file__).with_name("viewer.py")), "--apart", "build", str(run), str(debates)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        with viewed(run, Path(name) / "cache") as (url, process):
            print(f"While it is indexed, the overview takes at most {1000 * indexed(url):.0f} ms.", flush=True)
            urls = {page: f"{url}r/run/{place}" for page, place in places(debates).items()}
            numbers = re.findall(rb'id="m(\d+)"', got(urls["a conversation of 400 messages"]))
            urls["a message of it"] = f"{url}r/run/m/{numbers[200].decode()}"
            served = {page: asked(at, repetitions) for page, at in urls.items()}
            shown = drawn(urls, repetitions)
            peak = peak_mib(process)
        for page, (values, size) in served.items():
            told = f"{middle([1000 * value for value in values], '6.0f', 'ms')}, {size / 1024:6.0f} KiB"
            if page in shown:
                told += f", drawn after {middle([1000 * value for value in shown[page]], '6.0f', 'ms')}"
            print(f"  {page:32} {told}")
        print(f"  peak of the server {peak:,.0f} MiB   goal: 200")


if __name__ == "__main__":
    main(*arguments(5_000, 5))

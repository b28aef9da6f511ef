"""A browser, as a user has it: Debian's Chromium, driven by Playwright, that fails the test on whatever it complains of."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Request, async_playwright, expect

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
in_a_browser = pytest.mark.skipif(
    not CHROMIUM and not os.environ.get("CI"), reason="there is no Chromium on this machine's PATH"
)
"""Tests that need one; where CI is set it must be there."""
PATIENCE_MS = 30_000
"""How long whatever is waited for may take, on a machine that is busy with all tests."""
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


class Browsing:
    """A browser with a context a visitor; what goes wrong in any of them is kept."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.complaints: list[str] = []
        """Errors and warnings of the console, of scripts, of requests; dialogs; whatever is asked of elsewhere."""

    async def open(self, url: str) -> Page:
        """Return a page that shows an address."""
        page = await self.context.new_page()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        page.on("requestfailed", self._failed)
        site = urlsplit(url).netloc
        page.on("request", lambda request: self._asked(request, site))
        await page.goto(url)
        return page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.complaints.append(f"console: {message.text} ({message.location})")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the reader went on to another page
            self.complaints.append(f"request: {request.url} {request.failure}")

    def _asked(self, request: Request, site: str) -> None:
        if urlsplit(request.url).netloc != site and not request.url.startswith("data:"):
            self.complaints.append(f"elsewhere: {request.url}")


@asynccontextmanager
async def browsing(*, viewport: dict[str, int] | None = None, **context: object) -> AsyncGenerator[Browsing, None]:
    """Start a browser; at the end nothing may have been complained of.

    Args:
        viewport: Width and height in pixels; WIDE where none is given.
        context: Further options of a Playwright context, such as `color_scheme="dark"`.
    """
    assert CHROMIUM, "there is no Chromium on the PATH, and CI is to have one: .ci/run installs it"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            visitor = await browser.new_context(viewport=viewport or WIDE, **context)  # type: ignore[arg-type]
            visitor.set_default_timeout(PATIENCE_MS)
            expect.set_options(timeout=PATIENCE_MS)
            found = Browsing(visitor)
            yield found
        finally:
            await browser.close()
    assert found.complaints == []

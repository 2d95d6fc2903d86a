"""Somebody in front of the page, in headless Chromium.

Import it where playwright and zxing-cpp are known to be there.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import zxingcpp
from PIL import Image
from playwright.async_api import Browser, Locator, Page, async_playwright, expect
from web_service.sessions import user_of

from .serving import Place

__all__ = ["Person", "launched", "needs_chromium", "sitting_before"]

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium (Debian's package chromium)"
)

expect.set_options(timeout=60_000)  # milliseconds; a busy machine is no failure

WIDE = {"width": 1120, "height": 760}


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """A browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        await browser.close()


@dataclass
class Person:
    """Somebody in front of a page."""

    page: Page
    service: Place
    user_id: str = ""
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def find(self, selector: str) -> Locator:
        """An element."""
        return self.page.locator(selector)

    def watch(self, page: Page) -> None:
        """Take note of what a page asks for, and of what the console says."""
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def another_tab(self) -> Person:
        """A second tab of the same browser."""
        page = await self.page.context.new_page()
        self.watch(page)
        await page.goto(self.service.url)
        return Person(page, self.service, self.user_id)

    async def press_pair(self) -> None:
        """Press "Pair WhatsApp" and see a code."""
        await self.page.get_by_role("button", name="Pair WhatsApp").click()
        await self.sees_code()

    async def sees_code(self) -> None:
        """A code is on screen."""
        await expect(self.find("#picture")).to_be_visible()
        await expect(self.find("#frame")).to_have_attribute("data-look", "code")
        await self.sees_state("displayed")

    async def sees_state(self, state: str, within: str = "dialog") -> None:
        """The diagram has this state lit."""
        picture = self.find(f"{within} [data-state]:not([hidden])")
        await expect(picture).to_have_attribute("data-state", state)
        size = self.page.viewport_size
        if size is not None and size["width"] > 760 and size["height"] > 520:  # else it is folded
            await expect(picture).to_be_visible()

    async def sees_no_code(self) -> None:
        """No code is on screen, nor behind it."""
        await expect(self.find("#picture")).to_be_hidden()
        assert await self.find("#picture").get_attribute("src") is None
        assert await self.find("#address").get_attribute("href") is None

    async def reads(self, sentence: str) -> None:
        """The sentence in the dialog."""
        await expect(self.find("#sentence")).to_have_text(sentence)

    async def scans(self) -> None:
        """Hold a phone before the screen: what it reads in the picture, it opens."""
        code = await self.reads_code()
        async with aiohttp.ClientSession() as phone, phone.post(code) as answer:
            assert answer.ok

    async def reads_code(self) -> str:
        """What a phone would read in the picture."""
        (code,) = zxingcpp.read_barcodes(await self.photograph())
        return str(code.text)

    async def photograph(self) -> Image.Image:
        """What is on screen."""
        return Image.open(io.BytesIO(await self.page.screenshot()))

    @property
    def asked(self) -> int:
        """How often a page of theirs asked for a code."""
        return len([url for url in self.requests if url.endswith("/pair")])

    @property
    def open_sockets(self) -> int:
        """The pairing server's count."""
        return self.service.pairing.open_sockets(self.user_id)


@asynccontextmanager
async def sitting_before(browser: Browser, service: Place, **options: Any) -> AsyncIterator[Person]:
    """A person with a browser of their own; leaving checks what the page asked for and said."""
    context = await browser.new_context(**{"viewport": WIDE, **options})
    page = await context.new_page()
    person = Person(page, service)
    person.watch(page)
    try:
        await page.goto(service.url)
        (cookie,) = await context.cookies()
        person.user_id = user_of(cookie.get("value", ""))
        yield person
        assert not person.complaints, person.complaints
        assert person.requests
        origin = f"{service.url.rstrip('/')}/"
        assert all(url.startswith(origin) for url in person.requests)
    finally:
        await context.close()

"""The example service with a person in front: headless Chromium, one process for all of this file.

After every test: no request has left the origin, the console is silent, and no socket is left at
the pairing server.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

pytest.importorskip("starlette", reason="needs the extra 'examples'")
pytest.importorskip("uvicorn", reason="needs the extra 'examples'")
pytest.importorskip("pygraphviz", reason="needs the extra 'examples'")
pytest.importorskip("playwright", reason="needs playwright, which drives Chromium")
pytest.importorskip("zxingcpp", reason="needs zxing-cpp, which reads the codes")

import zxingcpp
from playwright.async_api import Browser, Page, expect
from web_service.sessions import SESSION

from qrlifecycle import Reason, State

from ..npm import from_npm
from .people import Person, needs_chromium, sitting_before
from .serving import BOT, Offering, Service, serving, until

TOP = Path(__file__).parents[2]
AXE = "axe-core@4"

pytestmark = [pytest.mark.anyio, needs_chromium]

CONTRASTS = """
() => {
  const rgb = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const luminance = ({ r, g, b }) => {
    const [R, G, B] = [r, g, b].map((c) => {
      c /= 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = rgb(getComputedStyle(element).backgroundColor);
      if (colour.a === 1) return colour;
    }
    return { r: 255, g: 255, b: 255 };
  };
  const root = document.querySelector("dialog[open]") ?? document.body;
  const found = [];
  for (const element of root.querySelectorAll("*")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [rgb(getComputedStyle(element).color), ground(element)].map(luminance);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([element.textContent.trim(), ratio]);
  }
  return found;
}
"""
"""The contrast of each text that can be seen, as WCAG 2 reckons it."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Uvicorn and playwright need asyncio; a browser wants real time."""
    return "asyncio"


Seat = Callable[..., Awaitable[Person]]


@pytest.fixture
async def seat(browser: Browser, service: Service) -> AsyncIterator[Seat]:
    """Seats a person before the page; the options are those of a browser's context."""
    async with AsyncExitStack() as people:

        async def sit(**options: Any) -> Person:
            return await people.enter_async_context(sitting_before(browser, service, **options))

        yield sit


@pytest.fixture
async def ada(seat: Seat) -> Person:
    """A person."""
    return await seat()


# Pairing


async def test_promise_1_a_phone_reads_the_screen_and_pairs(ada: Person) -> None:
    """There is no socket before the code, one with it, and none when success is shown."""
    assert ada.service.pairing.most_sockets(ada.user_id) == 0
    await ada.press_pair()
    assert ada.open_sockets == 1
    await expect(ada.find("dialog .socket")).to_have_text("One socket is open.")
    await ada.scans()
    await ada.reads("Paired with +490001234567.")
    await expect(ada.find("#next")).to_contain_text("Your bot answers from this number now.")
    assert ada.open_sockets == 0
    await ada.sees_no_code()
    await ada.sees_state("connected")
    await expect(ada.find("dialog .socket")).to_have_text("No socket is open.")
    await ada.page.get_by_role("button", name="Close").click()
    await expect(ada.find("#paired")).to_have_text("Paired with +490001234567.")


async def test_the_phone_may_scan_after_a_rotation(ada: Person) -> None:
    """The screen shows the new code, and it pairs."""
    await ada.press_pair()
    before = await ada.find("#picture").get_attribute("src")
    assert before is not None
    await ada.service.pairing.rotate(BOT, ada.user_id)
    await expect(ada.find("#picture")).not_to_have_attribute("src", before)
    await ada.scans()
    await ada.reads("Paired with +490001234567.")


async def test_a_scan_that_waits_for_the_phone_is_told(ada: Person) -> None:
    """The person looks at the phone now; no time runs on screen."""
    await ada.press_pair()
    await ada.service.scan(ada.user_id, confirm=False)
    await ada.reads("Your phone has read the code. Please approve there.")
    await expect(ada.find("#clock")).to_be_hidden()
    assert zxingcpp.read_barcodes(await ada.photograph()) == []
    await ada.service.scan(ada.user_id)
    await ada.reads("Paired with +490001234567.")


async def test_who_comes_back_paired_is_told_without_a_code(ada: Person) -> None:
    """A scan in the moment of leaving is not lost."""
    await ada.press_pair()
    await ada.service.scan(ada.user_id, confirm=False)
    await ada.page.keyboard.press("Escape")
    await ada.service.scan(ada.user_id)
    await ada.page.get_by_role("button", name="Pair WhatsApp").click()
    await ada.reads("Paired with +490001234567.")
    await ada.sees_no_code()


async def test_a_code_to_type_is_text(browser: Browser) -> None:
    """With a name of its own, for whoever cannot see or scan."""
    async with serving(Offering) as service:
        async with sitting_before(browser, service) as ada:
            await ada.page.get_by_role("button", name="Pair WhatsApp").click()
            code = ada.page.get_by_role("status", name="Code to type on your phone")
            await expect(code).to_have_text("ABCD-1234")
            await ada.reads("Type this code on your phone.")
            await service.scan(ada.user_id)
            await ada.reads("Paired with +490001234567.")
        await service.nothing_left()


# Going away


@pytest.mark.parametrize("how", ["Escape", "Cancel"])
async def test_promise_5_a_closed_dialog_ends_it(ada: Person, how: str) -> None:
    """The socket is gone, the code forgotten, and the focus where it was."""
    await ada.press_pair()
    if how == "Escape":
        await ada.page.keyboard.press(how)
    else:
        await ada.page.get_by_role("button", name=how).click()
    await ada.service.nothing_left()
    await ada.sees_no_code()
    await ada.sees_state("idle", within="main")
    await expect(ada.page.get_by_role("button", name="Pair WhatsApp")).to_be_focused()


async def test_promise_5_a_closed_tab_ends_it(ada: Person) -> None:
    """Without a word from the page."""
    await ada.press_pair()
    await ada.page.close()
    await ada.service.nothing_left()


async def test_promise_5_a_reload_ends_it(ada: Person) -> None:
    """The page starts again, without a code; a code can be asked for again."""
    await ada.press_pair()
    await ada.page.reload()
    await ada.service.nothing_left()
    await expect(ada.find("dialog")).to_be_hidden()
    await ada.press_pair()
    await ada.scans()
    await ada.reads("Paired with +490001234567.")
    assert ada.service.pairing.most_sockets(ada.user_id) == 1


async def test_a_page_from_the_cache_shows_no_old_code(ada: Person) -> None:
    """Whoever goes elsewhere and back finds the dialog closed."""
    await ada.press_pair()
    await ada.page.goto("about:blank")
    await ada.service.nothing_left()
    await ada.page.go_back()
    await expect(ada.find("dialog")).to_be_hidden()
    await ada.sees_no_code()


async def test_a_lost_connection_is_told(ada: Person, service: Service) -> None:
    """The socket goes with it, and the person can try again."""
    await ada.press_pair()
    for connection in tuple(service.server.server_state.connections):
        connection.transport.abort()
    await ada.reads(Reason.TRANSPORT_LOST.person)
    await ada.service.nothing_left()
    await ada.sees_no_code()
    assert all("net::ERR_" in complaint for complaint in ada.complaints)
    ada.complaints.clear()  # the browser's own word
    await ada.page.get_by_role("button", name="Try again").click()
    await ada.sees_code()


async def test_a_silent_connection_is_given_up(ada: Person) -> None:
    """The service says something every 10 s; the page waits for 25."""
    await ada.page.clock.install()
    await ada.press_pair()
    await ada.page.clock.fast_forward(26_000)
    await ada.reads(Reason.TRANSPORT_LOST.person)
    await ada.service.nothing_left()


@pytest.mark.slow
@pytest.mark.parametrize("scanned", [False, True])
async def test_a_page_whose_machine_slept_asks_what_there_is_by_now(
    ada: Person, scanned: bool
) -> None:
    """The timers stood still, and the wall clock did not; whoever approves is not disturbed."""
    await ada.press_pair()
    if scanned:
        await ada.service.scan(ada.user_id, confirm=False)
        await ada.reads("Your phone has read the code. Please approve there.")
    await ada.page.wait_for_timeout(2100)  # the clocks have been compared
    await ada.page.evaluate("() => { const now = Date.now; Date.now = () => now() + 600_000; }")
    if scanned:
        await ada.page.wait_for_timeout(2100)
        await ada.service.scan(ada.user_id)
    else:
        await until(lambda: ada.asked == 2)
        await ada.sees_code()
        await ada.scans()
    await ada.reads("Paired with +490001234567.")
    assert ada.asked == (1 if scanned else 2)
    assert ada.service.pairing.most_sockets(ada.user_id) == 1


async def test_the_time_that_is_left_runs(ada: Person) -> None:
    """By the second, on the person's own clock."""
    now = datetime.now(UTC)
    await ada.page.clock.install(time=now)
    await ada.page.clock.pause_at(now + timedelta(seconds=60))  # else it would run by itself
    await ada.press_pair()
    timer = ada.page.get_by_role("timer")
    shown = re.fullmatch(r"(\d):(\d\d) left", await timer.inner_text())
    assert shown is not None
    left = int(shown[1]) * 60 + int(shown[2]) - 15
    await ada.page.clock.run_for(15_000)
    await expect(timer).to_have_text(f"0:{left:02} left")


# Failure


async def test_a_failure_is_told_in_words_and_can_be_tried_again(ada: Person) -> None:
    """By keyboard alone: the focus is never lost."""
    await ada.page.keyboard.press("Tab")
    await ada.page.keyboard.press("Enter")
    await ada.sees_code()
    await ada.service.pairing.refuse(BOT, ada.user_id)
    await ada.reads(Reason.REFUSED_ON_PHONE.person)
    await expect(ada.find("#next")).to_have_text("Press “Try again” for a new code.")
    await ada.sees_no_code()
    await ada.sees_state("failed")
    again = ada.page.get_by_role("button", name="Try again")
    await ada.page.keyboard.press("Tab")
    await expect(again).to_be_focused()
    await ada.page.keyboard.press("Enter")
    await ada.sees_code()
    await expect(again).to_be_hidden()
    await expect(ada.find("#next")).to_have_text("")
    await expect(ada.find("#title")).to_be_focused()


async def test_a_service_that_stops_says_so(browser: Browser) -> None:
    """With a stream open; it does not wait for the code to run out."""
    async with serving() as service, sitting_before(browser, service) as ada:
        await ada.press_pair()
        service.server.should_exit = True
        await ada.reads(Reason.CANCELLED.person)
        await service.nothing_left()


async def test_a_page_that_outlives_the_service_need_not_be_loaded_again(browser: Browser) -> None:
    """After a restart it knows no earlier session: it gives one, and is asked again."""
    async with serving() as service, sitting_before(browser, service) as ada:
        cookies = ada.page.context
        await cookies.clear_cookies()
        await cookies.add_cookies([{"name": SESSION, "value": "of.before", "url": service.url}])
        await ada.page.get_by_role("button", name="Pair WhatsApp").click()
        await ada.sees_code()
        (complaint,) = ada.complaints
        assert "403" in complaint
        ada.complaints.clear()


async def test_a_service_that_is_full_says_so(browser: Browser) -> None:
    """It is not the connection that was lost."""
    async with serving(most=0) as service, sitting_before(browser, service) as ada:
        await ada.page.get_by_role("button", name="Pair WhatsApp").click()
        await ada.reads("Too many people at once. Try again later.")
        await expect(ada.page.get_by_role("button", name="Try again")).to_be_visible()
        (complaint,) = ada.complaints
        assert "503" in complaint
        ada.complaints.clear()


async def test_without_a_script_there_is_no_button(browser: Browser, service: Service) -> None:
    """It could do nothing."""
    context = await browser.new_context(java_script_enabled=False)
    try:
        page = await context.new_page()
        await page.goto(service.url)
        await expect(page.get_by_role("button")).to_have_count(0)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
    finally:
        await context.close()


# Two tabs, two people


async def test_promise_3_a_second_tab_shows_the_same_code(ada: Person) -> None:
    """One scan pairs for both; there is one socket."""
    await ada.press_pair()
    other = await ada.another_tab()
    await other.press_pair()
    assert await other.reads_code() == await ada.reads_code()
    await other.scans()
    for tab in (ada, other):
        await tab.reads("Paired with +490001234567.")
        await tab.sees_no_code()
    assert ada.service.pairing.most_sockets(ada.user_id) == 1


async def test_promise_5_cancel_is_for_the_tab_in_which_it_is_pressed(ada: Person) -> None:
    """The other one goes on with its code; when both have, the socket is gone."""
    await ada.press_pair()
    other = await ada.another_tab()
    await other.press_pair()
    before = await other.reads_code()
    await ada.page.get_by_role("button", name="Cancel").click()
    await ada.sees_no_code()
    await ada.press_pair()  # in again
    assert await ada.reads_code() == before
    await ada.page.reload()
    assert await other.reads_code() == before
    assert ada.open_sockets == 1
    await other.page.get_by_role("button", name="Cancel").click()
    await ada.service.nothing_left()
    assert len([r for r in ada.service.pairing.sockets if r.user_id == ada.user_id]) == 1


@pytest.mark.slow
async def test_a_tab_that_joins_late_shows_the_time_that_is_left(ada: Person) -> None:
    """Not the lifetime of a fresh code."""
    await ada.press_pair()
    await ada.page.wait_for_timeout(2100)
    other = await ada.another_tab()
    await other.press_pair()
    await expect(other.page.get_by_role("timer")).to_have_text(re.compile(r"^0:5\d left$"))


async def test_two_people_see_their_own_codes(seat: Seat) -> None:
    """A scan of the one is nothing to the other."""
    ada, bob = await seat(), await seat()
    await ada.press_pair()
    await bob.press_pair()
    codes = [zxingcpp.read_barcodes(await each.photograph())[0].text for each in (ada, bob)]
    assert codes[0] != codes[1]
    await ada.scans()
    await ada.reads("Paired with +490001234567.")
    await bob.reads("Scan the code with your phone.")
    assert bob.open_sockets == 1
    assert zxingcpp.read_barcodes(await bob.photograph())[0].text == codes[1]


# Whoever cannot see it, and whatever it is looked at with


async def test_everything_has_a_name(ada: Person) -> None:
    """The dialog, what it says, the picture, and the diagram with the state in words."""
    page = ada.page
    await expect(page.get_by_role("heading", level=1)).to_have_text("Pair WhatsApp")
    await ada.press_pair()
    dialog = page.get_by_role("dialog", name="Pair WhatsApp")
    await expect(dialog).to_be_visible()
    await expect(dialog).to_have_accessible_description("Scan the code with your phone.")
    await expect(ada.find("#title")).to_be_focused()
    await expect(dialog.get_by_role("status")).to_have_text("Scan the code with your phone.")
    code = dialog.get_by_role("img", name="QR code that pairs your phone.")
    await expect(code).to_have_attribute("alt", re.compile("Linked devices"))
    diagram = dialog.get_by_role(
        "img", name=f"State diagram, now in: displayed. {State.DISPLAYED.meaning}"
    )
    await expect(diagram).to_be_visible()
    assert await page.locator("html").get_attribute("lang") == "en"
    assert await page.locator("img:not([alt]), button:not([type])").count() == 0


async def test_the_keyboard_stays_in_the_dialog(ada: Person) -> None:
    """What is behind it cannot be reached while it is open."""
    await ada.press_pair()
    for _ in range(6):
        await ada.page.keyboard.press("Tab")
        assert not await ada.page.evaluate("document.activeElement.closest('main') !== null")


SCREENS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced colours": {"color_scheme": "dark", "forced_colors": "active"},
    "a small phone": {"viewport": {"width": 320, "height": 640}, "color_scheme": "dark"},
    "a phone on its side": {"viewport": {"width": 667, "height": 320}},
    "twice as large": {"viewport": {"width": 640, "height": 360}},
    "a fine screen": {"device_scale_factor": 2, "color_scheme": "dark"},
}


@pytest.mark.slow
@pytest.mark.parametrize("options", SCREENS.values(), ids=SCREENS)
async def test_the_code_scans_on_every_screen(seat: Seat, options: dict[str, Any]) -> None:
    """Black on white, with its quiet zone, whatever the page looks like."""
    ada = await seat(**options)
    await ada.press_pair()
    photograph = (await ada.photograph()).convert("RGB")
    (code,) = zxingcpp.read_barcodes(photograph)
    pairing = ada.service.pairing.pairing(BOT, ada.user_id)
    assert code.text == ada.service.pairing.url_of(pairing)
    box = await ada.find("#picture").bounding_box()
    assert box is not None
    factor = options.get("device_scale_factor", 1)
    left, top, side = (int(box[name] * factor) for name in ("x", "y", "width"))
    picture = photograph.crop((left + 1, top + 1, left + side - 1, top + side - 1))
    assert picture.getpixel((3, 3)) == (255, 255, 255)
    assert (0, 0, 0) in {colour for _, colour in picture.getcolors(maxcolors=100_000) or []}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_can_be_read(seat: Seat, scheme: str) -> None:
    """At least 4.5 to 1, as WCAG 2 asks at its level AA: before, with a code, and at each end."""
    ada = await seat(color_scheme=scheme)

    async def check() -> None:
        found = await ada.page.evaluate(CONTRASTS)
        assert found
        assert [(text, ratio) for text, ratio in found if ratio < 4.5] == []

    await check()
    await ada.press_pair()
    await check()
    await ada.service.pairing.refuse(BOT, ada.user_id)
    await ada.reads(Reason.REFUSED_ON_PHONE.person)
    await check()
    await ada.page.get_by_role("button", name="Try again").click()
    await ada.sees_code()
    await ada.scans()
    await ada.reads("Paired with +490001234567.")
    await check()
    await ada.page.get_by_role("button", name="Close").click()
    await check()


@pytest.mark.parametrize(("width", "height"), [(390, 800), (320, 568)], ids=["usual", "small"])
async def test_a_phone_has_the_diagram_folded(seat: Seat, width: int, height: int) -> None:
    """What is to be done comes first; whoever wants to see the states unfolds them."""
    ada = await seat(viewport={"width": width, "height": height})
    await ada.press_pair()
    diagram = ada.find("dialog [data-state=displayed]")
    await expect(diagram).to_be_hidden()
    for part in ("#picture", "#sentence", "#close"):
        await expect(ada.find(part)).to_be_in_viewport(ratio=1)
    await ada.find("dialog summary").click()
    await expect(diagram).to_be_visible()
    wide = await seat()
    await wide.press_pair()
    await expect(wide.find("dialog [data-state=displayed]")).to_be_visible()


async def test_a_phone_on_its_side_shows_what_is_said_beside_the_code(seat: Seat) -> None:
    """With a code and at each end: the words, and what can be pressed, without scrolling."""
    ada = await seat(viewport={"width": 844, "height": 390})

    async def sees(*parts: str) -> None:
        for part in parts:
            await expect(ada.find(part)).to_be_in_viewport(ratio=1)
        await expect(ada.find("dialog [data-state]:not([hidden])")).to_be_hidden()

    await ada.press_pair()
    await sees("#picture", "#sentence", "#left", "#address", "#close")
    await ada.service.pairing.refuse(BOT, ada.user_id)
    await ada.reads(Reason.REFUSED_ON_PHONE.person)
    await sees("#sentence", "#next", "#again", "#close")
    await ada.page.get_by_role("button", name="Try again").click()
    await ada.sees_code()
    await ada.scans()
    await ada.reads("Paired with +490001234567.")
    await sees("#sentence", "#next", "#close")


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core, which judges the pages."""
    return from_npm(AXE, "axe.min.js", "axe-core judges the pages").read_text()


async def judge(page: Page, axe: str) -> list[str]:
    """What axe finds wrong: the rule, and where."""
    await page.evaluate(f"() => {{ {axe}; return true; }}")
    found = await page.evaluate("async () => await axe.run(document)")
    assert len(found["passes"]) > 5
    wrong = found["violations"]
    return [f"{rule['id']}: {node['html'][:100]}" for rule in wrong for node in rule["nodes"]]


@asynccontextmanager
async def behind_a_path(service: Service) -> AsyncIterator[Service]:
    """The service as a proxy shows it, below a path of its own."""

    async def forward(request: web.Request) -> web.StreamResponse:
        address = f"{service.url}/{request.match_info['rest']}"
        kept = {n: v for n, v in request.headers.items() if n in ("Host", "Origin", "Cookie")}
        async with (
            aiohttp.ClientSession() as http,
            http.request(request.method, address, headers=kept) as answer,
        ):
            passed = web.StreamResponse(status=answer.status, headers=answer.headers)
            await passed.prepare(request)
            async for part in answer.content.iter_any():
                await passed.write(part)
        return passed

    app = web.Application(handler_args={"handler_cancellation": True})
    app.router.add_route("*", "/web/{rest:.*}", forward)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield replace(service, url=f"http://127.0.0.1:{runner.addresses[0][1]}/web/")
    finally:
        await runner.cleanup()


async def test_behind_a_path_everything_works(browser: Browser, service: Service) -> None:
    """A code, a failure by hand, another code, and the success; nothing is asked for elsewhere."""
    async with behind_a_path(service) as proxied, sitting_before(browser, proxied) as ada:
        (cookie,) = await ada.page.context.cookies()
        assert cookie.get("path") == "/web"
        await ada.press_pair()
        phone = await ada.page.context.new_page()
        address = await ada.find("#address").get_attribute("href")
        assert address is not None
        await phone.goto(address)
        await phone.get_by_role("button", name="No, decline").click()
        await ada.reads(Reason.REFUSED_ON_PHONE.person)
        await ada.page.get_by_role("button", name="Try again").click()
        await ada.sees_code()
        await ada.scans()
        await ada.reads("Paired with +490001234567.")


@pytest.mark.slow
@pytest.mark.parametrize(
    "size", [(1120, 800), (390, 800), (844, 390)], ids=["desktop", "phone", "a phone on its side"]
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_on_the_page(
    seat: Seat, axe: str, scheme: str, size: tuple[int, int]
) -> None:
    """Before, with a code, at a failure, and at the success."""
    viewport = {"width": size[0], "height": size[1]}
    ada = await seat(color_scheme=scheme, viewport=viewport, reduced_motion="reduce")
    assert await judge(ada.page, axe) == []
    await ada.press_pair()
    assert await judge(ada.page, axe) == []
    await ada.service.pairing.refuse(BOT, ada.user_id)
    await ada.reads(Reason.REFUSED_ON_PHONE.person)
    assert await judge(ada.page, axe) == []
    await ada.page.get_by_role("button", name="Try again").click()
    await ada.sees_code()
    await ada.scans()
    await ada.reads("Paired with +490001234567.")
    assert await judge(ada.page, axe) == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("button", ["Yes, pair them", "No, decline"])
async def test_axe_finds_nothing_on_the_phones_page(
    browser: Browser, service: Service, axe: str, scheme: Any, button: str
) -> None:
    """While it asks, when it has been answered, and when the code is good no more."""
    context = await browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800})
    try:
        page = await context.new_page()
        code = service.pairing.make_code(BOT, "somebody")
        await page.goto(code)
        assert await judge(page, axe) == []
        await page.get_by_role("button", name=button).click()
        await expect(page.get_by_role("heading")).to_have_text(re.compile("Paired|Declined"))
        assert await judge(page, axe) == []
        await page.goto(code)
        await expect(page.get_by_role("heading")).to_have_text("This code is good no more.")
        assert await judge(page, axe) == []
    finally:
        await context.close()


async def test_nothing_moves_for_whom_motion_is_too_much(seat: Seat) -> None:
    """Neither while it waits nor at the end."""
    moving = "document.getAnimations().length"
    still, lively = await seat(reduced_motion="reduce"), await seat(reduced_motion="no-preference")
    for person, expected in ((still, 0), (lively, 1)):
        await person.page.evaluate("document.getElementById('dialog').showModal()")
        assert await person.page.evaluate(moving) == expected

"""Two processes of the example service behind an nginx, one user, and whatever befalls them.

Everything is real: nginx with the page's own configuration, a redis-server, two processes that are
started by the command that people use, and headless Chromium. After every test: at no moment did
the user have two sockets at the pairing server.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import anyio
import pytest

pytest.importorskip("starlette", reason="needs the extra 'examples'")
pytest.importorskip("uvicorn", reason="needs the extra 'examples'")
pytest.importorskip("pygraphviz", reason="needs the extra 'examples'")
pytest.importorskip("playwright", reason="needs playwright, which drives Chromium")
pytest.importorskip("zxingcpp", reason="needs zxing-cpp, which reads the codes")

from playwright.async_api import Browser, expect

from qrlifecycle import Reason
from qrlifecycle.testing import PairingServer

from ..leases.redis_server import MISSING
from ..nginx import Nginx
from ..patience import PROCESS_HANGS
from ..sockets import free_port
from .people import Person, needs_chromium, sitting_before
from .replicas import PAGE, SAYING_WHERE, TOP, Stage, nginx_of_the_page, stage
from .serving import Client, Place

if TYPE_CHECKING:
    from playwright.async_api import Locator

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    needs_chromium,
    pytest.mark.skipif(MISSING, reason="there is no redis-server here, nor a valkey-server"),
]

ASKING = "Asking for a code."
PAIRED = "Paired with +490001234567."


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Uvicorn and playwright need asyncio; a browser wants real time."""
    return "asyncio"


@pytest.fixture(scope="module")
async def replicas(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One stage for all of this file."""
    async with stage(tmp_path_factory.mktemp("nginx")) as made:
        yield made


@pytest.fixture
async def ada(browser: Browser, replicas: Stage) -> AsyncIterator[Person]:
    """A person; of whom there are never two sockets, and none is left."""
    async with sitting_before(browser, replicas.place) as person:
        yield person
    await replicas.place.nothing_left()
    assert replicas.pairing.most_sockets(person.user_id) == 1


def again(tab: Person) -> Locator:
    """The button."""
    return tab.page.get_by_role("button", name="Try again")


async def ends_with_a_button(tab: Person, reason: Reason) -> None:
    """There is no code any more; the sentence says why, and there is something to press."""
    await tab.reads(reason.person)
    await tab.sees_no_code()
    await expect(again(tab)).to_be_visible()
    await expect(tab.find("#next")).to_have_text("Press “Try again” for a new code.")


def forgive_the_network(person: Person) -> None:
    """The browser's own word for a connection that broke."""
    assert all("net::ERR_" in complaint for complaint in person.complaints)
    person.complaints.clear()


async def press(tab: Person) -> None:
    """Whichever button there is that asks for a code."""
    if await again(tab).is_visible():
        await again(tab).click()
    else:
        await tab.page.get_by_role("button", name="Pair WhatsApp").click()


async def ask(tab: Person) -> None:
    """Ask for a code, and see it."""
    await press(tab)
    await tab.sees_code()


async def holder(replicas: Stage, person: Person) -> str:
    """Where the process listens that shows the person's code."""
    found = await replicas.holder(person.user_id)
    assert found is not None
    return found


async def ask_at(url: str, tab: Person, replicas: Stage) -> None:
    """Ask, of this process, and see a code of its."""
    await replicas.send_next_to(url)
    await ask(tab)
    assert await holder(replicas, tab) == url


async def test_a_tab_at_another_process_takes_over(ada: Person, replicas: Stage) -> None:
    """It shows a fresh code; the first one says where it goes on, and can take it back."""
    await ask(ada)
    here, other = await holder(replicas, ada), await ada.another_tab()
    await ask_at(replicas.other(here), other, replicas)
    await ends_with_a_button(ada, Reason.SUPERSEDED)
    assert ada.open_sockets == 1
    await ask_at(here, ada, replicas)
    await ends_with_a_button(other, Reason.SUPERSEDED)
    await ada.scans()
    await ada.reads(PAIRED)
    await again(other).click()  # by now there is nothing to take back
    await other.reads(PAIRED)
    await other.sees_no_code()


async def test_what_two_tabs_share_a_third_takes_over(ada: Person, replicas: Stage) -> None:
    """Those at one process show one code; each of them is told, and has a button."""
    await ask(ada)
    here, two, three = await holder(replicas, ada), await ada.another_tab(), await ada.another_tab()
    await ask_at(here, two, replicas)
    assert await ada.reads_code() == await two.reads_code()
    await ask_at(replicas.other(here), three, replicas)
    for tab in (ada, two):
        await ends_with_a_button(tab, Reason.SUPERSEDED)
    await three.scans()
    await three.reads(PAIRED)


async def test_a_reload_always_ends_with_a_code(ada: Person) -> None:
    """Wherever nginx sends it, and however often."""
    for _ in range(6):
        await ask(ada)
        await ada.page.reload()
    await ask(ada)
    await ada.scans()
    await ada.reads(PAIRED)


async def test_a_process_that_stops_hands_over_at_once(ada: Person, replicas: Stage) -> None:
    """As in a rolling deploy: the person is told, and has a code from the other one."""
    await ask(ada)
    here = await holder(replicas, ada)
    await replicas.end(here, signal.SIGTERM)
    await ends_with_a_button(ada, Reason.CANCELLED)
    await again(ada).click()
    await ada.sees_code()
    assert await holder(replicas, ada) != here
    await replicas.start_again(here)
    await ada.scans()
    await ada.reads(PAIRED)


async def test_a_process_that_is_killed_blocks_nobody_for_long(
    ada: Person, replicas: Stage
) -> None:
    """Its socket is gone with it; who asks again has a code when its lease has run out."""
    await ask(ada)
    here = await holder(replicas, ada)
    await replicas.end(here, signal.SIGKILL)
    await ends_with_a_button(ada, Reason.TRANSPORT_LOST)
    forgive_the_network(ada)
    await again(ada).click()
    await ada.reads(ASKING)
    await ada.sees_code()
    assert await holder(replicas, ada) != here
    await replicas.start_again(here)
    await ada.scans()
    await ada.reads(PAIRED)


async def test_a_redis_that_is_back_at_once_is_nothing_to_who_has_a_code(
    ada: Person, browser: Browser, replicas: Stage
) -> None:
    """Killed, and empty: the lease is said again, and the code stays good; others wait."""
    await ask(ada)
    code, here = await ada.reads_code(), await holder(replicas, ada)
    replicas.redis.kill()
    replicas.redis.start()
    await replicas.until_held_by(here, ada.user_id)
    async with sitting_before(browser, replicas.place) as bob:
        await bob.page.get_by_role("button", name="Pair WhatsApp").click()
        await bob.reads(ASKING)
        await bob.sees_code()  # the grace period is over
    assert await ada.reads_code() == code
    await ada.scans()
    await ada.reads(PAIRED)
    sockets = [one for one in replicas.pairing.sockets if one.user_id == ada.user_id]
    assert len(sockets) == 1


async def test_a_redis_that_stays_away_ends_what_nobody_can_be_sure_of(
    ada: Person, replicas: Stage
) -> None:
    """No socket is left by then. Who asks meanwhile waits, and has a code when it is back."""
    await ask(ada)
    replicas.redis.kill()
    await ends_with_a_button(ada, Reason.LEASE_LOST)
    await replicas.place.nothing_left()
    tabs = [ada, await ada.another_tab()]
    for url, tab in zip(replicas.processes, tabs, strict=True):
        await replicas.send_next_to(url)
        await press(tab)
        await tab.reads(ASKING)
    assert ada.open_sockets == 0
    replicas.redis.start()
    shown = [tab for tab in tabs if await has_a_code(tab)]
    assert shown
    await shown[0].scans()
    await shown[0].reads(PAIRED)


async def has_a_code(tab: Person) -> bool:
    """Wait until it shows one, or a button; whether it was a code."""
    code, button = tab.find("#frame[data-look=code]"), again(tab)
    await expect(code.or_(button).filter(visible=True).first).to_be_visible()
    if await button.is_visible():
        sentence = await tab.find("#sentence").text_content()
        assert sentence in TRUE
        return False
    return True


# All of it at once

TRUE = {reason.person for reason in (Reason.SUPERSEDED, Reason.LEASE_LOST, Reason.CANCELLED,
                                     Reason.TRANSPORT_LOST)}  # fmt: skip
"""What a page may say here beside its button."""


class Mishaps:
    """What befalls some tabs of one person, drawn."""

    def __init__(self, tabs: list[Person], replicas: Stage, draw: Random) -> None:
        self._tabs, self._replicas, self._draw = tabs, replicas, draw
        self._one = min(replicas.processes)  # the other one stays: nginx would have nobody to ask

    async def press(self) -> None:
        """Ask, if there is a button to press."""
        tab = self._draw.choice(self._tabs)
        if await again(tab).is_visible() or not await tab.find("dialog").is_visible():
            await press(tab)

    async def leave(self) -> None:
        """Close a dialog, if it is open."""
        await self._draw.choice(self._tabs).page.keyboard.press("Escape")

    async def reload(self) -> None:
        """Load a page again, and ask."""
        tab = self._draw.choice(self._tabs)
        await tab.page.reload()
        await press(tab)

    async def stop_a_process(self) -> None:
        """In order or not, and start it again."""
        await self._replicas.end(self._one, self._draw.choice((signal.SIGTERM, signal.SIGKILL)))
        await self.press()
        await self._replicas.start_again(self._one)

    async def stop_redis(self) -> None:
        """Kill it, and start it again: it has forgotten everything."""
        self._replicas.redis.kill()
        await self.press()
        self._replicas.redis.start()

    async def happen(self, times: int) -> None:
        """So many, and more often what a person does."""
        often = [self.press, self.press, self.reload, self.reload, self.leave]
        for _ in range(times):
            act = self._draw.choice([*often, self.stop_a_process, self.stop_redis])
            await act()


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_a_person_is_never_left_without_a_word(
    ada: Person, replicas: Stage, seed: int
) -> None:
    """Each tab has a code, or a button and a sentence that is true; and asking goes on to help."""
    tabs = [ada, await ada.another_tab(), await ada.another_tab()]
    await Mishaps(tabs, replicas, Random(seed)).happen(15)
    for tab in tabs:
        if await tab.find("dialog").is_visible():
            await has_a_code(tab)
    await ada.page.reload()
    await ask(ada)
    await ada.scans()
    await ada.reads(PAIRED)
    ada.complaints = [text for text in ada.complaints if " 502 " not in text]  # of nginx
    forgive_the_network(ada)


# The page's own commands


def as_shown(block: str, ports: Mapping[str, int]) -> str:
    """A block of commands, on other ports, and without what has been installed."""
    lines = [line for line in block.splitlines() if ".venv/bin/pip install" not in line]
    text = "\n".join(lines).replace("--scan-after 30", "--scan-after 1")
    return re.sub(r"\b(6379|3000|8001|8002)\b", lambda found: str(ports[found[1]]), text)


@contextmanager
def running(block: str) -> Iterator[None]:
    """The commands of a block in a shell, with all that they start."""
    shell = subprocess.Popen(
        ["bash", "-c", block], cwd=TOP, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        os.killpg(shell.pid, signal.SIGTERM)
        shell.wait(PROCESS_HANGS)


async def until_it_listens(port: int) -> None:
    """Wait until somebody does."""
    with anyio.fail_after(PROCESS_HANGS):
        while True:
            with suppress(OSError):
                await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
                return
            await anyio.sleep(0.05)


async def test_the_commands_of_the_page_run_as_they_stand(tmp_path: Path) -> None:
    """Two processes, an nginx, a Redis and a WAHA that is played: an account is paired."""
    around, service = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    ports = {shown: free_port() for shown in ("6379", "3000", "8001", "8002")}
    with running(as_shown(around, ports)), running(as_shown(service, ports)):
        for port in ports.values():
            await until_it_listens(port)
        backends = (ports["8001"], ports["8002"])
        with Nginx(tmp_path, SAYING_WHERE + nginx_of_the_page(backends)) as nginx:
            async with Client(Place(nginx.url, PairingServer())) as ada, ada.pair() as stream:
                code = await stream.code()
                assert code["picture"].startswith("<svg")
                await stream.until(ended="paired")
                seen = {(await ada.ask("GET", "/")).headers["X-Replica"] for _ in range(4)}
    assert seen == {f"127.0.0.1:{port}" for port in backends}

"""The example service over HTTP, as browsers and strangers may use it: real sockets, real time."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import anyio
import pytest
from aiohttp import web
from yarl import URL

pytest.importorskip("starlette", reason="needs the extra 'examples'")
pytest.importorskip("uvicorn", reason="needs the extra 'examples'")
pytest.importorskip("pygraphviz", reason="needs the extra 'examples'")

from web_service.__main__ import GONE
from web_service.app import HEADERS
from web_service.service import BotPlatform
from web_service.sessions import SESSION

from qrlifecycle import Paired, PairingCode, QRCode, Reason, State
from qrlifecycle.testing.leaks import own_sockets

from ..sockets import needs_proc
from .serving import BOT, Client, Offering, Service, payload, serving, until

pytestmark = pytest.mark.anyio

TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Uvicorn needs asyncio; real sockets want real time."""
    return "asyncio"


@pytest.fixture
async def ada(service: Service) -> AsyncIterator[Client]:
    """A browser."""
    async with Client(service) as client:
        yield client


@pytest.fixture
async def bob(service: Service) -> AsyncIterator[Client]:
    """Somebody else's browser."""
    async with Client(service) as client:
        yield client


# What is served, and to whom


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/page.js", 200),
        ("GET", "/page.css", 200),
        ("GET", "/icon.svg", 200),
        *(("GET", f"/diagram/{state}.svg", 200) for state in State),
        ("GET", "/nowhere", 404),
        ("GET", "/app.py", 404),
        ("GET", "/pair", 405),
        ("POST", "/pair", 403),
    ],
)
async def test_nothing_is_stored_framed_or_loaded_from_elsewhere(
    ada: Client, method: str, path: str, status: int
) -> None:
    """Every response says so, whatever it is."""
    answer = await ada.ask(method, path)
    assert answer.status == status
    assert HEADERS.items() <= dict(answer.headers).items()
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


async def test_a_stream_is_not_stored_either(ada: Client) -> None:
    """It carries the code."""
    async with ada.pair() as stream:
        assert HEADERS.items() <= dict(stream.answer.headers).items()
        assert stream.answer.content_type == "text/event-stream"


async def test_a_session_is_of_use_to_nobody_else(service: Service) -> None:
    """Its cookie is hidden from scripts and from other sites, and each browser gets its own."""
    seen = set()
    for _ in range(2):
        async with aiohttp.ClientSession() as http, http.get(service.url) as answer:
            cookie = answer.cookies[SESSION]
        assert cookie["httponly"]
        assert cookie["samesite"] == "strict"
        assert len(cookie.value) >= 43
        seen.add(cookie.value)
    assert len(seen) == 2


async def test_a_session_is_kept(ada: Client) -> None:
    """A browser that has one is given no other."""
    answer = await ada.ask("GET", "/")
    assert SESSION not in answer.cookies


async def test_the_platform_is_not_told_the_session(ada: Client) -> None:
    """It is a credential."""
    async with ada.pair() as stream:
        await stream.code()
        assert ada.session not in str(ada.service.pairing.sockets)
        assert ada.service.pairing.open_sockets(ada.user_id) == 1


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "",
        "http://evil.example",
        "http://127.0.0.1:1",
        "https://127.0.0.1.evil.example",
        "http://[bad",
        "ftp://{host}",
        "https://{host}",
        "//{host}",
    ],
)
async def test_another_site_cannot_ask_for_a_code(ada: Client, origin: str | None) -> None:
    """Without the page's own origin nothing is asked for and nothing opened."""
    host = ada.service.url.removeprefix("http://")
    headers = {} if origin is None else {"Origin": origin.format(host=host)}
    answer = await ada.ask("POST", "/pair", headers=headers)
    assert answer.status == 403
    with pytest.raises(KeyError):
        ada.service.pairing.pairing(BOT, ada.user_id)


async def test_of_two_origins_neither_counts(ada: Client) -> None:
    """What one reader takes for the origin, another may not."""
    headers = [("Origin", ada.service.url), ("Origin", "http://evil.example")]
    for order in (headers, headers[::-1]):
        assert (await ada.ask("POST", "/pair", headers=order)).status == 403


@pytest.mark.parametrize("made_up", ["", "chosen", "chosen.", ".", "chosen.0123", "\xe9.\xe9"])
async def test_a_session_that_the_service_did_not_give_is_none(
    service: Service, made_up: str
) -> None:
    """Nobody chooses another's session: the page gives a new one, and that one is good."""
    chosen = {"Cookie": f"{SESSION}={made_up}"}
    async with aiohttp.ClientSession() as http:
        asked = {"Origin": service.url, **chosen}
        async with http.post(f"{service.url}/pair", headers=asked) as refused:
            assert refused.status == 403
        async with http.get(service.url, headers=chosen) as page:
            assert page.cookies[SESSION].value
    async with Client(service) as browser, browser.pair() as stream:
        await stream.code()


async def test_a_page_that_outlives_the_service_need_only_ask_twice(ada: Client) -> None:
    """Each process has a key of its own: sessions of before are none, and a new one is given."""
    async with serving() as other, aiohttp.ClientSession() as http:
        session = ada.session
        for status in (403, 200):
            headers = {"Origin": other.url, "Cookie": f"{SESSION}={session}"}
            async with http.post(f"{other.url}/pair", headers=headers) as answer:
                assert answer.status == status
                session = answer.cookies[SESSION].value if status == 403 else session


async def test_a_page_behind_a_path_of_a_proxys_has_all_that_is_on_it(service: Service) -> None:
    """Each address in it is relative, and its session is not the whole host's."""

    async def forward(request: web.Request) -> web.Response:
        async with aiohttp.ClientSession() as http:
            address = f"{service.url}/{request.match_info['rest']}"
            async with http.get(address, headers={"Host": request.headers["Host"]}) as answer:
                kept = ("Content-Type", "Set-Cookie")
                headers = {name: answer.headers[name] for name in kept if name in answer.headers}
                return web.Response(status=answer.status, body=await answer.read(), headers=headers)

    app = web.Application()
    app.router.add_get("/web/{rest:.*}", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = URL(f"http://127.0.0.1:{runner.addresses[0][1]}/web/")
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        page = await (await http.get(base)).text()
        links = set(re.findall(r'(?:src|href)="([^"#]+)"', page))
        assert len(links) >= 3 + len(State)
        for link in links:
            async with http.get(base.join(URL(link))) as answer:
                assert answer.status == 200, link
        assert list(jar.filter_cookies(base / "pair")) == [SESSION]
        assert not jar.filter_cookies(base.join(URL("/other")))
    await runner.cleanup()


async def test_over_https_no_neighbour_can_set_the_session(ada: Client) -> None:
    """The cookie's name says so to browsers; it is Secure, and of the whole host."""
    proxied = {"X-Forwarded-Proto": "https"}
    page = await ada.ask("GET", "/", headers=proxied)
    cookie = page.cookies[f"__Host-{SESSION}"]
    assert (bool(cookie["secure"]), cookie["path"], cookie["domain"]) == (True, "/", "")
    headers = {
        **proxied,
        "Origin": ada.service.url.replace("http:", "https:"),
        "Cookie": f"__Host-{SESSION}={cookie.value}",
    }
    async with aiohttp.ClientSession() as http:
        answer = await http.post(f"{ada.service.url}/pair", headers=headers)
        assert answer.status == 200
        answer.close()


async def test_a_full_service_lets_nobody_in() -> None:
    """Not one stream more than it may have; when one is left, there is room again."""
    async with serving(most=2) as service, Client(service) as ada, Client(service) as bob:
        origin = {"Origin": service.url}
        async with ada.pair() as stream, ada.pair() as another:
            await stream.code()
            await another.code()
            answer = await bob.http.post(f"{service.url}/pair", headers=origin)
            answer.close()
            assert answer.status == 503
        await service.nothing_left()
        async with bob.pair() as stream:
            await stream.code()


async def test_without_a_session_there_is_no_code(service: Service) -> None:
    """Whose would it be?"""
    origin = {"Origin": service.url}
    async with aiohttp.ClientSession() as http:
        answer = await http.post(f"{service.url}/pair", headers=origin)
        assert answer.status == 403
        assert await answer.text() == "A session was missing. Ask again.\n"


async def test_a_name_that_is_not_ours_is_refused(ada: Client) -> None:
    """Another site's name may be made to lead here."""
    answer = await ada.ask("GET", "/", headers={"Host": "evil.example"})
    assert answer.status == 400


# The stream


async def test_promise_1_success_is_told_when_the_socket_is_gone(ada: Client) -> None:
    """From the code to the success, over real sockets."""
    async with ada.pair() as stream:
        code = await stream.code()
        assert code["socket_open"]
        await ada.service.scan(ada.user_id)
        success = await stream.until(ended="paired")
        assert success["sentence"] == "Paired with +490001234567."
        assert not success["socket_open"]
        assert [news async for news in stream] == []
    assert ada.service.pairing.most_sockets(ada.user_id) == 1


async def test_the_code_that_is_shown_is_the_one_that_is_good(ada: Client) -> None:
    """What the picture says is what the platform made."""
    async with ada.pair() as stream:
        code = await stream.code()
        pairing = ada.service.pairing.pairing(BOT, ada.user_id)
        assert code["address"] == ada.service.pairing.url_of(pairing)
        assert payload(code["picture"]) == payload(QRCode(code["address"]).svg())


async def test_the_phone_may_scan_after_a_rotation(ada: Client) -> None:
    """The new code is told; it pairs, over the same socket."""
    async with ada.pair() as stream:
        before = await stream.code()
        await ada.service.pairing.rotate(BOT, ada.user_id)
        after = await stream.code()
        assert payload(after["picture"]) != payload(before["picture"])
        async with aiohttp.ClientSession() as phone, phone.get(before["address"]) as answer:
            assert answer.status == 410
        await ada.service.scan(ada.user_id)
        await stream.until(ended="paired")
    assert len([r for r in ada.service.pairing.sockets if r.user_id == ada.user_id]) == 1


async def test_a_refusal_on_the_phone_is_told_in_words(ada: Client) -> None:
    """And whether asking again can help."""
    async with ada.pair() as stream:
        await stream.code()
        await ada.service.pairing.refuse(BOT, ada.user_id)
        failure = await stream.until(ended="failed")
        assert failure["sentence"] == Reason.REFUSED_ON_PHONE.person
        assert failure["again"]


async def test_who_is_paired_already_is_shown_no_code(ada: Client) -> None:
    """No code is made and no socket opened."""
    ada.service.pairing.mark_paired(BOT, ada.user_id)
    async with ada.pair() as stream:
        await stream.until(ended="paired")
        assert "picture" not in stream.text
    assert ada.service.pairing.most_sockets(ada.user_id) == 0


@dataclass(frozen=True)
class Hanging(BotPlatform):
    """A platform that never answers."""

    async def request_code(self, user_id: str) -> QRCode | PairingCode | Paired:
        """None."""
        await anyio.sleep_forever()
        raise AssertionError


async def test_a_code_to_type_goes_the_same_way() -> None:
    """As text."""
    async with serving(Offering) as service, Client(service) as ada:
        async with ada.pair() as stream:
            code = await stream.code()
            assert code["text"] == "ABCD-1234"
            await service.scan(ada.user_id)
            await stream.until(ended="paired")
        await service.nothing_left()


@pytest.mark.slow
async def test_a_platform_that_is_not_there_is_told_in_words() -> None:
    """The person is told what to do, and nothing of the inside."""
    async with (
        serving(lambda _url: BotPlatform("http://127.0.0.1:9")) as service,
        Client(service) as ada,
        ada.pair() as stream,
    ):
        failure = await stream.until(ended="failed")
        assert failure["sentence"] == Reason.GENERATING_FAILED.person
        assert "127.0.0.1:9" not in stream.text


# Going away


async def test_promise_5_a_stream_that_is_left_takes_the_socket_with_it(ada: Client) -> None:
    """A dialog that is closed, a tab that goes away: the platform sees the socket close."""
    async with ada.pair() as stream:
        await stream.code()
        assert ada.service.pairing.open_sockets(ada.user_id) == 1
    await until(lambda: ada.service.pairing.open_sockets(ada.user_id) == 0)
    (record,) = (r for r in ada.service.pairing.sockets if r.user_id == ada.user_id)
    assert record.reason == "client disconnect"


@contextmanager
def raw_stream(client: Client) -> Iterator[socket.socket]:
    """The request for a code, on a socket that a test can break."""
    host, port = client.service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as wire:
        lines = [
            "POST /pair HTTP/1.1",
            f"Host: {host}:{port}",
            f"Origin: {client.service.url}",
            f"Cookie: {SESSION}={client.session}",
            "Content-Length: 0",
        ]
        wire.sendall("\r\n".join([*lines, "", ""]).encode())
        yield wire


@pytest.mark.parametrize("how", ["reset", "half closed"])
async def test_promise_5_a_connection_that_breaks_takes_the_socket_with_it(
    ada: Client, how: str
) -> None:
    """However it breaks."""
    with raw_stream(ada) as wire:
        await until(lambda: ada.service.pairing.open_sockets(ada.user_id) == 1)
        if how == "reset":
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.close()
        else:
            wire.shutdown(socket.SHUT_WR)
        await until(lambda: ada.service.pairing.open_sockets(ada.user_id) == 0)


@needs_proc
@pytest.mark.skipif(
    not hasattr(socket, "TCP_USER_TIMEOUT"), reason="needs Linux's TCP_USER_TIMEOUT"
)
async def test_a_browser_that_vanished_without_a_word_is_given_up(ada: Client) -> None:
    """The kernel has been told, for each connection, how long it may go unacknowledged."""
    port = int(ada.service.url.rpartition(":")[2])
    with raw_stream(ada):
        await until(lambda: ada.service.pairing.open_sockets(ada.user_id) == 1)
        timeouts = set()

        def is_the_services(made: socket.socket) -> bool:
            if made.family == socket.AF_INET and made.getsockname()[1] == port:
                timeouts.add(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
            return False

        own_sockets(is_the_services)
        assert timeouts == {GONE * 1000}


async def test_leaving_while_the_code_is_asked_for_ends_the_asking() -> None:
    """There is no socket yet; there never will be."""
    async with serving(Hanging) as service, Client(service) as ada:
        async with ada.pair() as stream:
            await stream.until(event="generate")
        await service.nothing_left()
        assert service.pairing.sockets == []


async def test_promise_4_a_scan_in_the_moment_of_leaving_is_not_lost(ada: Client) -> None:
    """Nobody is there to be told; who comes back is told at once, without a code."""
    async with ada.pair() as stream:
        await stream.code()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ada.service.scan, ada.user_id)
            stream.answer.close()
    await ada.service.nothing_left()
    before = len(ada.service.pairing.sockets)
    async with ada.pair() as stream:
        await stream.until(ended="paired")
    assert len(ada.service.pairing.sockets) == before


# Two tabs, two users


async def test_promise_3_a_second_tab_joins(ada: Client) -> None:
    """It shows the same code; the first may leave, and the user never has two sockets."""
    async with ada.pair() as two:
        async with ada.pair() as one:
            codes = [payload((await tab.code())["picture"]) for tab in (one, two)]
            assert codes[0] == codes[1]
        await ada.service.scan(ada.user_id)
        await two.until(ended="paired")
    assert len([r for r in ada.service.pairing.sockets if r.user_id == ada.user_id]) == 1


async def test_one_user_never_sees_anothers_code(ada: Client, bob: Client) -> None:
    """Codes and success go to whom they belong, and nowhere else."""
    async with ada.pair() as adas, bob.pair() as bobs:
        hers, his = await adas.code(), await bobs.code()
        await ada.service.scan(ada.user_id)
        await adas.until(ended="paired")
        await bob.service.pairing.rotate(BOT, bob.user_id)
        his_next = await bobs.code()
        for secret in (hers["address"], payload(hers["picture"])):
            assert secret not in bobs.text
        for his_code in (his, his_next):
            assert his_code["address"] not in adas.text
            assert payload(his_code["picture"]) not in adas.text
        assert '"ended"' not in bobs.text


# Stopping


async def test_a_service_that_stops_ends_the_streams_first() -> None:
    """It tells the page, closes the socket, and does not wait for the code to run out."""
    async with serving() as service, Client(service) as ada, ada.pair() as stream:
        await stream.code()
        service.server.should_exit = True
        failure = await stream.until(ended="failed")
        assert failure["sentence"] == Reason.CANCELLED.person
        assert [news async for news in stream] == []
        await service.nothing_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_the_command_serves_until_it_is_stopped(number: signal.Signals) -> None:
    """With a pairing server of its own; also with a stream open it stops at once and in order."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.web_service", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=TOP,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert process.stdout is not None
    with anyio.fail_after(30):
        url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            async with http.get(url) as page:
                assert page.ok
            async with http.post(f"{url}/pair", headers={"Origin": url}) as answer:
                while b"picture" not in await answer.content.readline():
                    pass
                process.send_signal(number)
                assert Reason.CANCELLED.person in await answer.text()
        _, errors = await process.communicate()
    # Graphviz's own copy of fontconfig may find the system's configuration too new.
    assert [line for line in errors.splitlines() if not line.startswith(b"Fontconfig")] == []
    assert process.returncode == 0


@pytest.mark.slow
async def test_the_command_uses_a_platform_that_is_given() -> None:
    """Then nothing is played, and no code is written as text."""
    async with serving() as service:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "examples.web_service", "--port", "0", service.pairing.url),
            stdout=asyncio.subprocess.PIPE,
            cwd=TOP,
        )
        assert process.stdout is not None
        with anyio.fail_after(30):
            url = (await process.stdout.readline()).decode().strip()
            service.url = url
            async with Client(service) as ada, ada.pair() as stream:
                assert "address" not in await stream.code()
                assert service.pairing.open_sockets() == 1
            await until(lambda: service.pairing.open_sockets() == 0)
            process.terminate()
            await process.communicate()

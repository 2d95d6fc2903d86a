"""Through an HTTP proxy: which one is taken, what it is told, and what it says no by."""

from __future__ import annotations

import base64
import os
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from qrlifecycle import InvalidValue, TransportUnreachable
from qrlifecycle.errors import Ending
from qrlifecycle.testing.contract.websocket_peer import frame
from qrlifecycle.transports.wire import WebSocketConnection, WireOptions
from qrlifecycle.transports.wire.address import address_of
from qrlifecycle.transports.wire.proxy import proxy_for

from ..patience import HANGS
from .documented import is_documented
from .serving import GONE, Served, listening

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_proxy_but_the_tests_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs this names none."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


async def serve(served: Served) -> None:
    """Take the client in, and say something."""
    await served.accept(frame("through"))
    await served.read_to_the_end()


@asynccontextmanager
async def tunnelling(
    target: int, asked: list[Served], answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n"
) -> AsyncIterator[int]:
    """A proxy that connects whatever it is asked for to this port."""

    async def handler(served: Served) -> None:
        asked.append(served)
        await served.answer(answer)
        if b" 200 " not in answer:
            await served.read_to_the_end()
            return
        async with await anyio.connect_tcp("127.0.0.1", target) as there:

            async def pump(receive: Callable[[], Awaitable[bytes]], send: Any) -> None:
                try:
                    while True:
                        await send(await receive())
                except GONE:
                    tasks.cancel_scope.cancel()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pump, served.stream.receive, there.send)
                tasks.start_soon(pump, there.receive, served.send)

    async with listening(handler) as port:
        yield port


async def hear_through(url: str, **options: Any) -> None:
    """Connect, hear what is said, and close."""
    connection = WebSocketConnection(url, WireOptions(**options))
    try:
        with anyio.fail_after(HANGS):
            await connection.open()
            assert await connection.receive() == "through"
    finally:
        await connection.aclose()


async def failure_through(port: int, proxy: str | None) -> TransportUnreachable:
    """What opening raises."""
    connection = WebSocketConnection(f"ws://service.example:{port}", WireOptions(proxy=proxy))
    with anyio.fail_after(HANGS), pytest.raises(TransportUnreachable) as raised:
        await connection.open()
    assert "s3cret" not in str(raised.value)
    assert is_documented(raised.value)
    return raised.value


@pytest.mark.parametrize("secure", [False, True])
async def test_the_proxy_is_asked_by_name_and_told_nothing_else(
    secure: bool, certified: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """The name is the proxy's to look up; headers and query go to the server only."""
    asked: list[Served] = []
    served: list[Served] = []
    theirs, ours = (certified, trusting) if secure else (None, None)
    async with (
        listening(serve, tls=theirs, served=served) as port,
        tunnelling(port, asked) as proxy,
    ):
        scheme = "wss" if secure else "ws"
        await hear_through(
            f"{scheme}://localhost:{port}/?key=s3cret",
            headers={"Authorization": "s3cret"},
            proxy=f"http://127.0.0.1:{proxy}",
            ssl=ours,
        )
    assert asked[0].request.split(b"\r\n") == [
        f"CONNECT localhost:{port} HTTP/1.1".encode(),
        f"Host: localhost:{port}".encode(),
    ]
    assert served[0].header(b"authorization") == [b"s3cret"]


async def test_the_proxys_credentials_go_to_the_proxy() -> None:
    """From its URL, decoded."""
    asked: list[Served] = []
    served: list[Served] = []
    async with listening(serve, served=served) as port, tunnelling(port, asked) as proxy:
        url = f"http://me:s3cret%21@127.0.0.1:{proxy}"
        await hear_through("ws://nowhere.example", proxy=url)
    expected = b"Basic " + base64.b64encode(b"me:s3cret!")
    assert asked[0].header(b"proxy-authorization") == [expected]
    assert served[0].header(b"proxy-authorization") == []
    assert served[0].header(b"host") == [b"nowhere.example"]


@pytest.mark.parametrize(
    ("answer", "given", "ending", "text"),
    [
        (
            b"HTTP/1.1 407 X\r\n\r\n",
            "",
            Ending.PROXY_CREDENTIALS,
            "the proxy 127.0.0.1:{proxy} wants credentials (HTTP 407); give "
            "proxy='http://user:password@host:port'",
        ),
        (
            b"HTTP/1.1 407 X\r\nContent-Length: 1000\r\n\r\n",
            "me:s3cret@",
            Ending.PROXY_CREDENTIALS,
            "the proxy 127.0.0.1:{proxy} does not accept the credentials in its URL (HTTP 407); "
            "give proxy='http://user:password@host:port'",
        ),
        (
            b"HTTP/1.1 403 X\r\n\r\n",
            "",
            Ending.PROXY,
            "the proxy 127.0.0.1:{proxy} did not connect us to service.example:7: HTTP 403",
        ),
        (
            b"HTTP/1.1 502 X\r\n\r\nlong story",
            "",
            Ending.PROXY,
            "the proxy 127.0.0.1:{proxy} did not connect us to service.example:7: HTTP 502",
        ),
        (
            b"SSH-2.0-OpenSSH_9.6\r\n",
            "",
            Ending.ANOTHER_PROTOCOL,
            "the proxy 127.0.0.1:{proxy} does not speak HTTP",
        ),
        (
            b"HTTP/1.1 200 X\r\n\r\nearly",
            "",
            Ending.ANOTHER_PROTOCOL,
            "the proxy 127.0.0.1:{proxy} speaks before it is asked",
        ),
    ],
)
async def test_a_proxy_that_does_not_connect_us(
    answer: bytes, given: str, ending: Ending, text: str
) -> None:
    """It is named, and each reason is told apart; never the credentials."""

    async def handler(served: Served) -> None:
        await served.answer(answer)
        await served.read_to_the_end()

    async with listening(handler) as proxy:
        error = await failure_through(7, f"http://{given}127.0.0.1:{proxy}")
    assert str(error) == text.format(proxy=proxy)
    assert error.ending is ending


async def test_a_proxy_that_is_not_there() -> None:
    """It is the proxy that does not answer, and not the server."""
    async with listening(serve) as port:
        pass
    error = await failure_through(7, f"http://127.0.0.1:{port}")
    assert str(error) == f"cannot connect to the proxy 127.0.0.1:{port}: connection refused"
    assert error.ending is Ending.NOT_CONNECTED


async def test_a_proxy_that_hangs_up() -> None:
    """It is named as well."""

    async def rude(served: Served) -> None:
        await served.read_request()

    async with listening(rude) as proxy:
        error = await failure_through(7, f"http://127.0.0.1:{proxy}")
    assert error.ending is Ending.HUNG_UP
    assert str(error) == (
        f"the proxy 127.0.0.1:{proxy} hung up on the handshake, without an answer"
    )


# The environment


def chosen(url: str, given: str | None = "environment") -> str | None:
    """The proxy that is taken for a server."""
    proxy = proxy_for(address_of(url), given)
    return None if proxy is None else proxy.place


@pytest.mark.parametrize(
    ("environment", "url", "place"),
    [
        ({}, "wss://a.example", None),
        ({"HTTPS_PROXY": "http://p:1"}, "wss://a.example", "p:1"),
        ({"https_proxy": "http://p:1"}, "https://a.example", "p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "ws://a.example", None),
        ({"HTTP_PROXY": "http://p:2"}, "ws://a.example", "p:2"),
        ({"HTTP_PROXY": "http://p:2"}, "wss://a.example", None),
        ({"ALL_PROXY": "http://p:3"}, "wss://a.example", "p:3"),
        ({"ALL_PROXY": "http://p:3", "HTTPS_PROXY": "http://p:1"}, "wss://a.example", "p:1"),
        ({"HTTPS_PROXY": "p:1"}, "wss://a.example", "p:1"),
        ({"HTTPS_PROXY": ""}, "wss://a.example", None),
        ({"HTTPS_PROXY": "http://p"}, "wss://a.example", "p:80"),
        ({"HTTPS_PROXY": "http://[::1]:8"}, "wss://a.example", "[::1]:8"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example"}, "wss://a.example", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example:9"}, "wss://a.example", "p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example"}, "wss://a.example", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "wss://a.example", None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "b.example"}, "wss://a.example", "p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "wss://localhost", None),
        ({"HTTPS_PROXY": "http://p:1"}, "wss://127.0.0.1:7", None),
        ({"HTTPS_PROXY": "http://p:1"}, "wss://[::1]:7", None),
    ],
)
def test_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, place: str | None
) -> None:
    """As `urllib.request` reads it; no proxy leads to this very machine."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert chosen(url) == place
    assert chosen(url, None) is None
    assert chosen(url, "http://given:5") == "given:5"


async def test_a_proxy_of_the_environments_is_gone_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a word to the connection."""
    asked: list[Served] = []
    async with listening(serve) as port, tunnelling(port, asked) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy}")
        await hear_through("ws://service.example")
    assert asked[0].request.startswith(b"CONNECT service.example:80 HTTP/1.1\r\n")


@pytest.mark.parametrize("url", ["socks5://me:s3cret@p:1", "https://p:1", "http://p:1/path", "://"])
async def test_a_proxy_that_is_not_spoken_with_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Given, it is refused where it is given; the environment's is no mistake of the program's."""
    with pytest.raises(InvalidValue, match=r"^proxy ") as raised:
        WireOptions(proxy=url)
    assert "s3cret" not in str(raised.value)
    assert raised.value.__context__ is None
    monkeypatch.setenv("HTTP_PROXY", url)
    error = await failure_through(7, "environment")
    assert error.ending is Ending.PROXY
    assert str(error) == (
        "the environment names a proxy that is no plain HTTP proxy (https and SOCKS are not "
        "spoken); give proxy='http://host:port', or proxy=None for none"
    )


def test_the_systems_own_settings_are_asked_where_there_are_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On Windows and macOS they stand elsewhere, and `urllib.request` knows where."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://system:1"})
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda _host: False)
    assert chosen("wss://a.example") == "system:1"


@pytest.mark.parametrize("host", ["p..example", "a" * 64])
async def test_a_proxy_with_a_host_that_is_no_name(host: str) -> None:
    """Nobody can look it up, and nothing but our own error comes out."""
    connection = WebSocketConnection("ws://a.example", WireOptions(proxy=f"http://{host}:1"))
    with anyio.fail_after(HANGS), pytest.raises(TransportUnreachable) as raised:
        await connection.open()
    assert raised.value.ending is Ending.NAME_NOT_FOUND
    assert is_documented(raised.value)

"""What a connection is told: used, or refused by name where it is given; and shown nowhere."""

from __future__ import annotations

import base64
import copy
import hashlib
import logging
import math
import pickle
import ssl
import traceback
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from qrlifecycle import InvalidValue, TransportError
from qrlifecycle.testing.contract.websocket_peer import frame
from qrlifecycle.transports.wire import WebSocketConnection, WireOptions, handshake
from qrlifecycle.transports.wire.handshake import NAME

from ..patience import HANGS
from .serving import Served, connection_to, hear_all, listening, serve_quietly

pytestmark = pytest.mark.anyio

SECRET = "s3cret"


def show_no_secret(error: BaseException) -> None:
    """Neither the error, nor what stands behind it, nor a frame of ours that it keeps."""
    assert error.__context__ is None
    assert SECRET not in str(error)
    ours = [
        one
        for one, _ in traceback.walk_tb(error.__traceback__)
        if "/tests/" not in one.f_code.co_filename
    ]
    assert ours
    assert SECRET not in "".join(repr(one.f_locals) for one in ours)


async def request_of(path: str = "/", **options: Any) -> Served:
    """What the server is told."""
    served: list[Served] = []
    async with listening(serve_quietly, served=served) as port:
        connection = connection_to(port, path, **options)
        with anyio.fail_after(HANGS):
            await connection.open()
        await connection.aclose()
    return served[0]


async def test_the_handshake_as_it_is() -> None:
    """Nothing in it that is not asked for."""
    served = await request_of()
    names = [line.partition(b":")[0] for line in served.request.split(b"\r\n")[1:]]
    assert served.request.startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:")
    assert sorted(names) == [
        b"Connection",
        b"Host",
        b"Sec-WebSocket-Key",
        b"Sec-WebSocket-Version",
        b"Upgrade",
        b"User-Agent",
    ]
    assert served.header(b"user-agent") == [NAME]
    (key,) = served.header(b"sec-websocket-key")
    assert len(base64.b64decode(key, validate=True)) == 16


async def test_where_sha_1_is_forbidden_for_security_the_handshake_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A system in FIPS mode lets it be used for what is none, if that is said."""

    def sha1(data: bytes, *, usedforsecurity: bool = True) -> Any:
        if usedforsecurity:
            raise ValueError("disabled for FIPS")
        return hashlib.sha1(data)

    monkeypatch.setattr(handshake, "hashlib", SimpleNamespace(sha1=sha1))
    assert (await request_of()).request


async def test_headers_and_cookies_are_sent() -> None:
    """A mapping, or pairs, which may repeat a name; ours give way to those."""
    served = await request_of(
        headers=[
            ("X-One", "1"),
            ("x-one", "2"),
            ("Host", "other.example"),
            ("User-Agent", "mine"),
            ("X-Latin", "é"),
        ],
        cookies={"session": "abc", "theme": "dark"},
    )
    assert served.header(b"x-one") == [b"1", b"2"]
    assert served.header(b"host") == [b"other.example"]
    assert served.header(b"user-agent") == [b"mine"]
    assert served.header(b"x-latin") == [b"\xe9"]
    assert served.header(b"cookie") == [b"session=abc; theme=dark"]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", b"/"),
        ("?a=b", b"/?a=b"),
        ("/a/b?c=d&e=%20f", b"/a/b?c=d&e=%20f"),
        ("/grüße?x=é", b"/gr%C3%BC%C3%9Fe?x=%C3%A9"),
        ("/a:b@c;d,e!$&'()*+=~", b"/a:b@c;d,e!$&'()*+=~"),
        ("/?next=http://x/?y", b"/?next=http://x/?y"),
        ("/?", b"/"),
    ],
)
async def test_path_and_query_are_sent(path: str, target: bytes) -> None:
    """As they are, and what HTTP has no characters for in its own spelling."""
    served = await request_of(path)
    assert served.request.split(b" ")[1] == target


async def test_user_and_password_of_the_url_are_sent() -> None:
    """As HTTP's Basic, unless there is a header of that name."""
    served: list[Served] = []
    given: list[dict[str, str]] = [{}, {"authorization": "Bearer x"}]
    async with listening(serve_quietly, served=served) as port:
        for headers in given:
            url = f"ws://me:p%40ss@127.0.0.1:{port}/"
            connection = WebSocketConnection(url, WireOptions(headers=headers))
            await connection.open()
            await connection.aclose()
    sent = [one.header(b"authorization") for one in served]
    assert sent == [[b"Basic bWU6cEBzcw=="], [b"Bearer x"]]


async def test_subprotocols_are_offered() -> None:
    """And the one that the server chose is known; it need not choose."""
    for chosen in (b"", b"Sec-WebSocket-Protocol: two"):

        async def handler(served: Served, chosen: bytes = chosen) -> None:
            assert await served.read_request()
            assert served.header(b"sec-websocket-protocol") == [b"one, two"]
            await (served.accept_with(chosen) if chosen else served.accept())

        async with listening(handler) as port:
            connection = connection_to(port, subprotocols=("one", "two"))
            assert connection.subprotocol is None
            await connection.open()
            assert connection.subprotocol == ("two" if chosen else None)
            await connection.aclose()


FINITE = "heartbeat must be a finite number of seconds above 0"
WHOLE = "max_message must be a whole number of bytes above 0"
PING = "ping_after must be above 0 and less than heartbeat"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"headers": 7}, "headers must be a mapping or pairs, not int"),
        ({"headers": "x: y"}, "headers must be a mapping or pairs, not str"),
        ({"headers": {"X": 7}}, "headers must be pairs of two texts"),
        ({"headers": ["x"]}, "headers must be pairs of two texts"),
        ({"headers": {"X": f"{SECRET}\r\nY: z"}}, "the header 'X' cannot be sent"),
        ({"headers": {f"X{SECRET}\n": "y"}}, "the header of that name cannot be sent"),
        ({"headers": {"": "y"}}, "the header of that name cannot be sent"),
        ({"headers": {"X": "界"}}, "the header 'X' cannot be sent"),
        ({"headers": {"Upgrade": "h2c"}}, "the header 'upgrade' is the handshake's own"),
        ({"headers": {"Connection": "x"}}, "the header 'connection' is the handshake's own"),
        ({"headers": {"Content-Length": "1"}}, "the header 'content-length' is the handshake's"),
        ({"headers": {"Sec-WebSocket-Protocol": "x"}}, "give subprotocols"),
        ({"headers": [("Host", "a"), ("host", "a")]}, "the header 'host' can be given but once"),
        ({"cookies": "a=b"}, "cookies must be a mapping, not str"),
        ({"cookies": {"a": 1}}, "cookies must be texts by their names"),
        ({"cookies": {"a": f"{SECRET};b"}}, "a cookie cannot be sent"),
        ({"cookies": {"a=b": "c"}}, "a cookie cannot be sent"),
        ({"cookies": {"": "c"}}, "a cookie cannot be sent"),
        ({"cookies": {"a": "é"}}, "a cookie cannot be sent"),
        ({"cookies": {"a": "b"}, "headers": {"cookie": "c"}}, "cookies or a header Cookie"),
        ({"subprotocols": "v1"}, "subprotocols must be names, in a tuple"),
        ({"subprotocols": 7}, "subprotocols must be names, in a tuple"),
        ({"subprotocols": ("a b",)}, "a subprotocol must be a name"),
        ({"subprotocols": (7,)}, "a subprotocol must be a name"),
        ({"subprotocols": ("a", "a")}, "subprotocols must be different"),
        ({"ssl": True}, "ssl_context must be an SSLContext, not bool"),
        ({"proxy": f"socks5://u:{SECRET}@p:1"}, "proxy must look like http://host:port"),
        ({"proxy": 7}, "proxy must look like http://host:port"),
        *(({"max_message_size": value}, WHOLE) for value in (0, -1, 1.5, True, "1")),
        *(({"heartbeat": value}, FINITE) for value in (0, -1, math.inf, math.nan, "9", True)),
        *(({"ping_after": value}, PING) for value in (0, 90, 91, math.nan)),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], text: str) -> None:
    """They are named, where they are given; no value is in the text."""
    with pytest.raises(InvalidValue) as raised:
        WireOptions(**options)
    assert text in str(raised.value)
    show_no_secret(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com",
        "ws://",
        "ws:///path",
        f"ws://example.com:{SECRET}",
        "ws://example.com:99999",
        "ws://example.com:0",
        "ws://[::1",
        f"ws://example.com/{SECRET}\n",
        f"ws://example.com/a {SECRET}",
        f" ws://example.com/{SECRET}",
        f"ws://exam\tple.com/{SECRET}",
        f"ws://example.com/#{SECRET}",
        "ws://bad..bücher.example/",
        "ws://bad..example/",
        "ws://.example/",
        f"ws://{'a' * 64}.example/",
        "ws://./",
        "ws://exa mple/",
        7,
        None,
    ],
)
def test_urls_that_no_server_can_have(url: Any) -> None:
    """Nothing in one is passed over; the URL is not in the text."""
    with pytest.raises(InvalidValue, match=r"^the server's URL ") as raised:
        WebSocketConnection(url, WireOptions())
    show_no_secret(raised.value)


def test_a_context_for_a_url_without_tls_is_refused() -> None:
    """It would not be used."""
    with pytest.raises(InvalidValue, match="ssl_context is given, and the URL is one without TLS"):
        WebSocketConnection("ws://example.com", WireOptions(ssl=ssl.create_default_context()))


def test_names_in_other_scripts_are_looked_up_as_they_are_registered() -> None:
    """As IDNA has them."""
    made = WebSocketConnection("ws://bücher.example", WireOptions())
    assert made.origin == "ws://xn--bcher-kva.example"


# Secrets

OPTIONS: dict[str, Any] = {
    "headers": {"Authorization": f"Bearer {SECRET}"},
    "cookies": {"session": SECRET},
    "proxy": f"http://me:{SECRET}@127.0.0.1:1",
}


def test_what_is_half_made_can_be_shown() -> None:
    """Error reporters show what a constructor had come to."""
    for kind in (WireOptions, WebSocketConnection):
        assert repr(object.__new__(kind)).startswith(f"<{kind.__name__}")


def test_nothing_is_shown_nor_pickled() -> None:
    """Neither of the options nor of a connection."""
    options = WireOptions(**OPTIONS)
    connection = WebSocketConnection(f"wss://me:{SECRET}@example.com/{SECRET}?t={SECRET}", options)
    assert repr(options) == "<WireOptions>"
    assert repr(connection) == "<WebSocketConnection wss://example.com>"
    for one in (options, connection):
        for take in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be pickled or copied"):
                take(one)


HOW_IT_FAILS = {
    "refused": b"HTTP/1.1 401 X\r\n\r\n",
    "redirected": b"HTTP/1.1 302 X\r\nLocation: /\r\n\r\n",
    "no http": b"SSH-2.0\r\n",
    "no websocket": b"HTTP/1.1 101 X\r\n\r\n",
    "hung up": b"",
    "later": b"later",
}


@pytest.mark.parametrize("how", HOW_IT_FAILS)
async def test_no_secret_is_in_an_error_its_frames_or_the_log(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever fails; each local variable of each frame that the error keeps is looked at."""
    for name in ("", "websockets", "websockets.client", "websockets.protocol"):
        caplog.set_level(logging.DEBUG, name)

    async def handler(served: Served) -> None:
        if how == "later":
            await served.accept(frame(f"{SECRET} "))
            await served.send(frame(SECRET) + b"\xff")
        elif HOW_IT_FAILS[how]:
            await served.answer(HOW_IT_FAILS[how])
            await served.read_to_the_end()

    async def use(connection: WebSocketConnection) -> TransportError:
        try:
            await connection.open()
            await hear_all(connection)
        except TransportError as error:
            return error
        raise AssertionError

    async with listening(handler) as port:
        options = WireOptions(**{**OPTIONS, "proxy": None})
        url = f"ws://me:{SECRET}@127.0.0.1:{port}/{SECRET}?t={SECRET}"
        connection = WebSocketConnection(url, options)
        caught = await use(connection)
        connection.abort()
    assert caught.__cause__ is None
    assert caught.__context__ is None
    frames = list(traceback.walk_tb(caught.__traceback__))
    assert len(frames) >= 2
    for one, _ in frames:
        assert SECRET not in repr(one.f_locals)
    assert SECRET not in str(caught)
    assert SECRET not in caplog.text


async def test_the_secrets_of_the_handshake_are_forgotten_once_it_is_open() -> None:
    """A connection may live long, and needs them no more."""
    async with listening(serve_quietly) as port:
        connection = connection_to(port, f"/{SECRET}", headers={"Authorization": SECRET})
        await connection.open()
        assert connection._plan is None
        await connection.aclose()

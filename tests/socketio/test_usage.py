"""What a Socket.IO transport can be made with, and where it can be used."""

from __future__ import annotations

import copy
import math
import pickle
import ssl
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from qrlifecycle import AsyncClientTransport, InvalidValue, SocketIOTransport
from qrlifecycle.errors import UnsupportedBackend

from .transport import BOT, USER, MakeTransport, texts_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3cret",
        "127.0.0.1:8000/s3cret",
        "ftp://s3cret",
        "http://",
        "http://:80/s3cret",
        "http://host:s3cret",
        "http://host:99999/?s3cret",
        "http://[::s3cret",
        None,
        b"http://s3cret",
    ],
)
def test_a_bad_url_is_an_invalid_value_that_is_not_shown(
    transport_to: MakeTransport, url: Any
) -> None:
    """The URL itself may hold a token."""
    with pytest.raises(InvalidValue, match=r"http://host:port|a port from 1 to 65535") as caught:
        transport_to(url)
    assert "s3cret" not in "".join(map(str, texts_of(caught.value)[:3]))


@pytest.mark.parametrize("name", ["bot_id", "user_id"])
@pytest.mark.parametrize(("value", "found"), [("", ""), (None, ", not NoneType"), (7, ", not int")])
def test_a_bad_id_is_an_invalid_value(
    transport_to: MakeTransport, name: str, value: Any, found: str
) -> None:
    """Empty, or no text: then its kind is told, and not what it holds."""
    with pytest.raises(InvalidValue, match=f"^{name} must be text that is not empty{found}$"):
        transport_to("http://host", **{name: value})


@pytest.mark.parametrize(
    "options",
    [
        {"namespace": "pairing"},
        {"namespace": "/loja?token=1"},
        {"namespace": "/loja,1"},
        {"namespace": "/loja\n"},
        {"namespace": "/\ud800"},
        {"namespace": None},
        {"socketio_path": "socket.io?x=1"},
        {"socketio_path": "socket.io#x"},
        {"socketio_path": "socket io"},
        {"socketio_path": None},
        {"auth": {"botId": "another"}},
        {"auth": {"userId": None}},
        {"auth": {"n": math.nan}},
        {"signals": {"name": "no function"}},
        {"signals": {7: print}},
        {"signals": {"right": print, "wrong": 7}},
        {"signals": None},
        {"owner": "session"},
        {"owner": []},
        {"owner": {}},
        {"owner": {"session": 7}},
        {"owner": {"session": ""}},
        {"owner": {"": "bot-7"}},
        {"max_message": 0},
        {"max_message": -1},
        {"heartbeat": 0},
        {"heartbeat": -1},
        {"heartbeat": math.inf},
        {"heartbeat": math.nan},
    ],
)
def test_bad_options_are_invalid_values(
    transport_to: MakeTransport, options: dict[str, Any]
) -> None:
    """What cannot be meant, or can never be joined, is said where it is given, by name."""
    with pytest.raises(InvalidValue, match=next(iter(options))):
        transport_to("http://host", **options)


def test_without_asyncio_the_adapter_says_what_to_do() -> None:
    """On trio, `open()` raises the typed error; closing what never opened is fine there, too."""

    async def main() -> None:
        transport = AsyncClientTransport("http://127.0.0.1:1", bot_id=BOT, user_id=USER)
        with pytest.raises(UnsupportedBackend, match=r"^AsyncClientTransport needs asyncio"):
            await transport.open()
        transport.abort()
        await transport.aclose()
        with pytest.raises(anyio.EndOfStream):
            await transport.receive()

    check: Callable[[], Any] = main
    anyio.run(check, backend="trio")


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("http://host/#part", {}, "fragment"),
        ("http://host/?EIO=3", {}, "EIO or transport"),
        ("http://host/?a=b&transport=polling", {}, "EIO or transport"),
        ("http://host", {"ssl_context": ssl.create_default_context()}, "ssl_context"),
        ("http://host", {"proxy": "socks5://proxy:1"}, "proxy"),
        ("http://host", {"max_message": 1000.0}, "max_message"),
        ("http://host", {"cookies": "a=b"}, "cookies"),
        ("http://host", {"headers": {"Upgrade": "h2c"}}, "upgrade"),
        ("http://host", {"headers": {"X": "a\r\nb"}}, "header"),
    ],
)
def test_what_cannot_be_used_is_refused_and_not_dropped(
    url: str, options: dict[str, Any], said: str
) -> None:
    """Each argument is used, or refused where it is given."""
    with pytest.raises(InvalidValue, match=said):
        SocketIOTransport(url, bot_id=BOT, user_id=USER, **options)


@pytest.mark.parametrize(
    ("url", "options", "target"),
    [
        ("http://host", {}, "/socket.io/?transport=websocket&EIO=4"),
        ("http://host/", {"socketio_path": "/"}, "/?transport=websocket&EIO=4"),
        ("http://host/bots", {}, "/bots/socket.io/?transport=websocket&EIO=4"),
        ("wss://host/a/b/?q=1", {"socketio_path": "ws"}, "/a/b/ws/?q=1&transport=websocket&EIO=4"),
        ("http://host/%C3%BC", {}, "/%C3%BC/socket.io/?transport=websocket&EIO=4"),
        ("http://host/\u00fc", {}, "/%C3%BC/socket.io/?transport=websocket&EIO=4"),
    ],
)
def test_the_path_of_the_url_is_where_the_server_lives(
    url: str, options: dict[str, Any], target: str
) -> None:
    """Socket.IO's own path is below it, and the query goes along."""
    transport = SocketIOTransport(url, bot_id=BOT, user_id=USER, **options)
    assert transport._wire._plan is not None
    assert transport._wire._plan[0].target == target


def test_a_transport_is_neither_pickled_nor_copied(transport_to: MakeTransport) -> None:
    """It holds a token, and a socket of its own."""
    transport = transport_to("http://host")
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            way(transport)


def test_a_session_is_made_by_a_function() -> None:
    """One that exists already has a connector that is not ours."""
    session: Any = "a session"
    with pytest.raises(InvalidValue, match="session must be a function"):
        AsyncClientTransport("http://host", bot_id=BOT, user_id=USER, session=session)

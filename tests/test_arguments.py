"""What transports, feeds and gateways are given: used, or refused by name where it is given.

Each argument is given one of each kind of thing, and takes those that can be meant. Whatever it
does not take is an error of usage at once, which names the argument and holds no value. An argument
means the same wherever it has the same name, so there is one line for it.
"""

from __future__ import annotations

import inspect
import math
import re
import ssl
import typing
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from qrlifecycle import (
    AsyncClientTransport,
    InvalidValue,
    QRCode,
    ServiceUnavailable,
    SocketIOTransport,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
    UsageError,
    WebSocketTransport,
)
from qrlifecycle.gateways import GOWA, WAHA, DeviceFlow, EvolutionAPI, WPPConnect
from qrlifecycle.gateways.base import Reaching
from qrlifecycle.gateways.http import HTTPClient
from qrlifecycle.transports.shared import SharedSocket, SocketIOFeed, WebSocketFeed
from qrlifecycle.transports.shared.feed import FeedOptions, WebSocketFeedOptions

SECRET = "s3cret"

URL = "https://bots.example"


def plain(*_args: object) -> None:
    """What takes anything."""


async def asynchronous(*_args: object) -> None:
    """The same, to be awaited."""


def without() -> None:
    """What takes nothing."""


THINGS: dict[str, Any] = {
    "None": None,
    "True": True,
    "False": False,
    "0": 0,
    "-1": -1,
    "7": 7,
    "1.5": 1.5,
    "NaN": math.nan,
    "infinity": math.inf,
    "a huge number": 10**400,
    "no text": "",
    "a text": SECRET,
    "two lines": f"{SECRET}\nb",
    "no UTF-8": f"{SECRET}\udcff",
    "a URL": f"http://{SECRET}",
    "bytes": SECRET.encode(),
    "an empty list": [],
    "numbers": [1, SECRET],
    "an empty mapping": {},
    "texts by texts": {"a": SECRET},
    "numbers by texts": {"a": 1, "b": SECRET},
    "texts by numbers": {1: SECRET},
    "an object": QRCode(SECRET),
    "a function": plain,
    "an async function": asynchronous,
    "a function without arguments": without,
}

TEXTS = {"a text", "a URL"}
ANY_TEXTS = TEXTS | {"two lines", "no UTF-8"}
FLAGS = {"True", "False"}
CREDENTIAL = TEXTS | {"a function", "an async function", "a function without arguments"}
READS = {"a function"}

TAKES: dict[str, set[str]] = {
    "url": {"a URL"},
    "issuer": {"a URL"},
    "bot_id": ANY_TEXTS,
    "user_id": ANY_TEXTS,
    "auth": {"None", "an empty mapping", "texts by texts", "numbers by texts", "texts by numbers"},
    "headers": {"None", "an empty mapping", "texts by texts"},
    "WebSocketTransport.headers": {"an empty list", "an empty mapping", "texts by texts"},
    "WebSocketFeed.headers": {"an empty list", "an empty mapping", "texts by texts"},
    "cookies": {"None", "an empty mapping", "texts by texts"},
    "namespace": set(),
    "signals": {"an empty mapping"},
    "owner": {"None", "texts by texts"},
    "SocketIOFeed.owner": {"None"},
    "WebSocketFeed.owner": {"None"},
    "socketio_path": TEXTS | {"no text"},
    "ssl_context": {"None"},
    "proxy": {"None", "a URL"},
    "max_message": {"7", "a huge number"},
    "heartbeat": {"7", "1.5"},
    "polling": FLAGS,
    "AsyncClientTransport.session": READS | {"an async function", "a function without arguments"},
    "read": READS,
    "welcome": {"None"} | READS,
    "text": FLAGS,
    "WebSocketFeed.text": {"False"},
    "wait_for_pong": FLAGS,
    "refusing": {"an empty list", "an empty mapping"},
    "greeting": {"no text", "bytes", "an empty list", "an empty mapping"}
    | {"texts by texts", "numbers by texts", "texts by numbers"}
    | ANY_TEXTS,
    "subprotocols": {"an empty list", "an empty mapping", "texts by texts", "numbers by texts"},
    "feed": READS | {"an async function", "a function without arguments"},
    "policy": {"None"},
    "recorders": {"no text", "an empty list"},
    "reads_a_second": {"7", "1.5", "infinity"},
    "session": TEXTS,
    "instance": TEXTS,
    "device": TEXTS,
    "client_id": TEXTS,
    "api_key": {"None"} | CREDENTIAL,
    "EvolutionAPI.api_key": CREDENTIAL,
    "token": CREDENTIAL,
    "client_secret": {"None"} | CREDENTIAL,
    "secret_key": {"None"},
    "username": {"None"},
    "password": {"None"},
    "phone_number": {"None"},
    "shared": {"None"},
    "every_session": FLAGS,
    "global_events": FLAGS,
    "scope": ANY_TEXTS | {"no text"},
    "device_endpoint": {"None"},
    "token_endpoint": {"None"},
    "parameters": {"None", "an empty mapping", "texts by texts"},
    "http": {"None"},
    "timeout": {"7", "1.5"},
}
"""What can be meant by each argument, beside what is of a kind that is not among these things."""

CALLED: dict[str, str] = {"url": "URL", "issuer": "URL", "subprotocols": "subprotocol"}
"""What an error calls it, if not by its name."""

PAIR = {"url": URL, "bot_id": "b", "user_id": "u"}

KINDS: list[tuple[Callable[..., object], dict[str, Any], list[Any]]] = [
    (SocketIOTransport, PAIR, []),
    (AsyncClientTransport, PAIR, []),
    (WebSocketTransport, {"url": URL, "read": plain}, []),
    (SocketIOFeed, {"url": URL}, [FeedOptions]),
    (WebSocketFeed, {"url": URL, "read": plain, "owner": ["a"]}, [WebSocketFeedOptions]),
    (SharedSocket, {"feed": plain}, []),
    (WAHA, {"url": URL}, [Reaching]),
    (EvolutionAPI, {"url": URL, "api_key": "k", "instance": "i"}, [Reaching]),
    (WPPConnect, {"url": URL, "session": "s", "token": "t"}, [Reaching]),
    (GOWA, {"url": URL, "device": "d"}, [Reaching]),
    (DeviceFlow, {"issuer": URL, "client_id": "c"}, [Reaching]),
    (HTTPClient, {}, []),
]


def arguments_of(kind: Callable[..., object], options: list[Any]) -> Iterator[str]:
    """The names of what it takes."""
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD:
            yield name
    for option in options:
        yield from typing.get_type_hints(option)


CASES = [
    pytest.param(kind, usual, name, id=f"{kind.__name__}.{name}")
    for kind, usual, options in KINDS
    for name in arguments_of(kind, options)
]


async def trial(kind: Callable[..., object], usual: dict[str, Any], name: str) -> set[str]:
    """Which of the things it takes; what it refuses, it refuses by name."""
    taken = set()
    for thing, value in THINGS.items():
        said = None
        try:
            kind(**{**usual, name: value})
        except UsageError as error:
            said = str(error)
        if said is None:
            taken.add(thing)
        else:
            assert CALLED.get(name, name) in said, thing
            assert SECRET not in said, thing
    return taken


@pytest.mark.anyio
@pytest.mark.parametrize(("kind", "usual", "name"), CASES)
async def test_an_argument_is_used_or_refused_by_name(
    kind: Callable[..., object], usual: dict[str, Any], name: str
) -> None:
    """Nothing is taken that cannot be meant, and whatever is not taken is told apart at once."""
    own = f"{kind.__name__}.{name}"
    assert await trial(kind, usual, name) == TAKES.get(own, TAKES[name])


@pytest.mark.parametrize(
    "kind", [ServiceUnavailable, TransportLost, TransportRefused, TransportUnreachable]
)
@pytest.mark.parametrize("wait", ["5", b"5", True, [5], "Fri, 31 Dec 2027 23:59:59 GMT"])
def test_a_wait_that_is_no_number_is_refused_where_the_error_is_made(
    kind: Callable[..., Exception], wait: Any
) -> None:
    """A header's value as it came is text."""
    with pytest.raises(InvalidValue, match="retry_after must be a number of seconds or None"):
        kind("not now", retry_after=wait)


def test_a_shared_socket_is_made_where_an_event_loop_runs() -> None:
    """At the top of a module none does, and that is what is said."""
    with pytest.raises(UsageError, match="a SharedSocket is made in an async function"):
        SharedSocket(partial(SocketIOFeed, URL))


@pytest.mark.parametrize("kind", [SocketIOTransport, AsyncClientTransport])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"headers": {"Host": "a", "host": "b"}}, "the header 'host' can be given but once"),
        ({"headers": {"Upgrade": "h2c"}}, "the header 'upgrade' is the handshake's own"),
        ({"headers": {"X": "a\r\nY: b"}}, "the header 'X' cannot be sent"),
        (
            {"ssl_context": ssl.create_default_context()},
            "ssl_context is given, and the URL is one without TLS",
        ),
        ({"signals": {"x": asynchronous}}, "signals['x'] must be a plain function"),
        ({"signals": {"x": without}}, "signals['x'] cannot be called with one argument"),
    ],
)
def test_what_could_not_be_used_is_refused_by_both(
    kind: Callable[..., object], wrong: dict[str, Any], said: str
) -> None:
    """Whichever of them it is: an argument means the same."""
    with pytest.raises(InvalidValue, match=re.escape(said)):
        kind(**{**PAIR, "url": "http://bots.example", **wrong})


def test_a_gateway_takes_no_context_that_it_would_not_use() -> None:
    """As a transport does not."""
    with pytest.raises(InvalidValue, match="ssl_context is given, and the URL is one without TLS"):
        WAHA("http://bots.example", ssl_context=ssl.create_default_context())

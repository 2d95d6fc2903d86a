"""How a connection of the adapter's over `AsyncClient` does not come about, in our wire's words.

Its client keeps a text at most of what went wrong, with the URL in it; and when it polls, not even
the kind. What is said is held against the same page as what our own wire says.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trustme

from qrlifecycle import AsyncClientTransport, TransportError
from qrlifecycle.errors import Ending

from ..patience import HANGS
from ..wire.documented import is_documented
from ..wire.serving import Served, listening
from .transport import BOT, USER, texts_of

pytestmark = pytest.mark.anyio

SECRET = "s3cret"

BOTH = pytest.mark.parametrize("polling", [False, True], ids=["websocket", "polling"])


async def failure_at(url: str, *, polling: bool, **options: Any) -> TransportError:
    """What opening fails by; it is documented, and holds nothing of a URL or a header."""
    transport = AsyncClientTransport(
        f"{url}/?token={SECRET}",
        bot_id=BOT,
        user_id=USER,
        headers={"X-Token": SECRET},
        polling=polling,
        **options,
    )
    with anyio.fail_after(HANGS), pytest.raises(TransportError) as caught:
        await transport.open()
    assert is_documented(caught.value)
    assert SECRET not in "".join(texts_of(caught.value))
    return caught.value


@BOTH
async def test_nobody_listens(polling: bool) -> None:
    """The place is in the text."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = await failure_at(f"http://127.0.0.1:{port}", polling=polling)
    assert error.ending is Ending.NOT_CONNECTED
    assert f"127.0.0.1:{port}: connection refused" in str(error)


@BOTH
@pytest.mark.parametrize(
    ("code", "ending"),
    [
        (socket.EAI_NONAME, Ending.NAME_NOT_FOUND),
        (socket.EAI_AGAIN, Ending.NO_NAME_SERVER),
    ],
)
async def test_no_address_is_known(
    monkeypatch: pytest.MonkeyPatch, polling: bool, code: int, ending: Ending
) -> None:
    """The name is in the text; that no name server answers is told apart."""

    def look_up(*_args: object, **_named: object) -> object:
        raise socket.gaierror(code, "said by the system")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    error = await failure_at("http://bots.example:1", polling=polling)
    assert error.ending is ending
    assert "'bots.example'" in str(error)


@BOTH
async def test_no_tls_is_spoken(polling: bool) -> None:
    """The hint is the other scheme."""

    async def handler(served: Served) -> None:
        await served.send(b"HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n")
        await served.read_to_the_end()

    async with listening(handler) as port:
        error = await failure_at(f"https://127.0.0.1:{port}", polling=polling)
    assert error.ending is Ending.TLS
    assert "is it http or ws?" in str(error)


@asynccontextmanager
async def serving_tls() -> AsyncIterator[int]:
    """A server whose authority nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    async def handler(served: Served) -> None:
        await served.read_request()

    async with listening(handler, tls=context) as port:
        yield port


@BOTH
async def test_a_certificate_is_not_trusted(polling: bool) -> None:
    """And why not."""
    async with serving_tls() as port:
        error = await failure_at(f"https://127.0.0.1:{port}", polling=polling)
    assert error.ending is Ending.CERTIFICATE
    assert "its authority is not known here" in str(error)


LOCATION = b"Location: https://other.example/login?token=s3cret"

ANSWERS: dict[str, tuple[bytes, Ending, Ending]] = {
    "hangs up": (b"", Ending.HUNG_UP, Ending.HUNG_UP),
    "redirects": (
        b"HTTP/1.1 302 X\r\n" + LOCATION + b"\r\nContent-Length: 0\r\n\r\n",
        Ending.REDIRECTED,
        Ending.REDIRECTED,
    ),
    "is no HTTP": (b"SSH-2.0-x\r\n\r\n", Ending.ANOTHER_PROTOCOL, Ending.ANOTHER_PROTOCOL),
    "has a page there": (
        b"HTTP/1.1 200 X\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        Ending.NO_WEBSOCKET,
        Ending.ANOTHER_PROTOCOL,
    ),
    "has nothing there": (
        b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n",
        Ending.NO_WEBSOCKET,
        Ending.NOT_CONNECTED,
    ),
    "wants somebody to sign in": (
        b"HTTP/1.1 511 X\r\nContent-Length: 0\r\n\r\n",
        Ending.NO_WEBSOCKET,
        Ending.NO_WEBSOCKET,
    ),
    "is behind Cloudflare, and away": (
        b"HTTP/1.1 521 X\r\nContent-Length: 0\r\n\r\n",
        Ending.TRY_LATER,
        Ending.TRY_LATER,
    ),
    "switches wrongly": (
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: x\r\n\r\n",
        Ending.ANOTHER_PROTOCOL,
        Ending.ANOTHER_PROTOCOL,
    ),
}
"""What a server answers, and what that is over WebSocket, and to one who polls."""


def answering(answer: bytes) -> Callable[[Served], Awaitable[None]]:
    """Read the request, and say this; or hang up."""

    async def handler(served: Served) -> None:
        await served.read_request()
        if answer:
            await served.send(answer)
            await served.read_to_the_end()

    return handler


@BOTH
@pytest.mark.parametrize("name", ANSWERS)
async def test_what_is_answered(name: str, polling: bool) -> None:
    """Each with its own word; who polls is not told to poll."""
    answer, over_websocket, polled = ANSWERS[name]
    async with listening(answering(answer)) as port:
        error = await failure_at(f"http://127.0.0.1:{port}", polling=polling, heartbeat=1)
    assert error.ending is (polled if polling else over_websocket)
    if polling:
        assert "AsyncClientTransport" not in str(error)


@BOTH
async def test_a_server_that_asks_to_wait(polling: bool) -> None:
    """The seconds are there for whoever tries again."""
    answer = b"HTTP/1.1 503 X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    async with listening(answering(answer)) as port:
        error = await failure_at(f"http://127.0.0.1:{port}", polling=polling)
    assert (error.ending, error.retry_after) == (Ending.TRY_LATER, 7)

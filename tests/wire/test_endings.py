"""Each way in which a connection ends, or does not come about, has words of its own."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock

import anyio
import pytest
import trustme

from qrlifecycle import TransportError, TransportLost, TransportRefused, TransportUnreachable
from qrlifecycle.errors import Ending
from qrlifecycle.testing.contract.websocket_peer import frame, upgrade
from qrlifecycle.transports.wire import WebSocketConnection, WireOptions

from ..patience import HANGS
from .documented import is_documented, rows
from .serving import Served, connection_to, full_backlog, hear_all, listening

pytestmark = pytest.mark.anyio


async def failure_of(connection: WebSocketConnection) -> TransportError:
    """What opening raises; nothing may be left."""
    with anyio.fail_after(HANGS), pytest.raises(TransportError) as raised:
        await connection.open()
    assert connection.closed
    assert raised.value.__context__ is None
    return raised.value


async def end_of(connection: WebSocketConnection) -> TransportError:
    """How a connection ends that opens."""
    with anyio.fail_after(HANGS):
        await connection.open()
        with pytest.raises(TransportError) as raised:
            await hear_all(connection)
        with pytest.raises(type(raised.value)) as again:
            await connection.receive()
        assert again.value is raised.value
        assert raised.value.__context__ is None
        await connection.aclose()
    return raised.value


def judge(
    error: TransportError, kind: type[TransportError], ending: Ending, text: str, **fields: object
) -> None:
    """It is of this kind, and says this."""
    assert type(error) is kind
    assert str(error) == text
    assert error.ending is ending
    assert is_documented(error)
    for name in ("status", "code", "retry_after"):
        assert getattr(error, name) == fields.get(name)


def answering(data: bytes) -> Callable[[Served], Awaitable[None]]:
    """A server that answers the handshake with this, and goes on listening."""

    async def handler(served: Served) -> None:
        await served.answer(data)
        await served.read_to_the_end()

    return handler


# Opening


async def test_nobody_listens_there() -> None:
    """The system's own word for it, with the place."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    judge(
        await failure_of(connection_to(port)),
        TransportUnreachable,
        Ending.NOT_CONNECTED,
        f"cannot connect to the server 127.0.0.1:{port}: connection refused",
    )


async def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is in the text; that no name server answers is told apart."""
    for number, ending, why in (
        (socket.EAI_NONAME, Ending.NAME_NOT_FOUND, "is it spelt right?"),
        (socket.EAI_AGAIN, Ending.NO_NAME_SERVER, "no name server answers for it now"),
    ):
        error = socket.gaierror(number, "secret")
        monkeypatch.setattr(anyio, "getaddrinfo", AsyncMock(side_effect=error))
        judge(
            await failure_of(WebSocketConnection("ws://no.such.invalid/", WireOptions())),
            TransportUnreachable,
            ending,
            f"no address is known for the server 'no.such.invalid': {why}",
        )


async def test_a_server_that_accepts_and_says_nothing() -> None:
    """It ends with the heartbeat, and says whose number that is."""

    async def silent(served: Served) -> None:
        await served.read_to_the_end()

    async with listening(silent) as port:
        judge(
            await failure_of(connection_to(port, heartbeat=20)),
            TransportUnreachable,
            Ending.SILENT,
            "the server did not answer within 20 s (our heartbeat)",
        )


async def test_a_host_that_swallows_what_is_sent() -> None:
    """Connecting has the same deadline."""
    async with full_backlog() as port:
        error = await failure_of(connection_to(port, heartbeat=20))
    assert error.ending is Ending.SILENT


async def test_a_server_that_hangs_up_on_the_handshake() -> None:
    """Without an answer."""

    async def rude(served: Served) -> None:
        await served.read_request()

    async with listening(rude) as port:
        judge(
            await failure_of(connection_to(port)),
            TransportUnreachable,
            Ending.HUNG_UP,
            "the server hung up on the handshake, without an answer",
        )


async def test_a_server_that_resets_on_the_handshake() -> None:
    """The system's own word for it."""

    async def rude(served: Served) -> None:
        await served.read_request()
        served.reset()

    async with listening(rude) as port:
        judge(
            await failure_of(connection_to(port)),
            TransportUnreachable,
            Ending.RESET,
            "the connection broke before it was open: connection reset by peer",
        )


SENT_BY_SERVER = "s3cret"

STATUSES = [
    (
        "401 X",
        TransportRefused,
        Ending.REFUSED,
        "the server answered HTTP 401 to the handshake: it does not accept the credentials, or "
        "does not let them in there",
        {"status": 401},
    ),
    (
        "403 X",
        TransportRefused,
        Ending.REFUSED,
        "the server answered HTTP 403 to the handshake: it does not accept the credentials, or "
        "does not let them in there",
        {"status": 403},
    ),
    (
        "429 X\r\nRetry-After: 7",
        TransportUnreachable,
        Ending.TRY_LATER,
        "the server answered HTTP 429 to the handshake: not now, and asks to wait 7 s",
        {"status": 429, "retry_after": 7.0},
    ),
    (
        "503 X\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT",
        TransportUnreachable,
        Ending.TRY_LATER,
        "the server answered HTTP 503 to the handshake: not now",
        {"status": 503},
    ),
    *(
        (
            f"{status} X",
            TransportUnreachable,
            Ending.TRY_LATER,
            f"the server answered HTTP {status} to the handshake: not now",
            {"status": status},
        )
        for status in (408, 425, 502, 504, 520, 527, 530)
    ),
    (
        "511 X",
        TransportUnreachable,
        Ending.NO_WEBSOCKET,
        "the server answered HTTP 511 to the handshake: the network wants somebody to sign in "
        "first",
        {"status": 511},
    ),
    (
        "429 X\r\nRetry-After: 99999999999999999999",
        TransportUnreachable,
        Ending.TRY_LATER,
        "the server answered HTTP 429 to the handshake: not now",
        {"status": 429},
    ),
    (
        f"302 X\r\nLocation: https://other.example/{SENT_BY_SERVER}?token={SENT_BY_SERVER}",
        TransportUnreachable,
        Ending.REDIRECTED,
        "the server answered HTTP 302 to the handshake: it redirects to https://other.example, "
        "which is not followed, for your credentials would go along; give the address that it "
        "redirects to",
        {"status": 302},
    ),
    (
        f"307 X\r\nLocation: /{SENT_BY_SERVER}",
        TransportUnreachable,
        Ending.REDIRECTED,
        "the server answered HTTP 307 to the handshake: it redirects to another address, "
        "which is not followed, for your credentials would go along; give the address that it "
        "redirects to",
        {"status": 307},
    ),
    (
        "407 X",
        TransportUnreachable,
        Ending.PROXY_CREDENTIALS,
        "the server answered HTTP 407 to the handshake: a proxy on the way wants credentials; give "
        "proxy=",
        {"status": 407},
    ),
    *(
        (
            f"{status} X",
            TransportUnreachable,
            Ending.NO_WEBSOCKET,
            f"the server answered HTTP {status} to the handshake, and does not switch to "
            f"WebSocket: {hint}something on the way lets no WebSocket through (it must pass on the "
            "headers Upgrade and Connection); to a Socket.IO server, AsyncClientTransport polls "
            "instead",
            {"status": status},
        )
        for status, hint in ((200, ""), (400, ""), (404, "is the path right? Or "), (426, ""))
    ),
]


@pytest.mark.parametrize("case", STATUSES, ids=lambda case: case[0].partition("\r")[0])
@pytest.mark.parametrize("body", ["none", "without end", "that never comes"])
async def test_a_status_is_told_from_the_head_alone(case: Any, body: str) -> None:
    """Whatever becomes of the body: none, one without a length, and one that is never sent."""
    head, kind, ending, text, fields = case
    rest = {
        "none": "\r\nContent-Length: 0\r\n\r\n",
        "without end": f"\r\n\r\n{SENT_BY_SERVER}",
        "that never comes": "\r\nContent-Length: 1000\r\n\r\nx",
    }
    async with listening(answering(f"HTTP/1.1 {head}{rest[body]}".encode())) as port:
        began = anyio.current_time()
        judge(await failure_of(connection_to(port)), kind, ending, text, **fields)
        assert anyio.current_time() - began < 1


async def test_interim_answers_are_passed_over() -> None:
    """100, 102, 103 come before the answer, and are none."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    async with listening(answering(interim + b"HTTP/1.1 401 X\r\n\r\n")) as port:
        error = await failure_of(connection_to(port))
    assert error.status == 401


UPGRADE = b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

NO_WEBSOCKET = {
    "its header Upgrade does not say so": b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n",
    "its header Connection does not say so": b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n",
    "its Sec-WebSocket-Accept is not the answer to our key": UPGRADE
    + b"Sec-WebSocket-Accept: x\r\n\r\n",
}


@pytest.mark.parametrize("fault", NO_WEBSOCKET)
async def test_a_switch_to_something_else(fault: str) -> None:
    """101 alone is no WebSocket."""
    async with listening(answering(NO_WEBSOCKET[fault])) as port:
        judge(
            await failure_of(connection_to(port)),
            TransportUnreachable,
            Ending.ANOTHER_PROTOCOL,
            f"the server does not speak WebSocket: {fault}",
        )


@pytest.mark.parametrize("first", [True, False])
async def test_a_header_that_is_repeated_says_all_of_it(first: bool) -> None:
    """What a gateway says of the connection may stand in a line of its own, before or after."""

    async def handler(served: Served) -> None:
        lines = [b"Connection: Upgrade", b"connection: keep-alive"]
        answer = upgrade(await served.read_request())
        await served.send(answer.replace(lines[0], b"\r\n".join(lines if first else lines[::-1])))
        await served.read_to_the_end()

    async with listening(handler) as port:
        connection = connection_to(port)
        await connection.open()
        await connection.aclose()


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        (b"Sec-WebSocket-Extensions: permessage-deflate", "it uses an extension"),
        (b"Sec-WebSocket-Protocol: another", "it chose a subprotocol"),
    ],
)
async def test_a_choice_of_what_was_not_offered(header: bytes, fault: str) -> None:
    """An extension, or a subprotocol: nobody could understand what comes."""

    async def handler(served: Served) -> None:
        await served.read_request()
        await served.accept_with(header)
        await served.read_to_the_end()

    async with listening(handler) as port:
        judge(
            await failure_of(connection_to(port, subprotocols=("one",))),
            TransportUnreachable,
            Ending.ANOTHER_PROTOCOL,
            f"the server does not speak WebSocket: {fault} that was not offered",
        )


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the server does not speak HTTP"),
        (b"\0" * 100, "the server does not speak HTTP"),
        (
            b"HTTP/1.1 101 X\r\n" + b"x: y\r\n" * 10_000,
            "the server answers with a head of more than 16 kB",
        ),
        (b"\x15\x03\x01\x00\x02\x02\x0a", "the server speaks TLS there; is it https or wss?"),
        (b"\x16\x03\x01\x00\x02\x01\x00", "the server speaks TLS there; is it https or wss?"),
    ],
)
async def test_another_protocol(answer: bytes, text: str) -> None:
    """Not HTTP; and TLS, where plain words were spoken."""
    async with listening(answering(answer)) as port:
        judge(
            await failure_of(connection_to(port)),
            TransportUnreachable,
            Ending.ANOTHER_PROTOCOL,
            text,
        )


async def test_within_tls_no_answer_is_taken_for_tls(
    certified: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """The hint would be to use what is used already."""
    async with listening(answering(b"\x15\x03\x01\x00\x02\x02\x0a"), tls=certified) as port:
        judge(
            await failure_of(connection_to(port, ssl=trusting)),
            TransportUnreachable,
            Ending.ANOTHER_PROTOCOL,
            "the server does not speak HTTP",
        )


async def test_plain_words_on_a_port_of_tls(certified: ssl.SSLContext) -> None:
    """A real server of TLS is told apart as well, or it hangs up without an answer."""
    async with listening(Served.read_to_the_end, tls=certified) as port:
        error = await failure_of(connection_to(port))
    assert error.ending in {Ending.ANOTHER_PROTOCOL, Ending.HUNG_UP}


# TLS


async def test_tls_on_a_port_of_plain_words() -> None:
    """The hint is the other scheme."""

    async def puzzled(served: Served) -> None:
        await served.read(1)
        await served.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await served.read_to_the_end()

    async with listening(puzzled) as port:
        judge(
            await failure_of(WebSocketConnection(f"wss://127.0.0.1:{port}", WireOptions())),
            TransportUnreachable,
            Ending.TLS,
            f"no TLS with 127.0.0.1:{port}: it does not speak TLS; is it http or ws?",
        )


async def test_a_server_that_hangs_up_on_tls() -> None:
    """In the middle of its handshake."""

    async def rude(served: Served) -> None:
        await served.stream.receive()

    async with listening(rude) as port:
        judge(
            await failure_of(WebSocketConnection(f"wss://127.0.0.1:{port}", WireOptions())),
            TransportUnreachable,
            Ending.TLS,
            f"no TLS with 127.0.0.1:{port}: it hung up in the middle",
        )


@pytest.mark.parametrize("which", ["unknown authority", "another host", "expired", "not yet"])
async def test_a_certificate_that_is_not_trusted(
    which: str, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    """Whose it is, and why not."""
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    host = "elsewhere.example" if which == "another host" else "127.0.0.1"
    times: dict[str, Any] = {"not_after": now - day} if which == "expired" else {}
    times |= {"not_before": now + day} if which == "not yet" else {}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, **times).configure_cert(context)
    trusted = None if which == "unknown authority" else trusting
    unknown = "its authority is not known here; give ssl_context= one that trusts it"
    why = {
        "unknown authority": unknown,
        "another host": "it is for another host",
        "expired": "it has expired",
        "not yet": "it is not valid yet (is the clock right?)",
    }
    async with listening(Served.read_to_the_end, tls=context) as port:
        connection = WebSocketConnection(f"wss://127.0.0.1:{port}", WireOptions(ssl=trusted))
        judge(
            await failure_of(connection),
            TransportUnreachable,
            Ending.CERTIFICATE,
            f"the certificate that 127.0.0.1:{port} shows is not trusted: {why[which]}",
        )


async def test_a_server_that_wants_a_certificate_of_ours(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    """In TLS 1.3 it says so after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED

    async def strict(served: Served) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await served.send(outgoing.read())
                incoming.write(await served.stream.receive())
            except ssl.SSLError:
                await served.send(outgoing.read())
                await served.read_to_the_end()
                return

    async with listening(strict) as port:
        connection = WebSocketConnection(f"wss://127.0.0.1:{port}", WireOptions(ssl=trusting))
        judge(
            await failure_of(connection),
            TransportUnreachable,
            Ending.TLS,
            "the server wants a certificate of ours; give ssl_context= one that has it",
        )


# Once it was open


def saying(data: bytes, *, reset: bool = False) -> Callable[[Served], Awaitable[None]]:
    """A server that takes the client in, says this, and hangs up."""

    async def handler(served: Served) -> None:
        await served.accept()
        if data:
            await served.send(data)
            await served.read(1)  # an answer: ours has been read
        if reset:
            served.reset()

    return handler


async def test_a_server_that_hangs_up_right_after_the_handshake() -> None:
    """That it never said a word is a hint of its own."""
    async with listening(saying(b"")) as port:
        judge(
            await end_of(connection_to(port)),
            TransportLost,
            Ending.HUNG_UP,
            "the server hung up right after the handshake, without a word",
        )


@pytest.mark.parametrize(("seconds", "when"), [(4, "right after the handshake, "), (6, "")])
async def test_who_hangs_up_after_a_silence_does_not_do_so_because_of_the_handshake(
    seconds: float, when: str
) -> None:
    """A proxy cuts off what is silent for a minute: that is no hint of what the server dislikes."""

    async def idle(served: Served) -> None:
        await served.accept()
        await anyio.sleep(seconds)

    async with listening(idle) as port:
        judge(
            await end_of(connection_to(port)),
            TransportLost,
            Ending.HUNG_UP,
            f"the server hung up {when}without a word",
        )


async def test_a_server_that_hangs_up_later() -> None:
    """TCP's end, and not WebSocket's."""
    async with listening(saying(frame("x") + frame(b"", 9))) as port:
        judge(
            await end_of(connection_to(port)),
            TransportLost,
            Ending.HUNG_UP,
            "the server hung up without a word",
        )


async def test_a_server_that_resets() -> None:
    """The system's own word."""
    async with listening(saying(frame(b"", 9), reset=True)) as port:
        judge(
            await end_of(connection_to(port)),
            TransportLost,
            Ending.RESET,
            "the connection broke: connection reset by peer",
        )


@pytest.mark.parametrize("code", [1002, 1008, 1011, 1013, 3000, 4000, 4999])
async def test_a_close_with_a_code_that_is_not_in_order(code: int) -> None:
    """The code is in the text and in a field; what the server says with it is not."""
    words = {
        1002: " (we broke the protocol, it says)",
        1008: " (against its policy: often a token that it does not accept)",
        1011: " (an error of its own)",
        1013: " (try again later)",
        3000: "",
    }
    said = frame(code.to_bytes(2, "big") + SENT_BY_SERVER.encode(), 8)
    async with listening(saying(said)) as port:
        judge(
            await end_of(connection_to(port)),
            TransportLost,
            Ending.CLOSED,
            f"the server closed with WebSocket code {code}"
            + words.get(code, " (a code of the service's own)"),
            code=code,
        )


@pytest.mark.parametrize("body", [b"\x03\xe8", b"\x03\xe9bye", b""])
async def test_a_close_in_order_is_the_end_of_the_stream(body: bytes) -> None:
    """With 1000, 1001, or without a code; and what came before is heard."""
    async with listening(saying(frame("last") + frame(body, 8))) as port:
        connection = connection_to(port)
        await connection.open()
        with anyio.fail_after(HANGS):
            assert await connection.receive() == "last"
            for _ in range(2):
                with pytest.raises(anyio.EndOfStream):
                    await connection.receive()
            await connection.aclose()


@pytest.mark.parametrize(
    "data",
    [
        frame("x" * 1001),
        b"\x81\x7f" + (1 << 62).to_bytes(8, "big"),
        b"\x01\x7e\x03\xe8" + b"x" * 1000 + b"\x80\x01x",
    ],
    ids=["whole", "announced", "in parts"],
)
async def test_a_message_that_is_too_large(data: bytes) -> None:
    """The limit and the argument that sets it; told from the head, before the bytes are there."""
    async with listening(saying(data)) as port:
        judge(
            await end_of(connection_to(port, max_message_size=1000)),
            TransportLost,
            Ending.TOO_LARGE,
            "the server sent a message of more than 1000 bytes (max_message)",
        )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x81\x85abcdx", "the server breaks the rules of WebSocket"),
        (b"\x83\x00", "the server breaks the rules of WebSocket"),
        (frame(b"\xff"), "the server sent text that is not UTF-8"),
    ],
)
async def test_what_breaks_the_rules(data: bytes, text: str) -> None:
    """It never becomes a message."""
    async with listening(saying(data)) as port:
        judge(await end_of(connection_to(port)), TransportLost, Ending.ANOTHER_PROTOCOL, text)


async def test_a_server_that_falls_silent() -> None:
    """Whose number of seconds it is can be said."""

    async def silent(served: Served) -> None:
        await served.accept(frame("x"))
        await served.read_to_the_end()

    async with listening(silent) as port:
        connection = connection_to(port, heartbeat=20)
        error = await end_of(connection)
        judge(
            error,
            TransportLost,
            Ending.SILENT,
            "the server was silent for 20 s (our heartbeat)",
        )
        connection = connection_to(port, heartbeat=20)
        await connection.open()
        connection.set_heartbeat(45, "the server's pingInterval and pingTimeout")
        with anyio.fail_after(HANGS * 2), pytest.raises(TransportLost) as raised:
            await hear_all(connection)
        assert str(raised.value) == (
            "the server was silent for 45 s (the server's pingInterval and pingTimeout)"
        )
        await connection.aclose()


async def test_what_our_own_side_does() -> None:
    """Opened twice, opened after it was closed, closed while it opens; sent after the end."""

    async def silent(served: Served) -> None:
        await served.read_to_the_end()

    async with listening(silent) as port:
        connection = connection_to(port)
        connection.abort()
        error = await failure_of(connection)
        assert error.ending is Ending.ABANDONED
        connection = connection_to(port)
        async with anyio.create_task_group() as tasks:

            async def abort() -> None:
                await anyio.sleep(1)
                connection.abort()

            tasks.start_soon(abort)
            error = await failure_of(connection)
        judge(
            error,
            TransportUnreachable,
            Ending.ABANDONED,
            "the connection was closed while it opened",
        )
        error = await failure_of(connection)
        assert error.ending is Ending.ABANDONED
        assert not connection.send_nowait("x")
        with pytest.raises(TransportLost) as raised:
            await connection.send("x")
        assert raised.value.ending is Ending.ABANDONED
        with pytest.raises(anyio.EndOfStream):
            await connection.receive()


def test_every_ending_is_documented() -> None:
    """Each has a row at least; what has none is what a transport of one's own may leave out."""
    assert {ending for ending, _ in rows()} == set(Ending) - {Ending.OTHER}

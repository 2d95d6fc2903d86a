"""The two requests of HTTP/1.1 that a WebSocket takes: its own handshake, and a proxy's CONNECT.

By h11, which is strict about HTTP and gives an answer as soon as its head is there: a refusal whose
body has no length, or does not come, is a refusal at once.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import h11

from ...errors import TransportError
from ...values import seconds_to_wait
from .address import Address
from .endings import another_protocol, hung_up_on_us, refused_by_status
from .frames import Frames
from .options import WireOptions
from .stream import Stream

__all__ = ["TOO_MUCH", "Answer", "answer_to", "ask", "not_http", "upgrade"]

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""

NAME = b"qrlifecycle"
"""The User-Agent, if the options have none: some firewalls turn away who has none."""

TLS_RECORDS = frozenset({0x15, 0x16})
"""How what a server of TLS says begins (RFC 8446, section 5.1): an alert, mostly."""

HTTP = b"HTTP/"
"""How every answer begins."""


TOO_MUCH = 431
"""HTTP's number for headers that are too large; h11 gives it to an answer with such as well."""


class Answer(NamedTuple):
    """The head of what a server or a proxy answered, and what came behind it."""

    status: int
    headers: Mapping[bytes, bytes]
    """By their names in small letters; the values of one that is repeated with commas between."""
    rest: bytes

    def header(self, name: bytes) -> str:
        """A header's value, by its name in small letters; nothing if there is no such."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait, if it says so in seconds."""
        return seconds_to_wait(self.header(b"retry-after"))


async def upgrade(
    stream: Stream, address: Address, options: WireOptions
) -> tuple[str | None, Frames, bytes]:
    """Switch to WebSocket: the subprotocol that was chosen, the frames, and their first bytes.

    Raises:
        TransportUnreachable: no WebSocket there.
        TransportRefused: 401 or 403.
        Aborted: our side closed meanwhile.
        OSError: the connection broke.
    """
    key = base64.b64encode(os.urandom(16))
    http = await ask(stream, _request(address, options, key))
    # While the server is at it: what takes no answer.
    frames, accept = Frames(options.max_message_size), _accept(key)
    answer = await answer_to(stream, http, "the server", secure=address.secure)
    failure: TransportError | None = None
    if answer.status != 101:
        location = answer.header(b"location")
        failure = refused_by_status(answer.status, location, answer.retry_after)
    elif fault := _fault(answer, accept, tuple(options.subprotocols)):
        failure = another_protocol(f"the server does not speak WebSocket: {fault}", opening=True)
    if failure is not None:
        raise failure
    return answer.header(b"sec-websocket-protocol") or None, frames, answer.rest


async def ask(stream: Stream, request: h11.Request) -> h11.Connection:
    """Send a request; what reads the answer is given to `answer_to()`.

    Raises:
        Aborted: our side closed meanwhile.
        OSError: the connection broke.
    """
    http = h11.Connection(h11.CLIENT)
    stream.write(http.send(request) or b"")
    await stream.drain()
    return http


async def answer_to(stream: Stream, http: h11.Connection, whom: str, *, secure: bool) -> Answer:
    """Read the head of the answer.

    Args:
        stream: where it comes.
        http: what has sent the request.
        whom: who answers, for the texts.
        secure: whether it is said within TLS.

    Raises:
        TransportUnreachable: it does not speak HTTP, or hung up.
        Aborted: our side closed meanwhile.
        OSError: the connection broke.
    """
    began = b""
    failure: TransportError | None = None
    while failure is None:
        data = await stream.read()
        began = began or data
        if not data:
            failure = hung_up_on_us(whom)
        elif (failure := not_http(began, whom, secure=secure)) is None:
            http.receive_data(data)
            try:
                if (answer := _answer_in(http)) is not None:
                    return answer
            except h11.RemoteProtocolError as error:
                large = error.error_status_hint == TOO_MUCH
                said = "answers with a head of more than 16 kB" if large else "does not speak HTTP"
                failure = another_protocol(f"{whom} {said}", opening=True)
    raise failure


def _answer_in(http: h11.Connection) -> Answer | None:
    """The head of the answer, if all of it has come; what was said before it is passed over.

    Raises:
        h11.RemoteProtocolError: it is not HTTP.
    """
    while (event := http.next_event()) is not h11.NEED_DATA:
        if isinstance(event, h11.Response) or getattr(event, "status_code", 0) == 101:
            assert isinstance(event, h11.Response | h11.InformationalResponse)
            fields = _joined(event.headers.raw_items())
            return Answer(event.status_code, fields, http.trailing_data[0])
    return None


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        lower = name.lower()
        found[lower] = b", ".join((found[lower], value)) if lower in found else value
    return found


def not_http(began: bytes, whom: str, *, secure: bool) -> TransportError | None:
    """What an answer means that begins so and can be none; h11 would wait for the end of its head.

    Args:
        began: the first bytes of it, one at least.
        whom: who says it.
        secure: whether it was said within TLS.
    """
    if began.startswith(HTTP[: len(began)]):  # all of it, or as much of it as came
        return None
    tls = began[0] in TLS_RECORDS and not secure
    said = "speaks TLS there; is it https or wss?" if tls else "does not speak HTTP"
    return another_protocol(f"{whom} {said}", opening=True)


def _request(address: Address, options: WireOptions, key: bytes) -> h11.Request:
    given = {name.lower() for name, _ in options.header_fields}
    headers = [
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade"),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", key),
        *options.header_fields,
    ]
    if b"host" not in given:
        headers.append((b"Host", address.authority.encode()))  # which h11 sends first
    if b"user-agent" not in given:
        headers.append((b"User-Agent", NAME))
    if address.credentials is not None and b"authorization" not in given:
        headers.append((b"Authorization", address.credentials))
    if options.subprotocols:
        headers.append((b"Sec-WebSocket-Protocol", ", ".join(options.subprotocols).encode()))
    return h11.Request(method=b"GET", target=address.target.encode(), headers=headers)


def _accept(key: bytes) -> str:
    """What a server answers to our key (RFC 6455, section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + MAGIC, usedforsecurity=False).digest()).decode()


def _fault(answer: Answer, accept: str, offered: tuple[str, ...]) -> str:
    """Why a 101 is none (RFC 6455, section 4.1), or nothing."""
    if answer.header(b"upgrade").strip().lower() != "websocket":
        return "its header Upgrade does not say so"
    if "upgrade" not in {one.strip().lower() for one in answer.header(b"connection").split(",")}:
        return "its header Connection does not say so"
    if answer.header(b"sec-websocket-accept").strip() != accept:
        return "its Sec-WebSocket-Accept is not the answer to our key"
    if answer.header(b"sec-websocket-extensions").strip():
        return "it uses an extension that was not offered"
    chosen = answer.header(b"sec-websocket-protocol")
    if chosen and chosen not in offered:
        return "it chose a subprotocol that was not offered"
    return ""

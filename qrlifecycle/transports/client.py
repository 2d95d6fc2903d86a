"""Python-socketio's client, mended where it deafens itself or takes one thing for another.

Touches ``_handle_eio_message``, ``_binary_packet``, ``_handle_connect``, ``_handle_event`` and
``_send_packet``, which python-socketio does not document. On its own it takes whatever comes next
for an attachment, and keeps doing so after one that raised; a server of Socket.IO 2 for a healthy
one; and an event that a service calls "disconnect" for the end.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import socketio
from socketio import packet
from socketio.exceptions import SocketIOError

from ..errors import Ending, TransportError, TransportLost, TransportUnreachable
from .handshake import TOO_OLD, recovers, without_offset
from .socketio.protocol import MAX_ATTACHMENTS
from .wire import endings
from .wire.address import place_of

__all__ = ["Client", "Packet", "explain", "failure_of"]

MESSAGE = "4"
"""Engine.IO's kind of packet in which Socket.IO's are."""


class Packet(packet.Packet):  # type: ignore[misc]
    """A message that cannot announce attachments without end."""

    def decode(self, encoded_packet: Any) -> int:
        """Decode, as the client asks; more attachments than are collected make it malformed."""
        attachments: int = super().decode(encoded_packet)
        if attachments > MAX_ATTACHMENTS:
            raise ValueError("too many attachments")
        return attachments


class Client(socketio.AsyncClient):  # type: ignore[misc]
    """A client that nothing deafens, and that tells a service's words from the protocol's.

    Args:
        refuse: told of a server that cannot be spoken with.
        answer: sends a text at once, and says whether it could.
        hear: told of each event: its namespace, its name, its arguments.
        options: as for `socketio.AsyncClient`.
    """

    def __init__(
        self,
        refuse: Callable[[TransportError], None],
        answer: Callable[[str], Awaitable[bool]],
        hear: Callable[[str, str, tuple[object, ...]], None],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._refuse = refuse
        self._answer = answer
        self._hear = hear
        self._recovers = False

    async def _handle_eio_message(self, data: str | bytes) -> None:
        if isinstance(data, str):
            self._binary_packet = None
        await super()._handle_eio_message(data)

    async def _handle_connect(self, namespace: str | None, data: Any) -> None:
        if not isinstance(data, dict) or "sid" not in data:
            self._refuse(TransportUnreachable(TOO_OLD, ending=Ending.ANOTHER_PROTOCOL))
            return
        self._recovers = recovers(data)
        await super()._handle_connect(namespace, data)

    async def _handle_event(
        self,
        namespace: str | None,
        id: int | None,  # noqa: A002 - its name there
        data: Any,
    ) -> None:
        name, *args = data
        if not isinstance(name, str):
            raise TypeError("no event")
        if id is not None:
            answer = Packet(packet.ACK, namespace=namespace or "/", id=id, data=[])
            # Now, and not by way of the queue: whoever hears of this may leave at once.
            if not await self._answer(f"{MESSAGE}{answer.encode()}"):
                await self._send_packet(answer)
        counted = self._recovers and id is None
        self._hear(namespace or "/", name, without_offset(args) if counted else tuple(args))


def explain(error: BaseException, known: TransportError | None) -> TransportError:
    """The typed error for whatever the client raised on connecting; never with its text.

    Args:
        error: what it raised.
        known: what is known of a request of its that failed.
    """
    found = error if isinstance(error, TransportError) else known
    chain: BaseException | None = error
    while found is None and chain is not None:
        found = failure_of(chain, opening=True)
        chain = chain.__cause__ or chain.__context__
    if found is not None:
        found.__context__ = None  # it went through the client's frames, which hold headers
        return found.with_traceback(None)
    if isinstance(error, SocketIOError):
        text = "the server does not speak Socket.IO"
    else:
        text = f"the handshake was malformed ({type(error).__name__})"
    return endings.another_protocol(text, opening=True)


def failure_of(error: BaseException, *, opening: bool) -> TransportError | None:
    """What a request of aiohttp's failed by, in the words of our own wire; None if nobody knows."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return _not_connected(error)
    if isinstance(error, aiohttp.ClientResponseError):
        return _wrong_answer(error, opening=opening)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        whom = "the server"
        return endings.hung_up_on_us(whom) if opening else endings.hung_up(at_once=False)
    if isinstance(error, aiohttp.ServerTimeoutError):
        text = "the server did not answer within the session's own time"
        return (TransportUnreachable if opening else TransportLost)(text, ending=Ending.SILENT)
    return endings.reset(error, opening=opening) if isinstance(error, OSError) else None


def _wrong_answer(error: aiohttp.ClientResponseError, *, opening: bool) -> TransportError:
    shaking = isinstance(error, aiohttp.WSServerHandshakeError)
    if shaking and error.status == 101:
        text = "the server does not speak WebSocket: its answer to the handshake is wrong"
        return endings.another_protocol(text, opening=True)
    if shaking or isinstance(error, aiohttp.ClientHttpProxyError):
        return endings.refused_by_status(error.status, "", None)
    return endings.another_protocol("the server does not speak HTTP", opening=opening)


def _not_connected(error: aiohttp.ClientConnectorError) -> TransportError:
    place = place_of(error.host, error.port)
    match error:
        case aiohttp.ClientConnectorDNSError():
            for_now = error.os_error.errno == socket.EAI_AGAIN
            return endings.name_not_found(error.host, "the server", for_now=for_now)
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLError() as fault):
            return endings.no_tls(place, fault)
        case aiohttp.ClientConnectorError(os_error=ssl.SSLError() as fault):
            return endings.no_tls(place, fault)
    what = "the proxy" if isinstance(error, aiohttp.ClientProxyConnectionError) else "the server"
    return endings.not_connected(place, what, error.os_error, tried=1)

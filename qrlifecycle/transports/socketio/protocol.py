"""Engine.IO 4 and Socket.IO 5 as one who listens speaks them: messages in, answers and events out.

No input, no output, no clock: what a WebSocket brought goes into `take()`, and what is to be sent
stands in `answers`. The packets are read and written by python-socketio's own codec; what each of
them means to a listener, and how much of it is kept, is decided here.

A message of the WebSocket is one Engine.IO packet, always. The order in which they come::

    server  0{"sid": ..., "pingInterval": ..., "pingTimeout": ...}      Engine.IO OPEN
    client  40{"botId": ..., "userId": ..., "token": ...}               CONNECT, with auth
    server  40{"sid": ...}, or 44{"message": ..., "data": ...}          joined, or CONNECT_ERROR
    server  42["name", ...], 4217["name", ...], 451-["name", ...]       EVENT, with id, with bytes
    client  4317[]                                                      ACK of the one with an id
    server  2, and the client 3                                         ping and pong
    server  41, or 1                                                    DISCONNECT, or CLOSE

A server of Socket.IO 2 says 40 by itself and without a ``sid``: so it is told apart at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from anyio import EndOfStream
from engineio import packet as engineio_packet
from socketio import packet as socketio_packet

from ...errors import TransportUnreachable
from ..messages import Drop
from .refusal import refusal

__all__ = ["MAX_ATTACHMENTS", "Message", "SocketIOProtocol"]

MAX_ATTACHMENTS = 8
"""Binary attachments of one message. A server may announce as many as it likes, and each would be
kept until the last has come."""

ROOT = "/"
"""The namespace that everybody joins unless told otherwise; on the wire it has no name."""

PONG: str = engineio_packet.Packet(engineio_packet.PONG).encode()
"""The answer to a ping. What came with the ping is for the probe of an upgrade, and there is none:
so that no peer decides how much we send."""

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What decoding raises over what no server can mean."""

NOT_SOCKETIO = "what answers speaks WebSocket, but not Socket.IO: its first message is no OPEN"

TOO_OLD = "the server speaks Socket.IO 2; a server of Socket.IO 3 or newer is needed"

CLOSED_EARLY = "the server closed before the namespace was joined"


class Message(NamedTuple):
    """An event of the service's, as it came."""

    name: object
    args: tuple[object, ...]


class SocketIOProtocol:
    """One connection, from its first message to its last.

    Args:
        namespace: the namespace to join; checked by whoever takes it from the program.
        auth: what joining sends along.
        max_size: bytes of all attachments of one message together.
    """

    __slots__ = ("_auth", "_max_size", "_namespace", "_opened", "_torn", "answers", "beat", "joined")

    def __init__(self, namespace: str, auth: Mapping[str, object], max_size: float) -> None:
        self.answers: list[str] = []
        """Texts to send now, in order; whoever sends them empties it."""
        self.joined = False
        """Whether the server has let us into the namespace."""
        self.beat: float | None = None
        """Seconds within which the server's own pings show that it lives, if it can be meant."""
        self._namespace = namespace
        self._auth: Mapping[str, object] | None = auth
        self._max_size = max_size
        self._opened = False
        self._torn: _Torn | None = None

    def goodbye(self) -> str:
        """What servers log as the client's own leaving."""
        return self._encoded(socketio_packet.DISCONNECT)

    def take(self, data: str | bytes) -> tuple[Message | Drop, ...]:
        """Take a message of the WebSocket: what it was, beside answers; nothing, as a rule.

        Raises:
            EndOfStream: the server closed in order.
            TransportUnreachable: it closed before we had joined, or speaks another protocol.
            TransportRefused: it did not let us in.
        """
        try:
            packet = engineio_packet.Packet(encoded_packet=data)
        except UNREADABLE:
            return self._malformed(NOT_SOCKETIO)
        if not self._opened and packet.packet_type != engineio_packet.OPEN:
            raise TransportUnreachable(NOT_SOCKETIO)
        match packet.packet_type:
            case engineio_packet.MESSAGE:
                return self._take_attachment(data) if packet.binary else self._take(packet.data)
            case engineio_packet.PING:
                self.answers.append(PONG)
            case engineio_packet.OPEN if not self._opened:
                self._open(packet.data)
            case engineio_packet.CLOSE:
                self._close()
            case engineio_packet.NOOP:
                pass
            case _:
                return (Drop.MALFORMED,)
        return ()

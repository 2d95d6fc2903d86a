"""Engine.IO 4 and Socket.IO 5 as one who listens speaks them: messages in, answers and events out.

No input, no output, no clock: what a WebSocket brought goes into `take()`, and what is to be sent
stands in `answers`. The packets are read and written by python-socketio's own codec; what each of
them means to a listener, and how much of it is kept, is decided here.

A message of the WebSocket is one Engine.IO packet, always::

    server  0{"sid": ..., "pingInterval": ..., "pingTimeout": ...}    OPEN
    client  40{"botId": ..., "userId": ..., "token": ...}             CONNECT, with auth
    server  40{"sid": ...}, or 44{"message": ..., "data": ...}        CONNECT, or CONNECT_ERROR
    server  42["name", ...], 4217["name", ...], 451-["name", ...]     EVENT: plain, with an id, and
                                                                      with an attachment to come
    client  4317[]                                                    ACK of the one with an id
    server  2, and the client 3                                       PING and PONG
    server  41, or 1                                                  DISCONNECT, or CLOSE

What a service calls its own events is no business of the protocol's: ``42["disconnect"]`` is an
event, ``41`` is the end. A server of Socket.IO 2 says ``40`` by itself and without a ``sid``: so it
is told apart before it is taken for a healthy one that never says anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

from anyio import EndOfStream
from engineio import packet as engineio
from socketio import packet as socketio

from ...errors import Ending, InvalidValue, TransportUnreachable
from ..handshake import CLOSED_EARLY, NOT_JSON, TOO_OLD, recovers, refusal, without_offset
from ..messages import Drop

__all__ = ["MAX_ATTACHMENTS", "Message", "SocketIOProtocol"]

Result = TypeVar("Result")

MAX_ATTACHMENTS = 8
"""Binary attachments of one message. A server may announce as many as it likes, and all of them are
kept until the last has come."""

MESSAGE = str(engineio.MESSAGE)
"""How a text begins that is Socket.IO's from there on, whoever sends it. Engine.IO's codec would
first try whether the rest is JSON, and no packet of Socket.IO is."""

PONG = str(engineio.Packet(engineio.PONG).encode())
"""The answer to a ping. What a ping carries belongs to the probe of an upgrade, of which there is
none here; sent back, it would let the peer decide how much we send."""

UNREADABLE = (ValueError, TypeError, LookupError, OverflowError, RecursionError)
"""What the codec raises over what no server can mean."""

ASKED_FOR = {engineio.PING, engineio.CLOSE, engineio.NOOP}
"""What a server may send once it is open, beside messages. Its PONG and UPGRADE answer what a
client of Engine.IO 4 over WebSocket never sends."""

NOT_SOCKETIO = (
    "the server speaks WebSocket there, but not Socket.IO: it does not begin with an OPEN"
)

NO_HEARTBEAT = "the server's OPEN has no heartbeat in it: Socket.IO 3 or newer is needed"


ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


class JSON:
    """The standard library's JSON as it is, with one encoder for all packets.

    python-engineio's own bounds what an integer may have of digits, and makes a decoder for that
    with each packet; since Python 3.11 they are bounded anyway.
    """

    loads = staticmethod(json.loads)

    @staticmethod
    def dumps(said: object, **_as_the_encoder_does: object) -> str:
        """Write what a packet holds."""
        return ENCODER.encode(said)


class EnginePacket(engineio.Packet):  # type: ignore[misc]
    """A packet of Engine.IO, with that JSON."""

    json: ClassVar[Any] = JSON


class Packet(socketio.Packet):  # type: ignore[misc]
    """A packet of Socket.IO, with that JSON."""

    json: ClassVar[Any] = JSON


class Message(NamedTuple):
    """An event of the service's, as it came."""

    name: str
    args: tuple[object, ...]


class SocketIOProtocol:
    """One connection, from its first message to its last.

    Args:
        namespace: the namespace to join.
        auth: what joining it sends along.
        max_size: bytes that the attachments of one message may have together.

    Raises:
        InvalidValue: ``auth`` cannot be sent.
    """

    __slots__ = (
        "_max_size",
        "_namespace",
        "_partial",
        "_recovers",
        "_room",
        "_wish",
        "answers",
        "beat",
        "joined",
    )

    def __init__(self, namespace: str, auth: Mapping[str, object], max_size: float) -> None:
        self.answers: list[str] = []
        """Texts to send now, in order; whoever sends them empties it."""
        self.joined = False
        """Whether the server has let us into the namespace."""
        self.beat: float | None = None
        """Seconds within which the server's pings show that it lives, as it says: they may be no
        number, or none that can be meant. None until its OPEN has come."""
        self._namespace = namespace
        wish = _if_readable(self._encode, socketio.CONNECT, data=auth)
        if wish is None:
            raise InvalidValue(NOT_JSON)
        self._wish = wish
        self._max_size = max_size
        self._partial: Packet | None = None
        self._recovers = False
        self._room = 0.0

    def goodbye(self) -> str:
        """What tells a server that its client leaves by itself."""
        return _goodbye(self._namespace)

    def take(self, data: str | bytes) -> tuple[Message | Drop, ...]:
        """What a message of the WebSocket is, beside `answers`: nothing, as a rule.

        It may be two things: a message whose attachments never came is dropped when the next comes.

        Raises:
            EndOfStream: the server closed in order.
            TransportUnreachable: it speaks another protocol, or did not let us in, and may later.
            TransportRefused: it did not let us in.
        """
        if self.beat is not None and data[:1] == MESSAGE:
            assert isinstance(data, str)
            return self._take_message(data[1:])
        # What is raised here may be the outcome's error, which keeps what it was raised from: so
        # nothing is raised where a codec's own error, with the text that it read, is being handled.
        packet = _if_readable(EnginePacket, encoded_packet=data)
        if self.beat is None:
            if packet is None or packet.packet_type != engineio.OPEN:
                raise _another_protocol(NOT_SOCKETIO)
            return self._open(packet.data)
        if packet is not None and packet.packet_type == engineio.MESSAGE:
            return self._take_attachment(cast("bytes", packet.data))  # one of text is taken above
        if packet is None or packet.packet_type not in ASKED_FOR:
            return (Drop.MALFORMED,)
        if packet.packet_type == engineio.CLOSE:
            raise self._end()
        if packet.packet_type == engineio.PING:
            self.answers.append(PONG)
        return ()

    def _open(self, welcome: object) -> tuple[Message | Drop, ...]:
        """Take the server's OPEN, and ask to join."""
        self.beat = _if_readable(_beat_of, welcome)
        if self.beat is None:
            raise _another_protocol(NO_HEARTBEAT)
        self.answers.append(self._wish)
        self._wish = ""  # there may be a token in it, and it is not needed any more
        return ()

    def _take_message(self, text: str) -> tuple[Message | Drop, ...]:
        # What comes now is no attachment, so those that are missing will not come.
        torn = () if self._partial is None else (Drop.MALFORMED,)
        self._partial = None
        packet = _if_readable(_packet_of, text)
        if packet is None:
            return (*torn, Drop.MALFORMED)
        return torn + self._take_packet(packet)

    def _take_packet(self, packet: Packet) -> tuple[Message | Drop, ...]:
        kind = packet.packet_type
        if kind == socketio.CONNECT and not self.joined and not _has_sid(packet.data):
            raise _another_protocol(TOO_OLD)
        if (packet.namespace or "/") != self._namespace:
            return (Drop.UNKNOWN,)
        if kind == socketio.DISCONNECT:
            raise self._end()
        if kind == socketio.CONNECT_ERROR and not self.joined:
            raise refusal(packet.data)
        if kind == socketio.EVENT or (
            kind == socketio.BINARY_EVENT and not packet.attachment_count
        ):
            return self._take_event(packet)
        if kind == socketio.BINARY_EVENT:
            self._partial, self._room = packet, self._max_size
        elif kind == socketio.CONNECT and not self.joined:
            self.joined, self._recovers = True, recovers(packet.data)
        else:  # an ACK that nobody asked for, say
            return (Drop.MALFORMED,)
        return ()

    def _take_attachment(self, data: bytes) -> tuple[Message | Drop, ...]:
        """Keep it, if it is waited for; with the last one the message is whole."""
        packet, self._room = self._partial, self._room - len(data)
        whole = None
        if packet is not None and self._room >= 0:
            whole = _if_readable(packet.add_attachment, data)
        if whole is False:
            return ()
        self._partial = None
        return (Drop.MALFORMED,) if packet is None or whole is None else self._take_event(packet)

    def _take_event(self, packet: Packet) -> tuple[Message | Drop, ...]:
        """An event; if the server waits for word that it has come, there is an answer."""
        if not (isinstance(packet.data, list) and packet.data and isinstance(packet.data[0], str)):
            return (Drop.MALFORMED,)
        if packet.id is not None:
            self.answers.append(self._encode(socketio.ACK, data=[], id=packet.id))
        name, *args = packet.data
        counted = self._recovers and packet.id is None
        return (Message(name, without_offset(args) if counted else tuple(args)),)

    def _end(self) -> Exception:
        """What the server's close is: too early, or in order."""
        if self.joined:
            return EndOfStream()
        return TransportUnreachable(CLOSED_EARLY, ending=Ending.HUNG_UP)

    def _encode(self, kind: int, **content: Any) -> str:
        return _encoded(kind, self._namespace, **content)


def _encoded(kind: int, namespace: str, **content: Any) -> str:
    """A packet as text; none of ours has anything binary in it."""
    return f"{MESSAGE}{Packet(kind, namespace=namespace, binary=False, **content).encode()}"


@lru_cache(16)
def _goodbye(namespace: str) -> str:
    return _encoded(socketio.DISCONNECT, namespace)


def _if_readable(read: Callable[..., Result], *args: object, **named: object) -> Result | None:
    """What the codec makes of it, or None."""
    try:
        return read(*args, **named)
    except UNREADABLE:
        return None


def _packet_of(text: str) -> Packet:
    """A packet of Socket.IO.

    Raises:
        ValueError: one that cannot be read, or with more attachments than are kept.
    """
    packet = Packet(encoded_packet=text)
    if packet.attachment_count > MAX_ATTACHMENTS:
        raise ValueError("too many attachments")
    return packet


def _beat_of(welcome: Any) -> float:
    """Seconds, from an OPEN's milliseconds."""
    return (float(welcome["pingInterval"]) + float(welcome["pingTimeout"])) / 1000


def _has_sid(data: object) -> bool:
    return isinstance(data, dict) and isinstance(data.get("sid"), str)


def _another_protocol(text: str) -> TransportUnreachable:
    return TransportUnreachable(text, ending=Ending.ANOTHER_PROTOCOL)

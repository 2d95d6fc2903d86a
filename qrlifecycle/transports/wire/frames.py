"""WebSocket as a function of bytes: frames in, messages and answers out (RFC 6455).

By `websockets`' `Protocol`, which does no input and output. See `qrlifecycle.transports.wire` for
why, and for what was measured.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from websockets.exceptions import InvalidState, PayloadTooBig
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

from ...errors import TransportError
from ...logs import SILENT
from .endings import BROKEN_RULES, NO_TEXT, another_protocol, closed_with, too_large

__all__ = ["Frames"]

IN_ORDER = frozenset({1000, 1001, 1005})
"""Close codes of an orderly end: done, going away, and none given (RFC 6455, section 7.4.1)."""

UTF8 = codecs.getincrementaldecoder("utf-8")


class Frames:
    """One connection's frames, after the handshake.

    Args:
        max_size: bytes of the largest message.
    """

    __slots__ = (
        "_binary",
        "_max_size",
        "_messages",
        "_part",
        "_protocol",
        "_utf8",
        "ended",
        "failure",
    )

    def __init__(self, max_size: int) -> None:
        self._messages: list[str | bytes] = []  # the next one is the last, to be popped
        self.ended = False
        """Whether nothing more comes."""
        self.failure: TransportError | None = None
        """Why not, unless the peer closed in order."""
        self._max_size = max_size
        self._protocol = Protocol(CLIENT, max_size=max_size, logger=SILENT)
        self._part: bytearray | None = None
        self._utf8: codecs.IncrementalDecoder | None = None
        self._binary = False

    @property
    def waiting(self) -> bool:
        """Whether a message has come that was not taken."""
        return bool(self._messages)

    @property
    def open(self) -> bool:
        """Whether neither side has closed."""
        return self._protocol.state is OPEN

    def next(self) -> str | bytes | None:
        """The next message that came whole, if there is one."""
        return self._messages.pop() if self._messages else None

    def forget(self) -> None:
        """Give no message any more."""
        self._messages.clear()

    def feed(self, data: bytes) -> bytes:
        """Take what came; what has to be sent for it: answers to pings and to a close.

        All that came before must have been taken by `next()`.
        """
        assert not self._messages
        if self.ended:
            return b""
        protocol = self._protocol
        protocol.receive_data(data)
        for frame in protocol.events_received():
            assert isinstance(frame, Frame)
            self._take(frame)
        if protocol.parser_exc is not None and not self.ended:
            # A close among the parts of a message is a close (RFC 6455, section 5.4).
            closed = protocol.close_rcvd is not None
            self._end(self._close() if closed else _meaning(protocol.parser_exc, self._max_size))
        self._messages.reverse()
        return b"".join(protocol.data_to_send())

    def message(self, data: str | bytes) -> bytes:
        """A message, as it is sent; nothing once one of both has closed."""
        try:
            if isinstance(data, str):
                self._protocol.send_text(data.encode())
            else:
                self._protocol.send_binary(data)
        except InvalidState:
            return b""
        return b"".join(self._protocol.data_to_send())

    def ping(self) -> bytes:
        """A ping, as it is sent."""
        try:
            self._protocol.send_ping(b"")
        except InvalidState:
            return b""
        return b"".join(self._protocol.data_to_send())

    def close(self, code: int) -> bytes:
        """A close, as it is sent, unless one was sent already."""
        try:
            self._protocol.send_close(code)
        except InvalidState:
            return b""
        return b"".join(self._protocol.data_to_send())

    def goodbye(self, farewells: Iterable[str]) -> bytes:
        """Messages and a close in order, as they can be sent later, while it is `open` still."""
        last = [Frame(Opcode.TEXT, farewell.encode()) for farewell in farewells]
        last.append(Frame(Opcode.CLOSE, Close(CloseCode.NORMAL_CLOSURE, "").serialize()))
        return b"".join(frame.serialize(mask=True) for frame in last)

    def _take(self, frame: Frame) -> None:
        if self.ended:
            return
        if frame.opcode is Opcode.CLOSE:
            self._end(self._close())
        elif frame.opcode in DATA:
            self._take_data(frame)

    def _close(self) -> TransportError | None:
        """What the peer's close means."""
        close = self._protocol.close_rcvd
        code = 1005 if close is None else int(close.code)
        return None if code in IN_ORDER else closed_with(code)

    def _take_data(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._binary = frame.opcode is Opcode.BINARY
        try:
            if self._part is None and frame.fin:
                data = frame.data
                self._messages.append(bytes(data) if self._binary else str(data, "utf-8"))
            else:
                self._take_part(frame)
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA)
            self._end(another_protocol(NO_TEXT, opening=False))

    def _take_part(self, frame: Frame) -> None:
        """Keep a part. Not in a list: there may be a million, of one byte or none each."""
        if self._part is None:
            self._part = bytearray()
            self._utf8 = None if self._binary else UTF8()
        self._part += frame.data
        if self._utf8 is not None:
            self._utf8.decode(frame.data, frame.fin)  # what is no text is refused with its part
        if frame.fin:
            whole, self._part, self._utf8 = self._part, None, None
            self._messages.append(bytes(whole) if self._binary else whole.decode())

    def _end(self, failure: TransportError | None) -> None:
        self.ended, self.failure = True, failure


DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})


def _meaning(broken: Exception, limit: int) -> TransportError:
    """What the library's parser stopped at."""
    if isinstance(broken, PayloadTooBig):
        return too_large(limit)
    return another_protocol(BROKEN_RULES, opening=False)

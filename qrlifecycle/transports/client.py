"""Python-socketio's client, mended where it deafens itself or takes one thing for another.

Touches ``_handle_eio_message``, ``_binary_packet``, ``_handle_connect``, ``_handle_event`` and
``_send_packet``, which python-socketio does not document. On its own it takes whatever comes next
for an attachment, and keeps doing so after one that raised; a server of Socket.IO 2 for a healthy
one; and an event that a service calls "disconnect" for the end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import socketio
from socketio import packet
from socketio.exceptions import SocketIOError

from ..errors import Ending, TransportError, TransportUnreachable
from .handshake import TOO_OLD, recovers, without_offset
from .socketio.protocol import MAX_ATTACHMENTS
from .wire import endings

__all__ = ["Client", "Packet", "explain"]

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


def explain(error: BaseException) -> TransportError:
    """The typed error for whatever the client raised on connecting; never with its text."""
    if isinstance(error, TransportError):
        error.__context__ = None  # it went through the client's frames, which hold headers
        return error.with_traceback(None)
    chain: BaseException | None = error
    while chain is not None:
        status = getattr(chain, "status", None)
        if isinstance(status, int) and status:
            return endings.refused_by_status(status, "", None)
        if isinstance(chain, OSError) and chain.strerror:
            return TransportUnreachable(
                f"cannot connect: {chain.strerror}", ending=Ending.NOT_CONNECTED
            )
        chain = chain.__cause__ or chain.__context__
    if isinstance(error, SocketIOError):
        return TransportUnreachable("the server does not speak Socket.IO over WebSocket")
    return TransportUnreachable(f"the handshake was malformed ({type(error).__name__})")

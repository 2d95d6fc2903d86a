"""What transports over a WebSocket of ours share: opening, listening, closing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress

from anyio import EndOfStream

from ...errors import Ending, TransportError
from ..messages import Drop
from ..push import PushTransport
from . import endings
from .connection import WebSocketConnection

__all__ = ["WiredTransport"]


class WiredTransport(PushTransport):
    """A transport over a `WebSocketConnection`. No task of its own reads it: `receive()` does.

    Args:
        wire: the connection, which is opened here and by nobody else.
        subject: whom it is for.
    """

    __slots__ = ("_left", "_wire")

    def __init__(self, wire: WebSocketConnection, subject: tuple[str, ...] | None = None) -> None:
        super().__init__(subject)
        self._wire = wire
        self._left = False

    async def open(self) -> None:
        """Connect, greet, and listen; all of it has the heartbeat's time.

        Raises:
            TransportUnreachable: it did not come about; the text and its ``ending`` say why.
            TransportRefused: the server does not accept the credentials.
        """
        failure: TransportError | None = None
        try:
            await self._wire.open(self._greet)
        except EndOfStream:
            failure = endings.closed_before_listening()
        except TransportError as error:
            failure = endings.while_opening(self._lost(error))
        except BaseException:
            self.abort()
            raise
        if self._left:
            failure = endings.abandoned("the transport was closed while it opened")
        if failure is not None:
            self.abort()
            try:
                raise failure
            finally:
                del failure  # its frames, of which this is one, hold it: a circle otherwise

    def close_nowait(self) -> bool:
        """Say goodbye, wait for nobody, and leave nothing but what another task waits with."""
        self._left = True
        self._buffer.close()
        self._wire.frame_goodbye(self._farewells())
        return self._wire.close_nowait()

    async def aclose(self) -> None:
        """The same, and wait for such a task to notice it."""
        self.close_nowait()
        await self._wire.aclose()

    def abort(self) -> None:
        """Reset the connection now."""
        self._left = True
        self._wire.abort()
        with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            self._buffer.close()
        self._sum_up()

    # For subclasses

    async def _greet(self) -> None:
        """Once the WebSocket is open: what is to be said and heard before it listens; nothing.

        It may raise whatever the wire raises, or a `TransportError`: opening fails by it.
        """

    @abstractmethod
    def _read(self, message: str | bytes) -> None:
        """Take a message, by `_take()` and `_end()`, and send what it asks for."""

    def _farewells(self) -> Sequence[str]:
        """What to say before the WebSocket's own close; nothing if it is not open."""
        return ()

    async def _read_next(self) -> None:
        """Wait for a message, and read it, and all that came with it.

        Raises:
            EndOfStream, TransportLost: as `WebSocketConnection.receive`.
        """
        message: str | bytes | None = await self._wire.receive()
        while message is not None:
            self._read(message)
            message = self._wire.receive_nowait()

    async def _hear(self) -> None:
        # Now there is time; who hears of a success waits for the closing, too.
        self._wire.frame_goodbye(self._farewells())
        try:
            await self._read_next()
        except EndOfStream:
            self._end(EndOfStream())
        except TransportError as error:
            if error.ending is Ending.TOO_LARGE:
                self._take(Drop.TOO_LARGE)
            self._end(self._lost(error.with_traceback(None)))

    def _lost(self, error: TransportError) -> TransportError:
        """What the end of the connection means; a subclass may know more of it."""
        return error

"""A TCP socket of ours, with TLS or without: bytes in and out, and nothing between.

It is owned from `socket()` on, so `abort()` shuts whatever there is at any moment, also in the
middle of connecting. anyio says when a socket is ready; it runs on asyncio, uvloop and trio.
"""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import anyio.lowlevel

from ...waiting import wait_for
from ..reset import reset_on_close
from .tls import TLS

__all__ = ["Aborted", "PeerDoesNotRead", "Stream"]

READ = 16 * 1024
"""Bytes taken from the socket at once; others have a turn between two reads. As much as one record
of TLS."""

MORE: int = getattr(socket, "MSG_MORE", 0)
"""To the kernel: wait with this for what comes next. Only Linux has it, and only to save work."""

MAX_OWED = 256 * 1024
"""Bytes that may wait until the peer reads, beside a message that somebody awaits the sending of.
Answers to what it asks: without a bound a peer that asks and does not read has us keep them all."""


class Aborted(Exception):
    """The stream was closed or aborted by our own side meanwhile."""


class PeerDoesNotRead(Exception):
    """More waits to be sent than is kept."""


class Stream:
    """One connection, opened once. Nothing here waits for a peer but what is named so."""

    __slots__ = (
        "_closed",
        "_deaf",
        "_owed",
        "_sockets",
        "_tls",
        "_unsent",
        "_waits",
        "_writable",
        "heard_at",
    )

    def __init__(self) -> None:
        self.heard_at = -math.inf
        """When bytes last came, on the event loop's clock; be they but a part of something."""
        self._sockets: list[socket.socket] = []
        self._closed = False
        self._waits = 0
        self._deaf = False
        self._unsent = bytearray()
        self._owed = 0
        self._tls: TLS | None = None
        self._writable: anyio.Event | None = None

    @property
    def closed(self) -> bool:
        """Whether our side closed or aborted it."""
        return self._closed

    @property
    def awaited(self) -> bool:
        """Whether any task waits for a socket of it: then the last of them closes it."""
        return self._waits > 0

    # Connecting: several sockets may be under way until one of them is the stream's

    def make_socket(self, family: int, kind: int, protocol: int) -> socket.socket:
        """A socket that does not block, and is this stream's to shut from now on."""
        self._require_open()
        made = socket.socket(family, kind, protocol)
        self._sockets.append(made)
        made.setblocking(False)
        with suppress(OSError):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def discard(self, made: socket.socket) -> None:
        """Close one that led nowhere; nobody may wait for it."""
        if made in self._sockets and not self._closed:
            self._sockets.remove(made)
            made.close()

    async def wait(
        self, ready: Callable[[socket.socket], Awaitable[None]], made: socket.socket
    ) -> None:
        """Wait until a socket is ready.

        Raises:
            Aborted: our side closed meanwhile.
        """
        await anyio.lowlevel.checkpoint_if_cancelled()
        self._require_open()
        self._waits += 1
        try:
            await ready(made)
        except anyio.ClosedResourceError:
            pass  # abort() wakes us
        finally:
            self._waits -= 1
            if self._closed and not self._waits:
                self._close_all()
        self._require_open()

    # Bytes

    def write(self, data: bytes, *, awaited: bool = False) -> None:
        """Take bytes to be sent; nothing is handed to the kernel yet.

        Args:
            data: the bytes.
            awaited: whether somebody awaits `drain()` next; if not, they count as owed to the peer.
        """
        before = len(self._unsent)
        if self._tls is None:
            self._unsent += data
        else:
            self._tls.encrypt(data)
            self._unsent += self._tls.outgoing
        if not awaited:
            self._owed += len(self._unsent) - before

    def flush(self, flags: int = 0) -> bool:
        """Hand to the kernel what it takes now; whether that is all.

        That the connection is broken is no error here: the next read says so, after whatever had
        arrived before.

        Args:
            flags: how it is to be sent, for the kernel.
        """
        if self._closed or not self._sockets:
            return False
        try:
            while self._unsent:
                del self._unsent[: self._sockets[0].send(self._unsent, flags)]
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            self._deaf = True
            self._unsent.clear()
        self._owed = 0
        return not self._deaf

    async def drain(self) -> None:
        """Wait until the kernel has taken all of it.

        Raises:
            Aborted: our side closed meanwhile.
            ConnectionError: the peer is gone.
        """
        while not self.flush():
            if self._deaf:
                raise ConnectionResetError
            await self._wait_writable()

    async def read(self) -> bytes:
        """What came, of at most `READ` bytes; `END` at the end. Others have a turn before.

        Raises:
            Aborted: our side closed meanwhile.
            PeerDoesNotRead: it asks, and does not take the answers.
            OSError: it broke.
        """
        while True:
            if self._tls is not None and self._tls.ready:
                await anyio.lowlevel.checkpoint()
            elif self._unsent and not self.flush() and self._unsent:
                if self._owed > MAX_OWED:
                    raise PeerDoesNotRead
                await self._wait_for_either()
            else:
                await self._wait_readable()
            data = self.read_nowait()
            if data is not None:
                return data

    def read_nowait(self) -> bytes | None:
        """What is there now; None if nothing is, and `END` at the end.

        Raises:
            Aborted: our side has closed.
            OSError: it broke.
        """
        self._require_open()
        tls = self._tls
        if tls is None:
            return self._take()
        if not tls.ready:
            if (data := self._take()) is None:
                return None
            tls.feed(data)
        found = tls.decrypt()
        self._unsent += tls.outgoing
        self.flush()
        return found

    def _take(self) -> bytes | None:
        try:
            data = self._sockets[0].recv(READ)
        except (BlockingIOError, InterruptedError):
            return None
        if data:
            self.heard_at = anyio.current_time()
        return data

    async def _wait_readable(self) -> None:
        self._require_open()
        await self.wait(anyio.wait_readable, self._sockets[0])

    async def _wait_writable(self) -> None:
        """Until the kernel takes more. Of several tasks one waits for it, and the others for that.

        Whoever receives waits for this too, while something is unsent: an answer to a ping, say.
        """
        self._require_open()
        if self._writable is not None:
            await wait_for(self._writable)
            return
        self._writable = anyio.Event()
        try:
            await self.wait(anyio.wait_writable, self._sockets[0])
        finally:
            self._writable.set()
            self._writable = None

    async def _wait_for_either(self) -> None:
        """Until there is something to read, or the peer takes what it was owed."""
        self._require_open()
        async with anyio.create_task_group() as tasks:

            async def wait(ready: Callable[[], Awaitable[None]]) -> None:
                with suppress(Aborted):
                    await ready()
                tasks.cancel_scope.cancel()

            tasks.start_soon(wait, self._wait_readable)
            tasks.start_soon(wait, self._wait_writable)

    # TLS

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS from now on.

        Raises:
            ssl.SSLError: the peer does not, or is not trusted.
            Aborted: our side closed meanwhile.
            OSError: it broke.
        """
        tls = self._tls = TLS(context, host)
        done = False
        while not done:
            try:
                done = tls.shake_hands()
            finally:
                self._unsent += tls.outgoing
                self.flush()  # what fails is told why by an alert
            await self.drain()
            if not done:
                while (data := self._take()) is None:
                    await self._wait_readable()
                tls.feed(data)

    # The end

    def close(self) -> None:
        """Close in order: what was written goes out as far as the kernel takes it now."""
        if self._closed:
            return
        if self._sockets:
            if self._tls is not None:
                self._tls.say_goodbye()
                self._unsent += self._tls.outgoing
            # Our last words and the end that follows at once go out together: one segment, of
            # which the peer is woken once.
            self.flush(MORE)
            self._read_rest()
        self._end()

    def abort(self) -> None:
        """Reset: what was not sent is dropped. It may be called from anywhere, and again."""
        for made in self._sockets:
            with suppress(OSError):
                reset_on_close(made)
        self._end()

    async def closed_for_good(self) -> None:
        """Wait until the descriptors are gone: whoever waited for them has been woken."""
        while self.awaited:
            await anyio.lowlevel.checkpoint()

    def _read_rest(self) -> None:
        """Closing with something unread would reset, and the peer might lose our last words."""
        with suppress(OSError):
            for _ in range(4):
                if len(self._sockets[0].recv(READ)) < READ:
                    return

    def _require_open(self) -> None:
        if self._closed:
            raise Aborted

    def _end(self) -> None:
        self._closed = True
        self._unsent.clear()
        for made in self._sockets:
            with suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
            if self._waits:
                with suppress(RuntimeError):  # no event loop here: the shutdown wakes who waits
                    anyio.notify_closing(made)
        # A descriptor is closed when nobody waits for it any more, by whoever waited for it last.
        # Its number would be given to the next socket at once, and a task that is still to wake
        # would take the readiness of a stranger's socket for that of its own, or end its wait.
        if not self._waits:
            self._close_all()

    def _close_all(self) -> None:
        for made in self._sockets:
            made.close()
        self._sockets.clear()

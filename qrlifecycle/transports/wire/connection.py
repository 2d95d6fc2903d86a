"""One WebSocket connection: opened once, read by `receive()`, shut by a plain call."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterable

import anyio
import anyio.lowlevel

from ...errors import TransportError
from ...secrecy import NotPickled, forgetful, shown_half_made
from . import endings
from .address import Address, address_of
from .frames import Frames
from .handshake import upgrade
from .options import WireOptions, check_context
from .proxy import proxy_for
from .reaching import reach
from .stream import Aborted, PeerDoesNotRead, Stream

__all__ = ["WebSocketConnection"]

AT_ONCE = 5.0
"""Seconds after the handshake in which hanging up is an answer to it; what was silent for longer
was cut for that, by a proxy as a rule."""


@shown_half_made
class WebSocketConnection(NotPickled):
    """A WebSocket connection to a server. Nothing is opened yet.

    It shows neither path nor query of its URL, and refuses to be pickled: they may hold a token.

    Args:
        url: ``ws``, ``wss``, or the same as ``http``, ``https``. User and password in it are sent
            as HTTP's Basic. Or what `address_of` has made of one.
        options: how to connect.

    Raises:
        InvalidValue: a URL that no server can have, or an option that cannot be used for it.
    """

    __slots__ = (
        "__weakref__",
        "_asked",
        "_end",
        "_frames",
        "_goodbye",
        "_heard",
        "_heartbeat",
        "_looked",
        "_ping_after",
        "_plan",
        "_stream",
        "_whose",
        "origin",
        "subprotocol",
    )

    @forgetful
    def __init__(self, url: str | Address, options: WireOptions) -> None:
        address = url if isinstance(url, Address) else address_of(url)
        check_context(options.ssl, address)
        self.origin = address.origin
        """The server's scheme, host and port."""
        # What the handshake needs, and secrets in it; both are forgotten with the opening.
        self._plan: tuple[Address, WireOptions] | None = (address, options)
        self.subprotocol: str | None = None
        """The one that the server chose, once it is open."""
        self._stream = Stream()
        self._frames: Frames | None = None
        self._goodbye: bytes | None = None
        self._looked = False
        self._end: Exception | None = None
        self._heartbeat = options.heartbeat
        self._ping_after = options.ping_after
        self._whose = "our heartbeat"
        self._heard = False
        self._asked = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.origin}>"

    @property
    def closed(self) -> bool:
        """Whether our side has closed or aborted it."""
        return self._stream.closed

    @property
    def heartbeat(self) -> float:
        """Seconds without a byte after which the peer counts as dead."""
        return self._heartbeat

    def set_heartbeat(self, seconds: float, whose: str) -> None:
        """Take another heartbeat, such as the server's own; whose number it is, for the text."""
        self._heartbeat, self._whose = seconds, whose

    async def open(self, greet: Callable[[], Awaitable[None]] | None = None) -> None:
        """Connect, through a proxy if there is to be one, speak TLS, and switch to WebSocket.

        All of it has the heartbeat's time. If it fails or is cancelled, nothing is left.

        Args:
            greet: what is to be said and heard then, in the same time.

        Raises:
            TransportUnreachable: it did not come about; the text and its ``ending`` say why.
            TransportRefused: the server answered 401 or 403.
            Exception: what ``greet`` raised.
        """
        failure: TransportError | None = None
        limit, whose = self._heartbeat, self._whose
        try:
            with anyio.move_on_after(limit) as scope:
                failure = await self._try_to_open()
                if failure is None and greet is not None:
                    await greet()
            if scope.cancelled_caught:
                failure = endings.silent(limit, whose, opening=True)
        except BaseException:
            self._stream.abort()
            raise
        if self._stream.closed:
            failure = endings.abandoned("the connection was closed while it opened")
        if failure is not None:
            self._stream.abort()
            raise failure

    async def receive(self) -> str | bytes:
        """The next message, whole. Pings are answered meanwhile. If it is cancelled, none is lost.

        Raises:
            EndOfStream: the peer closed in order (codes 1000, 1001, or none), or our side did.
            TransportLost: it broke; the text and its ``ending`` say how.
        """
        while (message := self.receive_nowait()) is None:
            if (end := self._ended()) is not None:
                raise end
            if self._looked:
                await self._hear()
            else:
                # What has arrived already is taken without a wait: what a server says first comes
                # with its answer to the handshake, and whoever is out of time gets it all the same,
                # for the loop may have been blocked until now. One read, and then none until there
                # was a wait again: else a flood would hold off a cancellation while it lasts.
                self._looked = True
                self._look()
        return message

    def receive_nowait(self) -> str | bytes | None:
        """The next message of those that were read already, or None."""
        return None if self._frames is None else self._frames.next()

    async def wait_until_heard(self) -> None:
        """Ask the server by a ping, and wait until it has said anything since the handshake.

        Some let everybody in, and turn away whom they do not want right after: their close comes
        before the pong.

        Raises:
            EndOfStream, TransportLost: as `receive`, if there is nothing but the end.
        """
        if not self._heard and self._ended() is None:
            self._ask()
        while not self._heard and self._ended() is None:
            await self._hear()
        waiting = self._frames is not None and self._frames.waiting
        if not waiting and (end := self._ended()) is not None:
            raise end

    async def send(self, data: str | bytes) -> None:
        """Send a message, and wait until the kernel has taken it.

        If it is cancelled, the rest of a message of which a part is gone is sent by and by.

        Raises:
            TransportLost: it broke, or the peer does not read within the heartbeat.
        """
        failure: TransportError | None = None
        if not self._put(data, awaited=True):
            failure = endings.over()
        elif not self._stream.flush():
            failure = await self._drain()
        if failure is not None:
            raise failure

    def send_nowait(self, data: str | bytes) -> bool:
        """Hand a message to the kernel, as far as it takes it; whether it took all, now.

        The rest is sent by and by while somebody awaits `receive()`.
        """
        return self._put(data) and self._stream.flush()

    async def aclose(self, code: int = 1000) -> None:
        """Close in order: say so, wait for no peer, and leave nothing."""
        self.close_nowait(code)
        await self._stream.closed_for_good()
        await anyio.lowlevel.checkpoint_if_cancelled()

    def frame_goodbye(self, farewells: Iterable[str] = ()) -> None:
        """Frame what closing says, once: ahead, it is said at once when the time has come.

        Args:
            farewells: messages to send before the close.
        """
        if self._goodbye is None and self._frames is not None:
            self._goodbye = self._frames.goodbye(farewells)

    def close_nowait(self, code: int = 1000) -> bool:
        """The same without waiting; whether nothing is left.

        Not as long as another task waits for the socket: it is woken, and `aclose()` waits for it.

        What is owed goes out before, such as answers to pings, as far as the kernel takes it now;
        and it is handed over at once, for each time that it is costs as much as all else here.

        Args:
            code: the close's own, unless a goodbye was framed.
        """
        frames = self._frames
        if frames is not None and not self._stream.closed:
            if self._goodbye is None or self._end is not None:
                self._stream.write(frames.close(code))
            elif frames.open:
                self._stream.write(self._goodbye)
        self._stream.close()
        self._forget()
        return not self._stream.awaited

    def abort(self) -> None:
        """Reset the connection now, without awaiting: at any moment, from anywhere, again."""
        self._stream.abort()
        self._forget()
        # Why it ended has been raised, in frames that hold us; from now on our own side has closed.
        self._end = None
        if self._frames is not None:
            self._frames.failure = None

    # Opening

    async def _try_to_open(self) -> TransportError | None:
        """Open; what went wrong is the result, so that it is raised where no secret is at hand."""
        plan, self._plan = self._plan, None
        if plan is None or self._stream.closed:
            return endings.abandoned("a connection is opened once; make a fresh one")
        try:
            address, options = plan
            proxy = proxy_for(address, options.proxy)
            await reach(self._stream, address, proxy=proxy, ssl_context=options.ssl)
            self.subprotocol, frames, rest = await upgrade(self._stream, address, options)
        except TransportError as error:
            return error.with_traceback(None)
        except Aborted:
            return endings.abandoned("the connection was closed while it opened")
        except ssl.SSLError as error:
            return endings.broken_tls(error, opening=True)
        except OSError as error:
            return endings.reset(error, opening=True)
        self._frames = frames
        if rest:
            self._take_bytes(rest)
        return None

    # Receiving

    def _ended(self) -> Exception | None:
        """Why nothing more comes, if nothing does."""
        if self._end is not None:
            return self._end.with_traceback(None)
        frames = self._frames
        if self._stream.closed or frames is None or (frames.ended and frames.failure is None):
            return anyio.EndOfStream()
        return frames.failure.with_traceback(None) if frames.failure is not None else None

    async def _hear(self) -> None:
        """Wait for bytes, and take them in; ask, or give up, when none come."""
        wait = self._heartbeat
        if self._ping_after is not None and not self._asked:
            wait = min(wait, self._ping_after)
        data: bytes | TransportError | None = None
        with anyio.CancelScope(deadline=self._stream.heard_at + wait) as scope:
            try:
                data = await self._stream.read()
            except (Aborted, PeerDoesNotRead, OSError) as error:
                data = _meaning(error)
        if not scope.cancelled_caught:
            self._looked = False
        # The deadline may be long over, if nobody received meanwhile, or the machine slept; and
        # what came may be but a part of something.
        elif self._look() or self._stream.closed or self._heard_within(wait):
            return
        elif wait < self._heartbeat:
            self._ask()
            return
        else:
            data = endings.silent(self._heartbeat, self._whose, opening=False)
        self._take(data)

    def _heard_within(self, seconds: float) -> bool:
        return self._stream.heard_at + seconds > anyio.current_time()

    def _look(self) -> bool:
        """Take in what has arrived, without waiting; whether anything has."""
        data: bytes | TransportError | None
        try:
            data = self._stream.read_nowait()
        except (Aborted, OSError) as error:
            data = _meaning(error)
        self._take(data)
        return data is not None

    def _take(self, data: bytes | TransportError | None) -> None:
        """Take in bytes, the end, which is none, or what broke."""
        if isinstance(data, TransportError):
            self._end = data
        elif data == b"":
            at_once = not self._heard and self._heard_within(AT_ONCE)
            self._end = endings.hung_up(at_once=at_once)
        elif data is not None:
            self._take_bytes(data)

    def _take_bytes(self, data: bytes) -> None:
        assert self._frames is not None
        self._heard, self._asked = True, False
        if answer := self._frames.feed(data):
            self._stream.write(answer)
            self._stream.flush()

    def _ask(self) -> None:
        assert self._frames is not None
        self._asked = True
        self._stream.write(self._frames.ping())
        self._stream.flush()

    # Sending

    def _put(self, data: str | bytes, *, awaited: bool = False) -> bool:
        """Frame a message; whether it can still be sent."""
        if self._frames is None or self._stream.closed or self._end is not None:
            return False
        framed = self._frames.message(data)
        self._stream.write(framed, awaited=awaited)
        return bool(framed)

    async def _drain(self) -> TransportError | None:
        try:
            with anyio.move_on_after(self._heartbeat) as scope:
                await self._stream.drain()
        except Aborted:
            return endings.over()
        except OSError as error:
            return endings.reset(error, opening=False)
        return endings.not_reading() if scope.cancelled_caught else None

    def _forget(self) -> None:
        """No message is given any more."""
        if self._frames is not None:
            self._frames.forget()


def _meaning(error: Exception) -> TransportError | None:
    """What broke a connection that was open; nothing if our own side did."""
    if isinstance(error, Aborted):
        return None
    if isinstance(error, PeerDoesNotRead):
        return endings.not_reading()
    if isinstance(error, ssl.SSLError):
        return endings.broken_tls(error, opening=False)
    assert isinstance(error, OSError)
    return endings.reset(error, opening=False)

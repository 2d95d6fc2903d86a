"""What a transport must do, as an ABC and eight numbered clauses.

A transport is one opening: made, opened, closed, thrown away. The lifecycle makes a fresh one each
time, owns it before it awaits anything on it, and ends it with `close_nowait()`, or else `aclose()`
under a deadline, followed by `abort()`, whatever happened. The contract:

T1
    After a cancelled or failed `open()`, `abort()` leaves nothing open. A cancelled `open()`,
    `receive()` or `aclose()` lets the cancellation out.
T2
    When `abort()` has returned, the socket is shut and the peer sees it; tasks and descriptors of
    the transport are gone when `aclose()` ends, or `close_nowait()` says that they are.
T3
    `aclose()` and `abort()` any number of times, in any order, before `open()` or after the peer's
    close, are fine.
T4
    After either, no signal is delivered and a waiting `receive()` ends.
T5
    A dead peer becomes an error within the heartbeat, never an endless wait; a quiet one that lives
    does not.
T6
    Malformed input becomes nothing or the typed error, never another exception.
T7
    Each signal comes out of `receive()` once, in order: also one that arrives while `open()` is
    still under way, or of which half, or all, had come when a `receive()` was cancelled.
T8
    A flood of valid messages shuts out no cancellation: however fast they come, others have a turn
    at least with each read (64 KiB), and whoever receives one signal after another can be cancelled
    by a scope, by a deadline and natively. `SignalBuffer` keeps this; `qrlifecycle.waiting` says
    why a wait of one's own may not. Nor does any call keep the event loop's own thread waiting.

**What comes too late.** Once the lifecycle has begun to close a transport, it asks `receive()` no
more. A signal that arrives then, during the graceful close, is seen by nobody but the transport,
which forgets it (T4); nor need it count it. If it was a success, only a read of the status finds
it: after a reconnect, or by the next `request_qr`. `dropped` is read once, after `abort()`, so of
messages that meant nothing also those count that came during the close.

`check_transport` in `qrlifecycle.testing` checks all of it on any transport.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, ClassVar, Self

from anyio import EndOfStream

from ..secrecy import NotPickled
from ..signals import Signal

__all__ = ["Transport", "TransportFactory"]


class Transport(NotPickled, ABC):
    """One opening of a way to hear signals. See the module for the clauses T1 to T8."""

    __slots__ = ("__weakref__",)

    holds_socket: ClassVar[bool] = True
    """Whether there is a socket while it is open. Without one, none is logged or recorded."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse an ``abort()`` or a ``close_nowait()`` that would have to be awaited.

        Raises:
            TypeError: one of them is an async function.
        """
        super().__init_subclass__(**options)
        for name, plain in (("abort", cls.abort), ("close_nowait", cls.close_nowait)):
            if iscoroutinefunction(plain):
                said = f"{cls.__name__}.{name}() must be a plain function, not an async one"
                raise TypeError(said)
        if "aclose" in vars(cls) and "close_nowait" not in vars(cls):
            # Another way to close: what an ancestor does at once is not all of it any more.
            cls.close_nowait = Transport.close_nowait  # type: ignore[method-assign]

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many messages of the wire became no signal, by cause; none unless overridden.

        It is read once, after `abort()`, and added to the lifecycle's own `dropped`.
        """
        return {}

    @property
    def subject(self) -> tuple[str, ...] | None:
        """Whom the socket is for, in a record: a bot and a user, say; None unless overridden.

        An `Audit` raises an alert when two sockets are open for one. No secret belongs in it.
        """
        return None

    @property
    def shared(self) -> str | None:
        """The identifier of the shared socket that it is a share of; None unless overridden.

        It is asked before `open()`. Whoever owns that socket tells of it, in the log and in
        records: of a share the log says nothing above DEBUG, and no figure counts it as a socket.
        """
        return None

    @abstractmethod
    async def open(self) -> None:
        """Do the handshake; return when listening.

        Raises:
            TransportUnreachable: nobody answered, or not in this protocol.
            TransportRefused: turned away for good.
        """

    @abstractmethod
    async def receive(self) -> Signal:
        """The next signal, in the order of arrival.

        It may be cancelled at any await, and called again: nothing that came is lost by that, nor
        half of a message.

        Raises:
            EndOfStream: the peer closed in order, or this transport was closed.
            TransportLost: the connection broke, or the peer is silent past the heartbeat.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close gracefully, and leave nothing. It must not wait for a healthy peer's answer.

        The lifecycle cancels it after ``policy.close_timeout`` seconds, and calls `abort()` next in
        any case.
        """

    def close_nowait(self) -> bool:
        """Close as `aclose()` does, if that takes no waiting; whether nothing is left.

        The lifecycle tries this first, and needs no `aclose()` if it says so: what waits for
        nothing needs no deadline and cannot be interrupted. Not unless overridden, and not where
        only `aclose()` is. After a False, `aclose()` does it, or the rest.
        """
        return False

    @abstractmethod
    def abort(self) -> None:
        """Shut the socket now, without awaiting: at any moment, also in the middle of the others.

        The trusted base: what it leaves open nobody else can close. It should raise nothing.
        """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Signal:
        try:
            return await self.receive()
        except EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            self.abort()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.aclose()
        finally:
            self.abort()


TransportFactory = Callable[[], Transport]
"""What a lifecycle is given: a plain function, called once for each opening."""

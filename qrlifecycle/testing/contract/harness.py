"""The harness that checks call a transport in: each call has a deadline, each breach its line.

A check reads like the clause it is about; what a call may do to whoever makes it (hang, raise what
it must not, leave something open) is dealt with here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from inspect import iscoroutine
from math import isinf
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from ...errors import WrongAnswer
from ...signals import Signal
from ...transports.base import Transport
from ..leaks import KIT
from ..loop_warnings import loop_exceptions
from .breaches import (
    MEANING,
    ClauseBroken,
    call_hangs,
    call_raised,
    call_went_on,
    gave_another,
    haste,
    heartbeat_question,
    making_raised,
    must_not_raise,
    no_signal_came,
    something_left,
    still_connected,
)
from .operation import Operation
from .peer import CannotCheck, Peer
from .transport_lines import TransportLine, place_of_method

__all__ = ["LAST_SECONDS", "Harness", "open_harness"]

LATE = 2.0
"""Seconds that a deadline may be missed by: the machine may be busy."""

LAST_TURNS = 100
"""Turns of the event loop in which what was asked to end has to be gone; two or three are the rule.
After them it has `LAST_SECONDS`."""

LAST_SECONDS = 0.2

DEED_PATIENCES = 2
"""How many times as long as a call a peer may take that is asked to do something."""


class Harness:
    """One check's transports and their peer. Made by `open_harness()`."""

    def __init__(self, peer: Peer, tasks: TaskGroup, limit: float) -> None:
        self.peer = peer
        self.limit = limit
        """Seconds that a call has which depends on no peer's silence."""
        self.silence = peer.heartbeat + LATE
        """Seconds within which a call must have noticed a peer's silence."""
        self.patience = limit if isinf(self.silence) else max(limit, self.silence)
        """Seconds that a call has which may have to notice a peer's silence."""
        self.loop_errors: list[dict[str, Any]] = []
        """What asyncio's exception handler was called with."""
        self._tasks = tasks
        self._transports: list[Transport] = []
        self._operations: list[Operation] = []

    def make(self) -> Transport:
        """A fresh transport.

        Raises:
            WrongAnswer: the peer made something else.
            ClauseBroken: its constructor raised, with what it raised as the cause.
        """
        try:
            made: object = self.peer.make()
        except Exception as error:
            raise making_raised(error) from error
        if not isinstance(made, Transport):
            if iscoroutine(made):
                made.close()
            kind = type(made).__name__
            raise WrongAnswer(f"what makes the transports returned {kind}, which is no Transport")
        self._transports.append(made)
        return made

    async def opened(self) -> Transport:
        """A fresh transport that is open, as its peer knows."""
        transport = self.make()
        await self.call(transport, "open")
        await self.wait_until_connected(transport)
        return transport

    async def wait_until_connected(self, transport: Transport) -> None:
        """The peer knows that this one is open."""
        if not await self.soon(self.peer.wait_until_connected):
            raise ClauseBroken(
                "open() returned, but nobody had connected to the peer.",
                mend=f"{place_of_method(transport, 'open')} must return when listening.",
            )

    def start(self, transport: Transport, method: str, **options: Any) -> Operation:
        """Begin a call; the options are those of `Operation`."""
        operation = Operation(transport, method, **options)
        self._operations.append(operation)
        self._tasks.start_soon(operation.run, name=KIT)
        return operation

    async def instruct(self, deed: Callable[..., Awaitable[object]], *details: object) -> None:
        """Have the peer do something, in time; what it raises comes out.

        Raises:
            CannotCheck: the peer does not come to an end with it.
        """
        limit = DEED_PATIENCES * self.patience
        if not await self.soon(partial(deed, *details), limit):
            name = getattr(deed, "__name__", "deed")
            raise CannotCheck(f"the peer's {name}() did not end within {limit:g} s")

    async def end(
        self, operation: Operation, limit: float | None = None, *, mend: str = ""
    ) -> Operation:
        """Wait until a call has ended, in whatever way; its time is limited.

        A ``limit`` is for a call that may have to notice a peer's silence; ``mend`` is what else
        may be wrong if it does not end, where that is known better than to ask for the heartbeat.
        """
        seconds = self.limit if limit is None else limit
        if not await self.soon(operation.done.wait, seconds):
            breach = await self.overdue(operation, f"did not end within {seconds:g} s")
            question = "" if mend or limit is None else heartbeat_question(self.peer)
            breach.mend = " ".join(filter(None, (breach.mend, mend or question)))
            raise breach
        if operation.stubborn:
            raise call_went_on(operation, operation.place)
        return operation

    async def overdue(self, operation: Operation, how: str, mend: str = "") -> ClauseBroken:
        """A call should have ended; it is ended now."""
        place, was_cancelled = operation.where(), operation.delivered
        await self._rescue(operation)
        if was_cancelled:
            return call_went_on(operation, place)
        return call_hangs(operation, place, how, mend)

    def waits(self) -> str:
        """Which calls have not ended, and where they wait."""
        running = [one for one in self._operations if not one.done.is_set()]
        places = [f"{one} at {place}" if (place := one.where()) else str(one) for one in running]
        return ", ".join(places) or "the peer"

    async def call(self, transport: Transport, method: str, limit: float | None = None) -> Any:
        """Make a call that must return."""
        operation = await self.end(self.start(transport, method), limit)
        if not operation.returned:
            doubt = haste(operation, self.peer)
            raise call_raised(operation, f"It must not raise here{doubt}.")
        return operation.result

    async def call_for(
        self,
        transport: Transport,
        method: str,
        *allowed: type[Exception],
        limit: float | None = None,
        mend: str = "",
    ) -> Operation:
        """Make a call that must raise one of these; ``mend`` is what it must do if it hangs."""
        operation = await self.end(self.start(transport, method), limit, mend=mend)
        names = " or ".join(kind.__name__ for kind in allowed)
        if operation.returned:
            given = f" {operation.result!r}" if isinstance(operation.result, Signal) else ""
            raise ClauseBroken(
                f"{operation} returned{given}, instead of raising {names}.",
                mend=f"{place_of_method(transport, method)} must raise {names} here.",
            )
        self.require(operation, *allowed)
        return operation

    def require(self, operation: Operation, *allowed: type[Exception], mend: str = "") -> None:
        """Whatever a call raised must be one of these; if not, ``mend`` is what it must do."""
        if operation.error is not None and not isinstance(operation.error, allowed):
            names = " or ".join(kind.__name__ for kind in allowed)
            raise call_raised(operation, mend or f"It must raise {names} here.")

    def abort(self, transport: Transport) -> None:
        """Abort; it must not raise."""
        with must_not_raise(transport, "abort", "is the last resort: never raise."):
            transport.abort()

    def close_nowait(self, transport: Transport) -> bool:
        """Close without waiting, if it can; whether it says that nothing is left."""
        with must_not_raise(transport, "close_nowait", "may come at any time."):
            return transport.close_nowait()

    async def take(self, transport: Transport, *steps: str) -> None:
        """Close, abort, or both, in order."""
        for step in steps:
            if step == "abort":
                self.abort(transport)
            elif step == "close_nowait":
                self.close_nowait(transport)
            else:
                await self.call(transport, "aclose")

    async def finish(self, transport: Transport) -> None:
        """Close and abort, as everybody does at the end; judge nothing but that."""
        await self.take(transport, "aclose", "abort")

    @contextmanager
    def beside(self, *functions: Callable[[], Awaitable[object]]) -> Iterator[None]:
        """Run these meanwhile, in tasks of their own."""
        scopes = [anyio.CancelScope() for _ in functions]

        async def run(function: Callable[[], Awaitable[object]], scope: anyio.CancelScope) -> None:
            with scope:
                await function()

        for function, scope in zip(functions, scopes, strict=True):
            self._tasks.start_soon(run, function, scope, name=KIT)
        try:
            yield
        finally:
            for scope in scopes:
                scope.cancel()

    async def soon(self, wait: Callable[[], Awaitable[object]], limit: float | None = None) -> bool:
        """Whether a wait ends in time."""
        with anyio.move_on_after(self.limit if limit is None else limit):
            await wait()
            return True
        return False

    async def first(self, *waits: Callable[[], Awaitable[object]]) -> None:
        """Wait until one of these ends, or the time is up."""
        with anyio.move_on_after(self.patience):
            async with anyio.create_task_group() as tasks:

                async def run(wait: Callable[[], Awaitable[object]]) -> None:
                    await wait()
                    tasks.cancel_scope.cancel()

                for wait in waits:
                    tasks.start_soon(run, wait, name=KIT)

    async def nothing_left(
        self,
        transport: Transport,
        happened: str,
        place: TransportLine | None = None,
        *,
        by: tuple[str, ...],
    ) -> None:
        """Nothing of the transport's is left, now or in a few turns, and the peer sees the end."""
        for _ in range(LAST_TURNS):
            if not self.peer.leftovers():
                break
            await anyio.lowlevel.checkpoint()
        else:
            await anyio.sleep(LAST_SECONDS)
        self.nothing_left_now(transport, happened, place, by=by)
        await self.peer_sees_the_end(transport, happened, place, by=by)

    def nothing_left_now(
        self,
        transport: Transport,
        happened: str,
        place: TransportLine | None = None,
        *,
        by: tuple[str, ...],
    ) -> None:
        """At this very moment, nothing of the transport's is left."""
        if left := tuple(self.peer.leftovers()):
            raise something_left(transport, happened, left, place, by)

    async def peer_sees_the_end(
        self,
        transport: Transport,
        happened: str,
        place: TransportLine | None = None,
        *,
        by: tuple[str, ...],
    ) -> None:
        """The peer has no connection any more, or will not in a moment."""
        if not await self.soon(self.peer.wait_until_gone):
            raise still_connected(transport, happened, place, by)

    async def receive(self, transport: Transport, *wanted: Signal, mend: str = "") -> None:
        """These signals must come, in this order; if not, ``mend`` is what is to be done."""
        for signal in wanted:
            await self.give(self.start(transport, "receive"), signal, mend)

    async def give(self, receiving: Operation, signal: Signal, mend: str = "") -> None:
        """This call of `receive()` must give this signal; if not, ``mend`` is to be done."""
        doubt = f" {self.peer.doubt}" if self.peer.doubt else ""
        await self.end(receiving, self.patience, mend=f"Or mend {MEANING}.{doubt}")
        if not receiving.returned:
            raise no_signal_came(receiving, signal, doubt, mend)
        if receiving.result != signal:
            place = place_of_method(receiving.transport, "receive")
            raise ClauseBroken(
                f"{gave_another(receiving.result, signal)}.",
                mend=(mend or f"Mend {place}, or {MEANING}.") + doubt,
            )

    async def discard(self, *transports: Transport) -> None:
        """Abort and close; how is not judged."""
        for transport in transports:
            with suppress(Exception):
                transport.abort()
        for transport in transports:
            closing = self.start(transport, "aclose")
            await self.soon(closing.done.wait, LAST_SECONDS)
            closing.cancel()

    async def clean_up(self) -> None:
        """End whatever still runs, shut whatever is open: nothing is left to the next check."""
        for operation in self._operations:
            operation.cancel()
        await self.discard(*self._transports)
        self.peer.drop()
        for operation in self._operations:
            operation.give_up()
            await self.soon(operation.done.wait, LATE)
            operation.error = operation.cancellation = None

    async def _rescue(self, operation: Operation) -> None:
        """End a call that hangs: by cancelling it, or else by taking away what it waits for."""
        with suppress(Exception):
            operation.transport.abort()
        operation.cancel()
        if not await self.soon(operation.done.wait, LAST_SECONDS):
            self.peer.drop()


@asynccontextmanager
async def open_harness(peer: Peer, limit: float) -> AsyncIterator[Harness]:
    """A harness for one check; what the check leaves behind is cleaned up."""
    with loop_exceptions() as loop_errors:
        async with anyio.create_task_group() as tasks:
            harness = Harness(peer, tasks, limit)
            harness.loop_errors = loop_errors
            try:
                yield harness
            finally:
                with anyio.CancelScope(shield=True):
                    await harness.clean_up()
                tasks.cancel_scope.cancel()

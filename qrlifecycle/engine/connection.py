"""The connection to the peer while a code is displayed: one transport, and after it another.

`receive()` gives the next signal and reconnects inside, as ``async for`` over a reconnecting client
does: whoever asks need not know that there were two transports. It knows no signal's meaning.

The order of lines matters in three places, and each has its reason there: a transport is owned
before anything is awaited on it; the old one is gone before the next is made; and `abort()` comes
last, whatever happened before it.

Whether another is made, and when, `reconnects` knows; a final status check does not reconnect. All
the while the deadlines go on, and the earlier one ends the waiting too.
"""

from __future__ import annotations

import logging
import time
from typing import cast

import anyio
import anyio.lowlevel
from anyio import EndOfStream

from ..calling import has_names_only, is_of_the_call
from ..errors import (
    Ending,
    InvalidValue,
    QRLifecycleError,
    TransportError,
    TransportLost,
    TransportUnreachable,
    UsageError,
    WrongAnswer,
)
from ..logs import error_once, logger, warn_shared
from ..policy import Policy
from ..records import Closed, Closing, Opened, Opening, Polling
from ..signals import Signal
from ..states import INITIAL_PHASE, NEXT_PHASE, Phase, Region, Step
from ..transports.base import Transport, TransportFactory
from ..waiting import sleep_for
from .failures import cause_of
from .observers import Observers
from .reconnects import Reconnects, ending_of
from .user_code import (
    close_coroutine,
    describe,
    fault_of,
    native_cancellations,
    place_of,
    raise_swallowed,
    warn_if_it_blocked,
)

__all__ = ["LISTENS", "Connection"]

LISTENS = "connected for QR display"
"""What the log says of a transport that has come to listen."""

TURN_AFTER = 1000
"""Signals after which whoever else is there has a turn: some milliseconds' worth. No pairing has as
many.

A transport that breaks T8 returns again and again without ever having waited: no other task would
run, and no timer, so nobody could be cancelled and no deadline would pass. A full checkpoint lets
both in. Not before each signal: it is a turn of the event loop, in which a success that stands
behind a "scanned" would be late, or be cut off in a final status check, whose scope may be
cancelled from the beginning. And before a signal is taken, not after: then nothing is in hand that
could be lost.
"""


LAST_TURNS = 20
"""Turns of the event loop from a socket that is readable to a signal: one if the transport reads it
in `receive()`, some ten if a client library does in tasks of its own.

A success that arrived while the event loop was blocked, or in the very instant of the deadline,
would be lost otherwise: timers that ran out meanwhile run in the same turn in which it is read.
"""


class NoSignal(QRLifecycleError, TypeError):
    """What a transport's `receive()` gave back is of another kind; its text names that kind."""


class Connection:
    """One transport after another, for one displayed code.

    Args:
        factory: makes each transport.
        policy: deadlines, and the delays and the budget of reconnecting.
        observers: told of the socket, and of what each transport dropped.
    """

    __slots__ = (
        "_broke",
        "_factory",
        "_level",
        "_observers",
        "_policy",
        "_received",
        "_reconnects",
        "phase",
        "transport",
    )

    def __init__(self, factory: TransportFactory, policy: Policy, observers: Observers) -> None:
        self.phase = INITIAL_PHASE[Region.TRANSPORT]
        """Where the transport is."""
        self.transport: Transport | None = None
        """The one that is held, from before its opening until it is gone."""
        self._factory = factory
        self._policy = policy
        self._observers = observers
        self._reconnects = Reconnects(policy)
        self._broke: Exception | None = None
        """What the transport that is held broke by, until that is gone."""
        self._received = 0
        self._level = logging.INFO
        """At which the log tells of the newest transport: of a shared socket its owner tells."""

    @property
    def ever_listened(self) -> bool:
        """Whether any transport came to listen."""
        return self._reconnects.ever_listened

    @property
    def last_failure(self) -> TransportUnreachable | None:
        """What the newest transport that ended had ended by, if any has."""
        return self._reconnects.last_failure

    @property
    def listens(self) -> bool:
        """Whether a transport is open and, as far as is known, has not broken."""
        return self.phase is Phase.LISTENING and self._broke is None

    async def receive(self, *, reconnect: bool = True) -> Signal | None:
        """The next signal; None each time a transport has come to listen.

        Args:
            reconnect: whether another transport is made when one that listens breaks; if not, it
                is when the next signal is asked for.

        Raises:
            Exception: what the connection is given up for: the last transport's error, or whatever
                the factory raised.
        """
        while True:
            if not self.listens:
                await self._make()
            transport = self.transport
            assert transport is not None
            try:
                if self.phase is not Phase.LISTENING:
                    await self._open(transport)
                    return None
                self._received += 1
                if self._received % TURN_AFTER == 0:
                    await anyio.lowlevel.checkpoint()
                signal: object = await transport.receive()
                if isinstance(signal, Signal):
                    self._reconnects.let_in = True
                    return signal
                raise NoSignal(
                    f"{type(transport).__name__}.receive() gave back {type(signal).__name__}, "
                    "which is no Signal"
                )
            except EndOfStream:
                text = "the peer closed the connection"
                fault: Exception = TransportLost(text, ending=Ending.CLOSED)
            except BaseException as error:
                fault = self._fault(error)
            try:
                if isinstance(fault, UsageError):
                    raise fault
                self._broke = fault
                if not reconnect:
                    raise fault
            finally:
                del fault  # see `reraise`

    async def catch_up(self) -> None:
        """Let a transport that listens get to know what is in the kernel's buffer already."""
        if self.phase is Phase.LISTENING:
            for _ in range(LAST_TURNS):
                await anyio.lowlevel.checkpoint()

    async def close(self) -> None:
        """Close the transport that is held, if any: gracefully for a while, then by force."""
        if (transport := self.transport) is None:
            return
        if self.phase is not Phase.CLOSING:  # unless an interrupt ended a closing halfway
            self.phase = NEXT_PHASE[self.phase, Step.CLOSE]
        how, cancellations = Closing.FORCED, native_cancellations()
        try:
            # What closes without waiting needs neither shield nor deadline, and nothing can break
            # into it; without what they cost, a success is known sooner.
            answer: object = transport.close_nowait()
            if answer is True:
                how = Closing.GRACEFUL
                return
            close_coroutine(answer)
            # The shield keeps the caller's cancellation waiting: it is what closes, as a rule. A
            # task that is cancelled natively breaks through; then abort() alone has to do.
            with anyio.move_on_after(self._policy.close_timeout, shield=True):
                await transport.aclose()
                how = Closing.GRACEFUL
        except BaseException as error:
            fault = fault_of(error)
            logger.debug("the transport's graceful close failed: %s", type(fault).__name__)
        finally:
            self._abort(transport, how)
            if transport.holds_socket:
                logger.log(self._level, "transport closed")
        raise_swallowed(cancellations)

    def abandon(self) -> None:
        """Abort what is held, if anything, where nothing may be awaited any more."""
        if self.transport is not None:
            if self.phase is not Phase.CLOSING:
                self.phase = NEXT_PHASE[self.phase, Step.CLOSE]
            self._abort(self.transport, Closing.FORCED)

    async def _make(self) -> None:
        """Have the factory make a transport, when none is held any more and the delay is over."""
        if self._broke is not None:
            await self._close_to_reconnect()
        # An opening may have been interrupted by a deadline that was then put off.
        await self.close()
        # Leaving may have begun meanwhile; then there must be no socket any more, not even briefly.
        await anyio.lowlevel.checkpoint_if_cancelled()
        if (delay := self._reconnects.due_in) > 0:
            if self.phase is not Phase.WAITING:  # unless an earlier wait was interrupted likewise
                self.phase = NEXT_PHASE[self.phase, Step.WAIT]
            await sleep_for(delay)
        began = time.monotonic()
        try:
            made: object = self._factory()
        except BaseException as error:
            fault = fault_of(error)
            if isinstance(fault, TypeError) and is_of_the_call(fault):
                fault = WrongAnswer(f"the transport factory cannot be called: {fault}")
            elif has_names_only(fault):
                text = f"in the transport factory a call does not fit: {fault}{place_of(fault)}"
                fault = WrongAnswer(text)
            if not isinstance(fault, UsageError):
                error_once("the transport factory raised %s", describe(fault))
            raise fault from None
        finally:
            warn_if_it_blocked("the transport factory", began)
        if not isinstance(made, Transport):
            close_coroutine(made)
            kind = type(made).__name__
            raise WrongAnswer(f"the transport factory gave back {kind}, which is no Transport")
        # Owned before anything is awaited on it: from here on whatever happens ends in close().
        self.phase = NEXT_PHASE[self.phase, Step.MAKE]
        self.transport = made
        self._reconnects.made()

    async def _open(self, transport: Transport) -> None:
        """Open the transport that was made."""
        about, recording = self._observers.about, self._observers.recording
        about.subject, limit = _subject_of(transport), self._policy.open_timeout
        shared = _shared_of(transport)
        self._level = logging.INFO if shared is None else logging.DEBUG
        if transport.holds_socket:
            logger.log(self._level, "connecting for QR display")
            if recording is not None:
                recording.record(Opening, about.subject, shared)
        with anyio.move_on_after(limit):
            await transport.open()
            # In the same breath: a deadline that strikes now still finds it listening.
            self.phase = NEXT_PHASE[self.phase, Step.OPENED]
            self._reconnects.listens()
        if self.phase is not Phase.LISTENING:
            raise TransportUnreachable(
                f"the transport did not open within {limit:g} s", ending=Ending.SILENT
            )
        if transport.holds_socket:
            logger.log(self._level, LISTENS)
        if recording is not None:
            recording.record(Opened if transport.holds_socket else Polling)

    async def _close_to_reconnect(self) -> None:
        """Close what broke, and lay down when the next transport may be made.

        Raises:
            Exception: what it broke by, if there is to be no next one.
        """
        error = self._broke
        assert error is not None
        broke_at = anyio.current_time()
        await self.close()
        if not self._reconnects.spend(error, broke_at):
            try:
                raise self._reconnects.given_up_for(error)
            finally:
                del error  # see `reraise`
        delay = self._reconnects.delay(error)
        # Leaving may have begun meanwhile: then there is no reconnecting, and no word of it.
        await anyio.lowlevel.checkpoint_if_cancelled()
        cause = cause_of(error)
        if self._level == logging.INFO:
            warn_shared("%s; reconnecting in %.1f s", cause, delay, alike=cause)
        else:
            logger.debug("%s; reconnecting in %.1f s", cause, delay)

    def _fault(self, error: BaseException) -> Exception:
        """What a transport raised, if it is the peer's or the transport's doing."""
        try:
            fault = fault_of(error)
        finally:
            del error  # see `reraise`
        if not isinstance(fault, TransportError | UsageError):
            error_once("the transport broke its contract: it raised %s", describe(fault))
        elif isinstance(fault, InvalidValue) and self.phase is Phase.LISTENING:
            # Made of what came over the wire, so it is no mistake of the program's.
            error_once("the transport broke its contract: it raised %s", describe(fault))
            return TransportLost(f"what came could not be read: {fault}")
        return fault

    def _abort(self, transport: Transport, how: Closing) -> None:
        """Shut the socket; a transport that cannot even do that must not keep us from going on."""
        try:
            if (answer := cast("object", transport.abort())) is not None:
                close_coroutine(answer)
                raise TypeError("abort() must be a plain function that gives back nothing")
        except BaseException as error:
            how = Closing.BROKEN
            fault = fault_of(error)
            error_once("the transport broke its contract: abort() raised %s", describe(fault))
        finally:
            ending = ending_of(self._broke)
            self.transport = self._broke = None
            self.phase = NEXT_PHASE[self.phase, Step.CLOSED]
            recording = self._observers.recording
            if recording is not None and transport.holds_socket:
                recording.record(Closed, how, ending)
        try:
            if dropped := transport.dropped:
                self._observers.count(dropped)
        except BaseException as error:
            fault = fault_of(error)
            error_once("the transport broke its contract: dropped raised %s", describe(fault))


def _subject_of(transport: Transport) -> tuple[str, ...] | None:
    """Whom the socket is for. It is for log and record only: nobody is worse off without it."""
    try:
        subject = transport.subject
        return None if subject is None else tuple(subject)
    except BaseException as error:
        error_once("the transport broke its contract: subject raised %s", describe(fault_of(error)))
        return None


def _shared_of(transport: Transport) -> str | None:
    """Which socket it is a share of, likewise."""
    try:
        shared = transport.shared
        return None if shared is None else str(shared)
    except BaseException as error:
        error_once("the transport broke its contract: shared raised %s", describe(fault_of(error)))
        return None

"""The link to the peer while a code is displayed: one transport at a time, and after it another.

The old transport is gone before the next is made. Waits between openings grow, and a link that
flaps uses them up as one that never opens does. This room must never know what a signal means, nor
why the link is held.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Mapping

import anyio
import anyio.lowlevel
from anyio import EndOfStream

from .backoff import Backoff
from .errors import (
    TransportError,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
    UsageError,
    WrongAnswer,
)
from .policy import Policy
from .records import Closed, Closing, Opened, Opening, Reporter
from .signals import Signal
from .transports.base import Transport, TransportFactory
from .watchers import describe

__all__ = ["Link"]

Take = Callable[[Signal], bool]
"""Is given each signal, and says whether to go on."""

TURN_AFTER = 1000
"""Signals over one transport after which others have a turn: some milliseconds' worth, and more
than any pairing has."""

logger = logging.getLogger("qrlifecycle")


class Link:
    """Holds the transport of one displayed code.

    Args:
        factory: makes each transport.
        policy: deadlines, and the waits and the budget of openings.
        count: told what each transport dropped, once it is gone.
        reporter: told when a transport is made, when it listens, and when it is gone.
    """

    __slots__ = (
        "_backoff",
        "_breaks",
        "_count",
        "_factory",
        "_opened_at",
        "_policy",
        "_reporter",
        "ever_opened",
        "listening",
        "transport",
    )

    def __init__(
        self,
        factory: TransportFactory,
        policy: Policy,
        count: Callable[[Mapping[str, int]], None],
        reporter: Reporter | None = None,
    ) -> None:
        self.transport: Transport | None = None
        """The one that is held, from before its opening until it is gone."""
        self._factory = factory
        self._policy = policy
        self._count = count
        self._reporter = reporter
        self._backoff = Backoff(policy.reopen_wait, policy.reopen_wait_max)
        self._breaks = 0
        self._opened_at: float | None = None
        self.ever_opened = False
        """Whether any transport came to listen."""
        self.listening = False
        """Whether one listens, and is not being closed."""

    async def hold(self, listening: Callable[[], bool], take: Take) -> Exception | None:
        """Open, say so, hand over each signal; and again whenever the link breaks.

        Args:
            listening: called when a transport listens; says whether to go on.
            take: see `Take`.

        Returns:
            The error that the link was given up for; None if there was to be no more.
        """
        while True:
            error = None
            if not self.listening:
                error = await self._open()
                if error is None and not listening():
                    return None
            if error is None:
                error = await self.listen(take)
            if error is None:
                return None
            broke_at = anyio.current_time()
            await self.close()
            if not self._may_open_anew(error, broke_at):
                return error
            wait = self._backoff.next()
            logger.warning("%s; opening anew in %.1f s", _describe(error), wait)
            await anyio.sleep(wait)

    async def listen(self, take: Take) -> Exception | None:
        """Hand over each signal; what broke the link is the answer, None if nothing did."""
        assert self.transport is not None
        try:
            for heard in itertools.count(1):
                if not take(await self.transport.receive()):
                    break
                # A transport that breaks T8 returns again and again without ever having waited: no
                # other task would run, and no timer, so nobody could be cancelled and no deadline
                # pass. A full checkpoint lets both in. Not after each signal: it is a turn of the
                # event loop, in which a success that stands behind a "scanned" would be late, or
                # be cut off in a last look, whose scope is cancelled from the beginning.
                if heard % TURN_AFTER == 0:
                    await anyio.lowlevel.checkpoint()
        except EndOfStream:
            return TransportLost("the peer closed the connection")
        except (Exception, GeneratorExit) as error:
            return self._sort(error)
        return None

    async def close(self) -> None:
        """A bounded polite goodbye, then the door is shut by force."""
        if (transport := self.transport) is None:
            return
        self.listening = False
        how = Closing.FORCED
        try:
            with anyio.move_on_after(self._policy.close_timeout, shield=True):
                await transport.aclose()
                how = Closing.POLITE
        except Exception as error:
            logger.debug("the transport's goodbye failed: %s", type(error).__name__)
        finally:
            self._abort(transport, how)
            logger.info("transport closed")

    async def _open(self) -> Exception | None:
        """Make a transport and open it; what went wrong is the answer, None if nothing did."""
        await self.close()  # an opening may have been interrupted
        await anyio.lowlevel.checkpoint_if_cancelled()  # leaving may have begun meanwhile
        self._opened_at = None
        made: object = self._factory()
        if not isinstance(made, Transport):
            kind = type(made).__name__
            raise WrongAnswer(f"the transport factory gave back {kind}, which is no Transport")
        self.transport = made  # owned before anything is awaited on it
        logger.info("connecting for QR display")
        limit = self._policy.open_timeout
        try:
            if self._reporter is not None:
                subject = made.subject
                self._reporter.report(Opening, None if subject is None else tuple(subject))
            with anyio.move_on_after(limit):
                await made.open()
                self._opened_at = anyio.current_time()
                self.listening = self.ever_opened = True
        except (Exception, GeneratorExit) as error:
            return self._sort(error)
        if self._opened_at is None:
            return TransportUnreachable(f"the transport did not open within {limit:g} s")
        logger.info("connected for QR display")
        if self._reporter is not None:
            self._reporter.report(Opened)
        return None

    def _sort(self, error: Exception | GeneratorExit) -> Exception:
        """What a transport raised, if it is the peer's or the transport's doing."""
        if isinstance(error, GeneratorExit) and self.transport is not None:
            # Nothing may be awaited any more: close() would be late.
            self._abort(self.transport, Closing.FORCED)
        if isinstance(error, GeneratorExit | UsageError):
            raise error
        if not isinstance(error, TransportError):
            logger.error("the transport broke its contract: it raised %s", describe(error))
        return error

    def _abort(self, transport: Transport, how: Closing) -> None:
        """Shut the door; a transport that cannot even do that must not keep us from going on."""
        try:
            transport.abort()
            self._count(transport.dropped)
        except Exception as error:
            how = Closing.BROKEN
            logger.error("the transport broke its contract: abort() raised %s", describe(error))
        finally:
            self.transport = None
            if self._reporter is not None:
                self._reporter.report(Closed, how)

    def _may_open_anew(self, error: Exception, broke_at: float) -> bool:
        if isinstance(error, TransportRefused):
            return False
        held = -math.inf if self._opened_at is None else broke_at - self._opened_at
        if held >= self._policy.reopen_wait_max:
            self._breaks = 0
            self._backoff.reset()
        self._breaks += 1
        return self._breaks <= self._policy.reopenings


def _describe(error: Exception) -> str:
    """What happened to the link; the text of our own errors only: it holds no secret."""
    return str(error) if isinstance(error, TransportError) else type(error).__name__

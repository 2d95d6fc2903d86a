"""Before anything is checked: that a transport opens at all, and that a signal comes through.

Where none does, every check would say so in words of its own.
"""

from __future__ import annotations

import anyio

from ...errors import UnsupportedBackend
from ...transports.base import Transport
from .breaches import ClauseBroken, call_raised
from .check import LIMIT, PeerFactory, run_with_peer
from .harness import Harness
from .peer import CannotCheck, Unfinished
from .transport_lines import place_of_method

__all__ = ["smoke_test"]

OURS = Transport.__module__.partition(".")[0]
"""The package whose classes nobody mends who uses them."""


INTERVAL = 0.05
"""Seconds between two looks at the clock. What is late by less is a busy loop, no blocked one."""


class Standstill:
    """How long the event loop did nothing, at its longest; await `watch()` beside what may block.

    A call that blocks keeps the peer from its part, so that nobody seems to have connected.
    """

    def __init__(self) -> None:
        self._longest = 0.0
        self._due = anyio.current_time() + INTERVAL

    async def watch(self) -> None:
        """Look at the clock again and again."""
        while True:
            await anyio.sleep(INTERVAL)
            self._note()
            self._due = anyio.current_time() + INTERVAL

    def in_words(self) -> str:
        """What to say of it; empty if it is not worth a word."""
        self._note()
        if self._longest < INTERVAL:
            return ""
        return (
            f"the event loop stood still for {self._longest:.2g} s, and the peer with it: open() "
            "blocks it, or this machine is busy"
        )

    def _note(self) -> None:
        self._longest = max(self._longest, anyio.current_time() - self._due)


async def smoke_test(peer_factory: PeerFactory, *, limit: float = LIMIT) -> None:
    """Open one transport, receive one signal, and close it; how it closes is not judged.

    Args:
        peer_factory: makes a fresh peer, which makes the transport.
        limit: seconds for a call that does not depend on a peer's silence.

    Raises:
        WrongAnswer: ``peer_factory`` makes no peer.
        CannotCheck: the transport did not open, or gave no signal; it says what went wrong on whose
            side.
        UnsupportedBackend: the transport is for another event loop.
        BaseException: what the peer, or the making of a transport, raised.
    """
    await run_with_peer(peer_factory, limit, _come_together_or_say_why)


async def _come_together_or_say_why(harness: Harness) -> None:
    standstill = Standstill()
    try:
        with harness.beside(standstill.watch):
            await _come_together(harness)
    except Unfinished as error:
        raise CannotCheck(f"nothing can be checked: {error}") from error
    except ClauseBroken as breach:
        if breach.__cause__ is not None:  # the making of a transport: it says best what is wrong
            raise breach.__cause__ from None
        trouble = harness.peer.trouble() or _unreached(harness, standstill)
        raise CannotCheck(
            f"nothing can be checked: {breach.happened} "
            + (f"On the peer's side, {trouble}." if trouble else breach.mend)
        ) from None


def _unreached(harness: Harness, standstill: Standstill) -> str:
    """In words, that nobody came as far as the peer, which may have had no turn to let one in."""
    unreached = harness.peer.unreached()
    return "; ".join(filter(None, (standstill.in_words(), unreached))) if unreached else ""


async def _come_together(harness: Harness) -> None:
    transport = harness.make()
    opening = harness.start(transport, "open")
    await harness.end(
        opening, harness.patience, mend="Or mend the peer's greet, or give more time: limit=."
    )
    if isinstance(opening.error, UnsupportedBackend):
        raise opening.error  # it says best what to do
    if not opening.returned:
        breach = call_raised(opening, "")
        breach.mend = _what_to_mend(transport)
        raise breach
    await harness.wait_until_connected(transport)
    signal = harness.peer.signals[0]
    await harness.instruct(harness.peer.send, signal)
    await harness.receive(transport, signal)


def _what_to_mend(transport: Transport) -> str:
    """Where an opening fails that must not: of a class of ours, nobody is to mend the source."""
    if type(transport).__module__.startswith(f"{OURS}."):
        return (
            "Mend what the transport is given, or what the peer is told: the greeting= that it "
            "says, or the welcome= that it waits for. It must not raise here."
        )
    place = place_of_method(transport, "open")
    return f"Mend {place}, or the peer's greet: it must not raise here."

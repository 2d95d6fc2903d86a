"""Before anything is checked: that a transport opens at all, and that a signal comes through.

Where none does, every check would say so in words of its own.
"""

from __future__ import annotations

from ...errors import UnsupportedBackend
from ...transports.base import Transport
from .check import LIMIT, PeerFactory, run_with_peer
from .harness import Harness
from .operation import ClauseBroken
from .peer import CannotCheck, Unfinished
from .transport_lines import place_of_method

__all__ = ["smoke_test"]

OURS = Transport.__module__.partition(".")[0]
"""The package whose classes nobody mends who uses them."""


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
    try:
        await _come_together(harness)
    except Unfinished as error:
        raise CannotCheck(f"nothing can be checked: {error}") from error
    except ClauseBroken as breach:
        trouble = harness.peer.trouble() or harness.peer.unreached()
        raise CannotCheck(
            f"nothing can be checked: {breach.happened} "
            + (f"On the peer's side, {trouble}." if trouble else breach.mend)
        ) from None


async def _come_together(harness: Harness) -> None:
    transport = harness.make()
    opening = harness.start(transport, "open")
    await harness.end(
        opening, harness.patience, mend="Or mend the peer's greet, or give more time: limit=."
    )
    if isinstance(opening.error, UnsupportedBackend):
        raise opening.error  # it says best what to do
    if not opening.returned:
        breach = harness.raised(opening, "")
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

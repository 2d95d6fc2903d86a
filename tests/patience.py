"""How long tests wait, which judges nothing but ends what hangs; and clocks to judge time on.

Whether a call is quick, or a deadline is kept, is judged on a virtual clock or by counting: how
busy the machine is decides nothing.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from trio.testing import MockClock

from qrlifecycle.testing import VirtualClockEventLoop

__all__ = ["HANGS", "PROCESS_HANGS", "patient_clock"]

HANGS = 30.0
"""Seconds after which a test gives up on what happens at once, or never. A Socket.IO client that
was told nothing else gives up on its server later."""

PROCESS_HANGS = 300.0
"""Seconds after which a test gives up on a process."""

A_MOMENT = 0.03
"""Seconds in which the system passes on what one socket of this process sends to another."""


def patient_clock(backend: str) -> tuple[str, dict[str, Any]]:
    """An ``anyio_backend`` on a virtual clock that gives real sockets a moment before it jumps.

    Both ends of the sockets must live in the same event loop: of a thread or a process beside it,
    this clock knows nothing.
    """
    if backend == "asyncio":
        loop = partial(VirtualClockEventLoop, autojump_threshold=A_MOMENT)
        return "asyncio", {"loop_factory": loop}
    return "trio", {"clock": MockClock(autojump_threshold=A_MOMENT)}

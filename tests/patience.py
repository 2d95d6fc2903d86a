"""How long tests wait, which judges nothing but ends what hangs; and clocks to judge time on.

Whether a call is quick, or a deadline is kept, is judged on a virtual clock or by counting: how
busy the machine is decides nothing.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from trio.abc import Instrument
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


A_STEP = 0.00001
"""Seconds, virtual ones, that each step takes: what is never at rest must come to its deadline."""


class PatientLoop(VirtualClockEventLoop):
    """asyncio's loop on a clock that waits for sockets."""

    def __init__(self) -> None:
        super().__init__(autojump_threshold=A_MOMENT)
        self.before_each_step = partial(self.jump, A_STEP)


class Steps(Instrument):
    """Lets each step of trio's take its time."""

    def __init__(self, clock: MockClock) -> None:
        self._clock = clock

    def before_task_step(self, task: object) -> None:
        """A task runs a little."""
        self._clock.jump(A_STEP)


def patient_clock(backend: str) -> tuple[str, dict[str, Any]]:
    """An ``anyio_backend`` on a virtual clock that gives real sockets a moment before it jumps.

    Both ends of the sockets must live in the same event loop: of a thread or a process beside it,
    this clock knows nothing.
    """
    if backend == "asyncio":
        return "asyncio", {"loop_factory": PatientLoop}
    clock = MockClock(autojump_threshold=A_MOMENT)
    return "trio", {"clock": clock, "instruments": [Steps(clock)]}

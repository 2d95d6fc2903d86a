"""Clause T8, as a check: no call keeps the event loop's own thread waiting.

A check's docstring is its fact. It finds nothing, or raises `ClauseBroken`; `CannotDo` skips it.

**How busy the machine is does not matter.** A thread that is made to wait gives up its processor by
itself; one that others crowd out does not, and the kernel counts the two apart. So a step of a
call, from one of its waits to the next, counts as blocking if the thread gave up its processor in
it and was off it for long, and if that was so each time that it was tried: a module that has to be
read from a disk is read once.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import anyio

from ...transports.base import Transport
from ..awaiting import Watched
from .breaches import ClauseBroken, call_raised
from .check import Check, listing
from .harness import Harness
from .peer import CannotDo
from .transport_lines import TransportLine, place_on_stack

__all__ = ["CHECKS"]

resource: Any = import_module("resource") if find_spec("resource") else None
"""Windows has none."""

COUNTED = hasattr(resource, "RUSAGE_THREAD")
"""Whether the system counts what one thread waits for: Linux does."""

CHECKS: list[Check] = []

check = listing(CHECKS)

TRIES = 3

LONG = 0.1
"""Seconds that count: what asyncio's debug mode finds worth a word (`slow_callback_duration`)."""

QUIET = 0.2
"""Seconds for which nothing comes, so that there is something to wait for."""

LOOKS = 0.01
"""Seconds between two looks at where the thread is."""

METHODS = ("open", "receive", "aclose")


class _Steps:
    """Watches the steps of one call.

    Attributes:
        longest: seconds for which the thread was made to wait in one of them, at the longest.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = _waited_so_far()

    async def watch(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Make the call."""
        self._began = _waited_so_far()
        try:
            return await Watched(call(), waits=self._end, raised=self._begin)
        finally:
            self._end(0)

    def _begin(self, _error: object) -> None:
        self._began = _waited_so_far()

    def _end(self, _count: int) -> None:
        seconds, waits = _waited_so_far()
        if waits > self._began[1]:
            self.longest = max(self.longest, seconds - self._began[0])


def _waited_so_far() -> tuple[float, int]:
    """For how long this thread has not run, and how often it gave up its processor by itself."""
    gave_up = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    return time.monotonic() - time.thread_time(), gave_up


@contextmanager
def _looked_at(transport: Transport) -> Iterator[Counter[TransportLine]]:
    """At which lines of the transport's this thread is found, and how often."""
    found: Counter[TransportLine] = Counter()
    watched, over = threading.get_ident(), threading.Event()

    def look() -> None:
        while not over.wait(LOOKS):
            if place := place_on_stack(transport, sys._current_frames()[watched]):  # noqa: SLF001
                found[place] += 1

    thread = threading.Thread(target=look, name="qrlifecycle-testing", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


@check("T8")
async def nothing_blocks_the_event_loop(harness: Harness) -> None:
    """No call keeps the event loop's own thread waiting: others have their turn meanwhile."""
    if not COUNTED:
        raise CannotDo("this system does not count what one thread waits for")
    shortest: dict[str, float] = dict.fromkeys(METHODS, float("inf"))
    place: TransportLine | None = None
    for _ in range(TRIES):
        transport = harness.make()
        with _looked_at(transport) as found:
            for method, seconds in (await _waits(harness, transport)).items():
                shortest[method] = min(shortest[method], seconds)
        if max(shortest.values()) < LONG:
            return
        place = max(found, key=found.__getitem__, default=None)
    method, seconds = max(shortest.items(), key=lambda one: one[1])
    where = f"at {place} " if place is not None else ""
    raise ClauseBroken(
        f"{method}() kept the event loop waiting {where}for {seconds:.2g} s, each time.",
        place=place,
        mend="Await what takes its time; what cannot be awaited belongs in a thread: "
        "anyio.to_thread.run_sync().",
    )


async def _waits(harness: Harness, transport: Transport) -> dict[str, float]:
    """Open, receive and close; for how many seconds the thread was made to wait in each."""
    found = {}
    for method in METHODS:
        steps = _Steps()
        operation = harness.start(transport, method, calls=steps.watch)
        if method == "receive":
            await anyio.sleep(QUIET)  # what asks the kernel and not the loop waits only for nothing
            await harness.peer.send(harness.peer.signals[0])
        await harness.end(operation, harness.patience)
        if not operation.returned:
            raise call_raised(operation, "It must not raise here.")
        if method == "open":
            await harness.wait_until_connected(transport)
        found[method] = steps.longest
    harness.abort(transport)
    return found

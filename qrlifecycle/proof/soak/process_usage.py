"""What a process has at a quiet moment: descriptors, tasks, memory; and whether it grew."""

from __future__ import annotations

import asyncio
import functools
import gc
import heapq
import os
from abc import ABCMeta
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ProcessUsage", "resident_bytes"]

STATM = Path("/proc/self/statm")
DESCRIPTORS = Path("/proc/self/fd")

SETTLING = 0.05
"""Seconds in which tasks that have been cancelled end, and the event loop forgets them."""

OBJECTS_SLACK = 1_000
"""Objects that count as nothing: what is made once, when something rare happens at last."""

CACHE = type(functools.lru_cache(len))
"""What `functools.lru_cache` makes."""

MEMORY_SLACK = 16 * 1024 * 1024
"""Bytes that count as nothing: the allocator keeps what it once had."""


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """One measurement. Where the system does not say which descriptors there are, -1."""

    descriptors: int
    tasks: int
    objects: int
    resident: int

    @classmethod
    async def take(cls) -> ProcessUsage:
        """Measure, once everything had time to end and garbage is collected."""
        await asyncio.sleep(SETTLING)
        _empty_caches()
        _drop_cancelled_timers()
        for _ in range(3):  # what a finalizer sets free is found by the next
            gc.collect()
        return cls(
            descriptors=_descriptors(),
            tasks=len(asyncio.all_tasks()),
            objects=len(gc.get_objects()),
            resident=resident_bytes(),
        )

    def growth_since(self, before: ProcessUsage) -> Iterator[str]:
        """What is more than it was, in words."""
        if self.descriptors > before.descriptors:
            yield f"{self.descriptors} file descriptors, {before.descriptors} at the beginning"
        if self.tasks > before.tasks:
            yield f"{self.tasks} tasks, {before.tasks} at the beginning"
        if self.objects > before.objects + OBJECTS_SLACK:
            yield f"{self.objects} objects, {before.objects} at the beginning"
        if self.resident > before.resident + MEMORY_SLACK:
            yield f"{self.resident} bytes of memory, {before.resident} at the beginning"

    def __str__(self) -> str:
        return (
            f"{self.descriptors} descriptors, {self.tasks} tasks, {self.objects} objects, "
            f"{self.resident / 2**20:.1f} MiB"
        )


def _descriptors() -> int:
    return len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.exists() else -1


def _empty_caches() -> None:
    """Empty what grows with what was met, up to a bound.

    Aiohttp keeps the last thousand servers in a `functools.lru_cache`, and each ABC the classes
    that it was asked about.
    """
    for thing in gc.get_objects():
        if isinstance(thing, CACHE):
            thing.cache_clear()
        elif isinstance(thing, ABCMeta):
            thing._abc_caches_clear()  # type: ignore[attr-defined] # noqa: SLF001


def _drop_cancelled_timers() -> None:
    """Do what asyncio does once there are more: it keeps a hundred timers that were cancelled.

    Each keeps its context, and this may keep all that a server of the past ever made.
    """
    loop: Any = asyncio.get_running_loop()
    cancelled = [timer for timer in getattr(loop, "_scheduled", ()) if timer.cancelled()]
    for timer in cancelled:
        loop._scheduled.remove(timer)  # noqa: SLF001 - there is no other way
        timer._scheduled = False  # noqa: SLF001
    if cancelled:
        heapq.heapify(loop._scheduled)  # noqa: SLF001
        loop._timer_cancelled_count = 0  # noqa: SLF001


def resident_bytes() -> int:
    """Bytes of memory that the process has now; elsewhere than on Linux, at most so far."""
    try:
        pages = int(STATM.read_text().split()[1])
    except OSError:
        import resource  # noqa: PLC0415 - there is none on Windows

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")

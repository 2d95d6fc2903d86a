"""Sockets of one subject that were open at one time in several processes, as a journal tells.

Whether a process lives is not in its journal. So an opening says nothing of what another process
left open, which may be gone with it; a closing does: what is closed in the end was open all along,
and so was still open as somebody else's was opened.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from ...records import Closed, Opening

__all__ = ["CLOCKS_DIFFER", "AcrossProcesses"]

CLOCKS_DIFFER = 1.0
"""Seconds by which two sockets must overlap: machines' clocks are not quite alike."""

MOST_HELD = 100_000
"""Sockets that are followed at once; of those of processes that died nobody tells an end."""

MOST_OTHERS = 100
"""Openings that are counted for one socket."""


@dataclass(slots=True)
class _Held:
    """The newest socket of a lifecycle, and when others of its subject were opened elsewhere."""

    process: str
    subject: tuple[str, ...]
    others: list[float]


class AcrossProcesses:
    """Follows the newest socket of each lifecycle that has a subject."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._of: dict[tuple[str, ...], list[_Held]] = {}

    def opened(self, record: Opening) -> None:
        """Another one is open, from now on."""
        self.forget(record.lifecycle)
        if record.subject is None:
            return
        if len(self._held) >= MOST_HELD:
            self.forget(next(iter(self._held)))
        held = _Held(record.process, record.subject, [])
        beside = self._of.setdefault(record.subject, [])
        for other in beside:
            if other.process != held.process and len(other.others) < MOST_OTHERS:
                other.others.append(record.wall)
        self._held[record.lifecycle] = held
        beside.append(held)

    def closed(self, record: Closed) -> int:
        """It is gone; how many of other processes were opened while it was open."""
        held = self.forget(record.lifecycle)
        if held is None:
            return 0
        return sum(record.wall - opened > CLOCKS_DIFFER for opened in held.others)

    def forget(self, lifecycle: str) -> _Held | None:
        """What a lifecycle holds is not followed any more."""
        held = self._held.pop(lifecycle, None)
        if held is not None:
            beside = self._of[held.subject]
            beside[:] = [other for other in beside if other is not held]
            if not beside:
                del self._of[held.subject]
        return held

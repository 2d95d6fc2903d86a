"""What an audit has counted, as plain figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...secrecy import shown_half_made

__all__ = ["Durations", "Figures"]


@shown_half_made
@dataclass(frozen=True, slots=True)
class Durations:
    """How long something took: how often it was measured, the sum and the longest, in seconds."""

    count: int = 0
    total: float = 0.0
    longest: float = 0.0

    @property
    def mean(self) -> float:
        """The mean in seconds; 0 if nothing was measured."""
        return self.total / self.count if self.count else 0.0

    def with_one_of(self, seconds: float) -> Durations:
        """These and one more."""
        return Durations(self.count + 1, self.total + seconds, max(self.longest, seconds))


@shown_half_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was counted so far."""

    sockets_open: int
    """Now."""
    sockets_most: int
    """At once."""
    socket_seconds: float
    """All sockets together, those that are open now included."""
    shares_open: int
    """Now: displayed codes that have a share of a shared socket, which is one socket for all."""
    leases_held: int
    """Now, by attempts that are known to run."""
    leases_awaited: int
    """Attempts that wait for their lease now."""
    openings: int
    closings: Mapping[str, int]
    """By how the socket was closed: see `Closing`."""
    attempts: int
    """Begun."""
    codes: int
    """Handed out to be shown."""
    outcomes: Mapping[str, int]
    """Attempts that ended: ``connected``, or the reason of the failure."""
    found_by_status: int
    """Successes that a read of the status found before the transport reported them."""
    dropped: Mapping[str, int]
    """Messages, signals and answers that were ignored, by cause."""
    success_to_closed: Durations
    """From the success signal until the socket was closed."""
    scan_to_success: Durations
    """From the scan to the success, where the service reports both."""
    alerts: Mapping[str, int]
    """Raised, by kind."""
    unfinished: int
    """Attempts without a known end: they run, or their process died, or lines are missing."""

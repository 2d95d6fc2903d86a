"""What the judge noted of each socket, and what of it is two sockets of one user at once.

All times are of CLOCK_MONOTONIC, which is one for all processes of a machine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from math import inf
from typing import Any

__all__ = ["Overlaps", "Socket", "overlaps"]


@dataclass(slots=True)
class Socket:
    """One, as the judge saw it."""

    user: str
    token: int
    """The lease's; 0 where there was no lease."""
    process: str
    """Of which replica."""
    made: float
    """When its client made the transport: with the process, what identifies it."""
    opened: float
    closed: float | None = None
    fenced: bool = False
    """Whether the judge closed it, for a greater token."""

    def to_json(self) -> dict[str, Any]:
        """For a pipe."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Pairs of sockets of one user that were open at once, at the judge."""

    true: int
    """Both clients held their transport at one instant."""
    late: int
    """One client had let go before the other began: the judge was late, as with an opening that
    was given up and still stood in its queue."""
    longest: float
    """Seconds that the longest true one lasted, at the judge."""


def overlaps(sockets: Iterable[Socket], gone: Mapping[tuple[str, float], float]) -> Overlaps:
    """Count them.

    Args:
        sockets: all that the judge ever saw.
        gone: when each transport was gone at its client, by process and `Socket.made`; whatever
            is not in it is still there.
    """
    by_user: dict[str, list[Socket]] = defaultdict(list)
    for socket in sockets:
        by_user[socket.user].append(socket)
    true, late, longest = 0, 0, 0.0
    for of_user in by_user.values():
        for one, other in combinations(sorted(of_user, key=lambda socket: socket.opened), 2):
            closed = inf if one.closed is None else one.closed
            if other.opened >= closed:
                continue
            first, second = sorted((one, other), key=lambda socket: socket.made)
            if gone.get((first.process, first.made), inf) <= second.made:
                late += 1
            else:
                true += 1
                ended = min(closed, inf if other.closed is None else other.closed)
                longest = max(longest, ended - other.opened)
    return Overlaps(true, late, longest)

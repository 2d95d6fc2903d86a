"""What a faulty proxy does to one connection, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["AT_ONCE", "ConnectionPlan", "ProxyFault"]


class ProxyFault(Enum):
    """What goes wrong with one connection."""

    NONE = auto()
    REFUSE = auto()
    """It is reset at once."""
    STALL = auto()
    """It never gets to the server, and nothing comes back."""
    BABBLE = auto()
    """It never gets to the server, and garbage comes back."""
    BABBLE_LATER = auto()
    RESET_LATER = auto()
    END_LATER = auto()
    """Both sides are closed in order."""
    SILENCE_LATER = auto()
    """Nothing is passed on any more, and nothing is closed."""


AT_ONCE = (ProxyFault.REFUSE, ProxyFault.STALL, ProxyFault.BABBLE)
"""Faults of a connection that never gets to the server."""


@dataclass(frozen=True, slots=True)
class ConnectionPlan:
    """What happens to one connection.

    Args:
        fault: what goes wrong.
        after: seconds from its being accepted to a fault that comes later.
        delay: seconds by which what either side sends arrives late, in its order.
        garbage: what a proxy that babbles says to the client.
    """

    fault: ProxyFault = ProxyFault.NONE
    after: float = 0.0
    delay: float = 0.0
    garbage: bytes = b""

"""What a lifecycle can be: five states.

This room knows nothing of how one state becomes another; that is the table's.
"""

from __future__ import annotations

from .words import Word

__all__ = ["State"]


class State(Word):
    """Where a lifecycle stands."""

    IDLE = "idle", "Nothing is under way and nothing is open."
    GENERATING = "generating", "The service has been asked for a code; no socket is open."
    DISPLAYED = "displayed", "A code is on screen and the transport is open: exactly here."
    CONNECTED = "connected", "The account is linked; the transport is gone."
    FAILED = "failed", "The attempt ended without a link; the transport is gone."

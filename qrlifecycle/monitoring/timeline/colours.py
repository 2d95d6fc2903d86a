"""The colours of a timeline: the diagram's. This room must never know what is drawn in them."""

from __future__ import annotations

from ...diagram import (
    ARROWS,
    INK,
    PAPER,
    UNLIT,
    Colours,
    Role,
    roles,
)
from ...states import State

__all__ = ["FAINT", "INK", "OUTSIDE", "PAPER", "QUIET", "SOCKET", "STATES"]

STATES: dict[State, Colours] = {state: UNLIT[role] for state, role in roles().items()}

SOCKET = UNLIT[Role.SOCKET].border
OUTSIDE = ARROWS[Role.FAILURE]
QUIET = UNLIT[Role.ORDINARY].border
FAINT = UNLIT[Role.ORDINARY].fill

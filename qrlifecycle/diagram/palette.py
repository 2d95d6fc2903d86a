"""What a state means in a picture, and the colours that say so; each keeps WCAG AA."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ["ARROWS", "INK", "LEGEND", "LIT", "PAPER", "UNLIT", "Colours", "Role"]


class Role(StrEnum):
    """What a state means in the picture."""

    ORDINARY = "ordinary"
    SOCKET = "socket"
    SUCCESS = "success"
    FAILURE = "failure"


LEGEND = {
    Role.SOCKET: "the socket is open",
    Role.SUCCESS: "ended in success",
    Role.FAILURE: "ended in failure",
}


class Colours(NamedTuple):
    """The colours of one box; text on fill keeps the contrast that WCAG AA asks for."""

    fill: str
    border: str
    text: str


PAPER = "#FFFFFF"
"""The ground of a picture, and of a region inside a state."""

INK = "#1E293B"
"""What is written on paper, but for the labels of arrows."""

UNLIT = {
    Role.ORDINARY: Colours("#F1F5F9", "#64748B", INK),
    Role.SOCKET: Colours("#DBEAFE", "#2563EB", "#1E3A8A"),
    Role.SUCCESS: Colours("#DCFCE7", "#16A34A", "#14532D"),
    Role.FAILURE: Colours("#FEE2E2", "#DC2626", "#7F1D1D"),
}
LIT = {
    Role.ORDINARY: Colours("#334155", "#0F172A", PAPER),
    Role.SOCKET: Colours("#1D4ED8", "#172554", PAPER),
    Role.SUCCESS: Colours("#15803D", "#052E16", PAPER),
    Role.FAILURE: Colours("#B91C1C", "#450A0A", PAPER),
}
ARROWS = {
    Role.ORDINARY: "#475569",
    Role.SOCKET: "#1D4ED8",
    Role.SUCCESS: "#166534",
    Role.FAILURE: "#B91C1C",
}
"""An arrow and its label have the colour of the target."""

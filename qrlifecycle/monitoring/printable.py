"""Foreign text, made safe for a terminal."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str, longest: int | None = None) -> str:
    """The text without control characters, cut after ``longest`` characters if that is given."""
    shown = "".join(c if c.isprintable() else "?" for c in text[:longest])
    return shown if longest is None or len(text) <= longest else f"{shown}…"

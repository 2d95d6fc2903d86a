"""What somebody else said, made fit for a terminal. This room must never know who said it."""

from __future__ import annotations

__all__ = ["printable"]


def printable(said: str, longest: int | None = None) -> str:
    """Without anything that moves a cursor, and cut after so many characters if that is wanted."""
    shown = "".join(c if c.isprintable() else "?" for c in said[:longest])
    return shown if longest is None or len(said) <= longest else f"{shown}…"

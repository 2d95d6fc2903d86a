"""What somebody else said, made fit for a terminal. This room must never know who said it."""

from __future__ import annotations

__all__ = ["printable"]

LONGEST = 200
"""Characters of the longest thing that is repeated."""


def printable(said: str) -> str:
    """Without anything that moves a cursor, and not without end."""
    shown = "".join(c if c.isprintable() else "?" for c in said[:LONGEST])
    return shown + ("…" if len(said) > LONGEST else "")

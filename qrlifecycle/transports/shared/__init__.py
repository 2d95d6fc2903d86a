"""One socket for many displayed codes."""

from .hub import SharedSocket

__all__ = ["SharedSocket"]

"""How a command line that cannot be used is answered. This room must never know why it cannot."""

from __future__ import annotations

import sys
from contextlib import suppress

from ..monitoring.printable import printable

__all__ = ["USAGE", "complain"]

USAGE = 2
"""The exit code when the command line, or something it names, cannot be used."""


def complain(message: str) -> int:
    """Say it in one line; the answer is the exit code."""
    line = printable(" ".join(message.split()))
    with suppress(OSError):
        print(f"qrlifecycle: error: {line}", file=sys.stderr, flush=True)
    return USAGE

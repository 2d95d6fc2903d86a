"""A terminal of a size, in which a command runs."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from .patience import PROCESS_HANGS

__all__ = ["in_terminal"]


def in_terminal(
    command: Sequence[str],
    *,
    columns: int,
    lines: int,
    environment: Mapping[str, str],
    watch: Callable[[bytes, subprocess.Popen[bytes]], object] = lambda _written, _process: None,
) -> tuple[int, bytes]:
    """A command's exit code, and all that it wrote.

    Args:
        command: what to run.
        columns: of the terminal.
        lines: of the terminal.
        environment: all of it.
        watch: called with what was written so far, and the process, each time that more was.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=dict(environment)
    )
    os.close(theirs)
    written = b""
    with suppress(OSError):  # how Linux says that the other end is closed
        while chunk := os.read(ours, 65536):
            written += chunk
            watch(written, process)
    os.close(ours)
    return process.wait(PROCESS_HANGS), written

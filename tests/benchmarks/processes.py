"""Processes of a benchmark's own, which say a line at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

__all__ = ["line_of", "running"]


@contextmanager
def running(module: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that runs a module, killed in the end."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line that it says.

    Raises:
        RuntimeError: it has ended.
    """
    out: IO[str] | None = process.stdout
    assert out is not None
    if not (line := out.readline()):
        raise RuntimeError("a process has ended; its last words are above")
    return line.strip()

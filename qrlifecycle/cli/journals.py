"""A journal that was named on the command line, line by line, with a bar for a long one.

This room must never know what a line is good for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from ..errors import InvalidValue
from ..monitoring.journal import (
    Entry,
    read_journal,
)

__all__ = ["entries"]

EVERY = 1000
"""Lines between two moves of the progress bar."""

LONG = 4_000_000
"""Bytes; what is shorter is read before a bar is drawn."""


def entries(name: str) -> Iterator[Entry]:
    """Each line of a file, or of standard input if its name is ``-``.

    Raises:
        InvalidValue: it cannot be read.
    """
    with _opened(name) as file, _progress(file) as moved:
        for entry in _read(file, name):
            yield entry
            if entry.number % EVERY == 0:
                moved()


def _read(file: IO[bytes], name: str) -> Iterator[Entry]:
    try:
        yield from read_journal(file)
    except OSError as error:
        raise InvalidValue(f"cannot read {name!r}: {error.strerror}") from None


def _opened(name: str) -> AbstractContextManager[IO[bytes]]:
    if name == "-":
        if not sys.stdin:  # a shell's <&- leaves none
            raise InvalidValue("cannot read '-': standard input is closed")
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise InvalidValue(f"cannot read {name!r}: {error.strerror}") from None


@contextmanager
def _progress(file: IO[bytes]) -> Iterator[Callable[[], object]]:
    """What is called now and then; a bar where there is a terminal and the size is known."""
    size = os.fstat(file.fileno()).st_size if file.seekable() else 0
    if not (size > LONG and sys.stderr.isatty() and find_spec("rich") is not None):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    class SteadyConsole(Console):
        """One that leaves the cursor alone: a process that ends on the spot cannot show it."""

        def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002 - rich's
            return False

    with Progress(
        *(BarColumn(), TaskProgressColumn(), TimeRemainingColumn()),
        console=SteadyConsole(stderr=True),
        transient=True,
        # Rich would write to the terminal what was meant for a file.
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=False,
    ) as progress:
        task = progress.add_task("", total=size)
        yield lambda: progress.update(task, completed=file.tell())

"""Reading the journal that was named on the command line, with a progress bar for a long one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from heapq import merge
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from typing import IO

from ..errors import InvalidValue
from ..monitoring.journal import Entry, read_journal

__all__ = ["journal_entries", "journals_together"]

EVERY = 1000
"""Lines between two updates of the progress bar."""

LONG = 4_000_000
"""Bytes; a shorter file has been read before a bar would be visible."""


def journal_entries(name: str) -> Iterator[Entry]:
    """Each line of a file, or of standard input if its name is ``-``.

    Raises:
        InvalidValue: it cannot be read.
    """
    with _opened(name) as file, _progress(file) as update:
        for entry in _read(file, name):
            yield entry
            if entry.number % EVERY == 0:
                update()


def journals_together(names: Sequence[str]) -> Iterator[tuple[str, Entry]]:
    """Each line of several files, in order of time, with the name of its file.

    Each file is in order by itself. A line without a record goes with the one before it.

    Raises:
        InvalidValue: one cannot be read.
    """

    def timed(name: str) -> Iterator[tuple[float, str, Entry]]:
        wall = 0.0
        with _opened(name) as file:
            for entry in _read(file, name):
                wall = wall if entry.record is None else entry.record.wall
                yield wall, name, entry

    for _, name, entry in merge(*map(timed, names), key=itemgetter(0)):
        yield name, entry


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
    """A function that updates the bar; it does nothing without a terminal or a known size."""
    size = os.fstat(file.fileno()).st_size if file.seekable() else 0
    if not (size > LONG and sys.stderr.isatty() and find_spec("rich") is not None):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    class SteadyConsole(Console):
        """Never hides the cursor: a process that is killed could not show it again."""

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

"""Reading the journals that were named on the command line, with a progress bar for a long one."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from heapq import merge
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from typing import IO, NamedTuple, cast

from ..errors import InvalidValue
from ..monitoring.audit.across import CLOCKS_DIFFER
from ..monitoring.journal import Entry, Skipped, read_journal
from ..records import Record

__all__ = ["Disorder", "JournalLine", "journal_lines"]

EVERY = 1000
"""Lines between two updates of the progress bar."""

LONG = 4_000_000
"""Bytes; a shorter file has been read before a bar would be visible."""

GZIP = b"\x1f\x8b"
"""How what gzip has compressed begins."""


class Disorder:
    """Whether lines come in the order of time; if not, where is kept."""

    def __init__(self) -> None:
        self.of_one = ""
        """The first line that is earlier than one before it, of the same process."""
        self.of_several = ""
        """The same, of another process: each by itself may be in order."""
        self._latest: Record | None = None

    def note(self, record: Record, place: str) -> None:
        """One more; a place is what its line is called."""
        latest = self._latest
        if latest is None or record.wall >= latest.wall:
            self._latest = record
        elif record.process != latest.process:
            if record.wall < latest.wall - CLOCKS_DIFFER:
                self.of_several = self.of_several or place
        elif record.monotonic < latest.monotonic - CLOCKS_DIFFER:  # no clock that was set back
            self.of_one = self.of_one or place

    def require_none(self, needed_for: str) -> None:
        """Raise `InvalidValue` if there is any."""
        if place := self.of_one or self.of_several:
            raise InvalidValue(
                f"{place} goes back in time, so {needed_for}: give their files, each by itself, or "
                "sort the lines"
            )


class JournalLine(NamedTuple):
    """A line of a journal, and the name of its file; empty where there is only one."""

    file: str
    entry: Entry

    @property
    def place(self) -> str:
        """What it is called."""
        return f"line {self.entry.number}" + (f" of {self.file}" if self.file else "")


def journal_lines(names: Sequence[str]) -> Iterator[JournalLine]:
    """Each line of the files, ``-`` being standard input; of several, in order of time.

    Each file is in order by itself. A line without a record goes with the one before it. What gzip
    has compressed is read as well.

    Raises:
        InvalidValue: one cannot be read, or is named twice; or there are several, and no line of
            one is a journal's.
    """
    _require_each_once(names)
    if len(names) > 1:
        for _, line in merge(*map(_timed_lines, names), key=itemgetter(0)):
            yield line
        return
    name = names[0]
    with _opened(name) as file, _progress(file) as update:
        for entry in _read(file, name):
            yield JournalLine("", entry)
            if entry.number % EVERY == 0:
                update()


def _timed_lines(name: str) -> Iterator[tuple[tuple[float, float], JournalLine]]:
    """Each line with its time; of one instant, also with that of its machine's other clock."""
    at, ours, entry = (0.0, 0.0), False, None
    with _opened(name) as file:
        for entry in _read(file, name):
            if entry.record is not None:
                at = (entry.record.wall, entry.record.monotonic)
            ours = ours or entry.skipped is not Skipped.FOREIGN
            yield at, JournalLine(name, entry)
    if entry is not None and not ours:
        raise InvalidValue(f"no line of {name!r} is a journal's")


def _require_each_once(names: Sequence[str]) -> None:
    """A pattern of a shell's may match a file twice: then everything in it is done twice."""
    known: dict[object, str] = {}
    for name in names:
        key: object = name
        if name != "-":
            with suppress(OSError):  # reading it will report that
                status = Path(name).stat()
                key = (status.st_dev, status.st_ino)
        if key in known:
            raise InvalidValue(f"{known[key]!r} and {name!r} are one file: name it once")
        known[key] = name


def _read(file: IO[bytes], name: str) -> Iterator[Entry]:
    try:
        yield from read_journal(file)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InvalidValue(f"cannot read {name!r}: it is compressed, and damaged") from None
    except OSError as error:
        raise InvalidValue(f"cannot read {name!r}: {error.strerror}") from None


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    with ExitStack() as stack:
        if name == "-":
            if not sys.stdin:  # a shell's <&- leaves none
                raise InvalidValue("cannot read '-': standard input is closed")
            file: IO[bytes] = sys.stdin.buffer
        else:
            try:
                file = stack.enter_context(Path(name).open("rb"))
            except OSError as error:
                raise InvalidValue(f"cannot read {name!r}: {error.strerror}") from None
        if _is_compressed(file):
            file = cast("IO[bytes]", stack.enter_context(gzip.open(file)))
        yield file


def _is_compressed(file: IO[bytes]) -> bool:
    with suppress(AttributeError, OSError):  # no buffer to look into; reading will report the rest
        return bool(file.peek(2)[:2] == GZIP)  # type: ignore[attr-defined]
    return False


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

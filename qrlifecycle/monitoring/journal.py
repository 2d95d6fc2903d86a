"""The journal: every record as one line of JSON, and back.

The format is documented and numbered (`VERSION`), so that a journal can be read by others and in
years. A line is written at once and whole. Reading tells a torn line, which a process left when it
died, from a broken one, and skips lines of other programs.
"""

from __future__ import annotations

import json
import math
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self, TypeVar

from .. import records
from ..errors import Ending, InvalidValue
from ..outcome import Reason
from ..records import Closing, LeaseEnd, Record
from ..states import Event, State, Word
from .forks import in_each_fork

__all__ = [
    "VERSION",
    "Entry",
    "Journal",
    "Skipped",
    "format_record",
    "parse_record",
    "read_journal",
]

T = TypeVar("T")
W = TypeVar("W", bound=Word)

VERSION = 1
"""Of the format: the value of ``qrlifecycle`` in each line. A reader refuses a version that it
does not know; one more field in a line does not make another version."""

LONGEST_LINE = 64 * 1024
"""Bytes. Ours have some 250; a longer line is another program's."""

LONGEST_TEXT = 200
"""Characters of an identifier, a cause, or a word of a subject."""

MOST_WORDS = 8
"""Of a subject."""

LARGEST = 2**63 - 1
"""Of numbers that count."""

MARK = b'{"qrlifecycle":'
"""The beginning of each of our lines."""

BEGINNING = re.compile(b"(?=%s)" % re.escape(MARK))

KINDS: Mapping[str, type[Record]] = {
    "began": records.Began,
    "acquiring": records.Acquiring,
    "leased": records.Leased,
    "lease_gone": records.LeaseGone,
    "changed": records.Changed,
    "opening": records.Opening,
    "opened": records.Opened,
    "polling": records.Polling,
    "found_by_status": records.FoundByStatus,
    "leaving": records.Leaving,
    "closed": records.Closed,
    "dropped": records.Dropped,
    "ended": records.Ended,
    "shared_opening": records.SharedOpening,
    "shared_opened": records.SharedOpened,
    "shared_closed": records.SharedClosed,
}
"""The values of ``what`` in a line."""

NAMES: Mapping[type[Record], str] = {kind: name for name, kind in KINDS.items()}

COMMON = tuple(field.name for field in fields(Record))
OWN: Mapping[type[Record], tuple[str, ...]] = {
    kind: tuple(f.name for f in fields(kind) if f.name not in COMMON) for kind in NAMES
}
"""The fields that a kind has beside what all have."""


class Journal:
    """A recorder that appends each record to a file, as one line in one write.

    Several journals, also of several processes, may append to one file: no line is torn apart by
    another. Nothing is buffered: each record is handed to the kernel at once. Writing takes some
    microseconds; if the disk stalls, the event loop stalls.

    Args:
        path: the file; if it does not exist, it is made, readable by its owner only.

    Raises:
        OSError: the file cannot be opened; from a call: it cannot be written. A lifecycle logs that
            and goes on.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._unlock()
        in_each_fork(self._unlock)
        self._file: int | None = _open(path)
        self._torn = _ends_torn(Path(path))

    def _unlock(self) -> None:
        self._lock = threading.RLock()

    def __call__(self, record: Record) -> None:
        """Append a record; after `close()` nothing happens."""
        line = format_record(record) + b"\n"
        with self._lock:
            if self._file is None:
                return
            line = b"\n" + line if self._torn else line
            self._torn = True  # until it is known to be whole
            self._torn = os.write(self._file, line) < len(line)

    def close(self) -> None:
        """Close the file; it may be called again."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _open(path: str | os.PathLike[str]) -> int:
    """Open for writing only: with a pipe open for reading too, a missing reader would go unnoticed.

    Opening a pipe without a reader is an error, instead of an endless wait.
    """
    at_once = getattr(os, "O_NONBLOCK", 0)  # there is none on Windows
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | at_once, 0o600)
    if at_once:
        os.set_blocking(file, True)
    return file


def _ends_torn(path: Path) -> bool:
    """Whether the last line has no end: its writer died. True also if that cannot be read."""
    if not (path.is_file() and path.stat().st_size):
        return False
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"
    except PermissionError:
        return True


# One line


def format_record(record: Record) -> bytes:
    """A record as a line of JSON, without the end of the line."""
    at = datetime.fromtimestamp(record.wall, UTC)
    line: dict[str, Any] = {
        "qrlifecycle": VERSION,
        "at": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "monotonic": round(record.monotonic, 6),
        "lifecycle": record.lifecycle,
        "attempt": record.attempt,
        "what": NAMES[type(record)],
    }
    for name in OWN[type(record)]:
        if (value := getattr(record, name)) is not None:
            line[name] = _short(value)
    return json.dumps(line, separators=(",", ":"), allow_nan=False).encode()


def _short(value: Any) -> Any:
    """A value in bounded length: causes and subjects come from a transport."""
    if isinstance(value, tuple):
        return [str(word)[:LONGEST_TEXT] for word in value[:MOST_WORDS]]
    return value[:LONGEST_TEXT] if type(value) is str else value


def parse_record(line: bytes) -> Record:
    """The record in a line.

    Raises:
        InvalidValue: it is no line of a journal, or of no version that is known here.
    """
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidValue("no JSON") from None
    if not isinstance(values, dict):
        raise InvalidValue("no JSON object")
    return _record(values)


def _record(line: Mapping[str, Any]) -> Record:
    version = line.get("qrlifecycle")
    if type(version) is not int or version != VERSION:
        raise InvalidValue(f"its version is not {VERSION}")
    name = "what"
    try:
        kind = KINDS[line[name]]
        values: dict[str, Any] = {}
        for name in READ_OF[kind]:
            key = "at" if name == "wall" else name
            values[name] = READ[name](line.get(key))
        return kind(**values)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
        raise InvalidValue(f"its {name!r} cannot be") from None


def _bool(value: object) -> bool:
    if type(value) is not bool:
        raise TypeError
    return value


def _text(value: object) -> str:
    if type(value) is not str or len(value) > LONGEST_TEXT:
        raise TypeError
    return value


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise TypeError
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise TypeError
    return float(value)  # type: ignore[arg-type]


def _time(value: str) -> float:
    return datetime.fromisoformat(value).timestamp()


def _subject(value: list[object]) -> tuple[str, ...]:
    return tuple(map(_text, value[:MOST_WORDS]))


def _word(kind: type[W]) -> Callable[[str], W]:
    """A reader for a word of a closed list."""
    return {member.value: member for member in kind}.__getitem__


def _or_none(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda value: None if value is None else read(value)


READ: Mapping[str, Callable[[Any], object]] = {
    "lifecycle": _text,
    "attempt": _whole,
    "monotonic": _number,
    "wall": _time,
    "close_timeout": _number,
    "key": _or_none(_subject),
    "source": _word(State),
    "event": _word(Event),
    "target": _word(State),
    "reason": _or_none(_word(Reason)),
    "subject": _or_none(_subject),
    "shared": _or_none(_text),
    "how": _word(Closing),
    "ending": _or_none(_word(Ending)),
    "cause": _text,
    "count": _whole,
    "waited": _number,
    "token": _or_none(_whole),
    "by": _word(LeaseEnd),
}
"""The reader of each field of a record."""

READ_OF: Mapping[type[Record], tuple[str, ...]] = {
    kind: (*COMMON, *own) for kind, own in OWN.items()
}


# A whole file


class Skipped(Enum):
    """Why a line is no record."""

    FOREIGN = auto()
    """Another program's."""
    TORN = auto()
    """The beginning of one: who wrote it died, or its disk was full."""
    BROKEN = auto()
    """It has the form of one of ours, and its content is not valid."""


class Entry(NamedTuple):
    """A line of a journal: its number, from 1, and its record, or why it has none."""

    number: int
    record: Record | None
    skipped: Skipped | None = None
    text: str = ""


def read_journal(file: IO[bytes]) -> Iterator[Entry]:
    """Each line, in bounded memory: its record, or why it has none."""
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
            if line.startswith(MARK):
                yield Entry(number, None, Skipped.BROKEN, "it is too long")
            else:
                yield Entry(number, None, Skipped.FOREIGN)
        else:
            yield from _entries(number, line.strip())


def _entries(number: int, line: bytes) -> Iterator[Entry]:
    """The entries in a line: after a torn line, another process may have appended a whole one.

    Within our texts the quotes of the mark are escaped, so each mark is the beginning of a line.
    """
    entry = _entry(number, line)
    yield entry
    if entry.skipped in (Skipped.TORN, Skipped.FOREIGN) and MARK in line:
        pieces = (_entry(number, piece) for piece in BEGINNING.split(line))
        yield from (piece for piece in pieces if piece.record is not None)


def _entry(number: int, line: bytes) -> Entry:
    ours = line.startswith(MARK) or (line != b"" and MARK.startswith(line))
    if not ours and b'"qrlifecycle"' not in line:
        return Entry(number, None, Skipped.FOREIGN)
    try:
        values = json.loads(line.decode())
    except (ValueError, RecursionError):
        return Entry(number, None, Skipped.TORN if ours else Skipped.FOREIGN)
    if not isinstance(values, dict) or "qrlifecycle" not in values:
        return Entry(number, None, Skipped.FOREIGN)
    try:
        return Entry(number, _record(values))
    except InvalidValue as error:
        return Entry(number, None, Skipped.BROKEN, str(error))

"""`qrlifecycle timeline`: a journal as a picture, in the terminal or as an image."""

from __future__ import annotations

import argparse
import os
import shutil
import stat
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from ..errors import InvalidValue
from ..monitoring.journal import Skipped
from ..monitoring.timeline import (
    GLYPHS,
    IMAGE_FORMATS,
    LAST,
    Line,
    Style,
    Timeline,
    draw,
    paint,
    read,
)
from ..monitoring.timeline.captions import (
    OUTSIDE_COLOUR,
    PAPER,
    QUIET_COLOUR,
    SOCKET_COLOUR,
    STATE_COLOURS,
)
from ..records import Record
from ..states import State
from .journal_file import Disorder, journal_lines
from .output import chosen_format, write
from .stopping import Stop

__all__ = ["run"]

FORMATS = ("text", *IMAGE_FORMATS)
FORMAT_OF_SUFFIX = {".txt": "text", ".svg": "svg", ".png": "png", ".pdf": "pdf"}

COLUMNS = 80
"""Of text that is written to a file or a pipe."""


def run(arguments: argparse.Namespace, _stop: Stop) -> int:
    """Read, draw, and write or print."""
    form = chosen_format(
        arguments.format,
        arguments.output,
        known=FORMATS,
        of_suffix=FORMAT_OF_SUFFIX,
        default="text",
    )
    if form != "text" and arguments.output is None and sys.stdout.isatty():
        raise InvalidValue(f"a terminal cannot show {form}: say where to, with --output FILE")
    if arguments.output is not None and any(_same(f, arguments.output) for f in arguments.files):
        raise InvalidValue(f"the picture would overwrite the journal {arguments.output}")
    timeline = _read(arguments)
    if form != "text":
        write(paint(timeline, form, absolute=arguments.absolute), arguments.output)
    elif arguments.output is not None:
        lines = draw(timeline, columns=COLUMNS, absolute=arguments.absolute)
        write(_plain(lines), arguments.output)
    else:
        _print(timeline, absolute=arguments.absolute)
    return 0


def _read(arguments: argparse.Namespace) -> Timeline:
    records = JournalRecords(arguments.files)
    timeline = read(
        records,
        last=LAST if arguments.last is None else arguments.last,
        lifecycle=arguments.lifecycle,
        subject=arguments.subject,
    )
    if not timeline.lanes:
        names = ", ".join(map(repr, arguments.files))
        raise InvalidValue(f"nothing to draw in {names}: {records.why_none_fits()}")
    records.disorder.require_none("what would be drawn never was")
    if skipped := records.skipped():
        print(f"passed over: {skipped}", file=sys.stderr)
    return timeline


class JournalRecords:
    """The records of some files, and how many lines had none."""

    def __init__(self, files: Sequence[str]) -> None:
        self.disorder = Disorder()
        self._files = files
        self._lines = 0
        self._skipped = Counter[Skipped]()

    def __iter__(self) -> Iterator[Record]:
        for line in journal_lines(self._files):
            self._lines, entry = self._lines + 1, line.entry
            if entry.record is not None:
                self.disorder.note(entry.record, line.place)
                yield entry.record
            elif entry.skipped is not None:
                self._skipped[entry.skipped] += 1

    def skipped(self) -> str:
        """How many lines had no record, and why; empty if every line had one."""
        return ", ".join(
            f"{self._skipped[why]:,} {words}"
            for why, words in (
                (Skipped.FOREIGN, "of other programs"),
                (Skipped.TORN, "torn"),
                (Skipped.BROKEN, "broken"),
            )
            if self._skipped[why]
        )

    def why_none_fits(self) -> str:
        """Why nothing can be drawn."""
        if not self._lines:
            return "it is empty"
        if self._lines == self._skipped.total():
            return f"no line is a journal's (lines: {self.skipped()})"
        return "its records are of no attempt that was asked for"


# Where it goes


def _same(journal: str, output: str) -> bool:
    """Whether both names mean one regular file; a device may be read and written."""
    try:
        read = os.fstat(sys.stdin.fileno()) if journal == "-" else Path(journal).stat()
        return stat.S_ISREG(read.st_mode) and os.path.samestat(read, Path(output).stat())
    except (OSError, AttributeError):  # reading or writing it will report that
        return False


def _print(timeline: Timeline, *, absolute: bool) -> None:
    """Print to standard output; if that is a terminal, in colour and in its width."""
    in_terminal = sys.stdout.isatty()
    lines = draw(
        timeline,
        columns=shutil.get_terminal_size((COLUMNS, 24)).columns if in_terminal else COLUMNS,
        ascii_only=not _draws_glyphs(),
        absolute=absolute,
    )
    if in_terminal and find_spec("rich") is not None:
        _print_in_colour(lines)
    else:
        sys.stdout.write(_plain(lines))


def _draws_glyphs() -> bool:
    """Whether the encoding of standard output has all characters."""
    try:
        "".join(glyph.rich for glyph in GLYPHS).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _plain(lines: Sequence[Line]) -> str:
    return "".join(f"{''.join(text for text, _ in line).rstrip()}\n" for line in lines)


def _print_in_colour(lines: Sequence[Line]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in lines:
        text = Text.assemble(*((text, STYLES[style]) for text, style in line))
        text.rstrip()
        console.print(text, soft_wrap=True)


def _of(state: State) -> str:
    fill, _, ink = STATE_COLOURS[state]
    return f"{ink} on {fill}"


STYLES = {
    Style.PLAIN: "",
    Style.TITLE: "bold",
    Style.TROUBLE: f"bold {PAPER} on {OUTSIDE_COLOUR}",
    Style.QUIET: "dim",
    Style.IDLE: _of(State.IDLE),
    Style.GENERATING: _of(State.GENERATING),
    # Most of a shaded character is its foreground.
    Style.DISPLAYED: "{0.fill} on {0.border}".format(STATE_COLOURS[State.DISPLAYED]),
    Style.CONNECTED: _of(State.CONNECTED),
    Style.FAILED: _of(State.FAILED),
    Style.MARK: f"bold {_of(State.DISPLAYED)}",
    Style.SOCKET: SOCKET_COLOUR,
    Style.LEASE: QUIET_COLOUR,
    Style.ALARM: STATE_COLOURS[State.FAILED].border,
}
"""Each style, in the syntax of rich."""

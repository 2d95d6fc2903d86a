"""Where a command's result is written to, in which format, and how wide."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from textwrap import wrap

from ..errors import InvalidValue

__all__ = ["chosen_format", "folded", "terminal_size", "write", "write_file"]


def chosen_format(
    named: str | None,
    file: str | None,
    *,
    known: Collection[str],
    of_suffix: Mapping[str, str],
    default: str,
) -> str:
    """The format that was named, or that belongs to the suffix of the file.

    Raises:
        InvalidValue: there is no such format, or the suffix belongs to none.
    """
    if named is not None:
        if named not in known:
            raise InvalidValue(f"there is no format {named!r}; there are: {', '.join(known)}")
        told = "" if file is None else Path(file).suffix.lower().removeprefix(".")
        if told in known and told != named:
            raise InvalidValue(f"the name {file!r} tells the format {told}, and --format {named}")
        return named
    if file is None:
        return default
    suffix = Path(file).suffix.lower()
    if suffix not in of_suffix:
        formats = ", ".join(known)
        raise InvalidValue(f"the name {file!r} does not tell a format: give --format ({formats})")
    return of_suffix[suffix]


def write(result: str | bytes, file: str | None) -> None:
    """Write a result to a file, or to standard output if there is none.

    Raises:
        InvalidValue: the file cannot be written.
    """
    if file is not None:
        write_file(Path(file), result)
    elif isinstance(result, bytes):
        sys.stdout.buffer.write(result)
    else:
        sys.stdout.write(result)


def write_file(path: Path, result: str | bytes) -> None:
    """Write a result to a file; text in UTF-8.

    Raises:
        InvalidValue: it cannot be written.
    """
    try:
        path.write_bytes(result.encode() if isinstance(result, str) else result)
    except OSError as error:
        raise InvalidValue(f"cannot write {path}: {error.strerror}") from None


def terminal_size() -> os.terminal_size:
    """That of the terminal; what is usual, where there is none."""
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return shutil.get_terminal_size()
    return size if size.columns and size.lines else os.terminal_size((80, 24))


def folded(line: str, hang: int = 0) -> str:
    """A line as it fits into the terminal; as it is, where standard output is none.

    Args:
        line: what is read. What is copied, an address or a command, is not for this.
        hang: columns that stay free before what goes on in the next line.
    """
    columns = terminal_size().columns
    if len(line) <= columns or not sys.stdout.isatty():
        return line
    hang = hang if hang < columns // 2 else 0
    parts = wrap(
        line, columns, subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(parts)

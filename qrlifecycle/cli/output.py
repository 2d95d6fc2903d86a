"""Where a command's result is written to, and in which format."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from ..errors import InvalidValue

__all__ = ["chosen_format", "write", "write_file"]


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
        return named
    if file is None:
        return default
    suffix = Path(file).suffix.lower()
    if suffix not in of_suffix:
        raise InvalidValue(f"the name {file!r} does not tell a format: give --format")
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

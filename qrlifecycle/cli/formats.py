"""Which format is wanted: named, told by a file's suffix, or the usual one.

This room must never know what is written in a format.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from ..errors import InvalidValue

__all__ = ["chosen_format"]


def chosen_format(
    named: str | None,
    file: str | None,
    *,
    known: Collection[str],
    of_suffix: Mapping[str, str],
    usual: str,
) -> str:
    """The format that was named or that the file's name tells; ``usual`` without either.

    Raises:
        InvalidValue: there is no such format, or the name does not tell one.
    """
    if named is not None:
        if named not in known:
            raise InvalidValue(f"there is no format {named!r}; there are: {', '.join(known)}")
        return named
    if file is None:
        return usual
    suffix = Path(file).suffix.lower()
    if suffix not in of_suffix:
        raise InvalidValue(f"the name {file!r} does not tell a format: give --format")
    return of_suffix[suffix]

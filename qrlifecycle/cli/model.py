"""`qrlifecycle model`: the formal model of the lifecycle, printed or written.

This room must never know what is in the model, and imports nothing that only a socket needs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from ..errors import InvalidValue
from ..model import MODEL, Model, document, promela

__all__ = ["run"]

FORMATS: dict[str, Callable[[Model], str]] = {"promela": promela, "json": document}
FORMAT_OF_SUFFIX = {".pml": "promela", ".json": "json"}


def run(arguments: argparse.Namespace) -> int:
    """Print or write the model."""
    text = FORMATS[_format(arguments.format, arguments.output)](MODEL)
    if arguments.output is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(arguments.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidValue(f"cannot write {arguments.output}: {error.strerror}") from None
    return 0


def _format(named: str | None, file: str | None) -> str:
    if named is not None:
        if named not in FORMATS:
            raise InvalidValue(f"there is no format {named!r}; there are: {', '.join(FORMATS)}")
        return named
    if file is None:
        return "promela"
    suffix = Path(file).suffix.lower()
    if suffix not in FORMAT_OF_SUFFIX:
        raise InvalidValue(f"the name {file!r} does not tell a format: give --format")
    return FORMAT_OF_SUFFIX[suffix]

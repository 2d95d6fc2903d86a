"""`qrlifecycle model`: the formal model of the lifecycle, printed or written.

This room must never know what is in the model, and imports nothing that only a socket needs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from ..errors import InvalidValue
from ..proof.model import (
    MODEL,
    Model,
    document,
    promela,
)
from .formats import chosen_format
from .stopping import Stop

__all__ = ["run"]

FORMATS: dict[str, Callable[[Model], str]] = {"promela": promela, "json": document}
FORMAT_OF_SUFFIX = {".pml": "promela", ".json": "json"}


def run(arguments: argparse.Namespace, _stop: Stop) -> int:
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
    return chosen_format(named, file, known=FORMATS, of_suffix=FORMAT_OF_SUFFIX, usual="promela")

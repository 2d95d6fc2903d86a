"""`qrlifecycle model`: the formal model of the lifecycle, printed or written to a file.

It imports nothing that only a transport needs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ..proof.model import MODEL, Model, document, promela
from .output import chosen_format, write
from .stopping import Stop

__all__ = ["run"]

FORMATS: dict[str, Callable[[Model], str]] = {"promela": promela, "json": document}
FORMAT_OF_SUFFIX = {".pml": "promela", ".json": "json"}


def run(arguments: argparse.Namespace, _stop: Stop) -> int:
    """Print or write the model."""
    form = chosen_format(
        arguments.format,
        arguments.output,
        known=FORMATS,
        of_suffix=FORMAT_OF_SUFFIX,
        default="promela",
    )
    write(FORMATS[form](MODEL), arguments.output)
    return 0

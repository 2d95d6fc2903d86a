"""`qrlifecycle diagram`: the table as a picture, written, or compared with a committed one.

This room must never know how a picture is drawn, and imports nothing that only a socket needs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..diagram import (
    FORMATS,
    IMAGE_FORMATS,
    TEXT_FORMATS,
    difference,
    render,
)
from ..errors import InvalidValue
from ..states import State
from .formats import chosen_format
from .stopping import Stop

__all__ = ["run"]

FORMAT_OF_SUFFIX = {
    ".mmd": "mermaid",
    ".md": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".txt": "text",
    ".json": "json",
    ".svg": "svg",
    ".png": "png",
    ".pdf": "pdf",
}
DIFFERS = 1


def run(arguments: argparse.Namespace, _stop: Stop) -> int:
    """Draw, write or check, and say whether all is well."""
    file = arguments.check or arguments.output
    form = _format(arguments.format, file)
    if arguments.check:
        return _check(arguments.check, form, arguments.state)
    state = State[arguments.state.upper()] if arguments.state else None
    if arguments.output:
        _write(Path(arguments.output), render(form, state=state))
        return 0
    if form in IMAGE_FORMATS and sys.stdout.isatty():
        raise InvalidValue(f"a terminal cannot show {form}: say where to, with --output FILE")
    _print(render(form, state=state))
    return 0


def _format(named: str | None, file: str | None) -> str:
    return chosen_format(named, file, known=FORMATS, of_suffix=FORMAT_OF_SUFFIX, usual="mermaid")


def _check(file: str, form: str, state: str | None) -> int:
    if state is not None:
        raise InvalidValue("a committed diagram has no state lit up: --check goes without --state")
    if form not in TEXT_FORMATS:
        raise InvalidValue(f"{form} cannot be compared; --check takes {', '.join(TEXT_FORMATS)}")
    try:
        committed = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidValue(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidValue(f"cannot read {file}: it is not text in UTF-8") from None
    if changes := difference(committed, form, file):
        _print(changes)
        return DIFFERS
    print(f"{file} is up to date")
    return 0


def _write(path: Path, picture: str | bytes) -> None:
    try:
        if path.suffix.lower() == ".md" and isinstance(picture, str):
            picture = _fenced(path, picture)
        path.write_bytes(picture.encode() if isinstance(picture, str) else picture)
    except OSError as error:
        raise InvalidValue(f"cannot write {path}: {error.strerror}") from None


def _fenced(path: Path, picture: str) -> str:
    """The picture as a Markdown block of its own; nobody's page is written over by it."""
    if path.exists() and not path.read_text("utf-8", "replace").lstrip().startswith("```mermaid"):
        raise InvalidValue(f"{path} holds more than a diagram; write a .mmd file, or a new one")
    return f"```mermaid\n{picture}```\n"


def _print(picture: str | bytes) -> None:
    if isinstance(picture, bytes):
        sys.stdout.buffer.write(picture)
    else:
        sys.stdout.write(picture)
    sys.stdout.flush()

"""`qrlifecycle diagram`: the table as a picture, written, or compared with a committed one.

It imports nothing that only a transport needs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..diagram import FORMATS, IMAGE_FORMATS, TEXT_FORMATS, difference, render
from ..errors import InvalidValue
from ..states import State
from .output import chosen_format, write, write_file
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
    """Draw, write or check; return the exit code."""
    form = chosen_format(
        arguments.format,
        arguments.check or arguments.output,
        known=FORMATS,
        of_suffix=FORMAT_OF_SUFFIX,
        default="mermaid",
    )
    if arguments.check:
        return _check(arguments, form)
    state = State[arguments.state.upper()] if arguments.state else None
    if arguments.output:
        _write_page(Path(arguments.output), render(form, state=state, phases=arguments.phases))
        return 0
    if form in IMAGE_FORMATS and sys.stdout.isatty():
        raise InvalidValue(f"a terminal cannot show {form}: say where to, with --output FILE")
    write(render(form, state=state, phases=arguments.phases), None)
    return 0


def _check(arguments: argparse.Namespace, form: str) -> int:
    file = arguments.check
    if arguments.state is not None:
        raise InvalidValue("a committed diagram highlights no state: --check goes without --state")
    if form not in TEXT_FORMATS:
        raise InvalidValue(f"{form} cannot be compared; --check takes {', '.join(TEXT_FORMATS)}")
    try:
        committed = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidValue(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidValue(f"cannot read {file}: it is not text in UTF-8") from None
    if changes := difference(committed, form, file, phases=arguments.phases):
        write(changes, None)
        return DIFFERS
    print(f"{file} is up to date")
    return 0


def _write_page(path: Path, picture: str | bytes) -> None:
    if path.suffix.lower() == ".md" and isinstance(picture, str):
        picture = _fenced(path, picture)
    write_file(path, picture)


def _fenced(path: Path, picture: str) -> str:
    """The picture as a Markdown block; a page with other content is not overwritten."""
    try:
        present = path.read_text("utf-8", "replace") if path.exists() else "```mermaid"
    except OSError as error:
        raise InvalidValue(f"cannot write {path}: {error.strerror}") from None
    if not present.lstrip().startswith("```mermaid"):
        raise InvalidValue(f"{path} holds more than a diagram; write a .mmd file, or a new one")
    return f"```mermaid\n{picture}```\n"

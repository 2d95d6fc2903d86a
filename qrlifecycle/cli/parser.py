"""How a command line is parsed, and how an error is reported: in one line, with exit code 2."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from typing import Any, NoReturn

from ..monitoring.printable import printable

__all__ = ["USAGE", "Parser", "ShowVersion", "report_error"]

USAGE = 2
"""The exit code when the command line, or something it names, cannot be used."""


def report_error(message: str) -> int:
    """Print an error in one line on standard error; return the exit code."""
    line = printable(" ".join(message.split()))
    with suppress(OSError):
        print(f"qrlifecycle: error: {line}", file=sys.stderr, flush=True)
    return USAGE


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and which does not guess at shortened flags."""

    commands: tuple[str, ...] = ()
    """Their names."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """End with an error in one line."""
        raise SystemExit(report_error(message))


class ShowVersion(argparse.Action):
    """``--version``; what reads versions is imported only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_rest: object) -> NoReturn:
        """Print it and end."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("qrlifecycle")
        except PackageNotFoundError:
            number = "(not installed)"
        print(f"qrlifecycle {number}")
        parser.exit()

"""How a command line is parsed, and how an error is reported: in one line, with exit code 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from .. import __version__
from ..monitoring.printable import printable
from ..spelling import did_you_mean

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
    """A parser whose errors are one line, and which does not guess at shortened flags.

    It says what may have been meant instead: by a command, an option or one of several words.
    """

    commands: tuple[str, ...] = ()
    """Their names."""

    parsers: dict[str, argparse.ArgumentParser]
    """The parser of each command, on that of the whole command line."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)
        self.parsers = {}

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse, or end with an error in one line."""
        parsed, rest = self.parse_known_args(args, namespace or argparse.Namespace())
        if rest:
            command: argparse.ArgumentParser = getattr(parsed, "parser", self)
            known = command._option_string_actions  # noqa: SLF001 - argparse has no other list
            hint = did_you_mean(rest[0].partition("=")[0], known)
            self.error(f"unrecognized arguments: {' '.join(rest)}{hint}")
        return parsed

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Argparse's own place to refuse a word that is none of those there are."""
        if action.choices is not None and value not in action.choices:
            known = [*(self.commands or map(str, action.choices))]
            raise argparse.ArgumentError(
                action,
                f"invalid choice: {value!r} (choose from {', '.join(known)})"
                f"{did_you_mean(str(value), known)}",
            )

    def error(self, message: str) -> NoReturn:
        """End with an error in one line."""
        raise SystemExit(report_error(message))


class ShowVersion(argparse.Action):
    """``--version``."""

    def __call__(self, parser: argparse.ArgumentParser, *_rest: object) -> NoReturn:
        """Print it and end."""
        print(f"qrlifecycle {__version__}")
        parser.exit()

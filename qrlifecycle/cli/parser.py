"""How a command line is parsed, and how an error is reported: in one line, with exit code 2."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from itertools import groupby
from textwrap import wrap
from typing import Any, NoReturn

from .. import __version__
from ..monitoring.printable import printable
from ..spelling import did_you_mean

__all__ = ["USAGE", "Parser", "ShowVersion", "report_error"]

MISSING = "the following arguments are required: "
"""Argparse's own words."""

USAGE = 2
"""The exit code when the command line, or something it names, cannot be used."""


def report_error(message: str) -> int:
    """Print an error in one line on standard error; return the exit code."""
    line = printable(" ".join(message.split()))
    with suppress(OSError):
        print(f"qrlifecycle: error: {line}", file=sys.stderr, flush=True)
    return USAGE


class HelpText(argparse.HelpFormatter):
    """Folds what is prose to the terminal's width, and leaves examples, which are indented."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Argparse's own place to lay out what stands before and after the list of arguments."""
        lines: list[str] = []
        for prose, part in groupby(text.splitlines(), lambda line: line[:1].strip() != ""):
            together = [*part]
            lines += wrap(" ".join(together), width) if prose else _examples(together, width)
        return "\n".join(indent + line for line in lines)


def _examples(lines: Sequence[str], width: int) -> Iterator[str]:
    """Examples as they are; what is said of one goes below it where there is no room beside it."""
    for line in lines:
        beside = re.fullmatch(r"(\s+\S.*?)\s{2,}(\S.*)", line)
        if beside is None or len(line) <= width:
            yield line
            continue
        yield beside[1]
        yield from (f"      {said}" for said in wrap(beside[2], max(1, width - 6)))


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and which does not guess at shortened flags.

    It says what may have been meant instead: by a command, an option or one of several words.
    """

    commands: tuple[str, ...] = ()
    """Their names."""

    parsers: dict[str, argparse.ArgumentParser]
    """The parser of each command, on that of the whole command line."""

    secrets: Mapping[str, str] = {}
    """What is taken from the environment alone, by the option that it is not; and where from."""

    given: Sequence[str] = ()
    """What it parses."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", HelpText)
        super().__init__(allow_abbrev=False, **options)
        self.parsers = {}

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse, or end with an error in one line."""
        parsed, rest = self.parse_known_args(args, namespace)
        if rest:
            self.error(_unrecognized(rest, getattr(parsed, "parser", self)))
        if fault := _unusable(parsed, getattr(parsed, "parser", self)):
            self.error(fault)
        return parsed

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, also what a command is given; argparse calls it for both."""
        self.given = sys.argv[1:] if args is None else args
        return super().parse_known_args(args, namespace or argparse.Namespace())

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
        if message.startswith(MISSING) and (unknown := [*self._unknown()]):
            message = _unrecognized(unknown, self)  # an option that is misspelt is missing as well
        elif message.startswith(MISSING):
            message += "".join(self._choices_of_places())
        raise SystemExit(report_error(message))

    def _choices_of_places(self) -> Iterator[str]:
        """What may stand where only one of a few words may."""
        for action in self._actions:
            if action.choices is not None and not action.option_strings:
                yield f" ({action.metavar} is one of {', '.join(map(str, action.choices))})"

    def _unknown(self) -> Iterator[str]:
        """The options that it was given and does not have."""
        for word in self.given:
            if word == "--":
                return
            if word.startswith("--") and word.partition("=")[0] not in self._option_string_actions:
                yield word


def _unusable(parsed: argparse.Namespace, command: argparse.ArgumentParser) -> str:
    """What is said of what no option means: nothing at all, and what is no text.

    A shell's variable that is not set gives an option nothing, which must not be as if the option
    were not there: a server would be trusted by others than the ``--ca-file`` that was meant.
    """
    for action in command._actions:  # noqa: SLF001 - argparse has no other list
        name = action.option_strings[-1] if action.option_strings else str(action.metavar)
        given = getattr(parsed, action.dest, None)
        for value in given if isinstance(given, list) else [given]:
            if value == "" and action.option_strings:
                return f"argument {name}: nothing is given to it; is a variable not set?"
            if isinstance(value, str) and action.metavar != "FILE" and not _is_text(value):
                return f"argument {name}: it is no text: not UTF-8"
    return ""


def _is_text(value: str) -> bool:
    """Whether it can be sent: for what is no UTF-8, a terminal gives half of a pair."""
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _unrecognized(rest: Sequence[str], command: argparse.ArgumentParser) -> str:
    """What is said of arguments that nothing takes: options by name, for a value may be a key."""
    secrets: Mapping[str, str] = getattr(command, "secrets", {})
    known = [*command._option_string_actions, *secrets]  # noqa: SLF001 - argparse has no other list
    options = [word.partition("=")[0] for word in rest if word.startswith("-")]
    for option in options:
        for secret, variable in secrets.items():
            if secret in (option, *get_close_matches(option, known, n=1)):
                file = f"{secret}-file"
                other = f", or give {file} the name of a file" if file in known else ""
                return (
                    "keys are not taken on the command line, where every list of processes has "
                    f"them: set {variable}{other}"
                )
    if not options:
        hint = "; a file is named by --output" if "--output" in known else ""
        return f"unrecognized arguments: {len(rest)} more than there are places for{hint}"
    hint = did_you_mean(options[0], known) or _spelt_out(options[0], known)
    return f"unrecognized arguments: {' '.join(options)}{hint}"


def _spelt_out(option: str, known: Sequence[str]) -> str:
    """Which option one letter may have stood for: none here has such a short form."""
    meant = [long for long in known if long.startswith(f"-{option}")]
    return f"; did you mean {meant[0]!r}?" if len(option) == 2 and len(meant) == 1 else ""


class ShowVersion(argparse.Action):
    """``--version``."""

    def __call__(self, parser: argparse.ArgumentParser, *_rest: object) -> NoReturn:
        """Print it and end."""
        print(f"qrlifecycle {__version__}")
        parser.exit()

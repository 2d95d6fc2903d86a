"""`qrlifecycle completion`: what makes a shell complete the commands, made from their parser."""

from __future__ import annotations

import argparse

from ..diagram import FORMATS as DIAGRAM_FORMATS
from ..errors import MissingExtra
from .arguments import command_line
from .gateways import GATEWAYS
from .model import FORMATS as MODEL_FORMATS
from .output import write
from .parser import Parser
from .stopping import Stop
from .timeline import FORMATS as TIMELINE_FORMATS

__all__ = ["run"]

FORMATS = {"diagram": DIAGRAM_FORMATS, "model": MODEL_FORMATS, "timeline": TIMELINE_FORMATS}
"""What `--format` may name; to parse, it is looked at where it is used."""


def run(arguments: argparse.Namespace, _stop: Stop) -> int:
    """Print it.

    Raises:
        MissingExtra: the package that knows shells is not installed.
    """
    try:
        import shtab
    except ImportError:
        raise MissingExtra("completing commands in a shell", "cli") from None
    parser = command_line()
    _nest_gateways(parser)
    for name, command in parser.parsers.items():
        command.description = None  # in its place stands the one line of the list of commands
        for action in command._actions:  # noqa: SLF001 - argparse has no other list
            if action.metavar == "FILE":
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            if action.dest == "gateway":  # a factory of one's own is taken as well
                action.choices = [*GATEWAYS]
            if action.dest == "format":
                action.choices = [*FORMATS[name]]
    write(f"{shtab.complete(parser, arguments.shell)}\n", None)
    return 0


def _nest_gateways(parser: Parser) -> None:
    """Make each gateway a command below `pair`, as it is typed; to parse, it is one beside it."""
    pair = parser.parsers["pair"]
    pair._actions[:] = pair._get_optional_actions()  # noqa: SLF001 - its groups share the list
    gateways = pair.add_subparsers(metavar="URL")
    for name, entry in GATEWAYS.items():
        whole = parser.parsers[f"pair {name}"]
        gateways.add_parser(name, parents=[whole], add_help=False, help=entry.help)

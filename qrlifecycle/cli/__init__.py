"""The command line: each command is a module, and its end becomes an exit code.

The module of a command is imported when the command runs, so that `qrlifecycle diagram` imports
nothing that only a transport needs.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from importlib import import_module

from ..errors import UsageError
from .arguments import command_line, select_gateway
from .parser import USAGE, report_error
from .stopping import Stop

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code.

    Without ``argv`` the process ends with the command: a command that had sockets may end by
    `os._exit`, and signals are handled until the interpreter has ended.
    """
    with Stop(owns_process=argv is None) as stop:
        try:
            code = _run(argv, stop)
            sys.stdout.flush()
        except UsageError as error:
            return report_error(str(error))
        except OSError as error:  # commands handle their own; what remains is the output's
            return stop.output_failed(error)
        return code


def _run(argv: Sequence[str] | None, stop: Stop) -> int:
    if not sys.stdout:  # a shell's >&- leaves none
        sys.stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):  # foreign text may not fit the terminal's encoding
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="backslashreplace")
    parser = command_line()
    try:
        arguments = parser.parse_args(select_gateway(sys.argv[1:] if argv is None else argv))
    except SystemExit as end:  # argparse has printed the reason
        return end.code if isinstance(end.code, int) else USAGE
    if arguments.command is None:
        *others, last = parser.commands
        return report_error(f"say what to do: {', '.join(others)} or {last} (--help tells more)")
    code: int = import_module(f".{arguments.command}", __name__).run(arguments, stop)
    return code

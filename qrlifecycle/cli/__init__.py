"""The command line: each command is a room, and its end becomes an exit code.

A command's own room is imported when the command runs, so that `qrlifecycle diagram` pays for
nothing that only a socket needs. This room must never know what a command does.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from importlib import import_module

from ..errors import UsageError
from .parser import command_line
from .stopping import (
    BROKEN_PIPE,
    Stop,
    discard_output,
)
from .usage import (
    USAGE,
    complain,
)

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and say how it ended.

    Without ``argv`` the process is ours to its end: a command that held sockets may leave by
    `os._exit`, and signals stay handled until the interpreter is gone.
    """
    with Stop(owns_process=argv is None) as stop:
        try:
            code = _run(argv, stop)
            sys.stdout.flush()
        except UsageError as error:
            return complain(str(error))
        except BrokenPipeError:
            discard_output()
            return BROKEN_PIPE
        except OSError as error:  # commands explain their own; what is left is a full disk
            discard_output()
            return complain(f"cannot write the output: {error.strerror}")
        return code


def _run(argv: Sequence[str] | None, stop: Stop) -> int:
    if not sys.stdout:  # a shell's >&- leaves none
        sys.stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):  # what a server says need not fit this terminal's set
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="backslashreplace")
    parser = command_line()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:  # argparse has said what there is to say
        return end.code if isinstance(end.code, int) else USAGE
    if arguments.command is None:
        *others, last = parser.commands
        return complain(f"say what to do: {', '.join(others)} or {last} (--help tells more)")
    code: int = import_module(f".{arguments.command}", __name__).run(arguments, stop)
    return code

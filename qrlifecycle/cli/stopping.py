"""How a command is stopped: by Ctrl-C, by SIGTERM, or because its output has no reader any more.

There is one handler for the whole life of the process, because between two handlers a signal would
become a traceback. While something can be stopped, a signal asks it to stop; otherwise, and with a
second signal, the process ends at once, and the kernel closes what was open.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

from .parser import report_error

__all__ = ["Stop"]

BROKEN_PIPE = 128 + 13
"""The exit code of a program whose output has no reader, as in shells; Windows has no SIGPIPE."""


class Stop:
    """Handles signals; a context manager around a whole command.

    Args:
        owns_process: whether the process ends with the command: then the handlers remain installed
            until the interpreter has ended.
    """

    def __init__(self, *, owns_process: bool) -> None:
        self.code: int | None = None
        """The exit code of the stop that was asked for, if there was one."""
        self.suspensions = 0
        """How many times the process was suspended (Ctrl-Z) and resumed."""
        self._leave_screen: bytes = b""
        self._owns_process = owns_process
        self._ask: Callable[[], object] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_error: object) -> None:
        if not self._owns_process:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    @contextmanager
    def asks(self, ask: Callable[[], object]) -> Iterator[None]:
        """While inside, a stop calls ``ask``, possibly between any two bytecodes."""
        self._ask = ask
        try:
            yield
        finally:
            self._ask = None

    @contextmanager
    def screen(self, enter: bytes, leave: bytes) -> Iterator[None]:
        """While inside, the terminal is restored when the process ends at once or is suspended.

        Args:
            enter: what to write to the terminal when the process resumes.
            leave: what to write to restore the terminal.
        """
        suspend: int | None = getattr(signal, "SIGTSTP", None)  # not on Windows
        if suspend is None or not self._before or signal.getsignal(suspend) != signal.SIG_DFL:
            suspend = None

        def suspended(number: int, _frame: object) -> None:
            _write(leave)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            signal.signal(number, suspended)
            _write(enter)
            self.suspensions += 1

        self._leave_screen = leave
        if suspend is not None:
            signal.signal(suspend, suspended)
        try:
            yield
        finally:
            self._leave_screen = b""
            if suspend is not None:
                signal.signal(suspend, signal.SIG_DFL)

    def request(self, code: int) -> None:
        """Ask for a stop with this exit code; the first one counts."""
        if self.code is None:
            self.code = code
            if self._ask is not None:
                self._ask()

    def output_failed(self, error: OSError) -> int:
        """Nothing can be written any more: ask for a stop, and give back its exit code.

        Whose reader or terminal is gone is told nothing; a full disk is told of.
        """
        _discard_output()
        if isinstance(error, BrokenPipeError) or error.errno == errno.EIO:
            code = BROKEN_PIPE
        else:
            code = report_error(f"cannot write the output: {error.strerror}")
        self.request(code)
        return code

    def leave(self, code: int) -> int:
        """End with this exit code, at once if the process is ours.

        A name lookup runs in a thread that cannot be cancelled; the interpreter would wait for it.
        """
        with suppress(OSError):
            sys.stdout.flush()
        if self._owns_process:
            os._exit(code)
        return code

    def _on_signal(self, number: int, _frame: object) -> None:
        if self._ask is not None and self.code is None:
            self.request(128 + number)
            return
        _write(self._leave_screen)
        os._exit(128 + number)


def _write(sequence: bytes) -> None:
    with suppress(OSError):
        os.write(1, sequence)


def _discard_output() -> None:
    """Discard what is still to be flushed, and what follows."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

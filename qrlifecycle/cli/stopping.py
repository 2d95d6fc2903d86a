"""How a command is stopped: by Ctrl-C, by SIGTERM, by a reader of its output who went away.

One handler for the whole life of the process, because each gap between two handlers is a moment in
which a signal becomes a traceback. While there is something to stop, a signal asks it to stop;
otherwise, or asked once more, the process ends on the spot, and the kernel closes what was open.
This room must never know what it stops.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

__all__ = ["BROKEN_PIPE", "Stop", "discard_output"]

BROKEN_PIPE = 128 + 13
"""The exit code of what writes to nobody, as shells know it; Windows has no SIGPIPE to ask."""


class Stop:
    """Hears of signals; a context manager around a whole command.

    Args:
        owns_process: nothing comes after the command: handlers stay until the interpreter is gone.
    """

    def __init__(self, *, owns_process: bool) -> None:
        self.code: int | None = None
        """The exit code that the stop asks for, if there was one."""
        self.suspensions = 0
        """How many times the process was suspended (Ctrl-Z) and went on."""
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
        """While inside, being stopped calls ``ask``, possibly between any two bytecodes."""
        self._ask = ask
        try:
            yield
        finally:
            self._ask = None

    @contextmanager
    def screen(self, enter: bytes, leave: bytes) -> Iterator[None]:
        """While inside, the terminal is left as it was when the process ends on the spot or rests.

        Args:
            enter: what to write to the terminal when the process goes on.
            leave: what to write to make the terminal as it was.
        """
        suspend: int | None = getattr(signal, "SIGTSTP", None)  # not on Windows
        if suspend is None or not self._before or signal.getsignal(suspend) != signal.SIG_DFL:
            suspend = None

        def rest(number: int, _frame: object) -> None:
            _write(leave)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            signal.signal(number, rest)
            _write(enter)
            self.suspensions += 1

        self._leave_screen = leave
        if suspend is not None:
            signal.signal(suspend, rest)
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

    def leave(self, code: int) -> int:
        """End with this exit code, at once if the process is ours.

        A name lookup runs in a thread that nobody can cancel; the interpreter would wait for it.
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


def discard_output() -> None:
    """Nobody reads standard output any more: what is still to be flushed goes nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

"""Which lines of a file run, and in which of its functions."""

from __future__ import annotations

import json
import sys
import threading
from types import FrameType
from typing import Any, Self

__all__ = ["Lines", "Tracer", "lines_as_text", "lines_of_text"]

Lines = dict[str, set[int]]
"""By function, as its qualified name says it: those of its lines that ran."""


class Tracer:
    """Notes what runs of a file meanwhile, in this thread and in those that begin.

    Attributes:
        lines: what ran so far.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.lines: Lines = {}

    def __enter__(self) -> Self:
        self._before = sys.gettrace(), threading.gettrace()
        threading.settrace(self._called)
        sys.settrace(self._called)
        return self

    def __exit__(self, *unused: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Note no more, and let trace who did before."""
        here, threads = self._before
        sys.settrace(here)
        threading.settrace(threads)

    def _called(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        if code.co_filename != self._path:
            return None
        self.lines.setdefault(code.co_qualname, set()).add(frame.f_lineno)
        return self._ran

    def _ran(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        """No function made anew: one that gives back itself is a circle, left to the collector."""
        self.lines[frame.f_code.co_qualname].add(frame.f_lineno)
        return self._ran


def lines_as_text(lines: Lines) -> str:
    """What `lines_of_text` makes the same of again, in another process."""
    return json.dumps({function: sorted(numbers) for function, numbers in lines.items()})


def lines_of_text(text: str) -> Lines:
    """See `lines_as_text`."""
    return {function: set(numbers) for function, numbers in json.loads(text).items()}

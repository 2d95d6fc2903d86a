"""Lines of the program's own code: where a coroutine is, was started, or raised an error.

The program's own is what is neither Python's, nor a package's, nor this package's that steps
coroutines.
"""

from __future__ import annotations

import linecache
import sys
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from types import FrameType

from ..awaiting import chain
from ..user_code import is_own

__all__ = ["ProgramLine", "place_of", "place_of_error", "place_of_start"]

HERE = {str(Path(__file__).with_name(name)) for name in ("stepping_asyncio.py", "stepping_trio.py")}


@dataclass(frozen=True, slots=True)
class ProgramLine:
    """A line of code where a coroutine was."""

    file: str
    line: int
    function: str
    source: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}: {self.source}"


def place_of(coroutine: object, started: ProgramLine | None = None) -> ProgramLine | None:
    """The innermost line of the program's own code on a coroutine's chain of awaits.

    Where all of it is the standard library or installed packages, it is the line of the program's
    at which the task was started, or else the innermost of all.
    """
    frames = [frame for *_, frame in chain(coroutine) if frame.f_code.co_filename not in HERE]
    own = [frame for frame in frames if is_own(frame.f_code.co_filename)]
    if not own and started is not None:
        return started
    return next(map(_place_in, (own or frames)[-1:]), None)


def place_of_start(starter: object, its_own: ProgramLine | None) -> ProgramLine | None:
    """The innermost line of the program's own code that runs now, while a task is being started.

    Args:
        starter: the coroutine of the task that starts it.
        its_own: where that was started itself, which is the answer if it runs no such line.
    """
    outermost = getattr(starter, "cr_frame", None)
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - public, for all its underscore
    while frame is not None and outermost is not None:
        if _is_the_programs(frame):
            return _place_in(frame)
        frame = None if frame is outermost else frame.f_back
    return its_own


def place_of_error(error: BaseException) -> ProgramLine | None:
    """The innermost line of the program's own code that an error came through."""
    frames = [(frame, line) for frame, line in walk_tb(error.__traceback__)]
    own = [(frame, line) for frame, line in frames if _is_the_programs(frame)]
    return next((_place_in(frame, line) for frame, line in own[-1:]), None)


def _is_the_programs(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return is_own(file) and file not in HERE


def _place_in(frame: FrameType, line: int | None = None) -> ProgramLine:
    file = frame.f_code.co_filename
    at = frame.f_lineno if line is None else line
    name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)
    return ProgramLine(file, at, name, linecache.getline(file, at).strip())

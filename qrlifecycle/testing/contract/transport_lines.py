"""Places in somebody's source: the line that is to be looked at, found from what runs or raised."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import isfunction, unwrap
from pathlib import Path
from traceback import walk_stack, walk_tb
from types import FrameType, FunctionType

from ...transports.base import Transport
from ..awaiting import chain

__all__ = [
    "TransportLine",
    "place_of_error",
    "place_of_method",
    "place_of_trouble",
    "place_of_waiting",
    "place_on_stack",
]

KIT = str(Path(__file__).parent)


@dataclass(frozen=True, slots=True)
class TransportLine:
    """A line of a file, and the code in it."""

    path: str
    line: int

    @property
    def code(self) -> str:
        """The code in the line; empty if its source is not to be had."""
        return linecache.getline(self.path, self.line).strip()

    def __str__(self) -> str:
        place = f"{Path(self.path).name}:{self.line}"
        return f"{place}, in `{self.code}`" if self.code else place


def place_of_error(transport: Transport, error: BaseException) -> TransportLine | None:
    """The innermost line of the transport's own files that an error came through."""
    chain: BaseException | None = error
    while chain is not None:
        frames = ((frame.f_code.co_filename, line) for frame, line in walk_tb(chain.__traceback__))
        if (place := _innermost(transport, frames)) is not None:
            return place
        chain = chain.__cause__ or chain.__context__
    return None


def place_of_trouble(error: BaseException) -> str | None:
    """Where what this kit had called raised, in short: the innermost line of that file, or None."""
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    called = next((path for path, _ in frames if not path.startswith(KIT)), None)
    line = next((line for path, line in reversed(frames) if path == called), None)
    return None if called is None else f"{Path(called).name}:{line}"


def place_of_waiting(transport: Transport, awaitable: object) -> TransportLine | None:
    """The innermost line of the transport's own files at which a coroutine of its waits."""
    frames = ((frame.f_code.co_filename, frame.f_lineno) for *_, frame in chain(awaitable))
    return _innermost(transport, frames)


def place_on_stack(transport: Transport, frame: FrameType) -> TransportLine | None:
    """The innermost line of the transport's own files at which a thread is."""
    frames = ((frame.f_code.co_filename, line) for frame, line in walk_stack(frame))
    return _innermost(transport, iter([*frames][::-1]))


def place_of_method(transport: Transport, method: str) -> str:
    """Where a method begins, in words: ``abort() (file.py:58)``.

    Of one that is inherited it is what the class has of its own for it to call: ``_hear()
    (file.py:9, which receive() calls)``; or that it is inherited, if there is nothing of that kind.
    """
    kind = type(transport)
    place = _beginning(kind, method)
    if place is None:
        return f"{method}()"
    if method in vars(kind):
        return f"{method}() ({place})"
    if own := _called_of_its_own(kind, method):
        calls = f"which {method}() calls"
        return " or ".join(f"{name}() ({_beginning(kind, name)}, {calls})" for name in own)
    return f"{method}() ({place}, which {kind.__name__} inherits)"


def _beginning(kind: type[Transport], method: str) -> str | None:
    """File and line, in short; None if that is nowhere to be had."""
    code = getattr(unwrap(getattr(kind, method)), "__code__", None)
    return None if code is None else f"{Path(code.co_filename).name}:{code.co_firstlineno}"


def _called_of_its_own(kind: type[Transport], method: str) -> list[str]:
    """What an inherited method calls that a subclass of its class has overridden."""
    order = kind.__mro__
    definer = next(made for made in order if method in vars(made))
    below = order[: order.index(definer)]
    called = unwrap(getattr(kind, method)).__code__.co_names
    return [
        name
        for name in dict.fromkeys(called)
        if hasattr(definer, name) and any(isfunction(vars(made).get(name)) for made in below)
    ]


def _innermost(transport: Transport, frames: Iterator[tuple[str, int]]) -> TransportLine | None:
    """The innermost in the class's own file, or else in those of the classes it is built on."""
    seen = list(frames)
    for files in _files_of(type(transport)):
        if own := [TransportLine(path, line) for path, line in seen if path in files]:
            return own[-1]
    return None


def _files_of(kind: type[Transport]) -> list[set[str]]:
    """The files that define the methods of a class, and of each that it is built on."""
    contract = set(Transport.__mro__)
    return [
        {
            member.__code__.co_filename
            for member in map(unwrap, filter(callable, vars(made).values()))
            if isinstance(member, FunctionType)
        }
        for made in kind.__mro__
        if made not in contract
    ]

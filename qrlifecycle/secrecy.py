"""What keeps secrets out of tracebacks and pickles, for objects that are given some.

An error keeps the frames that it went through, and a frame keeps what its names stand for. Error
reporters print both, as `traceback.TracebackException` does with ``capture_locals``: every argument
of the constructor that said no, by its `repr()`, and the half-made object beside it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

from .calling import is_of_the_call, misspelt_in
from .errors import WrongAnswer

__all__ = ["NotPickled", "forget_arguments", "forgetful", "shown_half_made"]

Arguments = ParamSpec("Arguments")
Self = TypeVar("Self")
C = TypeVar("C", bound=type)

Init = Callable[Concatenate[Self, Arguments], None]


def forgetful(init: Init[Self, Arguments]) -> Init[Self, Arguments]:
    """Make a constructor whose errors hold no argument: of its frames none is left in them.

    One that does not take what it is given says by name what was meant.
    """

    @wraps(init)
    def forgetting(self: Self, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            init(self, *args, **kwargs)
            return
        except Exception as raised:
            misspelt = None
            if isinstance(raised, TypeError) and is_of_the_call(raised):
                misspelt = misspelt_in(type(self).__name__, inspect.signature(init), kwargs)
            raised.__context__ = None
            error = WrongAnswer(misspelt) if misspelt else raised.with_traceback(None)
        del self, args, kwargs
        raise error

    return forgetting


def forget_arguments(cls: C) -> C:
    """Make the constructor of a dataclass forgetful."""
    made: Any = cls
    made.__init__ = forgetful(made.__init__)
    return cls


def shown_half_made(cls: C) -> C:
    """Make a class that can be shown before its constructor has ended: `repr()` never raises.

    Nor does `str()`, where the class has one of its own.
    """
    for name in {"__repr__", "__str__"} & {"__repr__", *vars(cls)}:
        setattr(cls, name, _shown(getattr(cls, name)))
    return cls


def _shown(whole: Callable[[object], str]) -> Callable[[object], str]:
    @wraps(whole)
    def show(self: object) -> str:
        try:
            return whole(self)
        except AttributeError:
            return f"<{type(self).__name__}, half made>"

    return show


class NotPickled:
    """A base of what may hold secrets, and is neither pickled nor copied."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(f"a {name} may hold secrets, and cannot be pickled or copied: make another")

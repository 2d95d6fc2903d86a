"""When two situations of a program count as one: the part of the exploration that is trusted.

A fingerprint holds everything that what comes next can depend on: the objects, the places where
tasks stand in their coroutines, and every time counted from now. It is audited as it is used:
situations with equal fingerprints must have equal successors, in whatever way they were reached.
"""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Callable, Hashable, Mapping
from enum import Enum
from itertools import repeat
from types import FrameType, MethodType, NoneType
from typing import Any

import anyio

from ...codes import Code
from ...engine.observers import Observers
from ...engine.service import Service
from ...errors import QRLifecycleError
from ...logs import About
from ...outcome import Cancelled, Connected, Failed
from ...policy import Policy
from ...testing.awaiting import chain

__all__ = ["EPOCH", "Fingerprint", "names_in"]

EPOCH = float(2**12)
"""Seconds on a virtual clock beyond which a number is a time and no duration."""

DIGITS = 6
"""Of a time's seconds: what timers for one time are apart says only in which order they were set,
and what runs out first is told by the order of all timers."""

CONSTANT = (Policy, Service, Observers, About, Cancelled, Connected, Failed)
"""What does not change, or does not decide; of an outcome, only its kind does."""

PASSIVE = frozenset(
    {
        "thread",  # a book
        "change_told",  # a word in the log
        "last_failure",  # a word in the outcome's error
        "_received",  # no walk has as many signals as it takes to matter
        *("_factory", "_policy", "policy", "observers", "_observers", "_tasks"),  # never change
        *("_check", "_sleep", "keeper"),
        *("_peer", "_opening", "_closing", "_said"),  # a scripted transport's script
    }
)
"""Attributes that decide nothing."""

STAGE = ("qrlifecycle.testing.", "qrlifecycle.proof.")
"""Rooms whose frames are told by their places alone: what is in their hands is known otherwise."""

PLAIN = frozenset({NoneType, bool, int, str, bytes})
"""Classes whose values are what decides, as they stand."""

NUMBERS = frozenset({bool, int, float, asyncio.TimerHandle})
"""What counts in the hands of a frame that is not ours."""


class Fingerprint:
    """Makes one fingerprint of everything it is given; an object is described once.

    Args:
        now: the virtual clock, in seconds.
        memory: seconds after which the past is no more than past.
        without: attributes and local variables that decide nothing now.
    """

    def __init__(self, now: float, memory: float, without: frozenset[str] = frozenset()) -> None:
        self._now = now
        self._memory = memory
        if (known := _WITHOUT.get(without)) is None:
            known = _WITHOUT[without] = (PASSIVE | without, {})
        self._without, self._names = known
        self._known: dict[int, int] = {}
        self._codes: dict[str, int] = {}
        self._kept: list[object] = []

    def of(self, value: Any) -> Hashable:
        """What decides, of any value."""
        kind = type(value)
        if kind in PLAIN:
            return value  # type: ignore[no-any-return]
        if (describe := _DESCRIBE.get(kind)) is None:
            describe = _DESCRIBE[kind] = _describer(kind)
        return describe(self, value)

    def of_coroutine(self, coroutine: object) -> Hashable:
        """Where a suspended coroutine stands, and with what in its hands."""
        return tuple(
            self._of_place(name, frame, suspended) for suspended, name, frame in chain(coroutine)
        )

    def _of_place(self, name: str, frame: FrameType, suspended: object) -> Hashable:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(STAGE):
            return (name, frame.f_lineno)
        names = frame.f_locals
        if not module.startswith("qrlifecycle"):
            numbers = {key: item for key, item in names.items() if type(item) in NUMBERS}
            return (name, self._of_names(numbers), self._of_held(suspended, names))
        return (name, frame.f_lineno, self._of_names(names), self._of_held(suspended, names))

    def _of_names(self, names: Mapping[str, object]) -> Hashable:
        without, of = self._without, self.of
        return tuple(
            [
                (name, value if type(value) in PLAIN else of(value))
                for name, value in names.items()
                if name not in without
            ]
        )

    def _of_held(self, suspended: object, names: Mapping[str, object]) -> Hashable:
        """What a frame holds beside its names: what with statements will leave, and errors.

        So the same line in a finally block, come to in order or by an error, is two places.
        """
        held: list[Hashable] = []
        for referent in gc.get_referents(suspended):
            if type(referent) is MethodType and referent.__name__ == "__exit__":
                held.append(self.of(referent.__self__))
                inner = getattr(referent.__self__, "gen", None)  # of @contextmanager
                held.append(inner and self._of_held(inner, inner.gi_frame.f_locals))
            elif isinstance(referent, BaseException) and not any(
                referent is value for value in names.values()
            ):
                held.append(_kind_of_error(referent))
        return tuple(held)

    def _of_number(self, value: float) -> Hashable:
        if value < EPOCH or value == math.inf:
            return value
        return ("at", max(round(value - self._now, DIGITS), -self._memory))

    def _of_sequence(self, value: Any) -> Hashable:
        return tuple(map(self.of, value))

    def _of_mapping(self, value: Mapping[Any, object]) -> Hashable:
        return tuple(sorted((str(key), self.of(item)) for key, item in value.items()))

    def _of_code(self, value: Code) -> Hashable:
        return ("code", self._codes.setdefault(value.reveal(), len(self._codes)))

    def _of_scope(self, value: Any) -> Hashable:
        """A cancel scope of anyio's or trio's; one that is cancelled waits for no deadline."""
        return ("scope", value.cancel_called or self._of_number(value.deadline))

    def _of_timer(self, value: asyncio.TimerHandle) -> Hashable:
        return ("timer", self._of_number(value.when()), value.cancelled())

    def _of_ours(self, value: object) -> Hashable:
        """An object of this package: its class and all that it has."""
        if (number := self._known.get(id(value))) is not None:
            return number
        self._known[id(value)] = len(self._known)
        self._kept.append(value)  # so that nothing else gets its id
        kind = type(value)
        if (names := self._names.get(kind)) is None:
            names = self._names[kind] = _slots(kind, self._without)
        of = self.of
        values = map(getattr, repeat(value), names, repeat(None))
        parts = [part if type(part) in PLAIN else of(part) for part in values]
        more = getattr(value, "__dict__", None)
        return (kind.__name__, *parts, self._of_names(more) if more else ())


_WITHOUT: dict[frozenset[str], tuple[frozenset[str], dict[type, tuple[str, ...]]]] = {}
"""For each set of names without, all that decide nothing, and the slots of each class that do."""


def _slots(kind: type, without: frozenset[str]) -> tuple[str, ...]:
    """The slots of a class and its bases, but for these."""
    slots = (name for base in kind.__mro__ for name in getattr(base, "__slots__", ()))
    return tuple(name for name in slots if not name.startswith("__") and name not in without)


_DESCRIBE: dict[type, Callable[[Fingerprint, Any], Hashable]] = {}
"""How each class is described."""


def _describer(kind: type) -> Callable[[Fingerprint, Any], Hashable]:
    """How this class is described: by the first base that fits, or by its name."""
    for base, describe in _DESCRIBE_BASE.items():
        if issubclass(kind, base):
            return describe
    name = kind.__name__
    if name == "CancelScope":
        return Fingerprint._of_scope  # noqa: SLF001 - this module's own
    if kind.__module__.startswith("qrlifecycle"):
        return Fingerprint._of_ours  # noqa: SLF001
    return lambda _print, _value: name


_DESCRIBE_BASE: dict[Any, Callable[[Fingerprint, Any], Hashable]] = {
    Enum: lambda _print, value: value._name_,  # `name` itself is slow
    tuple(PLAIN): lambda _print, value: value,
    CONSTANT: lambda _print, value: type(value).__name__,
    BaseException: lambda _print, value: _kind_of_error(value),
    anyio.Event: lambda _print, value: value.is_set(),
    float: Fingerprint._of_number,  # noqa: SLF001
    (list, tuple): Fingerprint._of_sequence,  # noqa: SLF001
    dict: Fingerprint._of_mapping,  # noqa: SLF001
    Code: Fingerprint._of_code,  # noqa: SLF001
    asyncio.TimerHandle: Fingerprint._of_timer,  # noqa: SLF001
}


def _kind_of_error(error: BaseException) -> str:
    """Its class if it is one of ours; all others mean the same."""
    known = isinstance(error, QRLifecycleError) or not isinstance(error, Exception)
    return type(error).__name__ if known else "Exception"


def names_in(coroutine: object) -> set[str]:
    """The names of the coroutines that a task is suspended in."""
    return {name for _, name, _ in chain(coroutine)}

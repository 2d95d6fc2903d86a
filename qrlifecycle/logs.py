"""What goes into the log of this library: whose line it is, and not one line too many.

Every record of the logger ``qrlifecycle`` has three attributes more: ``lifecycle``, the identifier
that records and journals have as well; ``key``, by which the attempt was joined (`Pairings`), or
None; and ``subject``, whom its transport is for (a bot and a user), or None as long as no transport
was made. Which lifecycle a line belongs to is a context variable, because a transport, its tasks
and its callbacks know of no lifecycle: they run in the context of the `pair()` that they were
started in.

A peer can make the same thing happen again and again, and one event can befall a thousand
lifecycles at once. So what is alike is said once in an attempt and counted from then on, and what
many lifecycles say in the same moment is said by a few of them.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Hashable
from contextlib import suppress
from contextvars import ContextVar, Token
from itertools import count
from typing import Any

__all__ = [
    "IN_ALL",
    "SILENT",
    "About",
    "AddLifecycle",
    "error_once",
    "logger",
    "warn_once",
    "warn_shared",
]

MOST_ALIKE = 32
"""Different lines that one attempt says once each."""

MOST_SHARED = 10
"""Lifecycles that say the same in one moment; after them every tenfold."""

MOMENT = 10.0
"""Seconds."""

MOST_TEXTS = 256
"""Texts that are remembered as said in this moment."""

IN_ALL = "%d times in all: %s"
"""How often came again what was said once."""

logger = logging.getLogger("qrlifecycle")

SILENT = logging.Logger("qrlifecycle.silent", logging.CRITICAL + 1)  # noqa: LOG001 - of no tree
"""Where the log of a library goes that would write what was received: nowhere."""


class About:
    """Which lifecycle log lines are about, and which of them this attempt has said already.

    In ``with about:`` they are about this one. It may be entered again within.
    """

    __slots__ = ("_entered", "_number", "_said", "key", "subject")

    def __init__(self) -> None:
        self._number = next(_numbers)
        self._said: Counter[tuple[int, str]] | None = None
        self._entered: list[Token[About | None]] = []
        self.subject: tuple[str, ...] | None = None
        """Whom its newest transport is for."""
        self.key: Hashable = None
        """By what it was joined, if it was."""

    @property
    def lifecycle(self) -> str:
        """The identifier of the lifecycle."""
        return f"{_process}-{self._number}"

    def __enter__(self) -> None:
        self._entered.append(_current.set(self))

    def __exit__(self, *_error: object) -> None:
        with suppress(ValueError):  # a coroutine that is thrown away may end in another context
            _current.reset(self._entered.pop())

    def is_new(self, level: int, text: str) -> bool:
        """Whether the line was not said in this attempt; it counts as said from now on."""
        if self._said is None:
            self._said = Counter()
        said: Counter[tuple[int, str]] = self._said
        line = (level, text)
        if line not in said and len(said) >= MOST_ALIKE:
            line = (level, "others")
        said[line] += 1
        return said[line] == 1 and line[1] == text

    def sum_up(self) -> None:
        """The attempt has ended: say how often what was said once came again."""
        if (said := self._said) is None:
            return
        self._said = None
        for (level, text), number in said.items():
            if text == "others":
                logger.log(level, "and %d other lines", number)
            elif number > 1:
                logger.log(level, IN_ALL, number, text.partition("\n")[0])


class AddLifecycle(logging.Filter):
    """Gives each record its ``lifecycle``, ``key`` and ``subject``; None where there is none.

    The logger of this library has it. On a handler of yours it does the same for every other logger
    whose lines are written in the course of a `pair()`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the three, unless they are there; let every record through."""
        about = _current.get()
        fields: dict[str, Any] = vars(record)
        fields.setdefault("lifecycle", None if about is None else about.lifecycle)
        fields.setdefault("key", None if about is None else about.key)
        fields.setdefault("subject", None if about is None else about.subject)
        return True


def error_once(text: str, *args: object) -> None:
    """Log an error that may come again and again: once in an attempt, and at its end how often."""
    _say_once(logging.ERROR, text, args)


def warn_once(text: str, *args: object) -> None:
    """The same for a warning."""
    _say_once(logging.WARNING, text, args)


def warn_shared(text: str, *args: object, alike: str, otherwise: int = logging.DEBUG) -> None:
    """Warn of what may befall many lifecycles in one moment: some say it, the others at DEBUG.

    Args:
        text: what to log.
        args: what goes into the text.
        alike: what makes two of these lines the same.
        otherwise: the level at which the others say it.
    """
    _say_shared(logging.WARNING, text, args, alike, otherwise=otherwise)


def _say_once(level: int, text: str, args: tuple[object, ...]) -> None:
    about, line = _current.get(), text % args
    if about is None or about.is_new(level, line):
        _say_shared(level, text, args, line, stacklevel=4)


def _say_shared(
    level: int,
    text: str,
    args: tuple[object, ...],
    alike: str,
    *,
    stacklevel: int = 3,
    otherwise: int = logging.DEBUG,
) -> None:
    now = time.monotonic()
    began, number = _moments.get(alike, (now, 0))
    if now - began > MOMENT:
        began, number = now, 0
    if alike not in _moments and len(_moments) >= MOST_TEXTS:
        _moments.clear()
    number += 1
    _moments[alike] = began, number
    if number <= MOST_SHARED:
        logger.log(level, text, *args, stacklevel=stacklevel)
    elif str(number).strip("0") == "1":  # 100, 1000, ...
        text = f"{text} (the %dth in {MOMENT:g} s)"
        logger.log(level, text, *args, number, stacklevel=stacklevel)
    else:
        logger.log(otherwise, text, *args, stacklevel=stacklevel)


_current: ContextVar[About | None] = ContextVar("qrlifecycle", default=None)
_moments: dict[str, tuple[float, int]] = {}
_process = os.urandom(5).hex()
_numbers = count(1)


def _in_a_new_process() -> None:
    global _process  # noqa: PLW0603 - a forked child is another process
    _process = os.urandom(5).hex()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_new_process)

logger.addFilter(AddLifecycle())

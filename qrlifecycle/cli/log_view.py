"""The library's own log at a terminal: what is alike is said once, until there is something new.

A log has a line for each try. Whoever sits in front of it has read why there is no code, and waits.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ..engine.connection import LISTENS
from ..engine.failures import FAILED
from ..logs import IN_ALL
from .plain_view import PlainView

__all__ = ["log_to"]

SAID_AT_THE_END = frozenset({FAILED, IN_ALL})
"""Lines that say what the view itself says of the end, or said before."""


class LogToView(logging.Handler):
    """Shows the library's own log lines."""

    def __init__(self, view: PlainView) -> None:
        super().__init__(logging.INFO)
        self._view = view
        self._said: set[str] = set()
        """What was said since a transport last listened."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Not the records of child loggers: the demo's server logs sockets too."""
        return record.name == "qrlifecycle" and record.msg not in SAID_AT_THE_END

    def emit(self, record: logging.LogRecord) -> None:
        """Show it, if it is new."""
        if record.msg == LISTENS:
            self._said.clear()
        if (matter := _matter_of(record)) not in self._said:
            self._said.add(matter)
            self._view.say(record.getMessage())


def _matter_of(record: logging.LogRecord) -> str:
    """What it is about: of a warning its cause, whatever is made of that, and after what delay."""
    if record.levelno == logging.WARNING and isinstance(record.args, tuple) and record.args:
        return str(record.args[0])
    return record.getMessage()


@contextmanager
def log_to(view: PlainView) -> Iterator[None]:
    """Have the library's log shown in a view, and nowhere else."""
    logger, handler = logging.getLogger("qrlifecycle"), LogToView(view)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate

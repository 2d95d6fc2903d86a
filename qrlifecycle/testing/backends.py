"""The event loops that a test can name."""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import InvalidValue, MissingExtra

__all__ = ["BACKENDS", "check_backend"]

BACKENDS = ("asyncio", "trio")


def check_backend(name: str) -> None:
    """Make sure of an event loop's name.

    Raises:
        InvalidValue: there is no such event loop.
        MissingExtra: it is not installed.
    """
    if name not in BACKENDS:
        raise InvalidValue(f"no backend {name!r}; there are {' and '.join(map(repr, BACKENDS))}")
    if find_spec(name) is None:
        raise MissingExtra(f"the backend {name!r}", "testing")

"""The event loops that a test can name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from ..errors import InvalidValue, MissingExtra

__all__ = ["BACKENDS", "check_backend", "other_loop"]

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


def other_loop(name: str, options: Mapping[str, Any]) -> tuple[str, str] | None:
    """Which event loop was asked for and which one runs, in words; None if they are the same.

    Args:
        name: ``asyncio`` or ``trio``, as anyio's plugin has it.
        options: what the backend was to be started with.
    """
    try:
        running: object = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    kind = "trio" if running is None else "asyncio"
    if kind != name:
        return name, kind
    factory = options.get("loop_factory")
    if isinstance(factory, type) and running is not None and not isinstance(running, factory):
        return f"asyncio's {factory.__name__}", f"its {type(running).__name__}"
    return None

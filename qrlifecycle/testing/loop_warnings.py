"""What an event loop's end brings to light: things thrown away unclosed, errors nobody looked at.

Python reports these to nobody in particular, in three ways: a warning, `sys.unraisablehook`, and an
asyncio loop's exception handler.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TextIO

__all__ = ["LoopWarnings", "loop_exceptions"]

NEVER_AWAITED = "coroutine .* was never awaited"


class LoopWarnings:
    """Collects such reports of this process while it is entered; it is a context manager.

    Run the event loop inside. Other warnings go where they went before. On leaving, garbage is
    collected, so that what was lost says so.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        """What was said, in words."""
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> Self:
        self._filters.__enter__()
        self._pass_on = warnings.showwarning
        warnings.showwarning = self._note_warning
        warnings.filterwarnings("always", category=ResourceWarning)
        warnings.filterwarnings("always", message=NEVER_AWAITED, category=RuntimeWarning)
        self._hook, sys.unraisablehook = sys.unraisablehook, self._note_unraisable
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        gc.collect()
        sys.unraisablehook = self._hook
        self._filters.__exit__(kind, error, traceback)

    def watch_loop(self) -> None:
        """Be the running event loop's exception handler as well, if it has one (asyncio)."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        loop.set_exception_handler(lambda _loop, context: self._note_handler(context))

    def _note_warning(  # noqa: PLR0917 - as `warnings.showwarning`
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, ResourceWarning) or "was never awaited" in str(message):
            self.texts.append(f"{category.__name__}: {message}")
        else:
            self._pass_on(message, category, filename, lineno, file, line)

    def _note_unraisable(self, unraisable: Any) -> None:
        what = unraisable.err_msg or "exception ignored in"
        error = f"{unraisable.exc_type.__name__}: {unraisable.exc_value}"
        self.texts.append(f"{what} {unraisable.object!r}: {error}")

    def _note_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        text = "" if error is None else f": {type(error).__name__}: {error}"
        self.texts.append(f"{context.get('message', 'the event loop complains')}{text}")


@contextmanager
def loop_exceptions() -> Iterator[list[dict[str, Any]]]:
    """What asyncio's exception handler is called with meanwhile; nothing on other loops."""
    contexts: list[dict[str, Any]] = []
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        yield contexts
        return
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: contexts.append(context))
    try:
        yield contexts
    finally:
        loop.set_exception_handler(before)

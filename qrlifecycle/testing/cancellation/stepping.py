"""A coroutine that runs step by step, and is cancelled right before or after one of its steps.

A step is what a scheduler runs of a task at a time: from one await that had to wait to the next.
The coroutine's own tasks are those that inherit its context: its children, but not a server beside
it. Here is what both event loops share; `stepping_asyncio` and `stepping_trio` have the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from enum import Enum, auto

from ..wording import error_text
from .program_lines import ProgramLine, place_of_error

__all__ = ["OURS", "OWNER", "End", "SteppedRun"]

OWNER: ContextVar[SteppedRun] = ContextVar("qrlifecycle_stepped_run")
"""The run that a task belongs to."""

OURS = "cancelled by qrlifecycle.testing"
"""What a cancellation of ours says, to be known from others."""


class End(Enum):
    """How a coroutine ended."""

    RETURNED = auto()
    RAISED = auto()
    CANCELLED = auto()
    OVERDUE = auto()


class SteppedRun(ABC):
    """One run of a coroutine in the event loop at hand.

    Args:
        cancel_at: the step at which it is cancelled, from 1; None for never.
        after: cancel when the step has been made and its task waits again, not right before it,
            when what the task waited for is there already.
        native: cancel the task instead of a scope around it.
    """

    def __init__(
        self, cancel_at: int | None = None, *, after: bool = False, native: bool = False
    ) -> None:
        self.cancel_at = cancel_at
        self.after = after
        self.native = native
        self.steps = 0
        """How many steps the coroutine and its children have made."""
        self.place: ProgramLine | None = None
        """Where the cancellation met the task whose step it was; without one, where the coroutine
        raised a cancellation of its own."""
        self.waits: ProgramLine | None = None
        """Where the coroutine waited when it was overdue."""
        self.delivered = False
        """Whether the cancellation was raised in the coroutine itself."""
        self.end: End | None = None
        self.error: BaseException | None = None
        """What it raised, of a run that nobody cancelled."""
        self.raised = ""
        """What it raised, in words: the error itself would keep everything alive."""

    @abstractmethod
    async def run(self, attempt: Callable[[], Awaitable[object]], timeout: float) -> None:
        """Run to the end; after ``timeout`` seconds it counts as `End.OVERDUE`."""

    @abstractmethod
    def left(self) -> list[str]:
        """The coroutine's children that are still there, in words."""

    @abstractmethod
    def let_go(self, patience: float) -> None:
        """Stop stepping what is still there after so many seconds.

        When it ends, the event loop cancels what is there and waits for it, without a limit.
        """

    def reached(self) -> bool:
        """Count a step; say whether it is the one at which to cancel."""
        self.steps += 1
        return self.steps == self.cancel_at

    def note_end(self, error: BaseException | None, cancelled: type[BaseException]) -> None:
        """Note how the coroutine ended, in time: with an error, or with None."""
        if self.end is End.OVERDUE:
            return
        if isinstance(error, BaseExceptionGroup):
            error = error.split(cancelled)[1] or cancelled().with_traceback(error.__traceback__)
        if error is None:
            self.end = End.RETURNED
        elif isinstance(error, cancelled):
            self.end = End.CANCELLED
            if self.cancel_at is None:
                self.place = place_of_error(error)
        else:
            self.end = End.RAISED
            self.raised = error_text(error)
            if self.cancel_at is None:
                self.error = error

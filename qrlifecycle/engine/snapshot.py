"""What goes on inside a lifecycle, at one instant, for whoever inspects or proves it."""

from __future__ import annotations

from typing import NamedTuple

from ..codes import Code
from ..states import ENDS, OUTCOMES, Event, Phase, State
from .attempt import Attempt
from .progress import Progress

__all__ = ["Snapshot", "take_snapshot"]


class Snapshot(NamedTuple):
    """One lifecycle at one instant."""

    state: State
    running: bool
    """Whether a `pair()` runs. At an end of the table it is about to return."""
    phase: Phase | None
    """What the person owes while a code is displayed; what is asked for, in `generating`."""
    transport: Phase | None
    """Where the transport is; None where there can be none."""
    pending: Event | None
    """What is decided, and is taken when nothing of the state is left."""
    final_check: bool
    """Whether the final status check is under way."""
    newest_code: Code | None
    """The newest code, handed out or not; its repr hides it."""
    read_requested: bool
    """Whether a read of the status is due that has not begun."""
    leased: bool | None = None
    """Whether the lease is held; None where there is none."""

    @property
    def ending(self) -> bool:
        """Whether the `pair()` that runs has come to its end, or will: one is decided on."""
        return self.running and (self.state in ENDS or self.pending in OUTCOMES)


def take_snapshot(progress: Progress, attempt: Attempt | None) -> Snapshot:
    """What goes on now."""
    connection = None if attempt is None else attempt.incoming.connection
    reader = None if attempt is None else attempt.incoming.reader
    return Snapshot(
        state=progress.state,
        running=attempt is not None,
        phase=progress.phase,
        transport=None if connection is None else connection.phase,
        pending=None if progress.pending is None else progress.pending.event,
        final_check=progress.final_check,
        newest_code=progress.code,
        read_requested=reader is not None and reader.read_requested,
        leased=None if attempt is None else attempt.leased,
    )

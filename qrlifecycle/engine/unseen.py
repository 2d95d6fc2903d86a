"""A code that nobody was given: it lies there until it runs out, and nothing is wrong to be seen.

It is said when one is over that was shown for a while, and not before: a page asks every second or
two, or when somebody opens it. And only of a lifecycle whose `request_qr` is not the program's own,
which may show what it got by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from anyio import current_time

from ..codes import PairingCode
from ..logs import warn_once
from ..states import Event

__all__ = ["Unseen"]

READ_AT: Mapping[str, str] = {"on_qr_updated": "qr", "on_pairing_code": "pairing_code"}
"""Where a lifecycle has the code that a hook is told."""

A_WHILE = 15.0
"""Seconds for which a code is shown at least that somebody would have looked for."""

OVER = frozenset({Event.QR_UPDATED, Event.EXPIRED, Event.FAIL})
"""What ends a code that nobody has scanned."""

SOMEBODY = frozenset({Event.SCANNED, Event.ACTION_REQUIRED, Event.PAIRED})
"""What tells that somebody sees codes, by whatever way."""


class Unseen:
    """Notices a code that nobody was given.

    Args:
        hooks: the names of those that there are.
    """

    __slots__ = ("_awaits", "_given", "_since")

    def __init__(self, hooks: Iterable[str]) -> None:
        self._given = {hook for hook in READ_AT if hook in hooks}
        """Which codes somebody gets, by the hook that is for them."""
        self._awaits: str | None = None
        """The hook that is for the code that is shown now."""
        self._since = 0.0
        """When it was shown first."""

    def note_read(self, where: str) -> None:
        """The program looks for a code itself."""
        self._given.update(hook for hook, place in READ_AT.items() if place == where)

    def note(self, event: Event, carried: object) -> None:
        """A row was taken."""
        awaits, self._awaits = self._awaits, None
        if event in SOMEBODY:
            self._given.update(READ_AT)
        elif event in OVER and awaits is not None and awaits not in self._given:
            self._say(awaits)
        if event is Event.QR_UPDATED:
            is_typed = isinstance(carried, PairingCode)
            self._awaits = "on_pairing_code" if is_typed else "on_qr_updated"
            self._since = current_time()

    def _say(self, hook: str) -> None:
        if current_time() - self._since >= A_WHILE:
            text = "nobody was given the code that is over now: give %s=, or read lifecycle.%s"
            warn_once(text, hook, READ_AT[hook])

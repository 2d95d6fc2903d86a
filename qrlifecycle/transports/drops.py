"""What became of nothing: counted by cause, and said within bounds.

A peer can send as much as it likes of what nobody can read. So of what is alike the first is said,
of each cause some few, and all the rest in one line when the transport is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ..logs import logger, warn_shared
from .messages import Drop, Dropped

__all__ = ["Drops"]

MOST_SAID = 8
"""Different messages of one cause that are said by one transport."""


class Drops:
    """Counts what one transport dropped."""

    __slots__ = ("_counts", "_said", "_unsaid")

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._said: dict[Drop, set[tuple[str, str]]] = {}
        self._unsaid: Counter[Drop] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many messages became nothing, by cause (`Drop`)."""
        return dict(self._counts)

    def note(self, dropped: Dropped, event: object) -> None:
        """A message became nothing, of this name if it has one: say it, unless one like it was."""
        cause, why = dropped
        self._counts[cause.value] += 1
        said = self._said.setdefault(cause, set())
        alike = (f"{event:.40}" if isinstance(event, str) else type(event).__name__, why)
        if alike in said or len(said) >= MOST_SAID:
            self._unsaid[cause] += 1
            return
        said.add(alike)
        reason = f": {why}" if why else ""
        named = "" if event is None else f" (event {event!r:.40})"
        self._say(cause, f"a message was dropped: {cause.value}{named}{reason}")

    def sum_up(self) -> None:
        """The transport is gone: say once how many more there were."""
        for cause, count in self._unsaid.items():
            self._say(cause, f"{count} more messages were dropped: {cause.value}")
        self._unsaid.clear()

    def _say(self, cause: Drop, line: str) -> None:
        # Known by name and yet unreadable: that is for the author of `signals` to know.
        if cause is Drop.MALFORMED:
            warn_shared("%s", line, alike=line)
        else:
            logger.debug("%s", line)

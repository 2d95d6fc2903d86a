"""What a shared socket tells of itself, in the log and in records: its members tell nothing of it.

A line or a record for each member would say the same some thousand times, and count sockets that
there are not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...engine.failures import cause_of
from ...engine.recording import Recording
from ...errors import TransportError
from ...logs import About, logger, warn_shared
from ...records import Closing, Recorder, SharedClosed, SharedOpened, SharedOpening

__all__ = ["Telling"]


class Telling:
    """The log and the recorders of one shared socket.

    Args:
        recorders: each is told each record.
    """

    __slots__ = ("_recording", "about")

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self.about = About()
        """Which shared socket it is, for its log and its records."""
        self._recording = Recording(tuple(recorders), _deliver, self.about)

    def opening(self) -> None:
        """A feed was made."""
        logger.info("connecting for all QR displays")
        self._recording.attempt += 1
        self._recording.record(SharedOpening)

    def opened(self) -> None:
        """It listens."""
        logger.info("connected for all QR displays")
        self._recording.record(SharedOpened)

    def broke(self, failure: Exception, delay: float) -> None:
        """It ended, and not because nobody needed it."""
        cause = cause_of(failure)
        text = "%s; the next shared socket opens in %.1f s, if it is needed"
        warn_shared(text, cause, delay, alike=f"shared: {cause}")

    def closed(self, how: Closing, failure: Exception | None) -> None:
        """It is gone; ``failure`` is what it broke by, if it did."""
        logger.info("shared socket closed")
        self.about.sum_up()
        ending = failure.ending if isinstance(failure, TransportError) else None
        self._recording.record(SharedClosed, how, ending)


def _deliver(deliver: Callable[[Any], object], item: object) -> None:
    deliver(item)

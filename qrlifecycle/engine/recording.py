"""Makes the records of one lifecycle, and tells the recorders.

What a peer may repeat without end is told once, or counted until the attempt ends, so that nobody
fills a disk. A record is stamped in the instant in which it happens, also where it is told later
(see `observers`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from ..logs import About, logger
from ..outcome import Connected, Outcome
from ..policy import Policy
from ..records import Began, Changed, Dropped, Ended, Record, Recorder
from ..states import Event, State
from .user_code import fault_of, name_of, not_run, place_of, reraise, warn_if_it_blocked

__all__ = ["Recording"]

MOST_INTERNAL = 1_000
"""Internal changes within one state that are told; a peer may have more."""


class Recording:
    """Tells the recorders of one lifecycle what happens to it.

    Args:
        recorders: each is told each record, in order.
        publish: puts a record into the observers' queue, with how it is delivered.
        about: which lifecycle it is.
    """

    __slots__ = ("_about", "_complained", "_dropped", "_internal", "_publish", "_recorders",
                 "attempt")  # fmt: skip

    def __init__(
        self,
        recorders: tuple[Recorder, ...],
        publish: Callable[[Callable[[Any], object], object], None],
        about: About,
    ) -> None:
        self._recorders = recorders
        self._publish = publish
        self._about = about
        self.attempt = 0
        """How many have begun."""
        self._dropped: Counter[str] = Counter()
        self._internal: list[Event] = []
        self._complained = False

    def begin(self, policy: Policy) -> None:
        """Another attempt begins."""
        self.attempt += 1
        self.record(Began, policy.close_timeout, _words_of(self._about.key))

    def end(self) -> None:
        """The attempt has ended."""
        try:
            for cause, number in self._dropped.items():
                self.record(Dropped, cause, number)
        finally:
            self._dropped.clear()
            self.record(Ended)

    def drop(self, dropped: Mapping[str, int]) -> None:
        """Something became of nothing."""
        self._dropped.update(dropped)

    def change(
        self, source: State, event: Event, target: State, outcome: Outcome | None
    ) -> Record | None:
        """The record of a row that was taken, which is yet to be told.

        The same internal row once more is no news, but for another code.
        """
        told = self._internal
        if source is not target:
            told.clear()
        else:
            again = event in told[-1:] and event is not Event.QR_UPDATED
            if again or len(told) >= MOST_INTERNAL:
                return None
            told.append(event)
        reason = None if outcome is None or isinstance(outcome, Connected) else outcome.reason
        return self._make(Changed, source, event, target, reason)

    def record(self, kind: Callable[..., Record], *fields: object) -> None:
        """Something happens now."""
        self._publish(self.tell, self._make(kind, *fields))

    def _make(self, kind: Callable[..., Record], *fields: object) -> Record:
        name = self._about.lifecycle
        return kind(name, self.attempt, time.monotonic(), time.time(), *fields)

    def tell(self, record: Record) -> None:
        """Tell all recorders."""
        raised: BaseException | None = None
        for recorder in self._recorders:
            try:
                self._tell_one(recorder, record)
            except BaseException as error:  # the other recorders are told all the same
                raised = raised or error
        if raised is not None:
            reraise(raised)

    def _tell_one(self, recorder: Recorder, record: Record) -> None:
        began = time.monotonic()
        try:
            answer: object = recorder(record)
        except BaseException as error:
            fault = fault_of(error)
            self._complain(f"raised {name_of(fault)}{place_of(fault)}")
        else:
            if (trouble := not_run(answer)) is not None:
                self._complain(trouble)
        finally:
            warn_if_it_blocked("a recorder", began)

    def _complain(self, trouble: str) -> None:
        if not self._complained:  # a disk that is full stays full
            logger.error("a recorder %s; it is not said again", trouble)
        self._complained = True


def _words_of(key: Hashable) -> tuple[str, ...] | None:
    """The parts of a key as text; it is the program's, and may have none."""
    try:
        return None if key is None else tuple(map(str, key if isinstance(key, tuple) else (key,)))
    except BaseException as error:
        fault_of(error)
        return None

"""The audit: one object that any number of lifecycles report to, and that raises alerts.

Give it to each lifecycle (``recorders=[audit]``), or feed it the records of a journal. It counts
figures, and judges records against the promises and against limits. Attempts that have ended are
forgotten, so its memory grows only with what goes on at once.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator

from ...calling import require_plain_function
from ...engine.user_code import not_run, place_of
from ...errors import InvalidValue
from ...logs import AddLifecycle
from ...records import (
    Began,
    Changed,
    Closed,
    Dropped,
    Ended,
    Leaving,
    Opening,
    Record,
    SharedClosed,
    SharedOpened,
    SharedOpening,
)
from ...states import SOCKET_OWNER, Event, State
from ..forks import in_each_fork
from .across import AcrossProcesses
from .alerts import (
    Alert,
    Limits,
    PromiseBroken,
    SecondSocket,
    SlowSuccess,
    SocketOutsideDisplayed,
    Waste,
)
from .figures import Durations, Figures
from .sockets import Sockets
from .trail import Trail

__all__ = [
    "Alert",
    "Audit",
    "Durations",
    "Figures",
    "Limits",
    "PromiseBroken",
    "SecondSocket",
    "SlowSuccess",
    "SocketOutsideDisplayed",
    "Waste",
]

MOST_TRAILS = 100_000
"""How many attempts are followed at once; beyond that, the one that began first is forgotten. The
journal of processes that died has attempts without an end."""

MOST_SHARED = 10_000
"""How many shared sockets are followed at once, likewise."""

MOST_ENDED = 1_000
"""How many attempts are remembered after their end."""

MOST_CAUSES = 100
"""How many causes are counted apart; a transport may build them from what it reads."""

OTHER = "other"
"""The cause that further ones are counted under."""

logger = logging.getLogger("qrlifecycle.audit")
logger.addFilter(AddLifecycle())


class Audit:
    """Counts and judges what lifecycles report. Safe to share between threads.

    Args:
        limits: beyond which there is an alert.
        on_alert: a plain function that is called with each alert, in the thread that reported.
            Without one, or where it raises, alerts are warnings on the logger
            ``qrlifecycle.audit``.
        clock: the clock of `Record.monotonic`, for sockets that are open now; None if the records
            are those of another process.

    Raises:
        InvalidValue: the limits are none, or `on_alert` is no plain function of one argument.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        on_alert: Callable[[Alert], object] | None = None,
        clock: Callable[[], float] | None = time.monotonic,
    ) -> None:
        if not isinstance(limits, Limits | None):
            raise InvalidValue(f"limits must be Limits(...), not {type(limits).__name__}")
        self._limits = limits or Limits()
        if on_alert is not None:
            require_plain_function("on_alert", on_alert)
        self._on_alert = on_alert
        self._clock = clock
        self._listeners: list[Callable[[str, float], object]] = []
        self._begin()
        in_each_fork(self._begin)

    def _begin(self) -> None:
        """Start from zero; also in a forked process, whose parent goes on counting its own."""
        self._lock = threading.RLock()  # a signal handler may ask for the figures in the middle
        self._trails: OrderedDict[str, Trail] = OrderedDict()
        self._past: OrderedDict[str, Trail] = OrderedDict()
        """The latest that ended, to judge records that come after an end."""
        self._shared: OrderedDict[str, float] = OrderedDict()
        """Shared sockets that are held, and when they were told of last."""
        self._sockets = Sockets()
        self._across = AcrossProcesses()
        self._window: deque[tuple[float, int, bool]] = deque(maxlen=self._limits.window)
        self._wasted = {"socket_seconds_per_success": False, "codes_per_success": False}
        self._counts: Counter[str] = Counter()
        self._closings: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._alerts: Counter[str] = Counter()
        self._durations: dict[str, Durations] = {}
        self._measured: list[tuple[str, float]] = []

    def __call__(self, record: Record) -> None:
        """Count and judge a record: this makes an audit a recorder."""
        with self._lock:
            alerts = self._counted(self._judge(record))
            measured, self._measured = self._measured, []
        self._alert(alerts)
        for name, seconds in measured:
            for listener in self._listeners:
                _call("a listener of an audit", listener, name, seconds)

    def figures(self) -> Figures:
        """The figures so far.

        An overdue closing is found here too: if the socket never closes, there is no record.
        """
        now = None if self._clock is None else self._clock()
        with self._lock:
            alerts = [] if now is None else self._counted(self._overdue(now))
            figures = self._figures(now)
        self._alert(alerts)
        return figures

    def _figures(self, now: float | None) -> Figures:
        sockets = self._sockets

        def until(name: str) -> float:  # in another process, only its records are known
            if now is not None:
                return now
            trail = self._trails.get(name)
            return self._known_until(name) if trail is None else trail.latest

        return Figures(
            sockets_open=sockets.open,
            sockets_most=sockets.most,
            socket_seconds=sockets.seconds_at(until),
            shares_open=sockets.shares,
            leases_held=sum(trail.leased is True for trail in self._trails.values()),
            leases_awaited=sum(trail.awaits_lease for trail in self._trails.values()),
            openings=self._counts["openings"],
            closings=dict(self._closings),
            attempts=self._counts["attempts"],
            codes=self._counts["codes"],
            outcomes=dict(self._outcomes),
            found_by_status=self._counts["found_by_status"],
            dropped=dict(self._dropped),
            success_to_closed=self._durations.get("success_to_closed", Durations()),
            scan_to_success=self._durations.get("scan_to_success", Durations()),
            alerts=dict(self._alerts),
            unfinished=self._counts["forgotten"]
            + sum(not trail.ended for trail in self._trails.values()),
        )

    def listen(self, listener: Callable[[str, float], object]) -> None:
        """Call a plain function with each duration: its name in `Figures`, and its seconds.

        Raises:
            InvalidValue: it is none, or does not take the two.
        """
        require_plain_function("a listener", listener, 2)
        self._listeners.append(listener)

    def _counted(self, alerts: Iterator[Alert]) -> list[Alert]:
        counted = list(alerts)
        self._alerts.update(alert.kind for alert in counted)
        return counted

    def _alert(self, alerts: list[Alert]) -> None:
        for alert in alerts:
            if self._on_alert is None or not _call("on_alert", self._on_alert, alert):
                _log(alert)

    def _overdue(self, now: float) -> Iterator[Alert]:
        for name, trail in tuple(self._trails.items()):
            for promise, text in trail.overdue(now):
                yield PromiseBroken(name, trail.attempt, trail.subject, time.time(), promise, text)

    # One record

    def _judge(self, record: Record) -> Iterator[Alert]:
        if isinstance(record, SharedOpening | SharedOpened | SharedClosed):
            self._note_shared(record)
            return
        if isinstance(record, Dropped):
            known = record.cause in self._dropped or len(self._dropped) < MOST_CAUSES
            self._dropped[record.cause if known else OTHER] += record.count
            return
        yield from self._cut_off(record)
        trail = self._trail(record)
        for promise, text in trail.follow(record):
            kind = SocketOutsideDisplayed if promise == 1 else PromiseBroken
            yield kind(*_who(record, trail), promise, text)
        match record:
            case Began():
                self._counts["attempts"] += 1
            case Opening():
                yield from self._opened(record, trail)
            case Leaving():
                yield from self._leaving(record, trail)
            case Closed():
                yield from self._closed(record, trail)
            case Changed():
                yield from self._changed(record, trail)
            case Ended():
                yield from self._ended(record, trail)

    def _cut_off(self, record: Record) -> Iterator[Alert]:
        """An attempt begins, and the previous one of the same lifecycle has no end."""
        trail = self._trails.get(record.lifecycle) if isinstance(record, Began) else None
        if trail is not None:
            for promise, text in trail.cut_off("another attempt began while a socket was open"):
                yield PromiseBroken(*_who(record, trail), promise, text)

    def _trail(self, record: Record) -> Trail:
        """The trail of a record; followed from now on if more records can come."""
        name, ended = record.lifecycle, self._past.get(record.lifecycle)
        begins = isinstance(record, Began)
        if begins and name in self._trails:  # its end is missing
            self._forget(name)
        trail = self._trails.get(name) or (None if begins else ended)
        if trail is None:
            trail = Trail(record, state=None if ended is None else ended.state)
        displayed = isinstance(record, Changed) and record.target is SOCKET_OWNER
        if name not in self._trails and (begins or displayed or isinstance(record, Opening)):
            self._past.pop(name, None)
            if len(self._trails) >= MOST_TRAILS:
                self._forget(next(iter(self._trails)))
            self._trails[name] = trail
        return trail

    def _forget(self, lifecycle: str) -> None:
        """Stop following an attempt without an end; in a journal, its process may have died."""
        trail = self._trails.pop(lifecycle)
        self._counts["forgotten"] += not trail.ended
        if self._clock is None:
            self._sockets.process_ended(lifecycle, trail.latest)

    def _note_shared(self, record: SharedOpening | SharedOpened | SharedClosed) -> None:
        """Count a shared socket: it is a socket, whoever has a share of it."""
        name, at = record.lifecycle, record.monotonic
        if isinstance(record, SharedOpening):
            self._counts["openings"] += 1
            if name not in self._shared and len(self._shared) >= MOST_SHARED:
                self._sockets.process_ended(*self._shared.popitem(last=False))
            self._sockets.opened(name, None, at)
            self._shared[name] = at
        elif isinstance(record, SharedClosed):
            self._closings[record.how.value] += 1
            self._sockets.closed(name, at)
            self._shared.pop(name, None)
        elif name in self._shared:
            self._shared[name] = at

    def _known_until(self, shared: str) -> float:
        """Until when a shared socket is known to have been held: as long as its process told."""
        process = shared.partition("-")[0]
        told = [t.latest for name, t in self._trails.items() if name.partition("-")[0] == process]
        return max([self._shared.get(shared, -math.inf), *told])

    def _opened(self, record: Opening, trail: Trail) -> Iterator[Alert]:
        self._counts["openings"] += record.shared is None
        limit = self._limits.openings_per_attempt
        if trail.openings - 1 <= limit < trail.openings:  # once, not with each that follows
            yield Waste(*_who(record, trail), "openings_per_attempt", trail.openings, limit)
        if self._clock is None:  # else there is one process, whose sockets are counted below
            self._across.opened(record)
        name, at = record.lifecycle, record.monotonic
        if others := self._sockets.opened(name, record.subject, at, record.shared):
            yield SecondSocket(*_who(record, trail), others)

    def _closed(self, record: Closed, trail: Trail) -> Iterator[Alert]:
        if others := self._across.closed(record):
            yield SecondSocket(*_who(record, trail), others, elsewhere=True)
        if self._sockets.closed(record.lifecycle, record.monotonic):
            self._closings[record.how.value] += 1

    def _changed(self, record: Changed, trail: Trail) -> Iterator[Alert]:
        if record.event is Event.QR_UPDATED:
            self._counts["codes"] += 1
        if self._trails.get(record.lifecycle) is not trail or trail.ends != 1:
            return  # no outcome between attempts, and one for each attempt
        if record.source is record.target or record.event in (Event.GENERATE, Event.RESET):
            return
        if record.target is State.CONNECTED:
            self._outcomes["connected"] += 1
            self._counts["found_by_status"] += trail.found_by_status
            yield from self._succeeded(record, trail)
        elif record.reason is not None:
            self._outcomes[record.reason.value] += 1

    def _leaving(self, record: Leaving, trail: Trail) -> Iterator[Alert]:
        if record.event is Event.PAIRED and trail.scanned_at is not None:
            took = record.monotonic - trail.scanned_at
            self._measure("scan_to_success", took)
            if took > self._limits.scan_to_success:
                yield SlowSuccess(*_who(record, trail), "scan", took, self._limits.scan_to_success)

    def _succeeded(self, record: Changed, trail: Trail) -> Iterator[Alert]:
        if trail.success_at is not None and not trail.sockets:
            closed_at = record.monotonic if trail.closed_at is None else trail.closed_at
            self._measure("success_to_closed", closed_at - trail.success_at)
            took = record.monotonic - trail.success_at
            if took > self._limits.success:
                yield SlowSuccess(*_who(record, trail), "signal", took, self._limits.success)

    def _ended(self, record: Ended, trail: Trail) -> Iterator[Alert]:
        """The attempt has ended; what it used counts in the window."""
        if self._trails.get(record.lifecycle) is not trail:
            return
        if not trail.sockets:
            self._past[record.lifecycle] = self._trails.pop(record.lifecycle)
            if len(self._past) > MOST_ENDED:
                self._past.popitem(last=False)
        self._window.append((trail.socket_seconds, trail.codes, trail.succeeded))
        if len(self._window) < self._limits.window:
            return
        seconds, codes, successes = map(sum, zip(*self._window, strict=True))
        for what, used in (("socket_seconds_per_success", seconds), ("codes_per_success", codes)):
            limit = getattr(self._limits, what)
            value = used / successes if successes else math.inf
            too_much = used > 0 and value > limit
            if too_much and not self._wasted[what]:  # one alert, until it is below the limit again
                yield Waste(*_who(record, trail), what, value, limit, len(self._window))
            self._wasted[what] = too_much

    def _measure(self, name: str, seconds: float) -> None:
        self._durations[name] = self._durations.get(name, Durations()).with_one_of(seconds)
        if self._listeners:
            self._measured.append((name, seconds))


def _call(who: str, function: Callable[..., object], *arguments: object) -> bool:
    """Call a function of the program's; whether it did what it is for.

    What it raises is logged by its kind and place only: its text may hold a secret.
    """
    try:
        answer = function(*arguments)
    except Exception as error:
        logger.error("%s raised %s%s", who, type(error).__name__, place_of(error))
        return False
    if (trouble := not_run(answer)) is not None:
        logger.error("%s %s", who, trouble)
        return False
    return True


def _log(alert: Alert) -> None:
    about = {"lifecycle": alert.lifecycle, "subject": alert.subject}
    text = "%s (lifecycle %s, attempt %d)"
    logger.warning(text, alert, alert.lifecycle, alert.attempt, extra=about)


def _who(record: Record, trail: Trail) -> tuple[str, int, tuple[str, ...] | None, float]:
    return record.lifecycle, record.attempt, trail.subject, record.wall

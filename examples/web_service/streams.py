"""Lifecycles as streams of news: one for each dialog that is open, and one at a time per user.

Whoever awaits `Streams.pair()` is the lifecycle's scope: when the request ends, for whatever
reason, the lifecycle ends, and with it its socket. This room must never know HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypedDict

import anyio

from qrlifecycle import (
    Change,
    Changes,
    Connected,
    Event,
    Failed,
    Outcome,
    QRCode,
    QRLifecycle,
    Reason,
)

from .service import BotPlatform

__all__ = ["News", "Streams", "Tell"]

QUIET = 10.0
"""Seconds without news after which the page is told that there are none: so that both ends, and
whatever is in between, can tell a quiet connection from a dead one."""

LARGEST = 320
"""CSS pixels of a code's side, at most."""

MOST = 1000
"""Pages that may be told at a time."""

SENTENCES = {
    Event.GENERATE: "Asking for a code.",
    Event.QR_READY: "Getting the code ready.",
    Event.QR_UPDATED: "Scan the code with your phone.",
    Event.SCANNED: "Your phone has read the code. Please confirm there.",
    Event.EXPIRED: "The code ran out. Asking for another.",
}
"""For the person in front of the screen; how it ended is told by the outcome."""


class News(TypedDict, total=False):
    """What the page is told. What is left out has not changed."""

    state: str
    socket_open: bool
    sentence: str
    event: str
    picture: str
    """The code to scan, as SVG."""
    text: str
    """The code to type."""
    expires_in: float
    address: str
    """What the code says; only where the phone is played as well."""
    ended: str
    retryable: bool


Tell = Callable[[News | None], Awaitable[None]]
"""Tells the page; None means that there are no news."""


class Seat:
    """The one seat of a user. Who came last sits down, as soon as who sat there has left."""

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.newest: QRLifecycle | None = None
        self.guests = 0
        """How many sit or wait."""


class Streams:
    """Lives lifecycles, each in the scope of the request that asked for it.

    Args:
        platform: makes the lifecycles.
        plays_phone: whether the page may be told what a code says, to open it in place of a phone.
        most: how many pages may be told at a time.
    """

    def __init__(
        self, platform: BotPlatform, *, plays_phone: bool = False, most: int = MOST
    ) -> None:
        self.closed = False
        """Whether the service is about to stop."""
        self._platform = platform
        self._plays_phone = plays_phone
        self._most = most
        self._seats: dict[str, Seat] = {}

    @property
    def users(self) -> int:
        """How many users are linking now."""
        return len(self._seats)

    @property
    def full(self) -> bool:
        """Whether nobody more may be let in for now."""
        return sum(seat.guests for seat in self._seats.values()) >= self._most

    async def pair(self, user_id: str, tell: Tell) -> None:
        """Link one user's phone and tell the page how it goes.

        Two tabs of one user would be two sockets for one user. So the newer one takes over: the
        older lifecycle is cancelled, and its socket is gone before the newer one begins.
        """
        with self._seat(user_id) as seat:
            lifecycle = self._platform.lifecycle(user_id)
            if seat.newest is not None:
                seat.newest.cancel()
            seat.newest = lifecycle
            changes = lifecycle.changes()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._tell_all, seat, lifecycle, changes, tell)
                async with seat.lock:  # not held for a page that reads slowly
                    if seat.newest is lifecycle and not self.closed:
                        await lifecycle.pair()
                        return
                tasks.cancel_scope.cancel()
        await tell(_end(Failed(Reason.CANCELLED if self.closed else Reason.CONFLICT)))

    def close(self) -> None:
        """End every lifecycle, and begin none: the service is about to stop."""
        self.closed = True
        for seat in self._seats.values():
            if seat.newest is not None:
                seat.newest.cancel()

    @contextmanager
    def _seat(self, user_id: str) -> Iterator[Seat]:
        """A user's seat, which is there as long as somebody sits on it or waits for it."""
        seat = self._seats.setdefault(user_id, Seat())
        seat.guests += 1
        try:
            yield seat
        finally:
            seat.guests -= 1
            if not seat.guests:
                del self._seats[user_id]

    async def _tell_all(
        self, seat: Seat, lifecycle: QRLifecycle, changes: Changes, tell: Tell
    ) -> None:
        """Tell each change as it comes, and now and then that there is none."""
        while True:
            news: News | None = None
            with anyio.move_on_after(QUIET):
                change = await anext(changes, None)
                if change is None:
                    return
                news = self._news(lifecycle, change)
                if change.event is Event.CANCEL and seat.newest is not lifecycle:
                    news |= _end(Failed(Reason.CONFLICT))
            await tell(news)

    def _news(self, lifecycle: QRLifecycle, change: Change) -> News:
        news = News(
            event=change.event,
            state=change.target,
            # A page that lags behind is told what belongs to the change.
            socket_open=change.target is lifecycle.state and lifecycle.socket_open,
        )
        if change.outcome is not None:
            return news | _end(change.outcome)
        if change.event is Event.ACTION_REQUIRED:
            return news | News(sentence=_step_left(lifecycle))
        news["sentence"] = SENTENCES[change.event]
        if change.event is Event.QR_UPDATED:
            news |= self._code(lifecycle)
        return news

    def _code(self, lifecycle: QRLifecycle) -> News:
        """The code that is displayed now, if one still is."""
        code = lifecycle.qr or lifecycle.pairing_code
        if code is None:
            return News()
        news = News(expires_in=self._platform.lifetime(code))
        if not isinstance(code, QRCode):
            return news | News(text=code.reveal(), sentence="Type this code on your phone.")
        news["picture"] = code.svg(scale=max(1, LARGEST // len(code.matrix())))
        return news | News(address=code.reveal()) if self._plays_phone else news


def _step_left(lifecycle: QRLifecycle) -> str:
    action = lifecycle.action
    if action is None:
        return SENTENCES[Event.SCANNED]
    said = action.data.get("code")
    return f"One more step on your phone: {action.action}" + ("" if said is None else f" {said}")


def _end(outcome: Outcome) -> News:
    if isinstance(outcome, Connected):
        to = f"Linked to {outcome.identity}." if outcome.identity else "Linked."
        return News(ended="linked", sentence=to)
    return News(ended="failed", sentence=outcome.reason.person, retryable=outcome.retryable)

"""Lifecycles as streams of news: one for each dialog that is open, and one at a time per user.

The task that awaits `Streams.pair()` is the lifecycle's scope: when the request ends, for any
reason, the lifecycle ends, and with it its socket.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypedDict

import anyio

from qrlifecycle import Change, Connected, Event, Failed, Outcome, QRCode, QRLifecycle, Reason
from qrlifecycle.engine.observers import Changes

from .service import Platform

__all__ = ["News", "SendNews", "Streams"]

QUIET = 10.0
"""Seconds without news after which a line without news is sent: so both ends, and every proxy
between them, can tell a quiet connection from a dead one."""

LARGEST = 320
"""CSS pixels of a code's side, at most."""

MOST = 1000
"""Streams that may be open at a time."""

SENTENCES = {
    Event.GENERATE: "Asking for a code.",
    Event.QR_READY: "Getting the code ready.",
    Event.QR_UPDATED: "Scan the code with your phone.",
    Event.SCANNED: "Your phone has read the code. Please approve there.",
    Event.EXPIRED: "The code expired. Asking for another.",
}
"""For the person in front of the screen; the outcome has the sentence for the end."""


class News(TypedDict, total=False):
    """A message to the page. What is left out has not changed."""

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
    """The content of the code; only where the page may play the phone."""
    ended: str
    retryable: bool


SendNews = Callable[[News | None], Awaitable[None]]
"""Sends news to the page; None means that there are none."""


class UserSlot:
    """The slot of a user. The newest lifecycle gets it as soon as the previous one has ended."""

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.newest: QRLifecycle | None = None
        self.streams = 0
        """How many use the slot or wait for it."""


class Streams:
    """Runs lifecycles, each in the scope of the request that asked for it.

    Args:
        platform: makes the lifecycles.
        plays_phone: whether the page gets the content of a code, to open it in place of a phone.
        most: how many streams may be open at a time.
    """

    def __init__(self, platform: Platform, *, plays_phone: bool = False, most: int = MOST) -> None:
        self.closed = False
        """Whether the service is about to stop."""
        self._platform = platform
        self._plays_phone = plays_phone
        self._most = most
        self._slots: dict[str, UserSlot] = {}

    @property
    def users(self) -> int:
        """How many users are pairing now."""
        return len(self._slots)

    @property
    def full(self) -> bool:
        """Whether no further stream may be opened for now."""
        return sum(slot.streams for slot in self._slots.values()) >= self._most

    async def pair(self, user_id: str, send: SendNews) -> None:
        """Pair one user's phone and send the progress to the page.

        Two tabs of one user would be two sockets for one user. So the newer one takes over: the
        older lifecycle is cancelled, and its socket is closed before the newer one begins.
        """
        with self._slot(self._platform.account(user_id)) as slot:
            lifecycle = self._platform.lifecycle(user_id)
            if slot.newest is not None:
                slot.newest.cancel()
            slot.newest = lifecycle
            changes = lifecycle.changes()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._send_all, slot, lifecycle, changes, send)
                async with slot.lock:  # not held for a page that reads slowly
                    if slot.newest is lifecycle and not self.closed:
                        await lifecycle.pair()
                        return
                tasks.cancel_scope.cancel()
        await send(_end(Failed(Reason.CANCELLED if self.closed else Reason.CONFLICT)))

    def close(self) -> None:
        """End every lifecycle, and begin no other: the service is about to stop."""
        self.closed = True
        for slot in self._slots.values():
            if slot.newest is not None:
                slot.newest.cancel()

    @contextmanager
    def _slot(self, account: str) -> Iterator[UserSlot]:
        """The slot of an account, which exists as long as a stream uses it or waits for it."""
        slot = self._slots.setdefault(account, UserSlot())
        slot.streams += 1
        try:
            yield slot
        finally:
            slot.streams -= 1
            if not slot.streams:
                del self._slots[account]

    async def _send_all(
        self, slot: UserSlot, lifecycle: QRLifecycle, changes: Changes, send: SendNews
    ) -> None:
        """Send each change as it comes, and regularly that there is none."""
        while True:
            news: News | None = None
            with anyio.move_on_after(QUIET):
                change = await anext(changes, None)
                if change is None:
                    return
                news = self._news(lifecycle, change)
                if change.event is Event.CANCEL and slot.newest is not lifecycle:
                    news |= _end(Failed(Reason.CONFLICT))
            await send(news)

    def _news(self, lifecycle: QRLifecycle, change: Change) -> News:
        news = News(
            event=change.event,
            state=change.target,
            # A page that reads slowly gets the state of the change, not of now.
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
        if code.typed is not None:
            where = "" if code.typed_at is None else f" at {code.typed_at}"
            scan = SENTENCES[Event.QR_UPDATED]
            news["sentence"] = f"{scan} Or type {code.typed.reveal()}{where}."
        if not code.has_text:  # the platform drew it; nobody has to read it to show it
            return news | News(picture=code.svg())
        news["picture"] = code.svg(scale=max(1, LARGEST // len(code.matrix())))
        return news | News(address=code.reveal()) if self._plays_phone else news


def _step_left(lifecycle: QRLifecycle) -> str:
    action = lifecycle.action
    if action is None:
        return SENTENCES[Event.SCANNED]
    said = action.data.get("code")
    code = f" {said}" if isinstance(said, str | int) else ""
    return f"One more step on your phone: {action.action}{code}"


def _end(outcome: Outcome) -> News:
    if isinstance(outcome, Connected):
        to = f"Paired with {outcome.identity}." if outcome.identity else "Paired."
        return News(ended="paired", sentence=to)
    return News(ended="failed", sentence=outcome.reason.person, retryable=outcome.retryable)

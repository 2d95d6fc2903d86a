"""What a page is told: the state, a sentence, and the code, for each step of an attempt.

A page that comes while an attempt is under way is told at once what there is, and sees from then on
what every other page of it does.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TypedDict

from qrlifecycle import Change, Connected, Event, Outcome, QRCode, QRLifecycle, Reason, State
from qrlifecycle.states import Phase

__all__ = ["News", "SendNews", "news_of", "news_of_end", "news_of_now"]

LARGEST = 320
"""CSS pixels of a code's side, at most."""

SENTENCES = {
    Event.GENERATE: "Asking for a code.",
    Event.QR_READY: "Getting the code ready.",
    Event.QR_UPDATED: "Scan the code with your phone.",
    Event.SCANNED: "Your phone has read the code. Please approve there.",
    Event.EXPIRED: "The code expired. Asking for another.",
}
"""For the person in front of the screen; the outcome has the sentence for the end."""

LED_TO = {Phase.APPROVING: Event.SCANNED, Phase.ACTING: Event.ACTION_REQUIRED}
"""What brought the person where they are, when it is no more the code's turn."""


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
    """Seconds for which the code is good still."""
    address: str
    """The content of the code; only where the page may play the phone."""
    ended: str
    again: bool
    """Whether the page has a button to ask again."""


SendNews = Callable[[News | None], Awaitable[None]]
"""Sends news to the page; None means that there are none."""


def news_of(change: Change, lifecycle: QRLifecycle, *, plays_phone: bool) -> News:
    """What a change is to the page."""
    if change.outcome is None:
        return _news(change.event, change.target, lifecycle, plays_phone=plays_phone)
    return _head(change.event, change.target, lifecycle) | news_of_end(change.outcome)


def news_of_now(lifecycle: QRLifecycle, *, plays_phone: bool) -> News | None:
    """What a page is told that comes late; None before the first change, which it hears."""
    if lifecycle.state is State.GENERATING:
        event = Event.GENERATE
    elif lifecycle.state is State.DISPLAYED:
        code = lifecycle.qr or lifecycle.pairing_code
        of_code = Event.QR_READY if code is None else Event.QR_UPDATED
        phase = lifecycle.snapshot().phase
        event = of_code if phase is None else LED_TO.get(phase, of_code)
    else:
        return None
    return _news(event, lifecycle.state, lifecycle, plays_phone=plays_phone)


def news_of_end(outcome: Outcome) -> News:
    """How it ended, and whether the person may ask again.

    To take it back from another window is for a person alone to decide: two pages that did so by
    themselves would go on for ever.
    """
    if isinstance(outcome, Connected):
        to = f"Paired with {outcome.identity}." if outcome.identity else "Paired."
        return News(ended="paired", sentence=to)
    again = outcome.retryable or outcome.reason is Reason.SUPERSEDED
    return News(ended="failed", sentence=outcome.person, again=again)


def _head(event: Event, state: State, lifecycle: QRLifecycle) -> News:
    # A page that reads slowly gets the state of the change, not of now.
    socket_open = state is lifecycle.state and lifecycle.socket_open
    return News(event=event, state=state, socket_open=socket_open)


def _news(event: Event, state: State, lifecycle: QRLifecycle, *, plays_phone: bool) -> News:
    news = _head(event, state, lifecycle)
    if event is Event.ACTION_REQUIRED:
        return news | News(sentence=_step_left(lifecycle))
    news["sentence"] = SENTENCES[event]
    if event is Event.QR_UPDATED:
        news |= _code(lifecycle, plays_phone=plays_phone)
    return news


def _code(lifecycle: QRLifecycle, *, plays_phone: bool) -> News:
    """The code that is displayed now, if one still is."""
    code = lifecycle.qr or lifecycle.pairing_code
    if code is None:
        return News()
    left = lifecycle.code_expires_in
    news = News() if left is None or left == math.inf else News(expires_in=left)
    if not isinstance(code, QRCode):
        return news | News(text=code.reveal(), sentence="Type this code on your phone.")
    if code.typed is not None:
        where = "" if code.typed_at is None else f" at {code.typed_at}"
        scan = SENTENCES[Event.QR_UPDATED]
        news["sentence"] = f"{scan} Or type {code.typed.reveal()}{where}."
    if not code.has_text:  # the platform drew it; nobody has to read it to show it
        return news | News(picture=code.svg())
    news["picture"] = code.svg(scale=max(1, LARGEST // len(code.matrix())))
    return news | News(address=code.reveal()) if plays_phone else news


def _step_left(lifecycle: QRLifecycle) -> str:
    action = lifecycle.action
    if action is None:
        return SENTENCES[Event.SCANNED]
    said = action.data.get("code")
    code = f" {said}" if isinstance(said, str | int) else ""
    return f"One more step on your phone: {action.action}{code}"

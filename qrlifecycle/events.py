"""What can happen to a lifecycle: the words of the table's rows.

An event is not a signal: a signal is what a transport reports (`qrlifecycle.signals`), and it
becomes an event there. This room must never know who sends an event, or when.
"""

from __future__ import annotations

from .words import Word

__all__ = ["Event"]


class Event(Word):
    """Something that happened."""

    GENERATE = "generate", "Somebody asked for a code."
    QR_READY = "qr_ready", "The service answered with a code."
    QR_UPDATED = "qr_updated", "There is a new picture to show."
    SCANNED = "scanned", "The phone has read the code and is confirming."
    ACTION_REQUIRED = (
        "action_required",
        "The service wants something more from the person: a passkey, a second password.",
    )
    PAIRED = "paired", "The account is linked."
    EXPIRED = "expired", "The code ran out and the budget allows another."
    FAIL = "fail", "The attempt cannot go on."
    CANCEL = "cancel", "The person went away."
    RESET = "reset", "The result has been seen; make ready for another round."

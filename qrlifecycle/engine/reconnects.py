"""Whether another transport is made after one that ended, and when: the budget and the waits.

After an opening that failed, or a transport that broke or was closed by the peer, another is made
as long as `policy.max_reconnects` in a row are not used up. Before each there is a wait, of
`reconnect_delay` first and twice as long each time, up to `reconnect_delay_max`; each is cut by up
to half at random (`Backoff`). Both the count and the waits start afresh when a transport breaks
that had listened for `stable_after`, the time of its closing not included; and with each code that
was asked for, which has a connection of its own.

Nothing is tried again after a refusal (`TransportRefused`), a mistake of the program's
(`UsageError`), or an error of the factory's; and but once after what ends so again until somebody
mends it (`ENDINGS_TO_MEND`), as long as nobody was ever let in: a code that nobody can be told of
is no help to whoever sits before it. A refusal of whoever was let in before is tried once more.
"""

from __future__ import annotations

import math

import anyio

from ..errors import (
    Ending,
    TransportError,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
)
from ..policy import Policy
from .backoff import Backoff

__all__ = ["ENDINGS_TO_MEND", "Reconnects", "ending_of"]

ENDINGS_TO_MEND = frozenset({Ending.ANOTHER_PROTOCOL, Ending.CERTIFICATE, Ending.PROXY_CREDENTIALS})
"""How an opening ends that ends so again: another protocol or version, whose certificate it is. Not
an unknown name, a redirect or a page, which a restart may well bring."""


class Reconnects:
    """What one displayed code's transports have come to so far, and what follows from it.

    Args:
        policy: the budget, and the waits.
    """

    __slots__ = (
        "_backoff",
        "_failures",
        "_listening_since",
        "_next_at",
        "_policy",
        "_refused",
        "ever_listened",
        "last_failure",
        "let_in",
    )

    def __init__(self, policy: Policy) -> None:
        self.ever_listened = False
        """Whether any transport came to listen."""
        self.let_in = False
        """Whether the peer has shown that it lets us in: by a signal, or by no refusal for a while.
        To listen shows nothing: some let everybody in, and turn away right after."""
        self.last_failure: TransportUnreachable | None = None
        """What the newest transport ended by, told without the frames that it went through."""
        self._policy = policy
        self._backoff = Backoff(policy.reconnect_delay, policy.reconnect_delay_max)
        self._failures = 0
        self._refused = False
        """Whether one was refused after another had listened, and none has listened since."""
        self._listening_since = math.inf
        self._next_at = -math.inf

    @property
    def due_in(self) -> float:
        """Seconds until the next transport may be made; none left where it is not above zero."""
        return self._next_at - anyio.current_time()

    def made(self) -> None:
        """A transport was made; it does not listen yet."""
        self._listening_since = math.inf

    def listens(self) -> None:
        """It has come to listen."""
        self._listening_since = anyio.current_time()
        self.ever_listened, self._refused = True, False

    def spend(self, error: Exception, broke_at: float) -> bool:
        """Take one of the budget, if one is left; a transport that held gives all of it back.

        Args:
            error: what the transport ended by.
            broke_at: when, before it was closed.
        """
        if isinstance(error, TransportError):
            self.last_failure = error.retold(TransportUnreachable, str(error))
        held = broke_at - self._listening_since >= self._policy.stable_after
        refused = isinstance(error, TransportRefused)
        if held or not (refused or math.isinf(self._listening_since)):
            self.let_in = True
        if refused:
            # Whoever was let in is not without rights: a token may have run out meanwhile, and the
            # factory may make its next transport with a fresh one. That is tried, once.
            if self._refused or not self.let_in:
                return False
            self._refused = True
        if held:
            self._failures = 0
            self._backoff.reset()
        self._failures += 1
        most = self._policy.max_reconnects
        if not self.ever_listened and ending_of(error) in ENDINGS_TO_MEND:
            most = min(most, 1)
        return self._failures <= most

    def delay(self, error: Exception) -> float:
        """Lay down when the next may be made: so many seconds from now."""
        delay = self._backoff.next(error.retry_after if isinstance(error, TransportError) else None)
        self._next_at = anyio.current_time() + delay
        return delay

    def given_up_for(self, error: Exception) -> Exception:
        """What the last error is, where `spend()` said that there is no other transport."""
        if not (isinstance(error, TransportRefused) and self.let_in):
            return error
        return error.retold(
            TransportLost,
            f"it was let in before, and then no more: {error}; if a token runs out, have the "
            "transport factory ask for one each time",
        )


def ending_of(error: Exception | None) -> Ending | None:
    """How a connection ended that broke by this; None if it did not break."""
    if error is None:
        return None
    return error.ending if isinstance(error, TransportError) else Ending.OTHER

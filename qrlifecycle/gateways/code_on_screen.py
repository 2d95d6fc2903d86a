"""The code on one screen, of a service that keeps its codes in memory and tells of no restart.

What is heard of a code means what it does after all that was told of it before; and where nobody
was there in between, the code is good no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any
from weakref import ref

import anyio

from ..codes import Code
from ..errors import Ending, TransportError
from ..outcome import Reason
from ..signals import ActionRequired, PairingRefused, QRExpired, Scanned, Signal
from ..transports.base import Transport
from .actions import Told
from .deferred import DeferredTransport
from .failures import expiry_told, refusal_told
from .live_codes import forget_code, forget_codes, live_code

__all__ = ["CodeOnScreen", "NotingRestarts", "OfOneCode"]

AWAY = frozenset({Ending.NOT_CONNECTED, Ending.TRY_LATER})
"""How an opening fails where the service is not there: nobody listens, or a proxy says so."""


class NotingRestarts(DeferredTransport):
    """A socket that notes where nobody was: all codes of the place died by that.

    The service keeps its codes in memory, in the process that the socket leads to. Where nobody
    listened in between, that process is another one; nothing else tells.

    Args:
        make: as of `DeferredTransport`.
        place: where the service is; None for a share, whose socket notes it itself.
        options: the others of `DeferredTransport`.
    """

    __slots__ = ("_place",)

    def __init__(
        self,
        make: Callable[[], Awaitable[Transport]],
        place: str | None,
        *options: Any,
        **more: Any,
    ) -> None:
        super().__init__(make, *options, **more)
        self._place = place

    async def open(self) -> None:
        """Open it, and note it if nobody was there."""
        began = anyio.current_time()
        try:
            await super().open()
        except TransportError as error:
            if error.ending in AWAY and self._place is not None:
                forget_codes(self._is_there, until=began)
            raise

    def _is_there(self, account: Hashable) -> bool:
        return isinstance(account, tuple) and account[0] == self._place


class OfOneCode(NotingRestarts):
    """A transport for the code on one screen: what is heard means what it does after all before.

    It says, as it opens, that the code died meanwhile, if it did.

    Args:
        make: as of `DeferredTransport`.
        place: as of `NotingRestarts`.
        subject: as of `DeferredTransport`.
        mine: what the lifecycle knows, from one transport to the next.
        shared: as of `DeferredTransport`.
    """

    __slots__ = ("_died", "_mine")

    def __init__(
        self,
        make: Callable[[], Awaitable[Transport]],
        place: str | None,
        subject: tuple[str, ...],
        *,
        mine: CodeOnScreen,
        shared: str | None = None,
    ) -> None:
        super().__init__(make, place, subject, meaning=mine.meaning, shared=shared)
        self._mine = mine
        self._died = False

    async def open(self) -> None:
        """Open it, and look whether the code is still good."""
        await super().open()
        self._died = self._mine.died

    async def receive(self) -> Signal:
        """First that the code is good no more, if it is not; then the other one's next signal."""
        if self._died:
            self._died = False
            return expiry_told("the service was away, and the code died with it")
        return await super().receive()

    async def aclose(self) -> None:
        """Close the other one; nothing is said any more."""
        self._died = False
        await super().aclose()

    def abort(self) -> None:
        """Abort the other one; nothing is said any more."""
        self._died = False
        super().abort()


class CodeOnScreen:
    """What one lifecycle knows: the code on its screen, and what has come of it.

    Args:
        account: whose code it is; no secret.
    """

    __slots__ = ("_account", "_shown", "knows_no_passkeys", "told")

    def __init__(self, account: Hashable) -> None:
        self._account = account
        self._shown: ref[Code] | None = None
        self.told = Told()
        self.knows_no_passkeys = False
        """Whether the service has answered that it has none."""

    def __repr__(self) -> str:
        return "<CodeOnScreen>"

    @property
    def shown(self) -> Code | None:
        """The code that was given last, as long as anybody has it."""
        return None if self._shown is None else self._shown()

    @property
    def died(self) -> bool:
        """Whether the code that was given last is good no more, and somebody still has it."""
        if (code := self.shown) is None:
            return False
        live = live_code(self._account)
        return live is None or not live.has_copy(code)

    def meaning(self, signal: Signal) -> Signal | None:
        """What a signal means after what was told of this code before."""
        match signal:
            case ActionRequired() | Scanned():
                return self.told.tell_once(signal)
            case QRExpired() | PairingRefused():
                self.forget()
                if isinstance(signal, QRExpired) and isinstance(self.told.last, ActionRequired):
                    # Logged out while something was to be done: the person's no.
                    text = f"{signal.error} while an answer was waited for; ask for another code"
                    return refusal_told(Reason.REFUSED_ON_PHONE, text)
        return signal

    def show(self, code: Code) -> None:
        """This one is given."""
        self._shown = ref(code)
        self.told.forget()

    def forget(self) -> None:
        """It is good no more, and is given to no other screen."""
        if (code := self.shown) is not None:
            forget_code(self._account, code)

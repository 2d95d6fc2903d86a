"""Codes that are on some screen now, for services where asking for another kills the one before.

Who pairs an account that is being paired on another screen is given the code of that screen, with
what is left of its time. Else each request would take the code away from the other screen, in turn,
and nobody would know.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from weakref import ref

import anyio
from anyio.lowlevel import RunVar

from ..codes import Code, PairingCode, QRCode

__all__ = ["LiveCode", "forget_code", "forget_codes", "live_code"]


class LiveCode:
    """A code that the service made, and the copies of it that were handed out.

    It keeps none of them: when nobody has one any more, nobody sees the code, and another may be
    asked for.

    Args:
        account: whose it is; no secret.
        code: as it is handed out first, with its lifetime.
    """

    __slots__ = ("_copies", "ends", "made_at")

    def __init__(self, account: Hashable, code: Code) -> None:
        assert code.expires_in is not None
        self.made_at = anyio.current_time()
        self.ends = self.made_at + code.expires_in
        """On the event loop's clock."""
        self._copies = [ref(code)]
        _codes()[account] = self

    def __repr__(self) -> str:
        return f"<LiveCode with {len(self._copies)} copies>"

    def has_copy(self, code: Code) -> bool:
        """Whether this is one of its copies."""
        return any(copy() is code for copy in self._copies)

    def copy(self, *, unless: Code | None = None) -> Code | None:
        """Another copy, with the time that is left; None if it is over, or nobody has one.

        Args:
            unless: a copy that does not count: of who asks because it wants another.
        """
        left = self.ends - anyio.current_time()
        found = [code for copy in self._copies if (code := copy()) is not None]
        self._copies = [ref(code) for code in found if code is not unless]
        if left <= 0 or not self._copies:
            return None
        made = _copy_of(found[-1], left)
        self._copies.append(ref(made))
        return made


def live_code(account: Hashable) -> LiveCode | None:
    """The code of an account, if one was made on this event loop."""
    return _codes().get(account)


def forget_code(account: Hashable, code: Code) -> None:
    """This code is good no more; another that was made since is."""
    live = _codes().get(account)
    if live is not None and live.has_copy(code):
        del _codes()[account]


def forget_codes(accounts: Callable[[Hashable], bool], until: float) -> None:
    """What was made by then is good no more, of the accounts of which this is so."""
    codes = _codes()
    for account, live in tuple(codes.items()):
        if live.made_at <= until and accounts(account):
            del codes[account]


_CODES: RunVar[dict[Hashable, LiveCode]] = RunVar("qrlifecycle.gateways.live_codes")


def _codes() -> dict[Hashable, LiveCode]:
    """Each event loop's own: times are on its clock. It goes with the loop."""
    try:
        codes = _CODES.get()
    except LookupError:
        codes = {}
        _CODES.set(codes)
    return codes


def _copy_of(code: Code, seconds: float) -> Code:
    if isinstance(code, PairingCode):
        return PairingCode(code.reveal(), expires_in=seconds)
    assert isinstance(code, QRCode)
    return QRCode(
        code.reveal() if code.has_text else None,
        picture=code.picture,
        typed=None if code.typed is None else code.typed.reveal(),
        typed_at=code.typed_at,
        expires_in=seconds,
    )

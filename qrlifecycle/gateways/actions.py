"""What WhatsApp may require of a person between the scan and the success, alike for all."""

from __future__ import annotations

from collections.abc import Mapping

from ..signals import ActionRequired, Signal
from .replies import CodeCompared, PasskeySigned, Reply

__all__ = ["REPLIES", "Told", "code_to_compare", "passkey"]

WEBAUTHN = frozenset(
    {"allowCredentials", "challenge", "extensions", "hints", "rpId", "timeout", "userVerification"}
)
"""What ``navigator.credentials.get()`` takes (WebAuthn, PublicKeyCredentialRequestOptions)."""


REPLIES: Mapping[str, type[Reply]] = {"passkey": PasskeySigned, "compare_code": CodeCompared}
"""What is answered to these actions."""


def passkey(options: Mapping[str, object]) -> ActionRequired:
    """To sign with a passkey: by a browser, on the page that ``rpId`` names."""
    return ActionRequired("passkey", {key: options[key] for key in options if key in WEBAUTHN})


def code_to_compare(code: object) -> ActionRequired:
    """To see whether both screens show this code."""
    return ActionRequired("compare_code", {"code": code})


class Told:
    """What has come of a code, so that it is told once.

    An event tells it, and so does each read of the status, in either order. Told again it would
    count afresh, and the person would be asked once more.
    """

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: Signal | None = None
        """What was told last; None since another code came."""

    def __repr__(self) -> str:
        return "<Told>"

    def tell_once(self, signal: Signal) -> Signal | None:
        """The signal to tell; None if it was told."""
        if signal == self.last:
            return None
        self.last = signal
        return signal

    def forget(self) -> None:
        """There is another code."""
        self.last = None

"""What a person is given to link with: a code to scan (`qrlifecycle.qr`) or one to type.

Whoever has a code can link a phone, so it is treated as a password: no repr, log line, exception
or pickle shows it, and `reveal()` is the one door. This room must never know where a code comes
from or how long the lifecycle keeps it.
"""

from __future__ import annotations

from typing import ClassVar, NoReturn

from .errors import InvalidValue
from .policy import is_positive

__all__ = ["Code", "PairingCode"]


class Code:
    """A secret with a lifetime; the ground of `QRCode` and `PairingCode`."""

    __slots__ = ("__payload", "__weakref__", "expires_in")

    _called: ClassVar[str] = "a code"
    _longest: ClassVar[int]
    """Bytes."""

    def __init__(self, payload: str, *, expires_in: float | None = None) -> None:
        if not isinstance(payload, str) or not payload:
            raise InvalidValue(f"{self._called}'s payload must be text that is not empty")
        try:
            size = len(payload.encode())
        except UnicodeEncodeError:
            raise InvalidValue(
                f"{self._called}'s payload must be text that UTF-8 can encode"
            ) from None
        if size > self._longest:
            raise InvalidValue(f"{self._called} holds at most {self._longest} bytes, not {size}")
        if expires_in is not None and not is_positive(expires_in):
            raise InvalidValue(f"expires_in must be seconds above 0, not {expires_in!r}")
        self.__payload = payload
        self.expires_in = expires_in

    def reveal(self) -> str:
        """The payload itself: the one door to it."""
        return self.__payload

    def __repr__(self) -> str:
        life = "" if self.expires_in is None else f", expires_in={self.expires_in:g}"
        return f"{type(self).__name__}(<hidden>{life})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Code):
            return NotImplemented
        return type(self) is type(other) and self.__payload == other.__payload

    def __hash__(self) -> int:
        return hash(self.__payload)

    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(f"a {name} is a secret and cannot be pickled or copied; reveal() it")


class PairingCode(Code):
    """What a person types on the phone instead of scanning a picture.

    Args:
        payload: the text to type, as the service spells it.
        expires_in: seconds from now for which the service will accept it, if it says so.

    Raises:
        InvalidValue: an empty payload, one longer than anybody types (64 bytes), or a lifetime
            that is not a positive number.
    """

    __slots__ = ()

    _called = "a pairing code"
    _longest = 64

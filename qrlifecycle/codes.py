"""What a person is given to pair with: a code to scan, or one to type.

Whoever has a code can pair a phone, so it is treated as a password: no repr, log line, exception
or pickle shows it, and `reveal()` is the one way to it.
"""

from __future__ import annotations

import io
from types import ModuleType
from typing import ClassVar, NoReturn

from .errors import InvalidValue, MissingExtra
from .policy import is_positive

__all__ = ["Code", "PairingCode", "QRCode"]


class Code:
    """A secret with a lifetime: what `QRCode` and `PairingCode` have in common.

    Codes of one kind are equal if their payloads are, and what can be typed in place of one.
    ``expires_in`` is the lifetime in seconds, from when the code was received; None if the service
    does not tell.
    """

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
        """The payload itself. Nothing else shows it, except the pictures drawn from it."""
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


MAX_PAYLOAD = 2953
"""Bytes that fit the largest QR code at its lowest error correction (ISO/IEC 18004, table 7)."""

QUIET_ZONE = 4
"""Light modules around the code that scanners need (ISO/IEC 18004, section 6.3.8)."""


BLOCKS = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
"""The character that draws the upper, the lower, both or neither of two modules."""


class QRCode(Code):
    """What a phone scans.

    Args:
        payload: the text inside the code; opaque to this library.
        typed: what can be typed in place of scanning, to be shown beside the picture: some services
            give both, and RFC 8628, section 3.3.1, asks for both.
        expires_in: seconds from now for which the service will accept it, if it says so.

    Raises:
        InvalidValue: an empty payload, one longer than any QR code holds (2,953 bytes), something
            to type that nobody types (see `PairingCode`), or a lifetime that is not a positive
            number.
    """

    __slots__ = ("typed",)

    _called = "a QR code"
    _longest = MAX_PAYLOAD

    def __init__(
        self, payload: str, *, typed: str | None = None, expires_in: float | None = None
    ) -> None:
        super().__init__(payload, expires_in=expires_in)
        self.typed = None if typed is None else PairingCode(typed)
        """What can be typed in place of scanning; None if the service gives nothing."""

    def __eq__(self, other: object) -> bool:
        # The picture may be the same for everybody: the address to type the code at.
        typed = not isinstance(other, QRCode) or self.typed == other.typed
        return super().__eq__(other) if typed else False

    __hash__ = Code.__hash__

    def matrix(self) -> list[list[bool]]:
        """The modules as rows of columns, with the quiet zone of 4; True is dark.

        Raises:
            MissingExtra: the ``qr`` extra is not installed.
        """
        code = _segno().make_qr(self.reveal(), error="l")
        return [[bool(module) for module in row] for row in code.matrix_iter(border=QUIET_ZONE)]

    def text(self, *, ink: bool = False) -> str:
        """The code in half-block characters, two rows of modules a line, a newline after each.

        Light modules are drawn and dark ones left blank, as it has to be on a dark terminal. With
        ``ink`` it is the other way round: print that black on white, and it scans anywhere.

        Raises:
            MissingExtra: the ``qr`` extra is not installed.
        """
        rows = [[dark is ink for dark in row] for row in self.matrix()]
        if len(rows) % 2:
            rows.append([False] * len(rows[0]))
        return "".join(
            "".join(BLOCKS[pair] for pair in zip(upper, lower, strict=True)) + "\n"
            for upper, lower in zip(rows[::2], rows[1::2], strict=True)
        )

    def svg(self, *, scale: float = 4) -> str:
        """The code as an SVG element, dark on white; ``scale`` is a module's size in pixels.

        Raises:
            MissingExtra: the ``qr`` extra is not installed.
        """
        stream = io.BytesIO()
        code = _segno().make_qr(self.reveal(), error="l")
        code.save(
            stream,
            kind="svg",
            scale=scale,
            border=QUIET_ZONE,
            dark="#000",
            light="#fff",
            xmldecl=False,
            nl=False,
        )
        return stream.getvalue().decode()

    def png(self, *, scale: int = 4) -> bytes:
        """The code as a PNG file, dark on white; ``scale`` is a module's size in whole pixels.

        Raises:
            MissingExtra: the ``qr`` extra is not installed.
        """
        stream = io.BytesIO()
        code = _segno().make_qr(self.reveal(), error="l")
        code.save(stream, kind="png", scale=scale, border=QUIET_ZONE, dark="#000", light="#fff")
        return stream.getvalue()


def _segno() -> ModuleType:
    try:
        import segno  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtra("drawing a QR code", "qr") from None
    return segno

"""A QR code: a secret that can draw itself.

This room must never know what a code is for; it only draws.
"""

from __future__ import annotations

import io
from types import ModuleType

from .codes import Code
from .errors import MissingExtra

__all__ = ["QRCode"]

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
        expires_in: seconds from now for which the service will accept it, if it says so.

    Raises:
        InvalidValue: an empty payload, one longer than any QR code holds (2,953 bytes), or a
            lifetime that is not a positive number.
    """

    __slots__ = ()

    _called = "a QR code"
    _longest = MAX_PAYLOAD

    def matrix(self) -> list[list[bool]]:
        """The modules, rows of columns, quiet zone included; True is dark.

        Raises:
            MissingExtra: the ``qr`` extra is not installed.
        """
        code = _segno().make_qr(self.reveal(), error="l")
        return [[bool(module) for module in row] for row in code.matrix_iter(border=QUIET_ZONE)]

    def text(self, *, ink: bool = False) -> str:
        """The code in half-block characters, two rows of modules a line, a newline after each.

        Light modules are drawn and dark ones left blank, as it has to be on a dark terminal. With
        ``ink`` it is the other way round: print that black on white, and it scans anywhere.
        """
        rows = [[dark is ink for dark in row] for row in self.matrix()]
        if len(rows) % 2:
            rows.append([False] * len(rows[0]))
        return "".join(
            "".join(BLOCKS[pair] for pair in zip(upper, lower, strict=True)) + "\n"
            for upper, lower in zip(rows[::2], rows[1::2], strict=True)
        )

    def svg(self, *, scale: float = 4) -> str:
        """The code as an SVG element, dark on white; ``scale`` is a module's size in pixels."""
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
        """The code as a PNG file, dark on white; ``scale`` is a module's size in pixels."""
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

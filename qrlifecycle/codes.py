"""What a person is given to pair with: a code to scan, or one to type.

Whoever has a code can pair a phone, so it is treated as a password: no repr, log line, exception
or pickle shows it, and `reveal()` is the one way to it.
"""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any, ClassVar

from .errors import InvalidValue, MissingExtra
from .pictures import Picture, is_data_url, picture_in, picture_of
from .policy import is_positive, number_or_kind, trouble_with_text
from .secrecy import NotPickled, forgetful

__all__ = ["Code", "PairingCode", "QRCode"]


class Code(NotPickled):
    """A secret with a lifetime: what `QRCode` and `PairingCode` have in common.

    Codes of one kind are equal if their payloads are, and what can be typed in place of one.
    ``expires_in`` is the lifetime in seconds, from when the code was received; None if the service
    does not tell.
    """

    __slots__ = ("__text", "__weakref__", "expires_in")

    _called: ClassVar[str] = "a code"
    _longest: ClassVar[int]
    """Bytes."""

    @forgetful
    def __init__(self, payload: str, *, expires_in: float | None = None) -> None:
        if trouble := self._take(payload, expires_in):
            raise InvalidValue(trouble)

    def _take(self, payload: object, expires_in: object) -> str | None:
        """Keep what is given, or say what is wrong with it."""
        if trouble := trouble_with_text(payload):
            return f"{self._called}'s payload {trouble}"
        assert isinstance(payload, str)
        try:
            size = len(payload.encode())
        except UnicodeEncodeError:
            return f"{self._called}'s payload must be text that UTF-8 can encode"
        if size > self._longest:
            return f"{self._called} holds at most {self._longest} bytes, not {size}"
        return self._keep(payload, expires_in)

    def _keep(self, text: str | None, expires_in: Any) -> str | None:
        if expires_in is not None and not is_positive(expires_in):
            return f"expires_in must be seconds above 0, not {number_or_kind(expires_in)}"
        self.__text = text
        self.expires_in: float | None = expires_in
        return None

    @property
    def has_text(self) -> bool:
        """Whether the text is known; of a QR code the service may have sent a picture only."""
        return self.__text is not None

    def reveal(self) -> str:
        """The payload itself. Nothing else shows it, except the pictures drawn from it."""
        assert self.__text is not None
        return self.__text

    def __repr__(self) -> str:
        lifetime = getattr(self, "expires_in", None)
        life = "" if lifetime is None else f", expires_in={lifetime:g}"
        return f"{type(self).__name__}(<hidden>{life})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Code):
            return NotImplemented
        return type(self) is type(other) and self._secret() == other._secret()

    def __hash__(self) -> int:
        return hash(self._secret())

    def _secret(self) -> object:
        """What makes two codes the same."""
        return self.__text


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

USUAL_SIDE = 69
"""Modules: a code of some 240 bytes, as WhatsApp's are, with its quiet zone."""

QUIET_ZONE = 4
"""Light modules around the code that scanners need (ISO/IEC 18004, section 6.3.8)."""


BLOCKS = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
"""The character that draws the upper, the lower, both or neither of two modules."""


class QRCode(Code):
    """What a phone scans.

    Some services send a picture of the code and not its text, often as a ``data:`` URL where the
    text should be. Such a URL is taken for the picture that it is. ``picture`` has it then, and
    `svg()` shows it as it came; whatever else needs the text inside reads it from the picture.

    Args:
        payload: the text inside the code; opaque to this library.
        picture: the code as the service drew it, or the bytes of that.
        typed: what can be typed in place of scanning, to be shown beside the picture: some services
            give both, and RFC 8628, section 3.3.1, asks for both.
        typed_at: the address to type it at, if it is not the phone's own app.
        expires_in: seconds from now for which the service will accept it, if it says so.

    Raises:
        InvalidValue: an empty payload, one longer than any QR code holds (2,953 bytes), a
            ``data:`` URL of no picture that is known, something to type that nobody types (see
            `PairingCode`) or an address without it, or a lifetime that is not a positive number.
    """

    __slots__ = ("__read", "picture", "typed", "typed_at")

    _called = "a QR code"
    _longest = MAX_PAYLOAD

    @forgetful
    def __init__(
        self,
        payload: str | None = None,
        *,
        picture: Picture | bytes | None = None,
        typed: str | None = None,
        typed_at: str | None = None,
        expires_in: float | None = None,
    ) -> None:
        if trouble := self._take_either(payload, picture, expires_in):
            raise InvalidValue(trouble)
        if typed_at is not None and (typed is None or not _is_address(typed_at)):
            raise InvalidValue("typed_at must be an address, http or https, and stand with typed")
        self.typed = None if typed is None else PairingCode(typed)
        """What can be typed in place of scanning; None if the service gives nothing."""
        self.typed_at = typed_at
        """The address to type it at; None if the service names none."""

    def _take_either(self, payload: object, picture: object, expires_in: object) -> str | None:
        """Keep what is given, or say what is wrong with it."""
        self.__read: str | None = None
        if not isinstance(picture, Picture | bytes | None):
            return f"picture must be a Picture or its bytes, not {type(picture).__name__}"
        found: Picture | str | None
        if isinstance(payload, str) and is_data_url(payload):
            found, payload = picture_in(payload), None
        else:
            found = picture_of(picture) if isinstance(picture, bytes) else picture
        if isinstance(found, str):
            return found
        self.picture: Picture | None = found
        """The code as the service drew it, if it sent a picture."""
        if found is not None and payload is None:
            return self._keep(None, expires_in)
        return self._take(payload, expires_in)

    def reveal(self) -> str:
        """The text inside the code; read from the picture if the service sent nothing else.

        Raises:
            MissingExtra: it has to be read, and the ``pictures`` extra is not installed.
            Malformed: it has to be read, and the picture shows no QR code.
        """
        if self.has_text:
            return super().reveal()
        if self.__read is None:
            assert self.picture is not None
            self.__read = self.picture.read()
        return self.__read

    def _secret(self) -> object:
        # The picture may be the same for everybody: the address to type the code at.
        return super()._secret() or self.picture, self.typed

    def matrix(self, *, border: int = QUIET_ZONE) -> list[list[bool]]:
        """The modules as rows of columns, with the quiet zone of 4; True is dark.

        A ``border`` of 2 is enough for phones where a screen has no room for more.

        Raises:
            MissingExtra: the ``qr`` extra is not installed.
        """
        code = _segno().make_qr(self.reveal(), error="l")
        return [[bool(module) for module in row] for row in code.matrix_iter(border=border)]

    def text(self, *, ink: bool = False, border: int = QUIET_ZONE) -> str:
        """The code in half-block characters, two rows of modules a line, a newline after each.

        Light modules are drawn and dark ones left blank, as it has to be on a dark terminal. With
        ``ink`` it is the other way round: print that black on white, and it scans anywhere.

        Raises:
            MissingExtra: the ``qr`` extra is not installed.
        """
        rows = [[dark is ink for dark in row] for row in self.matrix(border=border)]
        if len(rows) % 2:
            rows.append([False] * len(rows[0]))
        return "".join(
            "".join(BLOCKS[pair] for pair in zip(upper, lower, strict=True)) + "\n"
            for upper, lower in zip(rows[::2], rows[1::2], strict=True)
        )

    def svg(self, *, scale: float = 4) -> str:
        """The code as an SVG element, dark on white; ``scale`` is a module's size in pixels.

        Where there is only a picture, the element shows that, in about the same size.

        Raises:
            MissingExtra: the ``qr`` extra is not installed.
        """
        if self.picture is not None and not self.has_text:
            return self.picture.svg(side=scale * USUAL_SIDE)
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


def _is_address(text: object) -> bool:
    """Whether a person can open it: nothing that a page would run, and no more than one line."""
    return (
        isinstance(text, str)
        and text.startswith(("https://", "http://"))
        and text.isprintable()
        and len(text) <= MAX_PAYLOAD
    )


def _segno() -> ModuleType:
    try:
        import segno  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtra("drawing a QR code", "qr") from None
    return segno

"""A code that a service has drawn itself: the bytes of a picture, as secret as the code in it."""

from __future__ import annotations

import binascii
import io
import re
from base64 import b64decode, b64encode
from typing import Any

from .errors import InvalidValue, Malformed, MissingExtra
from .secrecy import NotPickled, forgetful

__all__ = ["Picture", "is_data_url", "picture_in", "picture_of", "require_reading"]

MAX_PICTURE = 256 * 1024
"""Bytes. A code as services draw it has some 10 kB."""

MAX_SIDE = 4096
"""Pixels of a picture whose code is read; a small file may claim to be a huge picture."""

MAGIC = {
    "image/png": rb"\x89PNG\r\n\x1a\n",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/gif": rb"GIF8[79]a",
    "image/webp": rb"RIFF....WEBP",
}
"""How each kind of picture begins; what it is called is not believed. SVG is not among them: it is
a document that may hold scripts."""

DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
"""RFC 2397."""


def require_reading() -> tuple[Any, Any]:
    """What reads a code off a picture: the modules zxingcpp and PIL.Image.

    Raises:
        MissingExtra: the ``pictures`` extra is not installed.
    """
    try:
        import zxingcpp  # noqa: PLC0415 - an extra
        from PIL import Image  # noqa: PLC0415
    except ImportError:
        raise MissingExtra("reading the code in a picture", "pictures") from None
    return zxingcpp, Image


class Picture(NotPickled):
    """A picture of a code, as the service sent it: PNG, JPEG, GIF or WebP.

    No repr, log line, exception or pickle shows it; `reveal()` and `data_url()` are the ways to it.

    Args:
        data: the file's bytes.

    Raises:
        InvalidValue: no such picture, or one of more than 256 KiB.
    """

    __slots__ = ("__data", "__weakref__", "media_type")

    @forgetful
    def __init__(self, data: bytes) -> None:
        if trouble := self._take(data):
            raise InvalidValue(trouble)

    def _take(self, data: object) -> str | None:
        """Keep the bytes, or say why not."""
        if not isinstance(data, bytes):
            return f"a picture must be bytes, not {type(data).__name__}"
        if len(data) > MAX_PICTURE:
            return f"a picture has at most {MAX_PICTURE:,} bytes, not {len(data):,}"
        for media_type, magic in MAGIC.items():
            if re.match(magic, data, re.DOTALL):
                self.__data = data
                self.media_type = media_type
                return None
        return f"a picture must be a file of one of: {', '.join(MAGIC)}"

    def reveal(self) -> bytes:
        """The file's bytes."""
        return self.__data

    def data_url(self) -> str:
        """The picture as a ``data:`` URL, for the ``src`` of an ``<img>``."""
        return f"data:{self.media_type};base64,{b64encode(self.__data).decode()}"

    def svg(self, *, side: float) -> str:
        """An SVG element that shows it, ``side`` pixels wide and high."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{side:g}" height="{side:g}" '
            f'viewBox="0 0 1 1"><image width="1" height="1" href="{self.data_url()}"/></svg>'
        )

    def read(self) -> str:
        """The text of the QR code in it.

        Raises:
            MissingExtra: the ``pictures`` extra is not installed.
            Malformed: it shows no QR code that can be read.
        """
        zxingcpp, Image = require_reading()  # noqa: N806 - a module's name
        formats = [self.media_type.removeprefix("image/").upper()]
        texts: list[str] = []
        trouble = "shows no QR code that can be read"
        try:
            with Image.open(io.BytesIO(self.__data), formats=formats) as image:
                if max(image.size) <= MAX_SIDE:
                    # On white: a transparent background would be read as black.
                    whole = image.convert("RGBA")
                    white = Image.new("RGBA", whole.size, "white")
                    grey = Image.alpha_composite(white, whole).convert("L")
                    kind, found = zxingcpp.BarcodeFormat.QRCode, zxingcpp.read_barcodes(grey)
                    texts = [one.text for one in found if one.text and one.format == kind]
                else:
                    trouble = f"is larger than {MAX_SIDE} pixels"
        except Exception:  # whatever a torn file makes Pillow raise; nothing is awaited here
            trouble = "is no whole picture"
        if len(texts) != 1:
            raise Malformed("picture", trouble)
        return texts[0]

    def __repr__(self) -> str:
        return f"Picture(<hidden>, {getattr(self, 'media_type', 'half made')})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.__data == other.__data

    def __hash__(self) -> int:
        return hash(self.__data)


def is_data_url(value: object) -> bool:
    """Whether text is a ``data:`` URL, as services send a picture in place of a code."""
    return isinstance(value, str) and value[:5].lower() == "data:"


def picture_in(data_url: str) -> Picture | str:
    """The picture in a ``data:`` URL, or what is wrong with it."""
    head = DATA_URL.match(data_url)
    if head is None:
        return "a picture as a data: URL must be in base64"
    if len(data_url) > MAX_PICTURE * 4 / 3 + 1024:
        return f"a picture has at most {MAX_PICTURE:,} bytes"
    try:
        data = b64decode("".join(data_url[head.end() :].split()), validate=True)
    except (binascii.Error, ValueError):
        return "a picture as a data: URL must be in base64"
    return picture_of(data)


def picture_of(data: bytes) -> Picture | str:
    """The picture that these bytes are, or what is wrong with them."""
    try:
        return Picture(data)
    except InvalidValue as error:
        return str(error)

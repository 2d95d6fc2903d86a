"""A code that the service has drawn itself: a picture, bounded, of a kind that is known."""

from __future__ import annotations

import base64
import copy
import io
import pickle
import sys
import zlib
from typing import Any

import pytest

from qrlifecycle import InvalidValue, PairingCode, QRCode, QRUpdated
from qrlifecycle.errors import Malformed, MissingExtra
from qrlifecycle.pictures import MAX_PICTURE, MAX_SIDE, Picture
from qrlifecycle.transports.messages import DEFAULT_SIGNALS, Dropped, read_message

TEXT = "2@a-very-secret-payload"
PNG = QRCode(TEXT).png()
HEADS = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\x10\x00\x00\x00WEBP",
}


def data_url(data: bytes, media_type: str = "image/png") -> str:
    """As services send a picture where the text should be."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    "url",
    [
        data_url(PNG),
        data_url(PNG, "image/gif"),
        data_url(PNG).replace("data:image/png", "DATA:image/png;charset=x"),
        data_url(PNG, "")[:80] + "\n" + data_url(PNG, "")[80:],
    ],
)
def test_a_data_url_is_the_picture_in_it(url: str) -> None:
    """It is what its first bytes say, whatever it is called, and the text is not known."""
    code = QRCode(url, expires_in=20)
    assert code.picture == Picture(PNG)
    assert code.picture is not None
    assert code.picture.media_type == "image/png"
    assert code.picture.reveal() == PNG
    assert code.picture.data_url() == data_url(PNG)
    assert (code.has_text, code.expires_in) == (False, 20)
    assert code == QRCode(picture=PNG) == QRCode(picture=Picture(PNG))
    assert hash(code) == hash(QRCode(picture=PNG))


@pytest.mark.parametrize(("media_type", "head"), HEADS.items())
def test_four_kinds_of_pictures_are_known(media_type: str, head: bytes) -> None:
    """By how they begin."""
    assert Picture(head + b"rest").media_type == media_type
    with pytest.raises(InvalidValue, match="file of one of"):
        Picture(b" " + head)


@pytest.mark.parametrize(
    ("given", "trouble"),
    [
        (data_url(b"<svg onload='x()'/>", "image/svg+xml"), "file of one of"),
        (data_url(b""), "file of one of"),
        (data_url(HEADS["image/png"] + bytes(MAX_PICTURE)), "at most 262,144 bytes"),
        ("data:image/png;base64,????", "base64"),
        ("data:image/png;base64,ü", "base64"),
        ("data:image/png,%89PNG", "base64"),
        ("data:", "base64"),
        ("data:" + "x" * 300 + ";base64," + base64.b64encode(PNG).decode(), "base64"),
    ],
)
def test_a_data_url_that_is_no_picture_is_refused(given: str, trouble: str) -> None:
    """It is not drawn as the text that it is, and no text of ours has it."""
    with pytest.raises(InvalidValue, match=trouble) as caught:
        QRCode(given)
    assert given[10:60] not in str(caught.value) or given == "data:"
    message = ({"qr": given},)
    dropped = read_message(DEFAULT_SIGNALS, "whatsapp_qr_updated", message, "b", "u")
    assert isinstance(dropped, Dropped)
    assert trouble in dropped.why


@pytest.mark.parametrize("picture", ["text", 7, b"", b"text"])
def test_what_is_no_picture_is_refused(picture: Any) -> None:
    """A clear error where it is given."""
    with pytest.raises(InvalidValue, match="picture"):
        QRCode(picture=picture)
    with pytest.raises(InvalidValue):
        QRCode()


def test_a_message_may_hold_a_picture() -> None:
    """In the field of the code, as wppconnect sends it."""
    signal = read_message(
        DEFAULT_SIGNALS, "whatsapp_qr_updated", ({"qr": data_url(PNG)},), "b", "u"
    )
    assert signal == QRUpdated(QRCode(picture=PNG))


def test_the_text_of_a_picture_is_read_when_it_is_needed() -> None:
    """`reveal()` and what draws with modules read it once; the SVG shows the picture as it is."""
    code = QRCode(data_url(PNG))
    assert data_url(PNG) in code.svg()
    assert code.reveal() == TEXT
    assert code.matrix() == QRCode(TEXT).matrix()
    assert code.text(ink=True) == QRCode(TEXT).text(ink=True)
    assert not code.has_text  # it is the same code before and after
    assert code == QRCode(picture=PNG)
    assert code != QRCode(TEXT)


def test_a_code_may_have_both_faces() -> None:
    """Text and picture: the text counts, and nothing has to be read."""
    code = QRCode(TEXT, picture=b"\x89PNG\r\n\x1a\nof no use")
    assert code.has_text
    assert code == QRCode(TEXT)
    assert (code.reveal(), code.svg()) == (TEXT, QRCode(TEXT).svg())
    assert PairingCode("ABCD").has_text


def test_without_the_extra_reading_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs the text names the extra; what shows the picture needs none."""
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    code = QRCode(picture=PNG)
    for draw in (code.reveal, code.matrix, code.text, code.png):
        with pytest.raises(MissingExtra, match=r"pip install '\.\[pictures\]'"):
            draw()
    assert code.svg().startswith("<svg")


def png(width: int, height: int) -> bytes:
    """A PNG file that claims to be of that size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    head = chunk(b"IHDR", size + bytes([8, 0, 0, 0, 0]))
    return HEADS["image/png"] + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def two_codes() -> bytes:
    """A picture of two codes side by side."""
    from PIL import Image

    one = Image.open(io.BytesIO(PNG)).convert("L")
    other = Image.open(io.BytesIO(QRCode("other").png())).convert("L")
    both = Image.new("L", (one.width + other.width + 40, one.height), 255)
    both.paste(one, (0, 0))
    both.paste(other, (one.width + 40, 0))
    stream = io.BytesIO()
    both.save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "trouble"),
    [
        (png(MAX_SIDE + 1, 8), "larger than"),
        (png(100_000, 100_000), "no whole picture|larger than"),
        (PNG[: len(PNG) // 2], "no whole picture|no QR code"),
        (HEADS["image/png"], "no whole picture"),
        (HEADS["image/jpeg"], "no whole picture"),
        (HEADS["image/gif"] + bytes(20), "no whole picture"),
        (HEADS["image/webp"] + bytes(20), "no whole picture"),
        (two_codes(), "no QR code"),
    ],
)
def test_a_picture_without_one_code_is_the_services_fault(data: bytes, trouble: str) -> None:
    """Torn, empty, huge, or of two codes: one typed error of the peer's branch."""
    with pytest.raises(Malformed, match=trouble):
        QRCode(picture=data).reveal()


def test_promise_6_a_picture_shows_itself_nowhere() -> None:
    """It is as secret as the code in it."""
    picture = Picture(PNG)
    assert repr(picture) == "Picture(<hidden>, image/png)"
    assert repr(QRCode(picture=picture)) == "QRCode(<hidden>)"
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="secret"):
            leak(picture)
    assert picture != PNG

"""A QR code keeps its secret and draws itself."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import Any

import pytest

from qrlifecycle import InvalidValue, PairingCode, QRCode
from qrlifecycle.errors import MissingExtra

SECRET = "2@a-very-secret-payload"


def test_promise_6_only_reveal_shows_the_payload() -> None:
    """No repr, str, format, error or attribute shows the payload; `reveal()` does."""
    qr = QRCode(SECRET, expires_in=20)
    texts = [
        repr(qr),
        str(qr),
        f"{qr}",
        f"{qr!r:>80}",
        repr([qr]),
        str(getattr(qr, "__dict__", "")),
    ]
    assert all(SECRET not in text for text in texts)
    assert repr(qr) == "QRCode(<hidden>, expires_in=20)"
    assert qr.reveal() == SECRET


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_promise_6_a_code_cannot_be_pickled_or_copied(leak: Any) -> None:
    """A pickle or a copy would carry the secret where nobody looks after it."""
    with pytest.raises(TypeError, match="secret") as caught:
        leak(QRCode(SECRET))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("payload", ["", None, 5, b"bytes", "x" * 2954, "\udc80"])
def test_a_payload_that_cannot_be_meant_is_refused(payload: Any) -> None:
    """Empty, too long or no text at all: a clear error, without the payload in it."""
    with pytest.raises(InvalidValue) as caught:
        QRCode(payload)
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize("expires_in", [0, -1, float("nan"), "60", True])
def test_a_lifetime_that_cannot_be_meant_is_refused(expires_in: Any) -> None:
    """A lifetime is a number of seconds above 0."""
    with pytest.raises(InvalidValue, match="expires_in"):
        QRCode(SECRET, expires_in=expires_in)


def test_promise_6_what_can_be_typed_stands_beside_the_picture() -> None:
    """A code may have two faces; both are secrets."""
    qr = QRCode("https://login.example/device", typed="WDJB-MJHT", expires_in=20)
    assert qr.typed == PairingCode("WDJB-MJHT")
    assert QRCode("x").typed is None
    assert "WDJB" not in repr(qr) + repr(qr.typed) + f"{qr.typed}"
    for typed in ("", "x" * 65, 7, b"x"):
        with pytest.raises(InvalidValue, match="pairing code") as caught:
            QRCode("x", typed=typed)  # type: ignore[arg-type]
        assert "xxx" not in str(caught.value)


def test_the_address_to_type_a_code_at_is_one_that_a_person_can_open() -> None:
    """It goes to a screen as it is: nothing to run, no control characters, and not alone."""
    where = "https://login.example/device"
    assert QRCode("x", typed="y", typed_at=where).typed_at == where
    assert QRCode("x", typed="y").typed_at is None
    for options in (
        {"typed_at": where},
        *({"typed": "y", "typed_at": at} for at in ("javascript:x", f"{where}\n", "", 7, "/x")),
    ):
        with pytest.raises(InvalidValue, match="typed_at"):
            QRCode("x", **options)  # type: ignore[arg-type]


def test_a_code_whose_picture_is_the_same_is_another_if_another_is_typed() -> None:
    """The picture may be but the address where it is typed; then the text is all the news."""
    assert QRCode("a", typed="b") == QRCode("a", typed="b", expires_in=3)
    assert QRCode("a", typed="b") != QRCode("a", typed="c")
    assert QRCode("a", typed="b") != QRCode("a")
    assert hash(QRCode("a", typed="b")) == hash(QRCode("a", typed="b"))
    assert QRCode("a") != "a"


def test_codes_with_the_same_payload_are_equal() -> None:
    """Two codes are the same if a phone would read the same."""
    assert QRCode("a") == QRCode("a", expires_in=3)
    assert QRCode("a") != QRCode("b")
    assert QRCode("a") != "a"
    assert len({QRCode("a"), QRCode("a")}) == 1


def test_the_matrix_has_its_quiet_zone() -> None:
    """Four light modules surround the code, as scanners need; the finder patterns are dark."""
    matrix = QRCode(SECRET).matrix()
    assert len(matrix) == len(matrix[0])
    assert not any(any(row) for row in matrix[:4] + matrix[-4:])
    assert not any(row[column] for row in matrix for column in (0, 1, 2, 3, -1, -2, -3, -4))
    assert all(matrix[4][4:11])


def test_the_text_shows_every_module() -> None:
    """The half blocks hold the matrix, two rows a line, light filled and dark blank."""
    qr = QRCode(SECRET)
    halves = {"█": (False, False), "▀": (False, True), "▄": (True, False), " ": (True, True)}
    rows: list[list[bool]] = []
    for line in qr.text().splitlines():
        rows.append([halves[c][0] for c in line])
        rows.append([halves[c][1] for c in line])
    assert rows[: len(qr.matrix())] == qr.matrix()


def test_svg_and_png_are_what_they_say() -> None:
    """The SVG is one element and the PNG one file, both dark on white, neither with the payload."""
    qr = QRCode(SECRET)
    assert qr.svg().startswith("<svg")
    assert "#fff" in qr.svg()
    assert SECRET not in qr.svg()
    assert qr.png().startswith(b"\x89PNG")
    assert SECRET.encode() not in qr.png()


def test_without_the_extra_drawing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without segno the error names the extra."""
    monkeypatch.setitem(sys.modules, "segno", None)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[qr\]'"):
        QRCode(SECRET).svg()

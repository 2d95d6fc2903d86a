"""Our frames against another library's, wsproto, on whatever a server may send.

wsproto is the strictest that there is; it is not what runs here, for the reasons that stand in
`qrlifecycle.transports.wire`. Where the two differ, it is written down below, and why.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from qrlifecycle.transports.wire.frames import Frames

LIMIT = 1 << 20

IN_ORDER = (1000, 1001, 1005)


@dataclass
class Heard:
    """What came of some bytes."""

    messages: list[str | bytes] = field(default_factory=list)
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    """The frames that were sent for it: opcode and payload."""
    end: object = None
    """None: it goes on; "in order"; a close code; "broken"."""


def ours(chunks: list[bytes]) -> Heard:
    """By what runs here."""
    frames, heard, sent = Frames(LIMIT), Heard(), b""
    for chunk in chunks:
        sent += frames.feed(chunk)
        while (message := frames.next()) is not None:
            heard.messages.append(message)
    heard.sent = unmasked(sent)
    if frames.ended:
        failure = frames.failure
        heard.end = "in order" if failure is None else failure.code or "broken"
    return heard


def theirs(chunks: list[bytes]) -> Heard:
    """By the oracle."""
    connection, heard = Connection(ConnectionType.CLIENT), Heard()
    parts: list[str | bytes] = []
    for chunk in chunks:
        if heard.end is not None:
            break
        connection.receive_data(chunk)
        try:
            for event in connection.events():
                if isinstance(event, TextMessage | BytesMessage):
                    parts.append(event.data if isinstance(event.data, str) else bytes(event.data))
                    if event.message_finished:
                        empty: str | bytes = "" if isinstance(event, TextMessage) else b""
                        heard.messages.append(empty.join(parts))  # type: ignore[arg-type]
                        parts = []
                elif isinstance(event, Ping):
                    heard.sent.append((10, bytes(event.payload)))
                elif isinstance(event, CloseConnection):
                    if connection.state is ConnectionState.OPEN:  # nobody closed: it gives up
                        heard.end = "broken"
                        break
                    code = int(event.code)
                    heard.end = "in order" if code in IN_ORDER else code
                    heard.sent.append((8, b"" if code == 1005 else code.to_bytes(2, "big")))
                    break
        except (RemoteProtocolError, LocalProtocolError):
            heard.end = "broken"
    return heard


def unmasked(data: bytes) -> list[tuple[int, bytes]]:
    """The frames that a client has sent; of a close the code only."""
    found = []
    while data:
        assert data[0] & 0x80
        assert data[1] & 0x80
        kind, size, at = data[0] & 15, data[1] & 127, 2
        mask, body = data[at : at + 4], data[at + 4 : at + 4 + size]
        plain = bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))
        found.append((kind, plain[:2] if kind == 8 else plain))
        data = data[at + 4 + size :]
    return found


def encode(
    opcode: int,
    body: bytes,
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = False,
    width: int = 0,
) -> bytes:
    """A frame; the length as short as it can be, unless told otherwise."""
    size = len(body)
    width = max(width, 0 if size < 126 else 1 if size < 1 << 16 else 2)
    head = bytes([fin << 7 | rsv << 4 | opcode])
    head += bytes([masked << 7 | (size, 126, 127)[width]])
    head += (b"", struct.pack("!H", size & 0xFFFF), struct.pack("!Q", size))[width]
    return head + (b"abcd" if masked else b"") + body


COMPLETING = b"\x80\x00" * LIMIT
"""The rest of whatever was begun, and the end of a message: nobody can mean it."""


def judge(chunks: list[bytes]) -> None:
    """Both understand the same."""
    mine, oracle = ours(chunks), theirs(chunks)
    # Each refuses some frames by their head, or text by its first bytes, and others when whole.
    if mine.end is None and oracle.end == "broken":
        mine = ours([*chunks, COMPLETING])
    elif oracle.end is None and mine.end == "broken":
        oracle = theirs([*chunks, COMPLETING])
    assert mine.messages == oracle.messages
    assert mine.end == oracle.end
    # If it is broken, the one says why, and the other has raised. A close among the parts of a
    # message is answered by the one with "in the middle of a message", by the other with the same.
    if mine.end in {None, "in order"} and (8, b"\x03\xea") not in mine.sent:
        assert mine.sent == oracle.sent


TEXT = "Grüße, 世界, 🎉".encode()

ODD = {
    "nothing": b"",
    "half a head": b"\x81",
    "text": encode(1, b"hi"),
    "empty text": encode(1, b""),
    "bytes": encode(2, b"\xff\xfe"),
    "two at once": encode(1, b"a") + encode(1, b"b"),
    "text of 125": encode(1, b"x" * 125),
    "text of 126": encode(1, b"x" * 126),
    "text of 65535": encode(1, b"x" * 65535),
    "text of 65536": encode(1, b"x" * 65536),
    "in parts": encode(1, b"a", fin=False) + encode(0, b"b", fin=False) + encode(0, b"c"),
    "in empty parts": encode(2, b"", fin=False) + encode(0, b"", fin=False) + encode(0, b""),
    "ping among parts": encode(1, b"a", fin=False) + encode(9, b"p") + encode(0, b"b"),
    "a character in two parts": encode(1, TEXT[:4], fin=False) + encode(0, TEXT[4:]),
    "text of many characters": encode(1, TEXT),
    "half a character": encode(1, TEXT[:4]),
    "half a character in parts": encode(1, TEXT[:4], fin=False) + encode(0, b""),
    "overlong utf-8": encode(1, b"\xc0\xaf"),
    "a surrogate in utf-8": encode(1, b"\xed\xa0\x80"),
    "beyond unicode": encode(1, b"\xf4\x90\x80\x80"),
    "no utf-8": encode(1, b"\xff"),
    "good, then no utf-8": encode(1, b"ok") + encode(1, b"\xff") + encode(1, b"late"),
    "text within a message": encode(1, b"a", fin=False) + encode(1, b"b"),
    "bytes within a text": encode(1, b"a", fin=False) + encode(2, b"b"),
    "a part of nothing": encode(0, b"a"),
    "part after the end": encode(1, b"a") + encode(0, b"b"),
    "masked": encode(1, b"abcd", masked=True),
    "masked ping": encode(9, b"", masked=True),
    **{f"reserved bit {rsv}": encode(1, b"a", rsv=rsv) for rsv in (1, 2, 4)},
    "reserved bit in a ping": encode(9, b"", rsv=4),
    **{f"opcode {opcode}": encode(opcode, b"a") for opcode in (3, 7, 11, 15)},
    "ping": encode(9, b"payload"),
    "empty ping": encode(9, b""),
    "ping of 125": encode(9, b"x" * 125),
    "ping of 126": encode(9, b"x" * 126),
    "ping in parts": encode(9, b"a", fin=False),
    "pong that nobody asked for": encode(10, b"x"),
    "pong of 126": encode(10, b"x" * 126),
    "close": encode(8, b""),
    "close of one byte": encode(8, b"\x03"),
    "close with words": encode(8, b"\x03\xe8bye"),
    "close with words that are no utf-8": encode(8, b"\x03\xe8\xff"),
    "close of 126": encode(8, b"\x03\xe8" + b"x" * 124),
    "close in parts": encode(8, b"\x03\xe8", fin=False),
    "message after the close": encode(8, b"\x03\xe8") + encode(1, b"late"),
    "garbage after the close": encode(8, b"\x03\xe8") + b"\xff" * 100,
    "close among parts": encode(1, b"a", fin=False) + encode(8, b"\x03\xe8"),
    "close for a reason among parts": encode(1, b"a", fin=False) + encode(8, b"\x0f\xa0"),
    "message, close": encode(1, b"last") + encode(8, b"\x03\xe9"),
    **{
        f"close {code}": encode(8, code.to_bytes(2, "big"))
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    },
    **{
        f"close {code}, which nobody may send": encode(8, code.to_bytes(2, "big"))
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
def test_odd_frames_are_understood_as_by_another_library(name: str, size: int) -> None:
    """However they are cut into reads."""
    data = ODD[name]
    judge([data[i : i + size] for i in range(0, len(data), size)] if len(data) < 1000 else [data])


BODIES = st.one_of(
    st.binary(max_size=6),
    st.text(max_size=4).map(str.encode),
    st.sampled_from([1000, 1001, 1002, 1005, 1008, 4000, 999]).map(lambda c: c.to_bytes(2, "big")),
    st.integers(124, 128).map(lambda n: b"x" * n),
)

FRAMES = st.builds(
    encode,
    st.sampled_from([0, 0, 1, 1, 2, 8, 9, 10, 3]),
    BODIES,
    fin=st.sampled_from([True, True, False]),
    rsv=st.sampled_from([0] * 12 + [1, 4]),
    masked=st.sampled_from([False] * 12 + [True]),
)


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(0, 200), max_size=6))
@example([b"\x01\x01\xf5"], [])
@example([encode(1, b"\xc3", fin=False), encode(9, b""), encode(0, b"\xbc")], [])
def test_any_frames_are_understood_as_by_another_library(
    frames: list[bytes], cuts: list[int]
) -> None:
    """In any order, cut anywhere."""
    data = b"".join(frames)
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    starts = [0, *ends[:-1]]
    judge([data[start:end] for start, end in zip(starts, ends, strict=True)])


@given(st.binary(max_size=40))
@example(b"\x08\x01")
@example(b"\x00\xfe")
def test_any_bytes_are_understood_as_by_another_library(data: bytes) -> None:
    """Whatever they are."""
    judge([data])

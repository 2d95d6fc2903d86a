"""What a misbehaving server sends, by what it speaks and how far it has come."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from qrlifecycle.testing.contract.socketio_peer import GARBAGE as SOCKETIO_GARBAGE
from qrlifecycle.testing.contract.socketio_peer import event
from qrlifecycle.testing.contract.websocket_peer import GARBAGE as WEBSOCKET_GARBAGE
from qrlifecycle.testing.contract.websocket_peer import frame
from qrlifecycle.testing.contract.wire import GARBAGE as ANY_GARBAGE

from .plan import Kind

__all__ = [
    "BOT",
    "HTTP_ANSWERS",
    "SECRET",
    "SUCCESS",
    "USER",
    "corrupt",
    "garbage",
    "message",
    "openings",
]

BOT, USER = "bot-7", "user-1"

SECRET = "hush-4711"
"""In the URL's query, in a header and in what is sent on joining."""

TLS_NOISE = b"\x16\x03\x01\x00\x05abcde", b"\x15\x03\x03\x00\x02\x02\x28", b"\x17\x03\x03\xff\xff"

HTTP_ANSWERS = [
    b"",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"220 mail ready\r\n",
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/9.9 101 X\r\n\r\n",
    b"HTTP/1.1 abc X\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: no\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 40,
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
    b"HTTP/1.1 204 None\r\n\r\n",
    b"HTTP/1.1 301 Moved\r\nLocation: http://other.example/?token=" + SECRET.encode() + b"\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\r\n\r\n",
    b"HTTP/1.1 307 Moved\r\n\r\n",
    b"HTTP/1.1 400 Bad\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\n\r\n",
    b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 407 Proxy\r\n\r\n",
    b"HTTP/1.1 429 Slow\r\nRetry-After: 1e999\r\n\r\n",
    b"HTTP/1.1 429 Slow\r\nRetry-After: -1\r\n\r\n",
    b"HTTP/1.1 503 Later\r\nRetry-After: 0.01\r\n\r\n",
    b"HTTP/1.1 503 Later\r\nRetry-After: Thu, 99 Foo 2026 00:00:00 GMT\r\n\r\n",
    b"HTTP/1.1 503 Later\r\nContent-Length: -3\r\n\r\n",
    b"HTTP/1.1 500 X\r\n" + b"A: b\r\n" * 300 + b"\r\n",
    b"HTTP/1.1 500 X\r\nA: " + b"x" * 100_000,
    b"HTTP/1.1 200 OK\n\n",
    b"HTTP/1.0 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"\r\n\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    *TLS_NOISE,
]
"""What may answer a handshake, and is no upgrade."""

SUCCESS = event("whatsapp_connected", {"botId": BOT, "userId": USER, "identity": "+49"}).encode()

BEATS: list[object] = [25_000, 20, 1, 0, -5, 1e308, "1000", None, [], "NaN", {"a": 1}, True]
"""What a server may say its intervals are."""

CODES = [0, 999, 1000, 1001, 1002, 1005, 1006, 1007, 1008, 1011, 1015, 3000, 4401, 4999, 65535]
"""What a WebSocket's close may say, beside what it must not."""

JOINS = [
    '40{"sid":"x"}', "40", "40{}", '40{"sid":7}', "40[1]", '44{"message":"no"}', "44", "44[]", "41",
    '44{"message":{"a":1},"data":[1]}', '44{"data":{"code":"unauthorized"}}', "40/other,", "1", "6",
    '44{"message":"invalid token ' + SECRET + '"}', "3probe", "\0", "4", "451-", '40{"sid":"x"',
]  # fmt: skip
"""What may answer the wish to join a namespace; the first is right."""


def garbage(dice: Random, kind: Kind) -> bytes:
    """Bytes that nobody can mean, or hardly."""
    of_kind = WEBSOCKET_GARBAGE if kind is Kind.WEBSOCKET else SOCKETIO_GARBAGE
    choices = [*of_kind.values(), *ANY_GARBAGE.values(), *TLS_NOISE, dice.randbytes(40)]
    return dice.choice(choices)


def corrupt(dice: Random, data: bytes) -> bytes:
    """The same with a byte changed, doubled or left out."""
    if not data:
        return data
    at = dice.randrange(len(data))
    replaced = dice.choice([b"", dice.randbytes(1), data[at : at + 1] * 2])
    return data[:at] + replaced + data[at + 1 :]


def openings(dice: Random) -> list[bytes]:
    """A Socket.IO server's part after the upgrade: its OPEN, and what answers the wish to join."""
    welcome: dict[str, object] = {"sid": "s", "upgrades": []}
    odd = dice.random() < 0.15
    welcome["pingInterval"] = dice.choice(BEATS) if odd else 25_000
    welcome["pingTimeout"] = dice.choice(BEATS) if odd else 20_000
    if dice.random() < 0.05:
        del welcome["pingTimeout"]
    first = dice.choice(["1", "40", "0", "0[]", "0{", "2", ""]) if dice.random() < 0.1 else ""
    join = dice.choice(JOINS) if dice.random() < 0.2 else JOINS[0]
    return [frame(first or "0" + json.dumps(welcome)), frame(join)]


def message(dice: Random, kind: Kind) -> bytes:
    """What a server says once it is listened to; of sense or not."""
    owner = {"botId": dice.choice([BOT, BOT, "another", 7]), "userId": USER}
    binary = frame('451-["nobody",{"_placeholder":true,"num":0}]') + frame(b"a" * 50, 2)
    closing = dice.choice(CODES).to_bytes(2, "big") + dice.choice([b"", b"bye", b"\xff"])
    choices: list[Callable[[], bytes]] = [
        *[lambda: frame(_said(dice, kind, owner))] * 5,
        lambda: frame("2") if kind is not Kind.WEBSOCKET else frame(b"x", 9),
        lambda: garbage(dice, kind),
        lambda: frame(event("nobody", "x" * 100)) * dice.choice([10, 1000]),
        lambda: frame(b"", 9) * dice.choice([10, 5000]),
        lambda: frame("2" if kind is not Kind.WEBSOCKET else "{}") * dice.choice([10, 5000]),
        lambda: frame('4217["nobody"]') * dice.choice([1, 500]),
        lambda: frame("x" * dice.choice([125, 126, 65_535, 65_536, 2_000_000])),
        lambda: b"\x81\x7f" + dice.choice([2**63 - 1, 2**63, 2**32]).to_bytes(8, "big"),
        lambda: b"\x01\x03abc" + b"\x00\x03def" * dice.choice([1, 3000]),
        lambda: frame(closing, 8),
        lambda: frame("1"),
        lambda: frame("41"),
        lambda: binary * dice.choice([1, 20]),
        lambda: frame("459-[]"),
    ]  # fmt: skip
    return dice.choice(choices)()


def _said(dice: Random, kind: Kind, owner: dict[str, object]) -> str:
    names = ["scanned", "qr_scanned", "qr_updated", "qr_expired", "connected", "connection_failed"]
    more = {"qr": dice.choice(["code", "", 7, None]), "identity": dice.choice(["+49", 49, None])}
    if kind is Kind.WEBSOCKET:
        return json.dumps({"type": dice.choice(["qr", "scanned", "linked", 7]), **owner, **more})
    return event(f"whatsapp_{dice.choice(names)}", {**owner, **more})

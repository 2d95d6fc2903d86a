"""What every transport shares that is told things: what a message means is kept, or counted."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from qrlifecycle import Paired, QRCode, Scanned, Signal
from qrlifecycle.transports.messages import Drop, Dropped
from qrlifecycle.transports.push import PushTransport

pytestmark = pytest.mark.anyio


class Told(PushTransport):
    """It is told by the test."""

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...

    def abort(self) -> None: ...


def read(message: Any) -> Any:
    """As somebody writes it for a service."""
    match message:
        case {"type": "linked"}:
            return Paired(message["phone"])
        case {"type": "code"}:
            return QRCode(message["code"])
        case {"type": "both"}:
            return several(message)
        case {"type": "another's"}:
            return Drop.FOREIGN
        case {"type": "ping"}:
            return ()
    return None


def several(message: Any) -> Iterator[Signal]:
    """A generator raises later than it is called."""
    yield Scanned()
    yield Paired(message["phone"])


async def test_what_a_message_means_is_kept() -> None:
    """One signal, or several; what has nothing to say is none too many, what is unknown is one."""
    told = Told()
    told._take_read(read, {"type": "both", "phone": "+49"})
    told._take_read(read, {"type": "ping"})
    assert told.dropped == {}
    told._take_read(read, {"type": "nothing"})
    assert [await told.receive(), await told.receive()] == [Scanned(), Paired("+49")]
    assert told.dropped == {"unknown": 1}


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({"type": "linked"}, "raised KeyError"),
        ({"type": "both"}, "raised KeyError"),
        ({"type": "linked", "phone": 7}, "identity"),
        ({"type": "code", "code": ""}, "empty"),
    ],
)
async def test_promise_7_what_cannot_be_meant_is_counted_and_said(
    message: dict[str, object], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever reading it raises, in words that hold no value of the message; nothing is kept."""
    caplog.set_level(logging.DEBUG, logger="qrlifecycle")
    told = Told()
    told._take_read(read, message, "the name")
    told._take(Drop.UNKNOWN)
    told._take(Dropped(Drop.MALFORMED, "for a reason of its own"))
    assert told.dropped == {"malformed": 2, "unknown": 1}
    assert says in caplog.text
    assert "malformed (event 'the name')" in caplog.text
    assert len(told._buffer) == 0


async def test_what_no_message_can_be_blamed_for_comes_out() -> None:
    """A broken disk is not the peer's."""

    def broken(_message: object) -> Signal:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        Told()._take_read(broken, {})
    told = Told()
    told._take_read(read, {"type": "another's"})
    assert told.dropped == {"foreign": 1}

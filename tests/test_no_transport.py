"""A service that is only polled: no transport listens, and none is spoken of."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    Connected,
    Failed,
    NoTransport,
    Paired,
    Policy,
    QRCode,
    QRLifecycle,
    Reason,
    Signal,
    State,
    WrongAnswer,
)
from qrlifecycle.monitoring import Audit
from qrlifecycle.records import Closed, Opened, Opening, Record
from qrlifecycle.testing import settle

from .pairing import request_qr

pytestmark = pytest.mark.anyio

POLLED = Policy(status_interval=5, status_retry_delay=0.001, max_refreshes=0, expiry_grace=0)


async def test_a_success_is_found_by_polling(caplog: pytest.LogCaptureFixture) -> None:
    """The code is shown, the status is read every so often, and no socket is logged or recorded."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    records, shown, asked = list[Record](), list[QRCode](), list[float]()
    audit = Audit()

    async def check_status() -> Signal | None:
        asked.append(anyio.current_time())
        return Paired("me") if len(asked) == 3 else None

    lifecycle = QRLifecycle(
        request_qr,
        NoTransport,
        check_status=check_status,
        policy=POLLED,
        on_qr_updated=shown.append,
        recorders=[records.append, audit],
    )
    assert await lifecycle.pair() == Connected("me")
    assert shown == [QRCode("first", expires_in=60)]
    assert [round(when - asked[0]) for when in asked] == [0, 5, 10]
    assert not [one for one in records if isinstance(one, Opening | Opened | Closed)]
    assert audit.figures().openings == 0
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert caplog.messages == ["connected, found by check_status"]


async def test_promise_1_there_is_no_socket_at_any_time() -> None:
    """`socket_open` is False while the code is displayed; leaving takes no time."""

    async def check_status() -> Signal | None:
        return None

    lifecycle = QRLifecycle(request_qr, NoTransport, check_status=check_status, policy=POLLED)
    outcomes: list[Any] = []

    async def pair() -> None:
        outcomes.append(await lifecycle.pair())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair)
        await settle()
        assert (lifecycle.state, lifecycle.socket_open) == (State.DISPLAYED, False)
        await anyio.sleep(61)
    assert outcomes == [Failed(Reason.EXPIRED)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"policy": POLLED},
        {"check_status": request_qr},
        {"check_status": request_qr, "policy": Policy()},
    ],
    ids=["neither", "no status", "no policy", "no interval"],
)
async def test_what_can_hear_nothing_needs_a_status_that_is_polled(options: dict[str, Any]) -> None:
    """Without it, nobody would ever learn of a success."""
    said = r"^(NoTransport hears nothing: give check_status|.*status_interval needs a check_status)"
    with pytest.raises(WrongAnswer, match=said):
        QRLifecycle(request_qr, NoTransport, **options)


@pytest.mark.parametrize("how", ["aclose", "abort", "both"])
async def test_whoever_waits_for_it_is_told_of_its_end(how: str) -> None:
    """It is a transport like others: closing ends what waits, as often as one likes."""
    transport = NoTransport()
    ended: list[bool] = []

    async def receive() -> None:
        with pytest.raises(anyio.EndOfStream):
            await transport.receive()
        ended.append(True)

    with anyio.move_on_after(1):
        async with anyio.create_task_group() as tasks:
            await transport.open()
            tasks.start_soon(receive)
            await settle()
            if how != "abort":
                await transport.aclose()
            if how != "aclose":
                transport.abort()
    assert ended == [True]


async def test_promise_5_its_opening_can_be_cancelled_as_any_can() -> None:
    """There is nothing to open, but whoever is cancelled goes no further."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        await NoTransport().open()
    assert scope.cancelled_caught

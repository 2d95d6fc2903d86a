"""Signals that wait to be taken: how many there are, and in which order they come."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from qrlifecycle import (
    Paired,
    PairingRefused,
    QRCode,
    QRExpired,
    QRUpdated,
    Scanned,
    Signal,
    StatusChanged,
    TransportLost,
)
from qrlifecycle.transports.buffer import SignalBuffer

pytestmark = pytest.mark.anyio


async def drain(buffer: SignalBuffer) -> list[Signal]:
    """Everything up to the end."""
    signals = []
    while True:
        try:
            signals.append(await buffer.get())
        except (anyio.EndOfStream, TransportLost):
            return signals


async def test_signals_come_in_the_order_of_arrival() -> None:
    """First in, first out."""
    buffer = SignalBuffer()
    sent = [Scanned(), QRUpdated(QRCode("a")), QRExpired(), Paired("+1")]
    for signal in sent:
        buffer.put(signal)
    assert [await buffer.get() for _ in sent] == sent


async def test_a_newer_code_replaces_one_nobody_took() -> None:
    """Only the newest code is good, and it takes its place at the end."""
    buffer = SignalBuffer()
    buffer.put(QRUpdated(QRCode("old")))
    buffer.put(Scanned())
    buffer.put(QRUpdated(QRCode("new")))
    buffer.end(anyio.EndOfStream())
    assert await drain(buffer) == [Scanned(), QRUpdated(QRCode("new"))]


@pytest.mark.parametrize("last", [Paired("+1"), PairingRefused()])
async def test_the_first_verdict_counts_where_it_stands(last: Signal) -> None:
    """A second success or failure neither replaces the first nor overtakes what came after it."""
    buffer = SignalBuffer()
    buffer.put(last)
    buffer.put(Scanned())
    buffer.put(replace(last))
    buffer.end(anyio.EndOfStream())
    assert await drain(buffer) == [last, Scanned()]


async def test_promise_7_a_flood_costs_no_memory() -> None:
    """However many signals come, at most one of each kind is kept."""
    buffer = SignalBuffer()
    for number in range(10_000):
        buffer.put(QRUpdated(QRCode(str(number))))
        buffer.put(Scanned())
        buffer.put(QRExpired())
        buffer.put(StatusChanged())
    assert len(buffer._signals) == 4
    buffer.end(anyio.EndOfStream())
    newest = QRUpdated(QRCode("9999"))
    assert await drain(buffer) == [newest, Scanned(), QRExpired(), StatusChanged()]


async def test_an_end_comes_after_the_kept_signals() -> None:
    """A connection that breaks right after the success does not take the success along."""
    buffer = SignalBuffer()
    buffer.put(Paired("+1"))
    buffer.end(TransportLost("broke"))
    assert await buffer.get() == Paired("+1")
    for _ in range(2):
        with pytest.raises(TransportLost, match="broke"):
            await buffer.get()


async def test_the_first_end_counts_and_nothing_comes_after_it() -> None:
    """A second end changes nothing, and a signal after an end is dropped."""
    buffer = SignalBuffer()
    buffer.end(TransportLost("first"))
    buffer.end(TransportLost("second"))
    buffer.put(Paired("+1"))
    with pytest.raises(TransportLost, match="first"):
        await buffer.get()


async def test_close_forgets_what_was_kept() -> None:
    """Closed by ourselves: nothing is delivered any more, not even an error."""
    buffer = SignalBuffer()
    buffer.put(Paired("+1"))
    buffer.end(TransportLost("broke"))
    buffer.close()
    buffer.put(Scanned())
    with pytest.raises(anyio.EndOfStream):
        await buffer.get()


@pytest.mark.parametrize("end", ["put", "end", "close"])
async def test_a_waiting_get_wakes(end: str) -> None:
    """A signal, an end and a close each end the wait."""
    buffer = SignalBuffer()
    woken: list[object] = []

    async def wait() -> None:
        try:
            woken.append(await buffer.get())
        except (anyio.EndOfStream, TransportLost) as error:
            woken.append(type(error))

    with anyio.fail_after(1):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert not woken
            if end == "put":
                buffer.put(Scanned())
            elif end == "end":
                buffer.end(TransportLost("broke"))
            else:
                buffer.close()
    expected = {"put": Scanned(), "end": TransportLost, "close": anyio.EndOfStream}
    assert woken == [expected[end]]


async def test_several_waiters_share_the_signals() -> None:
    """Each signal goes to one of them, and the end to all."""
    buffer = SignalBuffer()
    taken: list[Signal] = []
    ends = 0

    async def wait() -> None:
        nonlocal ends
        taken.extend(await drain(buffer))
        ends += 1

    with anyio.fail_after(1):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            buffer.put(Scanned())
            buffer.put(QRExpired())
            await anyio.wait_all_tasks_blocked()
            buffer.end(anyio.EndOfStream())
    assert sorted(map(repr, taken)) == ["QRExpired()", "Scanned()"]
    assert ends == 3


async def test_a_cancelled_get_loses_no_signal() -> None:
    """The signal arrives in the very moment of the cancellation: it is taken, or still there."""
    buffer = SignalBuffer()
    taken: list[Signal] = []

    async def take() -> None:
        taken.append(await buffer.get())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
        buffer.put(Paired("+1"))
    buffer.end(anyio.EndOfStream())
    assert [*taken, *await drain(buffer)] == [Paired("+1")]


async def test_a_buffer_says_how_many_it_keeps_and_whether_it_has_ended() -> None:
    """Both can be asked without taking anything."""
    buffer = SignalBuffer()
    assert (len(buffer), buffer.ended) == (0, False)
    buffer.put(Scanned())
    buffer.put(QRExpired())
    assert (len(buffer), buffer.ended) == (2, False)
    buffer.end(anyio.EndOfStream())
    assert (len(buffer), buffer.ended) == (2, True)

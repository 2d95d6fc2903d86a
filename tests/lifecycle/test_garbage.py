"""What a lifecycle was made of is gone as soon as nobody holds it: no collector has to find it.

In a process of ten thousand codes a full pass of the collector stops everybody for a while. Whoever
has it run seldom, or freezes what there is, must not pay for that with memory.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle import (
    Paired,
    PairingRefused,
    Policy,
    QRCode,
    QRExpired,
    QRLifecycle,
    QRUpdated,
    Scanned,
    ServiceUnavailable,
    Transport,
    TransportLost,
    TransportRefused,
)
from qrlifecycle.errors import InvalidValue
from qrlifecycle.leases import LocalLeases
from qrlifecycle.signals import Signal
from qrlifecycle.testing import settle
from qrlifecycle.transports.buffer import SignalBuffer

from ..collector import left_to_the_collector
from ..pairing import hang, request_qr

pytestmark = pytest.mark.anyio

SHORT = Policy(attempt_timeout=50, max_refreshes=1)

LAST = Policy(max_reconnects=0)

ONE_CODE = Policy(max_refreshes=0, expiry_grace=0)

LEASES = LocalLeases()


class Wire(Transport):
    """A transport that keeps nothing but what it was told; nobody holds it but its lifecycle."""

    def __init__(self, service: Service) -> None:
        self.buffer = SignalBuffer()
        self.welcome = service.welcome
        service.said = self.buffer

    async def open(self) -> None:
        """Open, or not."""
        await anyio.lowlevel.checkpoint()
        if not self.welcome:
            raise TransportRefused("no")

    async def receive(self) -> Signal:
        """The next signal."""
        return await self.buffer.get()

    async def aclose(self) -> None:
        """Close."""
        self.buffer.close()

    def abort(self) -> None:
        """Be gone."""
        self.buffer.close()


class Service:
    """What a lifecycle talks to. It does not hold it."""

    def __init__(self) -> None:
        self.welcome = True
        self.said = SignalBuffer()
        """The newest transport's."""

    def say(self, *signals: Signal) -> None:
        """Say all of them at once."""
        for signal in signals:
            self.said.put(signal)

    def break_off(self, error: Exception) -> None:
        """Break the connection."""
        self.said.end(error)

    def refuse(self) -> None:
        """Break it, and let nobody in any more."""
        self.welcome = False
        self.break_off(TransportLost("broken"))


async def nothing() -> None:
    """A status that says nothing."""


async def slowly_nothing() -> None:
    """A status that says nothing, and not at once."""
    await anyio.sleep(2)


async def found() -> Paired:
    """A status that says all."""
    return Paired("found")


async def broken(*_anything: object) -> Any:
    """What raises."""
    raise RuntimeError


async def away() -> QRCode:
    """A service that is there again in a moment."""
    raise ServiceUnavailable("not now")


async def settles(_told: object) -> None:
    """An async hook."""
    await anyio.lowlevel.checkpoint()


Act = Callable[[Service, QRLifecycle], object]


def wait(_service: Service, _lifecycle: QRLifecycle) -> None:
    """It ends by itself."""


async def break_at_the_end(service: Service, _lifecycle: QRLifecycle) -> None:
    """Break the connection while the status is read for the last time."""
    await anyio.sleep(61)
    service.break_off(TransportLost("x"))


ENDINGS: dict[str, tuple[Act, dict[str, Any]]] = {
    "a success": (lambda s, _: s.say(Scanned(), Paired("49")), {}),
    "another code": (lambda s, _: s.say(QRUpdated(QRCode("2")), Paired("49")), {}),
    "a code that runs out": (lambda s, _: s.say(QRExpired()), {"policy": SHORT}),
    "a refusal": (lambda s, _: s.say(PairingRefused()), {}),
    "the person leaves": (lambda _, lifecycle: lifecycle.cancel(), {}),
    "another code is wanted": (lambda _, lifecycle: lifecycle.generate(), {"policy": SHORT}),
    "a deadline": (wait, {"policy": SHORT}),
    "no code comes": (wait, {"policy": SHORT, "request": hang}),
    "no code can be made": (wait, {"policy": SHORT, "request": broken}),
    "nobody can be asked": (wait, {"policy": SHORT, "request": away}),
    "found by the status": (wait, {"check_status": found}),
    "no status": (lambda s, _: s.say(Paired("49")), {"check_status": nothing}),
    "a broken status": (lambda s, _: s.say(Paired("49")), {"check_status": broken}),
    "a break": (lambda s, _: s.break_off(TransportLost("x")), {"policy": SHORT}),
    "the last break": (lambda s, _: s.break_off(TransportLost("x")), {"policy": LAST}),
    "a break of no kind of ours": (lambda s, _: s.break_off(OSError()), {"policy": LAST}),
    "a break at the end": (break_at_the_end, {"check_status": slowly_nothing, "policy": ONE_CODE}),
    "a close in order": (lambda s, _: s.break_off(anyio.EndOfStream()), {"policy": LAST}),
    "let in no more": (lambda s, _: s.refuse(), {"policy": SHORT}),
    "unreadable": (lambda s, _: s.break_off(InvalidValue("x")), {"policy": LAST}),
    "it cannot be shown": (wait, {"on_qr_updated": broken}),
    "async hooks": (lambda s, _: s.say(Scanned(), Paired("49")), {"on_change": settles}),
    "a lease": (lambda s, _: s.say(Paired("49")), {"lease": partial(LEASES.lease, "user")}),
}
"""What happens to one that displays a code, and with which options."""

SOMEBODY_ELSES = {"no code can be made", "a break of no kind of ours"}
"""Ends by an error that is not ours: it goes on to the program with its traceback, in `error`.

From Python 3.12 on the frames of a traceback hold those that had called them, up to the one that
was given the outcome: the circle is the language's."""


async def end(act: Act, given: dict[str, Any]) -> None:
    """A lifecycle from its beginning to its end; and then nobody holds it."""
    options: dict[str, Any] = {"on_qr_updated": str, "recorders": (repr,), **given}
    service = Service()
    lifecycle = QRLifecycle(options.pop("request", request_qr), partial(Wire, service), **options)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await settle()
        going_on = act(service, lifecycle)
        if inspect.isawaitable(going_on):
            await going_on


@pytest.mark.parametrize("name", ENDINGS)
async def test_nothing_is_left_to_the_collector(name: str) -> None:
    """Whatever ends it, and with whichever of its options."""
    if name in SOMEBODY_ELSES and sys.version_info >= (3, 12):
        pytest.skip("a traceback leads to whoever was given the outcome, and that to the traceback")
    act, options = ENDINGS[name]
    await end(act, options)  # what is made once, is
    with left_to_the_collector() as left:
        await end(act, options)
    assert left == []

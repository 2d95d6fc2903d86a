"""A gateway's code that nobody was given is said to be one, and no other is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    ActionRequired,
    Paired,
    PairingCode,
    QRCode,
    QRLifecycle,
    QRUpdated,
    Scanned,
    Signal,
    Transport,
)
from qrlifecycle.testing import ScriptedPeer

from .services import Toy

pytestmark = pytest.mark.anyio

SAID = "nobody was given the code that is over now: give on_qr_updated=, or read lifecycle.qr"

POLICY = replace(Toy.policy, max_refreshes=1, qr_lifetime=20, rotated_lifetime=20)


class Service(Toy):
    """One that gives codes, whose socket is under the test's hand."""

    policy = POLICY

    def __init__(self, code: QRCode | PairingCode | None = None) -> None:
        super().__init__()
        self.code = code or QRCode("c0de")
        self.peer = ScriptedPeer()

    async def ask_for_code(self) -> Any:
        return self.code

    async def ask_for_status(self) -> None:
        return None

    def transport(self) -> Transport:
        return self.peer()


Looking = Callable[[QRLifecycle], object]


async def run_out(
    lifecycle: QRLifecycle, peer: ScriptedPeer | None = None, looking: Looking = bool
) -> None:
    """Pair until nobody has scanned; at 5 s somebody looks, and at 10 s something may be heard."""

    async def act() -> None:
        await anyio.sleep(5)
        looking(lifecycle)
        await anyio.sleep(5)
        if peer is not None:
            peer.send(Scanned())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(act)
        assert not (await lifecycle.pair()).connected


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said of a code that nobody was given."""
    return [line for line in caplog.messages if "nobody was given" in line]


async def test_a_code_that_nobody_is_given_is_said_to_be_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once in an attempt, when the first is over: there is no hook, and nobody looks."""
    lifecycle = Service().lifecycle(on_scanned=print, on_change=lambda _change: None)
    await run_out(lifecycle)
    assert said(caplog) == [SAID, f"2 times in all: {SAID}"]


async def test_a_code_to_type_is_for_a_hook_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """Who has the other one alone is told which is missing."""
    service = Service(PairingCode("WDJB"))
    await run_out(service.lifecycle(on_qr_updated=print), looking=lambda one: one.qr)
    text = "give on_pairing_code=, or read lifecycle.pairing_code"
    assert [text in line for line in said(caplog)] == [True, True]
    caplog.clear()
    await run_out(service.lifecycle(on_pairing_code=lambda _code: None))
    await run_out(service.lifecycle(), looking=lambda one: one.pairing_code)
    assert said(caplog) == []


async def test_a_code_that_is_replaced_was_given_to_nobody_likewise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As a service does that makes its codes by itself; but not after a moment."""

    async def rotate(after: float) -> None:
        service = Service()
        lifecycle = service.lifecycle()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lifecycle.pair)
            await anyio.sleep(after)
            service.peer.send(QRUpdated(QRCode("another")))
            await anyio.sleep(1)
            lifecycle.cancel()

    await rotate(15)
    assert said(caplog) == [SAID]
    caplog.clear()
    await rotate(14)
    assert said(caplog) == []


@pytest.mark.parametrize("ends", [QRLifecycle.cancel, QRLifecycle.generate])
async def test_a_code_that_the_program_ends_itself_is_no_sign_of_anything(
    ends: Looking, caplog: pytest.LogCaptureFixture
) -> None:
    """The person went away, or wants a fresh one: neither is said to have been shown nothing."""
    lifecycle = Service().lifecycle()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await anyio.sleep(16)
        ends(lifecycle)
        await anyio.sleep(1)
        lifecycle.cancel()
    assert said(caplog) == []


@pytest.mark.parametrize("signal", [Scanned(), ActionRequired("passkey"), Paired("me")])
async def test_who_did_something_about_a_code_will_see_the_next_one(
    signal: Signal, caplog: pytest.LogCaptureFixture
) -> None:
    """By whatever way codes are shown: in a later attempt one may run out and nothing is wrong."""
    service = Service()
    lifecycle = service.lifecycle()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await anyio.sleep(10)
        service.peer.send(signal)
        await anyio.sleep(1)
        lifecycle.cancel()
    await run_out(lifecycle)
    assert said(caplog) == []


async def test_who_can_show_a_code_is_told_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """By a hook, by looking, by a `request_qr` of one's own; or where somebody scanned it."""
    await run_out(Service().lifecycle(on_qr_updated=lambda _code: None))
    await run_out(Service().lifecycle(), looking=lambda lifecycle: lifecycle.qr)
    await run_out(QRLifecycle(**Service().parts()))
    scanned = Service()
    await run_out(scanned.lifecycle(), scanned.peer)
    assert said(caplog) == []


async def test_who_looked_for_a_code_before_there_was_one_shows_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A page that polls finds none at first."""
    lifecycle = Service().lifecycle()
    assert lifecycle.qr is None
    await run_out(lifecycle)
    assert said(caplog) == []
